// The details of what is selected: what may flow, why, and the policy that says so with its lines marked.

const MOST_LISTED = 250;
let panelOpener = null;

function showPanel() {
  const selected = state.selection;
  const panel = $("panel");
  panel.hidden = selected === null;
  root.classList.toggle("with-panel", selected !== null);
  if (selected === null) return;
  const parts = { node: nodePart, edge: edgePart, group: groupPart, bundle: bundlePart };
  const [title, ...content] = parts[selected.kind](selected.index);
  $("panel-title").textContent = title;
  $("panel-body").replaceChildren(...content.filter(Boolean));
  panel.scrollTop = 0;
  for (const listing of panel.querySelectorAll(".yaml")) {
    const mark = listing.querySelector(".marked");
    if (mark) listing.scrollTop = mark.offsetTop - listing.clientHeight / 3;
  }
}

function nodeButton(node) {
  return make("button.link", { type: "button", onclick: () => select({ kind: "node", index: node.index }, true) }, node.title);
}

function edgeButton(edge, other) {
  const change = changeName(edge);
  const chip = change === "same" ? null : make(`span.change.${change}`, { "aria-label": change }, changeSign(edge));
  return make("li", null,
    make("button.row", { type: "button", onclick: () => select({ kind: "edge", index: edge.index }, true) },
      make("span.row-name", null, chip || "", other === null ? edgeTitle(edge) : other.title),
      make("span.row-words", null, edgeWords(edge) || "nothing")));
}

function edgeList(heading, list, otherOf) {
  const shown = list.filter(edgeShown);
  // What changed first.
  shown.sort((one, two) => (two.change > 0) - (one.change > 0));
  const items = shown.slice(0, MOST_LISTED).map((edge) => edgeButton(edge, otherOf(edge)));
  if (shown.length > MOST_LISTED) items.push(make("li.more", null, `and ${shown.length - MOST_LISTED} more: see Connections`));
  const content = items.length ? make("ul.rows", null, ...items) : make("p.quiet", null, "None.");
  return make("section", null, make("h3", null, `${heading} `, make("small", null, String(shown.length))), content);
}

function nodePart(index) {
  const node = nodes[index];
  const facts = [node.small, node.guards, node.change && `${node.change} in the later input`].filter(Boolean);
  return [
    node.title,
    make("ul.facts", null, ...facts.map((fact) => make("li", null, fact))),
    node.cidrs.length > 1 || (node.cidrs.length && node.name !== node.cidrs[0])
      ? make("p.cidrs", null, node.cidrs.join(", ")) : null,
    edgeList("May reach", node.out, (edge) => nodes[edge.destination]),
    edgeList("May be reached by", node.into, (edge) => nodes[edge.source]),
  ];
}

function groupPart(index) {
  const group = groups[index];
  const members = group.members.map((member) => make("li", null,
    make("button.row", { type: "button", onclick: () => select({ kind: "node", index: member }, true) },
      make("span.row-name", null, nodes[member].name), make("span.row-words", null, nodes[member].small))));
  const toggle = group.kind !== "namespace" ? null : make("button", {
    type: "button", id: "toggle-group", onclick: () => { toggleGroup(index); $("toggle-group").focus(); },
  }, state.open[index] ? "Close this namespace" : "Open this namespace");
  return [
    group.kind === "namespace" ? `namespace ${group.label}` : group.label,
    toggle,
    bundleList("To", bundles.filter((one) => one.source === index), (one) => one.destination),
    bundleList("From", bundles.filter((one) => one.destination === index && one.source !== index), (one) => one.source),
    make("section", null, make("h3", null, "Members ", make("small", null, String(members.length))), make("ul.rows", null, ...members)),
  ];
}

function bundleList(heading, list, otherOf) {
  const items = list.map((one) => make("li", null,
    make("button.row", { type: "button", onclick: () => select({ kind: "bundle", index: one.index }, true) },
      make("span.row-name", null, otherOf(one) === one.source && one.source === one.destination ? "itself" : groups[otherOf(one)].label),
      make("span.row-words", null, counted(one.members.map((member) => edges[member]).filter(edgeShown).length, "connection")))));
  return items.length ? make("section", null, make("h3", null, heading), make("ul.rows", null, ...items)) : null;
}

function bundlePart(index) {
  const bundle = bundles[index];
  const title = `${groups[bundle.source].label} → ${groups[bundle.destination].label}`;
  return [title, edgeList("Connections", bundle.members.map((member) => edges[member]), () => null)];
}

function edgePart(index) {
  const edge = edges[index];
  const change = changeName(edge);
  const ends = make("p.ends", null, nodeButton(nodes[edge.source]), " → ", nodeButton(nodes[edge.destination]));
  const flow = data.comparison
    ? make("dl.flow", null,
      make("dt", null, "Before"), make("dd", null, edge.before || "nothing"),
      make("dt", null, "After"), make("dd", null, edge.words || "nothing"))
    : make("p.flow", null, edge.words);
  return [
    "Connection",
    ends,
    change === "same" ? null : make("p", null, make(`span.change.${change}`, null, `${changeSign(edge)} ${change}`)),
    flow,
    reason("Why it may leave", edge.leave, edge.egress),
    reason("Why it may enter", edge.enter, edge.ingress),
  ];
}

function reason(heading, words, numbers) {
  const byPolicy = new Map();
  for (const number of numbers) {
    const rule = rules[number];
    if (!byPolicy.has(rule.policy)) byPolicy.set(rule.policy, []);
    byPolicy.get(rule.policy).push(rule);
  }
  const figures = [...byPolicy].map(([policy, list]) => excerpt(policy, list));
  return make("section.reason", null, make("h3", null, heading), make("p", null, words || "No reason is known."), ...figures);
}

// The policy's own lines, copied from the document, with those of the rules marked.
function excerpt(policy, list) {
  const places = list.map((rule) => make("a", { href: rule.first ? `#p${policy}l${rule.line}` : `#p${policy}` },
    rule.title + (rule.line ? `, line ${rule.line}` : "")));
  const caption = make("figcaption", null, make("b", null, policies[policy].title), " ", make("i", null, policies[policy].file));
  for (const place of places) caption.append(make("span.place", null, place));
  const listing = $(`p${policy}`).querySelector("ol").cloneNode(true);
  listing.tabIndex = 0;
  listing.setAttribute("role", "group");
  listing.setAttribute("aria-label", `Text of ${policies[policy].title}`);
  for (const line of listing.children) {
    const number = Number(line.id.split("l")[1]);
    line.removeAttribute("id");
    if (list.some((rule) => rule.first && rule.first <= number && number <= rule.last)) {
      line.classList.add("marked");
      if (list.some((rule) => rule.line === number)) line.setAttribute("aria-current", "true");
    }
  }
  return make("figure", null, caption, listing);
}

// Selects, and shows what was selected. `move`: the keyboard follows into the details, and Escape leads back.
function select(selection, move) {
  const panel = $("panel");
  if (move && !panel.contains(document.activeElement)) panelOpener = document.activeElement;
  state.selection = selection;
  showPanel();
  highlight();
  if (selection === null) {
    remember(`#${state.view}`);
    return;
  }
  if (selection.kind === "edge" || selection.kind === "node") {
    remember(`#${selection.kind}-${selection.index}`);
  }
  if (move) $("panel-title").focus({ preventScroll: true });
}

function closePanel() {
  const back = panelOpener;
  const inside = $("panel").contains(document.activeElement);
  select(null, false);
  panelOpener = null;
  if (inside && back && back.isConnected) back.focus({ preventScroll: true });
}
