"""Which ports are probed: what somebody mentions, the borders of ranges, one that nobody does, and nothing else."""

from __future__ import annotations

import pytest

from outgate.lab.addressing import address
from outgate.lab.ports import Ports
from outgate.packets import Protocol
from outgate.policy import Policies
from tests.lab.clusters import SHOP, snapshot_of

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: p, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: {subject}}}}}
  policyTypes: [{direction}]
  {section}: [{{ports: {ports}}}]
"""


def between(subject: str, direction: str, ports: str) -> set[tuple[str, int]]:
    """The ports from web to db under a policy with these ports."""
    section = direction.lower()
    policy = POLICY.format(subject=subject, direction=direction, section=section, ports=ports)
    snapshot = snapshot_of(SHOP + policy)
    made = Ports(Policies(snapshot))
    web, db = (snapshot.pod("shop", name) for name in ("web", "db"))
    assert web is not None
    assert db is not None
    return {(protocol.name, port) for protocol, port in made.between(web, db)}


@pytest.mark.parametrize("subject_and_direction", [("web", "Egress"), ("db", "Ingress")])
def test_policies_at_either_end_count(subject_and_direction: tuple[str, str]) -> None:
    """A port that a policy mentions is the first that anybody wants to see."""
    found = between(*subject_and_direction, "[{port: 443}, {port: 161, protocol: UDP}]")
    assert found == {("TCP", 443), ("UDP", 161), ("TCP", 5432), ("TCP", 49152)}


def test_policies_of_others_do_not_count() -> None:
    """The plan would grow with every policy of the cluster."""
    assert between("db", "Egress", "[{port: 443}]") == {("TCP", 5432), ("TCP", 49152)}


def test_a_range_is_probed_at_both_borders() -> None:
    """A rule that is off by one shows on the last port inside or the first outside."""
    found = between("web", "Egress", "[{port: 8000, endPort: 9000}]")
    assert {("TCP", port) for port in (7999, 8000, 9000, 9001)} <= found


@pytest.mark.parametrize("ports", ["[{port: 1, endPort: 65535}]", "[{port: 60000, endPort: 65535}]"])
def test_borders_stay_within_what_a_port_can_be(ports: str) -> None:
    """Port 0 and port 65536 cannot be dialled."""
    assert all(0 < port <= 65535 for _, port in between("web", "Egress", ports))


def test_a_named_port_is_the_destinations() -> None:
    """types.go, NetworkPolicyPort.port: on egress the name is looked up on each destination."""
    assert ("TCP", 5432) in between("web", "Egress", "[{port: pg}]")
    assert ("TCP", 8080) not in between("web", "Egress", "[{port: http}]")


def test_a_protocol_without_a_port_is_probed_somewhere() -> None:
    """A rule for all of UDP would otherwise never be seen."""
    assert ("UDP", 49152) in between("web", "Egress", "[{protocol: UDP}]")


def test_the_unmentioned_port_is_mentioned_by_nobody() -> None:
    """If the default choice is taken, another one must be made, or "other ports" would mean a port with a rule."""
    assert ("TCP", 49155) in between("web", "Egress", "[{port: 49152, endPort: 49154}]")
    below = between("web", "Egress", "[{port: 40000, endPort: 65535}]")
    assert ("TCP", 1) in below
    snapshot = snapshot_of(
        SHOP + POLICY.format(subject="web", direction="Egress", section="egress", ports="[{port: 1, endPort: 65535}]")
    )
    assert Ports(Policies(snapshot)).unmentioned is None


def test_services_lead_to_ports_of_pods() -> None:
    """A Service may lead to a port that no container declares."""
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: shop}\n"
    service += "spec: {selector: {app: web}, ports: [{port: 80, targetPort: 3000}]}\n"
    snapshot = address(snapshot_of(SHOP + service))
    web = snapshot.pod("shop", "web")
    assert web is not None
    assert (Protocol.TCP, 3000) in Ports(Policies(snapshot)).between(None, web)
    assert (Protocol.TCP, 80) not in Ports(Policies(snapshot)).between(None, web)
