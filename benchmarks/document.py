"""Puts the figures of the analysis part into `docs/performance.md`, and its drawings beside it.

A table of the document stands between two marks that its reader does not see:

    <!-- figures: one policy changed -->
    | change | ms | ...
    <!-- end of figures -->

Between them is what a run has measured; around them is what a person says about it.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.analysis import Point
from benchmarks.plot import Axis, Chart, Datum, Guide, Series, count, draw, seconds
from benchmarks.tables import Row, markdown

__all__ = ["against_kinds", "against_pods", "filled", "write"]

_MARKED = re.compile(r"(<!-- figures: (?P<title>[^\n]*?) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def write(docs: Path, tables: Mapping[str, list[Row]], by_pods: Sequence[Point], by_kinds: Sequence[Point]) -> None:
    """The tables into the document, and the drawings into `images`."""
    images = docs / "images"
    images.mkdir(exist_ok=True)
    (images / "list-against-pods.svg").write_text(draw(against_pods(by_pods)), encoding="utf-8")
    (images / "list-against-kinds.svg").write_text(draw(against_kinds(by_kinds)), encoding="utf-8")
    page = docs / "performance.md"
    page.write_text(filled(page.read_text(encoding="utf-8"), tables), encoding="utf-8")


def filled(text: str, tables: Mapping[str, list[Row]]) -> str:
    """A document with the tables of a run between its marks. Raises KeyError where a mark names none of them."""
    return _MARKED.sub(lambda match: f"{match[1]}\n{markdown(tables[match['title']])}\n{match[3]}", text)


def against_pods(points: Sequence[Point]) -> Chart:
    """Pods grow, kinds do not."""
    shape, first = points[0].shape, statistics.median(points[0].listing)
    return Chart(
        "Time against pods, at a constant number of kinds",
        f"{count(shape.kinds)} kinds of pod, {count(shape.policies)} policies, {shape.namespaces} namespaces;"
        " more and more replicas",
        Axis("pods (logarithmic)", count),
        Axis("CPU time (logarithmic)", seconds),
        (
            Series("reading the JSON", _data(points, "pods", "reading")),
            Series("grid and list", _data(points, "pods", "listing")),
        ),
        (Guide("in proportion to pods,\nfrom the first point of the list", shape.pods, first),),
    )


def against_kinds(points: Sequence[Point]) -> Chart:
    """Kinds grow, pods do not."""
    shape, first = points[0].shape, statistics.median(points[0].listing)
    each = shape.policies / shape.kinds
    return Chart(
        "Time against kinds of pod, at a constant number of pods",
        f"{count(shape.pods)} pods, {each:g} policies for each kind, {shape.namespaces} namespaces;"
        " more and more applications",
        Axis("kinds of pod (logarithmic)", count),
        Axis("CPU time (logarithmic)", seconds),
        (
            Series("reading the JSON", _data(points, "kinds", "reading")),
            Series("grid and list", _data(points, "kinds", "listing")),
        ),
        (
            Guide("in proportion\nto kinds", shape.kinds, first),
            Guide("in proportion to\nthe square of kinds", shape.kinds, first, 2),
        ),
    )


def _data(points: Sequence[Point], size: str, step: str) -> tuple[Datum, ...]:
    found = []
    for point in points:
        many: tuple[float, ...] = getattr(point, step)
        found.append(Datum(getattr(point.shape, size), statistics.median(many), min(many), max(many)))
    return tuple(found)
