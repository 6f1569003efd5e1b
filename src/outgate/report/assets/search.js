// Search, the filter of namespaces, and the tables, which both of them thin out.

const MOST_RESULTS = 9;
let chosen = -1; // the result that the arrow keys stand on

function haystack(node) {
  return `${node.title} ${node.kind} ${node.small} ${node.cidrs.join(" ")} ${node.guards}`.toLowerCase();
}

const haystacks = nodes.map(haystack);

// Every word must be found: in a node's names, or in the ports of a connection ("443", "udp 53").
function find(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return null;
  const holds = (hay) => words.every((word) => hay.includes(word));
  const named = new Set(nodes.filter((node) => holds(haystacks[node.index])).map((node) => node.index));
  const found = { nodes: new Set(named), named, edges: new Set() };
  for (const edge of edges) {
    if (named.has(edge.source) || named.has(edge.destination)) found.edges.add(edge.index);
    else if (holds(`${edge.words} ${edge.before} ${data.comparison ? changeName(edge) : ""}`.toLowerCase())) {
      found.edges.add(edge.index);
      found.nodes.add(edge.source).add(edge.destination);
    }
  }
  return found;
}

function search(query) {
  state.found = find(query);
  refreshAll();
  showResults(query);
}

function showResults(query) {
  const list = $("results");
  const found = state.found === null ? [] : [...state.found.named].map((index) => nodes[index]).filter(nodeShown);
  const low = query.trim().toLowerCase();
  const rank = (node) => (node.name.toLowerCase().startsWith(low) ? 0 : node.name.toLowerCase().includes(low) ? 1 : 2);
  found.sort((one, two) => rank(one) - rank(two) || one.index - two.index);
  const items = found.slice(0, MOST_RESULTS).map((node, place) => make("li", {
    role: "option", id: `result-${place}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); choose(node); },
  }, make("b", null, node.title), make("small", null, node.small)));
  list.replaceChildren(...items);
  list.results = found.slice(0, MOST_RESULTS);
  list.hidden = items.length === 0;
  $("search").setAttribute("aria-expanded", String(items.length > 0));
  stand(items.length ? 0 : -1);
  if (state.found !== null) {
    say(`${counted(state.found.named.size, "workload")} and ${counted(state.found.edges.size, "connection")} found`);
  }
}

function stand(place) {
  const list = $("results");
  for (const item of list.children) item.setAttribute("aria-selected", "false");
  chosen = place;
  const item = list.children[place];
  if (item) item.setAttribute("aria-selected", "true");
  $("search").setAttribute("aria-activedescendant", item ? item.id : "");
}

function choose(node) {
  hideResults();
  if (!state.open[node.group]) toggleGroup(node.group, true);
  reveal(node);
  select({ kind: "node", index: node.index }, true);
}

function hideResults() {
  $("results").hidden = true;
  $("search").setAttribute("aria-expanded", "false");
  $("search").setAttribute("aria-activedescendant", "");
}

function searchKey(event) {
  const list = $("results");
  const count = list.hidden ? 0 : list.children.length;
  if (event.key === "ArrowDown" && count) stand((chosen + 1) % count);
  else if (event.key === "ArrowUp" && count) stand((chosen + count - 1) % count);
  else if (event.key === "Enter" && count && chosen >= 0) choose(list.results[chosen]);
  else if (event.key === "Escape") {
    if (!list.hidden) hideResults();
    else if (event.target.value) {
      event.target.value = "";
      search("");
    } else event.target.blur();
    event.stopPropagation();
  } else return;
  event.preventDefault();
}

// --- the filter ---

function startFilter() {
  const popover = $("namespaces");
  const boxes = groups.map((group) => make("input", { type: "checkbox", checked: true, onchange: (event) => {
    if (event.target.checked) state.off.delete(group.index);
    else state.off.add(group.index);
    filterChanged();
  } }));
  const all = (on) => () => {
    groups.forEach((group, index) => {
      boxes[index].checked = on;
      if (on) state.off.delete(index);
      else state.off.add(index);
    });
    filterChanged();
  };
  popover.append(make("div.pair", null,
    make("button", { type: "button", onclick: all(true) }, "All"), make("button", { type: "button", onclick: all(false) }, "None")));
  const ordered = [...groups].sort((one, two) => (one.label < two.label ? -1 : 1));
  for (const group of ordered) {
    popover.append(make("label", null, boxes[group.index], make("span", null, group.label), make("small", null, String(group.members.length))));
  }
  $("filter").onclick = () => showFilter(popover.hidden);
  document.addEventListener("pointerdown", (event) => {
    if (!popover.hidden && !popover.contains(event.target) && event.target !== $("filter")) showFilter(false);
  });
}

function showFilter(open) {
  const popover = $("namespaces");
  const inside = popover.contains(document.activeElement);
  popover.hidden = !open;
  $("filter").setAttribute("aria-expanded", String(open));
  if (open) popover.querySelector("button").focus();
  else if (inside) $("filter").focus();
}

function filterChanged() {
  const shown = groups.length - state.off.size;
  $("filter").textContent = state.off.size ? `Namespaces: ${shown} of ${groups.length}` : "Namespaces";
  refreshAll();
}

// --- the tables: each is one Tab stop, and arrow keys move between what can be pressed ---

const connectionItems = { kind: "edge", list: [...document.querySelectorAll("#connections td.to b")], stop: null };
const workloadItems = { kind: "node", list: [...document.querySelectorAll("#workloads th b")], stop: null };
const itemIndex = (item) => Number(item.id.slice(1));

function refreshTables() {
  for (const item of workloadItems.list) {
    const node = nodes[itemIndex(item)];
    item.closest("tr").hidden = !nodeShown(node) || (state.found !== null && !state.found.nodes.has(node.index));
  }
  for (const item of connectionItems.list) {
    const edge = edges[itemIndex(item)];
    item.classList.toggle("faint", !(edgeShown(edge) && edgeFound(edge)));
  }
  let total = 0;
  for (const body of document.querySelectorAll("#connections tbody")) {
    let mine = 0;
    for (const row of body.querySelectorAll("tr")) {
      const items = row.querySelectorAll("td.to b");
      if (!items.length) continue;
      const shown = [...items].filter((item) => !item.classList.contains("faint")).length;
      const unchanged = data.comparison && state.side === "changes" && !row.className;
      row.hidden = shown === 0 || unchanged;
      mine += row.hidden ? 0 : shown;
    }
    body.hidden = mine === 0;
    body.querySelector("th i").textContent = counted(mine, "connection");
    total += mine;
  }
  const caption = document.querySelector("#connections caption");
  const changed = data.comparison && state.side === "changes" ? " that changed" : "";
  if (caption) caption.textContent = `${counted(total, "connection")}${changed}, by source`;
}

function firstItem(items) {
  return items.stop && items.stop.offsetParent ? items.stop : items.list.find((item) => item.offsetParent);
}

function openItem(items, item, move) {
  items.stop = roving.set(items.stop, item);
  select({ kind: items.kind, index: itemIndex(item) }, move);
}

function nextItem(items, item, step) {
  let place = items.list.indexOf(item) + step;
  while (items.list[place] && items.list[place].offsetParent === null) place += step;
  if (!items.list[place]) return;
  items.stop = roving.set(items.stop, items.list[place]);
  items.stop.focus();
}

function listenToItems(section, items) {
  for (const item of items.list) {
    item.setAttribute("role", "button");
    item.setAttribute("tabindex", "-1");
  }
  items.stop = roving.set(null, items.list[0]);
  section.addEventListener("click", (event) => {
    const item = event.target.closest("b[role='button']");
    if (item) openItem(items, item, false);
  });
  section.addEventListener("keydown", (event) => {
    if (!event.target.matches("b[role='button']") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") openItem(items, event.target, true);
    else if (event.key === "ArrowDown" || event.key === "ArrowRight") nextItem(items, event.target, 1);
    else if (event.key === "ArrowUp" || event.key === "ArrowLeft") nextItem(items, event.target, -1);
    else return;
    event.preventDefault();
  });
}

function startTables() {
  listenToItems($("connections"), connectionItems);
  listenToItems($("workloads"), workloadItems);
}

function startSearch() {
  const box = $("search");
  box.addEventListener("input", () => search(box.value));
  box.addEventListener("keydown", searchKey);
  box.addEventListener("blur", hideResults);
}
