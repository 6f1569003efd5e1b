"""A rule for DNS that selects no resolver."""

from __future__ import annotations

from outgate.checks.edit import Action
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


def test_a_fix_takes_nothing_away() -> None:
    """What a rule opens now, it goes on to open: a resolver of their own, one outside, or what else is on its ports."""
    own = pod("dns/unbound", ["10.244.3.1"])
    nobody = within("kube-system", **{"k8s-app": "coredns"})
    for rule in (
        to(within("dns"), ports=DNS_PORTS),
        to(block("198.51.100.1/32"), ports=DNS_PORTS),
        to(nobody, block("198.51.100.1/32"), ports=DNS_PORTS),
        to(nobody, ports=[*DNS_PORTS, {"port": 8080}]),
    ):
        found = one(RULE, WEB, own, egress("shop/dns", rule), KUBE_DNS, COREDNS)
        assert [(edit.action, edit.place.path) for edit in found.fix] == [(Action.ADD_ITEM, "spec.egress")]
    many = ask(RULE, WEB, own, egress("shop/dns", *[to(within("dns"), ports=DNS_PORTS)] * 2), KUBE_DNS, COREDNS)
    assert [len(one.fix) for one in many] == [1, 0]
    assert [edit.place.path for edit in one(RULE, WEB, egress("shop/dns", WRONG), KUBE_DNS, COREDNS).fix] == [
        "spec.egress[0].to"
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
