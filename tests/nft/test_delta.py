"""Desired − actual: where it ends, what packets see on the way, and when live connections are judged again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.nft.canonical import canonical
from outgate.nft.delta import MAX_ELEMENTS, MAX_RULES, Change, delta
from outgate.nft.epoch import Epoch, epoch_of, with_epoch
from outgate.nft.evaluate import Evaluator, Fate, Header
from outgate.nft.objects import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    ChainRule,
    Compare,
    Counter,
    Field,
    Hook,
    Judgement,
    KeyType,
    Lookup,
    NftSet,
    Opaque,
    Ruleset,
    SetKey,
    StampMark,
    Statement,
    VerdictMap,
    goto,
    jump,
)
from outgate.nft.transaction import (
    AddChain,
    AddElements,
    AddRules,
    AddSet,
    DeleteTable,
    Transaction,
    apply,
    weight,
)
from tests.nft.rulesets import headers, rulesets

QUIET = rulesets(quiet=True)
PAIRS = st.tuples(QUIET, QUIET)
FEWER = settings(max_examples=30)
PACKETS = st.lists(headers(), min_size=5, max_size=15)
HOOKS = ("forward", "input")


def states(change: Change, before: Ruleset | None) -> Iterator[Ruleset | None]:
    """The table before the change and after each of its transactions, as the kernel would have it."""
    yield before
    for transaction in change.transactions:
        before = apply(transaction, before)
        yield before


def same(one: Ruleset | None, other: Ruleset | None) -> bool:
    """Whether two tables are equal but for the comments of sets, which do not change with a set's life."""
    if one is None or other is None:
        return one is other
    plain = [
        replace(ruleset, sets={n: replace(s, comment="") for n, s in ruleset.sets.items()}) for ruleset in (one, other)
    ]
    return canonical(plain[0]) == canonical(plain[1])


def having(ruleset: Ruleset, *objects: Chain | NftSet) -> Ruleset:
    """The ruleset with these objects, in the place of any of the same name."""
    chains = dict(ruleset.chains) | {one.name: one for one in objects if isinstance(one, Chain)}
    sets = dict(ruleset.sets) | {one.name: one for one in objects if isinstance(one, NftSet)}
    return replace(ruleset, chains=chains, sets=sets)


def by_content(ruleset: Ruleset) -> Ruleset:
    """The same ruleset with every inner chain and every set named by a hash of what it is, as the compiler does."""
    names: dict[str, str] = {}

    def renamed(judgement: Judgement | None) -> Judgement | None:
        return judgement and replace(judgement, chain=names.get(judgement.chain, judgement.chain))

    def hashed(prefix: str, content: object) -> str:
        return f"{prefix}_{hashlib.blake2s(repr(content).encode(), digest_size=8).hexdigest()}"

    def statement(one: Statement) -> Statement:
        match one:
            case Lookup():
                return replace(one, set=names[one.set])
            case VerdictMap():
                return replace(one, map=names[one.map])
            case Judgement():
                return renamed(one) or one
            case _:
                return one

    def chain(one: Chain) -> tuple[ChainRule, ...]:
        return tuple(replace(rule, statements=tuple(map(statement, rule.statements))) for rule in one.rules)

    chains: dict[str, Chain] = {}
    sets: dict[str, NftSet] = {}
    # Maps lead to the last inner chain alone, and that looks into no map: it comes first, then the maps.
    inner = [one for one in ruleset.chains.values() if one.hook is None][::-1]
    flat = [one for one in ruleset.sets.values() if not one.is_map]
    maps = [one for one in ruleset.sets.values() if one.is_map]
    ordered: list[Chain | NftSet] = [*flat, *inner[:1], *maps, *inner[1:]]
    for one in ordered:
        if isinstance(one, NftSet):
            elements = {key: renamed(verdict) for key, verdict in one.elements.items()}
            names[one.name] = hashed("s", (sorted(elements.items(), key=repr), one.key, one.interval, one.is_map))
            sets[names[one.name]] = replace(one, name=names[one.name], elements=elements)
        else:
            rules = chain(one)
            names[one.name] = hashed("c", rules)
            chains[names[one.name]] = Chain(names[one.name], rules)
    for base in ruleset.chains.values():
        if base.hook is not None:
            chains[base.name] = replace(base, rules=chain(base))
    return Ruleset(chains, sets)


