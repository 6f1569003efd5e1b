// The matrix: a row for every source, a column for every destination. Of a large one only the cells in sight exist;
// the rest is room, so that ninety thousand cells scroll like ninety.

const CELL = 24;
const HEAD = 248;
const MARGIN_CELLS = 6;
const matrix = { rows: [], columns: [], at: { row: 0, column: 0 }, range: null };
const cellOf = new Map(edges.map((edge) => [edge.source * nodes.length + edge.destination, edge]));

// Controllers first, namespaces by name, the outside last.
function axis(wanted) {
  const order = { ingress: 0, namespace: 1, outside: 2 };
  const key = (node) => [order[groups[node.group].kind], groups[node.group].label, node.title];
  return nodes.filter(wanted).sort((one, two) => {
    const [a, b] = [key(one), key(two)];
    for (let place = 0; place < a.length; place += 1) {
      if (a[place] !== b[place]) return a[place] < b[place] ? -1 : 1;
    }
    return one.index - two.index;
  });
}

// With a search, rows and columns are what was found and what that is connected to.
function refreshMatrix() {
  const relevant = (list) => list.some((edge) => edgeShown(edge) && edgeFound(edge));
  const wanted = (node, list) => nodeShown(node) && (state.found === null || state.found.named.has(node.index) || relevant(list));
  matrix.rows = axis((node) => wanted(node, node.out) && (node.outside !== 1 || node.out.length > 0));
  matrix.columns = axis((node) => wanted(node, node.into) && (node.outside !== 2 || node.into.length > 0));
  matrix.at = {
    row: Math.min(matrix.at.row, Math.max(0, matrix.rows.length - 1)),
    column: Math.min(matrix.at.column, Math.max(0, matrix.columns.length - 1)),
  };
  matrix.range = null;
  if (state.view === "matrix") drawMatrix();
}

function sight() {
  const grid = $("grid");
  const first = (scroll) => Math.max(0, Math.floor(scroll / CELL) - MARGIN_CELLS);
  const count = (room) => Math.ceil(room / CELL) + 2 * MARGIN_CELLS;
  const top = first(grid.scrollTop);
  const left = first(grid.scrollLeft);
  return {
    top, left,
    bottom: Math.min(matrix.rows.length, top + count(grid.clientHeight || 600)),
    right: Math.min(matrix.columns.length, left + count(grid.clientWidth || 900)),
  };
}

function drawMatrix() {
  const range = sight();
  const had = matrix.range;
  if (had && had.top === range.top && had.left === range.left && had.bottom === range.bottom && had.right === range.right) return;
  matrix.range = range;
  const focused = $("grid").contains(document.activeElement) && document.activeElement.matches("td");
  const table = make("table.matrix", {
    role: "grid", "aria-label": "Matrix of allowed connections, from rows to columns",
    "aria-rowcount": matrix.rows.length + 1, "aria-colcount": matrix.columns.length + 1,
  });
  table.append(make("caption.unseen", null, "Rows are sources, columns are destinations. Arrow keys move, Enter opens details."));
  table.append(columnWidths(range), headRow(range));
  const body = make("tbody");
  body.append(spacer(range.top, range));
  for (let row = range.top; row < range.bottom; row += 1) body.append(bodyRow(row, range));
  body.append(spacer(matrix.rows.length - range.bottom, range));
  table.append(body);
  const size = `${matrix.rows.length} sources × ${matrix.columns.length} destinations`;
  const grid = $("grid");
  const old = grid.querySelector("table");
  if (old) old.replaceWith(table);
  else grid.replaceChildren(table);
  grid.setAttribute("aria-description", size);
  if (focused) focusCell(false);
}

function columnWidths(range) {
  const columns = make("colgroup");
  const add = (width) => {
    const column = make("col");
    column.style.width = `${width}px`;
    columns.append(column);
  };
  add(HEAD);
  add(range.left * CELL);
  for (let column = range.left; column < range.right; column += 1) add(CELL);
  add(Math.max(0, matrix.columns.length - range.right) * CELL);
  return columns;
}

function gap() {
  return make("td.gap", { role: "presentation" });
}

function spacer(rows, range) {
  const row = make("tr", { role: "presentation" });
  const cell = gap();
  cell.colSpan = range.right - range.left + 3;
  cell.style.height = `${rows * CELL}px`;
  row.append(cell);
  row.hidden = rows === 0;
  return row;
}

// The first of a namespace carries a line before it.
function starts(list, place) {
  return place > 0 && list[place].group !== list[place - 1].group ? "begins" : "";
}

function headRow(range) {
  const row = make("tr", { "aria-rowindex": 1 });
  row.append(make("th.corner", { scope: "col", "aria-colindex": 1 },
    make("span", null, "to →"), make("span", null, "from ↓"), make("small", null, `${matrix.rows.length} × ${matrix.columns.length}`)), gap());
  for (let column = range.left; column < range.right; column += 1) {
    const node = matrix.columns[column];
    const head = make("th", { scope: "col", "aria-colindex": column + 2, title: node.title, className: starts(matrix.columns, column) },
      make("span", null, ...axisName(node)));
    row.append(head);
  }
  row.append(gap());
  return make("thead", null, row);
}

