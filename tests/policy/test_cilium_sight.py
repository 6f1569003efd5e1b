"""What an agent cannot see closes, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.model import CiliumPolicy, Service
from outgate.model.cilium import ServicePeer
from outgate.policy.cilium_sight import API_SERVER, Sight, seen_by_agent, unseen
from outgate.testing import snapshot_of
from outgate.testing_cilium import cilium_policy

BOTH = {"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "robot"}}
SERVICE = {"toServices": [{"k8sService": {"serviceName": "x", "namespace": "b"}}]}


def read(**spec: Any) -> CiliumPolicy:
    """A policy of namespace a."""
    (policy,) = snapshot_of([cilium_policy("a/p", {"endpointSelector": {}, **spec})]).cilium_policies
    return policy


@pytest.mark.parametrize("every", [True, False])
def test_what_is_seen_is_the_same_object(every: bool) -> None:
    """Labels of pods, ports, the own node, and all there is."""
    seen = read(
        egress=[{"toEndpoints": [{}]}, {"toEntities": ["host", "all"]}], egressDeny=[{"toCIDR": ["10.0.0.0/8"]}]
    )
    assert seen_by_agent(seen, Sight(every)) is seen


@pytest.mark.parametrize(
    "rule",
    [{"toCIDR": ["10.0.0.0/8"]}, {"toEntities": ["world"]}, {"toFQDNs": [{"matchName": "a.b"}]}, {"toNodes": [{}]}],
    ids=str,
)
def test_without_the_nodes_nothing_is_outside(rule: dict[str, Any]) -> None:
    """An allowance of it loses its peer; with all nodes it is as it was."""
    policy = read(egress=[rule])
    assert seen_by_agent(policy, Sight(nodes=True)) is policy
    (blind,) = seen_by_agent(policy, Sight()).egress
    assert blind.peers == ()


def service(name: str = "x", selector: dict[str, str] | None = None, **labels: str) -> Service:
    """A Service of namespace b."""
    return Service("b", name, selector=selector, labels=labels)


UNSEEN = [
    (SERVICE, Sight(nodes=True)),
    (SERVICE, Sight(nodes=True, services=(service(),))),
    (SERVICE, Sight(nodes=True, services=(service(),), endpoints=frozenset({("b", "other")}))),
    ({"toEntities": ["kube-apiserver"]}, Sight(nodes=True)),
    ({"toEntities": ["kube-apiserver"]}, Sight(nodes=True, endpoints=frozenset({("b", "kubernetes")}))),
    ({"toEntities": ["host"]}, Sight(nodes=True, host=False)),
    ({"toEntities": ["remote-node"]}, Sight(endpoints=frozenset({API_SERVER}))),
    ({"toNodes": [{}]}, Sight()),
]


@pytest.mark.parametrize(("rule", "sight"), UNSEEN, ids=str)
def test_what_is_not_seen_closes(rule: dict[str, Any], sight: Sight) -> None:
    """Nobody is allowed; who denies such a peer denies everybody. Both say why."""
    allowed = read(egress=[rule])
    (allowing,) = seen_by_agent(allowed, sight).egress
    assert allowing.peers == ()
    assert [str(one) for one in unseen(allowed, sight)]
    (denying,) = seen_by_agent(read(egressDeny=[rule]), sight).egress_deny
    assert denying.unenforced


SEEN = [
    (SERVICE, Sight(services=(service(selector={"app": "x"}),))),
    (SERVICE, Sight(services=())),
    (SERVICE, Sight(nodes=True, services=(service(),), endpoints=frozenset({("b", "x")}))),
    ({"toEntities": ["kube-apiserver"]}, Sight(endpoints=frozenset({API_SERVER}))),
    ({"toEntities": ["cluster"]}, Sight(nodes=True, endpoints=frozenset({API_SERVER}))),
    ({"toEndpoints": [BOTH]}, Sight()),
]


@pytest.mark.parametrize(("rule", "sight"), SEEN, ids=str)
@pytest.mark.parametrize("section", ["egress", "egressDeny"])
def test_what_is_told_is_seen(rule: dict[str, Any], sight: Sight, section: str) -> None:
    """Then the policy is the very same."""
    policy = read(**{section: [rule]})
    assert seen_by_agent(policy, sight) is policy
    assert not list(unseen(policy, sight))


def test_a_denial_of_the_cluster_needs_to_know_the_api_server() -> None:
    """It may stand outside of all nodes. An allowance of what is known is none of anybody else."""
    blind = Sight(nodes=True)
    policy = read(egress=[{"toEntities": ["cluster"]}])
    assert seen_by_agent(policy, blind).egress[0].peers == policy.egress[0].peers
    assert list(unseen(policy, blind))
    assert seen_by_agent(read(egressDeny=[{"toEntities": ["cluster"]}]), blind).egress_deny[0].unenforced


def test_of_several_services_those_that_are_seen_are_allowed() -> None:
    """A new one must not cut what goes to the others."""
    rule = {"toServices": [{"k8sServiceSelector": {"selector": {"matchLabels": {"tier": "x"}}, "namespace": "b"}}]}
    services = (service("one", {"app": "x"}, tier="x"), service("two", tier="x"), service("three", tier="y"))
    (allowing,) = seen_by_agent(read(egress=[rule]), Sight(nodes=True, services=services)).egress
    assert [one.name for one in allowing.peers or () if isinstance(one, ServicePeer)] == ["one"]
    assert seen_by_agent(read(egressDeny=[rule]), Sight(nodes=True, services=services)).egress_deny[0].unenforced


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("CiliumCIDRGroup", {"toCIDRSet": [{"cidrGroupRef": "x"}]}),
        ("Service", SERVICE),
        ("EndpointSlice", {"toEntities": ["kube-apiserver"]}),
        ("Node", {"toEntities": ["remote-node"]}),
    ],
)
def test_who_denies_what_nobody_can_read_denies_everybody(kind: str, rule: dict[str, Any]) -> None:
    """A group that cannot be understood has no blocks that we know, and so to deny them would deny nothing."""
    sight = Sight(True, services=(), endpoints=frozenset({API_SERVER}), unread=frozenset({(kind, "b", "x")}))
    (denying,) = seen_by_agent(read(egressDeny=[rule]), sight).egress_deny
    assert denying.unenforced
    allowing = read(egress=[rule])
    assert seen_by_agent(allowing, sight) is allowing
