"""What things are called on the page: the same words in the picture, the tables and the details."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from outgate.report.page_data import EXTERNAL, INGRESS_CONTROLLER, PageEdge, PageNode, PagePolicy, PageRule
from outgate.report.page_markup import visible

__all__ = [
    "CHANGES",
    "count",
    "edge_change",
    "isolation_words",
    "node_name",
    "node_small",
    "node_title",
    "policy_title",
    "rule_lines",
    "rule_title",
    "short",
    "without_name",
]

CHANGES = {"opened": "+", "closed": "×", "widened": "▲", "narrowed": "▼", "changed": "≠"}
"""The changes, each with the sign that sets it apart where colours are not seen."""


def edge_change(edge: PageEdge) -> str:
    """The change by its name; ``same`` for none, and for a word that is not known."""
    return edge.change if edge.change in CHANGES else "same"


def node_name(node: PageNode) -> str:
    """What is written large in a node's box."""
    if node.kind == EXTERNAL and node.name.startswith("every "):
        # What is excepted is below, in `node_small`: in one line it would be cut off, and with it the point.
        every = re.sub(r"^every (IPv[46]) address", r"all of \1", node.name.partition(" except ")[0])
        return f"{every} but" if node.excepted else every
    if node.name:
        return node.name
    if node.cidrs:
        return node.cidrs[0] + (f" +{len(node.cidrs) - 1}" if len(node.cidrs) > 1 else "")
    return node.kind


def node_title(node: PageNode) -> str:
    """The node among all others: ``shop/web (version=v2)``, ``203.0.113.0/24``."""
    name = node.name or node_name(node)
    name = f"{node.namespace}/{name}" if node.namespace else name
    return f"{name} ({node.part})" if node.part else name


def node_small(node: PageNode) -> str:
    """What is written small below: kind, part, pods."""
    if node.kind == EXTERNAL:
        if not node.cidrs:
            return node.part or ("DNS names" if "*" in node.name else "DNS name")
        if not node.name:
            return "addresses"
        return _first_of([one.removesuffix("/32").removesuffix("/128") for one in node.excepted] or node.cidrs)
    if node.kind == INGRESS_CONTROLLER:
        return "ingress controller"
    pods = "no pod yet" if node.pods == 0 else count(node.pods, "pod")
    return " · ".join([node.part or node.kind, *([pods] if node.kind != "Pod" else [])])


def _first_of(blocks: Sequence[str]) -> str:
    return f"{blocks[0]} +{len(blocks) - 1}" if len(blocks) > 1 else blocks[0]


def isolation_words(node: PageNode) -> str:
    """Which directions policies guard."""
    if node.kind in {EXTERNAL, INGRESS_CONTROLLER}:
        return ""
    return {
        (True, True): "guarded both ways",
        (True, False): "egress guarded, ingress open",
        (False, True): "ingress guarded, egress open",
        (False, False): "no policy guards it",
    }[node.isolated_egress, node.isolated_ingress]


def policy_title(policy: PagePolicy) -> str:
    """``NetworkPolicy shop/web``."""
    return f"{policy.kind} {policy.namespace}/{policy.name}" if policy.namespace else f"{policy.kind} {policy.name}"


def rule_title(rule: PageRule, policy: PagePolicy) -> str:
    """``shop/web egress[1]``, as the API server counts rules."""
    name = f"{policy.namespace}/{policy.name}" if policy.namespace else policy.name
    direction = rule.direction if rule.direction.endswith("Deny") else rule.direction.lower()
    return f"{name} {direction}" if rule.index is None else f"{name} {direction}[{rule.index}]"


def rule_lines(rule: PageRule, policy: PagePolicy) -> tuple[int, int] | None:
    """The first and last line of a rule in its file, by its indentation; None where its line is not in the text."""
    lines = policy.text.split("\n")
    first = rule.line - policy.first_line
    if rule.line == 0 or not 0 <= first < len(lines):
        return None
    indent = _indent(lines[first])
    last = first
    for number in range(first + 1, len(lines)):
        line = lines[number]
        if line.strip() and _indent(line) <= indent:
            break
        if line.strip():
            last = number
    return rule.line, policy.first_line + last


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def without_name(words: str, node: PageNode) -> str:
    """A reason beside the name of the node it speaks of: ``no policy selects it for ingress``.

    Rows of a table that say the same of many nodes can so share a cell.
    """
    if not (node.namespace and node.name):
        return words
    name = f"{node.namespace}/{node.name}" if node.kind == "Pod" else f"{node.namespace}/{node.kind}/{node.name}"
    head, found, tail = words.partition(f" {name}[{node.part}] " if node.part else f" {name} ")
    return f"{head} it {tail}" if found else words


def short(text: str, room: int) -> str:
    """The text in so many columns, as it will be seen, the middle left out: names of workloads differ at both ends."""
    seen = visible(text)
    if _columns(seen) <= room:
        return seen
    tail = (room - 1) // 3
    head = room - 1 - tail
    while _columns(seen[:head]) > room - 1 - tail:
        head -= 1
    while tail and _columns(seen[len(seen) - tail :]) > (room - 1) // 3:
        tail -= 1
    return f"{seen[:head]}…{seen[len(seen) - tail :]}"


def _columns(text: str) -> int:
    """About how wide it is: ideographs and most pictures take two columns (Unicode Standard Annex 11)."""
    return len(text) + sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def count(number: int, noun: str) -> str:
    """``1 pod``, ``2 pods``, ``policies`` for ``policy``; thousands set apart by a space that does not break."""
    plural = noun if number == 1 else f"{noun[:-1]}ies" if noun.endswith("cy") else f"{noun}s"
    return f"{number:,} {plural}".replace(",", "\u202f")
