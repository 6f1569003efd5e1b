"""One self-contained page: the graph, a matrix, the connections, the policies.

Written so that it is a complete document before any script runs: picture, tables and policies are there, and every
reason is a link to the line that gives it. The script then makes an application of it: one view at a time, search,
details, the matrix. The page loads nothing and sends nothing; it can be mailed, kept with a review, or opened from a
stick in a room without a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.report.page_assets import boot, content_policy, script, style
from outgate.report.page_bundles import Opening, bundles, opening
from outgate.report.page_data import Page
from outgate.report.page_layout import layout
from outgate.report.page_markup import element, escape
from outgate.report.page_payload import payload
from outgate.report.page_policies import policy_list
from outgate.report.page_svg import graph_svg
from outgate.report.page_tables import connection_table, workload_table
from outgate.report.page_words import CHANGES

__all__ = ["page"]

VIEWS = (
    ("graph", "Graph"),
    ("matrix", "Matrix"),
    ("connections", "Connections"),
    ("workloads", "Workloads"),
    ("policies", "Policies"),
)
SIDES = (("before", "Before"), ("after", "After"), ("changes", "Changes"))
LINES = (("each", "every connection"), ("bundles", "by namespace"), ("selection", "of the selection"))

SHORTCUTS = (
    ("/", "search"),
    ("g m c w p", "graph, matrix, connections, workloads, policies"),
    ("Arrow keys", "move between boxes, cells, rows and results"),
    ("Enter", "open what is focused: details, or a namespace"),
    ("Escape", "close details, search or this list; give up the selection"),
    ("+ − 0", "zoom in, zoom out, fit"),
    ("Shift + arrow keys", "move the picture"),
    ("o", "open or close all namespaces"),
    ("b a d", "before, after, differences (in a comparison)"),
    ("t", "light, dark, as the system"),
    ("?", "this list"),
)

_BOX = '<rect class="swatch" x="2" y="1" width="30" height="16" rx="4"/>'
_CELL = '<span class="sample {}"></span>'


def page(data: Page) -> str:
    """The whole HTML document."""
    places = layout(data)
    gathered = bundles(data, places.group_of())
    first = opening(data, gathered)
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=content_policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="generator", content="outgate"),
        element("title", escape(f"{data.title} · Outgate")),
        element("style", style()),
        element("script", boot()),
    ]
    picture = graph_svg(data, places, gathered, first)
    body = [
        element("a", "Skip to the connections", href="#connections", class_="skip"),
        _header(data),
        element("main", "".join(_views(data, picture, first)) + _panel(), id="main"),
        _shortcuts(),
        element("div", "", id="tooltip", hidden=True, role="tooltip"),
        element("div", "", id="status", class_="unseen", role="status", aria_live="polite"),
        element("script", payload(data, places, gathered), id="data", type="application/json"),
        element("script", script()),
    ]
    side = "changes" if data.comparison else None
    inner = element("head", "\n".join(head)) + "\n" + element("body", "\n".join(body))
    return "<!doctype html>\n" + element("html", inner, lang="en", data_side=side) + "\n"


def _header(data: Page) -> str:
    sources = ", ".join(data.generated_from)
    title = element("h1", escape(data.title))
    subtitle = element("p", escape(data.subtitle), class_="subtitle", title=data.subtitle)
    origin = element("p", "from " + escape(sources), class_="origin", title=sources) if sources else ""
    tabs = "".join(element("a", words, href=f"#{name}", id=f"tab-{name}", data_view=name) for name, words in VIEWS)
    parts = [
        element("div", title + subtitle + origin, class_="titles"),
        element("nav", tabs, class_="tabs", aria_label="Views"),
        element("div", _tools(data), class_="tools scripted"),
    ]
    return element("header", "".join(parts), class_="bar")


def _tools(data: Page) -> str:
    """What only works with the script; hidden without it."""
    box = element(
        "input",
        id="search",
        type="search",
        placeholder="Search names, ports",
        aria_label="Search workloads, namespaces and ports",
        role="combobox",
        aria_expanded="false",
        aria_controls="results",
        aria_autocomplete="list",
        autocomplete="off",
        spellcheck="false",
    )
    results = element("ul", "", id="results", role="listbox", aria_label="Search results", hidden=True)
    parts = [element("div", box + element("kbd", "/") + results, class_="finder")]
    if data.comparison:
        parts.append(_choice("side", "What to show", SIDES, "changes"))
    parts.append(_button("filter", "Namespaces", aria_expanded="false", aria_controls="namespaces"))
    parts.append(
        element("div", "", id="namespaces", class_="popover", role="group", aria_label="Namespaces", hidden=True)
    )
    parts.append(_button("theme", "◐ system", aria_label="Theme: system"))
    parts.append(_button("help", "?", aria_label="Keyboard shortcuts", class_="round"))
    return "".join(parts)


def _choice(name: str, label: str, options: tuple[tuple[str, str], ...], chosen: str) -> str:
    """A switch of a few positions: native radio buttons, so that arrow keys and screen readers know it."""
    items = "".join(
        element(
            "label",
            element("input", type="radio", name=name, value=value, checked=value == chosen) + element("span", words),
        )
        for value, words in options
    )
    return element("fieldset", element("legend", label, class_="unseen") + items, class_="switch", id=name)


def _button(name: str, words: str, **attributes: str) -> str:
    return element("button", escape(words), id=name, type="button", **attributes)


def _views(data: Page, picture: str, first: Opening) -> Iterator[str]:
    notes = "".join(element("li", escape(note)) for note in data.notes)
    if notes:
        more = element("summary", f"Notes ({len(data.notes)})")
        yield element("details", more + element("ul", notes), class_="notes", open=True, id="notes")
    yield _view("graph", "Graph", _stage(data, picture, first))
    hint = element("p", "The matrix is drawn by a script; the table of connections below says the same.")
    cells = ((_CELL.format("all"), "every port"), (_CELL.format("some"), "some ports"))
    key = element("div", _key(cells), class_="footer scripted")
    yield _view("matrix", "Matrix", element("div", hint, id="grid", class_="grid") + key)
    yield _view("connections", "Connections", connection_table(data))
    yield _view("workloads", "Workloads", workload_table(data))
    yield _view("policies", "Policies", policy_list(data))


def _view(name: str, words: str, content: str) -> str:
    head = element("h2", words, id=f"{name}-title")
    return element("section", head + content, id=name, class_="view", aria_labelledby=f"{name}-title")


def _stage(data: Page, picture: str, first: Opening) -> str:
    zoom = (
        _button("closer", "+", aria_label="Zoom in")
        + _button("farther", "−", aria_label="Zoom out")
        + _button("fit", "Fit", aria_label="Fit the picture")
    )
    tools = [
        _choice("lines", "Lines", LINES, first.lines),
        _button("fold", "Open all" if first.closed else "Close all"),
        element("div", zoom, class_="zoom", role="group", aria_label="Zoom"),
    ]
    parts = [
        element("p", escape(first.words), class_="said", id="said", hidden=not first.words),
        element("div", picture, class_="frame"),
        element("div", _legend(data) + element("div", "".join(tools), class_="stage-tools scripted"), class_="footer"),
    ]
    return element("div", "".join(parts), class_="stage")


def _legend(data: Page) -> str:
    """What signs mean. Pieces of the picture itself, so that they cannot differ from it."""
    items = [
        (_swatch(_BOX + '<path class="guard" d="M6 6V12"/>'), "policies guard ingress"),
        (_swatch(_BOX + '<path class="guard" d="M28 6V12"/>'), "policies guard egress"),
    ]
    if data.comparison:
        for change, sign in CHANGES.items():
            line = f'<path class="edge {change}" d="M2 9H32"/>'
            disc = f'<g class="sign {change}"><circle cx="17" cy="9" r="8"/><text x="17" y="13">{sign}</text></g>'
            items.append((_swatch(line + disc), change))
    return _key(items)


def _key(items: Iterable[tuple[str, str]]) -> str:
    return element("ul", "".join(element("li", drawn + escape(words)) for drawn, words in items), class_="legend")


def _swatch(content: str) -> str:
    return element("svg", content, width=34, height=18, viewBox="0 0 34 18", aria_hidden="true")


def _panel() -> str:
    close = _button("close", "×", aria_label="Close details", class_="round")
    head = element("div", element("h2", "Details", id="panel-title", tabindex=-1) + close, class_="panel-head")
    body = element("div", "", id="panel-body")
    return element("aside", head + body, id="panel", hidden=True, aria_labelledby="panel-title")


def _shortcuts() -> str:
    rows = "".join(
        element(
            "tr",
            element("th", " ".join(element("kbd", one) for one in _keys(keys)), scope="row") + element("td", words),
        )
        for keys, words in SHORTCUTS
    )
    close = _button("close-help", "Close")
    table = element("table", element("tbody", rows))
    title = element("h2", "Keyboard shortcuts", id="help-title")
    return element("dialog", title + table + close, id="shortcuts", aria_labelledby="help-title")


def _keys(keys: str) -> list[str]:
    return [keys] if "Arrow" in keys or "arrow" in keys else keys.split(" ")
