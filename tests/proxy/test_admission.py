"""A name opens what its owner may decide about, and nothing of the node or the cluster."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.packets.special import NEVER_NAMED
from outgate.policy.names import Dialect
from outgate.proxy import admission
from outgate.proxy.admission import Admission, Place

RULE = Admission(
    cluster=["10.1.0.0/16", "10.96.0.0/12", "fd00:1::/64"],
    nodes=["192.168.50.11/32", "10.1.255.1/32"],
    free=["127.0.0.9/32", "10.1.7.0/24"],
)


EDGES = sorted({edge for line in (NEVER_NAMED.v4, NEVER_NAMED.v6) for span in line for edge in span})


def packed(text: str) -> bytes:
    """An address as an answer has it."""
    return ipaddress.ip_address(text).packed


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("203.0.113.1", Place.OPEN),
        ("2606:4700::1", Place.OPEN),
        ("10.200.0.1", Place.OPEN),
        ("192.168.1.1", Place.OPEN),
        ("fd77::1", Place.OPEN),
        ("10.1.2.3", Place.CLUSTER),
        ("10.96.0.10", Place.CLUSTER),
        ("fd00:1::5", Place.CLUSTER),
        ("127.0.0.1", Place.CLOSED),
        ("127.0.0.9", Place.OPEN),
        ("10.1.7.3", Place.OPEN),
        ("0.0.0.0", Place.CLOSED),
        ("169.254.169.254", Place.CLOSED),
        ("100.100.100.200", Place.CLOSED),
        ("168.63.129.16", Place.CLOSED),
        ("224.0.0.1", Place.CLOSED),
        ("255.255.255.255", Place.CLOSED),
        ("192.168.50.11", Place.CLOSED),
        ("10.1.255.1", Place.CLOSED),
        ("::1", Place.CLOSED),
        ("::", Place.CLOSED),
        ("fe80::1", Place.CLOSED),
        ("ff02::1", Place.CLOSED),
        ("fd00:ec2::254", Place.CLOSED),
        ("::ffff:203.0.113.1", Place.CLOSED),
        ("64:ff9b::a9fe:a9fe", Place.CLOSED),
        ("64:ff9b::cb00:7101", Place.OPEN),
        ("64:ff9b::a01:203", Place.CLUSTER),
    ],
)
def test_every_kind_of_address_has_its_place(text: str, place: Place) -> None:
    """Each is what a rebinding attack would answer with, or what a rule is made for."""
    assert RULE.place(packed(text)) is place
    assert RULE.place(packed(text)) is place, "as it was kept"


@given(st.sampled_from(EDGES), st.integers(-2, 2), st.booleans())
def test_the_model_keeps_out_what_the_proxy_keeps_out(edge: int, beside: int, translated: bool) -> None:
    """At each border of what is closed, by itself and behind NAT64: `can-reach` and the lab ask `NEVER_NAMED`."""
    number = edge + beside
    if translated:
        number = (0x64FF9B << 96) + number % (1 << 32)
    length = 4 if 0 <= number < 1 << 32 and not translated else 16
    word = (number % (1 << 128)).to_bytes(length, "big")
    kept_out = Admission().place(word) is Place.CLOSED
    assert kept_out == (ipaddress.ip_address(word) in NEVER_NAMED)


def test_the_cluster_comes_in_under_its_own_names_alone() -> None:
    """A stranger's name must not open a pod; a headless Service of the cluster must work in one dialect."""
    pod = packed("10.1.2.3")
    assert RULE.admits(pod, "db.shop.svc.cluster.local", Dialect.NETWORK_POLICY)
    assert not RULE.admits(pod, "db.shop.svc.cluster.local", Dialect.CILIUM)
    assert not RULE.admits(pod, "evil.example.com", Dialect.NETWORK_POLICY)
    assert not RULE.admits(pod, "evilcluster.local", Dialect.NETWORK_POLICY)
    assert not RULE.admits(packed("127.0.0.1"), "a.cluster.local", Dialect.NETWORK_POLICY)
    assert RULE.admits(packed("203.0.113.1"), "example.com", Dialect.CILIUM)


def test_endless_addresses_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers come from strangers."""
    monkeypatch.setattr(admission, "_KEPT", 4)
    rule = Admission()
    for number in range(100):
        rule.place(number.to_bytes(4, "big"))
    assert len(rule._known) <= 4
