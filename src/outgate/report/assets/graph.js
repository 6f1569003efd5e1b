// The picture: which lines are drawn, zoom, highlights, and the keyboard in it.

const picture = $("picture");
const whole = picture.viewBox.baseVal;
const full = { x: 0, y: 0, width: whole.width, height: whole.height };
const MOST_DRAWN = 6000;
const MOST_LABELS = 30;
let hovered = null;
let stop = null; // the one part of the picture that Tab reaches

// --- where lines run. The same curves as page_routes.py, from the middle of each side. ---

function boxOf(index) {
  const group = groups[nodes[index].group];
  return state.open[group.index] ? nodes[index] : group;
}

function curve(a, b) {
  const ay = a.y + a.height / 2;
  const by = b.y + b.height / 2;
  let leave = 1;
  let enter = 1;
  if (b.x >= a.x + a.width) enter = -1;
  else if (a.x >= b.x + b.width) leave = -1;
  const ax = leave === 1 ? a.x + a.width : a.x;
  const bx = enter === 1 ? b.x + b.width : b.x;
  if (leave === enter) {
    const far = Math.max(ax, bx) + 28 + Math.min(100, Math.abs(by - ay) / 5);
    return `M${ax} ${ay}C${far} ${ay} ${far} ${by} ${bx} ${by}`;
  }
  const reach = Math.max(36, Math.abs(bx - ax) * 0.45);
  return `M${ax} ${ay}C${ax + leave * reach} ${ay} ${bx + enter * reach} ${by} ${bx} ${by}`;
}

function edgePath(edge) {
  const a = boxOf(edge.source);
  const b = boxOf(edge.destination);
  if (a === b) return null;
  const drawn = a === nodes[edge.source] && b === nodes[edge.destination] ? $(`e${edge.index}`) : null;
  return drawn ? drawn.getAttribute("d") : curve(a, b);
}

// --- which lines are drawn ---

function refreshGraph() {
  if (state.lines === "each" && edges.length <= MOST_DRAWN) drawMissing();
  picture.dataset.lines = state.lines;
  for (const group of groups) {
    const off = state.off.has(group.index);
    const element = $(`g${group.index}`);
    element.classList.toggle("closed", !state.open[group.index]);
    element.classList.toggle("hidden", off);
    element.setAttribute("aria-expanded", String(state.open[group.index]));
    $(`m${group.index}`).classList.toggle("hidden", off || !state.open[group.index]);
  }
  for (const node of nodes) $(`n${node.index}`).classList.toggle("hidden", !nodeShown(node));
  const isOpen = (edge) => state.open[nodes[edge.source].group] && state.open[nodes[edge.destination].group];
  const alone = (edge) => state.lines === "each" || (data.comparison && edge.change > 0 && state.lines === "bundles");
  for (const path of picture.querySelectorAll("#edges .edge")) {
    const edge = edges[Number(path.id.slice(1))];
    const hidden = !(edgeShown(edge) && isOpen(edge) && alone(edge));
    path.classList.toggle("hidden", hidden);
    const sign = $(`s${edge.index}`);
    if (sign) sign.classList.toggle("hidden", hidden || state.side !== "changes");
  }
  for (const bundle of bundles) {
    const element = $(`b${bundle.index}`);
    if (!element) continue;
    const members = bundle.members.map((member) => edges[member]).filter(edgeShown);
    const split = state.lines === "each" && state.open[bundle.source] && state.open[bundle.destination] && edges.length <= MOST_DRAWN;
    element.classList.toggle("hidden", split || members.length === 0);
  }
  highlight();
}

function drawMissing() {
  const layer = $("edges");
  for (const edge of edges) {
    if ($(`e${edge.index}`) || edge.source === edge.destination) continue;
    layer.append(draw("path", { id: `e${edge.index}`, class: `edge ${changeName(edge)}`, d: curve(nodes[edge.source], nodes[edge.destination]) }));
  }
}

function toggleGroup(index, open = !state.open[index]) {
  if (groups[index].kind !== "namespace") return;
  state.open[index] = open;
  refreshGraph();
  refreshGroupPanel();
  say(`namespace ${groups[index].label} ${open ? "opened" : "closed"}`);
}

