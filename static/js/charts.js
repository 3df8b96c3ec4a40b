/* Draws every [data-chart] with Plotly: colours come from the theme's CSS variables. */
(function () {
  "use strict";
  const CONFIG = {
    displaylogo: false,
    plotlyServerURL: "",
    topojsonURL: "",
    responsive: true,
    scrollZoom: false,
    doubleClick: "reset",
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  };
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  function resolve(value) {
    if (typeof value !== "string" || !value.startsWith("var(--")) return value;
    if (value === "var(--font)") return getComputedStyle(document.body).fontFamily;
    probe.style.color = "";
    probe.style.color = value;
    return getComputedStyle(probe).color;
  }

  function themed(value) {
    if (Array.isArray(value)) return value.map(themed);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, themed(item)]));
    return resolve(value);
  }

  function draw(box) {
    const figure = themed(JSON.parse(box.querySelector('script[type="application/json"]').textContent));
    return window.Plotly.react(box.querySelector(".plot"), figure.data, figure.layout, CONFIG);
  }

  async function drawAll() {
    const boxes = [...document.querySelectorAll("[data-chart]")].filter((box) => box.dataset.view !== "table");
    document.body.removeAttribute("data-charts");
    await Promise.all(boxes.map(draw));
    document.body.dataset.charts = "ready";
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-chart-table]");
    if (!button) return;
    const box = button.closest("[data-chart]");
    const table = box.dataset.view !== "table";
    box.dataset.view = table ? "table" : "plot";
    button.setAttribute("aria-pressed", String(table));
    if (!table) draw(box);
  });
  document.addEventListener("gijun:theme", drawAll);
  document.addEventListener("htmx:afterSwap", (event) => { if (event.detail.elt.querySelector("[data-chart]")) drawAll(); });
  drawAll();
})();
