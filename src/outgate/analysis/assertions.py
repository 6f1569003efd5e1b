"""Files of assertions: what must be reachable, what must not, and what else may.

    apiVersion: outgate.dev/v1
    kind: ReachabilityTest
    names: {pay.example.com: [203.0.113.10]}       what DNS names outside the cluster stand for
    assertions:
      - name: orders are stored                    optional, as is `because`
        from: shop/web                             the subject: `from`, or `to`
        allow: {to: shop/db, port: 5432}           the verb, with the other side: one entry, or a list of them
      - from: shop/*
        deny: 169.254.169.254                      an end alone stands for every port
      - to: shop/db
        only: {from: shop/web, port: 5432}         nobody else, and on no other port
      - from: shop/web
        deny: {to: api.example.com, port: 80, http: DELETE /v1/items}      one request; names that rules open are ends
      - from: shop/web
        exactly: [{to: shop/db, port: 5432}]       all of this is allowed, and nothing else
        ignore: dns                                left out of `only` and `exactly`

`allow` holds if everything that is listed is allowed, `deny` if nothing of it is, `only` if nothing else is, and
`exactly` if both. A `port` beside the subject is the default of the entries, and all that `only` looks at.

A FlowList, the older and smaller form, says the same of single flows: ``{from, to, port, protocol, expect}``.
"""

from __future__ import annotations

import difflib
import enum
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import field

from outgate.analysis.assertion_words import (
    EndAsked,
    PortAsked,
    PortsAsked,
    Word,
    listed,
    read_ends,
    read_ports,
    read_protocol,
    unknown_field,
)
from outgate.analysis.request_words import RequestAsked, read_request
from outgate.errors import InputError, InvalidInput
from outgate.model import NOWHERE, Direction, Document, Place
from outgate.model.place import complaint, spell
from outgate.packets import Address, Protocol
from outgate.policy import OUTGATE, Profile
from outgate.policy.names import not_a_name
from outgate.records import dataclass

__all__ = ["API_VERSION", "FLOWS", "KIND", "Assertion", "Entry", "Suite", "Verb", "is_suite", "means_suite", "read"]

API_VERSION = "outgate.dev/v1"
KIND = "ReachabilityTest"
FLOWS = "FlowList"

_FIELDS = ("apiVersion", "kind", "metadata", "profile", "names", "assertions")
_FLOW_FIELDS = ("from", "to", "port", "protocol", "expect")
_PROFILES = {OUTGATE.name: OUTGATE}
"""Readings of what the API leaves open that a file may ask for."""


class Verb(enum.Enum):
    """What is said of the packets between the subject and the entries."""

    ALLOW = "allow"
    DENY = "deny"
    ONLY = "only"
    EXACTLY = "exactly"

    @property
    def closed(self) -> bool:
        """Whether it speaks of everything that is not listed, too."""
        return self in (Verb.ONLY, Verb.EXACTLY)


_ASSERTION_FIELDS = ("name", "because", "from", "to", "port", "ports", "protocol", *(v.value for v in Verb), "ignore")