function toggleAll() {
  const open = groups.some((group) => !state.open[group.index]);
  state.open = groups.map((group) => open || group.kind !== "namespace");
  $("fold").textContent = open ? "Close all" : "Open all";
  $("said").hidden = true;
  refreshGraph();
  refreshGroupPanel();
  say(`all namespaces ${open ? "opened" : "closed"}`);
}

// Its details have a button that says whether it is open.
function refreshGroupPanel() {
  if (state.selection && state.selection.kind === "group") showPanel();
}

// --- what is lit: the hovered or selected thing, and what it is connected to; else what a search found ---

function litEdges(target) {
  if (target.kind === "node") return [...nodes[target.index].out, ...nodes[target.index].into];
  if (target.kind === "edge") return [edges[target.index]];
  if (target.kind === "bundle") return bundles[target.index].members.map((member) => edges[member]);
  return [];
}

function highlight() {
  const target = hovered || state.selection;
  const lit = new Set();
  const overlay = $("overlay");
  const labels = $("labels");
  overlay.replaceChildren();
  labels.replaceChildren();
  for (const element of picture.querySelectorAll(".lit, .chosen")) element.classList.remove("lit", "chosen");
  if (target) {
    const chosen = $({ node: "n", edge: "e", group: "g", bundle: "b" }[target.kind] + target.index);
    if (chosen) chosen.classList.add("chosen", "lit");
    if (target.kind === "node") lit.add(target.index);
    if (target.kind === "group") lightGroup(target.index, lit);
    const shown = litEdges(target).filter(edgeShown);
    const named = shown.length <= MOST_LABELS && target.kind !== "bundle";
    const seen = new Set();
    for (const edge of shown.slice(0, MOST_DRAWN)) {
      lit.add(edge.source).add(edge.destination);
      const path = edgePath(edge);
      if (path === null || seen.has(path)) continue;
      seen.add(path);
      overlay.append(draw("path", { class: `edge lit ${changeName(edge)}`, d: path, "data-edge": edge.index }));
      if (named) labels.append(edgeLabel(edge, target, overlay.lastChild));
    }
  } else if (state.found !== null) {
    for (const index of state.found.nodes) lit.add(index);
  }
  for (const index of lit) {
    $(`n${index}`).classList.add("lit");
    $(`g${nodes[index].group}`).classList.add("lit");
  }
  picture.classList.toggle("focusing", Boolean(target) || state.found !== null);
}

function lightGroup(index, lit) {
  for (const member of groups[index].members) lit.add(member);
  for (const bundle of bundles) {
    const element = $(`b${bundle.index}`);
    if (!element || (bundle.source !== index && bundle.destination !== index)) continue;
    element.classList.add("lit");
    $(`g${bundle.source}`).classList.add("lit");
    $(`g${bundle.destination}`).classList.add("lit");
  }
}

// The words of a lit line stand where it meets the other end, where no other label can be.
function edgeLabel(edge, target, path) {
  const words = shortened(edgePorts(edge) || "nothing", 38);
  const length = path.getTotalLength();
  if (target.kind === "edge") {
    const at = path.getPointAtLength(length / 2);
    return draw("text", { class: "words", x: at.x, y: at.y - 8, "text-anchor": "middle" }, words);
  }
  const forward = edge.source === target.index;
  const end = path.getPointAtLength(forward ? length : 0);
  const near = path.getPointAtLength(forward ? length - 12 : 12);
  const left = near.x < end.x;
  return draw("text", { class: "words", x: end.x + (left ? -12 : 12), y: end.y - 5, "text-anchor": left ? "end" : "start" }, words);
}

// --- zoom and pan: the viewBox is the camera ---

function look(x, y, width, height) {
  whole.x = x;
  whole.y = y;
  whole.width = width;
  whole.height = height;
  distance();
}

// From afar the small print only makes the picture grey.
function distance() {
  const matrix = picture.getScreenCTM();
  picture.classList.toggle("far", Boolean(matrix) && matrix.a < 0.62);
}

function zoom(factor, center) {
  const width = Math.min(full.width * 3, Math.max(200, whole.width * factor));
  const scale = width / whole.width;
  const at = center || { x: whole.x + whole.width / 2, y: whole.y + whole.height / 2 };
  look(at.x - (at.x - whole.x) * scale, at.y - (at.y - whole.y) * scale, width, whole.height * scale);
}

