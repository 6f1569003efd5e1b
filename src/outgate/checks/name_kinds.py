"""Not a check: the kinds of names that rules tell apart.

Nobody knows where a name leads, but which rules speak of it is known beforehand. A pattern of network-policy-api is a
name or a whole ending (``*.x.io``, one or more labels in front). So all names that a pattern means and no narrower one
does are of one kind: a label that nobody has written, in front of the ending, stands for them. Cilium's stars stop at a
dot, so that a second such label in front makes another kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from outgate.analysis.opened import names_of
from outgate.policy import Rule
from outgate.policy.names import Matcher, Pattern, canonical
from outgate.records import dataclass

__all__ = ["NameKind", "name_kinds"]


@dataclass(frozen=True, slots=True)
class NameKind:
    """Names of which the same rules speak."""

    rules: frozenset[int]
    """These rules, each by its `id`: the caller keeps them."""
    patterns: tuple[str, ...]
    """The patterns that were asked about and mean such names, as they are written."""

    def of(self, rule: Rule) -> bool:
        """Whether a rule opens the addresses of these names."""
        return id(rule) in self.rules


def name_kinds(asking: Iterable[Rule], all_rules: Iterable[Rule]) -> tuple[NameKind, ...]:
    """The kinds of names that some rules of policies of the cluster open, as all rules tell them apart."""
    patterns = {id(rule): tuple(names_of(rule)) for rule in all_rules}
    matcher = Matcher(patterns)
    asked = dict.fromkeys(pattern for rule in asking for pattern in names_of(rule))
    label = _unwritten(canonical(one.text) for many in patterns.values() for one in many)
    found: dict[frozenset[int], dict[str, None]] = {}
    for pattern in asked:
        for name in _of_pattern(pattern, label):
            found.setdefault(matcher.sets_of(name), {})[pattern.text] = None
    return tuple(NameKind(rules, tuple(texts)) for rules, texts in found.items())


def _of_pattern(pattern: Pattern, label: str) -> Sequence[str]:
    """Names that a pattern of network-policy-api means, and no other does that is narrower."""
    text = canonical(pattern.text)
    if not text.startswith("*."):
        return (text,)
    return f"{label}{text[1:]}", f"{label}.{label}{text[1:]}"


def _unwritten(texts: Iterable[str]) -> str:
    """A label that stands in none of these."""
    written, label = list(texts), "some"
    while any(label in one for one in written):
        label += "-x"
    return label
