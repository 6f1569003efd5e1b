"""A metadata service within a wide rule."""

from __future__ import annotations

from outgate.testing import pod
from tests.checks.asking import DNS_PORTS, ask, block, deny, egress, one, to

RULE = "metadata-open"
WEB = pod("shop/web", ["10.1.0.1"], app="web")
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


def test_the_internet_less_private_networks_contains_them() -> None:
    """The classic leak, with a packet."""
    found = one(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0", *PRIVATE))))
    assert str(found.witness) == "shop/web -> 169.254.169.254:80/TCP passes"
    assert "100.100.100.200/32" in found.help
    assert found.place.path == "spec.egress[0].to[0]"


def test_only_on_ports_that_such_services_have() -> None:
    """A rule for 443 lets nobody ask for credentials."""
    assert not ask(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0"), ports=[{"port": 443}])))
    assert not ask(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0"), ports=DNS_PORTS)))
    assert len(ask(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0"), ports=[{"port": 80}])))) == 1


def test_each_cloud_by_itself() -> None:
    """With the link left out, those remain that are elsewhere, and IPv6 has its own."""
    found = one(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0", "169.254.0.0/16"))))
    assert "192.0.0.192, 100.100.100.200" in found.message
    six = one(RULE, pod("shop/web", ["fd00:1::1"]), egress("shop/p", to(block("fd00::/8"))))
    assert "fd00:ec2::254" in six.message


def test_what_workloads_need_and_what_has_its_own_check() -> None:
    """The agent of Pod Identity, and Azure's WireServer."""
    assert not ask(RULE, WEB, egress("shop/p", to(block("169.254.170.23/32"), block("168.63.129.16/32"))))
    assert not ask(RULE, WEB, deny())
