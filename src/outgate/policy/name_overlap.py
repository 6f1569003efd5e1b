"""Whether patterns of names have a name in common, be they of one dialect or of two.

A pattern is a short automaton: letters, and runs of letters. All of them are walked side by side, with one more that
knows what a name is (labels between dots, none of them empty). There are few signs that matter: the letters of the
texts, one letter that none has, one sign that only some runs take, and the dot.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator

from outgate.policy.names import Dialect, Pattern, canonical
from outgate.policy.rules import Conditions
from outgate.policy.tiers import Outcome
from outgate.records import dataclass

__all__ = ["asks_some", "have_a_name_in_common", "may_ask_some"]

_PLAIN = re.compile(r"[-a-z0-9_]")
"""What a star of Cilium stands for, once the name is in lower case."""
_KEPT = 4096
"""Answers that are kept: the same few patterns are asked about for each workload, and each takes tenths of a ms."""
_ODD = "!"
"""A sign that no star of Cilium stands for, and that ``*.`` of network-policy-api does."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Any number of signs: plain ones or all, dots among them or not."""

    odd: bool
    dots: bool

    def takes(self, sign: str) -> bool:
        return self.dots if sign == "." else self.odd or _PLAIN.fullmatch(sign) is not None


_Step = str | _Run


@functools.lru_cache(maxsize=_KEPT)
def have_a_name_in_common(*patterns: Pattern) -> bool:
    """Whether any name is meant by all."""
    # Mostly they are names, and each means itself alone.
    if len({canonical(one.text) for one in patterns if "*" not in one.text}) > 1:
        return False
    walked = [tuple(_steps(one)) for one in patterns]
    signs = {step for steps in walked for step in steps if isinstance(step, str)} | {"a", ".", _ODD}
    # The places in the patterns, and whether a label has to begin here.
    waiting = [((0,) * len(walked), True)]
    seen = set(waiting)
    while waiting:
        places, fresh = waiting.pop()
        if not fresh and all(map(_ends, walked, places)):
            return True
        for sign in signs:
            if sign == "." and fresh:
                continue
            ways = [tuple(_moves(steps, at, sign)) for steps, at in zip(walked, places, strict=True)]
            for to in itertools.product(*ways):
                state = to, sign == "."
                if state not in seen:
                    seen.add(state)
                    waiting.append(state)
    return False


def may_ask_some(outcome: Outcome | None, *patterns: Pattern) -> bool:
    """Whether a question for any name that all of these mean passes, where this became of a packet to DNS."""
    if outcome is None or not outcome.conditional:
        return True
    return any(asks_some(rule.conditions, *patterns) for rule in outcome.conditional)


def asks_some(conditions: Conditions | None, *patterns: Pattern) -> bool:
    """Whether a rule with these conditions lets a question pass for any name that all of these mean."""
    if conditions is None:
        return True
    texts = (text for one in conditions.dns for text in one.texts)
    return any(have_a_name_in_common(*patterns, Pattern(text, Dialect.CILIUM)) for text in texts)


def _steps(pattern: Pattern) -> Iterator[_Step]:
    text = canonical(pattern.text)
    if pattern.dialect is Dialect.NETWORK_POLICY:
        if text.startswith("*."):
            # "one or more labels in front": as no label is empty, a run up to the dot.
            yield _Run(odd=True, dots=True)
            text = text[1:]
        yield from text
        return
    stars = len(text) - len(text.lstrip("*"))
    if stars == len(text) or (stars > 1 and text[stars] == "."):
        yield _Run(odd=False, dots=True)
        text = text[stars:]
    for piece in re.findall(r"\*+|[^*]", text):
        yield _Run(odd=False, dots=False) if piece.startswith("*") else piece


def _ends(steps: tuple[_Step, ...], at: int) -> bool:
    return all(isinstance(step, _Run) for step in steps[at:])


def _moves(steps: tuple[_Step, ...], at: int, sign: str) -> Iterator[int]:
    """Where one may be behind a sign: runs may be left out, and may go on."""
    while at < len(steps):
        step = steps[at]
        if isinstance(step, str):
            if step == sign:
                yield at + 1
            return
        if step.takes(sign):
            yield at
        at += 1
