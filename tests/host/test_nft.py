"""The door to nftables: our table is read and changed, and no other."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import replace

import pytest

from outgate.errors import KernelError, NotPermitted
from outgate.host import process
from outgate.host.nft import Asleep, Nftables
from outgate.nft.canonical import canonical
from outgate.nft.delta import Change, delta
from outgate.nft.objects import (
    ACCEPT,
    DROP,
    Chain,
    ChainRule,
    Compare,
    Counter,
    Field,
    Hook,
    Judgement,
    KeyType,
    NftSet,
    Ruleset,
    SetKey,
    jump,
)
from outgate.nft.transaction import AddElements, AddRules, FlushChain, Transaction
from tests.lab.alone import alone, drop_rights

pytestmark = pytest.mark.kernel

SMALL = Ruleset(
    {
        "r_1": Chain("r_1", (ChainRule((Counter(), ACCEPT), "a/b egress[0]"),)),
        "output": Chain("output", (ChainRule((jump("r_1"),)),), Hook("output", 0)),
    },
    {"p4": NftSet("p4", (KeyType.IPV4_ADDR,), {((5, 5),): None})},
)


def test_a_table_that_sleeps_is_not_listed_as_if_it_were_awake() -> None:
    """For its flags nft 1.0.6 prints nonsense, or stops there; a listing without them would say that all is well."""

    def inside() -> None:
        door = Nftables()
        door.apply(delta(SMALL, None))
        process.run(("nft", "add table inet outgate { flags dormant; }"))
        for ask in (door.list, door.counters):
            with pytest.raises(Asleep, match="the table inet outgate is asleep") as caught:
                ask()
            assert "nft add table inet outgate wakes it" in caught.value.hint
        assert door.stands()
        door.wake()
        assert same(door.list(), SMALL)
        process.run(("nft", "add table inet outgate { flags dormant; }"))
        door.remove()
        assert door.list() is None

    alone(inside)


def test_a_table_of_another_process_is_named() -> None:
    """Only that process may change it, so whose it is has to be said, and nothing of nft's own errors."""

    def inside() -> None:
        command = ("nft", "-i")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as holder:
            assert holder.stdin is not None
            holder.stdin.write("add table inet outgate { flags owner; }\n")
            holder.stdin.flush()
            deadline = time.monotonic() + 30
            while not Nftables().stands():
                assert time.monotonic() < deadline
            with pytest.raises(KernelError, match=r"belongs to another process, nft \(flags owner\)") as caught:
                Nftables().list()
            assert caught.value.exit_code == 3
            assert "end that process" in caught.value.hint
            holder.stdin.close()
            holder.wait(30)
        assert Nftables().list() is None

    alone(inside)


def big(count: int) -> Ruleset:
    """A ruleset that no ordinary user can send in one piece."""
    elements: dict[SetKey, Judgement | None] = {((one, one),): None for one in range(count)}
    return replace(SMALL, sets={"p4": NftSet("p4", (KeyType.IPV4_ADDR,), elements)})


def same(one: Ruleset | None, other: Ruleset) -> bool:
    """Whether what was listed is what was wanted."""
    return one is not None and canonical(one) == canonical(other)


@pytest.mark.parametrize("rootless", [False, True], ids=["as started", "as root of a user namespace"])
def test_what_is_applied_is_listed(rootless: bool) -> None:
    """The loop of the agent in small: nothing, the first programming, a change, nothing more to do."""

    def inside() -> None:
        door = Nftables()
        assert door.list() is None
        door.apply(delta(SMALL, door.list()))
        assert same(door.list(), SMALL)
        changed = replace(SMALL, chains=dict(SMALL.chains) | {"r_1": Chain("r_1", (ChainRule((DROP,)),))})
        door.apply(delta(changed, door.list()))
        assert same(door.list(), changed)
        assert delta(changed, door.list()).transactions == ()
        door.remove()
        door.remove()
        assert door.list() is None

    alone(inside, rootless=rootless)


