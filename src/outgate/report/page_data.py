"""What the HTML page shows, as one value.

Whoever asks the questions (a verb) fills a `Page`; `page` turns it into text. Nothing here knows how an answer was
found, so the page of one cluster and the page of a comparison are the same page with other words in it. Things refer
to each other by their index in the tuples of the `Page`: an index is short in a file with thousands of edges, and no
name of a manifest ever becomes an identifier.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EXTERNAL", "INGRESS_CONTROLLER", "Page", "PageEdge", "PageNode", "PagePolicy", "PageRule"]

EXTERNAL = "External"
INGRESS_CONTROLLER = "IngressController"


@dataclass(frozen=True, slots=True)
class PageNode:
    """A workload, a part of one, or something outside."""

    kind: str
    """``Deployment``, ``Pod``, ..., or `EXTERNAL` or `INGRESS_CONTROLLER`."""
    namespace: str
    name: str
    part: str
    """``version=v2`` where a workload is split by labels, else empty."""
    cidrs: tuple[str, ...]
    pods: int
    isolated_egress: bool
    isolated_ingress: bool
    change: str
    """Empty, ``added`` or ``removed``: in a comparison, whether it exists on one side alone."""
    excepted: tuple[str, ...] = ()
    """Of every address but a few: these."""


@dataclass(frozen=True, slots=True)
class PageEdge:
    """What may flow from one node to another, and why."""

    source: int
    destination: int
    words: str
    """``TCP 443, TCP 8080-8090``, ``every port``; in a comparison the state after, empty if closed."""
    before: str
    """In a comparison the state before, empty if opened."""
    change: str
    """Empty, ``opened``, ``closed``, ``widened``, ``narrowed`` or ``changed``."""
    egress: tuple[int, ...]
    """The rules that let it pass at its source."""
    ingress: tuple[int, ...]
    """The rules that let it pass at its destination."""
    egress_words: str
    """The reason in words: ``no policy selects shop/web for egress``."""
    ingress_words: str


@dataclass(frozen=True, slots=True)
class PageRule:
    """One rule of a policy."""

    policy: int
    direction: str
    index: int | None
    line: int
    """Its line in the file; 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class PagePolicy:
    """A policy, with its text as it was written."""

    kind: str
    namespace: str
    name: str
    file: str
    first_line: int
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the page shows."""

    title: str
    subtitle: str
    """``12 workloads, 7 policies, 40 connections``."""
    generated_from: tuple[str, ...]
    nodes: tuple[PageNode, ...]
    edges: tuple[PageEdge, ...]
    rules: tuple[PageRule, ...]
    policies: tuple[PagePolicy, ...]
    comparison: bool
    """True for before and after."""
    notes: tuple[str, ...]