BY_CONTENT = st.tuples(QUIET.map(by_content), QUIET.map(by_content))


@FEWER
@given(st.one_of(PAIRS, BY_CONTENT))
def test_the_change_ends_at_what_is_desired(pair: tuple[Ruleset, Ruleset]) -> None:
    """Whatever stood there, the kernel accepts every step, and at the end the table is the desired one."""
    desired, actual = pair
    change = delta(desired, actual)

    assert same([*states(change, actual)][-1], desired)
    assert change.after == desired


@FEWER
@given(QUIET)
def test_nothing_is_done_where_nothing_differs(ruleset: Ruleset) -> None:
    """An agent that rewrites what is there resets its counters and judges every connection again."""
    assert delta(ruleset, ruleset) == Change(after=ruleset)


@FEWER
@given(QUIET.map(by_content))
def test_the_first_programming_hooks_in_last(ruleset: Ruleset) -> None:
    """A hook that exists before what it leads to would drop or pass everything meanwhile."""
    change = delta(ruleset, None)
    built = [*states(change, None)]

    assert same(built[-1], ruleset)
    for state in built[:-1]:
        assert state is None or not any(chain.hook for chain in state.chains.values())


@FEWER
@given(BY_CONTENT, PACKETS)
def test_packets_see_the_old_state_or_the_new_one(pair: tuple[Ruleset, Ruleset], packets: list[Header]) -> None:
    """If the process dies at any point, what stands is one of the two: never a third."""
    desired, actual = pair
    change = delta(desired, actual)
    flipped = len(change.prepare)

    old, new = Evaluator(actual), Evaluator(desired)
    for number, state in enumerate(states(change, actual)):
        assert state is not None
        now, expected = Evaluator(state), old if number <= flipped and change.flip else new
        for hook in HOOKS:
            for header in packets:
                found, wanted = now.run(hook, header), expected.run(hook, header)
                assert (found.fate, found.mark) == (wanted.fate, wanted.mark)


@FEWER
@given(BY_CONTENT, QUIET.map(by_content), st.integers(0, 20))
def test_a_change_begun_by_somebody_who_died_is_finished(
    pair: tuple[Ruleset, Ruleset], third: Ruleset, stop: int
) -> None:
    """What a dead agent has prepared is used or removed; it never hinders the next one."""
    desired, actual = pair
    reached = [*states(delta(desired, actual), actual)]
    left = reached[min(stop, len(reached) - 1)]

    for wanted in (desired, third):
        assert same([*states(delta(wanted, left), left)][-1], wanted)


def test_a_half_filled_set_is_filled_before_anything_refers_to_it() -> None:
    """Filled in the flip, an interval set would look empty for a moment after the rules lead to it."""
    desired = shape(blocks={((0, 9), (6, 6)): goto("r_1"), ((20, 29), (6, 6)): goto("r_1")})
    (name,) = (one for one in desired.sets if one not in shape().sets)
    half = having(shape(), desired.sets[name].only([((0, 9), (6, 6))]))

    again = delta(desired, half)

    assert [part for one in again.prepare for part in one.commands if isinstance(part, AddElements)]
    assert again.flip is not None
    assert not any(isinstance(one, AddElements) and one.part.name == name for one in again.flip.commands)


# ---------------------------------------------------------------------------------------------------------------------
# The shape of the compiler's rulesets, small.

MASK = 0xFFFF_0000
POD, OTHER = ((10, 10),), ((11, 11),)
PEER, MORE = ((20, 20),), ((21, 21),)


