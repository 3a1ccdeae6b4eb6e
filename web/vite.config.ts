import { defineConfig } from "vite";

export default defineConfig({
  base: "./", // the pages work below any prefix
  build: {
    outDir: "dist",
    assetsDir: "static/explorer",
    target: "es2022",
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4000, // Monaco, the editor
    license: { fileName: "static/explorer/LICENSES.md" },
    rolldownOptions: {
      input: ["explorer.html", "dashboards.html", "dashboards/dashboards.html"],
      onLog(level, log, report) {
        // "use client" in React libraries, hundreds of times; it means nothing here
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") {
          report(level, log);
        }
      },
    },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es" },
});
