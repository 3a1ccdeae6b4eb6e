/** Swagger UI, for the API that this page belongs to. */

// @ts-expect-error it comes by a script of its own
const SwaggerUI = window.SwaggerUIBundle;

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUI({
  url: "openapi.json",
  dom_id: "#main",
  deepLinking: true,
  validatorUrl: null, // it would send the address of this service to the internet
  presets: [SwaggerUI.presets.apis, SwaggerUI.SwaggerUIStandalonePreset],
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
