"""A generator of clusters of a realistic shape, from a fixed seed.

Shape: namespaces hold applications; an application is a kind of pod (labels and ports) with replicas;
policies are those found in practice: a default deny and a DNS rule for each namespace, and for each
application some rules to applications of its own and of other namespaces, to address blocks with
exceptions, by number, range and name of ports.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from dataclasses import dataclass

from outgate.model import (
    BlockPeer,
    ContainerPort,
    Direction,
    LabelSelector,
    Namespace,
    NetworkPolicy,
    Node,
    Pod,
    PodPeer,
    PolicyPort,
    PolicyRule,
    Snapshot,
)

__all__ = ["Shape", "generate"]

_EGRESS = frozenset({Direction.EGRESS})
_BOTH = frozenset(Direction)
_DNS_PORTS = (PolicyPort("UDP", 53), PolicyPort("TCP", 53))


@dataclass(frozen=True, slots=True)
class Shape:
    """How large. `kinds` is the number of applications, `local` the number of pods on the first node."""

    pods: int = 10_000
    policies: int = 1_000
    namespaces: int = 50
    kinds: int = 400
    local: int = 110
    seed: int = 7


def generate(shape: Shape) -> Snapshot:
    """The same snapshot for the same shape, always."""
    dice = random.Random(shape.seed)  # noqa: S311 - a fixed seed is the point
    names = [f"team-{number:03}" for number in range(shape.namespaces)]
    namespaces = [
        Namespace(name, {"team": f"t{i % 10}", "env": ("prod", "dev")[i % 2]}) for i, name in enumerate(names)
    ]
    pods = list(_pods(shape, names))
    policies = list(_policies(shape, names, dice))
    nodes = [Node(f"node-{number}") for number in range(-(-shape.pods // shape.local))]
    return Snapshot.of(
        namespaces=[*namespaces, Namespace("kube-system")], pods=[*pods, *_dns()], nodes=nodes, policies=policies
    )


def _pods(shape: Shape, names: list[str]) -> Iterator[Pod]:
    base4, base6 = int(ipaddress.IPv4Address("10.0.0.0")), int(ipaddress.IPv6Address("fd00:10::"))
    for number in range(shape.pods):
        kind = number % shape.kinds
        yield Pod(
            names[kind % shape.namespaces],
            f"app-{kind}-{number}",
            {"app": f"app-{kind}", "tier": ("web", "api", "db")[kind % 3]},
            (ipaddress.IPv4Address(base4 + number + 1), ipaddress.IPv6Address(base6 + number + 1)),
            node=f"node-{number // shape.local}",
            ports=(ContainerPort(8000 + kind % 20, "TCP", "http"),),
        )


def _dns() -> Iterator[Pod]:
    for number in range(2):
        address = ipaddress.IPv4Address("10.200.0.2") + number
        yield Pod("kube-system", f"coredns-{number}", {"k8s-app": "kube-dns"}, (address,), node=f"node-{number}")


def _policies(shape: Shape, names: list[str], dice: random.Random) -> Iterator[NetworkPolicy]:
    made = 0
    for name in names:
        yield NetworkPolicy(name, "default-deny", types=_BOTH)
        yield NetworkPolicy(name, "allow-dns", types=_EGRESS, egress=(_dns_rule(),))
        made += 2
    while made < shape.policies:
        kind = made % shape.kinds
        yield NetworkPolicy(
            names[kind % shape.namespaces],
            f"app-{kind}-{made}",
            LabelSelector.of({"app": f"app-{kind}"}),
            _BOTH,
            egress=tuple(_rule(shape, dice) for _ in range(dice.randint(1, 3))),
            ingress=tuple(_rule(shape, dice) for _ in range(dice.randint(1, 2))),
        )
        made += 1


def _dns_rule() -> PolicyRule:
    peer = PodPeer(LabelSelector.of({"k8s-app": "kube-dns"}), LabelSelector())
    return PolicyRule((peer,), _DNS_PORTS)


def _rule(shape: Shape, dice: random.Random) -> PolicyRule:
    kind = dice.randrange(shape.kinds)
    choice = dice.random()
    if choice < 0.5:
        return PolicyRule(
            (PodPeer(LabelSelector.of({"app": f"app-{kind}"}), LabelSelector()),), (PolicyPort("TCP", "http"),)
        )
    if choice < 0.75:
        team = LabelSelector.of({"team": f"t{kind % 10}"})
        return PolicyRule((PodPeer(LabelSelector.of({"tier": "api"}), team),), (PolicyPort("TCP", 8000, 8019),))
    block = ipaddress.IPv4Network((int(ipaddress.IPv4Address("198.18.0.0")) + (kind << 8), 24))
    hole = next(block.subnets(new_prefix=28))
    return PolicyRule((BlockPeer(block, (hole,)),), (PolicyPort("TCP", 443), PolicyPort("TCP", 8000, 8100)))
