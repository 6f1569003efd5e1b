"""The fast door does what `nft -f` does: the same transactions, the same tables, the same refusals."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outgate.errors import KernelError, NotPermitted
from outgate.host import process
from outgate.host.netlink import Refused
from outgate.host.nft import Nftables
from outgate.host.nft_elements import ElementDoor, Overtaken, can_carry
from outgate.nft.canonical import canonical
from outgate.nft.delta import delta
from outgate.nft.epoch import EST, STAMP, Epoch
from outgate.nft.objects import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    ChainRule,
    Compare,
    Field,
    Judgement,
    KeyPart,
    KeyType,
    NftSet,
    Ruleset,
    SetKey,
    StampMark,
    goto,
    jump,
)
from outgate.nft.text import transaction_text
from outgate.nft.transaction import AddElements, AddRules, Command, DeleteElements, FlushChain, Transaction
from outgate.nft.transaction import Refused as RefusedByModel
from outgate.nft.transaction import apply as in_model
from tests.lab.alone import alone, drop_rights

pytestmark = pytest.mark.kernel
KERNEL = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)

V6 = [0, 1, (1 << 128) - 1, 0xFD << 120 | 7]
POOL: dict[KeyType, list[KeyPart]] = {
    KeyType.IPV4_ADDR: [(one, one) for one in (0, 0x0A00_0001, 0x0100_000A, 0xFFFF_FFFF)],
    KeyType.IPV6_ADDR: [(one, one) for one in V6],
    KeyType.INET_PROTO: [(one, one) for one in (1, 6, 17, 255)],
    KeyType.INET_SERVICE: [(one, one) for one in (0, 53, 0x3500, 65535)],
    KeyType.CLASSID: [(one, one) for one in (1, 0x8001_0000, 0xD012_3450, 0xFFFF_FFFE)],
    KeyType.ETHER_ADDR: [(one, one) for one in (1, 0x0200_0000_0001, 0x0100_0000_0002, 0xFFFF_FFFF_FFFE)],
    KeyType.IFNAME: ["a", "eth0", "abcdefghijklmno", "veth-1.2_3"],
}
TYPES: list[tuple[KeyType, ...]] = [
    *((one,) for one in KeyType),
    (KeyType.IFNAME, KeyType.IPV4_ADDR),
    (KeyType.IFNAME, KeyType.IPV6_ADDR),
    (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE),
    (KeyType.IPV6_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE),
    (KeyType.INET_PROTO, KeyType.INET_SERVICE, KeyType.IFNAME, KeyType.IPV6_ADDR),
]
SETS = {
    f"{'m' if is_map else 's'}_{number}": NftSet(f"{'m' if is_map else 's'}_{number}", key, is_map=is_map)
    for number, key in enumerate(TYPES)
    for is_map in (False, True)
}
VERDICTS = [ACCEPT, DROP, RETURN, goto("c_1"), jump("c_1"), goto("c_" + "x" * 58)]
EPOCH = Epoch(0x0FFF_0000, 1)


def epoch_rules(name: str, epoch: Epoch) -> tuple[ChainRule, ...]:
    """What the compiler writes into `est` and `stamp`."""
    mark = Compare(Field.CT_MARK, epoch.bits, epoch.bits, mask=epoch.mask) if name == EST else None
    return (ChainRule((mark or StampMark(epoch.mask, epoch.bits), ACCEPT)),)


BASE = Ruleset(
    {
        **{name: Chain(name, epoch_rules(name, EPOCH)) for name in (EST, STAMP)},
        **{one.chain: Chain(one.chain, (ChainRule((DROP,)),)) for one in VERDICTS if one.chain},
    },
    SETS,
)


@st.composite
def changes(draw: st.DrawFn) -> Command:
    """A few elements more or fewer, from pools so small that they are often there already, or missing."""
    one = draw(st.sampled_from(list(SETS.values())))
    keys = draw(st.lists(st.tuples(*(st.sampled_from(POOL[kind][:2]) for kind in one.key)), max_size=3, unique=True))
    elements: dict[SetKey, Judgement | None] = {
        key: draw(st.sampled_from(VERDICTS)) if one.is_map else None for key in keys
    }
    part = replace(one, elements=elements)
    commands: list[Command] = [AddElements(part), AddElements(part), DeleteElements(part)]
    return draw(st.sampled_from(commands))


@st.composite
def replacements(draw: st.DrawFn) -> tuple[Command, ...]:
    """An element that is there gets another verdict: delete and add in one transaction."""
    one = draw(st.sampled_from([one for one in SETS.values() if one.is_map]))
    key = tuple(draw(st.sampled_from(POOL[kind][:2])) for kind in one.key)
    first, second = (replace(one, elements={key: draw(st.sampled_from(VERDICTS))}) for _ in range(2))
    return AddElements(first), DeleteElements(first), AddElements(second)


@st.composite
def bumps(draw: st.DrawFn) -> tuple[Command, ...]:
    """Another epoch, under any mask."""
    low = draw(st.integers(0, 30))
    mask = ((1 << draw(st.integers(2, 32 - low))) - 1) << low
    epoch = Epoch(mask, draw(st.integers(1, Epoch(mask).highest)))
    names = draw(st.lists(st.sampled_from([EST, STAMP]), min_size=1, unique=True))
    return tuple(one for name in names for one in (FlushChain(name), AddRules(name, epoch_rules(name, epoch))))


@st.composite
def transactions(draw: st.DrawFn) -> Transaction:
    """Everything that the fast door carries."""
    groups = draw(st.lists(st.one_of(st.tuples(changes()), replacements(), bumps()), max_size=5))
    return Transaction(tuple(itertools.chain.from_iterable(groups)))


def through_nft(transaction: Transaction) -> None:
    """The slow door."""
    Nftables().load(transaction_text(transaction))


Outcome = tuple[bool, Ruleset | None, str]


def play(played: list[Transaction], door: Callable[[Transaction], None]) -> list[Outcome]:
    """For each transaction whether it was taken, the table, and the chains just as nft prints them."""
    outcomes = []
    for one in played:
        try:
            door(one)
            taken = True
        except KernelError:
            taken = False
        chains = process.run(("nft", "-t", "list", "table", "inet", "outgate")).stdout
        outcomes.append((taken, Nftables().list(), chains))
    return outcomes


def by_nft(played: list[Transaction]) -> list[Outcome]:
    """In a namespace of its own, all through `nft -f`."""
    Nftables().apply(delta(BASE, None))
    return play(played, through_nft)


def by_netlink(played: list[Transaction]) -> list[Outcome]:
    """In a namespace of its own, all through the fast door; and that reads what nft reads."""
    Nftables().apply(delta(BASE, None))
    with ElementDoor() as door:
        outcomes = play(played, door.apply)
        last = Nftables().list()
        assert last is not None
        assert {name: door.elements(one) for name, one in SETS.items()} == last.sets
    return outcomes


def in_words(played: list[Transaction]) -> list[tuple[bool, Ruleset | None]]:
    """What the model says that comes of it."""
    state: Ruleset | None = BASE
    outcomes = []
    for one in played:
        try:
            state, taken = in_model(one, state), True
        except RefusedByModel:
            taken = False
        outcomes.append((taken, canonical(state) if state else None))
    return outcomes


@KERNEL
@given(st.lists(transactions(), min_size=1, max_size=5), st.booleans())
def test_both_doors_lead_to_the_same_table(played: list[Transaction], rootless: bool) -> None:
    """A table that depends on the door through which it was changed would be repaired for ever."""
    assert all(map(can_carry, played))
    fast = alone(lambda: by_netlink(played), rootless=rootless)
    assert fast == alone(lambda: by_nft(played))
    assert [(taken, canonical(one) if one else None) for taken, one, _ in fast] == in_words(played)


S4 = NftSet("s_0", (KeyType.IPV4_ADDR,))


def numbered(first: int, last: int) -> NftSet:
    """The set of IPv4 addresses with these in it."""
    return replace(S4, elements={((one, one),): None for one in range(first, last)})


def with_door(function: Callable[[ElementDoor], object], *, rootless: bool = False) -> None:
    """In a namespace of its own with the table in it."""

    def inside() -> None:
        Nftables().apply(delta(BASE, None))
        with ElementDoor() as door:
            function(door)

    alone(inside, rootless=rootless)


def test_what_is_refused_is_named_and_nothing_is_done() -> None:
    """Half a change would be a third state, and "no such file" among 20 000 elements tells nobody anything."""

    def inside(door: ElementDoor) -> None:
        door.apply(Transaction((AddElements(numbered(0, 20_000)),)))
        before = Nftables().list()
        keys: dict[SetKey, Judgement | None] = {**numbered(0, 20_000).elements, ((1 << 31, 1 << 31),): None}
        missing = DeleteElements(replace(S4, elements=keys))
        with pytest.raises(Refused, match=r"delete element 128\.0\.0\.0 of s_0: No such file or directory"):
            door.apply(Transaction((AddElements(numbered(30_000, 30_001)), missing)))
        five = tuple(DeleteElements(numbered(one, one + 1)) for one in range(40_000, 40_005))
        with pytest.raises(Refused, match=r"0\.0\.156\.64 of s_0; .*; .*; and 2 more: No such file"):
            door.apply(Transaction(five))
        with pytest.raises(Refused, match=r"add elements of nonesuch|add element 0\.0\.0\.0 of nonesuch"):
            door.apply(Transaction((AddElements(replace(numbered(0, 1), name="nonesuch")),)))
        assert Nftables().list() == before

    with_door(inside)


def test_a_change_too_large_for_the_socket_is_refused_whole() -> None:
    """An ordinary user's socket holds 4 MiB at most; in pieces it would be no transaction."""

    def inside(door: ElementDoor) -> None:
        door.apply(Transaction((AddElements(numbered(0, 9_000)),)))
        with pytest.raises(KernelError, match=r"too large for the socket") as caught:
            door.apply(Transaction((AddElements(numbered(9_000, 600_000)),)))
        assert "wmem_max" in caught.value.hint
        assert len(door.elements(S4).elements) == 9_000

    with_door(inside, rootless=True)


