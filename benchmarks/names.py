"""The DNS proxy: what it costs to read a message, to put an address in, and to ask through it (`names_load`)."""

from __future__ import annotations

import ipaddress
import struct
import time
from collections.abc import Callable

from benchmarks.names_load import questions
from benchmarks.tables import Row
from outgate.host.names_door import Change, NamesDoor
from outgate.policy.names import Dialect, Matcher, Pattern
from outgate.proxy import dns, glance
from outgate.proxy.dns import Message, Question, Record
from outgate.proxy.glance import Asked
from outgate.proxy.orders import Element
from tests.lab.dns.town import POD, in_town

__all__ = ["measure"]


def measure(rounds: int) -> dict[str, list[Row]]:
    """All of it. Raises KernelError where dnsperf or nsd is not installed."""
    return {
        "names: reading": _reading(),
        "names: changing elements": in_town(lambda _: _elements()),
        "names: questions": in_town(lambda town: questions(town, rounds)),
    }


def _reading() -> list[Row]:
    """Microseconds a message, the best of several runs: other work on the machine only ever adds."""
    name = "www.shop.example.com"
    query = dns.encode(Message(1, questions=(Question(name, 1),), extras=(Record("", 41, b"", 0, klass=1232),)))
    asked = glance.glance_question(query)
    assert isinstance(asked, Asked)
    records = [struct.pack("!HHHIH4s", 0xC00C, 1, 1, 60, 4, bytes((203, 0, 113, last))) for last in range(8)]
    typical = struct.pack("!6H", 1, 0x8180, 1, 8, 0, 0) + query[12:-11] + b"".join(records)
    chain = dns.encode(
        Message(
            1,
            True,
            questions=(Question(name, 1),),
            answers=(
                Record(name, 5, "shop.cdn.example.net"),
                Record("shop.cdn.example.net", 5, "e1.edge.example.org"),
                Record("e1.edge.example.org", 1, ipaddress.IPv4Address("203.0.113.1")),
                Record("e1.edge.example.org", 1, ipaddress.IPv4Address("203.0.113.2")),
            ),
        )
    )
    patterns = {n: (Pattern(f"**.site{n}.example.com", Dialect.CILIUM),) for n in range(1000)}
    matcher = Matcher(patterns)
    return [
        _timed("question", lambda: glance.glance_question(query)),
        _timed("answer of 8 addresses, compressed", lambda: glance.glance_answer(typical, asked)),
        _timed("answer of 2 aliases and 2 addresses", lambda: glance.glance_answer(chain, asked)),
        _timed("answer of 8 addresses, read whole", lambda: dns.decode(typical)),
        _timed("name against 1000 patterns, first time", lambda: list(matcher._look("a.b.site7.example.com"))),
        _timed("name against 1000 patterns, again", lambda: matcher.sets_of("a.b.site7.example.com")),
    ]


def _timed(what: str, call: Callable[[], object], count: int = 5000) -> Row:
    best = float("inf")
    for _ in range(9):
        begin = time.perf_counter()
        for _ in range(count):
            call()
        best = min(best, time.perf_counter() - begin)
    return {"what": what, "µs": round(best / count * 1e6, 2)}


def _elements() -> list[Row]:
    source = ipaddress.ip_address(POD[4]).packed
    rows: list[Row] = []
    with NamesDoor() as door:
        for together in (1, 16, 256):
            changes = [
                Change(Element("test", source, struct.pack("!I", 0xC633_0000 + n)), 60.0) for n in range(together)
            ]
            row = _timed(f"{together} at once", lambda changes=changes: door.put(changes), max(10, 1000 // together))  # type: ignore[misc] # a loop's own value
            rows.append({"elements": row["what"], "µs an element": round(float(str(row["µs"])) / together, 1)})
    return rows
