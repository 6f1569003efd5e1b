"""Regular expressions as Envoy reads them: RE2, which has no backtracking and therefore not all that Perl has.

Cilium hands the expressions of an HTTP rule to Envoy (``safe_regex``). One that Envoy refuses takes the whole
configuration of the proxy down with it, so it must be found before: `expression_problem` reads the syntax by itself and
accepts nothing that RE2 would refuse. Cilium's own check is the reader of Go's ``regexp``, which has RE2's syntax but
for one escape (``C``, a single byte), and its words are used here.

Envoy also refuses programs that are too long. How long RE2's program becomes is told by `program_size`, within a few
instructions of what RE2 itself says; the tests hold both functions to RE2.
"""

from __future__ import annotations

import functools

from outgate.model.expression_words import CLASSES, PERL, SCRIPTS

__all__ = ["PROGRAM_LIMIT", "expression_problem", "program_size"]

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
    """The text is no expression of RE2."""


@functools.lru_cache(maxsize=1 << 12)
def expression_problem(text: str) -> str:
    """What Go's ``regexp.Compile`` says of an expression that RE2 does not take; empty where it takes it."""
    try:
        _Reader(text).read()
    except _ProblemError as problem:
        return f"error parsing regexp: {problem}"
    return ""


@functools.lru_cache(maxsize=1 << 12)
def program_size(text: str) -> int:
    """The size of RE2's program for an expression that has no problem, in instructions, nearly."""
    return _PROGRAM_COST + _Reader(text).read()


