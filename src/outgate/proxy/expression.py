"""Regular expressions as Envoy reads them: RE2, a whole value (semantics.md C5).

An expression is read here for two reasons. One that RE2 refuses must be refused where it is written: Envoy would reject
the configuration of all pods together with it. And an answer in Python needs to know whether Python's engine agrees.

The whole syntax of RE2 (google/re2, doc/syntax.txt) is recognised. What is surely the same in both engines is written
anew for Python; with anything else in it (Unicode classes, flags, word boundaries, text that is not ASCII) an
expression is good for Envoy, and `matches` answers None.

The bounds are below RE2's own, so that none of its limits is met: a repetition counts to 1000, nested ones multiplied,
and a program has a bounded size ("pattern too large").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

__all__ = ["LARGEST", "Expression", "parse_expression"]

LARGEST = 60_000
"""Instructions, estimated from above. Of RE2's 8 MiB (its default), a program gets room for some 80 000."""

_LONGEST = 10_000
"""Characters of an expression."""
_DEEPEST = 100
"""Nested groups; RE2 takes 1000."""
_MOST_REPEATS = 1000
_UNICODE_CLASS = 2000
"""Instructions of a Unicode class: the largest has some 700 ranges of up to four bytes."""
_NARROW = 12
"""Instructions of a range of ASCII, with all that a flag can add to it: two of its letters have relatives elsewhere."""
_WIDE = 40
"""Instructions of a class or a dot over the encoded bytes of any character."""

_REPEAT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}", re.ASCII)
_NAMED = re.compile(r"\?P?<(\w+)>", re.ASCII)
_FLAGS = re.compile(r"\?([imsU]*)(?:-([imsU]+))?([:)])")
_POSIX = re.compile(r"\[:\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\]")
_CATEGORY = re.compile(r"[pP](?:\{\^?(\w+)\}|([A-Z]))", re.ASCII)
_OCTAL = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}")
_HEX = re.compile(r"x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]+)\})")
_CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SPACE = r"\t\n\f\r "
"""RE2, doc/syntax.txt: ``\\s`` is ``[\\t\\n\\f\\r ]``; Python's has the vertical tab, too."""
_KINDS = {"C": "cfos", "L": "lmotu", "M": "cen", "N": "dlo", "P": "cdefios", "S": "ckmo", "Z": "lps"}
_CATEGORIES = frozenset(("Any", *"CLMNPSZ", *(kind + one for kind, ones in _KINDS.items() for one in ones)))
"""General categories; scripts, of which each version of Unicode has more, are refused rather than guessed."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that RE2 takes. `python` is the same for Python's engine, or None where that cannot be said."""

    text: str
    python: str | None

    def matches(self, value: str) -> bool | None:
        """Whether the whole value matches; None where that is not known for sure."""
        if self.python is None or not value.isascii() or "\n" in value:
            return None
        return re.fullmatch(self.python, value, re.ASCII) is not None

    def __str__(self) -> str:
        return self.text


