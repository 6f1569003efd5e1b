"""The cluster, the cases and the plain truth tables of the suites that every enforcer is measured by.

Three namespaces (x, y, z) of three pods (a, b, c) on two nodes, each serving on 80 and 81. A case says its policies as
people write them, and its truth as a function of names and numbers, worked out by hand: no code of ours is in it.

The titles are those of Kubernetes (test/e2e/network/netpol/network_policy.go) and the tags those of Cyclonus, whose
default run leaves out multi-peer, upstream-e2e, example and end-port. As there, loopback is ignored.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from outgate.testing import Manifest, namespace, node, pod, policy
from tests.lab.agent.frames import SCTP, TCP, UDP

__all__ = ["CASES", "CAST", "PODS", "Case", "Truth", "Try", "address"]

NAMES = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
PODS = tuple(f"{space}/{name}" for space in "xyz" for name in "abc")
_PORTS = [
    {"name": f"serve-{number}-{words}", "containerPort": number, "protocol": words.upper()}
    for number in (80, 81)
    for words in NAMES.values()
]


def address(path: str, family: int = 4) -> str:
    """The address of a pod: its namespace is the third byte, its name the fourth."""
    space, name = ("xyz".index(path[0]) + 1, "abc".index(path[2]) + 1)
    return f"10.{2 if path in {'x/c', 'y/b', 'z/a'} else 1}.{space}.{name}" if family == 4 else f"fd00::{space}:{name}"


CAST: list[Manifest] = [
    node("n1", ["192.168.5.1", "fd00:5::1"]),
    node("n2", ["192.168.5.2", "fd00:5::2"]),
    *(namespace(space, ns=space) for space in "xyz"),
    *(
        pod(
            path,
            [address(path), address(path, 6)],
            on="n2" if path in {"x/c", "y/b", "z/a"} else "n1",
            ports=_PORTS,
            pod=path[2],
        )
        for path in PODS
    ),
]
"""Every namespace has pods on both nodes."""


@dataclass(frozen=True, slots=True)
class Try:
    """The beginning of a connection: from whom, to whom, by which protocol, to which port."""

    source: str
    target: str
    protocol: int
    port: int

    @property
    def what(self) -> tuple[int, int]:
        """Protocol and port."""
        return self.protocol, self.port


Truth = Callable[[Try], bool]


def everything(_: Try) -> bool:
    """Nothing is closed."""
    return True


@dataclass(frozen=True)
class Case:
    """Policies and what they come to. With `then`, they are deleted at the end, and that is what it comes to."""

    title: str
    policies: Sequence[Manifest]
    truth: Truth
    ports: tuple[int, ...] = (80, 81)
    then: Truth | None = None


def of(name: str) -> Manifest:
    """A selector of pods by name; of all with an empty one."""
    return {"matchLabels": {"pod": name}} if name else {}


def space(*names: str) -> Manifest:
    """A selector of namespaces."""
    return {"matchExpressions": [{"key": "ns", "operator": "In", "values": list(names)}]}


def to(*peers: Mapping[str, object], ports: Sequence[Mapping[str, object]] = ()) -> Manifest:
    """One rule of egress."""
    return {key: list(some) for key, some in (("to", peers), ("ports", ports)) if some}


def egress(path: str, *rules: Manifest) -> Manifest:
    """A policy for the pods of this namespace and name (``x/`` for all of x), for egress alone."""
    where, name = path.split("/")
    spec = {"podSelector": of(name), "policyTypes": ["Egress"], "egress": list(rules)}
    return policy(f"{where}/egress-{name or 'all'}-{zlib.crc32(repr(rules).encode())}", spec)


def ingress(path: str, *peers: Mapping[str, object]) -> Manifest:
    """A policy that lets these in (everybody with an empty one, nobody with none)."""
    where, name = path.split("/")
    rules = [{} if peers == ({},) else {"from": list(peers)}] if peers else []
    return policy(
        f"{where}/ingress-{name or 'all'}",
        {"podSelector": of(name), "policyTypes": ["Ingress"], "ingress": rules},
    )


def closed(where: str) -> Manifest:
    """The policy that everybody begins with."""
    return policy(f"{where}/default-deny-all", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})


def block(target: str, length: int = 32, *excepts: str) -> Manifest:
    """A block of addresses around a pod."""
    base = address(target)
    cidr = f"{base}/32" if length == 32 else f"{base.rsplit('.', 1)[0]}.0/{length}"
    return {"ipBlock": {"cidr": cidr} | ({"except": [f"{address(one)}/32" for one in excepts]} if excepts else {})}


def port(number: object, protocol: str = "TCP", last: int = 0) -> Manifest:
    """A port of a rule."""
    return {"port": number, "protocol": protocol} | ({"endPort": last} if last else {})


def netpol() -> Iterator[Case]:
    """The egress cases of Kubernetes' own suite."""
    yield Case(
        "should support a default-deny-all policy",
        [closed("x")],
        lambda it: "x" not in {it.source[0], it.target[0]},
    )
    yield Case(
        "should allow egress access on one named port",
        [egress("x/", to(ports=[port("serve-80-tcp")]))],
        lambda it: it.source[0] != "x" or it.what == (TCP, 80),
    )
    yield Case(
        "should deny egress from pods based on PodSelector",
        [egress("x/a")],
        lambda it: it.source != "x/a",
    )
    yield Case(
        "should deny egress from all pods in a namespace",
        [egress("x/")],
        lambda it: it.source[0] != "x",
    )
    yield Case(
        "should work with Ingress, Egress specified together",
        [
            policy(
                "x/both",
                {
                    "podSelector": of("a"),
                    "policyTypes": ["Ingress", "Egress"],
                    "ingress": [{"from": [{"podSelector": of("b")}]}],
                    "egress": [{"ports": [port(80)]}],
                },
            )
        ],
        lambda it: (it.target != "x/a" or it.source == "x/b") and (it.source != "x/a" or it.what == (TCP, 80)),
    )
    yield Case(
        "should support denying of egress traffic on the client side (even if the server explicitly allows this "
        "traffic)",
        [
            egress("x/a", to({"namespaceSelector": space("y"), "podSelector": of("a")})),
            ingress("y/a", {"namespaceSelector": space("x"), "podSelector": of("a")}),
            ingress("y/b", {"namespaceSelector": space("x"), "podSelector": of("a")}),
        ],
        lambda it: (
            (it.source != "x/a" or it.target == "y/a") and (it.target not in {"y/a", "y/b"} or it.source == "x/a")
        ),
    )
    yield Case(
        "should enforce egress policy allowing traffic to a server in a different namespace based on PodSelector and "
        "NamespaceSelector",
        [egress("x/a", to({"namespaceSelector": space("y"), "podSelector": of("a")}))],
        lambda it: it.source != "x/a" or it.target == "y/a",
    )
    yield Case(
        "should enforce multiple egress policies with egress allow-all policy taking precedence",
        [egress("x/", to(ports=[port(80)])), egress("x/", {})],
        everything,
    )
    yield Case(
        "should stop enforcing policies after they are deleted",
        [closed("x")],
        lambda it: "x" not in {it.source[0], it.target[0]},
        then=everything,
    )


