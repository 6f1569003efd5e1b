"""A policy for pods on the host network."""

from __future__ import annotations

from outgate.checks import Severity
from outgate.testing import pod
from tests.checks.asking import ask, deny, egress, one

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