function pan(dx, dy) {
  look(whole.x + dx, whole.y + dy, whole.width, whole.height);
}

function fit() {
  look(full.x, full.y, full.width, full.height);
}

function toPicture(event) {
  const matrix = picture.getScreenCTM();
  return { x: (event.clientX - matrix.e) / matrix.a, y: (event.clientY - matrix.f) / matrix.d };
}

// Brings a box into sight if it is not.
function reveal(box) {
  const inside = box.x >= whole.x && box.y >= whole.y && box.x + box.width <= whole.x + whole.width && box.y + box.height <= whole.y + whole.height;
  if (!inside) look(box.x + box.width / 2 - whole.width / 2, box.y + box.height / 2 - whole.height / 2, whole.width, whole.height);
}

// --- the pointer ---

// What lies under the pointer. Lines are thin: some pixels around count as well, the nearest first.
const AROUND = [[0, 0], ...[1.5, 3, 4.5, 6].flatMap((far) => [[0, -far], [0, far], [-far, 0], [far, 0]])];

function targetAt(event) {
  const direct = event.target.closest(".node, .group");
  if (direct && direct.classList.contains("node")) return { kind: "node", index: Number(direct.id.slice(1)) };
  for (const [dx, dy] of AROUND) {
    for (const element of document.elementsFromPoint(event.clientX + dx, event.clientY + dy)) {
      if (!picture.contains(element)) continue;
      if (element.dataset.edge) return { kind: "edge", index: Number(element.dataset.edge) };
      if (element.classList.contains("edge") && element.id) return { kind: "edge", index: Number(element.id.slice(1)) };
      const sign = element.closest(".sign");
      if (sign) return { kind: "edge", index: Number(sign.id.slice(1)) };
      const bundle = element.closest(".bundle");
      if (bundle) return { kind: "bundle", index: Number(bundle.id.slice(1)) };
    }
  }
  if (!direct) return null;
  const index = Number(direct.id.slice(1));
  const onHead = event.target.classList.contains("head");
  return onHead || !state.open[index] ? { kind: "group", index } : null;
}

function describe(target) {
  if (target.kind === "edge") return `${edgeTitle(edges[target.index])}\n${edgeWords(edges[target.index]) || "nothing"}`;
  const element = $({ node: "n", group: "g", bundle: "b" }[target.kind] + target.index);
  return element.querySelector("title") ? element.querySelector("title").textContent : element.dataset.title;
}

function showTooltip(event, words) {
  const tooltip = $("tooltip");
  tooltip.hidden = !words;
  if (!words) return;
  tooltip.textContent = words;
  const x = Math.min(event.clientX + 14, window.innerWidth - tooltip.offsetWidth - 8);
  const y = Math.min(event.clientY + 16, window.innerHeight - tooltip.offsetHeight - 8);
  tooltip.style.left = `${x}px`;
  tooltip.style.top = `${y}px`;
}

function hover(target) {
  // An open group is not lit by passing over it: lines would flicker under a pointer that is going to a box.
  const next = target && (target.kind !== "group" || !state.open[target.index]) ? target : null;
  if (next === hovered || (next && hovered && next.kind === hovered.kind && next.index === hovered.index)) return;
  hovered = next;
  highlight();
}

function listenToPointer() {
  let from = null;
  let moved = false;
  picture.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = toPicture(event);
    moved = false;
  });
  window.addEventListener("pointermove", (event) => {
    if (!from) return;
    const at = toPicture(event);
    const scale = picture.getScreenCTM().a;
    if (!moved && Math.hypot(at.x - from.x, at.y - from.y) * scale < 4) return;
    moved = true;
    picture.classList.add("dragged");
    showTooltip(event, "");
    pan(from.x - at.x, from.y - at.y);
  });
  window.addEventListener("pointerup", () => {
    from = null;
    picture.classList.remove("dragged");
  });
  picture.addEventListener("pointermove", (event) => {
    if (from && moved) return;
    const target = targetAt(event);
    picture.classList.toggle("pointing", target !== null);
    hover(target);
    showTooltip(event, target ? describe(target) : "");
  });
  picture.addEventListener("pointerleave", () => {
    hover(null);
    $("tooltip").hidden = true;
  });
  picture.addEventListener("click", (event) => {
    if (moved) return;
    const target = targetAt(event);
    if (target && target.kind === "group" && !state.open[target.index]) toggleGroup(target.index, true);
    select(target, false);
  });
  picture.addEventListener("wheel", (event) => {
    event.preventDefault();
    const scale = picture.getScreenCTM().a;
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(event.deltaY * 0.004), toPicture(event));
    else if (event.shiftKey) pan(event.deltaY / scale, 0);
    else pan(event.deltaX / scale, event.deltaY / scale);
  }, { passive: false });
}

