"""DNS over UDP alone."""

from __future__ import annotations

from outgate.testing import Manifest, cluster_policy, namespace, pod
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import COREDNS, KUBE_DNS, TO_DNS, ask, block, egress, one, to, within

WEB = pod("shop/web", ["10.244.1.1"], app="web")
UDP = to(within("kube-system"), ports=[{"protocol": "UDP", "port": 53}])
TCP = to(within("kube-system"), ports=[{"protocol": "TCP", "port": 53}])
RULE = "dns-tcp-missing"


def test_a_question_over_tcp_is_dropped() -> None:
    """The witness is the packet that comes second."""
    found = one(RULE, WEB, egress("shop/dns", UDP), KUBE_DNS, COREDNS)
    assert str(found.witness) == "shop/web -> kube-system/coredns:53/TCP is dropped"
    assert found.place.path == "spec.egress[0].ports[0]"
    assert [edit.value for edit in found.fix] == [{"protocol": "TCP", "port": 53}]


def test_nothing_is_opened_to_a_network() -> None:
    """Where a rule is for more than pods and single addresses, that for DNS is one of its own, once for each policy."""
    ports = [{"protocol": "UDP", "port": 53}]
    wide = (to(within("kube-system"), block("0.0.0.0/0"), ports=ports), {"ports": ports})
    for rule in wide:
        (edit,) = one(RULE, WEB, egress("shop/dns", rule), KUBE_DNS, COREDNS).fix
        assert (edit.place.path, edit.value) == ("spec.egress", TO_DNS)
    aimed = to(within("kube-system"), block("198.51.100.1/32"), ports=ports)
    assert one(RULE, WEB, egress("shop/dns", aimed), KUBE_DNS, COREDNS).fix[0].place.path == "spec.egress[0].ports"


def test_what_is_denied_no_port_more_opens() -> None:
    """Each run of ``--fix`` would add it once more."""
    number = {"tcp": {"destinationPort": {"number": 53}}}
    denial = {"action": "Deny", "to": [{"namespaces": {}}], "protocols": [number]}
    found = one(RULE, WEB, egress("shop/dns", UDP), cluster_policy("p", egress=[denial]), KUBE_DNS, COREDNS)
    assert not found.fixable


def test_tcp_by_another_policy_is_enough() -> None:
    """As is a rule for both, or for every port; and who asks nobody has no need of it."""
    assert not ask(RULE, WEB, egress("shop/a", UDP), egress("shop/b", TCP), KUBE_DNS, COREDNS)
    assert not ask(RULE, WEB, egress("shop/a", TO_DNS), KUBE_DNS, COREDNS)
    assert not ask(RULE, WEB, egress("shop/a", to(within("kube-system"))), KUBE_DNS, COREDNS)
    assert not ask(RULE, WEB, egress("shop/a", to(within("data"))), KUBE_DNS, COREDNS)


def test_it_is_found_without_the_resolvers_too() -> None:
    """Then there is no packet to show."""
    found = one(RULE, WEB, egress("shop/dns", UDP))
    assert found.witness is None
    assert "shop/dns egress[0] lets shop/web ask cluster DNS over UDP" in found.message


def test_a_range_of_ports_has_no_twin() -> None:
    """What is no single port of DNS is not widened by a machine."""
    wide = to(within("kube-system"), ports=[{"protocol": "UDP", "port": 1, "endPort": 100}])
    assert one(RULE, WEB, egress("shop/dns", wide), KUBE_DNS, COREDNS).fix == ()


def test_rules_of_cilium() -> None:
    """At the rule that lets the questions out, without a fix; a rule of another policy for TCP is enough."""
    to_dns = {"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system"}}]}

    def asking(path: str, protocol: str) -> Manifest:
        ports = [{"ports": [{"port": "53", "protocol": protocol}]}]
        return cilium_policy(path, {"endpointSelector": {}, "egress": [to_dns | {"toPorts": ports}]})

    known = [namespace("shop"), namespace("kube-system"), pod("shop/web", ["10.0.0.1"]), COREDNS, KUBE_DNS]
    found = one(RULE, *known, asking("shop/p", "UDP"))
    assert found.message == (
        "shop/p egress[0] lets shop/web ask cluster DNS over UDP, and nothing lets it ask over TCP"
    )
    assert (found.subject.kind, found.place.path, found.fix) == ("CiliumNetworkPolicy", "spec.egress[0]", ())
    assert not ask(RULE, *known, asking("shop/p", "UDP"), asking("shop/q", "TCP"))
    assert not ask(RULE, *known, asking("shop/p", "ANY"))
