"""The configuration of a folder, `.outgate.yaml`: which checks are asked, and how seriously.

    lint:
      fail-on: error
      ignore: [external-by-static-ip]
      severity: {no-default-deny: error}
      baseline: .outgate-baseline.json
      profile: calico
      names: {deb.example.com: [151.101.2.132]}

What is on the command line wins. What is wrong in the file is said with its line, all at once: a misspelt name that was
passed over would be a check that nobody knows is off.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TypeVar

from outgate.checks.finding import Severity
from outgate.checks.registry import NAMES
from outgate.errors import InputError
from outgate.model import Document, Place
from outgate.model.place import complaint
from outgate.packets import Address
from outgate.policy.names import canonical
from outgate.records import dataclass

__all__ = ["FAIL_ON", "FIELDS", "Config", "read_config"]

_T = TypeVar("_T")
FIELDS = ("fail-on", "select", "ignore", "severity", "baseline", "profile", "names")

FAIL_ON = ("error", "warning", "info", "never")
"""From which severity on a finding makes the command fail."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says; None and empty where it does not."""

    fail_on: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: Mapping[str, Severity] = field(default_factory=dict)
    baseline: str | None = None
    profile: str | None = None
    names: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    """What names outside of the cluster lead to, in lower case and without the last dot."""


def read_config(document: Document, profiles: tuple[str, ...]) -> tuple[Config, tuple[InputError, ...]]:
    """The configuration of a document, and everything that is wrong with it. `profiles`: the names there are."""
    reader = _Reader()
    place = Place(document)
    top = reader.mapping(document.value if document.value is not None else {}, place, ("lint",))
    lint = reader.mapping({} if top.get("lint") is None else top["lint"], place / "lint", FIELDS)
    at = place / "lint"

    def given(name: str, read: Callable[[object, Place], _T | None], otherwise: _T) -> _T:
        found = read(lint[name], at / name) if name in lint else None
        return otherwise if found is None else found

    made = Config(
        fail_on=given("fail-on", lambda value, where: reader.choice(value, where, FAIL_ON), "") or None,
        select=given("select", reader.rules, ()),
        ignore=given("ignore", reader.rules, ()),
        severity=given("severity", reader.severities, {}),
        baseline=given("baseline", reader.path, "") or None,
        profile=given("profile", lambda value, where: reader.choice(value, where, profiles), "") or None,
        names=given("names", reader.names, {}),
    )
    return made, tuple(reader.errors)


class _Reader:
    """Reads values and keeps what is wrong with them."""

    def __init__(self) -> None:
        self.errors: list[InputError] = []

    def complain(self, place: Place, words: str) -> None:
        self.errors.append(complaint(place, words))

    def mapping(self, value: object, place: Place, known: tuple[str, ...]) -> Mapping[str, object]:
        """A mapping of known keys; others are complained about."""
        if not isinstance(value, Mapping):
            self.complain(place, "must be a mapping")
            return {}
        for key in value:
            if key not in known:
                self.complain(place / str(key), f"there is no such setting{_near(str(key), known)}")
        return value

    def choice(self, value: object, place: Place, known: tuple[str, ...]) -> str | None:
        """One of a few words."""
        if isinstance(value, str) and value in known:
            return value
        self.complain(place, f"must be one of {', '.join(known)}")
        return None

    def rules(self, value: object, place: Place) -> tuple[str, ...] | None:
        """A list of names of checks."""
        if not isinstance(value, list):
            self.complain(place, "must be a list of checks")
            return None
        return tuple(one for number, one in enumerate(value) if self.rule(one, place / number))

    def rule(self, value: object, place: Place) -> bool:
        """Whether a value is the name of a check."""
        if isinstance(value, str) and value in NAMES:
            return True
        self.complain(place, f"there is no check {value}{_near(str(value), NAMES)}")
        return False

    def severities(self, value: object, place: Place) -> dict[str, Severity] | None:
        """Severities by check."""
        if not isinstance(value, Mapping):
            self.complain(place, "must be a mapping of checks to severities")
            return None
        found = {}
        for name, word in value.items():
            if self.rule(name, place / str(name)):
                chosen = self.choice(word, place / str(name), FAIL_ON[:-1])
                if chosen is not None:
                    found[str(name)] = Severity[chosen.upper()]
        return found

    def names(self, value: object, place: Place) -> dict[str, tuple[Address, ...]] | None:
        """The addresses of names, one or a list of each."""
        if not isinstance(value, Mapping):
            self.complain(place, "must be a mapping of names to addresses")
            return None
        found = {}
        for name, written in value.items():
            many = written if isinstance(written, list) else [written]
            at = place / str(name)
            read = [
                self.address(one, at / number if isinstance(written, list) else at) for number, one in enumerate(many)
            ]
            if all(one is not None for one in read):
                found[canonical(str(name))] = tuple(one for one in read if one is not None)
        return found

    def address(self, value: object, place: Place) -> Address | None:
        """An address."""
        try:
            return ipaddress.ip_address(str(value))
        except ValueError:
            self.complain(place, "must be an address, as in 203.0.113.10")
            return None

    def path(self, value: object, place: Place) -> str | None:
        """The name of a file."""
        if isinstance(value, str) and value:
            return value
        self.complain(place, "must be the name of a file")
        return None


def _near(name: str, known: tuple[str, ...]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {found[0]}?" if found else ""
