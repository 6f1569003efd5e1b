"""The ends of a question, as people write them: SRC and DST[:PORT[/PROTO]].

    end   =  address  |  CIDR  |  name
          |  namespace/pod  |  namespace/kind/name  |  kind/name
          |  svc/name  |  svc/namespace/name  |  node/name
          |  workload "[" label=value, ... "]"  |  workload "[" pod, ... "]"
    DST   =  end [":" port ["/" protocol]]          an IPv6 address with a port stands in brackets

This is the grammar alone: nothing here knows which pods there are (`lookup` does). A text is read in one
way only. Where two readings are possible the order above is the order of preference: ``svc/a/b`` is a
Service, also where a namespace is called ``svc``.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from dataclasses import replace

from outgate.analysis.spelling import spell_protocol
from outgate.errors import UsageError
from outgate.packets import Address, Protocol
from outgate.packets.addresses import Network
from outgate.records import dataclass

__all__ = [
    "ANY_TRANSPORT",
    "Named",
    "Noun",
    "TransportAsked",
    "Written",
    "kind_of",
    "other_reading",
    "parse",
    "parse_destination",
]

_KINDS = {
    "Pod": ("po", "pod", "pods"),
    "Deployment": ("deploy", "deployment", "deployments", "deployments.apps"),
    "StatefulSet": ("sts", "statefulset", "statefulsets", "statefulsets.apps"),
    "DaemonSet": ("ds", "daemonset", "daemonsets", "daemonsets.apps"),
    "ReplicaSet": ("rs", "replicaset", "replicasets", "replicasets.apps"),
    "Job": ("job", "jobs", "jobs.batch"),
    "CronJob": ("cj", "cronjob", "cronjobs", "cronjobs.batch"),
    "Service": ("svc", "service", "services"),
    "Node": ("no", "node", "nodes"),
}
"""kubectl's names for each kind: short name, singular, plural, plural with group."""

_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)


def kind_of(word: str) -> str | None:
    """The kind that a word of kubectl's stands for; None where it is no such word."""
    return _KIND_OF.get(word.lower())


class Noun(enum.Enum):
    """What a written name names."""

    ANYTHING = "name"
    """A bare word: a pod, a workload, a Service or a DNS name."""
    WORKLOAD = "workload"
    SERVICE = "service"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Named:
    """An end given by name. `namespace` None: not written. `kind`: as written, for a workload; empty where none was."""

    noun: Noun
    name: str
    namespace: str | None = None
    kind: str = ""
    part: tuple[str, ...] = ()
    """Which of a workload's pods: labels (``version=v2``) or names, as the list of connections sets them apart."""


Written = Address | Network | Named


