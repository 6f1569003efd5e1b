"""From the spec of a policy of the cluster to the object, whatever the spec says: what cannot be read fails closed.

"If an implementation sees no fields are set then it can infer that the deployed CRD is of an incompatible version with
an unknown field. In that case it should fail closed. For Accept rules, fail closed means: treat the rule as matching no
traffic. For Deny and Pass rules: treat the rule as a Deny all rule." (network-policy-api, of the peers of
ClusterNetworkPolicy)

So nothing is ever left out. A part in no form that we know becomes an `UnknownPeer`: a peer or a subject in its own
place, a port as one more peer of its rule. There are two grades of it:

    unknown    what is not known, and what a server takes and nobody can act on: a newer field, a selector with the
               operator "Near" (the server checks selectors of custom resources for their form alone). The object is
               used, and a warning says what it means.
    broken     what no server holds: a tier, a priority or an action that is none. The object is set apart with these
               errors; a watch uses it all the same, for there is nothing else to stand for it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from outgate.model.cluster_policy import (
    BASELINE_PRIORITY,
    ActionWord,
    ClusterPeer,
    ClusterPolicy,
    ClusterRule,
    NamePeer,
    NodePeer,
    TierWord,
    UnknownPeer,
)
from outgate.model.cluster_policy_schemas import SELECTOR, V1ALPHA1, is_cidr
from outgate.model.labels import EVERYTHING, LabelSelector, Operator, Requirement
from outgate.model.objects import BlockPeer, PodPeer, PolicyPort
from outgate.model.parse_decode import Flaw
from outgate.model.place import Place, spell
from outgate.model.structural import schema_flaws, unknown_fields
from outgate.model.validate import selector_flaws
from outgate.model.validate_text import json_text, quote
from outgate.records import dataclass

__all__ = ["ReadClusterPolicy", "read_cluster_policy"]

_TIERS: Mapping[str, TierWord] = {"Admin": "Admin", "Baseline": "Baseline"}
_ACTIONS: Mapping[str, ActionWord] = {"Accept": "Accept", "Deny": "Deny", "Pass": "Pass"}
_OLD_ACTIONS: Mapping[str, ActionWord] = {"Allow": "Accept", "Deny": "Deny", "Pass": "Pass"}
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_WITHIN = ("namespaces", "pods")
_OUTSIDE = (*_WITHIN, "networks", "nodes", "domainNames")
_CLOSED = {
    "Accept": "as an Accept it matches nothing",
    "Deny": "as a Deny it denies everything",
    "Pass": "as a Pass it denies everything",
}


@dataclass(frozen=True, slots=True)
class ReadClusterPolicy:
    """The object, and what of it is not as it was written."""

    policy: ClusterPolicy
    broken: tuple[Flaw, ...] = ()
    unknown: tuple[Flaw, ...] = ()


def read_cluster_policy(
    version: str, kind: str, metadata: Mapping[str, Any], spec: object, place: Place
) -> ReadClusterPolicy:
    """The object of this spec, which has no nulls (`outgate.model.validate_cluster_policy`); `place` is the object's.

    Of `metadata` the name, the uid and the annotations are taken.
    """
    reader = _Reader(new=version != V1ALPHA1)
    at = place / "spec"
    fields = spec if isinstance(spec, dict) else {}
    if not isinstance(spec, dict):
        reader.breaks(at, f"a {kind} needs a spec that is a mapping")
    policy = ClusterPolicy(
        name=metadata["name"],
        tier=reader.tier(kind, fields, at),
        priority=reader.priority(kind, fields, at),
        subject=reader.subject(fields.get("subject"), at / "subject"),
        egress=reader.rules(spec, "egress", "to", at),
        ingress=reader.rules(spec, "ingress", "from", at),
        uid=metadata.get("uid", ""),
        annotations=metadata.get("annotations", {}),
        api_version=version,
        kind=kind,
        place=place,
    )
    return ReadClusterPolicy(policy, tuple(reader.broken), tuple(reader.unknown))


class _Reader:
    """Reads parts, and takes note of what it could not read."""

    def __init__(self, *, new: bool) -> None:
        self.new = new
        self.broken: list[Flaw] = []
        self.unknown: list[Flaw] = []

    def breaks(self, place: Place, words: str) -> None:
        """Note what no server holds."""
        self.broken.append(Flaw(place.at, words, place.at))

    def _not_known(self, place: Place, words: str) -> UnknownPeer:
        self.unknown.append(Flaw(place.at, words, place.at))
        return UnknownPeer(words, place)

    # -- the policy itself ---------------------------------------------------------------------------------------------

    def tier(self, kind: str, fields: Mapping[str, Any], at: Place) -> TierWord:
        """The tier; the Admin tier, which nothing overrides, for one that is none."""
        if kind != "ClusterNetworkPolicy":
            return "Baseline" if kind == "BaselineAdminNetworkPolicy" else "Admin"
        given = fields.get("tier")
        found = _TIERS.get(given) if isinstance(given, str) else None
        if found is None:
            self.breaks(at / "tier", f"{_brief(given)} is no tier: Admin and Baseline are known")
        return found or "Admin"

    def priority(self, kind: str, fields: Mapping[str, Any], at: Place) -> int:
        """The priority; that of the first, 0, for one that is none."""
        if kind == "BaselineAdminNetworkPolicy":
            return BASELINE_PRIORITY
        found = _whole(fields.get("priority"))
        if found is None:
            self.breaks(at / "priority", f"{_brief(fields.get('priority'))} is no priority: a whole number is needed")
        return found or 0

    def subject(self, value: object, at: Place) -> PodPeer | UnknownPeer:
        """The subject; an unknown one where it is in no form that is known."""
        found = self._pods(value, _WITHIN, at)
        if isinstance(found, PodPeer):
            return found
        words = "this subject is in no form that is known here"
        return self._not_known(at, f"{words} ({found}): no Accept of this policy matches, and its other rules deny all")

    # -- rules ---------------------------------------------------------------------------------------------------------

    def rules(self, spec: object, section: str, peers: str, at: Place) -> tuple[ClusterRule, ...]:
        """The rules of one direction; where there should be some and are none to read, one that closes it."""
        if spec is None:
            return ()
        given = spec.get(section, []) if isinstance(spec, dict) else None
        here = at / section
        if not isinstance(given, list):
            if isinstance(spec, dict):
                self.breaks(here, "a list of rules is needed")
            return (ClusterRule("Deny", (UnknownPeer("rules that cannot be read", here),), place=here),)
        return tuple([self._rule(one, peers, here / i) for i, one in enumerate(given)])

    def _rule(self, value: object, peers: str, at: Place) -> ClusterRule:
        if not isinstance(value, dict):
            self.breaks(at, "a rule is a mapping")
            return ClusterRule("Deny", (UnknownPeer("a rule that cannot be read", at),), place=at)
        given = value.get("action")
        known = _ACTIONS if self.new else _OLD_ACTIONS
        action = known.get(given) if isinstance(given, str) else None
        closing: list[ClusterPeer] = []
        if action is None:
            words = f"{_brief(given)} is no action: {', '.join(known)} are known"
            self.breaks(at / "action", words)
            closing.append(UnknownPeer(words, at / "action"))
        does = action or "Deny"
        ports = self._ports(value, does, closing, at)
        found = self._peers(value.get(peers), does, peers, at / peers)
        # What a newer server has beside these may narrow an Accept, or be more that a Deny is about.
        strange = (one for one in value if one not in {"name", "action", peers, "protocols" if self.new else "ports"})
        closing += (self._closed("this rule", f"it has {quote(str(one))}", does, at / str(one)) for one in strange)
        name = value.get("name", "")
        return ClusterRule(does, (*found, *closing), ports, name if isinstance(name, str) else "", at)

    def _closed(self, what: str, reason: str, action: ActionWord, place: Place) -> UnknownPeer:
        words = f"{what} is in no form that is known here ({reason}): this rule fails closed, {_CLOSED[action]}"
        return self._not_known(place, words)

    # -- peers ---------------------------------------------------------------------------------------------------------

    def _peers(self, value: object, action: ActionWord, section: str, at: Place) -> tuple[ClusterPeer, ...]:
        if not isinstance(value, list) or not value:
            return (self._closed(section, "it names no peer", action, at),)
        return tuple(peer for i, one in enumerate(value) for peer in self._peer(one, action, section, at / i))

    def _peer(self, value: object, action: ActionWord, section: str, at: Place) -> tuple[ClusterPeer, ...]:
        """What one entry names: one peer, or one for each of its networks."""
        name = _only_field(value, _OUTSIDE if section == "to" else _WITHIN)
        found: ClusterPeer | tuple[BlockPeer, ...] | str
        match name:
            case "networks":
                found = _networks(value[name], at / name)  # type: ignore[index]  # it has this field
            case "nodes":
                nodes = _selector(value[name], at / name)  # type: ignore[index]
                found = NodePeer(nodes, at) if isinstance(nodes, LabelSelector) else nodes
            case "domainNames":
                found = _names(value[name], at)  # type: ignore[index]
            case _:
                found = self._pods(value, _WITHIN if section == "from" else _OUTSIDE, at)
        if isinstance(found, str):
            return (self._closed("this peer", found, action, at),)
        if isinstance(found, NamePeer) and action != "Accept":
            # "DomainNames is only supported for Accept rules", and nothing but these words keeps anybody from it.
            words = f"domainNames is supported in Accept rules alone: in this {action} it matches nothing"
            self.unknown.append(Flaw((*at.at, "domainNames"), words, (*at.at, "domainNames")))
        return found if isinstance(found, tuple) else (found,)

    @staticmethod
    def _pods(value: object, known: tuple[str, ...], at: Place) -> PodPeer | str:
        """A peer or a subject by selectors; a reason where it is none."""
        name = _only_field(value, known)
        if not isinstance(value, dict) or not name:
            return _what_is_there(value)
        if name == "namespaces":
            selected = _selector(value[name], at / name)
            return selected if isinstance(selected, str) else PodPeer(EVERYTHING, selected, at)
        both, here = value[name], at / name
        if not isinstance(both, dict) or not both.keys() <= {"namespaceSelector", "podSelector"}:
            return f"{name} {_what_is_there(both)}"
        if "podSelector" not in both:
            return f"{name} has no podSelector"
        # "NamespaceSelector follows standard label selector semantics; if empty, it selects all Namespaces."
        namespaces = _selector(both.get("namespaceSelector", {}), here / "namespaceSelector")
        pods = _selector(both["podSelector"], here / "podSelector")
        if isinstance(namespaces, str):
            return namespaces
        return pods if isinstance(pods, str) else PodPeer(pods, namespaces, at)

    # -- ports ---------------------------------------------------------------------------------------------------------

    def _ports(
        self, rule: Mapping[str, Any], action: ActionWord, closing: list[ClusterPeer], at: Place
    ) -> tuple[PolicyPort, ...]:
        """The ports; each that is not known makes one more peer that closes the rule."""
        section = "protocols" if self.new else "ports"
        if section not in rule:
            return ()
        given, here = rule[section], at / section
        if not isinstance(given, list) or not given:
            closing.append(self._closed(section, "it names none", action, here))
            return ()
        made = []
        for i, one in enumerate(given):
            port = _new_port(one, here / i) if self.new else _old_port(one, here / i)
            if isinstance(port, str):
                closing.append(self._closed("this port", port, action, here / i))
            else:
                made.append(port)
        return tuple(made)


def _only_field(value: object, known: tuple[str, ...]) -> str:
    """The one field of an object, if it has one alone and that is known."""
    if isinstance(value, dict) and len(value) == 1:
        (name,) = value
        return name if name in known else ""
    return ""


def _what_is_there(value: object) -> str:
    if not isinstance(value, dict):
        return "it is no mapping"
    return f"it has {', '.join(map(quote, value))}" if value else "it is empty"


def _brief(value: object) -> str:
    text = json_text(value) if value is not None else "nothing"
    return text if len(text) <= 40 else f"{text[:40]}..."


def _whole(value: object) -> int | None:
    """A whole number of 32 bits, however it is written; None where it is none."""
    if isinstance(value, float) and value.is_integer():
        return _whole(int(value))
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(1 << 31) <= value < 1 << 31 else None


def _selector(value: object, place: Place) -> LabelSelector | str:
    """A selector; a reason where nobody can say what it selects.

    The server has the schema's complaints. The others are those of ``metav1.LabelSelectorAsSelector``, which every
    implementation meets when it reads the object.
    """
    paths = unknown_fields(value, SELECTOR, place.at)
    if paths:
        return f"unknown field {quote(spell(paths[0]))}"
    problem = next(schema_flaws(value, SELECTOR, place.at), None)
    if problem is None and isinstance(value, dict):
        problem = next(selector_flaws(value, place.at), None)
    if problem is not None or not isinstance(value, dict):
        return f"{spell(problem.path)}: {problem.message}" if problem is not None else "it is no selector"
    given = value.get("matchExpressions", ())
    requirements = [Requirement(one["key"], Operator(one["operator"]), tuple(one.get("values", ()))) for one in given]
    return LabelSelector.of(value.get("matchLabels"), requirements)


def _networks(value: object, place: Place) -> tuple[BlockPeer, ...] | str:
    if not isinstance(value, list) or not value:
        return "networks names none"
    bad = [one for one in value if not isinstance(one, str) or not is_cidr(one)]
    if bad:
        return f"{_brief(bad[0])} is no CIDR"
    return tuple([BlockPeer(ipaddress.ip_network(one, strict=False), (), place / i) for i, one in enumerate(value)])


def _names(value: object, place: Place) -> NamePeer | str:
    if not isinstance(value, list) or not value:
        return "domainNames names none"
    bad = [one for one in value if not isinstance(one, str) or not one]
    return f"{_brief(bad[0])} is no name" if bad else NamePeer(tuple(value), place)


def _new_port(value: object, place: Place) -> PolicyPort | str:
    """An entry of ``protocols``."""
    name = _only_field(value, ("destinationNamedPort", "sctp", "tcp", "udp"))
    if not isinstance(value, dict) or not name:
        return _what_is_there(value)
    inner = value[name]
    if name == "destinationNamedPort":
        return _named_port(inner, place)
    if not _only_field(inner, ("destinationPort",)):
        return f"{name}: {_what_is_there(inner)}"
    port = inner["destinationPort"]
    match _only_field(port, ("number", "range")):
        case "number":
            return _numbered(name.upper(), port["number"], None, place)
        case "range" if isinstance(port["range"], dict) and port["range"].keys() == {"start", "end"}:
            return _numbered(name.upper(), port["range"]["start"], port["range"]["end"], place)
    return f"destinationPort: {_what_is_there(port)}"


def _old_port(value: object, place: Place) -> PolicyPort | str:
    """An entry of ``ports`` of v1alpha1."""
    name = _only_field(value, ("namedPort", "portNumber", "portRange"))
    if not isinstance(value, dict) or not name:
        return _what_is_there(value)
    inner = value[name]
    if name == "namedPort":
        return _named_port(inner, place)
    wanted = {"port"} if name == "portNumber" else {"start", "end"}
    if not isinstance(inner, dict) or inner.keys() - {"protocol"} != wanted:
        return f"{name}: {_what_is_there(inner)}"
    protocol = inner.get("protocol", "TCP")
    # The definition takes any text here.
    if protocol not in _PROTOCOLS:
        return f"{_brief(protocol)} is no protocol: {', '.join(_PROTOCOLS)} are known"
    if name == "portNumber":
        return _numbered(protocol, inner["port"], None, place)
    return _numbered(protocol, inner["start"], inner["end"], place)


def _named_port(value: object, place: Place) -> PolicyPort | str:
    # A port without a name has the empty one, and must not be taken for one that is called so.
    return PolicyPort("", value, None, place) if isinstance(value, str) and value else f"{_brief(value)} is no name"


def _numbered(protocol: str, low: object, high: object, place: Place) -> PolicyPort | str:
    first, last = _whole(low), _whole(high) if high is not None else None
    for given, number in ((low, first), (high, last)):
        if given is not None and (number is None or not 1 <= number <= 65535):
            return f"{_brief(given)} is no port"
    if first is None or (last is not None and last < first):
        return f"{_brief(low)} to {_brief(high)} are no ports"
    return PolicyPort(protocol, first, last, place)
