"""Policies that undo each other: exceptions, and policies that were to block."""

from __future__ import annotations

from outgate.testing import pod
from tests.checks.asking import DNS_PORTS, ask, block, deny, egress, one, pods, to, within

RULE = "union-widens"
WEB = pod("shop/web", ["10.1.0.1"], app="web")
METADATA = ("169.254.169.254/32",)
INTERNET = egress("shop/internet", to(block("0.0.0.0/0", "10.0.0.0/8", "169.254.0.0/16")))


def test_what_is_reached_all_the_same() -> None:
    """Exactly: the part of the exception that the other rule covers, on ports of both."""
    found = one(RULE, WEB, INTERNET, egress("shop/wide", to(block("8.0.0.0/6"), ports=[{"port": 5432}])))
    assert found.message.endswith("and shop/wide egress[0] lets shop/web reach 10.0.0.0/8 all the same")
    assert str(found.witness) == "shop/web -> 10.0.0.0:5432/TCP passes"
    assert found.place.path == "spec.egress[0].to[0].ipBlock.except"


def test_a_rule_for_anybody_undoes_every_exception() -> None:
    """Of the same policy as well."""
    found = one(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0", "10.0.0.0/8")), {"ports": [{"port": 443}]}))
    assert "shop/p egress[1] lets shop/web reach 10.0.0.0/8" in found.message


def test_the_other_half_of_a_plan() -> None:
    """A block within the exception was written for just these addresses, and a selector for just these pods."""
    assert not ask(RULE, WEB, INTERNET, egress("shop/p", to(block("10.96.0.0/12"))))
    assert not ask(RULE, WEB, INTERNET, egress("shop/p", to(pods(app="db"))))


def test_ports_that_have_nothing_in_common() -> None:
    """The exception was for the ports of its own rule."""
    https = egress("shop/internet", to(block("0.0.0.0/0", "10.0.0.0/8"), ports=[{"port": 443}]))
    assert not ask(RULE, WEB, https, egress("shop/p", to(block("8.0.0.0/6"), ports=[{"port": 5432}])))
    assert (
        len(ask(RULE, WEB, https, egress("shop/p", to(block("8.0.0.0/6"), ports=[{"port": 1, "endPort": 443}])))) == 1
    )


def test_policies_of_other_pods() -> None:
    """They do not add up."""
    db = egress("shop/wide", to(block("8.0.0.0/6")), app="db")
    assert not ask(RULE, WEB, egress("shop/web", *INTERNET["spec"]["egress"], app="web"), db, pod("shop/db", app="db"))


def test_metadata_is_never_the_other_half_of_a_plan() -> None:
    """Whoever excepts it and whoever allows it do not know of each other."""
    found = one(RULE, WEB, INTERNET, egress("shop/p", to(block("169.254.169.254/32"), ports=[{"port": 80}])))
    assert str(found.witness) == "shop/web -> 169.254.169.254:80/TCP passes"
    resolver = to(block("169.254.169.254/32"), ports=DNS_PORTS)
    assert not ask(RULE, WEB, INTERNET, egress("shop/p", resolver)), "there are clouds whose resolver it is"


def test_both_policies_and_a_packet() -> None:
    """The one that opens, the one that would not, and where it leads."""
    found = one(RULE, WEB, deny(), egress("shop/block-metadata", to(block("0.0.0.0/0", *METADATA))))
    assert found.message == (
        "shop/block-metadata egress[0] blocks nothing: it lets shop/web reach the whole internet but "
        "169.254.169.254/32, which shop/default-deny would not"
    )
    assert [str(related.place) for related in found.related] == ["test.yaml"]
    assert found.witness is not None
    assert (found.witness.passes, found.witness.packet.coordinate) == (True, 443)


def test_for_ipv6_it_is_the_same() -> None:
    """Each family has its metadata."""
    six = pod("shop/web", ["fd00:1::1"], app="web")
    assert one(RULE, six, deny(), egress("shop/p", to(block("::/0", "fd00:ec2::254/128")))).witness is not None


def test_alone_it_blocks_what_it_says() -> None:
    """Nobody else isolates the pods: all that they lose is the address."""
    assert not ask(RULE, WEB, egress("shop/block-metadata", to(block("0.0.0.0/0", *METADATA))))


def test_a_rule_for_the_internet_is_one() -> None:
    """It leaves out networks of one's own, or has ports; or another policy opens the internet anyway."""
    assert not ask(RULE, WEB, deny(), egress("shop/p", to(block("0.0.0.0/0", "10.0.0.0/8", *METADATA))))
    assert not ask(RULE, WEB, deny(), egress("shop/p", to(block("0.0.0.0/0", *METADATA), ports=[{"port": 443}])))
    assert not ask(RULE, WEB, deny(), egress("shop/p", to(block("0.0.0.0/0"))))
    beside = egress("shop/internet", to(block("0.0.0.0/0", "10.0.0.0/8")))
    found = ask(RULE, WEB, deny(), beside, egress("shop/p", to(block("0.0.0.0/0", *METADATA))))
    assert len(found) == 2, "each undoes the exception of the other"
    assert not any("blocks nothing" in each.message for each in found)


def test_other_narrow_policies_are_undone_too() -> None:
    """It need not be a default deny."""
    narrow = egress("shop/narrow", to(within("data")), app="web")
    assert (
        "which shop/narrow would not"
        in one(RULE, WEB, narrow, egress("shop/p", to(block("0.0.0.0/0", *METADATA)))).message
    )
