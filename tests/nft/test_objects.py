"""The values that everything in this room is made of."""

from __future__ import annotations

from outgate.nft.objects import ACCEPT, Counter, KeyType, NftSet, goto, jump


def test_a_part_of_a_set_declares_the_same_set() -> None:
    """Elements added to another declaration would be refused by the kernel, or land in another set."""
    one, two = ((1, 1),), ((2, 2),)
    whole = NftSet("m", (KeyType.IPV4_ADDR,), {one: ACCEPT, two: goto("c")}, interval=True, is_map=True, comment="x")
    part = whole.only([two])

    assert part.elements == {two: goto("c")}
    assert (part.name, part.key, part.interval, part.is_map, part.comment) == ("m", whole.key, True, True, "x")


def test_counters_are_equal_whatever_they_count() -> None:
    """Traffic between two listings must not look like a change of the rules."""
    assert Counter(1, 2) == Counter()
    assert hash(Counter(1, 2)) == hash(Counter())


def test_verdicts_are_spelled_as_nft_spells_them() -> None:
    """They stand in traces and in text alike."""
    assert [str(one) for one in (ACCEPT, jump("a"), goto("b"))] == ["accept", "jump a", "goto b"]
