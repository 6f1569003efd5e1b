"""A rule for DNS that selects no resolver."""

from __future__ import annotations

from outgate.testing import pod
from tests.checks.asking import COREDNS, DNS_PORTS, KUBE_DNS, TO_DNS, ask, block, egress, one, to, within

WEB = pod("shop/web", ["10.244.1.1"], app="web")
WRONG = to(within("kube-system", **{"k8s-app": "coredns"}), ports=DNS_PORTS)
RULE = "dns-selector-mismatch"


def test_it_says_what_the_service_selects() -> None:
    """The labels of this cluster, not those of the documentation."""
    labels = {"app.kubernetes.io/name": "coredns"}
    other = KUBE_DNS | {"spec": KUBE_DNS["spec"] | {"selector": labels}}
    found = one(RULE, WEB, egress("shop/dns", TO_DNS), other, pod("kube-system/coredns", ["10.244.0.5"], labels=labels))
    assert "app.kubernetes.io/name: coredns in kube-system" in found.help
    (edit,) = found.fix
    assert edit.value == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": labels},
        }
    ]


def test_without_the_resolvers_nobody_can_tell() -> None:
    """The labels may be right in the cluster that this is for."""
    assert not ask(RULE, WEB, egress("shop/dns", WRONG))


def test_another_rule_that_leads_there_is_enough() -> None:
    """Then the workloads can ask, and the rule is only superfluous."""
    assert not ask(RULE, WEB, egress("shop/dns", WRONG, TO_DNS), KUBE_DNS, COREDNS)


def test_a_rule_for_anybody_or_for_other_ports_is_none_for_dns() -> None:
    """Only what names a port of DNS, and somebody, was meant for it."""
    assert not ask(RULE, WEB, egress("shop/dns", to(within("data"), ports=[{"port": 443}])), KUBE_DNS, COREDNS)
    assert ask(RULE, WEB, egress("shop/dns", to(block("198.51.100.1/32"), ports=DNS_PORTS)), KUBE_DNS, COREDNS)