def test_no_other_table_is_touched() -> None:
    """The tables of kube-proxy and of network plugins are neighbours."""

    def inside() -> tuple[str, str]:
        process.run(
            ("nft", "-f", "-"),
            input="table ip outgate {\nchain c {\n}\n}\ntable inet neighbour {\nset s {\ntype mark\n}\n}\n",
        )
        before = process.run(("nft", "list", "ruleset")).stdout
        door = Nftables()
        door.apply(delta(SMALL, door.list()))
        door.apply(delta(Ruleset(), door.list()))
        door.remove()
        return before, process.run(("nft", "list", "ruleset")).stdout

    before, after = alone(inside)

    assert before == after
    assert "neighbour" in before


def test_counters_are_read_by_chain_and_rule() -> None:
    """They are how a denial is laid to a policy and a packet to a rule."""

    def inside() -> dict[tuple[str, int], tuple[int, int]]:
        door = Nftables()
        assert door.counters() == {}
        door.apply(delta(SMALL, None))
        process.run(("ip", "link", "set", "lo", "up"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x" * 100, ("127.0.0.1", 9))
        return {place: (counter.packets, counter.bytes) for place, counter in door.counters().items()}

    counters = alone(inside)

    assert list(counters) == [("r_1", 0)]
    packets, size = counters["r_1", 0]
    assert packets >= 1
    assert size >= 128


def test_preparation_too_long_for_one_message_is_sent_in_pieces() -> None:
    """An ordinary user's socket refuses what root's takes; the lab must work for both."""

    def inside() -> bool:
        door = Nftables()
        change = delta(big(20_000), None)
        # All in one, as if the limits of `delta` had been too generous for this machine.
        whole = Transaction(tuple(command for one in change.prepare for command in one.commands))
        door.apply(replace(change, prepare=(whole,)))
        return same(door.list(), big(20_000))

    assert alone(inside, rootless=True)


def test_a_flip_too_long_for_one_message_is_refused_whole() -> None:
    """In pieces it would be a third state; so the old one stands and the reader is told what to do."""

    def inside() -> tuple[str, str, bool]:
        door = Nftables()
        door.apply(delta(SMALL, None))
        flip = Transaction((AddElements(big(200_000).sets["p4"].only([((one, one),) for one in range(6, 100_000)])),))
        try:
            door.apply(Change(flip=flip))
        except KernelError as error:
            return error.message, error.hint, same(door.list(), SMALL)
        return "", "", False

    message, hint, stands = alone(inside, rootless=True)

    assert "too large" in message
    assert "root" in hint
    assert stands


def test_one_rule_that_does_not_fit_is_an_error_and_no_endless_halving() -> None:
    """Where nothing is left to halve, the error has to come out."""

    def inside() -> str:
        door = Nftables()
        rules = tuple(ChainRule((Compare(Field.TCP_DPORT, port, port), ACCEPT)) for port in range(3))
        try:
            door.apply(Change(prepare=(Transaction((FlushChain("nowhere"), AddRules("nowhere", rules))),)))
        except KernelError as error:
            return error.message
        return ""

    assert "No such file or directory" in alone(inside)


def test_check_says_what_nft_says() -> None:
    """`outgate compile` is checked with it; a text that nft refuses must not pass, nor be loaded."""

    def inside() -> tuple[str, bool]:
        door = Nftables()
        door.check("table inet outgate {\n}\n")
        try:
            door.check("table inet outgate {\nchain fwd {\n}\n}\n")
        except KernelError as error:
            return error.message, door.list() is None
        return "", False

    message, untouched = alone(inside)

    assert "syntax error" in message
    assert untouched


def test_without_rights_it_says_so() -> None:
    """An ordinary user outside a namespace of his own gets told which right is missing, not "no table"."""

    def inside() -> str:
        drop_rights()
        try:
            Nftables().list()
        except NotPermitted as error:
            return type(error).__name__
        return ""

    assert alone(inside) == "NotPermitted"