def netpol_blocks() -> Iterator[Case]:
    """Those about address blocks and about both directions, and those of SCTP."""
    yield Case(
        "should allow egress access to server in CIDR block",
        [egress("x/a", to(block("y/b")))],
        lambda it: it.source != "x/a" or it.target == "y/b",
    )
    yield Case(
        "should enforce except clause while egress access to server in CIDR block",
        [egress("x/a", to(block("y/a", 24, "y/c")))],
        lambda it: it.source != "x/a" or it.target == "y/a",
    )
    yield Case(
        "should ensure an IP overlapping both IPBlock.CIDR and IPBlock.Except is allowed",
        [egress("x/a", to(block("y/a", 24, "y/a"))), egress("x/a", to(block("y/a")))],
        lambda it: it.source != "x/a" or it.target in {"y/a", "y/c"},
    )
    yield Case(
        "should enforce policies to check ingress and egress policies can be controlled independently based on "
        "PodSelector",
        [egress("x/a"), ingress("x/a", {})],
        lambda it: it.source != "x/a",
    )
    yield Case(
        "should enforce policy based on Ports with SCTP and not TCP (egress)",
        [egress("x/", to(ports=[port(80, "SCTP")]))],
        lambda it: it.source[0] != "x" or it.what == (SCTP, 80),
    )
    yield Case(
        "should not allow access by TCP when a policy specifies only SCTP",
        [
            policy(
                "x/sctp",
                {
                    "podSelector": of("a"),
                    "policyTypes": ["Ingress"],
                    "ingress": [{"ports": [port(81, "SCTP")]}],
                },
            )
        ],
        lambda it: it.target != "x/a" or it.what == (SCTP, 81),
    )
    yield Case(
        "should enforce egress policy with a named SCTP port",
        [egress("x/a", to({"namespaceSelector": space("y")}, ports=[port("serve-81-sctp", "SCTP")]))],
        lambda it: it.source != "x/a" or (it.target[0] == "y" and it.what == (SCTP, 81)),
    )


