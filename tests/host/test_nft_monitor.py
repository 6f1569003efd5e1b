"""Whoever changes our table is heard, with his name; our own changes are known as ours; a gap is never silence."""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import replace

import pytest

from outgate.errors import KernelError, NotPermitted
from outgate.host import process
from outgate.host.nft import Nftables
from outgate.host.nft_elements import ElementDoor
from outgate.host.nft_monitor import Committed, NftMonitor
from outgate.nft.delta import delta
from outgate.nft.objects import DROP, Chain, ChainRule, KeyType, NftSet, Ruleset
from outgate.nft.transaction import AddElements, Transaction
from tests.lab.alone import alone, drop_rights

pytestmark = pytest.mark.kernel
BASE = Ruleset({"c_1": Chain("c_1", (ChainRule((DROP,)),))}, {"s_1": NftSet("s_1", (KeyType.IPV4_ADDR,))})
ONE = Transaction((AddElements(replace(BASE.sets["s_1"], elements={((1, 1),): None})),))


def listening(function: Callable[[NftMonitor], None], *, rootless: bool = False, buffer: int = 1 << 22) -> None:
    """In a namespace of its own, where our table stands and a monitor hears from now on."""

    def inside() -> None:
        Nftables().apply(delta(BASE, None))
        with NftMonitor(buffer=buffer) as monitor:
            function(monitor)

    alone(inside, rootless=rootless)


def nft(text: str) -> None:
    """Somebody else, at work."""
    process.run(("nft", "-f", "-"), input=text)


CHANGES = {
    "a new element": "add element inet outgate s_1 { 10.0.0.1 }",
    "a new rule": "add rule inet outgate c_1 accept",
    "a chain that is emptied": "flush chain inet outgate c_1",
    "a new chain": "add chain inet outgate c_2",
    "a new set": "add set inet outgate s_2 { type mark; }",
    "a set that goes": "delete set inet outgate s_1",
    "a new counter": "add counter inet outgate n_1",
    "the table that goes": "delete table inet outgate",
    "everything that goes": "flush ruleset",
    "a change among others": "add table ip a\nadd rule inet outgate c_1 accept\nadd table ip b",
}


