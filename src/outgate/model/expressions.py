"""Regular expressions as Envoy reads them: RE2, which has no backtracking and therefore not all that Perl has.

Cilium hands the expressions of an HTTP rule to Envoy (``safe_regex``). One that Envoy refuses takes the whole
configuration of the proxy down with it, so it must be found before: `expression_problem` reads the syntax by itself and
accepts nothing that RE2 would refuse. Cilium's own check is the reader of Go's ``regexp``, which has RE2's syntax but
for one escape (``C``, a single byte), and its words are used here.

Envoy also refuses programs that are too long. How long RE2's program becomes is told by `program_size`, within a few
instructions of what RE2 itself says; the tests hold both functions to RE2.

Whether a text matches is answered by following the expression (`outgate.model.expression_nodes`), for as much of the
syntax as is surely understood as RE2 understands it. With flags, word boundaries or classes of Unicode in it, an
expression is good for Envoy, and `Expression.matches` answers None.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from outgate.model.expression_nodes import (
    EVERY,
    Characters,
    Edge,
    Either,
    Node,
    Repeated,
    Together,
    example,
    matches,
    the_set,
)
from outgate.model.expression_words import CLASSES, MEMBERS, PERL, PERL_MEMBERS, SCRIPTS

__all__ = ["PROGRAM_LIMIT", "Expression", "expression_problem", "program_size", "read_expression"]

PROGRAM_LIMIT = 100
"""``re2.max_program_size.error_level``, Envoy's default: "the maximum program size (rough estimate of complexity)"."""

_REPEAT_LIMIT = 1000
"""RE2 and Go: "invalid repeat count" beyond it, also for repetitions within each other."""
_DEPTH_LIMIT = 100
"""Go stops at a thousand; nobody writes a hundred."""
_SIZE_LIMIT = 40_000
"""RE2 gives a program 8 MB, which is about twice as many instructions."""
_PROPERTY_COST = 1200
_COUNT_LENGTH = 202
_PROGRAM_COST = 4
_ESCAPED = {"a", "f", "n", "r", "t", "v"}
_EMPTY_WIDTH = {"A", "b", "B", "z"}
_ANY_COST = 8
"""What a character outside ASCII costs: the branches for two, three and four bytes."""


class _ProblemError(Exception):
    """The text is no expression of RE2; `at` is the place of what is wrong, from 0."""

    def __init__(self, words: str, at: int) -> None:
        super().__init__(words)
        self.at = at


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that RE2 takes."""

    text: str
    _node: Node | None

    def matches(self, value: str) -> bool | None:
        """Whether the whole value matches; None where that is not known for sure."""
        if self._node is None or not value.isascii() or "\n" in value:
            return None
        return matches(self._node, value)

    def example(self) -> str | None:
        """A short value that matches; None where none is found, which does not say that there is none."""
        return None if self._node is None else example(self._node)

    def may_begin_with(self, characters: str) -> bool:
        """Whether a value that matches may begin with one of some characters; where that is not known, it may."""
        return self._node is None or self._node.beginnings()[0] & the_set(characters) != 0

    def __str__(self) -> str:
        return self.text


@functools.lru_cache(maxsize=1 << 12)
def _read(text: str) -> _Part | _ProblemError:
    try:
        return _Reader(text).read()
    except _ProblemError as problem:
        return problem.with_traceback(None)


def read_expression(text: str) -> Expression:
    """Reads an expression.

    Raises:
        ValueError: RE2 does not take it; says what Go's ``regexp.Compile`` would, and at which character.
    """
    found = _read(text)
    if isinstance(found, _ProblemError):
        raise ValueError(f"error parsing regexp: {found}, at character {found.at + 1}")
    return Expression(text, found.node)


def expression_problem(text: str) -> str:
    """What Go's ``regexp.Compile`` says of an expression that RE2 does not take; empty where it takes it."""
    found = _read(text)
    return f"error parsing regexp: {found}" if isinstance(found, _ProblemError) else ""


def program_size(text: str) -> int:
    """The size of RE2's program for an expression that has no problem, in instructions, nearly."""
    found = _read(text)
    assert not isinstance(found, _ProblemError), "it has no problem"
    return _PROGRAM_COST + found.cost


@dataclass(frozen=True, slots=True)
class _Part:
    """What was read: its cost in instructions, the repetitions nested within it, and what it matches, if known."""

    cost: int
    node: Node | None
    repeats: int = 1