def parse_expression(text: str) -> Expression:
    """Reads an expression.

    Raises:
        ValueError: RE2 refuses it, or it is larger than is sure to be taken; says what, and at which character.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} characters")
    if any(0xD800 <= ord(one) <= 0xDFFF for one in text):
        raise ValueError("has half a character (a lone surrogate)")
    reader = _Reader(text)
    whole = reader.alternatives(0)
    if reader.at < len(text):
        reader.fail("a ')' that closes nothing")
    if whole.size > LARGEST:
        raise ValueError(f"too large: about {whole.size} instructions, and at most {LARGEST} are sure to be taken")
    return Expression(text, whole.python if whole.exact else None)


@dataclass(frozen=True, slots=True)
class _Part:
    python: str
    size: int
    exact: bool = True
    repeats: int = 1
    """How often its innermost part is repeated, by bounded repetitions multiplied."""
    empty: bool = False
    """Whether it is an assertion or nothing, which engines repeat in ways of their own."""


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.names: set[str] = set()

    def fail(self, what: str) -> NoReturn:
        """Raises with the place."""
        raise ValueError(f"{what}, at character {self.at + 1}")

    def ahead(self, words: str) -> bool:
        """Whether this comes next."""
        return self.text.startswith(words, self.at)

    def taken(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The match at this place, which is then behind us."""
        if found := pattern.match(self.text, self.at):
            self.at = found.end()
        return found

    def alternatives(self, depth: int) -> _Part:
        """Branches between bars, up to a closing bracket or the end."""
        if depth > _DEEPEST:
            self.fail(f"more than {_DEEPEST} groups within each other")
        branches = [self.sequence(depth)]
        while self.ahead("|"):
            self.at += 1
            branches.append(self.sequence(depth))
        return _together("|", branches)

    def sequence(self, depth: int) -> _Part:
        """Repeated things behind each other."""
        parts: list[_Part] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            one = self.atom(depth)
            parts.append(self.repeated(one))
        return _together("", parts)

    def repeated(self, one: _Part) -> _Part:
        """What has been read, with the repetition behind it, if there is one."""
        bounds = self.bounds()
        if bounds is None:
            return one
        low, high = bounds
        lazy = self.ahead("?")
        self.at += lazy
        start = self.at
        if self.bounds() is not None:
            self.at = start
            self.fail("a repetition of a repetition")
        if high is not None and low > high:
            self.fail(f"a repetition of at least {low} and at most {high}")
        if max(low, high or 0) > _MOST_REPEATS:
            self.fail(f"a repetition of more than {_MOST_REPEATS}")
        counted = (low, high) not in {(0, None), (1, None), (0, 1)}
        repeats = one.repeats * (max(low, high or 0, 1) if counted else 1)
        if repeats > _MOST_REPEATS:
            self.fail(f"repetitions that multiply to more than {_MOST_REPEATS}")
        times = max(low + 1 if high is None else high, 1)
        python = f"(?:{one.python}){{{low},{'' if high is None else high}}}"
        return _Part(python, (one.size + 2) * times + 1, one.exact and not one.empty, repeats)

    def bounds(self) -> tuple[int, int | None] | None:
        """Least and most of a repetition that comes next. A brace that is no repetition is a character."""
        if self.at < len(self.text) and self.text[self.at] in "*+?":
            sign = self.text[self.at]
            self.at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        if (found := _REPEAT.match(self.text, self.at)) is None:
            return None
        if max(len(found[1]), len(found[3] or "")) > 9:
            self.fail(f"a repetition of more than {_MOST_REPEATS}")
        self.at = found.end()
        low = int(found[1])
        return low, low if found[2] is None else int(found[3]) if found[3] else None

    def atom(self, depth: int) -> _Part:
        """One character, class, group or assertion."""
        if self.bounds() is not None:
            self.fail("a repetition of nothing")
        sign = self.text[self.at]
        if sign == "(":
            return self.group(depth)
        if sign == "[":
            return self.bracket()
        if sign == "\\":
            return self.escape()
        self.at += 1
        if sign == ".":
            return _Part("[^\\n]", _WIDE)
        if sign in "^$":
            return _Part(r"\A" if sign == "^" else r"\Z", 1, empty=True)
        return _literal(sign)

    def group(self, depth: int) -> _Part:
        """A group, behind whatever its question mark says."""
        self.at += 1
        exact = True
        if self.ahead("?"):
            if named := self.taken(_NAMED):
                if named[1] in self.names:
                    self.fail(f"a second group of the name {named[1]}")
                self.names.add(named[1])
            elif flags := self.taken(_FLAGS):
                exact = not (flags[1] or flags[2])
                if flags[3] == ")":
                    if not flags[1] and not flags[2]:
                        self.fail("a group '(?)' that says nothing")
                    if self.bounds() is not None:
                        self.fail("a repetition of nothing")
                    return _Part("", 1, exact=False, empty=True)
            else:
                self.fail("a group '(?' of a kind that RE2 does not have")
        inner = self.alternatives(depth + 1)
        if not self.ahead(")"):
            self.fail("a '(' that is never closed")
        self.at += 1
        python = f"(?:{inner.python})"
        return _Part(python, inner.size + 2, inner.exact and exact, inner.repeats, inner.empty)

    def escape(self) -> _Part:
        """What stands behind a backslash, outside of a class."""
        sign = self.text[self.at + 1 : self.at + 2]
        if sign == "Q":
            return self.quoted()
        assertions = {"A": r"\A", "z": r"\Z", "b": "", "B": ""}
        if sign in assertions and sign:
            self.at += 2
            return _Part(assertions[sign], 1, exact=sign in "Az", empty=True)
        if sign == "C":
            self.fail("a single byte, which Envoy's text does not have")
        inside, exact, size = self.escaped()
        return _Part(f"[{inside}]", size, exact)

    def quoted(self) -> _Part:
        r"""Text between ``\Q`` and ``\E``, or the end."""
        start = self.at + 2
        end = self.text.find(r"\E", start)
        found = self.text[start : end if end >= 0 else len(self.text)]
        self.at = end + 2 if end >= 0 else len(self.text)
        # A repetition behind it would be of the last character alone: that is left to RE2.
        if self.bounds() is not None or not found:
            self.fail(r"a '\Q' of nothing, or a repetition behind it: write it without")
        return _together("", [_literal(one) for one in found])

    def escaped(self) -> tuple[str, bool, int]:
        """What a backslash stands for, as Python writes it in a class; whether that is exact; and its size."""
        self.at += 1
        sign = self.text[self.at : self.at + 1]
        if not sign:
            self.fail("a backslash at the end")
        perl = {"d": "0-9", "w": "0-9A-Za-z_", "s": _SPACE}
        if sign.lower() in perl:
            self.at += 1
            return _perl(sign, perl[sign.lower()])
        if found := self.taken(_CATEGORY):
            if (found[1] or found[2]) not in _CATEGORIES:
                self.fail(f"the Unicode class {found[1] or found[2]}, which is no general category")
            return "", False, _UNICODE_CLASS
        return self.character()

    def character(self) -> tuple[str, bool, int]:
        """A single character behind a backslash."""
        sign = self.text[self.at]
        if found := self.taken(_OCTAL):
            return self.numbered(int(found[0], 8))
        if found := self.taken(_HEX):
            return self.numbered(int(found[1] or found[2], 16))
        if sign in _CONTROL:
            self.at += 1
            return _spelt(_CONTROL[sign])
        if sign.isalnum() or not sign.isascii():
            self.fail(f"an escape '\\{sign}' that RE2 does not have")
        self.at += 1
        return _spelt(sign)

    def numbered(self, code: int) -> tuple[str, bool, int]:
        """A character by its number."""
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            self.fail("the number of no character")
        return _spelt(chr(code))

    def bracket(self) -> _Part:
        """A class between square brackets."""
        start, self.at = self.at, self.at + 1
        negated = self.ahead("^")
        self.at += negated
        parts: list[str] = []
        exact, size, first = True, 0, True
        while first or not self.ahead("]"):
            if self.at >= len(self.text):
                self.at = start
                self.fail("a '[' that is never closed")
            part, same, more = self.member(first=first)
            parts.append(part)
            exact, size, first = exact and same, size + more, False
        self.at += 1
        # Without a flag, RE2's negated classes have the line feed, which no value here contains.
        return _Part(f"[{'^' if negated else ''}{''.join(parts)}]", size + _NARROW + (_WIDE if negated else 0), exact)

    def member(self, *, first: bool) -> tuple[str, bool, int]:
        """One range, character or class within square brackets."""
        if self.ahead("[:"):
            if self.taken(_POSIX) is None and self.text.find(":]", self.at) >= 0:
                self.fail("a class '[: :]' that RE2 does not have")
            elif self.text[self.at - 1] == "]":
                return "", False, _WIDE
        if self.ahead("-") and not first and self.text[self.at + 1 : self.at + 2] != "]":
            # google/re2, re2/parse.cc: "- is okay only as first or last char in class".
            self.fail("a '-' in the middle of a class")
        if self.ahead("\\") and not self.single_escape():
            return self.escaped()
        low = self.endpoint()
        if not self.ahead("-") or self.text[self.at + 1 : self.at + 2] in ("]", ""):
            return _spelt(low)
        self.at += 1
        if self.ahead("\\") and not self.single_escape():
            self.fail("a range to a class")
        high = self.endpoint()
        if low > high:
            self.fail("a range that runs backwards")
        spelt_low, exact_low, _ = _spelt(low)
        spelt_high, exact_high, _ = _spelt(high)
        exact = exact_low and exact_high
        return f"{spelt_low}-{spelt_high}", exact, _NARROW if exact else _WIDE

    def single_escape(self) -> bool:
        """Whether the escape that comes next is one character."""
        return self.text[self.at + 1 : self.at + 2] not in tuple("dDsSwWpP")

    def endpoint(self) -> str:
        """One character within square brackets, escaped or not."""
        if self.at >= len(self.text):
            self.fail("a '[' that is never closed")
        if not self.ahead("\\"):
            self.at += 1
            return self.text[self.at - 1]
        self.at += 1
        if self.at >= len(self.text):
            self.fail("a backslash at the end")
        spelt, exact, _ = self.character()
        return chr(int(spelt.removeprefix(r"\x"), 16)) if exact else "\N{REPLACEMENT CHARACTER}"


def _together(between: str, parts: list[_Part]) -> _Part:
    return _Part(
        between.join(one.python for one in parts),
        sum(one.size + 1 for one in parts),
        all(one.exact for one in parts),
        max((one.repeats for one in parts), default=1),
        all(one.empty for one in parts),
    )


def _literal(sign: str) -> _Part:
    inside, exact, _ = _spelt(sign)
    return _Part(inside, 4, exact)


def _spelt(sign: str) -> tuple[str, bool, int]:
    """A character as Python reads it anywhere in an expression: by its number."""
    return (f"\\x{ord(sign):02x}", True, 4) if sign.isascii() else ("", False, 4)


def _perl(sign: str, inside: str) -> tuple[str, bool, int]:
    if sign.islower():
        return inside, True, 4
    # A negated class within a class cannot be written out by its members but as Python's own, which \S is not.
    return {"D": r"\D", "W": r"\W", "S": r"\S"}[sign], sign != "S", _WIDE