def test_all_is_read_while_a_set_grows() -> None:
    """A dump that is taken for whole while it misses a quarter makes the agent add what is there."""

    def inside(door: ElementDoor) -> None:
        for first in range(0, 45_000, 15_000):
            door.apply(Transaction((AddElements(numbered(first, first + 15_000)),)))
            assert len(door.elements(S4).elements) == first + 15_000

    with_door(inside)


def test_a_change_for_another_generation_is_not_made() -> None:
    """What was read is what the change was made for; if somebody was faster, it has to be read again."""

    def inside(door: ElementDoor) -> None:
        before = door.generation()
        process.run(("nft", "add", "table", "ip", "neighbour"))
        with pytest.raises(Overtaken, match=r"by somebody else"):
            door.apply(Transaction((AddElements(numbered(0, 1)),)), generation=before)
        now = door.generation()
        assert now == before + 1
        door.apply(Transaction((AddElements(numbered(0, 1)),)), generation=now)
        assert door.generation() == now + 1

    with_door(inside)


def test_nothing_to_do_does_nothing() -> None:
    """An empty DELSETELEM would empty the whole set (nf_tables_delsetelem, nft_set_flush)."""

    def inside(door: ElementDoor) -> None:
        door.apply(Transaction((AddElements(numbered(0, 5)),)))
        before = door.generation()
        door.apply(Transaction((DeleteElements(S4), AddElements(S4))))
        door.apply(Transaction(()))
        assert door.generation() == before
        assert len(door.elements(S4).elements) == 5

    with_door(inside)


def test_what_is_not_there_or_not_as_declared_is_not_read() -> None:
    """Bytes taken for another type are addresses that nobody wrote."""

    def inside(door: ElementDoor) -> None:
        with pytest.raises(Refused) as caught:
            door.elements(replace(S4, name="nonesuch"))
        assert caught.value.number == 2
        door.apply(Transaction((AddElements(numbered(0, 5)),)))
        with pytest.raises(ValueError, match="a key of 4 bytes, where 16 were declared"):
            door.elements(replace(S4, key=(KeyType.IPV6_ADDR,)))
        with pytest.raises(ValueError, match="has intervals"):
            door.elements(replace(S4, interval=True))

    with_door(inside)


def test_without_rights_it_says_so() -> None:
    """Nothing about netlink: which right is missing."""

    def inside(door: ElementDoor) -> None:
        drop_rights()
        with pytest.raises(NotPermitted, match="Operation not permitted"), ElementDoor() as weak:
            weak.apply(Transaction((AddElements(numbered(0, 5)),)))
        with pytest.raises(NotPermitted):
            door.apply(Transaction((AddElements(numbered(0, 5)),)))

    with_door(inside)
