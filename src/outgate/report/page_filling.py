"""From a list of connections to the value that the HTML page shows: who, what, and the rules behind each edge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from outgate.analysis.conditional import conditionals
from outgate.analysis.connections import Connection, Connections, External, Party
from outgate.analysis.controller import IngressController
from outgate.analysis.deciding import side
from outgate.analysis.groups import Group, part_words
from outgate.analysis.opened import Named
from outgate.analysis.spelling import exceptions
from outgate.model import CiliumPolicy, Direction, Policy, Snapshot
from outgate.policy import Origin
from outgate.report.connections_text import allowed_words
from outgate.report.page_data import (
    EXTERNAL,
    INGRESS_CONTROLLER,
    Page,
    PageEdge,
    PageNode,
    PagePolicy,
    PageRule,
)
from outgate.report.parties import addresses_words

__all__ = ["Cited", "page_node", "page_of"]


@dataclass(slots=True)
class Cited:
    """The rules and policies that edges refer to, each once and by number."""

    rules: list[PageRule] = field(default_factory=list)
    policies: list[PagePolicy] = field(default_factory=list)
    _rules: dict[Origin, int] = field(default_factory=dict)
    _policies: dict[PagePolicy, int] = field(default_factory=dict)
    _seen: dict[int, tuple[Policy, int]] = field(default_factory=dict)
    _known: dict[int, dict[tuple[str, str, str], Policy]] = field(default_factory=dict)

    def rule(self, origin: Origin, snapshot: Snapshot) -> int:
        """The number of a rule of a policy of that snapshot."""
        policy = self._named(snapshot)[origin.kind, origin.namespace, origin.name]
        number = self.policy(policy)
        found = self._rules.get(origin)
        if found is None or self.rules[found].policy != number:
            found = self._rules[origin] = len(self.rules)
            self.rules.append(PageRule(number, origin.section or origin.direction.value, origin.rule, origin.line))
        return found

    def policy(self, policy: Policy) -> int:
        """The number of a policy, with its text as it was written."""
        seen = self._seen.get(id(policy))
        if seen is None:
            # One of several policies of an object is shown in the text of the whole.
            whole = policy.place.at if not isinstance(policy, CiliumPolicy) else ()
            first, text = policy.place.document.text(whole)
            names = policy.kind, policy.namespace, policy.name, policy.place.file
            shown = PagePolicy(*names, first, text or "(the input has no text of this policy)")
            # Of two snapshots the same policy is shown once, and both of two that differ.
            if shown not in self._policies:
                self._policies[shown] = len(self.policies)
                self.policies.append(shown)
            seen = self._seen[id(policy)] = policy, self._policies[shown]
        return seen[1]

    def _named(self, snapshot: Snapshot) -> dict[tuple[str, str, str], Policy]:
        found = self._known.get(id(snapshot))
        if found is None:
            found = self._known[id(snapshot)] = {
                (one.kind, one.namespace, one.name): one for one in snapshot.every_policy
            }
        return found


def page_of(
    connections: Iterable[Connection], found: Connections, sources: Sequence[str], notes: Sequence[str] = ()
) -> Page:
    """The page of a list, or of a part of one. `sources`: where the input came from, as the user named it."""
    cited = Cited()
    nodes: dict[Party, int] = {}
    edges: list[PageEdge] = []
    only = conditionals(found)
    for one in connections:
        ends = [nodes.setdefault(party, len(nodes)) for party in (one.source, one.destination)]
        egress, ingress = (side(found, one, direction) for direction in Direction)
        rules = [tuple(cited.rule(rule.origin, found.snapshot) for rule in end.rules) for end in (egress, ingress)]
        words = allowed_words(one, only(one))
        edges.append(PageEdge(ends[0], ends[1], words, "", "", rules[0], rules[1], egress.words, ingress.words))
    for policy in found.snapshot.every_policy:
        cited.policy(policy)
    workloads = len({party.workload for party in nodes if isinstance(party, Group)})
    # Of one object of Cilium's there may be several policies; what is counted is what is shown.
    counts = f"{workloads} workloads, {len(cited.policies)} policies, {len(edges)} connections"
    profile = found.grid.policies.profile.name
    title = "What may talk to what" + ("" if profile == "outgate" else f", as {profile} enforces it")
    return Page(
        title,
        counts,
        tuple(sources),
        tuple(page_node(party, found) for party in nodes),
        tuple(edges),
        tuple(cited.rules),
        tuple(cited.policies),
        comparison=False,
        notes=tuple(notes),
    )


def page_node(party: Party, found: Connections, change: str = "") -> PageNode:
    """One end of connections of a list."""
    match party:
        case External(addresses=addresses):
            words = addresses_words(addresses, nodes=party.nodes)
            # Blocks have no other name than themselves, unless nearly all of them are meant.
            name = words if words.startswith("every ") else ""
            excepted = exceptions(addresses)
            return PageNode(EXTERNAL, "", name, "", addresses.cidrs(), 0, False, False, change, excepted)
        case Named(name=name):
            limits = str(party).removeprefix(name).strip()
            return PageNode(EXTERNAL, "", name, limits, (), 0, False, False, change)
        case IngressController():
            return PageNode(INGRESS_CONTROLLER, "", "ingress controller", "", (), 0, False, False, change)
    isolated = [found.grid.isolated(party.identity, direction) for direction in Direction]
    running = sum(not pod.assumed for pod in party.pods)
    part = part_words(party) if party.split else ""
    return PageNode(party.kind, party.namespace, party.name, part, (), running, isolated[0], isolated[1], change)