def _literal(one: str) -> _Part:
    return _Part(len(one.encode()), Characters(the_set(one)))


def _known(parts: list[_Part]) -> tuple[Node, ...] | None:
    """What all of them match; None where it is not known of one."""
    found = tuple(one.node for one in parts if one.node is not None)
    return found if len(found) == len(parts) else None


class _Reader:
    """Reads an expression once from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.names: set[str] = set()
        self.classes = True
        """Whether there may be the end of another named class: what is not found is not looked for again."""

    def read(self) -> _Part:
        for place, one in enumerate(self.text):
            if 0xD800 <= ord(one) < 0xE000:
                raise _ProblemError("invalid UTF-8", place)
        found = self._alternatives()
        if self.at < len(self.text):
            raise self._problem(f"unexpected ): `{self.text}`")
        return found

    def _problem(self, words: str, at: int | None = None) -> _ProblemError:
        """Something is wrong here, or at a place before."""
        return _ProblemError(words, self.at if at is None else at)

    def _alternatives(self) -> _Part:
        """Branches up to a closing parenthesis or the end."""
        branches = [self._sequence()]
        while self._takes("|"):
            branches.append(self._sequence())
        nodes = _known(branches)
        node = None if nodes is None else nodes[0] if len(nodes) == 1 else Either(nodes)
        return _Part(sum(one.cost for one in branches), node, max(one.repeats for one in branches))

    def _sequence(self) -> _Part:
        """Parts behind each other, each with its repetition.

        Flags by themselves, "(?i)", and an empty quotation are nothing that could be repeated, and leave what stands
        before them.
        """
        parts: list[_Part] = []
        total, plain = 0, True
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            if self.text[self.at] in "*+?" or self._counts() is not None:
                if not parts:
                    start = self.at
                    raise self._problem(f"missing argument to repetition operator: `{self._operator()}`", start)
                last = parts.pop()
                total -= last.cost
                more = [self._repetition(last)]
            elif self.text.startswith("\\Q", self.at):
                more = [_literal(one) for one in self._quoted()]
            else:
                one = self._one()
                more, plain = ([one], plain) if one else ([], False)
            parts += more
            total += sum(one.cost for one in more)
            if total > _SIZE_LIMIT:
                raise self._problem(f"expression too large: `{self.text}`")
        nodes = _known(parts) if plain else None
        return _Part(total, None if nodes is None else Together(nodes), max((one.repeats for one in parts), default=1))

    def _operator(self) -> str:
        """The repetition operator at this place, taken."""
        start = self.at
        counts = self._counts()
        self.at = counts[2] if counts is not None else self.at + 1
        self._takes("?")
        return self.text[start : self.at]

    def _repetition(self, last: _Part) -> _Part:
        start = self.at
        counts = self._counts()
        operator = self._operator()
        cost, repeated = last.cost, last.repeats
        if counts is not None:
            low, high, _ = counts
            if low > _REPEAT_LIMIT or (high or 0) > _REPEAT_LIMIT or (high is not None and high < low):
                raise self._problem(f"invalid repeat count: `{operator}`", start)
            # "{0}" and "{0,}" repeat once for this purpose, as in Go's checkLimits.
            times = max(low if high is None else high, 1)
            repeated *= times
            if repeated > _REPEAT_LIMIT:
                raise self._problem(f"invalid repeat count: `{operator}`", start)
            cost = cost * times + (times - low if high is not None else 0)
        else:
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[operator[0]]
            cost += operator[0] != "*"
        if self.at < len(self.text) and (self.text[self.at] in "*+?" or self._counts() is not None):
            self._operator()
            raise self._problem(f"invalid nested repetition operator: `{self.text[start : self.at]}`", start)
        return _Part(cost, None if last.node is None else Repeated(last.node, low, high), repeated)

    def _counts(self) -> tuple[int, int | None, int] | None:
        """``{2}``, ``{2,}``, ``{2,5}`` at this place, with where it ends; any other brace is a plain character."""
        if self.text[self.at] != "{":
            return None
        # No count has so many digits, and a text of braces alone must not be gone through once for each of them.
        end = self.text.find("}", self.at, self.at + _COUNT_LENGTH)
        low, comma, high = self.text[self.at + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not _is_number(low) or (high and not _is_number(high)):
            return None
        upper = int(high) if high else None if comma else int(low)
        return int(low), upper, end + 1

    def _one(self) -> _Part | None:
        """A character, a class, a group or an assertion; None for flags."""
        one = self.text[self.at]
        if one == "(":
            return self._group()
        if one == "[":
            return self._class()
        if one == "\\":
            return self._escape()
        self.at += 1
        if one in "^$":
            return _Part(0, Edge(one == "$"))
        return _Part(_ANY_COST, Characters(EVERY & ~the_set("\n"))) if one == "." else _literal(one)

    def _group(self) -> _Part | None:
        start, flagged = self.at, False
        captures = not self.text.startswith("(?", self.at)
        if captures:
            self.at += 1
        elif self.text.startswith(("(?P<", "(?<"), self.at):
            captures = self._name()
        elif not self._flags():
            return None
        else:
            flagged = self.text[start : self.at] != "(?:"
        self.depth += 1
        if self.depth > _DEPTH_LIMIT:
            raise self._problem(f"expression nests too deeply: `{self.text}`", start)
        inner = self._alternatives()
        self.depth -= 1
        if not self._takes(")"):
            raise self._problem(f"missing closing ): `{self.text}`", start)
        return _Part(inner.cost + 2 * captures, None if flagged else inner.node, inner.repeats)

    def _name(self) -> bool:
        """``(?P<name>`` or ``(?<name>``. A look behind, ``(?<=``, reads as a bad name, and is as little allowed."""
        start, opened = self.at, self.text.index("<", self.at)
        end = self.text.find(">", opened)
        if end < 0:
            if self.text[opened + 1 : opened + 2] in ("=", "!"):
                raise self._problem(f"invalid or unsupported Perl syntax: `{self.text[start : opened + 2]}`", start)
            raise self._problem(f"invalid named capture: `{self.text[start:]}`", start)
        name = self.text[opened + 1 : end]
        if name.startswith(("=", "!")):
            raise self._problem(f"invalid or unsupported Perl syntax: `{self.text[start : opened + 2]}`", start)
        if not (name.isascii() and name.replace("_", "a").isalnum()):
            raise self._problem(f"invalid named capture: `{self.text[start : end + 1]}`", start)
        if name in self.names:
            raise self._problem(f"invalid named capture: `{self.text[start : end + 1]}`", start)
        self.names.add(name)
        self.at = end + 1
        return True

    def _flags(self) -> bool:
        """``(?i:``, or ``(?i)`` for the rest of the group; whether a group has been opened."""
        start = self.at
        self.at += 2
        minus = given = False
        while self.at < len(self.text):
            one = self.text[self.at]
            self.at += 1
            if one in "imsU":
                given = True
            elif one == "-" and not minus:
                minus, given = True, False
            elif one in ":)" and (given or not minus):
                return one == ":"
            else:
                break
        else:
            raise self._problem(f"missing closing ): `{self.text}`", start)
        raise self._problem(f"invalid or unsupported Perl syntax: `{self.text[start : self.at]}`", start)

    def _escape(self) -> _Part:
        """What stands after a backslash; within a class, too, where it is a class itself."""
        start = self.at
        self.at += 1
        if self.at >= len(self.text):
            raise self._problem("trailing backslash at end of expression: ``", start)
        one = self.text[self.at]
        self.at += 1
        if one in PERL:
            members = the_set(PERL_MEMBERS[one.lower()])
            return _Part(PERL[one], Characters(members if one.islower() else EVERY & ~members))
        if one in "pP":
            self._property(start)
            return _Part(_PROPERTY_COST, None)
        if one in _EMPTY_WIDTH:
            return _Part(0, Edge(one == "z") if one in "Az" else None)
        return _Part(1, Characters(_only(self._character(one, start))))

    def _quoted(self) -> str:
        """What stands in a quotation, from ``Q`` to ``E``, or goes on to the end."""
        self.at += 2
        end = self.text.find("\\E", self.at)
        words = self.text[self.at : end] if end >= 0 else self.text[self.at :]
        self.at = end + 2 if end >= 0 else len(self.text)
        return words

    def _character(self, one: str, start: int) -> int:
        """The code of an escaped character, of which `one` was read."""
        if one in _ESCAPED:
            return ord({"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}[one])
        if one.isascii() and not one.isalnum():
            return ord(one)
        if one == "0" or (one in "1234567" and self.text[self.at : self.at + 1] in tuple("01234567")):
            digits = one
            while len(digits) < 3 and self.text[self.at : self.at + 1] in tuple("01234567"):
                digits += self.text[self.at]
                self.at += 1
            return int(digits, 8)
        if one == "x":
            code = self._hexadecimal()
            if code is not None:
                return code
        raise self._problem(f"invalid escape sequence: `{self.text[start : self.at]}`", start)

    def _hexadecimal(self) -> int | None:
        """What comes after an ``x``: ``7F`` or ``{10FFFF}``; None where it is neither."""
        if self._takes("{"):
            end = self.text.find("}", self.at)
            digits, after = self.text[self.at : end] if end >= 0 else "", end + 1
        else:
            digits, after = self.text[self.at : self.at + 2], self.at + 2
            if len(digits) < 2:
                return None
        if not digits or not all(one in "0123456789abcdefABCDEF" for one in digits) or int(digits, 16) > 0x10FFFF:
            return None
        self.at = after
        return int(digits, 16)

    def _property(self, start: int) -> None:
        """What comes after a ``p``, ``L`` or ``{Greek}``: a general category or a script of Unicode, or Any."""
        if self._takes("{"):
            end = self.text.find("}", self.at)
            if end < 0:
                raise self._problem(f"invalid character class range: `{self.text[start:]}`", start)
            name, self.at = self.text[self.at : end].removeprefix("^"), end + 1
        else:
            name = self.text[self.at : self.at + 1]
            self.at += 1
        if name not in SCRIPTS:
            raise self._problem(f"invalid character class range: `{self.text[start : self.at]}`", start)

    def _class(self) -> _Part:
        """``[...]``. The first ``]`` is a character of it."""
        start = self.at
        self.at += 1
        negated = self._takes("^")
        first, cost, wide, members = True, 0, negated, 0
        known = True
        while first or self.text[self.at : self.at + 1] != "]":
            if self.at >= len(self.text):
                raise self._problem(f"missing closing ]: `{self.text[start:]}`", start)
            more, beyond, some = self._class_part(start)
            cost, wide, first = cost + more, wide or beyond, False
            known, members = known and some is not None, members | (some or 0)
        self.at += 1
        node = Characters(EVERY & ~members if negated else members) if known else None
        return _Part(max(cost, _ANY_COST if wide else 1), node)

    def _class_part(self, start: int) -> tuple[int, bool, int | None]:
        """A named class, an escaped one, a character or a range: its cost, whether it leaves ASCII, its members."""
        rest = self.text
        if rest.startswith("[:", self.at):
            end = rest.find(":]", self.at + 2) if self.classes else -1
            self.classes = end >= 0
            if end >= 0:
                name = rest[self.at : end + 2]
                if name not in CLASSES:
                    raise self._problem(f"invalid character class range: `{name}`")
                self.at = end + 2
                negated, members = name.startswith("[:^"), the_set(MEMBERS[name.strip("[:^]")])
                return CLASSES[name], negated, EVERY & ~members if negated else members
        if rest[self.at] == "\\" and rest[self.at + 1 : self.at + 2] in ("p", "P", *PERL):
            letter = rest[self.at + 1]
            part = self._escape()
            some = part.node.which if isinstance(part.node, Characters) else None
            return part.cost, letter in "pPDSW", some  # a range cannot begin with a class
        begin = self.at
        low = high = self._class_character(start)
        if self.text.startswith("-", self.at) and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
            self.at += 1
            high = self._class_character(start)
        if high < low:
            raise self._problem(f"invalid character class range: `{rest[begin : self.at]}`", begin)
        return 1, high > 0x7F, EVERY & (1 << min(high, 0x7F) + 1) - (1 << min(low, 0x80))

    def _class_character(self, start: int) -> int:
        if self.at >= len(self.text):
            raise self._problem(f"missing closing ]: `{self.text[start:]}`", start)
        one = self.text[self.at]
        begin = self.at
        self.at += 1
        if one != "\\":
            return ord(one)
        if self.at >= len(self.text):
            raise self._problem("trailing backslash at end of expression: ``", begin)
        self.at += 1
        return self._character(self.text[self.at - 1], begin)

    def _takes(self, one: str) -> bool:
        if self.text.startswith(one, self.at):
            self.at += 1
            return True
        return False


def _only(code: int) -> int:
    """The set of one character by its number; empty where it is not ASCII."""
    return 1 << code & EVERY if code < 128 else 0


def _is_number(text: str) -> bool:
    """A count as RE2 reads it: digits without a zero before them. Of very many digits there are too many anyway."""
    return text.isascii() and text.isdigit() and (len(text) == 1 or text[0] != "0") and len(text) < 100