@pytest.mark.parametrize("text", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_of_our_table_is_heard(text: str) -> None:
    """What the enforcement rests on was changed by somebody; every kind of change has to be seen."""

    def heard(monitor: NftMonitor) -> None:
        nft(f"{text}\n")
        (one,) = monitor.read(30)
        assert (one.ours, one.touched, one.drifted, one.lost, one.name) == (False, True, True, False, "nft")
        assert one.process > 0

    listening(heard)


OTHERS = {
    "a table of another family": "add table ip outgate\nadd chain ip outgate c_1",
    "a table of another name": "add table inet outgate2\nadd chain inet outgate2 c_1",
    "an object with our name": "add table inet x\nadd chain inet x outgate\nadd set inet x outgate2 { type mark; }",
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS.keys())
def test_neighbours_are_not_taken_for_us(text: str) -> None:
    """To read the table anew whenever kube-proxy writes a service would be a busy loop."""

    def heard(monitor: NftMonitor) -> None:
        nft(f"{text}\n")
        (one,) = monitor.read(30)
        assert not one.touched
        assert not one.drifted

    listening(heard)


def test_learned_addresses_are_nobodys_change() -> None:
    """The proxy writes one with each answer: to read the table anew each time would be a busy loop. The set is ours."""

    def heard(monitor: NftMonitor) -> None:
        learned = "{ type ipv4_addr . ipv4_addr; flags timeout; }"
        nft(f"add set inet outgate f4_x {learned}\nadd set inet outgate dns_up {{ type inet_proto; flags timeout; }}\n")
        assert monitor.read(30)[0].drifted
        nft("add element inet outgate f4_x { 10.0.0.1 . 192.0.2.1 timeout 9s }\n")
        nft("add element inet outgate dns_up { tcp timeout 9s }\ndelete element inet outgate dns_up { tcp }\n")
        nft("add element inet outgate f4_x { 10.0.0.1 . 192.0.2.2 }\nadd element inet outgate s_1 { 10.0.0.1 }\n")
        nft("delete set inet outgate f4_x\n")
        assert [one.drifted for one in monitor.read(30)] == [False, False, True, True]

    listening(heard)


@pytest.mark.parametrize("rootless", [False, True], ids=["as started", "as root of a user namespace"])
def test_our_own_changes_are_known_as_ours(rootless: bool) -> None:
    """An agent that repairs what it has just done itself never comes to rest."""

    def heard(monitor: NftMonitor) -> None:
        with ElementDoor() as door:
            monitor.own(door.port)
            before = door.generation()
            door.apply(ONE)
            nft("add element inet outgate s_1 { 10.0.0.1 }\n")
            first, second = monitor.read(30)
            assert (first.ours, first.touched, first.drifted) == (True, True, False)
            assert (second.ours, second.drifted) == (False, True)
            assert [first.generation, second.generation] == [before + 1, before + 2]
            monitor.disown(door.port)
            door.apply(Transaction((AddElements(replace(BASE.sets["s_1"], elements={((9, 9),): None})),)))
            assert monitor.read(30)[0].drifted

    listening(heard, rootless=rootless)


def test_a_process_of_ours_is_claimed_by_its_generation() -> None:
    """The slow door starts `nft`, whose port nobody knows. With another in between it is open whose was which."""

    def heard(monitor: NftMonitor) -> None:
        with ElementDoor() as door:
            before = door.generation()
            nft("add rule inet outgate c_1 accept\n")
            assert monitor.claim(before, door.generation())
            assert [one.ours for one in monitor.read(30)] == [True]
            before = door.generation()
            nft("add rule inet outgate c_1 accept\n")
            nft("add rule inet outgate c_1 drop\n")
            assert not monitor.claim(before, door.generation())
            assert [one.ours for one in monitor.read(30)] == [False, False]
            assert monitor.claim(0xFFFF_FFFF, 1)
            assert not monitor.claim(7, 7)

    listening(heard)


def test_what_was_refused_is_no_change() -> None:
    """A transaction that failed changed nothing, and waiting for what does not come ends."""

    def heard(monitor: NftMonitor) -> None:
        with pytest.raises(KernelError):
            nft("add rule inet outgate c_1 accept\nadd rule inet outgate nonesuch accept\n")
        assert monitor.read(0) == []
        assert monitor.read(0.01) == []

    listening(heard)


def test_a_gap_is_told_as_one() -> None:
    """Nobody knows what was in it; what came after it is heard again."""

    def heard(monitor: NftMonitor) -> None:
        elements = ", ".join(f"10.0.{number >> 8}.{number & 255}" for number in range(3000))
        nft(f"table ip neighbour {{\nset s {{\ntype ipv4_addr\nelements = {{ {elements} }}\n}}\n}}\n")
        assert Committed(ours=False, touched=True, lost=True) in monitor.read(30)
        nft("add table ip another\n")
        assert [(one.lost, one.touched) for one in monitor.read(30)] == [(False, False)]

    listening(heard, buffer=1)


def test_it_can_be_waited_for_beside_other_things() -> None:
    """The agent's loop waits for many doors at once."""

    def heard(monitor: NftMonitor) -> None:
        nft("add rule inet outgate c_1 accept\n")
        assert select.select([monitor], [], [], 30)[0] == [monitor]

    listening(heard)


def test_claims_that_nothing_fulfils_are_forgotten() -> None:
    """An agent runs for months."""

    def heard(monitor: NftMonitor) -> None:
        for number in range(5000):
            monitor.claim(number, number + 1)
        assert len(monitor._claims) == 1024

    listening(heard)


def test_without_rights_it_says_so() -> None:
    """To hear nothing for ever would look like peace."""

    def inside() -> None:
        drop_rights()
        with pytest.raises(NotPermitted):
            NftMonitor()

    alone(inside)
