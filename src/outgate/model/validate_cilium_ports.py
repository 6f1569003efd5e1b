"""What Cilium's agent refuses in ``toPorts`` and ``icmps`` (``PortRule.Validate`` and what it calls, Cilium 1.19).

The agent stops at the first thing; here everything is said, each with its place. What depends on how an agent is set
(whether it has a proxy at all) is not known to whoever reads a file, and the default is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from outgate.model.expressions import PROGRAM_LIMIT, expression_problem, program_size, read_expression
from outgate.model.icmp_names import icmp_type
from outgate.model.place import Path
from outgate.model.validate_cilium_words import (
    ends_a_name,
    is_dns_name,
    is_dns_pattern,
    is_header_name,
    is_service_name,
    port_value,
)
from outgate.model.validate_text import quote

__all__ = [
    "Said",
    "expression_warnings",
    "icmp_problems",
    "icmp_warnings",
    "name_problems",
    "port_problems",
    "range_warnings",
    "request_warnings",
]

Said = tuple[Path, str]
"""A place, and what is said of it."""

_MAX = 40
_PROTOCOLS = ("TCP", "UDP", "SCTP", "VRRP", "IGMP", "ANY", "")
_WITHOUT_PORTS = ("VRRP", "IGMP")
_EXPRESSIONS = ("path", "method", "host")
_L7 = {"http": "HTTP", "kafka": "Kafka", "dns": "DNS"}


def port_problems(entries: Iterable[Mapping[str, Any]], at: Path, *, ingress: bool, host: bool) -> Iterator[Said]:
    """What is wrong with ``toPorts``; `host` is for a policy of hosts."""
    for i, entry in enumerate(entries):
        path = (*at, i)
        rules = entry.get("rules", {})
        dns = bool(rules.get("dns"))
        if ingress and dns:
            yield (*path, "rules", "dns"), "DNS rules are not allowed on ingress"
        if host and rules:
            yield from _on_host(rules, (*path, "rules"), ingress=ingress)
        if entry.get("serverNames") and _asks(rules) and "terminatingTLS" not in entry:
            yield (*path, "serverNames"), "ServerNames are not allowed with L7 rules without TLS termination"
        for k, name in enumerate(entry.get("serverNames", ())):
            if not name:
                yield (*path, "serverNames", k), "empty server name is not allowed"
        yield from _ports(entry.get("ports", ()), rules, (*path, "ports"))
        if "listener" in entry:
            name, place = entry["listener"].get("name", ""), (*path, "listener")
            if ingress:
                yield place, f"Listener is not allowed on ingress ({name})"
            if _asks(rules):
                yield place, f"Listener is not allowed with L7 rules ({name})"
        if _asks(rules):
            yield from _l7(rules, entry.get("ports", ()), (*path, "rules"))


def _asks(rules: Mapping[str, Any]) -> bool:
    """Whether there are rules of any protocol: empty lists of them are none, nor is a protocol alone (``IsEmpty``)."""
    return any(rules.get(name) for name in ("http", "kafka", "dns", "l7"))


def _on_host(rules: Mapping[str, Any], at: Path, *, ingress: bool) -> Iterator[Said]:
    if ingress and _asks(rules):
        yield at, "L7 policy is not supported on host ingress yet"
        return
    for name in ("http", "kafka"):
        if rules.get(name):
            yield (*at, name), f"L7 protocol {_L7[name]} is not supported on host egress yet"


def _ports(ports: list[Mapping[str, Any]], rules: Mapping[str, Any], at: Path) -> Iterator[Said]:
    if len(ports) > _MAX:
        yield at, f"too many ports, the max is {_MAX}"
    dns, asks = bool(rules.get("dns")), _asks(rules)
    for i, port in enumerate(ports):
        path = (*at, i)
        protocol = port.get("protocol", "")
        yield from _port(port, path, dns=dns)
        if protocol.upper() not in _PROTOCOLS:
            yield (
                (*path, "protocol"),
                f"invalid protocol {quote(protocol)}, must be {{ {' | '.join(_PROTOCOLS[:-1])} }}",
            )
        elif asks and not dns and protocol != "TCP":
            yield path, f"L7 rules can only apply to TCP (not {protocol}) except for DNS rules"
        if asks and port_value(port.get("port", "") or "-") == 0:
            yield (*path, "port"), "L7 rules can not be used when a port is 0"


def _port(port: Mapping[str, Any], at: Path, *, dns: bool) -> Iterator[Said]:
    text = port.get("port", "")
    if not text:
        yield at, "port must be specified"
        return
    if is_service_name(text):
        return
    number = port_value(text)
    if text != "0" and port.get("protocol", "") in _WITHOUT_PORTS:
        yield (*at, "port"), "port must be empty or 0"
    if number is None:
        why = "value out of range" if text.isascii() and text.isdigit() and text[0] != "0" else "invalid syntax"
        yield (*at, "port"), f"unable to parse port: strconv.ParseUint: parsing {quote(text)}: {why}"
    elif dns and port.get("endPort", 0) > number:
        yield (*at, "endPort"), "DNS rules do not support port ranges"


def _l7(rules: Mapping[str, Any], ports: list[Mapping[str, Any]], at: Path) -> Iterator[Said]:
    if "dns" in rules and not ports:
        yield (*at, "dns"), "port 53 must be specified for DNS rules"
    for i, request in enumerate(rules.get("http", ())):
        yield from _request(request, (*at, "http", i))
    yield from name_problems(rules.get("dns", ()), (*at, "dns"), both=True)
    if "l7" in rules and not rules.get("l7proto"):
        yield (*at, "l7"), "'l7' may only be specified when a 'l7proto' is also specified"
    if sum(name in rules for name in _L7) + bool(rules.get("l7proto")) > 1:
        yield at, "multiple L7 protocol rule types specified in single rule"


def _request(request: Mapping[str, Any], at: Path) -> Iterator[Said]:
    """Cilium looks at path and method. A bad host it hands to Envoy, which refuses all that it was given."""
    for name in _EXPRESSIONS:
        problem = expression_problem(request.get(name, ""))
        if problem:
            yield (*at, name), problem
    for i, header in enumerate(request.get("headerMatches", ())):
        place = (*at, "headerMatches", i)
        if not header.get("name"):
            yield (*place, "name"), "header name missing"
        if header.get("mismatch", "") not in ("", "LOG", "ADD", "DELETE", "REPLACE"):
            yield (*place, "mismatch"), f"invalid header action: {header['mismatch']}"
        if "secret" in header and not header["secret"].get("name"):
            yield (*place, "secret"), "secret name missing"


def request_warnings(rules: Mapping[str, Any], at: Path) -> Iterator[Said]:
    """Entries that no request can meet, though everybody takes them: what was meant is something else."""
    for i, request in enumerate(rules.get("http", ())):
        path = request.get("path", "")
        # RFC 9112, 3.2: a path begins with a slash, or is the * of OPTIONS.
        if path and not expression_problem(path) and not read_expression(path).may_begin_with("/*"):
            words = "no path begins so: the expression stands for the whole of it, from its first / on"
            yield (*at, "http", i, "path"), f"{words}; this entry lets nothing through"
        for k, text in enumerate(request.get("headers", ())):
            if not is_header_name(text.partition(" ")[0].rstrip(":") if " " in text else text):
                words = "no header has such a name; write Name, or Name: value with a blank between them"
                yield (*at, "http", i, "headers", k), f"{words}; this entry lets nothing through"
        for k, header in enumerate(request.get("headerMatches", ())):
            if header.get("name") and not is_header_name(header["name"]):
                words = "no header has such a name; this entry lets nothing through"
                yield (*at, "http", i, "headerMatches", k, "name"), words


def range_warnings(ports: Iterable[Mapping[str, Any]], at: Path) -> Iterator[Said]:
    """Ranges that begin with a name: everybody takes them, and they mean another thing to each who reads them."""
    for i, port in enumerate(ports):
        if ends_a_name(port):
            words = (
                "a range begins with a number: after a name, some take this for the end of one and some pass it over"
            )
            yield (*at, i, "endPort"), f"{words}; write the number"


def expression_warnings(rules: Mapping[str, Any], at: Path) -> Iterator[Said]:
    """Expressions for which Envoy may need a larger program than it allows (cilium#41314)."""
    for i, request in enumerate(rules.get("http", ())):
        for name in _EXPRESSIONS:
            text = request.get(name, "")
            if text and not expression_problem(text) and program_size(text) > PROGRAM_LIMIT:
                words = (
                    f"RE2's program for this expression has about {program_size(text)} instructions, and Envoy refuses "
                    f"more than {PROGRAM_LIMIT} unless it is set otherwise: with it goes the whole policy of the pod"
                )
                yield (*at, "http", i, name), words


def name_problems(names: Iterable[Mapping[str, Any]], at: Path, *, both: bool = False) -> Iterator[Said]:
    """What is wrong with ``toFQDNs``, or with ``rules.dns``, where an entry may have `both` a name and a pattern."""
    for i, one in enumerate(names):
        name, pattern = one.get("matchName", ""), one.get("matchPattern", "")
        if name and pattern and not both:
            yield (*at, i), "only one of MatchName or MatchPattern is allowed in an FQDNSelector"
        for field, text, form in (("MatchName", name, is_dns_name), ("MatchPattern", pattern, is_dns_pattern)):
            if text and form(text) is None:
                yield (*at, i, field[0].lower() + field[1:]), f"invalid characters in {field}: {quote(text)}"


def icmp_problems(rule: Mapping[str, Any], at: Path) -> Iterator[Said]:
    """What is wrong with ``icmps``, by itself and beside ``toPorts``."""
    several = rule.get("icmps", ())
    if several and rule.get("toPorts"):
        words = "the ICMPs block may only be present without ToPorts. Define a separate rule to use ToPorts"
        yield (*at, "icmps"), words
    for i, one in enumerate(several):
        path = (*at, "icmps", i, "fields")
        fields = one.get("fields", ())
        if len(fields) > _MAX:
            yield path, f"too many types, the max is {_MAX}"
        for k, entry in enumerate(fields):
            family = entry.get("family", "") or "IPv4"
            if family not in ("IPv4", "IPv6"):
                yield (*path, k, "family"), f"wrong family: {family}"
            elif "type" in entry and icmp_type(family, entry["type"]) is None:
                yield (*path, k, "type"), f"ICMP type {entry['type']} not found in {family}"


def icmp_warnings(rule: Mapping[str, Any], at: Path) -> Iterator[Said]:
    """Types that no packet has: the schema looks at the digits of a text, and not at a number."""
    for i, one in enumerate(rule.get("icmps", ())):
        for k, entry in enumerate(one.get("fields", ())):
            number = icmp_type(entry.get("family", "") or "IPv4", entry["type"])
            if number is not None and not 0 <= number <= 255:
                words = f"no ICMP packet has the type {number}, so this matches nothing"
                yield (*at, "icmps", i, "fields", k, "type"), words