class _Reader:
    """Reads an expression once from left to right. What it reads it gives back as a cost in instructions."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.names: set[str] = set()
        self.classes = True
        """Whether there may be the end of another named class: what is not found is not looked for again."""

    def read(self) -> int:
        if any(0xD800 <= ord(one) < 0xE000 for one in self.text):
            raise _ProblemError("invalid UTF-8")
        cost, _ = self._alternatives()
        if self.at < len(self.text):
            raise _ProblemError(f"unexpected ): `{self.text}`")
        return cost

    def _alternatives(self) -> tuple[int, int]:
        """Branches up to a closing parenthesis or the end: their cost, and the repetitions nested within them."""
        cost = most = 0
        while True:
            branch, repeated = self._sequence()
            cost, most = cost + branch, max(most, repeated)
            if not self._takes("|"):
                return cost, most

    def _sequence(self) -> tuple[int, int]:
        total, most = 0, 1
        # What a repetition would repeat: its cost and the repetitions nested in it. Flags by themselves, "(?i)", and an
        # empty quotation are no such thing, and leave what stands before them.
        last: tuple[int, int] | None = None
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            if self.text[self.at] in "*+?" or self._counts() is not None:
                if last is None:
                    raise _ProblemError(f"missing argument to repetition operator: `{self._operator()}`")
                total -= last[0]
                last = self._repetition(last)
                total += last[0]
                most = max(most, last[1])
            elif self.text.startswith("\\Q", self.at):
                words = self._quoted()
                total += len(words.encode())
                last = (len(words[-1].encode()), 1) if words else last
            else:
                one = self._one()
                total, most, last = (total + one[0], max(most, one[1]), one) if one else (total, most, last)
            if total > _SIZE_LIMIT:
                raise _ProblemError(f"expression too large: `{self.text}`")
        return total, most

    def _operator(self) -> str:
        """The repetition operator at this place, taken."""
        start = self.at
        counts = self._counts()
        self.at = counts[2] if counts is not None else self.at + 1
        self._takes("?")
        return self.text[start : self.at]

    def _repetition(self, last: tuple[int, int]) -> tuple[int, int]:
        start = self.at
        counts = self._counts()
        operator = self._operator()
        cost, repeated = last
        if counts is not None:
            low, high, _ = counts
            if low > _REPEAT_LIMIT or (high or 0) > _REPEAT_LIMIT or (high is not None and high < low):
                raise _ProblemError(f"invalid repeat count: `{operator}`")
            # "{0}" and "{0,}" repeat once for this purpose, as in Go's checkLimits.
            times = max(low if high is None else high, 1)
            repeated *= times
            if repeated > _REPEAT_LIMIT:
                raise _ProblemError(f"invalid repeat count: `{operator}`")
            cost = cost * times + (times - low if high is not None else 0)
        elif operator[0] != "*":
            cost += 1
        if self.at < len(self.text) and (self.text[self.at] in "*+?" or self._counts() is not None):
            self._operator()
            raise _ProblemError(f"invalid nested repetition operator: `{self.text[start : self.at]}`")
        return cost, repeated

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

    def _one(self) -> tuple[int, int] | None:
        """A character, a class, a group or an assertion: its cost, and the repetitions nested in it; None for flags."""
        one = self.text[self.at]
        if one == "(":
            return self._group()
        if one == "[":
            return self._class(), 1
        if one == "\\":
            return self._escape(), 1
        self.at += 1
        if one in "^$":
            return 0, 1
        return (_ANY_COST if one == "." else len(one.encode())), 1

    def _group(self) -> tuple[int, int] | None:
        captures = not self.text.startswith("(?", self.at)
        if captures:
            self.at += 1
        elif self.text.startswith(("(?P<", "(?<"), self.at):
            captures = self._name()
        elif not self._flags():
            return None
        self.depth += 1
        if self.depth > _DEPTH_LIMIT:
            raise _ProblemError(f"expression nests too deeply: `{self.text}`")
        cost, repeated = self._alternatives()
        self.depth -= 1
        if not self._takes(")"):
            raise _ProblemError(f"missing closing ): `{self.text}`")
        return cost + 2 * captures, repeated

    def _name(self) -> bool:
        """``(?P<name>`` or ``(?<name>``. A look behind, ``(?<=``, reads as a bad name, and is as little allowed."""
        start, opened = self.at, self.text.index("<", self.at)
        end = self.text.find(">", opened)
        if end < 0:
            if self.text[opened + 1 : opened + 2] in ("=", "!"):
                raise _ProblemError(f"invalid or unsupported Perl syntax: `{self.text[start : opened + 2]}`")
            raise _ProblemError(f"invalid named capture: `{self.text[start:]}`")
        name = self.text[opened + 1 : end]
        if name.startswith(("=", "!")):
            raise _ProblemError(f"invalid or unsupported Perl syntax: `{self.text[start : opened + 2]}`")
        if not (name.isascii() and name.replace("_", "a").isalnum()):
            raise _ProblemError(f"invalid named capture: `{self.text[start : end + 1]}`")
        if name in self.names:
            raise _ProblemError(f"invalid named capture: `{self.text[start : end + 1]}`")
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
            raise _ProblemError(f"missing closing ): `{self.text}`")
        raise _ProblemError(f"invalid or unsupported Perl syntax: `{self.text[start : self.at]}`")

    def _escape(self, within: bool = False) -> int:
        """A character after a backslash, by itself or within a class."""
        start = self.at
        self.at += 1
        if self.at >= len(self.text):
            raise _ProblemError("trailing backslash at end of expression: ``")
        one = self.text[self.at]
        self.at += 1
        if one in PERL:
            return PERL[one]
        if one in "pP":
            return self._property(start)
        if one in _EMPTY_WIDTH and not within:
            return 0
        self._character(one, start)
        return 1

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
        raise _ProblemError(f"invalid escape sequence: `{self.text[start : self.at]}`")

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

    def _property(self, start: int) -> int:
        """What comes after a ``p``, ``L`` or ``{Greek}``: a general category or a script of Unicode, or Any."""
        if self._takes("{"):
            end = self.text.find("}", self.at)
            if end < 0:
                raise _ProblemError(f"invalid character class range: `{self.text[start:]}`")
            name, self.at = self.text[self.at : end].removeprefix("^"), end + 1
        else:
            name = self.text[self.at : self.at + 1]
            self.at += 1
        if name not in SCRIPTS:
            raise _ProblemError(f"invalid character class range: `{self.text[start : self.at]}`")
        return _PROPERTY_COST

    def _class(self) -> int:
        """``[...]``. The first ``]`` is a character of it."""
        start = self.at
        self.at += 1
        negated = self._takes("^")
        first, cost, wide = True, 0, negated
        while first or self.text[self.at : self.at + 1] != "]":
            if self.at >= len(self.text):
                raise _ProblemError(f"missing closing ]: `{self.text[start:]}`")
            more, beyond = self._class_part(start)
            cost, wide, first = cost + more, wide or beyond, False
        self.at += 1
        return max(cost, _ANY_COST if wide else 1)

    def _class_part(self, start: int) -> tuple[int, bool]:
        """A named class, an escaped one, a character or a range: its cost, and whether it leaves ASCII."""
        rest = self.text
        if rest.startswith("[:", self.at):
            end = rest.find(":]", self.at + 2) if self.classes else -1
            self.classes = end >= 0
            if end >= 0:
                name = rest[self.at : end + 2]
                if name not in CLASSES:
                    raise _ProblemError(f"invalid character class range: `{name}`")
                self.at = end + 2
                return CLASSES[name], name.startswith("[:^")
        if rest[self.at] == "\\" and rest[self.at + 1 : self.at + 2] in ("p", "P", *PERL):
            letter = rest[self.at + 1]
            return self._escape(within=True), letter in "pPDSW"  # a range cannot begin with a class
        begin = self.at
        low = high = self._class_character(start)
        if self.text.startswith("-", self.at) and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
            self.at += 1
            high = self._class_character(start)
        if high < low:
            raise _ProblemError(f"invalid character class range: `{rest[begin : self.at]}`")
        return 1, high > 0x7F

    def _class_character(self, start: int) -> int:
        if self.at >= len(self.text):
            raise _ProblemError(f"missing closing ]: `{self.text[start:]}`")
        one = self.text[self.at]
        begin = self.at
        self.at += 1
        if one != "\\":
            return ord(one)
        if self.at >= len(self.text):
            raise _ProblemError("trailing backslash at end of expression: ``")
        self.at += 1
        return self._character(self.text[self.at - 1], begin)

    def _takes(self, one: str) -> bool:
        if self.text.startswith(one, self.at):
            self.at += 1
            return True
        return False


def _is_number(text: str) -> bool:
    """A count as RE2 reads it: digits without a zero before them. Of very many digits there are too many anyway."""
    return text.isascii() and text.isdigit() and (len(text) == 1 or text[0] != "0") and len(text) < 100
