"""How much of a picture is drawn before anybody asked for anything.

A picture of everything that is allowed is worth looking at while its lines can be told apart. Past that, lines between
two namespaces are drawn as one, with their number; and where even these would be a ball of wool, no line is drawn
until something is selected. Past 300 workloads the namespaces are closed: each is one box, until it is opened. What
was decided is said on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from outgate.report.page_data import EXTERNAL, INGRESS_CONTROLLER, Page
from outgate.report.page_words import count, edge_change

__all__ = ["Bundle", "Opening", "bundles", "opening"]

MOST_WORKLOADS = 300
MOST_LINES = 260
MOST_BUNDLES = 90


@dataclass(frozen=True, slots=True)
class Bundle:
    """Every connection from one group to another; `source` and `destination` may be the same group."""

    source: int
    destination: int
    edges: tuple[int, ...]
    opened: int
    closed: int
    other: int
    """Widened, narrowed or changed."""

    @property
    def label(self) -> str:
        """``12``, and in a comparison ``12 +3 ×1``."""
        signs = (("+", self.opened), ("×", self.closed), ("≠", self.other))
        return " ".join([str(len(self.edges)), *(f"{sign}{number}" for sign, number in signs if number)])

    @property
    def changes(self) -> bool:
        """Whether anything in it differs between before and after."""
        return bool(self.opened or self.closed or self.other)


@dataclass(frozen=True, slots=True)
class Opening:
    """The first look of a page."""

    lines: str
    """``each``, ``bundles`` or ``selection``: which lines are drawn."""
    closed: bool
    """Whether namespaces are drawn as boxes without their workloads."""
    drawn: tuple[int, ...]
    """The connections with a line of their own."""
    words: str
    """What the reader is told of it; empty where everything is drawn."""


def bundles(page: Page, group_of: Sequence[int]) -> list[Bundle]:
    """The connections by the groups of their ends, in the order of the groups."""
    gathered: dict[tuple[int, int], list[int]] = {}
    for index, edge in enumerate(page.edges):
        gathered.setdefault((group_of[edge.source], group_of[edge.destination]), []).append(index)
    found = []
    for (source, destination), edges in sorted(gathered.items()):
        changes = [edge_change(page.edges[index]) for index in edges]
        opened, closed, same = (changes.count(word) for word in ("opened", "closed", "same"))
        other = len(changes) - opened - closed - same
        found.append(Bundle(source, destination, tuple(edges), opened, closed, other))
    return found


def opening(page: Page, gathered: Sequence[Bundle]) -> Opening:
    """What to draw first."""
    workloads = sum(node.kind not in {EXTERNAL, INGRESS_CONTROLLER} for node in page.nodes)
    closed = workloads > MOST_WORKLOADS
    between = sum(one.source != one.destination for one in gathered)
    everything = tuple(range(len(page.edges)))
    if not closed and len(everything) <= MOST_LINES:
        return Opening("each", False, everything, "")
    changed = tuple(index for index in everything if edge_change(page.edges[index]) != "same")
    drawn = changed if not closed and len(changed) <= MOST_LINES else ()
    connections = count(len(everything), "connection")
    if between <= MOST_BUNDLES:
        lines, words = "bundles", f"{connections}: lines are gathered by namespace."
    else:
        lines, words = "selection", f"{connections}, too many to tell apart: lines appear for what you select."
    if drawn:
        words += " Changed connections are drawn one by one."
    if closed:
        words += " Namespaces are closed; click one to open it."
    return Opening(lines, closed, drawn, words)
