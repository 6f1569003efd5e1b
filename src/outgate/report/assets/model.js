// The data of the page, and the few tools that everything below is made with. Elements are made by name and filled
// with text; nowhere is markup made of text.

const root = document.documentElement;
const $ = (id) => document.getElementById(id);

const data = JSON.parse($("data").textContent);
const text = (index) => data.strings[index];

const nodes = data.nodes.map((one, index) => {
  const [outside, kind, title, name, small, guards, cidrs, change, x, y, width, height, group] = one;
  return { index, outside, kind, title, name, small, guards, cidrs, change, x, y, width, height, group, out: [], into: [] };
});
const groups = data.groups.map(([kind, label, x, y, width, height, members], index) => ({
  index, kind, label: label || "no namespace", x, y, width, height, members,
}));
const edges = data.edges.map((one, index) => {
  const [source, destination, words, before, change, egress, ingress, leave, enter] = one;
  const edge = {
    index, source, destination, change, egress, ingress,
    words: text(words), before: text(before), leave: text(leave), enter: text(enter),
  };
  nodes[source].out.push(edge);
  nodes[destination].into.push(edge);
  return edge;
});
const bundles = data.bundles.map(([source, destination, members], index) => ({ index, source, destination, members }));
const rules = data.rules.map(([policy, title, line, first, last]) => ({ policy, title, line, first, last }));
const policies = data.policies.map(([title, file, line]) => ({ title, file, line }));

const OPENED = data.changes.indexOf("opened");
const CLOSED = data.changes.indexOf("closed");
const changeName = (edge) => data.changes[edge.change];
const changeSign = (edge) => data.signs[edge.change];

// What the reader has chosen. `selection` is {kind: "node" | "edge" | "group" | "bundle", index} or null; `found` is
// null without a search, else what it found.
const state = {
  view: "graph",
  side: root.dataset.side || "",
  lines: $("picture").dataset.lines,
  selection: null,
  found: null,
  off: new Set(),
  open: groups.map((group) => !$(`g${group.index}`).classList.contains("closed")),
};

// An edge that exists on the side that is shown, between namespaces that are.
function edgeShown(edge) {
  if (state.off.has(nodes[edge.source].group) || state.off.has(nodes[edge.destination].group)) return false;
  if (state.side === "before") return edge.change !== OPENED;
  if (state.side === "after") return edge.change !== CLOSED;
  return true;
}

function edgeFound(edge) {
  return state.found === null || state.found.edges.has(edge.index);
}

function nodeShown(node) {
  if (state.off.has(node.group)) return false;
  if (state.side === "before") return node.change !== "added";
  if (state.side === "after") return node.change !== "removed";
  return true;
}

// What flows on the side that is shown, before and after where both are; one after another, or as `join` has it.
function edgeWords(edge, form = (words) => words, join = (before, after) => `${before} ⟶ ${after}`) {
  if (!data.comparison || state.side === "after") return form(edge.words);
  if (state.side === "before") return form(edge.before);
  if (changeName(edge) === "opened") return form(edge.words);
  if (changeName(edge) === "closed") return form(edge.before);
  return changeName(edge) === "same" ? form(edge.words) : join(form(edge.before), form(edge.words));
}

// The same on a line of the picture: the ports, and that something is asked of them. What it is has no room there.
function edgePorts(edge) {
  const ports = (words) => words.split(" (")[0] + (words.includes(" (") ? " on conditions" : "");
  const both = (before, after) => (before === after ? after.replace(/ on conditions$/, " on other conditions") : `${before} ⟶ ${after}`);
  return edgeWords(edge, ports, both);
}

function edgeTitle(edge) {
  return `${nodes[edge.source].title} → ${nodes[edge.destination].title}`;
}

function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

// The middle is left out: names differ at both ends.
function shortened(words, room) {
  const tail = Math.floor((room - 1) / 3);
  return words.length > room ? `${words.slice(0, room - 1 - tail)}…${words.slice(words.length - tail)}` : words;
}

// make("button.link", {onclick}, "text", child): an element with classes, properties and children.
function make(description, properties, ...children) {
  const [tag, ...classes] = description.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties || {})) {
    if (key.includes("-") || key === "role" || key === "scope") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function draw(tag, attributes, words) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (words) element.textContent = words;
  return element;
}

function say(words) {
  $("status").textContent = words;
}

// The address says what is shown, so that it can be sent. Where a page may not change its address, it does not.
function remember(hash) {
  try {
    history.replaceState(null, "", hash);
  } catch {
    say("");
  }
}

function isTyping(target) {
  return target instanceof HTMLInputElement && target.type === "search";
}

// One Tab stop for many things: arrow keys move it.
const roving = {
  set(previous, next) {
    if (previous) previous.setAttribute("tabindex", "-1");
    if (next) next.setAttribute("tabindex", "0");
    return next;
  },
};