def shape(
    *,
    pods: tuple[SetKey, ...] = (POD,),
    peers: tuple[SetKey, ...] = (PEER,),
    blocks: dict[SetKey, Judgement | None] | None = None,
    denied: tuple[SetKey, ...] = (),
    epoch: int = 1,
    closed: bool = True,
) -> Ruleset:
    """One class of pods that may reach a peer set and some blocks, with a set of what is denied before.

    With `closed`, pods are known by their interfaces, and one that is in no map is denied.
    """
    blocks = blocks or {((0, 9), (6, 6)): goto("r_1")}
    mark = hashlib.blake2s(repr(sorted(blocks.items())).encode(), digest_size=4).hexdigest()
    block_map = NftSet(f"b4_{mark}", (KeyType.IPV4_ADDR, KeyType.INET_PROTO), blocks, interval=True, is_map=True)
    address = (KeyType.IPV4_ADDR,)
    sets = [
        NftSet("eg4", address, dict.fromkeys(pods, goto(f"e4_{mark}")), is_map=True),
        NftSet("p4", address, dict.fromkeys(peers)),
        NftSet("x4", address, dict.fromkeys(denied)),
        block_map,
    ]
    lines: dict[str, list[tuple[Statement, ...]]] = {
        "r_1": [(Counter(), RETURN)],
        "d_1": [(Counter(),), (DROP,)],
        f"e4_{mark}": [
            (Lookup((Field.IP_DADDR,), "x4"), goto("d_1")),
            (Lookup((Field.IP_DADDR,), "p4"), goto("r_1")),
            (VerdictMap((Field.IP_DADDR, Field.L4PROTO), block_map.name),),
            (goto("d_1"),),
        ],
        "est": [(Compare(Field.CT_MARK, 1, 1, mask=MASK), ACCEPT)],
        "stamp": [(StampMark(MASK, 0x10000), ACCEPT)],
        "egress": [
            (VerdictMap((Field.IP_SADDR,), "eg4"),),
            *([(Compare(Field.IIFNAME, text="ogp*"), goto("d_1"))] if closed else []),
        ],
        "forward": [(jump("est"),), (jump("egress"),), (goto("stamp"),)],
    }
    hooks = {"forward": Hook("forward", -10)}
    chains = {n: Chain(n, tuple(map(ChainRule, rules)), hooks.get(n)) for n, rules in lines.items()}
    return with_epoch(Ruleset(chains, {one.name: one for one in sets}), Epoch(MASK, epoch))


@pytest.mark.parametrize(
    "desired",
    [
        shape(),
        shape(peers=(PEER, MORE)),
        shape(pods=(POD, OTHER)),
        having(shape(), NftSet("p4_new", (KeyType.IPV4_ADDR,), {PEER: None})),
    ],
    ids=["nothing", "peer added", "pod added", "unused set"],
)
def test_what_only_loosens_keeps_the_epoch(desired: Ruleset) -> None:
    """A pod is born every few seconds somewhere: judging all connections again for that would cost too much."""
    change = delta(desired, shape(epoch=7))

    assert not change.tightens
    assert change.after is not None
    assert epoch_of(change.after) == Epoch(MASK, 7)


@pytest.mark.parametrize(
    "desired",
    [
        shape(peers=()),
        shape(peers=(MORE,)),
        shape(pods=()),
        shape(blocks={((0, 8), (6, 6)): goto("r_1")}),
        shape(denied=(MORE,)),
        replace(shape(), chains={n: c for n, c in shape().chains.items() if n != "forward"}),
        having(shape(), Chain("input", (ChainRule((DROP,)),), Hook("input", 0))),
        having(shape(), Chain("egress", (ChainRule((DROP,)),))),
    ],
    ids=["peer gone", "peer replaced", "pod gone", "other blocks", "denied", "unhooked", "hooked", "rewritten"],
)
def test_what_may_tighten_raises_the_epoch(desired: Ruleset) -> None:
    """Decision 8: a live connection that the new policies deny is cut; without a new epoch it lives on."""
    change = delta(desired, shape(epoch=7))

    assert change.tightens
    assert change.flip is not None
    assert change.after is not None
    assert epoch_of(change.after) == Epoch(MASK, 8)
    assert same([*states(change, shape(epoch=7))][-1], with_epoch(desired, Epoch(MASK, 8)))


