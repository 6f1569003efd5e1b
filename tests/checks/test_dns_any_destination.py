"""DNS to any resolver."""

from __future__ import annotations

from outgate.testing import cluster_policy, pod
from tests.checks.asking import DNS_PORTS, TO_DNS, ask, block, cilium, egress, entry, net, one, to

WEB = pod("shop/web", ["10.244.1.1"], app="web")
RULE = "dns-any-destination"


def test_nobody_in_particular_is_everybody() -> None:
    """A packet to an address of the internet shows it."""
    found = one(RULE, WEB, egress("shop/dns", {"ports": DNS_PORTS}))
    assert found.witness is not None
    assert found.witness.passes
    assert found.place.path == "spec.egress[0].ports[0]"


def test_the_whole_address_space_is_nobody_in_particular() -> None:
    """By a block; a smaller one is somebody."""
    assert len(ask(RULE, WEB, egress("shop/dns", to(block("0.0.0.0/0", "10.0.0.0/8"), ports=DNS_PORTS)))) == 1
    assert not ask(RULE, WEB, egress("shop/dns", to(block("198.51.100.0/24"), ports=DNS_PORTS)))
    assert not ask(RULE, WEB, egress("shop/dns", TO_DNS))


def test_dns_over_tls_is_dns() -> None:
    """RFC 7858: port 853."""
    assert len(ask(RULE, WEB, egress("shop/dns", {"ports": [{"port": 853}]}))) == 1


def test_rules_that_do_not_count_open_nothing() -> None:
    """Egress rules of a policy for ingress."""
    made = egress("shop/dns", {"ports": DNS_PORTS})
    made["spec"]["policyTypes"] = ["Ingress"]
    assert not ask(RULE, WEB, made)


def test_rules_of_other_kinds() -> None:
    """Nobody in particular, an entity, a block; names that may be asked for bound what a question carries."""
    for whom in ({}, {"toEntities": ["world"]}, {"toCIDR": ["0.0.0.0/0"]}):
        found = one(RULE, WEB, cilium("shop/p", whom | entry(53, "ANY")))
        assert found.place.path == "spec.egress[0].toPorts[0].ports[0]"
    for name, count in (("*", 1), ("*.example.com", 0)):
        asked = entry(53, "UDP", rules={"dns": [{"matchPattern": name}]})
        assert len(ask(RULE, WEB, cilium("shop/p", asked))) == count
    assert not ask(RULE, WEB, cilium("shop/p", {"toEntities": ["cluster"]} | entry(53)))
    assert not ask(RULE, WEB, cilium("shop/p", denied=(entry(53),)))
    ports = [{"udp": {"destinationPort": {"number": 53}}}]
    assert ask(RULE, WEB, cluster_policy("p", egress=[net("Accept", "0.0.0.0/0", protocols=ports)]))
    assert not ask(RULE, WEB, cluster_policy("p", egress=[net("Deny", "0.0.0.0/0", protocols=ports)]))
