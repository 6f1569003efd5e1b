"""Selectors as sets of labels: simplified, compared, found to match nobody.

Two selectors may say the same in different words, and one may say less than another. What is decided here is decided
from the words alone, for every pod that anybody could make, and not for the pods of the input.

    simplified   the fewest requirements that say the same; None where no labels can meet them
    implied      whether whatever meets one selector meets the other (sound; and complete for simplified ones, except
                 that nothing is known of labels that the API server gives out)
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.model.labels import LabelSelector, Operator, Requirement
from outgate.model.snapshot import NAME_LABEL

__all__ = ["implied", "of_namespace", "simplified"]


def of_namespace(name: str) -> LabelSelector:
    """The selector of one namespace, by the label that the server itself gives it."""
    return LabelSelector((Requirement(NAME_LABEL, Operator.IN, (name,)),))


def simplified(selector: LabelSelector, *, always: str = "") -> LabelSelector | None:
    """The same in the fewest requirements; None where nothing matches. `always`: a key that nothing is without."""
    kept: list[Requirement] = []
    for key in sorted(selector.keys()):
        mine = [one for one in selector.requirements if one.key == key]
        if key == always:
            mine.append(Requirement(key, Operator.EXISTS))
        found = _on_one_key(key, mine)
        if found is None:
            return None
        kept.extend(one for one in found if not (key == always and one.operator is Operator.EXISTS))
    return LabelSelector(tuple(sorted(kept)))


def _on_one_key(key: str, requirements: list[Requirement]) -> list[Requirement] | None:
    """All requirements on a key as one or two; None where they contradict each other."""
    said = {one.operator for one in requirements}
    present = Operator.EXISTS in said or Operator.IN in said
    if Operator.DOES_NOT_EXIST in said:
        return None if present else [Requirement(key, Operator.DOES_NOT_EXIST)]
    refused = {value for one in requirements if one.operator is Operator.NOT_IN for value in one.values}
    if Operator.IN in said:
        lists = [set(one.values) for one in requirements if one.operator is Operator.IN]
        values = set.intersection(*lists) - refused
        return [Requirement(key, Operator.IN, tuple(sorted(values)))] if values else None
    return list(_without_values(key, tuple(sorted(refused)), present=present))


def _without_values(key: str, refused: tuple[str, ...], *, present: bool) -> Iterator[Requirement]:
    if present:
        yield Requirement(key, Operator.EXISTS)
    if refused:
        yield Requirement(key, Operator.NOT_IN, refused)


def implied(narrow: LabelSelector, wide: LabelSelector) -> bool:
    """Whether whatever meets `narrow` meets `wide`."""
    return all(any(_implies(one, wanted) for one in narrow.requirements) for wanted in wide.requirements)


def _implies(one: Requirement, wanted: Requirement) -> bool:
    if one.key != wanted.key:
        return False
    mine, theirs = set(one.values), set(wanted.values)
    match wanted.operator:
        case Operator.IN:
            return one.operator is Operator.IN and mine <= theirs
        case Operator.NOT_IN:
            # It holds without the key as well (labels/selector.go, Requirement.Matches).
            return (
                one.operator is Operator.DOES_NOT_EXIST
                or (one.operator is Operator.IN and not mine & theirs)
                or (one.operator is Operator.NOT_IN and theirs <= mine)
            )
        case Operator.EXISTS:
            return one.operator in (Operator.IN, Operator.EXISTS)
        case Operator.DOES_NOT_EXIST:
            return one.operator is Operator.DOES_NOT_EXIST