def test_a_live_connection_is_cut_with_the_change() -> None:
    """The whole way: allowed and stamped before, denied by its next packet after the flip."""
    before, change = shape(epoch=65535), delta(shape(peers=()), shape(epoch=65535))
    packet = Header(4, 10, 20, 6, sport=1, dport=2)
    stamped = replace(packet, mark=Evaluator(before).run("forward", packet).mark)

    fates = [Evaluator(one).run("forward", stamped).fate for one in states(change, before) if one is not None]

    assert fates[0] is Fate.ACCEPT
    assert fates[-1] is Fate.DROP
    assert epoch_of(change.after or before) == Epoch(MASK, 1)


def test_another_mask_begins_with_its_own_epoch() -> None:
    """The number in the old bits says nothing about the new ones."""
    desired = with_epoch(shape(), Epoch(0xFF, 3))
    change = delta(desired, shape(epoch=7))

    assert change.tightens
    assert epoch_of(change.after or desired) == Epoch(0xFF, 4)


@pytest.mark.parametrize("theirs", [3, 5, 7, 9])
@pytest.mark.parametrize("desired", [shape(), shape(peers=())], ids=["nothing else", "tightens"])
def test_epochs_are_counted_on_from_the_last(theirs: int, desired: Ruleset) -> None:
    """A table that somebody restored has an epoch of before, and connections that have not spoken since carry it."""
    change = delta(desired, shape(epoch=theirs), last=Epoch(MASK, 7))
    same_again = theirs == 7 and not change.tightens

    assert change.after is not None
    assert epoch_of(change.after) == Epoch(MASK, 7 if same_again else 8)
    assert same([*states(change, shape(epoch=theirs))][-1], change.after)


def test_a_table_that_is_gone_does_not_begin_anew() -> None:
    """From 1 on, it would come to the numbers that live connections have, and let them pass unasked."""
    for actual in (None, having(shape(), NftSet("quota q", ())), having(shape(), Chain("est"))):
        change = delta(shape(), actual, last=Epoch(MASK, 7))
        assert epoch_of(change.after or Ruleset()) == Epoch(MASK, 8)
    assert epoch_of(delta(shape(epoch=3), None).after or Ruleset()) == Epoch(MASK, 3)
    assert epoch_of(delta(shape(), shape(), last=Epoch(0xFF, 7)).after or Ruleset()) == Epoch(MASK, 1), "another mask"


def test_what_is_owed_is_raised_without_a_difference() -> None:
    """The kernel refused it, or an agent died."""
    change = delta(shape(), shape(epoch=7), tightens=True)

    assert change.tightens
    assert epoch_of(change.after or Ruleset()) == Epoch(MASK, 8)
    assert [len(change.prepare), change.remove] == [0, None]


def test_a_new_pod_raises_the_epoch_where_unknown_ones_are_only_counted() -> None:
    """By its interface it was led away, and let pass."""
    before = having(shape(epoch=7), Chain("d_1", (ChainRule((Counter(),)), ChainRule((RETURN,)))))
    wanted = having(shape(pods=(POD, OTHER)), before.chains["d_1"])

    assert delta(wanted, before).tightens


# ---------------------------------------------------------------------------------------------------------------------
# Tampering.


@pytest.mark.parametrize(
    "actual",
    [
        having(shape(), NftSet("p4", (KeyType.IPV6_ADDR,))),
        having(shape(), NftSet("p4", ())),
        having(shape(), NftSet("quota q", ())),
        having(shape(), Chain("some-where")),
        having(shape(), replace(shape().chains["forward"], hook=Hook("forward", 5))),
        having(shape(), replace(shape().chains["forward"], hook=None)),
    ],
    ids=["other type", "foreign set", "foreign object", "foreign name", "other priority", "unhooked"],
)
def test_what_cannot_be_mended_is_made_anew(actual: Ruleset) -> None:
    """An object of our name and another make cannot be changed under rules that refer to it."""
    change = delta(shape(), actual)

    assert [len(change.prepare), change.remove] == [0, None]
    assert change.flip is not None
    assert DeleteTable() in change.flip.commands
    assert change.tightens
    assert same([*states(change, actual)][-1], change.after)


