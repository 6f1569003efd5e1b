"""Whether Cilium's policies and CIDR groups would be accepted, and what would be said.

Two look at them, one after the other. The API server holds an object to its schema and stores what fits. The agent then
looks at what it means and may still refuse it: the object is stored and not enforced, and its condition Valid is False.
What the agent says begins with ``Invalid CiliumNetworkPolicy spec:``. Here all of it is said at once, though the agent
stops at the first thing and would never see what the server refuses. A fault that both would see is named by both: the
agent's words say what it is about, the schema's rarely do.

Objects of a server have passed the schema of whichever version it had, so only what cannot be read is refused there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from outgate.model.cilium_kinds import GROUP, NAMESPACED
from outgate.model.parse_decode import Flaw
from outgate.model.place import Path
from outgate.model.structural import (
    is_of_wrong_type,
    schema_flaws,
    unknown_fields,
    unreadable,
    with_defaults,
    without_nulls,
)
from outgate.model.validate import metadata_flaws, selector_flaws
from outgate.model.validate_cidr import go_address, is_mapped, netip_prefix
from outgate.model.validate_cilium_ports import (
    Said,
    expression_warnings,
    icmp_problems,
    icmp_warnings,
    name_problems,
    port_problems,
    range_warnings,
    request_warnings,
)
from outgate.model.validate_cilium_schema import CILIUM_DEFINITIONS, ENTITIES
from outgate.model.validate_cluster_policy import noted_as, read_metadata, repeated_fields
from outgate.model.validate_text import quote
from outgate.records import dataclass

__all__ = ["AGENT_PREFIX", "CheckedCilium", "check_cilium"]

AGENT_PREFIX = "Invalid Cilium"
"""What the agent's words begin with, and the API server's never do."""

_TYPE_META = ("apiVersion", "kind", "metadata", "status")
_SECTIONS = ("ingress", "ingressDeny", "egress", "egressDeny")
_KINDS = ("CIDR", "CIDRSet", "Endpoints", "Entities", "Services", "Groups", "Nodes", "FQDNs")
_AGENT_ENTITIES = (*ENTITIES, "world-ipv4", "world-ipv6")
_NAMESPACE_KEYS = ("k8s:io.kubernetes.pod.namespace", "io.kubernetes.pod.namespace", "any:io.kubernetes.pod.namespace")


@dataclass(frozen=True, slots=True)
class CheckedCilium:
    """An object as the server would hold it, without its status, and what was said of it.

    With flaws only the metadata of `value` may be of use.
    """

    value: dict[str, Any]
    flaws: tuple[Flaw, ...] = ()
    warnings: tuple[Flaw, ...] = ()


def check_cilium(
    raw: Mapping[str, Any],
    version: str,
    kind: str,
    *,
    namespace: str,
    stored: bool,
    repeated: Mapping[Path, int],
    line: Callable[[Path], int] = lambda _: 0,
) -> CheckedCilium:
    """An object of one of the `CILIUM_DEFINITIONS`, checked; `namespace` is for one that should name one and does not.

    `repeated` are the fields that are given twice, and `line` tells where a field stands.
    """
    definition = CILIUM_DEFINITIONS[version, kind]
    metadata, problems, noted = read_metadata(raw.get("metadata"), strict=not stored)
    if kind == NAMESPACED:
        metadata["namespace"] = metadata.get("namespace") or namespace
    else:
        # "cluster-scoped: clear the namespace".
        metadata.pop("namespace", None)
    if problems:
        return CheckedCilium({"metadata": metadata}, problems)
    if not stored:
        unknown = unknown_fields({**raw}, definition, passed=_TYPE_META)
        strict = (*repeated_fields(repeated, line), *noted, *(noted_as("unknown", path) for path in unknown))
        if strict:
            # The server answers with these alone (HTTP 400).
            return CheckedCilium({"metadata": metadata}, strict)
    known = {name: one for name, one in raw.items() if name in definition.properties}
    value = with_defaults(without_nulls({**known, "metadata": metadata}, definition), definition)
    found = list(schema_flaws(value, definition))
    flaws = list(unreadable(found)) if stored else [*metadata_flaws(metadata, custom=True), *found]
    if not (stored and flaws):
        flaws += _beside(value, kind, [one.path for one in found if is_of_wrong_type(one)])
    return CheckedCilium(value, tuple(flaws), () if flaws else tuple(_warnings(value, kind)))


def _beside(value: dict[str, Any], kind: str, wrong: Iterable[Path]) -> Iterator[Flaw]:
    """What the agent says of all rules but those with a value of the wrong type, of which nobody can say more."""
    holes = {_rule_of(path) for path in wrong}
    if () in holes:
        return
    readable = copy.deepcopy(value) if holes else value
    for hole in holes:
        where: Any = readable
        for step in hole[:-1]:
            where = where[step]
        where[hole[-1]] = {}
    yield from (one for one in _agent(readable, kind) if not any(one.path[: len(hole)] == hole for hole in holes))


def _rule_of(path: Path) -> Path:
    """The way to the rule that something stands in; empty where it stands in none."""
    sections = (at for at, step in enumerate(path[:-1]) if step in _SECTIONS and isinstance(path[at + 1], int))
    return next((path[: at + 2] for at in sections), ())


def _agent(value: Mapping[str, Any], kind: str) -> Iterator[Flaw]:
    """What the agent says (``Rule.Validate``)."""
    if kind == GROUP:
        for i, text in enumerate(value.get("spec", {}).get("externalCIDRs", ())):
            for path, words in _block(text, ("spec", "externalCIDRs", i)):
                yield Flaw(path, f"Invalid {kind} spec: {words}", path)
        return
    if "spec" not in value and "specs" not in value:
        yield Flaw((), f"Invalid {kind} spec(s): empty policy", ())
    for at, spec in _policies(value):
        prefix = f"Invalid {kind} {at[0]}"
        for path, words in _policy(spec, at, kind):
            yield Flaw(path, f"{prefix}: {words}", path)


def _policies(value: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if "spec" in value:
        yield ("spec",), value["spec"]
    for i, one in enumerate(value.get("specs", ())):
        yield ("specs", i), one


def _policy(spec: Mapping[str, Any], at: Path, kind: str) -> Iterator[Said]:
    if not any(spec.get(section) for section in _SECTIONS):
        yield at, "rule must have at least one of Ingress, IngressDeny, Egress, EgressDeny"
    subjects = [name for name in ("endpointSelector", "nodeSelector") if name in spec]
    if not subjects:
        yield at, "rule must have one of EndpointSelector or NodeSelector"
    elif len(subjects) > 1:
        yield at, "rule cannot have both EndpointSelector and NodeSelector"
    for name in subjects:
        yield from _selector(spec[name], (*at, name))
    if "nodeSelector" in spec and kind == NAMESPACED:
        yield (*at, "nodeSelector"), "rule cannot have NodeSelector"
    for section in _SECTIONS:
        for i, rule in enumerate(spec.get(section, ())):
            yield from _rule(rule, (*at, section, i), section, host="nodeSelector" in spec)


def _rule(rule: Mapping[str, Any], at: Path, section: str, *, host: bool) -> Iterator[Said]:
    ingress = section.startswith("ingress")
    side = "from" if ingress else "to"
    # Which two of several the agent names is up to chance, as it goes over a Go map.
    used = [kind for kind in _KINDS if rule.get(side + kind)]
    for other in used[1:]:
        yield at, f"combining {side.capitalize()}{used[0]} and {side.capitalize()}{other} is not supported yet"
    for kind in ("Endpoints", "Nodes"):
        for i, one in enumerate(rule.get(side + kind, ())):
            yield from _selector(one, (*at, side + kind, i))
    for i, text in enumerate(rule.get(f"{side}CIDR", ())):
        yield from _block(text, (*at, f"{side}CIDR", i))
    for i, one in enumerate(rule.get(f"{side}CIDRSet", ())):
        yield from _cidr_rule(one, (*at, f"{side}CIDRSet", i))
    for i, entity in enumerate(rule.get(f"{side}Entities", ())):
        if entity not in _AGENT_ENTITIES:
            yield (*at, f"{side}Entities", i), f"unsupported entity: {entity}"
    yield from name_problems(rule.get("toFQDNs", ()), (*at, "toFQDNs"))
    yield from icmp_problems(rule, at)
    yield from port_problems(rule.get("toPorts", ()), (*at, "toPorts"), ingress=ingress, host=host)


def _selector(selector: Mapping[str, Any], at: Path) -> Iterator[Said]:
    """A selector without the sources of its keys, held to the rules of every selector."""
    exact = selector.get("matchLabels", {})
    plain = {
        "matchLabels": {_without_source(key): value for key, value in exact.items()},
        "matchExpressions": [
            {**one, "key": _without_source(one.get("key", ""))} for one in selector.get("matchExpressions", ())
        ],
    }
    written = {_without_source(key): key for key in exact}
    for flaw in selector_flaws(plain, at):
        place = flaw.at
        if len(place) == len(at) + 2 and place[-2] == "matchLabels":
            place = (*place[:-1], written.get(str(place[-1]), place[-1]))
        yield place, f"invalid label selector: {'.'.join(map(str, flaw.path[len(at) :]))}: {flaw.message}"


def _without_source(key: str) -> str:
    return key.partition(":")[2] if ":" in key else key


def _cidr_rule(one: Mapping[str, Any], at: Path) -> Iterator[Said]:
    given = bool(one.get("cidr")) + bool(one.get("cidrGroupRef")) + ("cidrGroupSelector" in one)
    if "cidrGroupSelector" in one:
        yield from _selector(one["cidrGroupSelector"], (*at, "cidrGroupSelector"))
    if not given:
        yield at, "one of cidr, cidrGroupRef, or cidrGroupSelector is required"
    elif given > 1:
        yield at, "more than one of cidr, cidrGroupRef, or cidrGroupSelector may not be set"
    # Cilium looks at the exceptions of blocks only; those of groups must be readable as well.
    block = netip_prefix(one.get("cidr", ""))
    if one.get("cidr") and block is None:
        text = quote(one["cidr"])
        yield (*at, "cidr"), f"unable to parse CIDRRule {text}: netip.ParsePrefix({text}): no valid block"
    for i, text in enumerate(one.get("except", ())):
        hole = netip_prefix(text)
        if hole is None:
            yield (*at, "except", i), f"netip.ParsePrefix({quote(text)}): no valid block"
        elif block is not None and (hole.prefixlen < block.prefixlen or hole.network_address not in block):
            words = f"allow CIDR prefix {one['cidr']} does not contain exclude CIDR prefix {text}"
            yield (*at, "except", i), words


def _block(text: str, at: Path) -> Iterator[Said]:
    """A block of a list: an address by itself will do for the agent, though not for the schema."""
    if not text:
        yield at, "IP must be specified"
    elif netip_prefix(text) is None and go_address(text) is None:
        yield at, f"unable to parse CIDR: ParseAddr({quote(text)}): unable to parse IP"


def _warnings(value: Mapping[str, Any], kind: str) -> Iterator[Flaw]:
    """What is accepted, and is most likely not what was meant."""
    if kind == GROUP:
        for path, words in _mapped_warnings(value["spec"]["externalCIDRs"], ("spec", "externalCIDRs")):
            yield Flaw(path, words, path)
        return
    for at, spec in _policies(value):
        yield from _namespace_warnings(spec, value["metadata"].get("namespace", ""), at)
        for section in _SECTIONS:
            for i, rule in enumerate(spec.get(section, ())):
                for path, words in _rule_warnings(rule, (*at, section, i)):
                    yield Flaw(path, words, path)


def _namespace_warnings(spec: Mapping[str, Any], namespace: str, at: Path) -> Iterator[Flaw]:
    named = spec.get("endpointSelector", {}).get("matchLabels", {})
    for key in _NAMESPACE_KEYS:
        if namespace and named.get(key, namespace) != namespace:
            words = "an endpointSelector always applies in the namespace of its policy, and this names another"
            path: Path = (*at, "endpointSelector", "matchLabels", key)
            yield Flaw(path[:-2], words, path)


def _mapped_warnings(texts: Iterable[str], at: Path) -> Iterator[Said]:
    """Blocks of IPv4 in the clothes of IPv6: everybody takes them, and no packet is in them."""
    for i, text in enumerate(texts):
        block = netip_prefix(text)
        if block is not None and is_mapped(block):
            yield (*at, i), f"no packet has such an address: {quote(text)} matches nothing; write IPv4 as itself"


def _rule_warnings(rule: Mapping[str, Any], at: Path) -> Iterator[Said]:
    yield from icmp_warnings(rule, at)
    for side in ("to", "from"):
        yield from _mapped_warnings(rule.get(f"{side}CIDR", ()), (*at, f"{side}CIDR"))
        for i, one in enumerate(rule.get(f"{side}CIDRSet", ())):
            for path, words in _mapped_warnings([one["cidr"]] if one.get("cidr") else (), (*at, f"{side}CIDRSet", i)):
                yield (*path[:-1], "cidr"), words
    for i, entry in enumerate(rule.get("toPorts", ())):
        yield from range_warnings(entry.get("ports", ()), (*at, "toPorts", i, "ports"))
        yield from expression_warnings(entry.get("rules", {}), (*at, "toPorts", i, "rules"))
        yield from request_warnings(entry.get("rules", {}), (*at, "toPorts", i, "rules"))