function axisName(node) {
  const space = `${groups[node.group].label}/`;
  const name = shortened(node.title.startsWith(space) ? node.title.slice(space.length) : node.title, 20);
  return node.outside ? [name] : [make("i", null, shortened(space, Math.max(9, 29 - name.length))), name];
}

function bodyRow(index, range) {
  const node = matrix.rows[index];
  const row = make("tr", { "aria-rowindex": index + 2, className: starts(matrix.rows, index) });
  row.append(make("th", { scope: "row", "aria-colindex": 1, title: node.title }, ...axisName(node)), gap());
  for (let column = range.left; column < range.right; column += 1) row.append(cell(index, column));
  row.append(gap());
  return row;
}

function cell(row, column) {
  const [from, to] = [matrix.rows[row], matrix.columns[column]];
  const here = row === matrix.at.row && column === matrix.at.column;
  const found = cellOf.get(from.index * nodes.length + to.index);
  const edge = found && edgeShown(found) ? found : null;
  const kind = edge ? cellKind(edge) : from === to ? "self" : "none";
  const flow = edge ? edgeWords(edge) : from === to ? "itself" : "nothing";
  const change = edge && data.comparison && edge.change ? `${changeName(edge)}: ` : "";
  const element = make(`td.${kind}`, {
    role: "gridcell", tabIndex: here ? 0 : -1, "aria-colindex": column + 2,
    "aria-label": `${from.title} → ${to.title}: ${change}${flow}`,
  });
  if (starts(matrix.columns, column)) element.classList.add("begins");
  const marked = edge && data.comparison && state.side === "changes" && edge.change > 0;
  if (marked) {
    element.classList.add(changeName(edge));
    element.textContent = changeSign(edge);
  } else if (edge) element.append(make("i"));
  element.dataset.row = row;
  element.dataset.column = column;
  return element;
}

function cellKind(edge) {
  return edgeWords(edge) === "every port" ? "all" : "some";
}

function focusCell(scroll) {
  const { row, column } = matrix.at;
  const grid = $("grid");
  if (scroll) {
    const head = grid.querySelector("thead").offsetHeight;
    const [top, left] = [row * CELL, column * CELL];
    if (top < grid.scrollTop) grid.scrollTop = top;
    if (top + CELL + head > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + CELL + head - grid.clientHeight;
    if (left < grid.scrollLeft) grid.scrollLeft = left;
    if (left + CELL + HEAD > grid.scrollLeft + grid.clientWidth) grid.scrollLeft = left + CELL + HEAD - grid.clientWidth;
    drawMatrix();
  }
  const previous = grid.querySelector("td[tabindex='0']");
  const next = grid.querySelector(`td[data-row='${row}'][data-column='${column}']`);
  roving.set(previous, next);
  if (next) next.focus({ preventScroll: true });
}

function moveInMatrix(event) {
  const last = { row: matrix.rows.length - 1, column: matrix.columns.length - 1 };
  const page = Math.max(1, Math.floor($("grid").clientHeight / CELL) - 8);
  const { row, column } = matrix.at;
  const moves = {
    ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
    PageUp: [row - page, column], PageDown: [row + page, column],
    Home: [event.ctrlKey ? 0 : row, 0], End: [event.ctrlKey ? last.row : row, last.column],
  };
  if (!(event.key in moves)) return false;
  const [newRow, newColumn] = moves[event.key];
  matrix.at = { row: Math.min(last.row, Math.max(0, newRow)), column: Math.min(last.column, Math.max(0, newColumn)) };
  focusCell(true);
  return true;
}

function openCell(element, move) {
  const [row, column] = [Number(element.dataset.row), Number(element.dataset.column)];
  matrix.at = { row, column };
  const edge = cellOf.get(matrix.rows[row].index * nodes.length + matrix.columns[column].index);
  if (edge && edgeShown(edge)) select({ kind: "edge", index: edge.index }, move);
}

function startMatrix() {
  const grid = $("grid");
  let waiting = false;
  grid.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      drawMatrix();
    });
  });
  window.addEventListener("resize", () => state.view === "matrix" && drawMatrix());
  grid.addEventListener("keydown", (event) => {
    if (!event.target.matches("td") || event.altKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") openCell(event.target, true);
    else if (!moveInMatrix(event)) return;
    event.preventDefault();
  });
  grid.addEventListener("click", (event) => {
    const element = event.target.closest("td[data-row]");
    if (!element) return;
    openCell(element, false);
    focusCell(false);
  });
  grid.addEventListener("pointermove", (event) => {
    const element = event.target.closest("td[data-row]");
    showTooltip(event, element ? element.getAttribute("aria-label") : "");
  });
  grid.addEventListener("pointerleave", () => { $("tooltip").hidden = true; });
}
