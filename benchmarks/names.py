"""The DNS proxy: what it costs to read a message, to put an address in, and to ask through it.

Pod, node and resolver are network namespaces of the tests' town, the proxy is a process of its own as on a node, and
dnsperf(1) asks the same resolver past the proxy and through it. All of them, and the kernel, share the processors of
the machine: on two, the resolver and dnsperf take from the proxy what they need themselves.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import select
import signal
import socket
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.tables import Row
from outgate.agent.dns_settings import DnsSettings
from outgate.agent.dns_supervisor import start_proxy
from outgate.host import process
from outgate.host.dns_sockets import Listeners
from outgate.host.names_door import Change, NamesDoor
from outgate.host.namespaces import die_with_parent
from outgate.host.rewrite import put
from outgate.policy.names import Dialect, Matcher, Pattern
from outgate.proxy import dns, glance
from outgate.proxy.dns import Message, Question, Record
from outgate.proxy.glance import Asked
from outgate.proxy.orders import Element
from tests.lab.dns.proxied import orders
from tests.lab.dns.town import POD, RESOLVERS, Town, in_town

__all__ = ["measure"]

_NAMES = 500
_SECONDS = 3
_SLOW = 400
"""Questions a second, one at a time: for latency."""


def measure(rounds: int) -> dict[str, list[Row]]:
    """All of it. Raises KernelError where dnsperf is not installed."""
    return {
        "names: reading": _reading(),
        "names: changing elements": in_town(lambda _: _elements()),
        "names: questions": in_town(lambda town: _questions(town, rounds)),
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


def _questions(town: Town, rounds: int) -> list[Row]:
    """In rounds, so that what else the machine does meets all variants alike."""
    variants = {
        "past the proxy": (None, "other.org"),
        "through one that only carries": (_relay, "other.org"),
        "through the proxy, names of no rule": (_proxy, "other.org"),
        "through the proxy, names of a rule": (_proxy, "www.example.com"),
    }
    fast: dict[str, list[float]] = {name: [] for name in variants}
    slow: dict[str, list[float]] = {name: [] for name in variants}
    worked: dict[str, list[float]] = {name: [] for name in variants}
    with _resolver(town):
        for _ in range(rounds):
            for name, (through, domain) in variants.items():
                opened = through(town) if through else contextlib.nullcontext(0)
                with opened as pid, _redirected(town, through is not None):
                    before = _worked(pid)
                    fast[name].append(_dnsperf(town, domain, "-c", "4", "-q", "100")[0])
                    worked[name].append((_worked(pid) - before) / (fast[name][-1] * _SECONDS))
                    slow[name].append(_dnsperf(town, domain, "-q", "1", "-Q", str(_SLOW))[1])
    baseline = statistics.median(fast["past the proxy"]), statistics.median(slow["past the proxy"])
    rows: list[Row] = []
    for name in variants:
        rate, latency = statistics.median(fast[name]), statistics.median(slow[name])
        rows.append(
            {
                "questions": name,
                "a second": round(rate),
                "ratio": round(rate / baseline[0], 2),
                f"µs at {_SLOW} a second": round(latency * 1e6),
                "added": round((latency - baseline[1]) * 1e6),
                "its processor, µs": round(min(worked[name]) * 1e6, 1),
            }
        )
    return rows


def _worked(pid: int) -> float:
    """Seconds that a process has kept processors busy, the kernel's work for it among them; 0 without one."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _redirected(town: Town, wanted: bool) -> Iterator[None]:
    town.nft("flush set inet outgate dns4")
    if wanted:
        town.nft(f"add element inet outgate dns4 {{ {POD[4]} . udp . 53 }}")
    yield


def _dnsperf(town: Town, domain: str, *more: str) -> tuple[float, float]:
    """Questions a second, and the mean latency in seconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file, town.pod.enter():
        file.write("".join(f"n{n}.{domain} A\n" for n in range(_NAMES)))
        file.flush()
        said = process.run(
            ("dnsperf", "-s", RESOLVERS[4][0], "-d", file.name, "-l", str(_SECONDS), "-t", "2", *more), timeout=60
        ).stdout
    found = [re.search(rf"{words}:\s+([0-9.]+)", said) for words in ("Queries per second", r"Average Latency \(s\)")]
    rate, latency = (float(one[1]) if one is not None else 0.0 for one in found)
    return rate, latency


@contextlib.contextmanager
def _resolver(town: Town) -> Iterator[None]:
    """Answers each question with one address, as fast as this language can."""
    with town.socket(town.outside, 4) as server:
        server.settimeout(None)
        server.bind((RESOLVERS[4][0], 53))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        answer = struct.pack("!HHHIH4s", 0xC00C, 1, 1, 60, 4, bytes((203, 0, 113, 10)))

        def serve() -> int:
            die_with_parent()
            counts = b"\x81\x80\0\1\0\1\0\0\0\0"
            while True:
                data, sender = server.recvfrom(512)
                end = data.index(b"\0", 12) + 5
                server.sendto(data[:2] + counts + data[12:end] + answer, sender)

        pid = process.fork(serve)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextlib.contextmanager
def _relay(town: Town) -> Iterator[int]:
    """The least that a proxy in this language can do: four system calls a question, one server, and no decision."""
    with Listeners() as listeners, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
        near = listeners.udp[0]
        upstream.connect((RESOLVERS[4][0], 53))
        upstream.setblocking(False)

        def carry() -> int:
            die_with_parent()
            clients: list[tuple[Any, bytes]] = [((), b"")] * 65536
            number = 0
            while True:
                ready = select.select([near, upstream], [], [])[0]
                with contextlib.suppress(BlockingIOError):
                    while near in ready:
                        data, sender = near.recvfrom(65535)
                        number = (number + 1) & 0xFFFF
                        clients[number] = sender, data[:2]
                        upstream.send(number.to_bytes(2, "big") + data[2:])
                with contextlib.suppress(BlockingIOError):
                    while upstream in ready:
                        data = upstream.recv(65535)
                        sender, its = clients[data[0] << 8 | data[1]]
                        near.sendto(its + data[2:], sender)

        pid = process.fork(carry)
        town.nft("add element inet outgate dns_up { udp timeout 1h }")
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            town.nft("flush set inet outgate dns_up")


@contextlib.contextmanager
def _proxy(town: Town) -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        settings = DnsSettings(run_dir=Path(folder) / "run", state_dir=Path(folder) / "state", leased=True)
        settings.orders_file.parent.mkdir(parents=True)
        put(settings.orders_file, msgspec.json.encode(orders("*.www.example.com")))
        lock = os.open(settings.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        pid = start_proxy(settings, lock)
        os.close(lock)
        while "udp" not in town.listed("dns_up"):
            time.sleep(0.05)
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
