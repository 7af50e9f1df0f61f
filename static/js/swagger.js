// Swagger UI on the API's own description. validatorUrl: its default would send the description elsewhere.
"use strict";

const target = document.getElementById("swagger");

SwaggerUIBundle({
  url: target.dataset.schema,
  domNode: target,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});

// It has a dark scheme of its own, behind a class.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
