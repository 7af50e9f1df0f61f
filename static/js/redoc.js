// Redoc on the API's own description.
"use strict";

const target = document.getElementById("redoc");

Redoc.init(
  target.dataset.schema,
  {
    hideDownloadButtons: true,
    scrollYOffset: ".docs-bar",
    theme: { colors: { primary: { main: "#0d6b52" } } },
  },
  target,
);
