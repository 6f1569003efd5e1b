"""The policy epoch in the connection mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.nft.epoch import EST, STAMP, Epoch, epoch_of, latest, with_epoch
from outgate.nft.evaluate import Header, evaluate
from outgate.nft.objects import (
    ACCEPT,
    Chain,
    ChainRule,
    Compare,
    Counter,
    Field,
    Hook,
    Ruleset,
    StampMark,
    goto,
    jump,
)


def framed(epoch: Epoch) -> Ruleset:
    """The two epoch chains and a hook that lets everything be stamped."""
    return with_epoch(
        Ruleset(
            {
                EST: Chain(EST, (ChainRule((Compare(Field.CT_MARK, 0, 0, mask=1), ACCEPT)),)),
                STAMP: Chain(STAMP, (ChainRule((Counter(), StampMark(1, 1), ACCEPT)),)),
                "forward": Chain("forward", (ChainRule((jump(EST),)), ChainRule((goto(STAMP),))), Hook("forward", 0)),
            }
        ),
        epoch,
    )


@st.composite
def epochs(draw: st.DrawFn) -> Epoch:
    """Any epoch of any mask."""
    width = draw(st.integers(2, 32))
    mask = ((1 << width) - 1) << draw(st.integers(0, 32 - width))
    return Epoch(mask, draw(st.integers(1, (1 << width) - 1)))


@given(epochs())
def test_an_epoch_is_read_back_from_the_rules(epoch: Epoch) -> None:
    """The kernel's table is the only memory of it: an agent that starts again must go on from there."""
    assert epoch_of(framed(epoch)) == epoch


@given(epochs())
def test_the_next_epoch_is_another_and_never_zero(epoch: Epoch) -> None:
    """0 is what an unjudged connection carries; as an epoch it would let everything pass."""
    following = epoch.following()

    assert following != epoch
    assert following.mask == epoch.mask
    assert following.bits & ~epoch.mask == 0
    assert following.bits != 0


@given(epochs(), st.integers(0, 0xFFFFFFFF))
def test_a_stamped_connection_passes_until_the_epoch_changes(epoch: Epoch, mark: int) -> None:
    """Stamp and comparison must speak of the same bits and leave the others alone."""
    header = Header(4, 1, 2, 6, mark=mark)
    stamped = evaluate(framed(epoch), "forward", header).mark

    assert stamped & ~epoch.mask == mark & ~epoch.mask
    again = Header(4, 1, 2, 6, mark=stamped)
    assert evaluate(framed(epoch), "forward", again).path[-1].chain == EST
    assert evaluate(framed(epoch.following()), "forward", again).path[-1].chain == STAMP


def test_the_highest_is_followed_by_the_first() -> None:
    """Counting on would leave the mask and overwrite a neighbour's bits."""
    assert Epoch(0xFFFF0000, 65535).following() == Epoch(0xFFFF0000, 1)
    assert Epoch(0x3, 2).following() == Epoch(0x3, 3)


@pytest.mark.parametrize(
    ("mask", "value"), [(0, 1), (0x5, 1), (0x10000, 1), (1 << 32, 1), (0xFF, 0), (0xFF, 256), (0xFF, -1), (-1, 1)]
)
def test_what_cannot_be_an_epoch_is_refused(mask: int, value: int) -> None:
    """One bit has no second epoch, and a mask with a hole counts wrongly."""
    with pytest.raises(ValueError, match="epoch"):
        Epoch(mask, value)


def test_a_table_without_epoch_has_none() -> None:
    """A stranger's table, or one whose chain was emptied, gives no number to go on from."""
    assert epoch_of(Ruleset()) is None
    assert epoch_of(Ruleset({EST: Chain(EST, (ChainRule((ACCEPT,)),))})) is None
    zero = ChainRule((Compare(Field.CT_MARK, 0, 0, mask=0xFF00), ACCEPT))
    assert epoch_of(Ruleset({EST: Chain(EST, (zero,))})) is None
    assert with_epoch(Ruleset(), Epoch(0xFF, 1)) == Ruleset()


@given(st.integers(2, 6), st.data())
def test_the_epoch_after_the_latest_is_the_one_longest_out_of_reach(width: int, data: st.DataObject) -> None:
    """By trying every number: none is carried after it for longer."""
    mask = ((1 << width) - 1) << data.draw(st.integers(0, 32 - width))
    carried = data.draw(st.frozensets(st.integers(1, (1 << width) - 1), min_size=1))

    def free(epoch: Epoch) -> int:
        """How many epochs come after it that nobody carries."""
        found = 0
        while (epoch := epoch.following()).value not in carried:
            found += 1
        return found

    last = latest(mask, carried)
    assert last is not None
    assert last.value in carried
    assert free(last) == max(free(Epoch(mask, one)) for one in carried)


def test_without_any_there_is_no_latest() -> None:
    """The first agent of a node begins at 1."""
    assert latest(0xFFFF_0000, ()) is None
