"""The policy epoch: a number in our bits of the connection mark that says "judged, and allowed, under these policies".

Chain ``est`` accepts a packet whose connection carries the current number, ``stamp`` writes it when both ends
have allowed a packet. Raising the number makes every live connection be judged again by its next packet.
0 is the mark of a connection that nobody has judged, so it is never an epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from outgate.nft.objects import Chain, ChainRule, Compare, Field, Ruleset, StampMark, Statement

__all__ = ["EST", "STAMP", "Epoch", "epoch_of", "latest", "with_epoch"]

EST = "est"
"""The chain that lets pass what was judged under the current epoch."""
STAMP = "stamp"
"""The chain that writes the epoch and accepts."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch: `value` from 1 to `highest`, kept in the bits of `mask`.

    Raises ValueError for a mask that is not one run of bits or has only one, and for a value that does not fit.
    """

    mask: int
    value: int = 1

    def __post_init__(self) -> None:
        lowest = self.mask & -self.mask
        if not 0 < self.mask <= 0xFFFF_FFFF or self.mask + lowest & self.mask or self.mask == lowest:
            raise ValueError(f"an epoch does not fit {self.mask:#x}: its mask is one run of at least two bits")
        if not 0 < self.value <= self.highest:
            raise ValueError(f"epoch {self.value} does not fit the mask {self.mask:#x}")

    @property
    def highest(self) -> int:
        """The last epoch before the first one comes again."""
        return self.mask // (self.mask & -self.mask)

    @property
    def bits(self) -> int:
        """The value where it stands in the mark."""
        return self.value * (self.mask & -self.mask)

    def following(self) -> Epoch:
        """The next epoch; after the highest comes 1, never 0.

        A connection that stays silent through all of them would be taken for judged; with 16 bits those are 65 534
        tightening changes.
        """
        return Epoch(self.mask, self.value % self.highest + 1)


def epoch_of(ruleset: Ruleset) -> Epoch | None:
    """The epoch that a ruleset lets pass; None where it has none (or one that we did not write)."""
    for rule in ruleset.chains.get(EST, Chain(EST)).rules:
        for statement in rule.statements:
            if isinstance(statement, Compare) and statement.field is Field.CT_MARK and statement.mask:
                try:
                    return Epoch(statement.mask, statement.low // (statement.mask & -statement.mask))
                except ValueError:
                    return None
    return None


def latest(mask: int, carried: Iterable[int]) -> Epoch | None:
    """The epoch that was given out last, as far as the numbers say that live connections carry; None without any.

    It is the one with the longest way to the next that is carried: numbers are given out one after the other, and a
    connection that stays silent keeps its own. So the epoch after it is carried by none, unless all numbers are.
    """
    numbers = sorted(set(carried))
    if not numbers:
        return None
    # The way of the last one leads past the highest, and on from the first one.
    following = [*numbers[1:], numbers[0] + Epoch(mask).highest]
    ways = ((after - one, one) for one, after in zip(numbers, following, strict=True))
    return Epoch(mask, max(ways)[1])


def with_epoch(ruleset: Ruleset, epoch: Epoch) -> Ruleset:
    """The same ruleset under another epoch. One without the two chains is returned unchanged."""
    chains = dict(ruleset.chains)
    for name in (EST, STAMP):
        if name in chains:
            rules = (_rule_with(rule, epoch) for rule in chains[name].rules)
            chains[name] = replace(chains[name], rules=tuple(rules))
    return replace(ruleset, chains=chains)


def _rule_with(rule: ChainRule, epoch: Epoch) -> ChainRule:
    return replace(rule, statements=tuple(_statement_with(statement, epoch) for statement in rule.statements))


def _statement_with(statement: Statement, epoch: Epoch) -> Statement:
    if isinstance(statement, StampMark):
        return StampMark(epoch.mask, epoch.bits)
    if isinstance(statement, Compare) and statement.field is Field.CT_MARK and statement.mask:
        return replace(statement, low=epoch.bits, high=epoch.bits, mask=epoch.mask)
    return statement