@dataclass(frozen=True, slots=True)
class TransportAsked:
    """The port and protocol of a question, as far as they were given.

    `port` is a number or the name of a port; `protocol` an IP protocol number.
    """

    port: int | str | None = None
    protocol: int | None = None

    @classmethod
    def read(cls, port: str | None, protocol: str | None) -> TransportAsked:
        """From the texts of the command line. Raises UsageError for what can be neither."""
        return cls(None if port is None else _port(port), None if protocol is None else _protocol(protocol))

    def joined(self, other: TransportAsked) -> TransportAsked:
        """Both together. Raises UsageError where they contradict each other."""
        for what in ("port", "protocol"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine is not None and theirs is not None and mine != theirs:
                both = (mine, theirs) if what == "port" else (spell_protocol(mine), spell_protocol(theirs))
                raise UsageError(f"the {what} is given twice, as {both[0]} and as {both[1]}")
        return TransportAsked(
            self.port if self.port is not None else other.port,
            self.protocol if self.protocol is not None else other.protocol,
        )


ANY_TRANSPORT = TransportAsked()


def parse(text: str) -> Written:
    """One end without a port. Raises UsageError, with what would have been right."""
    end, port = _split_port(text)
    if port is not None:
        raise UsageError(
            f"{text}: a source has no port; the port of the question is the destination's",
            hint="write it behind the destination: outgate can-reach SRC DST:PORT",
        )
    return _end(end)


def parse_destination(text: str) -> tuple[Written, TransportAsked]:
    """One end, and the port and protocol behind it if there are any. Raises UsageError."""
    end, suffix = _split_port(text)
    if suffix is None:
        return _end(end), ANY_TRANSPORT
    port, slash, protocol = suffix.partition("/")
    if not port or (slash and not protocol):
        raise UsageError(f"{text}: a port looks like :443, :53/UDP or :http")
    return _end(end), TransportAsked.read(port, protocol or None)


def other_reading(text: str) -> str:
    """How an IPv6 address without brackets would be written if its last group was meant for a port; else empty.

    ``2001:db8::1:443`` is an address (RFC 5952, section 6, warns of it), and so it is read.
    """
    end, _, last = text.strip().rpartition(":")
    if not (last.isascii() and last.isdigit()) or _address(text.strip()) is None or _address(end) is None:
        return ""
    return f"[{end}]:{last}"


def _split_port(text: str) -> tuple[str, str | None]:
    text = text.strip()
    if "://" in text:
        raise UsageError(f"{text}: this is a URL; write the host and the port, as in example.com:443")
    if text.startswith("["):
        end, bracket, suffix = text[1:].partition("]")
        if not bracket or (suffix and not suffix.startswith(":")):
            raise UsageError(f"{text}: an IPv6 address with a port is written [2001:db8::1]:443")
        return end, suffix[1:] if suffix else None
    if text.count(":") > 1:
        if _address(text.partition("/")[0]) is None:
            raise UsageError(f"{text}: an IPv6 address with a port is written [2001:db8::1]:443")
        return text, None
    end, colon, suffix = text.partition(":")
    return end, suffix if colon else None


def _end(text: str) -> Written:
    whole, bracket, inside = text.partition("[")
    if bracket:
        return _part(text, whole, inside)
    parts = text.split("/")
    if not all(parts):
        raise UsageError(
            f"'{text}' names nothing",
            hint="write namespace/pod, namespace/kind/name, svc/namespace/name, node/name, an address, CIDR or name",
        )
    address = _address(parts[0])
    if address is not None:
        return address if len(parts) == 1 else _network(text)
    if re.fullmatch(r"[\d.]+", parts[0]) and "." in parts[0]:
        raise UsageError(f"{text}: {parts[0]} is not an IPv4 address")
    return _named(text, parts)


def _part(text: str, whole: str, inside: str) -> Named:
    """Some pods of a workload: ``shop/Deployment/web[version=v2]``, as a list writes them."""
    named = _end(whole)
    items = tuple(item.strip() for item in inside.removesuffix("]").split(","))
    if not inside.endswith("]") or not all(items) or not isinstance(named, Named):
        raise UsageError(
            f"{text}: brackets behind a workload hold labels or names of its pods, as in shop/deploy/web[version=v2]"
        )
    return replace(named, part=items)


def _named(text: str, parts: list[str]) -> Named:
    kind = kind_of(parts[0])
    match parts:
        case [name]:
            return Named(Noun.ANYTHING, name)
        case [_, name] if kind == "Node":
            return Named(Noun.NODE, name)
        case [_, name] if kind == "Service":
            return Named(Noun.SERVICE, name)
        case [_, namespace, name] if kind == "Service":
            return Named(Noun.SERVICE, name, namespace)
        case [namespace, word, name] if kind_of(word) == "Service":
            return Named(Noun.SERVICE, name, namespace)
        case [first, name]:
            # `deploy/web` and `shop/web` look alike; which it is depends on the namespaces of the input.
            return Named(Noun.WORKLOAD, name, first)
        case [namespace, word, name]:
            return Named(Noun.WORKLOAD, name, namespace, word)
    raise UsageError(f"{text} has too many parts; a workload is written namespace/kind/name")


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise UsageError(f"{text}: an address with a zone means a link of one machine; leave %{address.scope_id} out")
    return address


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        if ":" in text.partition("/")[2]:
            raise UsageError(f"{text}: an IPv6 block with a port is written [2001:db8::/32]:443") from None
        raise UsageError(f"{text} is not a CIDR: an address and the length of its prefix, as in 10.0.0.0/8") from None


def _port(text: str) -> int | str:
    if text.isascii() and text.isdigit():
        # The length is looked at first: converting a number of a million digits takes its time.
        if len(text) > 5 or not 1 <= int(text) <= 65535:
            raise UsageError(f"port {text[:20]} is not between 1 and 65535")
        return int(text)
    if not _PORT_NAME.fullmatch(text):
        raise UsageError(f"'{text}' is neither a port number nor the name of a port")
    return text


def _protocol(text: str) -> int:
    known = {protocol.name: int(protocol) for protocol in Protocol}
    number = known.get(text.upper())
    if number is not None:
        return number
    if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255:
        return int(text)
    raise UsageError(f"'{text}' is no protocol: give TCP, UDP, SCTP, ICMP, ICMPv6 or a number from 0 to 255")
