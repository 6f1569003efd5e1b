"""Learned addresses go in with their time and out again, whatever is there already, and no set stops another."""

from __future__ import annotations

import ipaddress
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from outgate.errors import KernelError, NotPermitted
from outgate.host import names_door, process
from outgate.host.names_door import Change, NamesDoor, set_name
from outgate.host.netlink_format import messages
from outgate.host.nft_wire import DELSETELEM, NEWSETELEM
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


WHATEVER_IS_BELIEVED = pytest.mark.parametrize("sure", [False, True])
"""Who hands changes in may be wrong: nothing comes of it but one more message."""


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


@WHATEVER_IS_BELIEVED
def test_elements_of_both_families_with_their_times(sure: bool) -> None:
    """In force when the call returns."""

    def play(door: NamesDoor) -> tuple[Mapping[str, int], Mapping[str, int]]:
        assert door.put([Change(element("203.0.113.1"), 60, sure), Change(element("2001:db8::1"), 90, sure)]) == {}
        return held("f4_a"), held("f6_a")

    assert with_table(play) == ({"203.0.113.1": 60}, {"2001:db8::1": 90})
    assert set_name(element("2001:db8::1", "q")) == "f6_q"


@WHATEVER_IS_BELIEVED
def test_what_is_there_gets_its_new_time(sure: bool) -> None:
    """Kernels before 6.12 keep the old one when an element is added again: then an address would close too early."""

    def play(door: NamesDoor) -> Mapping[str, int]:
        for seconds in (20, 500, 40):
            door.put([Change(element("203.0.113.1"), seconds, sure), Change(element("203.0.113.2"), 7, sure)])
        return held("f4_a")

    assert with_table(play) == {"203.0.113.1": 40, "203.0.113.2": 7}


@WHATEVER_IS_BELIEVED
def test_what_has_to_go_may_have_gone(sure: bool) -> None:
    """The kernel forgets by itself, a moment before it is told to."""

    def play(door: NamesDoor) -> Mapping[str, int]:
        door.put([Change(element("203.0.113.1"), 60, sure), Change(element("203.0.113.2"), 60, sure)])
        assert door.put([Change(element(f"203.0.113.{last}"), 0, sure) for last in (1, 9)]) == {}
        return held("f4_a")

    assert with_table(play) == {"203.0.113.2": 60}


@WHATEVER_IS_BELIEVED
def test_an_element_may_be_changed_twice_at_once(sure: bool) -> None:
    """Two programs of a pod ask for one name at one time: both answers ask for its address, and nobody loses it."""

    def play(door: NamesDoor) -> Mapping[str, int]:
        one, two, three = (element(f"203.0.113.{last}") for last in (1, 2, 3))
        changes = (
            Change(one, 60, sure),
            Change(two, 60, sure),
            Change(one, 70, sure),
            Change(three, 60, sure),
            Change(three, 0, sure),
        )
        assert door.put([*changes, Change(two, 0, sure), Change(two, 80, sure)]) == {}
        return held("f4_a")

    assert with_table(play) == {"203.0.113.1": 70, "203.0.113.2": 80}


@WHATEVER_IS_BELIEVED
def test_a_set_that_is_missing_is_named_and_the_others_are_filled(sure: bool) -> None:
    """A policy that was taken away a moment ago must not keep another's names closed."""

    def play(door: NamesDoor) -> tuple[list[str], Mapping[str, int], Mapping[str, int]]:
        changes = [
            Change(element(f"203.0.113.{last}", name), 60, sure) for last in (1, 2) for name in ("a", "x", "b", "y")
        ]
        failed = door.put(changes)
        assert all("No such file" in str(error) for error in failed.values())
        return sorted(failed), held("f4_a"), held("f4_b")

    both = {"203.0.113.1": 60, "203.0.113.2": 60}
    assert with_table(play) == (["f4_x", "f4_y"], both, both)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_believed_what_is_told_stands(seed: int) -> None:
    """Against a dictionary: batches at random, of which what they say of the elements is now true and now false."""

    def play(door: NamesDoor) -> None:
        draw, wanted = random.Random(seed), dict[str, int]()
        for _ in range(60):
            batch: list[Change] = []
            for last in draw.choices(range(1, 20), k=draw.randint(1, 6)):
                address, seconds = f"203.0.113.{last}", draw.choice([0, 60, 70, 80])
                right = (address in wanted) is (seconds == 0)
                batch.append(Change(element(address), seconds, right or draw.random() < 0.2))
                wanted.pop(address, None)
                wanted |= {address: seconds} if seconds else {}
            assert door.put(batch) == {}
            assert held("f4_a") == wanted

    with_table(play)


def test_one_message_where_it_is_known_what_stands() -> None:
    """Each is an event for everybody who listens; what is not known takes three, or two to be taken out."""

    def play(door: NamesDoor) -> list[str]:
        sent: list[str] = []
        send = door._socket.send

        def told(data: bytes, doing: str) -> None:
            kinds = {NEWSETELEM: "new", DELSETELEM: "del"}
            sent.append(" ".join(kinds[one.kind] for one in messages(data) if one.kind in kinds))
            send(data, doing)

        door._socket.send = told  # type: ignore[method-assign]  # the way to the kernel, listened to
        one, two, three = (element(f"203.0.113.{last}") for last in (1, 2, 3))
        door.put([Change(one, 60, True), Change(two, 60, True)])
        door.put([Change(one, 70, True)])
        door.put([Change(one, 80), Change(three, 60, True)])
        door.put([Change(two, 0, True), Change(one, 0, True)])
        door.put([Change(two, 0, True)])
        return sent

    assert with_table(play) == ["new", "new", "new del new", "new new del new", "del", "del", "new del"]


def test_what_is_over_is_new_again() -> None:
    """The kernel finds no element whose time is over, though it may still have it."""

    def play(door: NamesDoor) -> Mapping[str, int]:
        door.put([Change(element("203.0.113.1"), 0.001, True)])
        while held("f4_a"):
            pass
        door.put([Change(element("203.0.113.1"), 60, True)])
        return held("f4_a")

    assert with_table(play) == {"203.0.113.1": 60}


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
