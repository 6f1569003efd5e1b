"""A policy for pods on the host network."""

from __future__ import annotations

from outgate.checks import Severity
from outgate.testing import cluster_policy, pod
from tests.checks.asking import ask, cilium, deny, egress, entry, one

RULE = "hostnetwork-subject"
EXPORTER = pod("monitoring/exporter", ["192.168.50.11"], host_network=True, app="exporter")


def test_who_is_left_out_is_named() -> None:
    """A note, for nothing is wrong with the policy."""
    found = one(RULE, deny("monitoring/default-deny"), EXPORTER, pod("monitoring/web", ["10.1.0.1"]))
    assert found.message == "monitoring/default-deny does not hold for monitoring/exporter, on the host network"
    assert found.severity is Severity.INFO


def test_other_namespaces_and_labels() -> None:
    """Whom the policy does not select it does not leave out."""
    assert not ask(RULE, deny("shop/default-deny"), EXPORTER)
    assert not ask(RULE, egress("monitoring/p", app="web"), EXPORTER)


def test_policies_of_other_kinds() -> None:
    """Whose subjects they never are; one for every pod of the cluster does not have them in mind."""
    found = one(RULE, cilium("monitoring/p", entry(80), app="exporter"), EXPORTER)
    assert found.place.path == "spec.endpointSelector"
    rule = {"action": "Deny", "to": [{"networks": ["0.0.0.0/0"]}]}
    subject = {"pods": {"podSelector": {"matchLabels": {"app": "exporter"}}}}
    found = one(RULE, cluster_policy("p", subject=subject, egress=[rule]), EXPORTER)
    assert found.message.startswith("ClusterNetworkPolicy p does not hold for monitoring/exporter")
    assert found.place.path == "spec.subject"
    assert not ask(RULE, cluster_policy("p", egress=[rule]), cilium("everywhere", entry(80)), EXPORTER)
