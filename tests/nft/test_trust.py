"""What was judged under an older epoch, and whose it is."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

import pytest

from outgate.host.nft_wire import can_carry
from outgate.model import Node
from outgate.nft.epoch import EST, Epoch, epoch_of, with_epoch
from outgate.nft.evaluate import Evaluator, Fate, Header
from outgate.nft.frame import DISPATCHES, UNKNOWN, frame
from outgate.nft.objects import Judgement, NftSet, Ruleset, SetKey, goto
from outgate.nft.options import Options
from outgate.nft.parse import parse_ruleset
from outgate.nft.text import ruleset_text
from outgate.nft.transaction import AddRules, FlushChain, Transaction
from outgate.nft.trust import DISTRUSTED, OLDER, believes, distrusted_set
from tests.nft.test_frame import packet

HERE, THERE, OTHER = ("10.1.0.10", "10.2.0.20", "10.2.0.21")
NOW = Epoch(0xFFFF_0000, 7)


def table(*distrusted: str, believing: bool = True) -> Ruleset:
    """The frame, under epoch 7, with these addresses distrusted. Who is judged at the first end is denied."""
    options = Options(believing=believing, epoch=NOW.value)
    chains = {chain.name: chain for chain in frame(options, Node("n"), linked=False)}
    (here,) = (key for key, _ in _keys([HERE], 4))
    closed: dict[SetKey, Judgement | None] = {here: goto(UNKNOWN)}
    maps = [NftSet(one.name, one.key, closed if one.view.family == 4 else {}, is_map=True) for one in DISPATCHES]
    sets = [distrusted_set(family).holding(dict(_keys(distrusted, family))) for family in DISTRUSTED if believing]
    return Ruleset(chains, {one.name: one for one in (*maps, *sets)})


def _keys(many: Iterable[str], family: int) -> Iterator[tuple[SetKey, None]]:
    values = (int(one) for one in map(ipaddress.ip_address, many) if one.version == family)
    return ((((value, value),), None) for value in values)


def live(number: int) -> Header:
    """A packet of a connection with a number of ours, and a bit of somebody else's."""
    source, target = (int(ipaddress.ip_address(one)) for one in (HERE, THERE))
    return packet(source, target, mark=Epoch(NOW.mask, number).bits | 1 if number else 1)


def judged(ruleset: Ruleset, header: Header) -> bool:
    """Whether a packet is asked for more than its number."""
    outcome = Evaluator(ruleset).run("forward", header)
    assert outcome.mark == (header.mark if outcome.fate is Fate.DROP else NOW.bits | 1)
    return outcome.fate is Fate.DROP


def test_the_current_number_passes_before_anything_is_looked_up() -> None:
    """It is the way of nearly all packets: one comparison."""
    outcome = Evaluator(table(HERE, THERE)).run("forward", live(NOW.value))
    assert outcome.fate is Fate.ACCEPT
    assert [step.chain for step in outcome.path if step.chain != "forward"] == [EST]


@pytest.mark.parametrize("reply", [False, True])
@pytest.mark.parametrize("number", [1, 6, 8, 65535])
def test_an_older_number_is_believed_and_made_the_current_one(number: int, *, reply: bool) -> None:
    """Whichever side sends, and without a judgement."""
    header = live(number).reply() if reply else live(number)
    assert not judged(table(OTHER), header)


@pytest.mark.parametrize("reply", [False, True])
@pytest.mark.parametrize("end", [HERE, THERE])
def test_of_who_is_distrusted_nothing_is_believed(end: str, *, reply: bool) -> None:
    """At either end, in either direction."""
    header = live(3).reply() if reply else live(3)
    assert judged(table(end), header)


@pytest.mark.parametrize("header", [live(0), live(0).reply()])
def test_what_nobody_has_judged_is_judged(header: Header) -> None:
    """0 is no number, with whatever bits of others."""
    assert judged(table(), header)


def test_without_belief_there_is_none_of_it() -> None:
    """The table of those who do not ask for it is as it always was."""
    plain = table(believing=False)
    assert not believes(plain)
    assert OLDER not in plain.chains
    assert len(plain.chains[EST].rules) == 1
    assert judged(plain, live(3))


def test_a_table_that_believes_is_known_again_from_its_text() -> None:
    """An agent that begins has nothing else to know it from; and another epoch is one datagram."""
    mine = table(HERE, "fd00::1")
    found = parse_ruleset(ruleset_text(mine))
    assert believes(found)
    assert epoch_of(found) == NOW
    assert {name: dict(found.sets[name].elements) for name in DISTRUSTED.values()} == {
        name: dict(mine.sets[name].elements) for name in DISTRUSTED.values()
    }
    raised = with_epoch(mine, NOW.following())
    assert believes(raised)
    assert raised.chains[OLDER] == mine.chains[OLDER]
    assert can_carry(Transaction((FlushChain(EST), AddRules(EST, raised.chains[EST].rules))))
