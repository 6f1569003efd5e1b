"""A policy that was to block an address and opens the rest."""

from __future__ import annotations

from outgate.testing import pod
from tests.checks.asking import ask, block, deny, egress, one, to, within

RULE = "except-is-not-deny"
WEB = pod("shop/web", ["10.1.0.1"], app="web")
METADATA = ("169.254.169.254/32",)


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
    assert not ask(RULE, WEB, deny(), beside, egress("shop/p", to(block("0.0.0.0/0", *METADATA))))


def test_other_narrow_policies_are_undone_too() -> None:
    """It need not be a default deny."""
    narrow = egress("shop/narrow", to(within("data")), app="web")
    assert (
        "which shop/narrow would not"
        in one(RULE, WEB, narrow, egress("shop/p", to(block("0.0.0.0/0", *METADATA)))).message
    )
