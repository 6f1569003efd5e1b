"""Questions through the DNS proxy, and the same questions past it: how many a second, and how long each takes.

    pod: dnsperf(1) ─► node: nothing, or one that carries, or the proxy ─► outside: nsd(8)

Pod, node and name server are network namespaces of the tests' town, and what is asked through is a process of its own,
as on a node. The name server is one that people run, written in C: one in Python would be as slow as the proxy and
hide it. All share the processors of the machine: on two, a question that costs the proxy as much as name server and
dnsperf together halves the throughput. Two that decide nothing show how much of that is the kernel and the language: a
bare loop of four system calls, and one over asyncio, as the prototype was whose half of the throughput is the floor.

Each variant runs once in every round, and a ratio compares with the direct way of the same round.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.tables import Row
from outgate.agent.dns_measures import DnsStatus
from outgate.agent.dns_settings import DnsSettings
from outgate.agent.dns_supervisor import start_proxy
from outgate.errors import KernelError
from outgate.host import process
from outgate.host.dns_sockets import Listeners
from outgate.host.namespaces import die_with_parent
from outgate.host.rewrite import put
from tests.lab.dns.proxied import orders
from tests.lab.dns.town import POD, RESOLVERS, Town

__all__ = ["questions"]

_SECONDS = 2
_IDLE, _LOADED = 400, 2000
"""Questions a second, for latency: one at a time, and many under way."""
_NAMES = 500
_NEW = 100_000
"""Names with an address each, which a variant asks for once."""
_SERVER = RESOLVERS[4][0]


class _Process(NamedTuple):
    """What is asked through; `waited` says at its end which share of its answers had to wait for the kernel."""

    pid: int = 0
    waited: list[float] = []  # noqa: RUF012 -- only ever the empty one, where nobody adds


Opened = contextlib.AbstractContextManager[_Process]


class _Variant(NamedTuple):
    through: Callable[[Town], Opened] | None
    known: str
    """The domain of names that are asked for again and again."""
    new: int = 0
    """Of a hundred names, how many were never heard before."""


@dataclass
class _Figures:
    """One variant, round by round: questions a second, seconds of a processor for each, and latencies in seconds."""

    rates: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    latencies: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    """The middle and the 99th of a hundred, by the load."""


def questions(town: Town, rounds: int) -> list[Row]:
    """All variants. Raises KernelError where dnsperf or nsd is not installed."""
    variants = {
        "past the proxy": _Variant(None, "other.org"),
        "through a loop that only carries": _Variant(_relay, "other.org"),
        "through asyncio that only carries": _Variant(_asyncio_relay, "other.org"),
        "names of no rule": _Variant(_proxy, "other.org"),
        "names of a rule": _Variant(_proxy, "www.example.com"),
        "names of a rule, one in ten new": _Variant(_proxy, "www.example.com", 10),
        "names of a rule, all of them new": _Variant(_proxy, "www.example.com", 100),
    }
    figures = {name: _Figures() for name in variants}
    with _name_server(town):
        _measure(town, variants["past the proxy"], _Figures())  # nobody is warm yet
        for _ in range(rounds):
            for name, variant in variants.items():
                _measure(town, variant, figures[name])
    direct = figures["past the proxy"]
    return [_row(name, one, direct) for name, one in figures.items()]


def _row(name: str, one: _Figures, direct: _Figures) -> Row:
    row: Row = {
        "questions": name,
        "a second": round(statistics.median(one.rates)),
        "ratio": round(statistics.median(a / b for a, b in zip(one.rates, direct.rates, strict=True)), 2),
        "its processor, µs": round(statistics.median(one.worked) * 1e6),
        "waited for the kernel": f"{statistics.median(one.waited):.0%}" if one.waited else "",
    }
    for load, words in ((_IDLE, "added alone"), (_LOADED, "added under load")):
        for place, share in enumerate(("p50", "p99")):
            pairs = zip(one.latencies[load], direct.latencies[load], strict=True)
            row[f"{words}, {share}, µs"] = round(statistics.median(a[place] - b[place] for a, b in pairs) * 1e6)
    return row


def _measure(town: Town, variant: _Variant, figures: _Figures) -> None:
    names = _names(variant)
    opened: Opened = variant.through(town) if variant.through is not None else contextlib.nullcontext(_Process())
    with opened as through:
        town.nft("flush set inet outgate dns4")
        if variant.through is not None:
            town.nft(f"add element inet outgate dns4 {{ {POD[4]} . udp . 53 }}")
        for load, of_them, more in (
            (_IDLE, _IDLE * _SECONDS, ("-q", "1")),
            (_LOADED, _LOADED * _SECONDS, ("-q", "100", "-c", "4")),
        ):
            said = _dnsperf(town, [next(names) for _ in range(of_them)], "-v", "-Q", str(load), *more)
            figures.latencies.setdefault(load, []).append(_middle_and_worst(said))
        many = [next(names) for _ in range(_NEW - (_IDLE + _LOADED) * _SECONDS if variant.new else _NAMES)]
        before = _worked(through.pid)
        said = _dnsperf(town, many, "-q", "100", "-c", "4")
        rate = float(_found(r"Queries per second:\s+([0-9.]+)", said)[0])
        figures.rates.append(rate)
        figures.worked.append((_worked(through.pid) - before) / (rate * _SECONDS))
    figures.waited += through.waited


def _names(variant: _Variant) -> Iterator[str]:
    new = 0
    while True:
        for number in range(100):
            if number * 37 % 100 < variant.new:
                yield f"n{new % _NEW}.new.{variant.known}"
                new += 1
            else:
                yield f"n{number}.{variant.known}"


def _dnsperf(town: Town, names: Sequence[str], *more: str) -> str:
    """What it says of asking for these names, one after the other and from the beginning again."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file, town.pod.enter():
        file.write("".join(f"{one} A\n" for one in names))
        file.flush()
        words = ("dnsperf", "-s", _SERVER, "-d", file.name, "-l", str(_SECONDS), "-t", "2", *more)
        return process.run(words, timeout=60).stdout


