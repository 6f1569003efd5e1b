"""Policies of Cilium's for tests: a builder, strategies for Hypothesis, and the same by chance.

    snapshot_of([cilium_policy("shop/p", {"endpointSelector": {}, "egress": [{"toEntities": ["world"]}]})])

What is drawn is what the API server and the agent take, with every kind of peer, lists that are absent, null and empty,
ports of all forms, and rules of HTTP and DNS. The pods, namespaces and blocks are those of `outgate.testing`, so that
the policies meet the clusters that are drawn there.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from outgate.testing_policies import Choose

__all__ = ["cidr_group", "cilium_policies", "cilium_policy", "drawn_cilium_policy", "random_cilium_policies"]

Manifest = dict[str, Any]

_NAMESPACES = ("alpha", "beta", "gamma")
_KEYS = ("app", "k8s:app", "any:tier", "tier", "pod-template-hash", "k8s:io.kubernetes.pod.namespace")
_NAMESPACE_KEYS = ("io.kubernetes.pod.namespace", "k8s:io.cilium.k8s.namespace.labels.team")
_VALUES = {"app": ("web", "db"), "tier": ("front", "back"), "namespace": _NAMESPACES, "team": ("red", "blue")}
_BLOCKS = ("0.0.0.0/0", "203.0.113.0/24", "203.0.113.0/25", "10.1.0.0/24", "::/0", "2001:db8::/32")
_HOLES = {"0.0.0.0/0": ("10.0.0.0/8", "203.0.113.0/24"), "203.0.113.0/24": ("203.0.113.16/28",), "::/0": ("fc00::/7",)}
_ENTITIES = ("all", "world", "cluster", "host", "remote-node", "kube-apiserver", "none")
_NUMBERS = ("80", "81", "53", "443", "8080", "0")


def cilium_policy(path: str, spec: Mapping[str, object]) -> Manifest:
    """A CiliumNetworkPolicy, named ``namespace/name``; by a name alone, a CiliumClusterwideNetworkPolicy."""
    space, slash, name = path.rpartition("/")
    kind = "CiliumNetworkPolicy" if slash else "CiliumClusterwideNetworkPolicy"
    metadata = {"name": name, "namespace": space} if slash else {"name": name}
    return {"apiVersion": "cilium.io/v2", "kind": kind, "metadata": metadata, "spec": dict(spec)}


def cidr_group(name: str, *blocks: str, **labels: str) -> Manifest:
    """A CiliumCIDRGroup."""
    spec = {"externalCIDRs": list(blocks)}
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup", "metadata": metadata, "spec": spec}


def cilium_policies() -> st.SearchStrategy[Manifest]:
    """Policies of both kinds, called "p", that are accepted."""

    @st.composite
    def strategy(draw: st.DrawFn) -> Manifest:
        return drawn_cilium_policy(lambda options: options[draw(st.integers(0, len(options) - 1))])

    return strategy()


def random_cilium_policies(seed: int, count: int) -> list[Manifest]:
    """So many policies, ``k0`` and on, for the pods of `outgate.testing.random_cluster`; the same for the same seed."""
    choose = random.Random(seed).choice  # noqa: S311 - chance, not secrecy
    made = [drawn_cilium_policy(choose) for _ in range(count)]
    return [one | {"metadata": one["metadata"] | {"name": f"k{number}"}} for number, one in enumerate(made)]


def drawn_cilium_policy(choose: Choose) -> Manifest:
    """A policy called "p", put together from choices."""
    path = choose(("alpha/p", "alpha/p", "beta/p", "p"))
    sections = choose((("egress",), ("egress", "egressDeny"), ("egress", "ingress"), ("egressDeny",), ("ingressDeny",)))
    spec: Manifest = {"endpointSelector": choose(({}, _selector(choose, ("app", "tier", "k8s:app"))))}
    for section in sections:
        spec[section] = [_rule(choose, section) for _ in range(choose((1, 1, 2)))]
    if choose((False, False, False, True)):
        spec["enableDefaultDeny"] = {choose(("egress", "ingress")): choose((True, False))}
    if choose((False, False, False, True)):
        more = {"endpointSelector": {}, "egress": [_rule(choose, "egress")]}
        return cilium_policy(path, spec) | {"specs": [more]}
    return cilium_policy(path, spec)


def _rule(choose: Choose, section: str) -> Manifest:
    side, deny = ("to" if section.startswith("egress") else "from"), section.endswith("Deny")
    kinds = ["Endpoints", "Endpoints", "CIDR", "CIDRSet", "Entities", "Nodes", ""]
    if side == "to":
        kinds += ["Services"] if deny else ["Services", "FQDNs"]
    kind = choose(kinds)
    rule: Manifest = {}
    if kind:
        some = [_peer(choose, kind) for _ in range(choose((1, 1, 2)))]
        nothing: Sequence[object] = (some, some, some, some, [], None)
        rule[side + kind] = choose(nothing)
    match choose(("none", "ports", "ports", "icmps")):
        case "ports":
            rule["toPorts"] = [_entry(choose, side, deny=deny) for _ in range(choose((1, 1, 2)))]
        case "icmps":
            rule["icmps"] = [
                {"fields": [choose(({"type": 8}, {"type": "EchoReply"}, {"family": "IPv6", "type": 128}))]}
            ]
    return rule


def _selector(choose: Choose, keys: Sequence[str]) -> Manifest:
    key = choose(keys)
    values = next(values for part, values in (*_VALUES.items(), ("", ("x",))) if key.endswith(part))
    match choose(("nothing", "labels", "labels", "In", "NotIn", "Exists", "DoesNotExist")):
        case "nothing":
            return {}
        case "labels":
            return {"matchLabels": {key: choose(values)}}
        case "Exists" | "DoesNotExist" as operator:
            return {"matchExpressions": [{"key": key, "operator": operator}]}
        case operator:
            return {"matchExpressions": [{"key": key, "operator": operator, "values": [choose(values)]}]}


def _peer(choose: Choose, kind: str) -> object:
    match kind:
        case "Endpoints":
            return _selector(choose, (*_KEYS, *_NAMESPACE_KEYS))
        case "CIDR":
            return choose(_BLOCKS)
        case "CIDRSet":
            return _cidr_rule(choose)
        case "Entities":
            return choose(_ENTITIES)
        case "Nodes":
            return choose(({}, {"matchLabels": {"zone": "a"}}))
        case "Services":
            name = {"k8sService": {"serviceName": "web", "namespace": choose(_NAMESPACES)}}
            return choose((name, {"k8sServiceSelector": {"selector": {"matchLabels": {"app": "web"}}}}))
        case _:
            return choose(({"matchName": "www.example.org"}, {"matchPattern": "*.example.org"}, {"matchPattern": "*"}))


def _cidr_rule(choose: Choose) -> Manifest:
    block, less = choose(_BLOCKS), choose((True, False))
    holes = _HOLES.get(block, ())
    if holes and less:
        return {"cidr": block, "except": [choose(holes)]}
    group: Sequence[Manifest] = ({"cidr": block}, {"cidr": block}, {"cidrGroupRef": "g"})
    return choose((*group, {"cidrGroupSelector": {"matchLabels": {"a": "b"}}}))


def _entry(choose: Choose, side: str, *, deny: bool) -> Manifest:
    """An entry of ``toPorts``, with rules of a protocol now and then."""
    forms = ("plain", "plain", "plain") if deny else ("plain", "plain", "http", "dns", "names")
    match choose(forms):
        case "http":
            requests: Sequence[Manifest] = (
                {},
                {"method": "GET|HEAD"},
                {"path": "/public/.*"},
                {"headers": ["X-Key a"]},
            )
            some = [choose(requests) for _ in range(choose((1, 2)))]
            return {
                "ports": [{"port": choose(("80", "8080")), "protocol": "TCP"}],
                "rules": {"http": choose((some, []))},
            }
        case "dns" if side == "to":
            names: Sequence[Manifest] = ({"matchPattern": "*"}, {"matchName": "www.example.org"})
            return {"ports": [{"port": "53", "protocol": choose(("UDP", "ANY"))}], "rules": {"dns": [choose(names)]}}
        case "names":
            return {"ports": [{"port": "443", "protocol": "TCP"}], "serverNames": ["*.example.org"]}
    return {"ports": [_port(choose) for _ in range(choose((1, 1, 2, 0)))]}


def _port(choose: Choose) -> Manifest:
    protocols: Sequence[Manifest] = ({}, {"protocol": "TCP"}, {"protocol": "UDP"}, {"protocol": "SCTP"})
    match choose(("number", "number", "name", "range")):
        case "number":
            return {"port": choose(_NUMBERS)} | choose(protocols)
        case "name":
            return {"port": choose(("http", "Dns"))} | choose(protocols)
    return {"port": "80", "endPort": choose((81, 8080))} | choose(protocols)
