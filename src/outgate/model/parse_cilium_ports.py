"""What a rule of Cilium's says of ports, of what is spoken on them, and of ICMP.

An empty list of HTTP or DNS rules is no rule (``L7Rules.Len``), so it restricts nothing. Whatever asks for a
proxy that we do not have is kept as `Unenforced`, with its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast, get_args

from outgate.model.cilium import (
    CiliumPort,
    CiliumProtocol,
    HeaderMatch,
    HttpMatch,
    IcmpMatch,
    NameMatch,
    PortEntry,
    Unenforced,
)
from outgate.model.icmp_names import icmp_type
from outgate.model.place import Place
from outgate.model.validate_cilium_words import ends_a_name, is_service_name, port_value

__all__ = ["header_of", "icmp_matches", "name_match", "port_entry", "unenforced_of_ports"]

_FEATURES = {
    "terminatingTLS": "connections are not decrypted",
    "originatingTLS": "connections are not encrypted anew",
    "listener": "traffic is not handed to a listener of somebody else's Envoy",
}
_PROTOCOLS = {
    "kafka": "Kafka is not parsed",
    "l7proto": "protocols of proxylib are not parsed",
    "l7": "protocols of proxylib are not parsed",
}


def port_entry(entry: Mapping[str, Any], place: Place) -> PortEntry:
    """One entry of ``toPorts``."""
    rules, at = entry.get("rules", {}), place / "rules"
    return PortEntry(
        tuple(_port(one, place / "ports" / i) for i, one in enumerate(entry.get("ports", ()))),
        tuple(_http(one, at / "http" / i) for i, one in enumerate(rules.get("http", ()))),
        tuple(name_match(one, at / "dns" / i) for i, one in enumerate(rules.get("dns", ()))),
        tuple(entry.get("serverNames", ())),
        place,
    )


def unenforced_of_ports(
    entries: Iterable[Mapping[str, Any]], place: Place, *, deny: bool = False
) -> Iterator[Unenforced]:
    """What the entries of ``toPorts`` ask for that we do not do; `deny` is for those of a rule that denies."""
    for i, entry in enumerate(entries):
        at = place / i
        yield from (Unenforced(name, words, at / name) for name, words in _FEATURES.items() if name in entry)
        rules = entry.get("rules", {})
        for name, words in _PROTOCOLS.items():
            if rules.get(name):
                yield Unenforced(name, words, at / "rules" / name)
        for k, request in enumerate(rules.get("http", ())):
            yield from _headers_in_vain(request.get("headerMatches", ()), at / "rules" / "http" / k / "headerMatches")
        for k, port in enumerate(entry.get("ports", ()) if deny else ()):
            if ends_a_name(port):
                words = "ranges that begin with the name of a port are not worked out"
                yield Unenforced("endPort", words, at / "ports" / k / "endPort")


def _headers_in_vain(headers: Iterable[Mapping[str, Any]], place: Place) -> Iterator[Unenforced]:
    for i, header in enumerate(headers):
        if "secret" in header:
            yield Unenforced("headerMatches.secret", "values of Secrets are not read", place / i / "secret")
        if header.get("mismatch", "") not in ("", "LOG"):
            yield Unenforced("headerMatches.mismatch", "requests are not changed", place / i / "mismatch")


def _port(port: Mapping[str, Any], place: Place) -> CiliumPort:
    text, protocol = port.get("port", ""), _protocol(port.get("protocol", ""))
    if is_service_name(text):
        # "EndPort can only be an L4 port number", and a range begins with one. Yet Cilium takes the range from where
        # the name leads up to the end (``toMapState``): what denies closes (`unenforced_of_ports`), what allows allows
        # the named port alone.
        return CiliumPort(text.lower(), protocol, None, place)
    number = port_value(text)
    assert number is not None, "validation lets no unreadable port through"
    end = port.get("endPort", 0)
    # "EndPort" counts only where it is greater than the port. From 0 to the last is every port, as 0 alone is; from 0
    # to any other is a range like any (PortRangeToMaskedPorts).
    ranged = end > number and (number, end) != (0, 65535)
    return CiliumPort(number, protocol, end if ranged else None, place)


def _protocol(text: str) -> CiliumProtocol:
    """A protocol as the agent reads it, in any case: "If omitted or empty, any protocol matches"."""
    for known in get_args(CiliumProtocol):
        if text.upper() == known:
            return cast("CiliumProtocol", known)
    return "ANY"


def _http(request: Mapping[str, Any], place: Place) -> HttpMatch:
    by_text = (header_of(one, place / "headers" / i) for i, one in enumerate(request.get("headers", ())))
    by_value = (_header(one, place / "headerMatches" / i) for i, one in enumerate(request.get("headerMatches", ())))
    return HttpMatch(
        request.get("path", ""),
        request.get("method", ""),
        request.get("host", ""),
        (*by_text, *by_value),
        place,
    )


def header_of(text: str, place: Place) -> HeaderMatch:
    """``Name value``, where a colon may end the name, or ``Name``, which need only be there."""
    name, blank, value = text.partition(" ")
    return HeaderMatch(name.rstrip(":"), value, place=place) if blank else HeaderMatch(name, place=place)


def _header(header: Mapping[str, Any], place: Place) -> HeaderMatch:
    value = header.get("value", "") or None
    return HeaderMatch(header["name"], value, header.get("mismatch", "") == "LOG", place)


def name_match(entry: Mapping[str, Any], place: Place) -> NameMatch:
    """An entry of ``toFQDNs`` or of ``rules.dns``."""
    return NameMatch(entry.get("matchName", ""), entry.get("matchPattern", ""), place)


def icmp_matches(several: Iterable[Mapping[str, Any]], place: Place) -> Iterator[IcmpMatch]:
    """The types of all entries of ``icmps``."""
    for i, one in enumerate(several):
        for k, entry in enumerate(one.get("fields", ())):
            family = entry.get("family", "") or "IPv4"
            number = icmp_type(family, entry["type"])
            assert number is not None, "validation lets no unknown type through"
            yield IcmpMatch(6 if family == "IPv6" else 4, number, place / i / "fields" / k)