def _middle_and_worst(said: str) -> tuple[float, float]:
    latencies = sorted(map(float, _found(r"^> NOERROR \S+ A ([0-9.]+)", said)))
    return statistics.median(latencies), latencies[len(latencies) * 99 // 100]


def _found(form: str, said: str) -> list[str]:
    found = re.findall(form, said, re.MULTILINE)
    if not found:
        raise KernelError(f"dnsperf got no answer, and says:\n{said[-500:]}")
    return found


def _worked(pid: int) -> float:
    """Seconds that a process has kept processors busy, the kernel's work for it among them; 0 without one."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- who answers -----------------------------------------------------------------------------------------------------

_ZONES = {
    "other.org": "* A 203.0.113.10\n",
    # A wildcard is no answer for what stands below a name that there is (RFC 4592, 2.2.1): `new` has its own.
    "example.com": "*.www A 203.0.113.10\n"
    + "".join(f"n{n}.new.www A 198.{18 + (n >> 16)}.{n >> 8 & 255}.{n & 255}\n" for n in range(_NEW)),
}


@contextlib.contextmanager
def _name_server(town: Town) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = {
            "server-count": "1",
            "ip-address": _SERVER,
            "username": '""',
            "chroot": '""',
            "database": '""',
            "zonesdir": f'"{folder}"',
            "xfrdir": f'"{folder}"',
            "xfrdfile": f'"{folder}/xfrd"',
            "pidfile": '""',
            "zonelistfile": f'"{folder}/zones"',
            "rrl-ratelimit": "0",
            "rrl-whitelist-ratelimit": "0",
        }
        lines = ["server:", *(f"  {key}: {value}" for key, value in words.items())]
        lines += ["remote-control:", "  control-enable: no"]
        for zone, text in _ZONES.items():
            top = "@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\n"
            (folder / zone).write_text(f"$ORIGIN {zone}.\n$TTL 60\n{top}{text}")
            lines += ["zone:", f"  name: {zone}", f"  zonefile: {zone}"]
        (folder / "nsd.conf").write_text("\n".join(lines) + "\n")
        with (folder / "said").open("wb") as output, town.outside.enter():
            running = process.start(("nsd", "-d", "-c", str(folder / "nsd.conf")), output=output)
        try:
            _await_answer(town, running)
            yield
        finally:
            running.stop()


def _await_answer(town: Town, running: process.Running) -> None:
    # From where it is: questions of the pod are led to a proxy that is not there yet.
    with town.socket(town.outside, 4) as asking:
        asking.settimeout(0.1)
        asking.connect((_SERVER, 53))
        until = time.monotonic() + 30
        while running.code is None and time.monotonic() < until:
            with contextlib.suppress(OSError):
                asking.send(b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\5other\3org\0\0\1\0\1")
                asking.recv(512)
                return
    raise KernelError("nsd does not answer")


# ---- what is asked through -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _carrying(town: Town, carry: Callable[[socket.socket], int]) -> Iterator[_Process]:
    with Listeners() as listeners:

        def serve() -> int:
            die_with_parent()
            return carry(listeners.udp[0])

        pid = process.fork(serve)
        town.nft("add element inet outgate dns_up { udp timeout 1h }")
        try:
            yield _Process(pid)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            town.nft("flush set inet outgate dns_up")


def _relay(town: Town) -> Opened:
    """The least that a proxy in this language can do: four system calls a question, one server, and no decision."""

    def carry(near: socket.socket) -> int:
        upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        upstream.connect((_SERVER, 53))
        upstream.setblocking(False)
        clients: list[tuple[Any, bytes]] = [((), b"")] * 65536
        number = 0
        while True:
            ready = select.select([near, upstream], [], [])[0]  # noqa: TID251 - the least that there is; two sockets
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

    return _carrying(town, carry)


class _Far(asyncio.DatagramProtocol):
    """Answers of the server, back to who asked."""

    def __init__(self) -> None:
        self.clients: list[tuple[Any, bytes]] = [((), b"")] * 65536
        self.near: Any = None

    def datagram_received(self, data: bytes, _: Any) -> None:
        """An answer."""
        sender, its = self.clients[data[0] << 8 | data[1]]
        self.near.sendto(its + data[2:], sender)


class _Near(asyncio.DatagramProtocol):
    """Questions, on to the server."""

    def __init__(self, far: _Far, upstream: asyncio.DatagramTransport) -> None:
        self.far, self.upstream, self.number = far, upstream, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Where answers go out."""
        self.far.near = transport

    def datagram_received(self, data: bytes, sender: Any) -> None:
        """A question."""
        self.number = (self.number + 1) & 0xFFFF
        self.far.clients[self.number] = sender, data[:2]
        self.upstream.sendto(self.number.to_bytes(2, "big") + data[2:])


def _asyncio_relay(town: Town) -> Opened:
    async def forever(near: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        upstream, far = await loop.create_datagram_endpoint(_Far, remote_addr=(_SERVER, 53))
        await loop.create_datagram_endpoint(lambda: _Near(far, upstream), sock=near)
        await loop.create_future()

    def carry(near: socket.socket) -> int:
        running: Coroutine[Any, Any, None] = forever(near)
        asyncio.run(running)
        return 0

    return _carrying(town, carry)


@contextlib.contextmanager
def _proxy(town: Town) -> Iterator[_Process]:
    with tempfile.TemporaryDirectory() as folder:
        settings = DnsSettings(run_dir=Path(folder) / "run", state_dir=Path(folder) / "state", leased=True)
        settings.orders_file.parent.mkdir(parents=True)
        put(settings.orders_file, msgspec.json.encode(orders("**.www.example.com")))
        lock = os.open(settings.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        pid = start_proxy(settings, lock)
        os.close(lock)
        while "udp" not in town.listed("dns_up"):
            time.sleep(0.05)
        waited: list[float] = []
        try:
            yield _Process(pid, waited)
        finally:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        status = msgspec.json.decode(settings.status_file.read_bytes(), type=DnsStatus)
        slow = sum(status.programming.counts) + status.results["overdue"]
        waited.append(slow / max(1, status.results["answered"]))