@dataclass(frozen=True, slots=True)
class Entry:
    """The other side of an assertion, or a part of it. `ports` None: those of the assertion."""

    ends: tuple[EndAsked, ...]
    ports: PortsAsked | None = None
    place: Place = field(default=NOWHERE, compare=False, repr=False)
    request: RequestAsked | None = None
    """The one request of HTTP that is asked about; None for whatever goes there."""

    def __str__(self) -> str:
        parts = (listed(self.ends), self.ports, self.request)
        return " ".join(str(one) for one in parts if one is not None)


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assertion, read and not looked up yet.

    `direction` is EGRESS where the subject sends (``from``), INGRESS where it receives (``to``).
    """

    verb: Verb
    direction: Direction
    subject: tuple[EndAsked, ...]
    entries: tuple[Entry, ...]
    ports: PortsAsked | None = None
    ignored: tuple[Entry, ...] = ()
    name: str = ""
    because: str = ""
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    @property
    def title(self) -> str:
        """The name, or the assertion in its own words."""
        if self.name:
            return self.name
        near, far = ("from", "to") if self.direction is Direction.EGRESS else ("to", "from")
        ports = f" {self.ports}" if self.ports is not None else ""
        return f"{near} {listed(self.subject)}{ports}: {self.verb.value} {far} {listed(self.entries) or 'nobody'}"


@dataclass(frozen=True, slots=True)
class Suite:
    """One document of assertions."""

    assertions: tuple[Assertion, ...]
    names: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    profile: Profile = OUTGATE
    file: str = ""
    unasserted: int = 0
    """Flows of a FlowList without `expect`: the lab probes them, and they assert nothing."""


def is_suite(document: Document) -> bool:
    """Whether a document has assertions, right or wrong."""
    value = document.value
    return isinstance(value, dict) and value.get("apiVersion") == API_VERSION and value.get("kind") in (KIND, FLOWS)


def means_suite(document: Document) -> bool:
    """Whether a document has assertions, or was meant to: a misspelt kind is no reason to pass it over in silence."""
    value = document.value
    if not isinstance(value, dict) or not str(value.get("apiVersion")).startswith(API_VERSION.partition("/")[0] + "/"):
        return False
    return bool(difflib.get_close_matches(str(value.get("kind")), (KIND, FLOWS), cutoff=0.8))


def read(documents: Iterable[Document]) -> tuple[Suite, ...]:
    """The assertions of all documents. Raises InvalidInput with everything that is wrong."""
    errors: list[InputError] = []
    suites = []
    for document in documents:
        if not is_suite(document):
            errors.append(
                complaint(Place(document), f"this is no {KIND} and no {FLOWS} of {API_VERSION}{_said(document)}")
            )
            continue
        errors.extend(
            InputError(document.file, line, spell(path), "is written twice") for path, line in document.repeated.items()
        )
        value = document.value
        assert isinstance(value, dict), "is_suite says so"
        suites.append(
            _suite(value, Place(document), errors) if value["kind"] == KIND else _flows(value, document, errors)
        )
    if errors:
        raise InvalidInput(errors)
    return tuple(suites)


def _said(document: Document) -> str:
    """What a document says that it is, if it says anything."""
    value = document.value
    if not isinstance(value, dict) or "kind" not in value:
        return ""
    return f": it says {value['kind']} of {value.get('apiVersion', 'no apiVersion')}"


def _suite(value: Mapping[str, object], place: Place, errors: list[InputError]) -> Suite:
    _refuse_unknown(value, _FIELDS, place, errors)
    profile = _PROFILES.get(str(value.get("profile", OUTGATE.name)))
    if profile is None:
        errors.append(complaint(place / "profile", f"must be one of {', '.join(_PROFILES)}"))
    entries = value.get("assertions")
    if not isinstance(entries, list) or not entries:
        empty = isinstance(entries, list)
        words = "an empty list asserts nothing" if empty else "must be a list of assertions"
        errors.append(complaint(place / "assertions", words))
        entries = []
    read = [_assertion(one, place / "assertions" / index, errors) for index, one in enumerate(entries)]
    names = _names(value.get("names", {}), place / "names", errors)
    return Suite(tuple(one for one in read if one is not None), names, profile or OUTGATE, place.file)


def _names(value: object, place: Place, errors: list[InputError]) -> dict[str, tuple[Address, ...]]:
    names: dict[str, tuple[Address, ...]] = {}
    if not isinstance(value, Mapping):
        errors.append(complaint(place, "must be a mapping from names to addresses"))
        return names
    for name, written in value.items():
        if problem := not_a_name(str(name)):
            errors.append(complaint(place / str(name), problem))
            continue
        for text in written if isinstance(written, list) and written else [written]:
            try:
                address = ipaddress.ip_address(text if isinstance(text, str) else "")
            except ValueError:
                errors.append(complaint(place / str(name), "must be an address, or a list of addresses"))
                continue
            bare = str(name).lower().removesuffix(".")
            names[bare] = (*names.get(bare, ()), address)
    return names


def _assertion(value: object, place: Place, errors: list[InputError]) -> Assertion | None:
    """One assertion. What is wrong is added to the errors, and None returned."""
    before = len(errors)
    if not isinstance(value, Mapping):
        errors.append(complaint(place, "must be a mapping with from or to, and one of allow, deny, only, exactly"))
        return None
    _refuse_unknown(value, _ASSERTION_FIELDS, place, errors)
    verbs = [verb for verb in Verb if verb.value in value]
    near = [key for key in ("from", "to") if key in value]
    if len(verbs) != 1:
        errors.append(complaint(place, f"give one of {', '.join(one.value for one in Verb)}"))
    if len(near) != 1:
        errors.append(complaint(place, "give from or to: the other side stands in the entries of the verb"))
    if not verbs or len(near) != 1:
        return None
    verb, subject = verbs[0], near[0]
    ends = read_ends(value[subject], place / subject, errors)
    far = "to" if subject == "from" else "from"
    entries = _entries(value[verb.value], far, place / verb.value, errors, may_be_empty=verb.closed)
    ignored: tuple[Entry, ...] = ()
    if "ignore" in value and not verb.closed:
        errors.append(complaint(place / "ignore", "means something for only and exactly alone"))
    elif "ignore" in value:
        ignored = _entries(value["ignore"], far, place / "ignore", errors, may_be_anywhere=True)
    if verb.closed or far == "from":
        _refuse_requests((*entries, *ignored), errors)
    ports = _ports(value, place, errors)
    name, because = (_text(value, key, place, errors) for key in ("name", "because"))
    if len(errors) > before:
        return None
    direction = Direction.EGRESS if subject == "from" else Direction.INGRESS
    return Assertion(verb, direction, ends, entries, ports, ignored, name, because, place)


def _entries(
    value: object,
    far: str,
    place: Place,
    errors: list[InputError],
    *,
    may_be_empty: bool = False,
    may_be_anywhere: bool = False,
) -> tuple[Entry, ...]:
    """The entries of a verb: ends by themselves, or mappings with the far side and its ports."""
    if not isinstance(value, list):
        return _entry(value, far, place, errors, may_be_anywhere)
    if not value and not may_be_empty:
        errors.append(complaint(place, "an empty list asserts nothing"))
    return tuple(
        one for index, each in enumerate(value) for one in _entry(each, far, place / index, errors, may_be_anywhere)
    )


def _refuse_requests(entries: Iterable[Entry], errors: list[InputError]) -> None:
    words = "is for allow and deny, from a pod: what else is sent to the same port is not one request"
    errors.extend(complaint(one.place / "http", words) for one in entries if one.request is not None)


def _entry(value: object, far: str, place: Place, errors: list[InputError], may_be_anywhere: bool) -> tuple[Entry, ...]:
    anywhere = (EndAsked(Word.ANYWHERE, Word.ANYWHERE.value, (), place),)
    if may_be_anywhere and value == "dns":
        # SCTP with them: rules of Cilium's mostly say ANY, which is all three.
        asked = (Protocol.UDP, Protocol.TCP, Protocol.SCTP)
        queries = tuple(PortAsked(int(protocol), (53, 53)) for protocol in asked)
        return (Entry(anywhere, PortsAsked(queries), place),)
    if not isinstance(value, Mapping):
        return (Entry(read_ends(value, place, errors), None, place),)
    _refuse_unknown(value, (far, "port", "ports", "protocol", "http"), place, errors)
    ports = _ports(value, place, errors)
    request = read_request(value["http"], place / "http", errors) if "http" in value else None
    if far in value:
        return (Entry(read_ends(value[far], place / far, errors), ports, place, request),)
    if not may_be_anywhere:
        errors.append(complaint(place, f"{far} is missing"))
    elif ports is None:
        errors.append(complaint(place, "this leaves everything out"))
    return (Entry(anywhere, ports, place),)


def _ports(value: Mapping[str, object], place: Place, errors: list[InputError]) -> PortsAsked | None:
    """The fields `port` (or `ports`) and `protocol`; None where neither is there."""
    protocol = read_protocol(value["protocol"], place / "protocol", errors) if "protocol" in value else None
    given = [key for key in ("port", "ports") if key in value]
    if len(given) == 2:
        errors.append(complaint(place / "ports", "port and ports are one field: give one of them"))
    if given:
        return read_ports(value[given[0]], place / given[0], protocol, errors)
    return None if protocol is None else PortsAsked((PortAsked(protocol),))


def _text(value: Mapping[str, object], key: str, place: Place, errors: list[InputError]) -> str:
    text = value.get(key, "")
    if not isinstance(text, str):
        errors.append(complaint(place / key, "must be a text"))
        return ""
    return " ".join(text.split())


def _refuse_unknown(
    value: Mapping[str, object], known: tuple[str, ...], place: Place, errors: list[InputError]
) -> None:
    unknown = (str(key) for key in value if key not in known)
    errors.extend(complaint(place / key, unknown_field(key, known)) for key in unknown)


def _flows(value: Mapping[str, object], document: Document, errors: list[InputError]) -> Suite:
    """A FlowList, each flow an assertion of its own."""
    place = Place(document) / "flows"
    entries = value.get("flows")
    if not isinstance(entries, list) or not entries:
        errors.append(complaint(place, "must be a list of flows"))
        entries = []
    found, unasserted = [], 0
    for index, one in enumerate(entries):
        if isinstance(one, Mapping) and one.get("expect") is None and {"from", "to"} <= one.keys():
            unasserted += 1
        else:
            found.append(_flow(one, place / index, errors))
    return Suite(tuple(one for one in found if one is not None), file=document.file, unasserted=unasserted)


def _flow(value: object, place: Place, errors: list[InputError]) -> Assertion | None:
    before = len(errors)
    if not isinstance(value, Mapping):
        errors.append(complaint(place, "must be a mapping with from and to"))
        return None
    _refuse_unknown(value, _FLOW_FIELDS, place, errors)
    errors.extend(complaint(place / key, "is missing") for key in ("from", "to") if key not in value)
    verb = {one.value: one for one in (Verb.ALLOW, Verb.DENY)}.get(str(value.get("expect")).lower())
    if verb is None:
        errors.append(complaint(place / "expect", "must be allow or deny"))
    source = read_ends(value.get("from"), place / "from", errors)
    destination = read_ends(value.get("to"), place / "to", errors)
    ports = _ports(value, place, errors)
    if verb is None or len(errors) > before:
        return None
    return Assertion(verb, Direction.EGRESS, source, (Entry(destination, ports, place),), place=place)
