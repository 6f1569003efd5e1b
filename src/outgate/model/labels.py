"""Labels and label selectors, with the truth table of the Kubernetes API.

``labels/selector.go`` (Requirement.Matches): `In` and `Exists` need the key; `NotIn` and
`DoesNotExist` hold when the key is missing. A selector without requirements matches everything;
the *absence* of a selector is not a selector, and what it means is the business of the field it is
absent from.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from outgate.records import dataclass

__all__ = ["EVERYTHING", "LabelIndex", "LabelSelector", "Labels", "Operator", "Requirement"]

Labels = Mapping[str, str]


class Operator(enum.StrEnum):
    """The four operators of ``matchExpressions``; case matters."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """One requirement on one key. `values` are sorted and distinct."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Whether the labels meet the requirement."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None

    def __str__(self) -> str:
        match self.operator:
            case Operator.IN if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case Operator.NOT_IN if len(self.values) == 1:
                return f"{self.key}!={self.values[0]}"
            case Operator.IN | Operator.NOT_IN:
                word = "in" if self.operator is Operator.IN else "notin"
                return f"{self.key} {word} ({','.join(self.values)})"
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A selector in canonical form: sorted, distinct requirements, all of which must hold.

    ``matchLabels: {k: v}`` is ``k In [v]``, so two spellings of one selector are equal.
    """

    requirements: tuple[Requirement, ...] = ()
    _hash: int = field(default=0, init=False, compare=False, repr=False)

    def __hash__(self) -> int:
        """Worked out once: a few selectors are looked up again and again."""
        found = self._hash
        if not found:
            found = hash(self.requirements)
            object.__setattr__(self, "_hash", found)
        return found

    @classmethod
    def of(cls, match_labels: Labels | None = None, expressions: Iterable[Requirement] = ()) -> LabelSelector:
        """A selector from the two halves of the API's LabelSelector."""
        exact = (Requirement(key, Operator.IN, (value,)) for key, value in (match_labels or {}).items())
        tidy = (Requirement(r.key, r.operator, tuple(sorted(set(r.values)))) for r in expressions)
        return cls(tuple(sorted({*exact, *tidy})))

    def matches(self, labels: Labels) -> bool:
        """Whether all requirements hold."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def keys(self) -> frozenset[str]:
        """The label keys that the selector looks at."""
        return frozenset(requirement.key for requirement in self.requirements)

    def __bool__(self) -> bool:
        """False for the selector that matches everything."""
        return bool(self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements)) or "everything"


EVERYTHING = LabelSelector()


class LabelIndex:
    """Many sets of labels, numbered in their order, by what is in them: a selector need not look at each."""

    def __init__(self, carried: Iterable[Labels]) -> None:
        self._carried = tuple(carried)
        self._having: dict[tuple[str, str], list[int]] = {}
        for number, labels in enumerate(self._carried):
            for label in labels.items():
                self._having.setdefault(label, []).append(number)

    def matching(self, selector: LabelSelector) -> Iterator[int]:
        """The numbers of those that a selector matches, ascending."""
        return (number for number in self._candidates(selector) if selector.matches(self._carried[number]))

    def _candidates(self, selector: LabelSelector) -> Iterable[int]:
        """Those that meet the requirement `In` that the fewest meet; without such a requirement all."""
        few: list[int] | None = None
        for one in selector.requirements:
            if one.operator is Operator.IN:
                found = [number for value in one.values for number in self._having.get((one.key, value), ())]
                few = found if few is None or len(found) < len(few) else few
        return range(len(self._carried)) if few is None else sorted(few)
