"""Learned addresses go in with their time and out again, whatever is there already, and no set stops another."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from outgate.errors import KernelError, NotPermitted
from outgate.host import names_door, process
from outgate.host.names_door import Change, NamesDoor, set_name
from outgate.proxy.orders import Element
from tests.lab.alone import alone, drop_rights

pytestmark = pytest.mark.kernel

_TABLE = """
table inet outgate {
    set f4_a { type ipv4_addr . ipv4_addr; flags timeout; }
    set f6_a { type ipv6_addr . ipv6_addr; flags timeout; }
    set f4_b { type ipv4_addr . ipv4_addr; flags timeout; }
    set dns_up { type inet_proto; flags timeout; }
}
"""


def with_table(play: Callable[[NamesDoor], Any]) -> Any:
    """Plays in a namespace with the sets."""

    def whole() -> Any:
        process.run(("nft", "-f", "-"), input=_TABLE)
        with NamesDoor() as door:
            return play(door)

    return alone(whole)


def element(destination: str, name: str = "a") -> Element:
    """A pod's way to an address."""
    address = ipaddress.ip_address(destination)
    source = ipaddress.ip_address("10.1.0.1" if address.version == 4 else "fd00::1")
    return Element(name, source.packed, address.packed)


def held(name: str) -> Mapping[str, int]:
    """Destinations in a set, with the timeout that each was given."""
    said = json.loads(process.run(("nft", "-j", "list", "set", "inet", "outgate", name)).stdout)
    members = next(one["set"] for one in said["nftables"] if "set" in one).get("elem", [])
    return {str(one["elem"]["val"]["concat"][1]): one["elem"]["timeout"] for one in members}


def test_elements_of_both_families_with_their_times() -> None:
    """In force when the call returns."""

    def play(door: NamesDoor) -> tuple[Mapping[str, int], Mapping[str, int]]:
        assert door.put([Change(element("203.0.113.1"), 60), Change(element("2001:db8::1"), 90)]) == {}
        return held("f4_a"), held("f6_a")

    assert with_table(play) == ({"203.0.113.1": 60}, {"2001:db8::1": 90})
    assert set_name(element("2001:db8::1", "q")) == "f6_q"


def test_what_is_there_gets_its_new_time() -> None:
    """Kernels before 6.12 keep the old one when an element is added again: then an address would close too early."""

    def play(door: NamesDoor) -> Mapping[str, int]:
        for seconds in (20, 500, 40):
            door.put([Change(element("203.0.113.1"), seconds), Change(element("203.0.113.2"), 7)])
        return held("f4_a")

    assert with_table(play) == {"203.0.113.1": 40, "203.0.113.2": 7}


def test_what_has_to_go_may_have_gone() -> None:
    """The kernel forgets by itself, a moment before it is told to."""

    def play(door: NamesDoor) -> Mapping[str, int]:
        door.put([Change(element("203.0.113.1"), 60), Change(element("203.0.113.2"), 60)])
        assert door.put([Change(element(f"203.0.113.{last}"), 0) for last in (1, 9)]) == {}
        return held("f4_a")

    assert with_table(play) == {"203.0.113.2": 60}


def test_an_element_may_be_changed_twice_at_once() -> None:
    """Two programs of a pod ask for one name at one time: both answers ask for its address, and nobody loses it."""

    def play(door: NamesDoor) -> Mapping[str, int]:
        one, two, three = (element(f"203.0.113.{last}") for last in (1, 2, 3))
        changes = (Change(one, 60), Change(two, 60), Change(one, 70), Change(three, 60), Change(three, 0))
        assert door.put([*changes, Change(two, 0), Change(two, 80)]) == {}
        return held("f4_a")

    assert with_table(play) == {"203.0.113.1": 70, "203.0.113.2": 80}


def test_a_set_that_is_missing_is_named_and_the_others_are_filled() -> None:
    """A policy that was taken away a moment ago must not keep another's names closed."""

    def play(door: NamesDoor) -> tuple[list[str], Mapping[str, int], Mapping[str, int]]:
        changes = [Change(element(f"203.0.113.{last}", name), 60) for last in (1, 2) for name in ("a", "x", "b", "y")]
        failed = door.put(changes)
        assert all("No such file" in str(error) for error in failed.values())
        return sorted(failed), held("f4_a"), held("f4_b")

    both = {"203.0.113.1": 60, "203.0.113.2": 60}
    assert with_table(play) == (["f4_x", "f4_y"], both, both)


def test_many_go_in_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one message could hold."""
    monkeypatch.setattr(names_door, "_MOST", 64)

    def play(door: NamesDoor) -> int:
        door.put([Change(element(str(ipaddress.IPv4Address(0xC633_6400 + n))), 60) for n in range(1000)])
        return len(held("f4_a"))

    assert with_table(play) == 1000


def test_what_stands_is_read_with_the_time_that_it_has_left() -> None:
    """As many as there are, of both families; of a set that is missing nothing stands."""

    def play(door: NamesDoor) -> Mapping[Element, float]:
        many = [Change(element(str(ipaddress.IPv4Address(0xC633_6400 + n))), 60) for n in range(3000)]
        door.put([*many, Change(element("2001:db8::1"), 90), Change(element("203.0.113.1", "b"), 500)])
        return door.standing(["a", "x", "b"])

    standing = with_table(play)
    assert len(standing) == 3002
    assert 80 < standing[element("2001:db8::1")] <= 90
    assert 490 < standing[element("203.0.113.1", "b")] <= 500
    assert all(50 < left <= 60 for one, left in standing.items() if one.set == "a" and len(one.address) == 4)


def test_a_lease_is_renewed_and_given_up() -> None:
    """Its members are single values; without the set there is no lease, and that is said."""

    def play(door: NamesDoor) -> tuple[str, str]:
        listed = ("nft", "list", "set", "inet", "outgate", "dns_up")
        door.lease("dns_up", [b"\x06", b"\x11"], 5)
        during = process.run(listed).stdout
        door.lease("dns_up", [b"\x06", b"\x11"], 0)
        with pytest.raises(KernelError, match="No such file"):
            door.lease("gone", [b"\x06"], 5)
        return during, process.run(listed).stdout

    during, after = with_table(play)
    assert "tcp" in during
    assert "udp" in during
    assert "tcp" not in after


def test_without_rights_nothing_is_changed() -> None:
    """And it is said why."""

    def play() -> None:
        process.run(("nft", "-f", "-"), input=_TABLE)
        drop_rights()
        with NamesDoor() as door, pytest.raises(NotPermitted):
            door.put([Change(element("203.0.113.1"), 60)])

    alone(play)
