/** ReDoc, for the API that this page belongs to; it has no dark mode, so its colours are given. */

const DARK = {
  colors: {
    primary: { main: "#a5b4fc" },
    text: { primary: "#e6e9f2", secondary: "#9ea7bd" },
    border: { dark: "#2b3247", light: "#2b3247" },
    success: { main: "#5ee2a4" },
    error: { main: "#ff9a8f" },
    http: { get: "#5ee2a4", post: "#a5b4fc", delete: "#ff9a8f" },
  },
  schema: { nestedBackground: "#171c2c", typeNameColor: "#9ea7bd", typeTitleColor: "#9ea7bd", linesColor: "#4b5575" },
  sidebar: { backgroundColor: "#171c2c", textColor: "#e6e9f2" },
  rightPanel: { backgroundColor: "#0a0d16" },
  codeBlock: { backgroundColor: "#171c2c" },
  typography: { code: { backgroundColor: "#171c2c", color: "#a5b4fc" }, links: { color: "#a5b4fc" } },
};
const LIGHT = { colors: { primary: { main: "#4338ca" } }, rightPanel: { backgroundColor: "#171c2c" } };

const dark = matchMedia("(prefers-color-scheme: dark)");

function show() {
  const theme = { ...(dark.matches ? DARK : LIGHT) };
  const options = { theme, scrollYOffset: ".bar", hideDownloadButton: false, nativeScrollbars: true };
  // @ts-expect-error it comes by a script of its own
  window.Redoc.init("openapi.json", options, document.getElementById("main"));
}

dark.addEventListener("change", show);
show();
