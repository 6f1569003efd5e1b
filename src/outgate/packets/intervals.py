"""Canonical sets of non-negative integers, kept as sorted closed intervals.

Invariant of `IntervalSet.spans`: for consecutive spans (a, b), (c, d): a <= b and b + 1 < c. There
is one such tuple for each set, hence structural equality. All operations are linear in the number
of spans (plus one sort where the input is unordered), and skip what lies before the other set: to
ask ten thousand spans about one costs a bisection.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from outgate.records import dataclass

__all__ = ["IntervalSet", "Span"]

Span = tuple[int, int]

_BEYOND = 1 << 130
"""Larger than any member: no address has more than 128 bits."""


@dataclass(frozen=True, slots=True)
class IntervalSet:
    """A set of integers.

    >>> web = IntervalSet.of((80, 80), (443, 443))
    >>> web | IntervalSet.of((81, 90))
    IntervalSet(spans=((80, 90), (443, 443)))
    >>> 443 in web, web <= IntervalSet.of((0, 65535))
    (True, True)

    Make one with `of` or `single`: they bring any input into canonical form.
    """

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, *spans: Span) -> IntervalSet:
        """The union of closed spans, in any order, overlapping or not.

        Raises ValueError where a span ends before it begins.
        """
        return cls(_canonical(spans))

    @classmethod
    def single(cls, value: int) -> IntervalSet:
        """The set of one integer."""
        return cls(((value, value),))

    @classmethod
    def union_of(cls, sets: Iterable[IntervalSet]) -> IntervalSet:
        """The union of many sets, by one sort."""
        return cls(_canonical(span for one in sets for span in one.spans))

    def __or__(self, other: IntervalSet) -> IntervalSet:
        if not self.spans or self is other:
            return other
        if not other.spans:
            return self
        return IntervalSet(_canonical(self.spans + other.spans))

    def __and__(self, other: IntervalSet) -> IntervalSet:
        if self is other or not self.spans:
            return self
        if not other.spans:
            return other
        left, right, found = self.spans, other.spans, []
        i, j = _from(left, right[0][0]), _from(right, left[0][0])
        while i < len(left) and j < len(right):
            low, high = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
            if low <= high:
                found.append((low, high))
            if left[i][1] < right[j][1]:
                i += 1
            else:
                j += 1
        return IntervalSet(tuple(found))

    def __sub__(self, other: IntervalSet) -> IntervalSet:
        right, rest = other.spans, []
        if not right or not self.spans:
            return self
        j = _from(right, self.spans[0][0])
        for low, high in self.spans:
            while j < len(right) and right[j][1] < low:
                j += 1
            begin, k = low, j
            while k < len(right) and right[k][0] <= high:
                if right[k][0] > begin:
                    rest.append((begin, right[k][0] - 1))
                begin = right[k][1] + 1
                k += 1
            if begin <= high:
                rest.append((begin, high))
        return IntervalSet(tuple(rest))

    def __le__(self, other: IntervalSet) -> bool:
        return not (self - other).spans

    def __contains__(self, value: int) -> bool:
        index = bisect_right(self.spans, (value, _BEYOND)) - 1
        return index >= 0 and self.spans[index][1] >= value

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __len__(self) -> int:
        """The number of spans; see `size` for the number of integers."""
        return len(self.spans)

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    def size(self) -> int:
        """How many integers the set has."""
        return sum(high - low + 1 for low, high in self.spans)

    def lowest(self) -> int:
        """The smallest member. Raises ValueError for the empty set."""
        if not self.spans:
            raise ValueError("the empty set has no member")
        return self.spans[0][0]

    def isdisjoint(self, other: IntervalSet) -> bool:
        """Whether the two sets share nothing. Each span of the smaller set is looked for in the larger."""
        few, many = sorted((self.spans, other.spans), key=len)
        for low, high in few:
            index = _from(many, low)
            if index < len(many) and many[index][0] <= high:
                return False
        return True


def _from(spans: tuple[Span, ...], value: int) -> int:
    """The index of the first span that does not end before a value."""
    index = bisect_right(spans, (value, _BEYOND))
    return index - 1 if index and spans[index - 1][1] >= value else index


def _canonical(spans: Iterable[Span]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for low, high in sorted(spans):
        if low > high:
            raise ValueError(f"a span ends before it begins: {low}-{high}")
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return tuple(merged)
