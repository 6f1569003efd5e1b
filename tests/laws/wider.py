"""What random policies of Cilium's seldom or never have, put into some that were drawn.

Selectors of several requirements over every sort of label, entities that nobody is, ports on the borders and names
in another case, every ICMP type, holes in groups of blocks, Services by what they lack, the API server in a pod, a node
with an address outside, and defaults of denial that two policies do not share.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any

from outgate.testing import Manifest

__all__ = ["widened"]

_LABELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("app", ("web", "db")),
    ("any:app", ("web", "db", "")),
    ("tier", ("front", "back")),
    ("pod-template-hash", ("x",)),
    ("k8s:io.kubernetes.pod.namespace", ("alpha", "beta", "gamma")),
    ("io.cilium.k8s.namespace.labels.team", ("red", "blue", "")),
    ("io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name", ("alpha", "beta")),
    ("k8s:io.cilium.k8s.policy.serviceaccount", ("robot", "default")),
)
_ENTITIES = ("ingress", "init", "health", "unmanaged", "world", "host", "all", "cluster", "kube-apiserver")
_PORTS = ("0", "1", "80", "81", "443", "65535", "HTTP", "web", "dns")
_MESSAGES: tuple[Manifest, ...] = (
    *({"type": kind} for kind in (0, 3, 255, "EchoRequest")),
    *({"family": "IPv6", "type": kind} for kind in (1, 255)),
)
_BLOCKS = ("0.0.0.0/0", "::/0", "0.0.0.0/1", "8000::/1", "192.168.50.12/32", "10.1.0.11/32", "fd00:1::a/127")
_SETS: tuple[Manifest, ...] = (
    {"cidrGroupRef": "g", "except": ["203.0.113.16/30"]},
    {"cidrGroupSelector": {}, "except": ["10.1.0.0/24", "203.0.113.0/24"]},
    {"cidr": "192.168.0.0/16"},
    {"cidr": "fd00::/8", "except": ["fd00:1::/64"]},
)
_SERVICES: tuple[Manifest, ...] = (
    *({"k8sServiceSelector": {"selector": {}, **more}} for more in ({}, {"namespace": "beta"})),
    {"k8sService": {"serviceName": "web"}},
    {
        "k8sServiceSelector": {
            "selector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}
        }
    },
)
_OUTSIDE = {"node-a": ("203.0.113.20", "2001:db8:1::20"), "node-b": ("203.0.113.130",), "node-c": ("10.1.0.200",)}


def widened(manifests: Sequence[Manifest], seed: int) -> list[Manifest]:
    """The same cluster, whose policies of Cilium's say some of this; the same for the same seed."""
    chance, made = random.Random(seed), copy.deepcopy(list(manifests))
    inside = [one["ip"] for pod in made if pod["kind"] == "Pod" for one in pod["status"].get("podIPs", ())]
    for one in made:
        match one["kind"]:
            case "CiliumNetworkPolicy" | "CiliumClusterwideNetworkPolicy":
                for spec in (one["spec"], *one.get("specs", ())):
                    _widen(spec, chance)
            case "EndpointSlice" if chance.random() < 0.3:
                family = [end for end in inside if (":" in end) == (one["addressType"] == "IPv6")]
                one["endpoints"] += [{"addresses": [end]} for end in chance.sample(family, min(1, len(family)))]
            case "Node" if chance.random() < 0.3:
                more = {"type": "ExternalIP", "address": chance.choice(_OUTSIDE[one["metadata"]["name"]])}
                one["status"]["addresses"].append(more)
    return made


def _widen(spec: Manifest, chance: random.Random) -> None:
    for section in ("egress", "egressDeny", "ingress", "ingressDeny"):
        for rule in spec.get(section) or ():
            side = "to" if section.startswith("egress") else "from"
            for kind, many in _peers(chance):
                if rule.get(f"{side}{kind}") and chance.random() < 0.3:
                    rule[f"{side}{kind}"] = many
            if rule.get("icmps") and chance.random() < 0.3:
                rule["icmps"] = [{"fields": [chance.choice(_MESSAGES) for _ in range(2)]}]
            for entry in rule.get("toPorts") or ():
                _widen_ports(entry, chance)
    if chance.random() < 0.3:
        spec["enableDefaultDeny"] = {"egress": chance.random() < 0.5, "ingress": chance.random() < 0.5}
    if chance.random() < 0.15:
        spec["endpointSelector"] = _selector(chance)


def _peers(chance: random.Random) -> Iterator[tuple[str, list[Any]]]:
    yield "Entities", [chance.choice(_ENTITIES) for _ in range(chance.choice((1, 2)))]
    yield "Endpoints", [_selector(chance) for _ in range(chance.choice((1, 2)))]
    yield "CIDRSet", [chance.choice(_SETS)]
    yield "CIDR", [chance.choice(_BLOCKS)]
    yield "Services", [chance.choice(_SERVICES)]


def _widen_ports(entry: Manifest, chance: random.Random) -> None:
    """What stands above ports keeps them: its rules are refused with others."""
    for one in () if entry.get("rules") or entry.get("serverNames") else entry.get("ports") or ():
        if chance.random() < 0.25:
            one.pop("endPort", None)
            one["port"] = chance.choice(_PORTS)
            if one["port"].isdigit() and one["port"] != "0" and chance.random() < 0.5:
                one["endPort"] = chance.choice((int(one["port"]), 65535))
        if chance.random() < 0.1:
            one["protocol"] = "ANY"


def _selector(chance: random.Random) -> Manifest:
    found: Manifest = {}
    if chance.random() < 0.6:
        found["matchLabels"] = {
            key: chance.choice(values) for key, values in chance.sample(_LABELS, chance.choice((1, 1, 2)))
        }
    if chance.random() < 0.6:
        found["matchExpressions"] = [_requirement(chance) for _ in range(chance.choice((1, 1, 2)))]
    return found


def _requirement(chance: random.Random) -> Manifest:
    key, values = chance.choice(_LABELS)
    operator = chance.choice(("In", "NotIn", "Exists", "DoesNotExist"))
    if operator in ("Exists", "DoesNotExist"):
        return {"key": key, "operator": operator}
    return {"key": key, "operator": operator, "values": sorted({chance.choice(values) for _ in range(2)})}
