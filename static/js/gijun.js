/* The page's own behaviour. Everything works without it except theme, copy, follow and the phone's menu. */
(function () {
  "use strict";
  const root = document.documentElement;
  const announce = (text) => { const box = document.getElementById("announce"); if (box) box.textContent = text; };

  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function toggleTheme() {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("gijun-theme", root.dataset.theme); } catch (error) { /* storage is blocked */ }
    document.dispatchEvent(new Event("gijun:theme"));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("gijun:theme")));

  function setMenu(open) {
    const button = document.querySelector("[data-nav-toggle]");
    const scrim = document.querySelector("[data-nav-close]");
    if (!button) return;
    document.body.classList.toggle("nav-open", open);
    button.setAttribute("aria-expanded", String(open));
    scrim.hidden = !open;
    if (open) document.querySelector("#sidebar a").focus(); else button.focus();
  }

  async function copy(button) {
    const text = button.dataset.copy || location.href;
    try {
      await navigator.clipboard.writeText(text);
    } catch (error) {
      /* plain http in a closed network has no clipboard API */
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "visually-hidden";
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.classList.add("copied");
    announce(document.getElementById("announce").dataset.copied);
    setTimeout(() => button.classList.remove("copied"), 1500);
  }

  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest(selector);
    let found;
    if (hit("[data-theme-toggle]")) toggleTheme();
    else if (hit("[data-nav-toggle]")) setMenu(!document.body.classList.contains("nav-open"));
    else if (hit("[data-nav-close]")) setMenu(false);
    else if ((found = hit("[data-copy]"))) copy(found);
    else if ((found = hit("[data-dismiss]"))) found.closest(".toast").remove();
    else if ((found = hit("[data-open-dialog]"))) document.getElementById(found.dataset.openDialog).showModal();
    else if ((found = hit("[data-close-dialog]"))) found.closest("dialog").close();
    else if ((found = hit("[data-pause]"))) pause(found);
    else if ((found = hit("[data-toggle]"))) found.setAttribute("aria-expanded", String(document.getElementById(found.dataset.toggle).classList.toggle("open")));
    else if ((found = hit("[data-scroll-to]"))) scrollTo(event, found);
    document.querySelectorAll("details.account[open]").forEach((box) => { if (!box.contains(event.target)) box.open = false; });
  });

  function scrollTo(event, button) {
    const target = document.getElementById(button.dataset.scrollTo);
    if (!target) return;
    event.preventDefault();
    target.scrollIntoView({ block: "center" });
    const field = target.matches("textarea, input, button") ? target : target.querySelector("textarea, input, button");
    if (field) field.focus({ preventScroll: true });
  }

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      const box = document.querySelector("#content [data-search]") || document.querySelector("[data-search]");
      if (box) { box.focus(); box.select(); }
    } else if (event.key === "Escape") {
      if (document.body.classList.contains("nav-open")) setMenu(false);
      document.querySelectorAll("details.account[open]").forEach((box) => { box.open = false; box.querySelector("summary").focus(); });
    }
  });

  /* a form that asks before it does something that cannot be undone lightly */
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) { event.preventDefault(); return; }
    if (event.target.method === "post" && !event.target.hasAttribute("data-many")) {
      event.target.querySelectorAll("button:not([name])").forEach((button) => setTimeout(() => { button.disabled = true; }, 0));
    }
  }, true);
  addEventListener("pageshow", (event) => {
    if (event.persisted) document.querySelectorAll("form button:disabled").forEach((button) => { button.disabled = false; });
  });

  /* facets and selects that apply themselves */
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-auto]");
    if (form) form.requestSubmit();
  });

  /* live regions: pause, and a log that follows its end unless the reader has scrolled up */
  function pause(button) {
    const region = document.getElementById(button.dataset.pause);
    const paused = region.toggleAttribute("data-paused");
    button.setAttribute("aria-pressed", String(paused));
  }
  document.addEventListener("htmx:beforeRequest", (event) => {
    const polls = (event.detail.elt.getAttribute("hx-trigger") || "").includes("every");
    if (polls && (event.detail.elt.hasAttribute("data-paused") || document.hidden)) event.preventDefault();
  });
  /* an address without empty filters */
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get") return;
    for (const [key, value] of [...event.detail.formData.entries()]) if (value === "") event.detail.formData.delete(key);
  });
  const offsets = new Map();
  const atEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  document.addEventListener("htmx:beforeSwap", () => {
    document.querySelectorAll(".log[id]").forEach((log) => offsets.set(log.id, atEnd(log) ? null : log.scrollTop));
  });
  document.addEventListener("htmx:afterSwap", () => placeLogs());
  function placeLogs() {
    document.querySelectorAll(".log[id]").forEach((log) => {
      const kept = offsets.get(log.id);
      log.scrollTop = kept == null ? log.scrollHeight : kept;
    });
  }
  placeLogs();

  /* a wide table of months opens at its newest */
  document.querySelectorAll("[data-newest-last]").forEach((box) => { box.scrollLeft = box.scrollWidth; });
  document.querySelectorAll(".toast.success, .toast.info").forEach((toast) => setTimeout(() => toast.remove(), 8000));
})();
