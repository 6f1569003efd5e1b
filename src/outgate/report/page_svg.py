"""The picture as inline SVG: complete without scripts, and named so that the script can find every part.

`g3` is a group, `m3` the members of it, `n12` a node, `b4` a bundle, `e77` a connection. Containers lie at the bottom,
lines over them, boxes on top. No colour is written here: classes say what a thing is, and the style sheet how that
looks in light, in dark and on paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from outgate.report.page_bundles import Bundle, Opening
from outgate.report.page_data import EXTERNAL, INGRESS_CONTROLLER, Page, PageNode
from outgate.report.page_layout import Box, Group, Layout
from outgate.report.page_markup import element, escape, start
from outgate.report.page_routes import Route, bundle_routes, edge_routes
from outgate.report.page_words import (
    CHANGES,
    count,
    edge_change,
    isolation_words,
    node_name,
    node_small,
    node_title,
    short,
)

__all__ = ["graph_svg"]

NAME_ROOM, SMALL_ROOM, BRIEF, MEDIUM = 19, 24, 13, 17
"""Characters that fit into a box; and of names that are written larger when seen from afar."""
_MARKS = ("same", "bundle", "lit", *CHANGES)


def graph_svg(page: Page, places: Layout, gathered: Sequence[Bundle], first: Opening) -> str:
    """The `<svg>` element."""
    parts = [
        element("title", escape(f"Allowed connections: {page.subtitle}"), id="picture-title"),
        element("defs", "".join(_marker(name) for name in _MARKS)),
        element("g", "".join(_groups(places, gathered, first)), id="groups"),
        element("g", "".join(_bundles(places, gathered, first)), id="bundles"),
        element("g", "".join(_edges(page, places, first)), id="edges"),
        element("g", "", id="overlay"),
        element("g", "".join(_members(page, places, first)), id="nodes"),
        element("g", "", id="labels"),
    ]
    return element(
        "svg",
        "".join(parts),
        id="picture",
        viewBox=f"0 0 {places.width} {places.height}",
        role="img",
        aria_labelledby="picture-title",
        data_lines=first.lines,
    )


def _marker(name: str) -> str:
    tip = element("path", "", d="M0 0L8 4L0 8z", class_=f"tip is-{name}")
    return element(
        "marker",
        tip,
        id=f"tip-{name}",
        viewBox="0 0 8 8",
        refX=8,
        refY=4,
        markerWidth=9,
        markerHeight=9,
        markerUnits="userSpaceOnUse",
        orient="auto",
    )


def _groups(places: Layout, gathered: Sequence[Bundle], first: Opening) -> Iterator[str]:
    size = _big(places)
    inside = {one.source: len(one.edges) for one in gathered if one.source == one.destination}
    for index, group in enumerate(places.groups):
        box, closed = group.box, first.closed and group.kind == "namespace"
        label = group.label or "no namespace"
        yield start("g", id=f"g{index}", class_=f"group {group.kind}{' closed' if closed else ''}")
        yield element("title", escape(_group_title(group, inside.get(index, 0))))
        yield _rect(box, "area", 14)
        yield element("rect", "", class_="head", x=box.x, y=box.y, width=box.width, height=34, rx=14)
        summary = count(len(group.members), "workload") if group.kind == "namespace" else str(len(group.members))
        room = max(8, (box.width - 60) // 8 - len(summary))
        yield _text(short(label, room), box.x + 24, box.y + 25, "label")
        yield _text(summary, box.right - 24, box.y + 25, "sum")
        yield element(
            "text",
            escape(short(label, max(8, int(box.width / size / 0.74)))),
            class_="big",
            x=box.x + box.width // 2,
            y=round(box.middle),
            font_size=size,
        )
        yield element(
            "text",
            escape(summary),
            class_="big more",
            x=box.x + box.width // 2,
            y=round(box.middle + size * 1.15),
            font_size=round(size * 0.62),
        )
        yield "</g>"


def _group_title(group: Group, inside: int) -> str:
    if group.kind != "namespace":
        return group.label
    name = f"namespace {group.label}" if group.label else "no namespace"
    words = f"{name}: {count(len(group.members), 'workload')}"
    return f"{words}, {count(inside, 'connection')} among them" if inside else words


def _big(places: Layout) -> int:
    """The size of the names of closed containers: readable when the whole picture fits a screen, and not too wide."""
    wanted = max(20.0, places.width / 1200 * 15)
    fitting = [group.box.width / (0.7 * max(6, len(group.label))) for group in places.groups]
    return round(max(16.0, wanted * 0.62, min([wanted, *fitting])))


def _bundles(places: Layout, gathered: Sequence[Bundle], first: Opening) -> Iterator[str]:
    between = [(index, one) for index, one in enumerate(gathered) if one.source != one.destination]
    curves = bundle_routes(places, [(one.source, one.destination) for _, one in between])
    for (index, one), curve in zip(between, curves, strict=True):
        names = (places.groups[one.source].label, places.groups[one.destination].label)
        title = f"{names[0]} → {names[1]}: {count(len(one.edges), 'connection')}"
        weight = min(5, 1 + len(one.edges).bit_length() // 2)
        yield start("g", id=f"b{index}", class_=f"bundle w{weight}{' differs' if one.changes else ''}")
        yield element("title", escape(title))
        yield element("path", "", d=curve.path)
        if len(between) <= 60 or first.closed:
            x, y = curve.middle
            yield element("text", escape(one.label), x=x, y=y + 4, class_="number")
        yield "</g>"


def _edges(page: Page, places: Layout, first: Opening) -> Iterator[str]:
    ends = [(page.edges[index].source, page.edges[index].destination) for index in first.drawn]
    signs: list[str] = []
    for index, curve in zip(first.drawn, edge_routes(places, ends), strict=True):
        change = edge_change(page.edges[index])
        yield element("path", "", id=f"e{index}", class_=f"edge {change}", d=curve.path)
        if change != "same":
            signs.append(_sign(index, change, curve))
    yield from signs


def _sign(index: int, change: str, curve: Route) -> str:
    """The sign of a change on its line, for who does not see its colour."""
    x, y = curve.middle
    disc = element("circle", "", cx=x, cy=y, r=8)
    return element("g", disc + _text(CHANGES[change], x, y + 4, ""), class_=f"sign {change}", id=f"s{index}")


def _members(page: Page, places: Layout, first: Opening) -> Iterator[str]:
    for index, group in enumerate(places.groups):
        hidden = "hidden" if first.closed and group.kind == "namespace" else None
        boxes = "".join(_node(member, page.nodes[member], places.boxes[member]) for member in group.members)
        yield element("g", boxes, id=f"m{index}", class_=hidden)


def _node(index: int, node: PageNode, box: Box) -> str:
    outside = {EXTERNAL: " outside", INGRESS_CONTROLLER: " controller"}.get(node.kind, "")
    change = f" {node.change}" if node.change in {"added", "removed"} else ""
    sign = {"added": "+", "removed": "×"}.get(node.change, "")
    name = short(node_name(node), NAME_ROOM - 2 * bool(outside) - 2 * bool(sign))
    brief = " brief" if len(name) <= BRIEF else " medium" if len(name) <= MEDIUM else ""
    radius = box.height // 2 if outside else 8
    guards = [
        element("path", "", class_="guard", d=f"M{x} 13V{box.height - 13}")
        for x, guarded in ((4, node.isolated_ingress), (box.width - 4, node.isolated_egress))
        if guarded and not outside
    ]
    x = 18 if outside else 14
    parts = [
        element("title", escape(_node_title(node))),
        element("rect", "", class_="card", width=box.width, height=box.height, rx=radius),
        *guards,
        _text(name, x, 19, "name"),
        _text(short(node_small(node), SMALL_ROOM - 2 * bool(outside)), x, 34, "small"),
        _text(sign, box.width - 16, 19, "node-sign") if sign else "",
    ]
    place = f"translate({box.x} {box.y})"
    return element("g", "".join(parts), id=f"n{index}", class_=f"node{outside}{change}{brief}", transform=place)


def _node_title(node: PageNode) -> str:
    title = node_title(node)
    # Of what is outside, the title may say all that the box says, and more.
    whole = node.kind == EXTERNAL and bool(node.excepted or node.part)
    words = [title if whole else f"{title}: {node_small(node)}", isolation_words(node), node.change]
    return ", ".join(word for word in words if word)


def _rect(box: Box, class_: str, radius: int) -> str:
    return element("rect", "", class_=class_, x=box.x, y=box.y, width=box.width, height=box.height, rx=radius)


def _text(words: str, x: int, y: int, class_: str) -> str:
    return element("text", escape(words), x=x, y=y, class_=class_ or None)