def test_a_strangers_rule_is_undone() -> None:
    """A rule that has no words here is still seen, and its chain is written again."""
    tampered = Chain("egress", (ChainRule((Opaque("fib saddr oif 1"), ACCEPT)), *shape().chains["egress"].rules))
    actual = having(shape(), tampered)
    change = delta(shape(), actual)

    assert change.tightens
    assert same([*states(change, actual)][-1], change.after)
    assert change.prepare == ()


def test_where_a_strangers_rule_leads_is_not_known() -> None:
    """It may jump into a chain that looks unused; changed in preparation, that would change what packets see."""
    tampered = Chain("egress", (ChainRule((Opaque("fib saddr oif 1 goto r_9"),)),))
    actual = having(shape(), tampered, Chain("r_9", (ChainRule((DROP,)),)))

    assert delta(having(shape(), Chain("r_9", (ChainRule((ACCEPT,)),))), actual).prepare == ()


def test_a_strangers_chain_is_removed_with_the_flip() -> None:
    """A hook of somebody else in our table decides about packets until it is gone."""
    stranger = Chain("theirs", (ChainRule((ACCEPT,)),), Hook("forward", -400))
    change = delta(shape(), having(shape(), stranger))

    assert change.flip is not None
    assert [type(one).__name__ for one in change.flip.commands][-2:] == ["FlushChain", "DeleteChain"]


# ---------------------------------------------------------------------------------------------------------------------
# Size.


def test_preparation_comes_in_pieces_that_an_ordinary_user_can_send() -> None:
    """Without more rights a longer message is refused (EMSGSIZE), and nothing would be programmed at all."""
    elements: dict[SetKey, Judgement | None] = {((one, one),): None for one in range(2 * MAX_ELEMENTS + 5)}
    big = NftSet("p4_big", (KeyType.IPV4_ADDR,), elements)
    rules = tuple(ChainRule((Compare(Field.TCP_DPORT, port, port), ACCEPT)) for port in range(2 * MAX_RULES + 5))
    desired = having(shape(), Chain("c_big", rules), big)
    change = delta(desired, shape())

    for transaction in change.prepare:
        sizes = [weight(command) for command in transaction.commands]
        assert sum(size for size, _ in sizes) <= MAX_RULES
        assert sum(size for _, size in sizes) <= MAX_ELEMENTS
    assert len(change.prepare) > 4
    assert same([*states(change, shape())][-1], desired)


def test_a_new_pod_raises_the_epoch_where_it_could_talk_before() -> None:
    """What an unknown pod was let pass is marked as judged; its policy would never be asked about it."""
    change = delta(shape(pods=(POD, OTHER), closed=False), shape(closed=False, epoch=7))
    assert change.tightens
    assert change.after is not None
    assert epoch_of(change.after) == Epoch(MASK, 8)


def test_a_new_pod_is_one_small_transaction() -> None:
    """The agent's promise is milliseconds: one element, one message, no second look."""
    change = delta(shape(pods=(POD, OTHER)), shape())

    (transaction,) = change.transactions
    assert transaction == change.flip
    assert [weight(command) for command in transaction.commands] == [(0, 1)]


def test_new_objects_are_made_before_the_flip_and_old_ones_go_after_it() -> None:
    """Rules that look into a set of their own transaction find it empty; packets under way still use the old."""
    change = delta(shape(blocks={((0, 8), (6, 6)): goto("r_1")}), shape())
    made = {type(one) for transaction in change.prepare for one in transaction.commands}

    assert made == {AddChain, AddSet, AddElements, AddRules}
    assert isinstance(change.flip, Transaction)
    assert not any(isinstance(one, AddSet | AddChain) for one in change.flip.commands)
    assert isinstance(change.remove, Transaction)
    assert [type(one).__name__ for one in change.remove.commands] == ["FlushChain", "DeleteSet", "DeleteChain"]
