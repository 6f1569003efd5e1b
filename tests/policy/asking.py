"""One small cluster, and flows written as a line of text: ``shop/web data/db TCP/5432 allow``.

A line names source, destination, protocol with port, and what must come out: allow, deny or unspecified. Sources and
destinations are ``ns/pod``, ``node:name``, ``ip:address`` or ``svc:ns/name``. Each line is asked of `judge` and
of `decide`, and the two must agree on the verdict and on who is named for it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from outgate.model import Direction, Snapshot
from outgate.model.services import ServiceRoute, resolve, translate
from outgate.packets import Address, Protocol
from outgate.policy import OUTGATE, Endpoint, Flow, Judge, Policies, Profile, Side, Trace, decide
from outgate.policy.trace import as_seen
from outgate.testing import Manifest, namespace, node, pod, policy, service, snapshot_of
from tests.slices import endpoint_slice

__all__ = ["TOWN", "Asked", "Row", "answer", "ask", "flow_of", "names", "read", "sides"]

TOWN: list[Manifest] = [
    namespace("shop", team="red"),
    namespace("data", team="blue", tier="db"),
    namespace("mon"),
    node("n1", ["192.168.50.11", "fd00:50::11"], zone="a"),
    node("n2", ["192.168.50.12", "fd00:50::12"], zone="b"),
    pod(
        "shop/web",
        ["10.1.0.10", "fd00:1::10"],
        on="n1",
        app="web",
        ver="v1",
        ports=[{"name": "http", "containerPort": 8080}],
    ),
    pod(
        "shop/api",
        ["10.1.0.11", "fd00:1::11"],
        on="n2",
        app="api",
        ports=[{"name": "http", "containerPort": 9090}, {"name": "metrics", "containerPort": 9100}],
    ),
    pod("shop/plain", ["10.1.0.12", "fd00:1::12"], on="n1"),
    pod(
        "data/db",
        ["10.1.1.20", "fd00:1::20"],
        on="n2",
        app="db",
        role="primary",
        ports=[{"name": "pg", "containerPort": 5432}],
    ),
    pod("data/cache", ["10.1.1.21"], on="n1", app="cache", role="", ports=[{"name": "http", "containerPort": 6379}]),
    pod("data/web", ["10.1.1.22"], on="n2", app="web", ports=[{"name": "http", "containerPort": 8080}]),
    pod("mon/agent", ["10.1.2.30"], on="n1", ports=[{"name": "http", "containerPort": 80, "protocol": "UDP"}]),
    pod(
        "mon/host",
        ["192.168.50.12", "fd00:50::12"],
        on="n2",
        host_network=True,
        app="host",
        ports=[{"name": "http", "containerPort": 9100}],
    ),
    service("shop/web", "10.96.1.1", [{"port": 80, "targetPort": "http"}], app="web"),
    service("data/cache", "10.96.1.2", [{"port": 80, "targetPort": 6379, "nodePort": 30080}], app="cache"),
    service("data/ext", "10.96.2.2", [{"port": 443}]),
    endpoint_slice("data/ext", "203.0.113.50", name="ext-1", port=8443),
]
"""Three namespaces, two nodes, a host-network pod, and Services with and without a selector."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A flow as a test writes it."""

    source: str
    destination: str
    protocol: str = "TCP"
    port: int = 0
    family: int = 4


class Row:
    """One row of the semantics: a policy in `within`, by its spec, and the flows that show what it means."""

    def __init__(self, name: str, spec: Mapping[str, object] | None, *lines: str, within: str = "shop") -> None:
        self.name = name
        self.manifests = [policy(f"{within}/p", spec)] if spec is not None else []
        self.lines = lines

    def also(self, path: str, spec: Mapping[str, object]) -> Row:
        """The same row with one policy more."""
        self.manifests.append(policy(path, spec))
        return self

    def complaints(self) -> list[str]:
        """The lines that come out otherwise, with what they came out as."""
        snapshot = snapshot_of([*TOWN, *self.manifests])
        found = []
        for line in self.lines:
            asked, expected = read(line)
            got = answer(ask(snapshot, asked))
            if got != expected:
                found.append(f"{line}: {got}")
        return found


