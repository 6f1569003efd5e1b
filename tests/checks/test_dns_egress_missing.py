"""Cut off from DNS: who exactly, by which policy, and when it is not said."""

from __future__ import annotations

from outgate.testing import cluster_policy, namespace, pod
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import COREDNS, DNS_PORTS, KUBE_DNS, TO_DNS, ask, block, deny, egress, one, to, within, words

WEB, DB = pod("shop/web", ["10.244.1.1"], app="web"), pod("shop/db", ["10.244.1.2"], app="db")
RULE = "dns-egress-missing"


def test_a_packet_shows_it_where_the_resolvers_are_known() -> None:
    """The pod behind the Service, and the port after translation."""
    found = one(RULE, WEB, deny(), KUBE_DNS, COREDNS)
    assert str(found.witness) == "shop/web -> kube-system/coredns:53/UDP is dropped"
    assert found.message == "shop/default-deny isolates shop/web for egress, and no policy lets it ask cluster DNS"


def test_only_those_without_a_rule_are_named() -> None:
    """Policies add up: the rule of any policy is enough."""
    assert words(RULE, WEB, DB, deny(), egress("shop/dns", TO_DNS, app="web"), KUBE_DNS, COREDNS) == [
        "shop/default-deny isolates shop/db for egress, and no policy lets it ask cluster DNS"
    ]


def test_a_default_deny_is_blamed_once_for_all() -> None:
    """Not once for each workload, and the other policies of these are named beside it."""
    found = one(RULE, WEB, DB, deny(), egress("shop/web", to(within("data")), app="web"), KUBE_DNS, COREDNS)
    assert "isolates shop/db, shop/web for egress, and no policy lets them ask" in found.message
    assert [related.words for related in found.related] == ["shop/web has no rule for it either"]


def test_no_policy_cuts_off_who_has_no_family_in_common_with_a_resolver() -> None:
    """No rule would help, and each run of ``--fix`` would add one more."""
    six = pod("shop/six", ["fd00::1"], app="six")
    (found,) = words(RULE, six, WEB, deny(), KUBE_DNS, COREDNS)
    assert "isolates shop/web for egress" in found
    assert not ask(RULE, six, deny(), KUBE_DNS, COREDNS)


def test_what_is_denied_no_rule_more_opens() -> None:
    """Such a rule would be in vain for them; for others beside them it is not."""
    subject = {"pods": {"podSelector": {"matchLabels": {"app": "web"}}}}
    above = cluster_policy("p", subject=subject, egress=[{"action": "Deny", "to": [{"namespaces": {}}]}])
    assert not one(RULE, WEB, deny(), above, KUBE_DNS, COREDNS).fixable
    assert one(RULE, WEB, DB, deny(), above, KUBE_DNS, COREDNS).fixable


def test_nobody_is_cut_off_who_is_not_isolated() -> None:
    """For ingress, or by a policy of another namespace."""
    ingress = egress("shop/in", types=False)
    ingress["spec"] = {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert not ask(RULE, WEB, ingress, deny("data/default-deny"), KUBE_DNS, COREDNS)


def test_without_the_resolvers_a_rule_that_may_be_the_one_is_enough() -> None:
    """Any namespace, the address of the Service, a port of that name."""
    for rule in (
        to({"namespaceSelector": {}}, ports=DNS_PORTS),
        to(block("10.96.0.10/32"), ports=DNS_PORTS),
        to(within("kube-system")),
        {"ports": [{"protocol": "UDP", "port": 50, "endPort": 60}]},
        to(block("10.0.0.0/8")),
        {},
    ):
        assert not ask(RULE, WEB, egress("shop/p", rule)), rule


def test_without_the_resolvers_a_rule_that_cannot_be_the_one_is_not() -> None:
    """Another protocol, another namespace, pods that no resolver is, addresses of the internet."""
    for rule in (
        to({"namespaceSelector": {}}, ports=[{"port": 53}]),
        to(within("data"), ports=DNS_PORTS),
        to({"podSelector": {}}, ports=DNS_PORTS),
        to(within("kube-system", **{"k8s-app": "metrics-server"}), ports=DNS_PORTS),
        to({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "db"}}}),
        to(block("203.0.113.0/24")),
    ):
        assert len(ask(RULE, WEB, egress("shop/p", rule))) == 1, rule


def test_the_labels_of_the_namespace_count_where_it_is_declared() -> None:
    """What the input says of kube-system is all there is to it."""
    rule = to({"namespaceSelector": {"matchLabels": {"role": "dns"}}}, ports=DNS_PORTS)
    assert not ask(RULE, WEB, egress("shop/p", rule))
    assert ask(RULE, WEB, egress("shop/p", rule), namespace("kube-system"), namespace("openshift-dns"))


def test_a_rule_that_was_meant_for_dns_is_the_matter_of_another_check() -> None:
    """One mistake is one finding."""
    rule = to(within("kube-system", **{"k8s-app": "coredns"}), ports=DNS_PORTS)
    assert not ask(RULE, WEB, egress("shop/p", rule), KUBE_DNS, COREDNS)
    assert len(ask("dns-selector-mismatch", WEB, egress("shop/p", rule), KUBE_DNS, COREDNS)) == 1


def test_policies_of_cilium() -> None:
    """One that isolates cuts off as well, also by a denial before what allows; one that lets DNS out mends it."""
    deaf = cilium_policy("shop/p", {"endpointSelector": {}, "egress": [{"toCIDR": ["203.0.113.0/24"]}]})
    known = [namespace("shop"), namespace("kube-system"), WEB, COREDNS, KUBE_DNS]
    found = one(RULE, *known, deaf)
    assert found.message.startswith("shop/p isolates shop/web for egress, and no policy lets it ask cluster DNS")
    assert (found.place.path, found.fix) == ("spec.egress", ())
    everybody = {
        "toEndpoints": [{"matchExpressions": [{"key": "k8s:io.kubernetes.pod.namespace", "operator": "Exists"}]}]
    }
    asking = cilium_policy("shop/q", {"endpointSelector": {}, "egress": [everybody]})
    assert not ask(RULE, *known, deaf, asking)
    barred = cilium_policy("shop/r", {"endpointSelector": {}, "egressDeny": [everybody]})
    assert ask(RULE, *known, deaf, asking, barred)