def multi_peer() -> Iterator[Case]:
    """Cyclonus: several peers in a rule, several rules, several ports."""
    yield Case(
        "multi-peer: peers of one rule add up",
        [egress("x/a", to({"podSelector": of("b")}, {"namespaceSelector": space("y")}, block("z/a")))],
        lambda it: it.source != "x/a" or it.target == "x/b" or it.target in {*YS, "z/a"},
    )
    yield Case(
        "multi-peer: selectors of one peer narrow each other",
        [egress("x/a", to({"podSelector": of("b"), "namespaceSelector": space("y", "z")}))],
        lambda it: it.source != "x/a" or it.target in {"y/b", "z/b"},
    )
    yield Case(
        "multi-peer: each rule has its own ports",
        [
            egress(
                "x/a",
                to({"namespaceSelector": space("y")}, ports=[port(80)]),
                to({"namespaceSelector": space("z")}, ports=[port(81, "UDP"), port(80, "SCTP")]),
            )
        ],
        lambda it: (
            it.source != "x/a"
            or (it.target[0] == "y" and it.what == (TCP, 80))
            or (it.target[0] == "z" and it.what in {(UDP, 81), (SCTP, 80)})
        ),
    )
    yield Case(
        "multi-peer: blocks with exceptions beside pods, on both ends",
        [
            egress("x/a", to(block("y/a", 24, "y/a"), {"podSelector": of("c")}, ports=[port(80), port(80, "UDP")])),
            ingress("y/c", {"namespaceSelector": space("x"), "podSelector": of("b")}, block("x/a")),
        ],
        lambda it: (
            (it.source != "x/a" or (it.target in {"y/c", "x/c"} and it.port == 80 and it.protocol != SCTP))
            and (it.target != "y/c" or it.source in {"x/a", "x/b"})
        ),
    )


def examples() -> Iterator[Case]:
    """Cyclonus: the recipes that everybody copies, as far as they are about egress, and its upstream-e2e cases."""
    yield Case(
        "example: deny all egress but to pods of the own namespace",
        [egress("x/", to({"podSelector": {}}))],
        lambda it: it.source[0] != "x" or it.target[0] == "x",
    )
    yield Case(
        "example: deny egress to other than the cluster",
        [egress("x/", to({"namespaceSelector": {}}))],
        everything,
    )
    yield Case(
        "example: deny all, then allow what is needed",
        [
            closed("x"),
            egress("x/a", to({"podSelector": of("b")}, ports=[port(80)])),
            ingress("x/b", {"podSelector": of("a")}),
        ],
        lambda it: (
            "x" not in {it.source[0], it.target[0]}
            or ((it.source, it.target) == ("x/a", "x/b") and it.what == (TCP, 80))
        ),
    )
    yield Case(
        "upstream-e2e: empty peers and ports allow everything, an empty list of rules nothing",
        [egress("x/a", {"to": [], "ports": []}), egress("x/b")],
        lambda it: it.source != "x/b",
    )
    yield Case(
        "upstream-e2e: a selector by expressions (NotIn, Exists)",
        [
            egress(
                "x/a",
                to(
                    {
                        "namespaceSelector": {
                            "matchExpressions": [{"key": "ns", "operator": "NotIn", "values": ["x"]}]
                        },
                        "podSelector": {
                            "matchExpressions": [
                                {"key": "pod", "operator": "Exists"},
                                {"key": "pod", "operator": "NotIn", "values": ["a", "b"]},
                            ]
                        },
                    }
                ),
            )
        ],
        lambda it: it.source != "x/a" or it.target in {"y/c", "z/c"},
    )
    yield Case(
        "end-port: a range has both its ends, and nothing beside",
        [egress("x/a", to(ports=[port(80, last=82)]), to(ports=[port(81, "UDP", 81)]))],
        lambda it: it.source != "x/a" or (it.protocol == TCP and 80 <= it.port <= 82) or it.what == (UDP, 81),
        ports=(79, 80, 81, 82, 83),
    )
    yield Case(
        "end-port: ranges that overlap and touch, by several policies",
        [
            egress("x/a", to({"namespaceSelector": space("y")}, ports=[port(79, last=80), port(80, last=81)])),
            egress("x/a", to(block("y/a", 24), ports=[port(82, last=90)])),
        ],
        lambda it: (
            it.source != "x/a"
            or (it.protocol == TCP and it.target[0] == "y" and 79 <= it.port <= 81)
            or (it.protocol == TCP and it.target in {"y/a", "y/c"} and 82 <= it.port <= 90)
        ),
        ports=(78, 79, 81, 82, 90, 91),
    )


YS = frozenset(path for path in PODS if path[0] == "y")
CASES: Mapping[str, Case] = {
    one.title: one for some in (netpol(), netpol_blocks(), multi_peer(), examples()) for one in some
}