// --- the keyboard ---

function partOf(element) {
  const index = Number(element.id.slice(1));
  return element.classList.contains("node") ? { kind: "node", index } : { kind: "group", index };
}

function placeOf(element) {
  const { kind, index } = partOf(element);
  if (kind === "node") return nodes[index];
  const { x, y, width, height } = groups[index];
  return { x, y, width, height: state.open[index] ? 34 : height };
}

function reachable() {
  return [...picture.querySelectorAll(".node, .group")].filter((element) => !element.closest(".hidden"));
}

// The nearest part in a direction; what lies aside counts as farther away.
function neighbour(element, dx, dy) {
  const here = placeOf(element);
  const cx = here.x + here.width / 2;
  const cy = here.y + here.height / 2;
  let best = null;
  let least = Infinity;
  for (const other of reachable()) {
    if (other === element) continue;
    const place = placeOf(other);
    const along = (place.x + place.width / 2 - cx) * dx + (place.y + place.height / 2 - cy) * dy;
    const aside = Math.abs((place.x + place.width / 2 - cx) * dy) + Math.abs((place.y + place.height / 2 - cy) * dx);
    if (along < 1) continue;
    const far = along + aside * 2.5;
    if (far < least) [best, least] = [other, far];
  }
  return best;
}

function moveStop(element) {
  stop = roving.set(stop, element);
  reveal(placeOf(element));
  element.focus({ preventScroll: true });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Not on the picture itself: an SVG element that listens to focus becomes a stop of the Tab key.
function listenToGraphKeys() {
  const frame = picture.parentElement;
  frame.addEventListener("focusin", (event) => {
    const element = event.target.closest(".node, .group");
    if (!element) return;
    stop = roving.set(stop, element);
    hovered = partOf(element);
    highlight();
  });
  frame.addEventListener("focusout", () => {
    hovered = null;
    highlight();
  });
  frame.addEventListener("keydown", (event) => {
    const element = event.target.closest(".node, .group");
    if (!element || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS && !event.shiftKey) {
      const next = neighbour(element, ...ARROWS[event.key]);
      if (next) moveStop(next);
    } else if (event.key === "Enter" || event.key === " ") {
      const target = partOf(element);
      if (target.kind === "group" && groups[target.index].kind === "namespace") {
        toggleGroup(target.index);
        select(target, false);
      } else select(target, true);
    } else return;
    event.preventDefault();
  });
}

function startGraph() {
  picture.setAttribute("role", "group");
  picture.removeAttribute("aria-labelledby");
  picture.setAttribute("aria-label", "Graph of allowed connections. Arrow keys move between boxes, Enter opens details.");
  for (const element of picture.querySelectorAll(".node, .group, .bundle")) {
    const title = element.querySelector("title");
    if (!element.classList.contains("bundle")) {
      element.setAttribute("role", "button");
      element.setAttribute("tabindex", "-1");
      element.setAttribute("aria-label", title.textContent);
    }
    // The page's own tooltip says it sooner than the browser's, and for lines as well.
    element.dataset.title = title.textContent;
    title.remove();
  }
  $("picture-title").remove();
  stop = roving.set(null, picture.querySelector(".node") || picture.querySelector(".group"));
  listenToPointer();
  listenToGraphKeys();
  new ResizeObserver(distance).observe(picture);
  $("closer").onclick = () => zoom(0.8);
  $("farther").onclick = () => zoom(1.25);
  $("fit").onclick = fit;
  $("fold").onclick = toggleAll;
  $("fold").hidden = !groups.some((group) => group.kind === "namespace");
  $("lines").addEventListener("change", (event) => {
    state.lines = event.target.value;
    $("said").hidden = true;
    refreshGraph();
  });
}
