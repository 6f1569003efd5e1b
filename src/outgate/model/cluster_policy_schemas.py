"""The three kinds of network-policy-api as their definitions have them, of the experimental channel.

    ClusterNetworkPolicy          v1alpha2, as of v0.2.0; and v1beta1, which comes after it and differs in two words
    AdminNetworkPolicy            v1alpha1, as of v0.1.7
    BaselineAdminNetworkPolicy    v1alpha1, the one that is called "default"

The standard channel lacks `nodes`, `domainNames` and ports by name; a server that has only that prunes them, and says
of what is left that it "should have at least 1 properties". Label selectors are of a free form here: that an operator
is one of four is known to who reads them, and not to the server.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from outgate.model.structural import Rule, Schema

__all__ = ["DEFINITIONS", "DOMAIN_NAME", "GROUP", "SELECTOR", "V1ALPHA1", "V1ALPHA2", "V1BETA1", "is_cidr"]

GROUP = "policy.networking.k8s.io"
V1ALPHA1 = f"{GROUP}/v1alpha1"
V1ALPHA2 = f"{GROUP}/v1alpha2"
V1BETA1 = f"{GROUP}/v1beta1"

_STRING = Schema("string")

SELECTOR = Schema(
    "object",
    {
        "matchExpressions": Schema(
            "array",
            items=Schema(
                "object",
                {"key": _STRING, "operator": _STRING, "values": Schema("array", items=_STRING)},
                required=("key", "operator"),
            ),
        ),
        "matchLabels": Schema("object", values=_STRING),
    },
)
"""``metav1.LabelSelector`` within a definition."""

_PORT_NUMBER = Schema("integer", fewest=1, most=65535)
_PREFIX_LENGTH = re.compile("0|[1-9][0-9]{0,2}").fullmatch
_NO_NAMED_PORTS = "cannot be set with namedPorts since there are no namedPorts for"


def is_cidr(text: str) -> bool:
    """What CEL's ``isCIDR`` says: a prefix as ``netip.ParsePrefix`` reads it, but no IPv4 within IPv6.

    Bits beyond the prefix are allowed: "10.0.0.5/24" means 10.0.0.0/24.
    """
    address, slash, length = text.partition("/")
    if not slash or "%" in address or not _PREFIX_LENGTH(length):
        return False
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None
    return not mapped and int(length) <= found.max_prefixlen


def _is_masked_cidr(text: str) -> bool:
    """``isCIDR(self) && cidr(self) == cidr(self).masked()``: v1beta1 takes no bits beyond the prefix."""
    return is_cidr(text) and ipaddress.ip_interface(text).ip == ipaddress.ip_interface(text).network.network_address


_DOMAIN_LABEL = "[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?"
DOMAIN_NAME = rf"^(\*\.)?({_DOMAIN_LABEL}\.)+{_DOMAIN_LABEL}\.?$"
"""The pattern of a name, with the slip of the definition: ``A-z`` has ``[ \\ ] ^ _`` and the backtick too."""


def _listed(one: Schema, most: int, *, fewest: int | None = 1, unique: bool = False) -> Schema:
    return Schema("array", items=one, fewest=fewest, most=most, unique=unique)


def _one_of(**fields: Schema) -> Schema:
    return Schema("object", fields, fewest=1, most=1)


def _pods(*required: str) -> Schema:
    return Schema("object", {"namespaceSelector": SELECTOR, "podSelector": SELECTOR}, required=required)


def _definition(spec: Schema, rules: tuple[Rule, ...] = ()) -> Schema:
    condition = ("lastTransitionTime", "message", "observedGeneration", "reason", "status", "type")
    # The status is dropped before anything is checked; only what it may have in it is known.
    status = Schema(
        "object", {"conditions": Schema("array", items=Schema("object", dict.fromkeys(condition, _STRING)))}
    )
    fields = {"apiVersion": _STRING, "kind": _STRING, "metadata": Schema("object"), "spec": spec, "status": status}
    return Schema("object", fields, required=("spec",), rules=rules)


def _no_names_without_pods(ports: str, name: str, *peers: str) -> Rule:
    def holds(rule: Mapping[str, Any]) -> bool:
        outside = any(peer in one for one in rule.get("to", ()) for peer in peers)
        return not (outside and any(name in one for one in rule.get(ports, ())))

    listed = "/".join(peers)
    return Rule(holds, f"{listed} peer {_NO_NAMED_PORTS} {listed}")


# ---- v1alpha2 and v1beta1 --------------------------------------------------------------------------------------------

_PODS = _pods("podSelector")
_RANGE = Schema(
    "object",
    {"end": _PORT_NUMBER, "start": _PORT_NUMBER},
    required=("end", "start"),
    rules=(Rule(lambda one: one["start"] < one["end"], "Start port must be less than End port"),),
)
_PROTOCOL = Schema("object", {"destinationPort": _one_of(number=_PORT_NUMBER, range=_RANGE)}, fewest=1)
_PROTOCOLS = _listed(_one_of(destinationNamedPort=_STRING, sctp=_PROTOCOL, tcp=_PROTOCOL, udp=_PROTOCOL), 25)
_NAMES = _listed(Schema("string", pattern=DOMAIN_NAME), most=25, unique=True)
# The slip is mended.
_NEW_NAMES = _listed(Schema("string", pattern=DOMAIN_NAME.replace("A-z", "A-Z")), most=25, unique=True)


def _rules(peers: str, peer: Schema, rules: tuple[Rule, ...] = ()) -> Schema:
    fields = {
        "action": Schema("string", enum=("Accept", "Deny", "Pass")),
        "name": Schema("string", most=100),
        "protocols": _PROTOCOLS,
        peers: _listed(peer, 25),
    }
    return _listed(Schema("object", fields, required=tuple(sorted(("action", peers))), rules=rules), 25, fewest=None)


def _cluster_network_policy(names: Schema, is_block: Callable[[str], bool]) -> Schema:
    block = Schema("string", most=43, rules=(Rule(is_block, "Invalid CIDR format provided"),))
    networks = _listed(block, most=25, unique=True)
    fields = {
        "egress": _rules(
            "to",
            _one_of(domainNames=names, namespaces=SELECTOR, networks=networks, nodes=SELECTOR, pods=_PODS),
            (_no_names_without_pods("protocols", "destinationNamedPort", "networks", "nodes", "domainNames"),),
        ),
        "ingress": _rules("from", _one_of(namespaces=SELECTOR, pods=_PODS)),
        "priority": Schema("integer", fewest=0, most=1000),
        "subject": _one_of(namespaces=SELECTOR, pods=_PODS),
        "tier": Schema("string", enum=("Admin", "Baseline")),
    }
    return _definition(Schema("object", fields, required=("priority", "subject", "tier")))


# ---- v1alpha1 --------------------------------------------------------------------------------------------------------

_BOTH_SELECTORS = _pods("namespaceSelector", "podSelector")
_TCP = Schema("string", default="TCP")
_OLD_PORTS = _listed(
    _one_of(
        namedPort=_STRING,
        portNumber=Schema("object", {"port": _PORT_NUMBER, "protocol": _TCP}, required=("port", "protocol")),
        portRange=Schema(
            "object", {"end": _PORT_NUMBER, "protocol": _TCP, "start": _PORT_NUMBER}, required=("end", "start")
        ),
    ),
    100,
)
_OLD_CIDRS = _listed(
    Schema(
        "string",
        most=43,
        rules=(
            Rule(
                lambda one: (":" in one) != ("." in one),
                "CIDR must be either an IPv4 or IPv6 address. "
                "IPv4 address embedded in IPv6 addresses are not supported",
            ),
        ),
    ),
    most=25,
    unique=True,
)


def _old_rules(actions: tuple[str, ...], peers: str, peer: Schema, rules: tuple[Rule, ...] = ()) -> Schema:
    fields = {
        "action": Schema("string", enum=actions),
        "name": Schema("string", most=100),
        "ports": _OLD_PORTS,
        peers: _listed(peer, 100),
    }
    return _listed(Schema("object", fields, required=tuple(sorted(("action", peers))), rules=rules), 100, fewest=None)


@functools.cache
def _old_spec(*, baseline: bool) -> Schema:
    actions = ("Allow", "Deny") if baseline else ("Allow", "Deny", "Pass")
    names = {} if baseline else {"domainNames": _NAMES}
    outside = ("networks", "nodes") if baseline else ("networks", "nodes", "domainNames")
    priority = {} if baseline else {"priority": Schema("integer", fewest=0, most=1000)}
    peer = _one_of(namespaces=SELECTOR, networks=_OLD_CIDRS, nodes=SELECTOR, pods=_BOTH_SELECTORS, **names)
    within = _one_of(namespaces=SELECTOR, pods=_BOTH_SELECTORS)
    named = _no_names_without_pods("ports", "namedPort", *outside)
    fields = {
        "egress": _old_rules(actions, "to", peer, (named,)),
        "ingress": _old_rules(actions, "from", within),
        "subject": within,
        **priority,
    }
    return Schema("object", fields, required=(*sorted(priority), "subject"))


_ONE_NAME = Rule(
    lambda one: one["metadata"].get("name") == "default",
    'Only one baseline admin network policy with metadata.name="default" can be created in the cluster',
)

DEFINITIONS: Mapping[tuple[str, str], Schema] = {
    (V1BETA1, "ClusterNetworkPolicy"): _cluster_network_policy(_NEW_NAMES, _is_masked_cidr),
    (V1ALPHA2, "ClusterNetworkPolicy"): _cluster_network_policy(_NAMES, is_cidr),
    (V1ALPHA1, "AdminNetworkPolicy"): _definition(_old_spec(baseline=False)),
    (V1ALPHA1, "BaselineAdminNetworkPolicy"): _definition(_old_spec(baseline=True), (_ONE_NAME,)),
}
"""By ``apiVersion`` and ``kind``: the whole object, whose metadata is checked elsewhere. Of the versions of a kind the
one that is best known comes last."""
