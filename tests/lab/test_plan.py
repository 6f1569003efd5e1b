"""Probes are judged before they are sent: who may answer, and what must come of it."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.errors import TooComplex
from outgate.lab import plan
from outgate.lab.plan import Draft, Plan, Planner, Via, echo_coordinate
from outgate.packets import Protocol
from outgate.policy import Endpoint, Verdict
from outgate.proxy.dns import RecordType
from tests.lab.clusters import DNS, SHOP, planner_of

MIXED = (
    SHOP
    + """
apiVersion: v1
kind: Pod
metadata: {name: db2, namespace: shop, labels: {app: db, bad: "yes"}}
spec: {nodeName: n2, containers: [{name: c, image: x, ports: [{name: pg, containerPort: 5433}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchExpressions: [{key: bad, operator: DoesNotExist}]}}]}]
"""
)


def end(made: Planner, name: str, version: int = 4) -> Endpoint:
    """A pod of the shop as an end."""
    pod = made.judge.policies.snapshot.pod(*name.split("/"))
    assert pod is not None
    found = Endpoint.of_pod(pod, version)
    assert found is not None
    return found


def service_draft(made: Planner) -> Draft:
    """Web to the Service db, with all its backends."""
    snapshot = made.judge.policies.snapshot
    service = snapshot.service("shop", "db")
    assert service is not None
    address = service.cluster_ips[0]
    ends = tuple((pod.addresses[0], pod.ports[0].port) for pod in snapshot.backends(service))
    return Draft(end(made, "shop/web"), address, Protocol.TCP, 5432, Via.SERVICE, ends, str(service))


def test_a_service_is_judged_after_translation_for_each_backend() -> None:
    """The verdict for the Service's own address would be about nobody (docs/decisions/0003)."""
    made = planner_of(MIXED)
    made.add([service_draft(made)])
    (probe,) = made.probes
    assert [(party.box, party.port, party.verdict.value) for party in probe.parties] == [
        (made.topology.pods["shop", "db"].namespace, 5432, "Allow"),
        (made.topology.pods["shop", "db2"].namespace, 5433, "Deny"),
    ]
    # Silence may mean that the denied one was picked.
    assert probe.verdict is Verdict.DENY


def test_a_flow_is_probed_once() -> None:
    """Two reasons for one flow are one packet, and one cell."""
    made = planner_of(SHOP)
    draft = Draft(end(made, "shop/web"), end(made, "shop/db").address, Protocol.TCP, 5432, Via.POD)
    made.add([draft, draft])
    made.add([draft])
    assert len(made.probes) == 1


def test_a_name_needs_its_question_answered() -> None:
    """Where DNS is denied, the name is dead although the connection would be allowed."""
    policy = (
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\n"
        "spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}\n"
    )
    address = ipaddress.ip_address("203.0.113.7")
    made = planner_of(DNS + SHOP + policy, {"api.example.com": (address,)})
    made.add([Draft(end(made, "shop/web"), address, Protocol.TCP, 443, Via.NAME, name="api.example.com")])
    (probe,) = made.probes
    assert probe.parties[0].verdict is Verdict.ALLOW
    assert probe.lookup is not None
    assert (probe.lookup.verdict, probe.verdict) == (Verdict.DENY, Verdict.DENY)
    assert (probe.lookup.kind, probe.lookup.expected) == (RecordType.A, (address,))


def test_names_of_ipv6_are_asked_of_the_server_that_there_is() -> None:
    """A dual-stack pod asks its IPv4 server for AAAA as well; the lab must not leave those names out."""
    fixed = DNS.replace("spec: {selector", "spec: {clusterIP: 10.96.0.10, selector")
    address = ipaddress.ip_address("2001:db8::7")
    made = planner_of(fixed + SHOP, {"api.example.com": (address,)})
    made.add([Draft(end(made, "shop/web", 6), address, Protocol.TCP, 443, Via.NAME, name="api.example.com")])
    lookup = made.probes[0].lookup
    assert lookup is not None
    assert (lookup.source.version, str(lookup.server), lookup.kind) == (4, "10.96.0.10", RecordType.AAAA)


def test_listeners_are_all_who_may_answer() -> None:
    """A port where nobody listens is refused, and looks like a policy."""
    made = planner_of(MIXED)
    made.add([service_draft(made)])
    boxes = made.topology.pods
    assert Plan(tuple(made.probes)).listeners() == {
        boxes["shop", "db"].namespace: {(Protocol.TCP, 5432)},
        boxes["shop", "db2"].namespace: {(Protocol.TCP, 5433)},
    }


def test_an_echo_is_judged_by_its_type() -> None:
    """Type 8 of ICMP and 128 of ICMPv6 are echo requests; as a port they would be something else."""
    assert (echo_coordinate(4), echo_coordinate(6)) == (2048, 32768)
    made = planner_of(SHOP)
    made.add([Draft(end(made, "shop/web", 6), end(made, "shop/db", 6).address, Protocol.ICMPV6, 0, Via.POD)])
    assert made.probes[0].parties[0].trace.flow.coordinate == 32768


def test_a_plan_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that is thinned out in silence would say "no disagreement" about flows that nobody tried."""
    monkeypatch.setattr(plan, "MAX_PROBES", 2)
    made = planner_of(SHOP)
    source, target = end(made, "shop/web"), end(made, "shop/db").address
    with pytest.raises(TooComplex, match="more than 2 probes"):
        made.add(Draft(source, target, Protocol.TCP, port, Via.POD) for port in range(1, 4))
