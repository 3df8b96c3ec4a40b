/* The SQL editor: a textarea with line numbers and colours, checks while typing, queries that can be cancelled. */
(function () {
  "use strict";
  const form = document.querySelector("[data-editor]");
  if (!form) return;
  const area = form.querySelector("[data-sql]");
  const gutter = form.querySelector("[data-gutter]");
  const paint = form.querySelector("[data-paint]");
  const band = form.querySelector("[data-band]");
  const check = document.getElementById("check");
  const verdict = form.querySelector("[data-verdict]");
  verdict.addEventListener("click", () => check.scrollIntoView({ block: "start" }));
  const PAINT_LIMIT = 30000;
  const CHECK_AFTER_MS = 500;
  let errorLines = [];

  /* ---- what the text looks like */
  const WORDS = new Set(("select from where group by order having limit offset as on and or not in is null like between case when then else end join left right full outer inner cross union all distinct with over partition rows preceding following unbounded current row cast exists asc desc true false interval nulls first last").split(" "));
  const TOKEN = /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^'\\]|\\.|'')*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|$))|(\{\s*\w*\s*\}?)|(\b\d+(?:\.\d+)?\b)|([A-Za-z_]\w*)(?=(\s*\()?)/g;

  function span(kind, text) {
    const node = document.createElement("span");
    node.className = kind;
    node.textContent = text;
    return node;
  }

  /* a date parameter keeps its colour inside quotes, where it mostly stands */
  function paintText(into, text) {
    let end = 0;
    for (const found of text.matchAll(/\{\s*\w*\s*\}/g)) {
      if (found.index > end) into.append(span("t-text", text.slice(end, found.index)));
      into.append(span("t-date", found[0]));
      end = found.index + found[0].length;
    }
    if (end < text.length) into.append(span("t-text", text.slice(end)));
  }

  function draw() {
    const text = area.value;
    const lines = text.split("\n").length;
    const numbers = document.createDocumentFragment();
    for (let n = 1; n <= lines; n += 1) numbers.append(errorLines.includes(n) ? span("bad", `${n}\n`) : `${n}\n`);
    gutter.replaceChildren(numbers);
    const colours = text.length <= PAINT_LIMIT;
    area.classList.toggle("painted", colours);
    if (colours) {
      const out = document.createDocumentFragment();
      let end = 0;
      for (const found of text.matchAll(TOKEN)) {
        if (found.index > end) out.append(text.slice(end, found.index));
        const [whole, comment, quoted, date, number, word, call] = found;
        if (comment) out.append(span("t-comment", whole));
        else if (quoted) paintText(out, whole);
        else if (date) out.append(span("t-date", whole));
        else if (number) out.append(span("t-number", whole));
        else if (WORDS.has(word.toLowerCase())) out.append(span("t-word", whole));
        else if (call) out.append(span("t-call", whole));
        else out.append(whole);
        end = found.index + whole.length;
      }
      out.append(text.slice(end), "\n");
      paint.replaceChildren(out);
    } else {
      paint.replaceChildren();
    }
    follow();
  }

  function lineHeight() { return parseFloat(getComputedStyle(area).lineHeight); }

  function follow() {
    gutter.style.transform = `translateY(${-area.scrollTop}px)`;
    paint.style.transform = `translate(${-area.scrollLeft}px, ${-area.scrollTop}px)`;
    band.hidden = errorLines.length === 0;
    if (!band.hidden) {
      const top = parseFloat(getComputedStyle(area).paddingTop) + (errorLines[0] - 1) * lineHeight() - area.scrollTop;
      band.style.transform = `translateY(${top}px)`;
      band.hidden = top < -lineHeight() || top > area.clientHeight;
    }
  }

  function goToLine(number) {
    const lines = area.value.split("\n");
    const start = lines.slice(0, number - 1).reduce((sum, line) => sum + line.length + 1, 0);
    area.focus();
    area.setSelectionRange(start, start + (lines[number - 1] || "").length);
    area.scrollTop = Math.max((number - 4) * lineHeight(), 0);
    area.scrollLeft = 0;
  }

  /* ---- typing */
  function insert(text) {
    area.focus();
    /* keeps the browser's own undo, which setRangeText loses */
    if (!document.execCommand("insertText", false, text)) {
      area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
      area.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  function indent(back) {
    const start = area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
    const end = area.selectionEnd;
    if (!back && area.selectionStart === end) { insert("  "); return; }
    const block = area.value.slice(start, end);
    const moved = back ? block.replace(/^ {1,2}/gm, "") : block.replace(/^/gm, "  ");
    if (moved === block) return;
    area.setSelectionRange(start, end);
    insert(moved);
    area.setSelectionRange(start, start + moved.length);
  }

  let mayLeave = false;
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { mayLeave = true; return; }
    if (event.key === "Tab" && !event.ctrlKey && !event.altKey && !event.metaKey) {
      if (mayLeave) { mayLeave = false; return; }
      event.preventDefault();
      indent(event.shiftKey);
      return;
    }
    if (event.key !== "Shift") mayLeave = false;
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      const line = area.value.slice(area.value.lastIndexOf("\n", area.selectionStart - 1) + 1, area.selectionStart);
      const lead = line.match(/^[ \t]*/)[0];
      if (lead) { event.preventDefault(); insert(`\n${lead}`); }
    }
  });
  area.addEventListener("blur", () => { mayLeave = false; });
  form.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey)) {
      /* Enter in a small field must not publish */
      if (event.key === "Enter" && event.target.matches("input")) event.preventDefault();
      return;
    }
    if (event.key === "Enter") { event.preventDefault(); form.querySelector("[data-run]").click(); }
    if (event.key.toLowerCase() === "s") { event.preventDefault(); form.querySelector("[name=action][value=draft]").click(); }
  });
  area.addEventListener("scroll", follow, { passive: true });
  new ResizeObserver(follow).observe(area);

  /* ---- checks, a moment after the last key */
  let timer = 0;
  function checkSoon(wait) {
    clearTimeout(timer);
    timer = setTimeout(() => check.dispatchEvent(new CustomEvent("gijun:check")), wait);
  }
  form.addEventListener("input", (event) => {
    if (event.target === area) { errorLines = []; draw(); }
    if (event.target === area || event.target.matches("[name=entity_key], [name=name], [name=base_ym]")) checkSoon(CHECK_AFTER_MS);
    keepSoon();
  });
  form.addEventListener("change", (event) => { if (event.target.matches("[data-check]")) checkSoon(0); });

  /* what was typed into the answer while the next one was on its way stays */
  let typed = null;
  check.addEventListener("htmx:beforeSwap", () => {
    typed = new Map([...check.querySelectorAll("input, select")].map((field) => [field.name, field.value]));
  });
  check.addEventListener("htmx:afterSwap", () => {
    check.querySelectorAll("input, select").forEach((field) => {
      if (!typed || !typed.has(field.name)) return;
      const option = field.options && [...field.options].find((each) => each.value === typed.get(field.name));
      if (!field.options || (option && !option.disabled)) field.value = typed.get(field.name);
    });
  });
  check.addEventListener("htmx:afterSettle", readErrors);

  function readErrors() {
    errorLines = [...check.querySelectorAll("[data-error-line]")].map((item) => Number(item.dataset.errorLine));
    draw();
    /* the checks stand below the text: the first error is told beside the buttons too */
    const first = check.querySelector(".findings .error > span, .says.act > strong");
    verdict.hidden = !first;
    verdict.textContent = first ? first.textContent.trim() : "";
  }

  /* ---- queries that a person waits for */
  const running = document.getElementById("running");
  let current = null;

  function newId() {
    /* crypto.randomUUID is only there on https and localhost */
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  async function run(button) {
    if (current) return;
    const target = document.querySelector(button.dataset.into);
    const id = newId();
    const began = performance.now();
    const show = () => { running.querySelector("[data-seconds]").textContent = Math.floor((performance.now() - began) / 1000); };
    current = { id, clock: setInterval(show, 200) };
    form.elements.query_id.value = id;
    running.querySelector("[data-running-what]").textContent = button.textContent.trim();
    running.querySelector("[data-cancelling]").hidden = true;
    running.querySelector("[data-cancel-query]").disabled = false;
    running.hidden = false;
    show();
    form.querySelectorAll("[data-run]").forEach((each) => { each.disabled = true; });
    try {
      await htmx.ajax("POST", button.dataset.run, { source: form, target, swap: "innerHTML" });
    } catch (error) { /* told by htmx:responseError or htmx:sendError below */ }
    clearInterval(current.clock);
    current = null;
    running.hidden = true;
    form.querySelectorAll("[data-run]").forEach((each) => { each.disabled = false; });
    target.scrollIntoView({ block: "nearest" });
  }

  async function cancel(button) {
    if (!current) return;
    button.disabled = true;
    running.querySelector("[data-cancelling]").hidden = false;
    const { id } = current;
    const address = form.dataset.cancel.replace("00000000-0000-0000-0000-000000000000", id);
    /* 404: the query has not begun yet */
    for (let tries = 0; tries < 20 && current && current.id === id; tries += 1) {
      const answer = await fetch(address, { method: "POST", headers: { "X-CSRFToken": token() } });
      if (answer.status !== 404) return;
      await new Promise((resolve) => { setTimeout(resolve, 250); });
    }
  }

  /* after a log-in in another tab the token of this page is old; the cookie has the new one */
  function token() {
    const cookie = document.cookie.split("; ").find((each) => each.startsWith("csrftoken="));
    return cookie ? cookie.slice("csrftoken=".length) : form.elements.csrfmiddlewaretoken.value;
  }
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "post") return;
    event.detail.headers["X-CSRFToken"] = token();
    event.detail.parameters.csrfmiddlewaretoken = token();
  });
  form.addEventListener("submit", () => { form.elements.csrfmiddlewaretoken.value = token(); keep(); });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const address = new URL(event.detail.xhr.responseURL || location.href, location.href);
    const isLogin = address.pathname === form.dataset.login;
    document.getElementById("logged-out").hidden = !isLogin;
    if (isLogin) { event.detail.shouldSwap = false; keep(); }
  });
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 403) document.getElementById("logged-out").hidden = false;
  });

  form.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest(selector);
    let found;
    if ((found = hit("[data-insert]"))) { event.preventDefault(); insert(found.dataset.insert); }
    else if ((found = hit("[data-go-line]"))) goToLine(Number(found.dataset.goLine));
    else if ((found = hit("[data-run]"))) run(found);
    else if ((found = hit("[data-cancel-query]"))) cancel(found);
    else if ((found = hit("[data-recover]"))) recover(found.dataset.recover);
  });

  const filter = form.querySelector("[data-filter-tables]");
  if (filter) {
    filter.addEventListener("input", () => {
      const words = filter.value.trim().toLowerCase();
      form.querySelectorAll("[data-table]").forEach((row) => { row.hidden = !row.dataset.table.includes(words); });
    });
  }

  /* ---- nothing that was typed is lost: it is kept in this browser until it is saved */
  const KEY = `gijun-editor:${location.pathname}${location.search}`;
  const KEPT = ["name", "title", "entity", "entity_key", "domain", "tags", "description", "sql"];
  let keepTimer = 0;
  function values() { return Object.fromEntries(KEPT.map((name) => [name, form.elements[name].value])); }
  const opened = JSON.stringify(values());
  function keep() {
    try {
      if (JSON.stringify(values()) === opened && !form.dataset.kept.startsWith("now")) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, JSON.stringify({ at: Date.now(), values: values() }));
    } catch (error) { /* storage is blocked or full */ }
  }
  function keepSoon() { clearTimeout(keepTimer); keepTimer = setTimeout(keep, 400); }
  function kept() {
    try { return JSON.parse(localStorage.getItem(KEY)); } catch (error) { return null; }
  }
  function recover(what) {
    const found = kept();
    document.getElementById("recover").hidden = true;
    if (what === "restore" && found) {
      KEPT.forEach((name) => { if (name in found.values && !form.elements[name].readOnly) form.elements[name].value = found.values[name]; });
      errorLines = [];
      draw();
      checkSoon(0);
    } else {
      try { localStorage.removeItem(KEY); } catch (error) { /* storage is blocked */ }
    }
  }
  const before = kept();
  const savedAt = Date.parse(form.dataset.kept) || 0;
  if (before && form.dataset.kept !== "now" && before.at > savedAt && JSON.stringify(before.values) !== opened) {
    document.querySelector("[data-recover-when]").textContent = new Date(before.at).toLocaleString();
    document.getElementById("recover").hidden = false;
  }

  form.classList.add("ready");
  readErrors();
})();