def read(line: str) -> tuple[Asked, str]:
    """A line as a flow and what must come out."""
    source, destination, what, expected = line.split()
    protocol, _, port = what.partition("/")
    family = 6 if protocol.endswith("v6") else 4
    return Asked(source, destination, protocol.removesuffix("v6"), int(port or 0), family), expected


def answer(trace: Trace) -> str:
    """The verdict in one word."""
    if not trace.specified:
        return "unspecified"
    return "allow" if trace.verdict.allows else "deny"


def ask(snapshot: Snapshot, asked: Asked, profile: Profile = OUTGATE) -> Trace:
    """One flow through `judge`, checked against `decide` on the way."""
    policies = Policies(snapshot, profile)
    flow = flow_of(snapshot, asked)
    trace = Judge(policies).judge(flow)
    for side in (trace.egress, trace.ingress):
        seen = as_seen(policies, flow, side.direction)
        ends = (seen.source, seen.destination)
        subject, peer = ends if side.direction is Direction.EGRESS else ends[::-1]
        hairpin = seen.dialled is not None and seen.source.pod == seen.destination.pod
        if not hairpin:
            _check(policies, side, subject, peer, seen)
    return trace


def _check(policies: Policies, side: Side, subject: Endpoint, peer: Endpoint, flow: Flow) -> None:
    if subject.pod is None:
        assert side.verdict.allows
        return
    parts = decide(policies, subject.pod, side.direction).parts
    (part,) = [one for one in parts if one.packets.contains(peer.address, flow.protocol, flow.coordinate)]
    assert (part.verdict, part.origin) == (side.verdict, side.decided_by), f"{side} but decide says {part}"


def flow_of(snapshot: Snapshot, asked: Asked) -> Flow:
    """A flow as the network has it: after the translation of what was dialled."""
    protocol = Protocol[asked.protocol]
    echo = {Protocol.ICMP: 8 << 8, Protocol.ICMPV6: 128 << 8}
    coordinate = asked.port if protocol.has_ports else echo[protocol]
    route, dialled = _route(snapshot, asked)
    if route is None:
        destination = _end(snapshot, asked.destination, asked.family)
    else:
        (backend,) = [one for one in route.backends if one.address.version == asked.family]
        destination = Endpoint.at(snapshot, backend.address)
        coordinate = backend.port
    source = _end(snapshot, asked.source, destination.address.version)
    return Flow(source, destination, int(protocol), coordinate, dialled)


def _route(snapshot: Snapshot, asked: Asked) -> tuple[ServiceRoute | None, tuple[Address, int] | None]:
    """The translation on the way, and what the client dialled: kube-proxy's DNAT runs before policy (A5)."""
    kind, _, name = asked.destination.partition(":")
    if kind == "svc":
        found = snapshot.service(*name.split("/"))
        assert found is not None
        routes = [one for one in resolve(snapshot, found) if (one.port, one.protocol) == (asked.port, asked.protocol)]
        (route,) = [one for one in routes if not one.node_port and not one.external]
        return route, (route.address, asked.port) if route.address is not None else None
    if kind not in ("ip", "node"):
        return None, None
    address = _end(snapshot, asked.destination, asked.family).address
    claimed = translate(snapshot, address, asked.protocol, asked.port)
    return claimed, (address, asked.port) if claimed is not None else None


def _end(snapshot: Snapshot, text: str, family: int) -> Endpoint:
    kind, colon, name = text.partition(":")
    if not colon or kind == "pod":
        found = snapshot.pod(*(name if colon else text).split("/"))
        assert found is not None, text
        return Endpoint.of_pod(found, family) or Endpoint(found.addresses[0], found)
    if kind == "node":
        there = snapshot.nodes[name]
        return Endpoint.of_node(there, family) or Endpoint(there.addresses[0], None, there)
    return Endpoint.at(snapshot, ipaddress.ip_address(name))


def sides(trace: Trace) -> dict[Direction, str]:
    """The verdict of each end."""
    return {side.direction: "allow" if side.verdict.allows else "deny" for side in (trace.egress, trace.ingress)}


def names(rows: Iterable[Row]) -> list[str]:
    """The names of the rows, which are the names of the tests."""
    return [row.name for row in rows]
