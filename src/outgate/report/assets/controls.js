// Views, theme, before and after, shortcuts; and the start of everything.

const VIEWS = ["graph", "matrix", "connections", "workloads", "policies"];
const THEMES = ["system", "light", "dark"];

function refreshAll() {
  refreshGraph();
  refreshMatrix();
  refreshTables();
  if (state.selection) showPanel();
}

function showView(name, focus) {
  state.view = name;
  root.dataset.view = name;
  for (const view of VIEWS) {
    $(view).hidden = view !== name;
    if (view === name) $(`tab-${view}`).setAttribute("aria-current", "page");
    else $(`tab-${view}`).removeAttribute("aria-current");
  }
  if (name === "matrix") {
    matrix.range = null;
    drawMatrix();
  }
  // Browsers jump to where a link leads; the page itself never scrolls.
  window.scrollTo(0, 0);
  if (focus) focusView(name);
}

function focusView(name) {
  const first = {
    graph: () => stop,
    matrix: () => $("grid").querySelector("td[tabindex='0']"),
    connections: () => firstItem(connectionItems),
    workloads: () => firstItem(workloadItems),
    policies: () => $("policies").querySelector("summary"),
  }[name]();
  $(name).tabIndex = -1;
  (first || $(name)).focus({ preventScroll: name === "graph" || name === "matrix" });
}

// #graph and its like, #edge-12, #node-3, and lines of policies: #p3l21.
function follow(hash) {
  const selected = /^#(edge|node)-(\d+)$/.exec(hash);
  const line = /^#p(\d+)(l\d+)?$/.exec(hash);
  if (selected && Number(selected[2]) < (selected[1] === "edge" ? edges : nodes).length) {
    select({ kind: selected[1], index: Number(selected[2]) }, false);
  } else if (line && $(`p${line[1]}`)) {
    showView("policies", false);
    $(`p${line[1]}`).open = true;
    for (const marked of document.querySelectorAll("#policies .marked")) marked.classList.remove("marked");
    const target = $(hash.slice(1));
    if (!target) return;
    if (line[2]) target.classList.add("marked");
    target.setAttribute("tabindex", "-1");
    target.scrollIntoView({ block: "center" });
    (line[2] ? target : target.querySelector("summary")).focus({ preventScroll: true });
  } else if (VIEWS.includes(hash.slice(1))) showView(hash.slice(1), true);
}

function setTheme(name) {
  if (name === "system") delete root.dataset.theme;
  else root.dataset.theme = name;
  $("theme").textContent = `◐ ${name}`;
  $("theme").setAttribute("aria-label", `Theme: ${name}`);
  say(`Theme: ${name}`);
}

function nextTheme() {
  setTheme(THEMES[(THEMES.indexOf(root.dataset.theme || "system") + 1) % THEMES.length]);
}

function setSide(side) {
  if (!data.comparison) return;
  state.side = side;
  root.dataset.side = side;
  for (const button of $("side").querySelectorAll("input")) button.checked = button.value === side;
  refreshAll();
  say(side === "changes" ? "showing what changed" : `showing the state ${side}`);
}

function showShortcuts() {
  $("shortcuts").showModal();
}

function escapeKey() {
  if (!$("namespaces").hidden) showFilter(false);
  else if (!$("panel").hidden) closePanel();
  else if (state.found !== null) {
    $("search").value = "";
    search("");
  }
}

const KEYS = {
  "/": () => { $("search").focus(); $("search").select(); },
  g: () => showView("graph", true),
  m: () => showView("matrix", true),
  c: () => showView("connections", true),
  w: () => showView("workloads", true),
  p: () => showView("policies", true),
  t: nextTheme,
  o: () => toggleAll(),
  b: () => setSide("before"),
  a: () => setSide("after"),
  d: () => setSide("changes"),
  "+": () => zoom(0.8),
  "=": () => zoom(0.8),
  "-": () => zoom(1.25),
  0: fit,
  "?": showShortcuts,
  Escape: escapeKey,
};

function onKey(event) {
  $("tooltip").hidden = true;
  if (event.ctrlKey || event.metaKey || event.altKey || $("shortcuts").open || isTyping(event.target)) return;
  const onSwitch = event.target.matches("input[type='radio']");
  if (event.shiftKey && event.key in ARROWS && state.view === "graph" && !onSwitch) {
    const [dx, dy] = ARROWS[event.key];
    pan(dx * whole.width * 0.08, dy * whole.height * 0.08);
  } else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key]();
  else return;
  event.preventDefault();
}

function onLink(event) {
  const link = event.target.closest("a[href^='#']");
  if (!link || event.defaultPrevented) return;
  event.preventDefault();
  const hash = link.getAttribute("href");
  remember(hash);
  follow(hash);
}

function unfoldForPrint() {
  for (const details of document.querySelectorAll("details")) details.open = true;
}

function startControls() {
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onLink);
  window.addEventListener("hashchange", () => follow(location.hash));
  window.addEventListener("beforeprint", unfoldForPrint);
  $("theme").onclick = nextTheme;
  $("help").onclick = showShortcuts;
  $("close-help").onclick = () => $("shortcuts").close();
  $("close").onclick = closePanel;
  if (data.comparison) $("side").addEventListener("change", (event) => setSide(event.target.value));
}

if ($("notes")) $("notes").open = false;
startGraph();
startMatrix();
startFilter();
startTables();
startSearch();
startControls();
showView("graph", false);
refreshAll();
follow(root.dataset.wanted);
root.dataset.ready = "";
