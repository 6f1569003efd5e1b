"""The words of an assertion: ends and ports, as people write them in a file.

    end   =  whatever `outgate can-reach` takes: a pod, a workload, svc/…, node/…, an address, a CIDR, a DNS name
          |  NAMESPACE/*  |  every pod  |  every node  |  anywhere
          |  {namespace: NAME, labels: {KEY: VALUE}, except: END}       pods by label; each part may be left out
          |  {namespaceLabels: {KEY: VALUE}, labels: …}
          |  {cidr: 10.0.0.0/8, except: END}  |  {any: END, except: END}
    port  =  443  |  8000-8010  |  http  |  53/UDP  |  UDP  |  ICMP     one, or a list of them

This is the grammar alone, as `targets` is for the command line: nothing here knows which pods there are. What is wrong
is added to a list of errors with its place, so that a file is mended in one go.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from outgate.analysis import targets
from outgate.analysis.spelling import spell_protocol
from outgate.analysis.targets import Written
from outgate.errors import InputError, UsageError
from outgate.model import NOWHERE, LabelSelector, Place
from outgate.model.labels import Operator, Requirement
from outgate.model.place import complaint
from outgate.packets import Protocol
from outgate.packets.addresses import Network
from outgate.records import dataclass

__all__ = [
    "EndAsked",
    "NamesAsked",
    "PodsAsked",
    "PortAsked",
    "PortsAsked",
    "Word",
    "listed",
    "read_ends",
    "read_ports",
    "read_protocol",
    "unknown_field",
]

_PROTOCOLS = {spell_protocol(one): int(one) for one in Protocol}
_PATTERN = re.compile(r"(?=.*\*)[-a-zA-Z0-9_*]+(\.[-a-zA-Z0-9_*]+)+\.?")
"""Of names, with a star (Cilium's matchPattern, and the domainNames of network-policy-api)."""
_PODS = ("namespace", "namespaceLabels", "labels")
_END_FIELDS = (*_PODS, "cidr", "any", "except")


class Word(enum.Enum):
    """Ends that are meant by a word."""

    EVERY_POD = "every pod"
    EVERY_NODE = "every node"
    ANYWHERE = "anywhere"
    """Every address of both families, whoever has it."""


@dataclass(frozen=True, slots=True)
class PodsAsked:
    """Pods by what they carry. `namespace` None: in every namespace that `namespaces` matches."""

    namespace: str | None = None
    namespaces: LabelSelector = field(default_factory=LabelSelector)
    pods: LabelSelector = field(default_factory=LabelSelector)

    def __str__(self) -> str:
        if self.namespace is not None:
            where = f"{self.namespace}/*"
        else:
            where = f"*/* in namespaces {self.namespaces}" if self.namespaces else "*/*"
        return f"{where} with {self.pods}" if self.pods else where


@dataclass(frozen=True, slots=True)
class NamesAsked:
    """The DNS names that a pattern means, as policies write it; to be listed, not asked about."""

    pattern: str

    def __str__(self) -> str:
        return self.pattern


@dataclass(frozen=True, slots=True)
class EndAsked:
    """One end, read and not looked up yet, less the ends in `excepts`."""

    what: Written | PodsAsked | NamesAsked | Word
    text: str
    """As it was written."""
    excepts: tuple[EndAsked, ...] = ()
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        return self.text + (f" except {listed(self.excepts)}" if self.excepts else "")


@dataclass(frozen=True, slots=True)
class PortAsked:
    """Some ports of one protocol. `protocol` None: not said (TCP for numbers, any for names)."""

    protocol: int | None = None
    span: tuple[int, int] | None = None
    name: str = ""
    """The name of a container port or of a Service's; it and `span` are never both given."""

    def __str__(self) -> str:
        if not self.name and self.span is None:
            return spell_protocol(self.protocol or 0)
        low, high = self.span or (0, 0)
        number = str(low) if low == high else f"{low}-{high}"
        protocol = "" if self.protocol is None else f"{spell_protocol(self.protocol)} "
        return f"{protocol}{self.name or number}"


@dataclass(frozen=True, slots=True)
class PortsAsked:
    """Ports of an assertion; without any, every port of TCP, UDP and SCTP."""

    ports: tuple[PortAsked, ...] = ()

    def __str__(self) -> str:
        return listed(self.ports)


def listed(many: tuple[object, ...]) -> str:
    """``a, b``; at most three, and how many more there are."""
    shown = ", ".join(map(str, many[:3]))
    return shown if len(many) <= 3 else f"{shown} and {len(many) - 3} more"


def unknown_field(key: str, known: Sequence[str]) -> str:
    """What is said of a field that there is not, with the nearest one that there is."""
    near = difflib.get_close_matches(key, known, n=1)
    return f"unknown field{f', did you mean {near[0]}?' if near else ''}; there are {', '.join(known)}"


def read_ends(value: object, place: Place, errors: list[InputError]) -> tuple[EndAsked, ...]:
    """One end, or a list of them."""
    if isinstance(value, list):
        if not value:
            errors.append(complaint(place, "an empty list names nobody"))
        return tuple(one for index, each in enumerate(value) for one in _end(each, place / index, errors))
    return tuple(_end(value, place, errors))


def _end(value: object, place: Place, errors: list[InputError]) -> Iterator[EndAsked]:
    if isinstance(value, str) and value.strip():
        what = _written(value.strip(), place, errors)
        if what is not None:
            yield EndAsked(what, value.strip(), (), place)
    elif isinstance(value, Mapping):
        yield from _mapped(value, place, errors)
    else:
        errors.append(complaint(place, "must name a pod, a workload, an address or another end, or be a mapping"))


def _written(text: str, place: Place, errors: list[InputError]) -> Written | PodsAsked | NamesAsked | Word | None:
    words = {word.value: word for word in Word}
    if text.lower() in words:
        return words[text.lower()]
    namespace, slash, star = text.partition("/")
    if slash and star == "*":
        return Word.EVERY_POD if namespace == "*" else PodsAsked(namespace)
    if _PATTERN.fullmatch(text):
        return NamesAsked(text.lower().removesuffix("."))
    if "*" in text:
        means = "a star stands for all pods of a namespace, as in production/*, or for DNS names, as in *.example.com"
        errors.append(complaint(place, f"{text}: {means}"))
        return None
    try:
        written, asked = targets.parse_destination(text)
    except UsageError as error:
        errors.append(complaint(place, error.message + (f" ({error.hint})" if error.hint else "")))
        return None
    if asked != targets.ANY_TRANSPORT:
        errors.append(complaint(place, "ports have a field of their own: write {to: ..., port: ...}"))
        return None
    return written


def _mapped(value: Mapping[object, object], place: Place, errors: list[InputError]) -> Iterator[EndAsked]:
    before = len(errors)
    unknown = (str(key) for key in value if key not in _END_FIELDS)
    errors.extend(complaint(place / key, unknown_field(key, _END_FIELDS)) for key in unknown)
    ways = [any(key in value for key in _PODS), "cidr" in value, "any" in value]
    if sum(ways) != 1:
        errors.append(complaint(place, "give pods (namespace, namespaceLabels, labels), or cidr, or any"))
    excepts = read_ends(value["except"], place / "except", errors) if "except" in value else ()
    if len(errors) > before:
        return
    if ways[0]:
        what = _pods(value, place, errors)
        if what is not None:
            yield EndAsked(what, str(what), excepts, place)
    elif ways[1]:
        block = value["cidr"]
        written = _written(block, place / "cidr", errors) if isinstance(block, str) else None
        if isinstance(written, Network):
            yield EndAsked(written, str(written), excepts, place)
        elif len(errors) == before:
            errors.append(complaint(place / "cidr", "must be a CIDR, as in 10.0.0.0/8"))
    else:
        for one in read_ends(value["any"], place / "any", errors):
            yield EndAsked(one.what, one.text, (*one.excepts, *excepts), one.place)


def _pods(value: Mapping[object, object], place: Place, errors: list[InputError]) -> PodsAsked | None:
    before = len(errors)
    namespace = value.get("namespace")
    if namespace is not None and not (isinstance(namespace, str) and namespace):
        errors.append(complaint(place / "namespace", "must be the name of a namespace"))
    if namespace is not None and "namespaceLabels" in value:
        errors.append(complaint(place / "namespaceLabels", "give the name of a namespace or its labels, not both"))
    namespaces = _labels(value.get("namespaceLabels", {}), place / "namespaceLabels", errors)
    pods = _labels(value.get("labels", {}), place / "labels", errors)
    if len(errors) > before:
        return None
    return PodsAsked(namespace if isinstance(namespace, str) else None, namespaces, pods)


def _labels(value: object, place: Place, errors: list[InputError]) -> LabelSelector:
    """Labels that must all be there; a list of values means any of them."""
    if not isinstance(value, Mapping):
        errors.append(complaint(place, "must be a mapping of labels"))
        return LabelSelector()
    found = []
    for key, one in value.items():
        values = tuple(one) if isinstance(one, list) else (one,)
        if not values or not all(isinstance(each, str) for each in values):
            errors.append(complaint(place / str(key), "the value of a label is a text, or a list of texts"))
        else:
            found.append(Requirement(str(key), Operator.IN, values))
    return LabelSelector.of(expressions=found)


def read_ports(value: object, place: Place, default: int | None, errors: list[InputError]) -> PortsAsked | None:
    """One port, or a list of them; `default` is the protocol of those that name none. None where one is wrong."""
    before = len(errors)
    if isinstance(value, list):
        if not value:
            errors.append(complaint(place, "an empty list is no port; leave the field out for every port"))
        ports = [_port(one, place / index, default, errors) for index, one in enumerate(value)]
    else:
        ports = [_port(value, place, default, errors)]
    return None if len(errors) > before else PortsAsked(tuple(one for one in ports if one is not None))


def read_protocol(value: object, place: Place, errors: list[InputError]) -> int | None:
    """The number of a protocol that is written by name."""
    known = {name.upper(): number for name, number in _PROTOCOLS.items()}
    found = known.get(value.upper()) if isinstance(value, str) else None
    if found is None:
        errors.append(complaint(place, f"must be one of {', '.join(_PROTOCOLS)}"))
    return found


def _port(value: object, place: Place, default: int | None, errors: list[InputError]) -> PortAsked | None:
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not text.strip():
        errors.append(complaint(place, "must be a number, a range as 8000-8010, the name of a port, or 53/UDP"))
        return None
    text = text.strip()
    if text in _PROTOCOLS:
        return PortAsked(_PROTOCOLS[text])
    number, slash, protocol = text.partition("/")
    wanted = read_protocol(protocol, place, errors) if slash else default
    if slash and wanted is None:
        return None
    if wanted is not None and not Protocol(wanted).has_ports:
        errors.append(complaint(place, f"{spell_protocol(wanted)} has no ports"))
        return None
    low, dash, high = number.partition("-")
    try:
        if dash and low.isdigit() and high.isdigit():
            first, last = (targets.TransportAsked.read(one, None).port for one in (low, high))
        else:
            first = last = targets.TransportAsked.read(number, None).port
    except UsageError as error:
        errors.append(complaint(place, error.message))
        return None
    if isinstance(first, str) or isinstance(last, str) or first is None or last is None:
        return PortAsked(wanted, None, number)
    if first > last:
        errors.append(complaint(place, f"the range {number} ends before it begins"))
        return None
    return PortAsked(wanted, (first, last))
