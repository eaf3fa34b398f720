// The viewer of the REST API. Swagger UI is no module: its script is on the page before this one runs.

/** @type {(options: Record<string, unknown>) => unknown} */
const show = /** @type {any} */ (globalThis).SwaggerUIBundle;

show({
  dom_id: "#api",
  url: "/api/openapi.json",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  // A token that is tried out is forgotten with the page.
  persistAuthorization: false,
  // It would be asked on the internet.
  validatorUrl: null,
});
