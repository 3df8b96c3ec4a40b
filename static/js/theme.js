/* Runs before the first paint, so that a dark page never flashes white. */
(function () {
  var root = document.documentElement;
  root.classList.add("js");
  var saved = null;
  try { saved = localStorage.getItem("gijun-theme"); } catch (error) { /* storage is blocked */ }
  if (saved === "light" || saved === "dark") root.dataset.theme = saved;
})();
