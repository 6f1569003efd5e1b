"""Names and the patterns that rules use for them, in the two dialects that policies are written in.

    network-policy-api   ``x.io`` itself; ``*.x.io`` one or more labels in front of it (NPEP-133)
    Cilium               ``*`` is any run of letters, digits, hyphens and underscores, never a dot; ``**.x.io`` is one
                         or more labels in front; ``*`` alone, or any run of stars, is every name

No pattern with a star in front includes the name behind it. Names are compared in lower case and without the last dot
(RFC 4343; "trailing dot ignored"), and a pattern stands for the whole name or for nothing.

`Matcher` holds the patterns of all rules of a node at once: exact names are one look in a table, stars in front one
look for each label, and only what is left (a star in the middle) is a regular expression. Programs ask for the same
names again and again, so what was found is kept, within a bound.

The API server refuses some texts; `refused` says so in its words, as a value: what becomes of a rule is the caller's
affair. Its patterns are written anew here, because Python would take exponential time over some of them.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from outgate.records import dataclass

__all__ = ["Dialect", "Matcher", "Pattern", "Refused", "WrittenAs", "canonical", "not_a_name", "plain", "refused"]

LONGEST_PATTERN = 255
"""Characters of a Cilium selector (its CRD's maxLength, and RFC 1035, 2.3.4)."""

_KEPT = 65536
"""Names whose sets are kept; programs that ask for endless names push others out, never the memory."""


class Dialect(enum.StrEnum):
    """Whose words a pattern is written in."""

    CILIUM = "cilium"
    NETWORK_POLICY = "network-policy-api"


class WrittenAs(enum.StrEnum):
    """The field of a policy in which a name is written; each has rules of its own for what may stand there."""

    MATCH_NAME = "matchName"
    MATCH_PATTERN = "matchPattern"
    DOMAIN_NAMES = "domainNames"


@dataclass(frozen=True, slots=True)
class Refused:
    """A text that the API server would not take: what it would say behind the path of the field."""

    value: str
    words: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text that names stand behind. It has been checked (`refused`): any other means nothing in particular."""

    text: str
    dialect: Dialect

    def matches(self, name: str) -> bool:
        """Whether a name, in any case and with its last dot or without, is meant. For one question; see `Matcher`."""
        return bool(Matcher({0: (self,)}).sets_of(canonical(name)))


@functools.lru_cache(maxsize=4096)
def plain(pattern: Pattern) -> Pattern:
    """The pattern that means the same and is spelled as all that do: in lower case, without a last dot or idle stars.

    Cilium, matchpattern: two stars or more before a first dot are any number of labels; elsewhere they are as one.
    """
    text = canonical(pattern.text)
    if pattern.dialect is Dialect.CILIUM and "**" in text:
        head, rest = ("**", text.lstrip("*")) if re.match(r"\*{2,}\.", text) else ("", text)
        text = head + re.sub(r"\*+", "*", rest)
    return pattern if text in {"", pattern.text} else Pattern(text, pattern.dialect)


def canonical(name: str) -> str:
    """A name as names are compared here: in lower case, without the last dot. The root is empty."""
    return name.removesuffix(".").lower()


def not_a_name(text: str) -> str:
    """Why a text that somebody wrote is no name that a program could ask for; empty where it is one.

    RFC 1035, 2.3.4: 255 octets on the wire, which are 253 characters, and 63 in a label. Underscores are taken: names
    of services and of some hosts have them. Letters beyond ASCII are asked for in another spelling (RFC 5890, 2.3.2.1).
    """
    name = canonical(text)
    if "*" in name:
        return "a pattern stands for many names; write one of them"
    if not name.isascii():
        return f"DNS has this name in ASCII alone{_in_ascii(name)}"
    labels = name.split(".")
    if not _NAME.fullmatch(name) or len(name) > 253 or any(len(one) > 63 for one in labels):
        return "this is no name of DNS: labels of letters, digits, - and _, with one dot between them"
    # RFC 1123, 2.1: "a valid host name can never have the dotted-decimal form".
    return "this is no name, but an address" if labels[-1].isdigit() else ""


def _in_ascii(name: str) -> str:
    try:
        return f", as {name.encode('idna').decode()}"
    except UnicodeError:
        return ""


# ---- what the API server says ----------------------------------------------------------------------------------------

# `A-z` is upstream's own slip, which also admits the six characters between Z and a; the objects that have them exist.
_DOMAIN_WORDS = r"^(\*\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$"
_LABEL = r"[a-zA-z0-9](?:[-a-zA-Z0-9_]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)+{_LABEL}\.?")
_NAME_WORDS = r"^([-a-zA-Z0-9_]+[.]?)+$"
_PATTERN_WORDS = r"^([-a-zA-Z0-9_*]+[.]?)+$"
_NAME = re.compile(r"[-a-zA-Z0-9_]+(?:\.[-a-zA-Z0-9_]+)*\.?")
_PATTERN = re.compile(r"[-a-zA-Z0-9_*]+(?:\.[-a-zA-Z0-9_*]+)*\.?")

_CHECKS: Mapping[WrittenAs, tuple[re.Pattern[str], str]] = {
    WrittenAs.MATCH_NAME: (_NAME, _NAME_WORDS),
    WrittenAs.MATCH_PATTERN: (_PATTERN, _PATTERN_WORDS),
    WrittenAs.DOMAIN_NAMES: (_DOMAIN, _DOMAIN_WORDS),
}


def refused(text: str, written: WrittenAs, path: str) -> tuple[Refused, ...]:
    """All that the API server has against a text in a field, which stands at `path` in its object.

    That a selector has one of ``matchName`` and ``matchPattern`` and not both is for who reads the selector.
    """
    found: list[Refused] = []
    if written is not WrittenAs.DOMAIN_NAMES and len(text) > LONGEST_PATTERN:
        found.append(Refused(text, f"{path}: Too long: may not be more than {LONGEST_PATTERN} bytes"))
    form, words = _CHECKS[written]
    if not form.fullmatch(text):
        found.append(Refused(text, f"{path}: Invalid value: \"{text}\": {path} in body should match '{words}'"))
    return tuple(found)


# ---- matching --------------------------------------------------------------------------------------------------------

Key = TypeVar("Key", bound=Hashable)

_PLAIN = "[-a-z0-9_]"
"""A character that a star of Cilium stands for, once the name is in lower case."""
_EVERY = re.compile(rf"(?:{_PLAIN}+(?:\.{_PLAIN}+)*)?")
_ONE_LABEL = re.compile(rf"{_PLAIN}*")


class Matcher(Generic[Key]):
    """The patterns of many sets, and for a name the sets that mean it. A canonical name is asked for in one look."""

    def __init__(self, sets: Mapping[Key, Iterable[Pattern]]) -> None:
        self._exact: dict[str, set[Key]] = {}
        self._any_labels: dict[str, set[Key]] = {}
        """Behind one or more labels of any kind."""
        self._plain_labels: dict[str, set[Key]] = {}
        """Behind one or more labels of plain characters."""
        self._one_label: dict[str, set[Key]] = {}
        """Behind exactly one label, of plain characters or empty: of a name that was asked, none is empty."""
        self._every: set[Key] = set()
        self._others: dict[re.Pattern[str], set[Key]] = {}
        self._found: dict[str, frozenset[Key]] = {}
        for key, patterns in sets.items():
            for pattern in patterns:
                self._take(key, pattern)

    def sets_of(self, name: str) -> frozenset[Key]:
        """The sets with a pattern for a canonical name."""
        found = self._found.get(name)
        if found is None:
            if len(self._found) >= _KEPT:
                # The oldest goes: a dictionary keeps the order in which its keys came.
                del self._found[next(iter(self._found))]
            found = self._found[name] = frozenset(self._look(name))
        return found

    def _take(self, key: Key, pattern: Pattern) -> None:
        text = canonical(pattern.text)
        if pattern.dialect is Dialect.NETWORK_POLICY:
            place = self._any_labels if text.startswith("*.") else self._exact
            place.setdefault(text.removeprefix("*."), set()).add(key)
            return
        stars = len(text) - len(text.lstrip("*"))
        behind = text[stars:]
        if stars and not behind:
            self._every.add(key)
        elif stars and behind.startswith(".") and "*" not in behind:
            place = self._plain_labels if stars > 1 else self._one_label
            place.setdefault(behind[1:], set()).add(key)
        elif "*" not in text:
            self._exact.setdefault(text, set()).add(key)
        else:
            self._others.setdefault(_expression(text), set()).add(key)

    def _look(self, name: str) -> Iterable[Key]:
        yield from self._exact.get(name, ())
        if self._every and _EVERY.fullmatch(name):
            yield from self._every
        for form, keys in self._others.items():
            if form.fullmatch(name):
                yield from keys
        yield from self._one_label_in_front(name)
        at = name.find(".")
        while at >= 0:
            behind = name[at + 1 :]
            yield from self._any_labels.get(behind, ()) if at else ()
            if behind in self._plain_labels and at and _EVERY.fullmatch(name[:at]):
                yield from self._plain_labels[behind]
            at = name.find(".", at + 1)

    def _one_label_in_front(self, name: str) -> Iterable[Key]:
        first, dot, behind = name.partition(".")
        if dot and _ONE_LABEL.fullmatch(first):
            return self._one_label.get(behind, ())
        return ()


def _expression(text: str) -> re.Pattern[str]:
    """The regular expression of a Cilium pattern whose stars are not in front alone."""
    stars = len(text) - len(text.lstrip("*"))
    front = ""
    if stars > 1 and text[stars:].startswith("."):
        front, text = rf"{_PLAIN}+(?:\.{_PLAIN}+)*", text[stars:]
    # Stars side by side are one. What stands between two is taken where it comes first, and never tried elsewhere: an
    # atomic group, or a text of many stars would be tried in every combination. A star stays inside its label, so the
    # first place is as good as any.
    first, *middle, last = re.split(r"\*+", text)
    between = "".join(f"(?>{_PLAIN}*?{re.escape(piece)})" for piece in middle)
    return re.compile(f"{front}{re.escape(first)}{between}{_PLAIN}*{re.escape(last)}")
