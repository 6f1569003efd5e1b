"""What an agent cannot see closes, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.model import CiliumPolicy
from outgate.policy.cilium_sight import seen_by_agent
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
    assert seen_by_agent(seen, all_nodes=every) is seen


@pytest.mark.parametrize(
    "rule",
    [{"toCIDR": ["10.0.0.0/8"]}, {"toEntities": ["world"]}, {"toFQDNs": [{"matchName": "a.b"}]}, {"toNodes": [{}]}],
    ids=str,
)
def test_without_the_nodes_nothing_is_outside(rule: dict[str, Any]) -> None:
    """An allowance of it loses its peer; with all nodes it is as it was."""
    policy = read(egress=[rule])
    assert seen_by_agent(policy, all_nodes=True) is policy
    (blind,) = seen_by_agent(policy, all_nodes=False).egress
    assert blind.peers == ()


@pytest.mark.parametrize("rule", [SERVICE, {"toEntities": ["kube-apiserver"]}, {"toEndpoints": [BOTH]}], ids=str)
@pytest.mark.parametrize("every", [True, False])
def test_what_is_never_watched(rule: dict[str, Any], every: bool) -> None:
    """Nobody is allowed; who denies such a peer denies everybody, and says why."""
    (allowing,) = seen_by_agent(read(egress=[rule]), all_nodes=every).egress
    assert allowing.peers == ()
    (denying,) = seen_by_agent(read(egressDeny=[rule]), all_nodes=every).egress_deny
    assert "not watched" in str(denying.unenforced[0])


def test_a_denial_of_nodes_needs_them() -> None:
    """A block that is denied is wide enough; nodes by label are not known."""
    policy = read(egressDeny=[{"toEntities": ["remote-node"]}])
    assert seen_by_agent(policy, all_nodes=True) is policy
    (rule,) = seen_by_agent(policy, all_nodes=False).egress_deny
    assert rule.unenforced


def test_a_subject_by_its_account_is_everybody_that_it_may_be() -> None:
    """And nothing is allowed to them."""
    subject = {"matchLabels": {"app": "web", "io.cilium.k8s.policy.serviceaccount": "robot"}}
    policy = read(endpointSelector=subject, egress=[{"toEndpoints": [{}]}])
    seen = seen_by_agent(policy, all_nodes=True)
    assert not seen.subject.accounts
    assert seen.subject.pods == policy.subject.pods
    assert seen.unenforced
