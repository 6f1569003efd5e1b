"""HTTP through Envoy on the node, and the same requests past it: how many, how fast, and what a connection costs.

    pod: wrk(1), or a socket ─► node: the rules, and Envoy for port 85 ─► outside: one server, on ports 85 and 8085

The node is that of the tests' world (`tests.lab.proxied`): rules that catch what a pod may only ask for, and an Envoy
under its supervisor, which looks into it and sends it on in the pod's name. Port 8085 of the same server is not caught,
and is the direct way: connection tracking and the same chains. The server says the same to every request, so that Envoy
is measured and not it. All share the processors of the machine.

Each way is measured in every round, and a ratio compares figures of one round.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.tables import Row
from outgate.errors import KernelError
from outgate.host import process
from tests.lab.proxied import OUT4, Proxied, redirect
from tests.policy.asks import asks

__all__ = ["measure"]

_CAUGHT, _DIRECT = 85, 8085
_SECONDS = 2
_TOGETHER = 16
_CONNECTIONS = 400
_MEGABYTES = 256
_CHUNK = bytes(1 << 20)
_SMALL = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 128\r\n\r\n" + b"x" * 128
_LARGE = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (_MEGABYTES << 20)
_UNITS = {"us": 1.0, "ms": 1000.0, "s": 1_000_000.0}


@dataclass
class _Figures:
    """One way, round by round. Latencies are microseconds: the middle one and the 99th of a hundred."""

    rates: list[float] = field(default_factory=list)
    loaded: list[tuple[float, float]] = field(default_factory=list)
    alone: list[tuple[float, float]] = field(default_factory=list)
    connecting: list[tuple[float, float]] = field(default_factory=list)
    gigabits: list[float] = field(default_factory=list)


def measure(rounds: int) -> dict[str, list[Row]]:
    """All of it, inside of a lab. Raises KernelError where wrk or Envoy is not installed."""
    ways = {"past Envoy": _DIRECT, "through Envoy": _CAUGHT}
    figures = {name: _Figures() for name in ways}
    world = Proxied((redirect(asks("GET", "/v1/.*")),))
    try:
        world.children.append(world.serve(_serve, world.out.enter()))
        for _ in range(rounds):
            for name, port in ways.items():
                _round(world, port, figures[name])
        if world.counter("misjudged"):
            raise KernelError("the rules dropped what Envoy sent on")
    finally:
        world.close()
    direct = figures["past Envoy"]
    return {
        "requests: a second and one": [_of_requests(name, one, direct) for name, one in figures.items()],
        "requests: connections and a download": [_of_connections(name, one, direct) for name, one in figures.items()],
    }


def _round(world: Proxied, port: int, figures: _Figures) -> None:
    rate, *latencies = _wrk(world, port, _TOGETHER)
    figures.rates.append(rate)
    figures.loaded.append((latencies[0], latencies[1]))
    _, *latencies = _wrk(world, port, 1)
    figures.alone.append((latencies[0], latencies[1]))
    figures.connecting.append(_connections(world, port))
    figures.gigabits.append(_download(world, port))


def _of_requests(name: str, one: _Figures, direct: _Figures) -> Row:
    row: Row = {
        "way": name,
        "requests/s": round(statistics.median(one.rates)),
        "ratio": _ratio(one.rates, direct.rates),
    }
    for words, mine, theirs in (
        ("alone", one.alone, direct.alone),
        (f"{_TOGETHER} at once", one.loaded, direct.loaded),
    ):
        for place, share in enumerate(("p50", "p99")):
            row[f"{words}, {share}, µs"] = round(statistics.median(pair[place] for pair in mine))
        row[f"{words}, added"] = round(statistics.median(a[0] - b[0] for a, b in zip(mine, theirs, strict=True)))
    return row


def _of_connections(name: str, one: _Figures, direct: _Figures) -> Row:
    row: Row = {"way": name}
    for place, share in enumerate(("p50", "p99")):
        row[f"connection and request, {share}, µs"] = round(statistics.median(pair[place] for pair in one.connecting))
    pairs = zip(one.connecting, direct.connecting, strict=True)
    row["added"] = round(statistics.median(a[0] - b[0] for a, b in pairs))
    row["Gbit/s"] = round(statistics.median(one.gigabits), 1)
    row["ratio"] = _ratio(one.gigabits, direct.gigabits)
    return row


def _ratio(mine: list[float], theirs: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(mine, theirs, strict=True)), 2)


# ---- loads -----------------------------------------------------------------------------------------------------------


def _wrk(world: Proxied, port: int, together: int) -> tuple[float, float, float]:
    """Requests a second on connections that are kept, and their latencies. Raises KernelError: some were refused."""
    with world.pod.enter():
        words = ("wrk", "-t", "1", "-c", str(together), "-d", f"{_SECONDS}s", "--latency", f"http://{OUT4}:{port}/v1/x")
        said = process.run(words, timeout=60).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise KernelError(f"not all requests were answered:\n{said}")
    found = {
        share: float(number) * _UNITS[unit] for share, number, unit in re.findall(r"(\d\d)%\s+([\d.]+)(\w+)", said)
    }
    (rate,) = re.findall(r"Requests/sec:\s+([\d.]+)", said)
    return float(rate), found["50"], found["99"]


def _connections(world: Proxied, port: int) -> tuple[float, float]:
    """From the first packet of a new connection to the first octet of the answer, one after the other."""
    times = []
    for _ in range(_CONNECTIONS):
        begin = time.perf_counter()
        with _asked(world, port, "/v1/x") as one:
            one.recv(1)
            times.append((time.perf_counter() - begin) * 1e6)
    times.sort()
    return statistics.median(times), times[len(times) * 99 // 100]


def _download(world: Proxied, port: int) -> float:
    """Gigabits a second of one long answer."""
    space = bytearray(1 << 20)
    left = _MEGABYTES << 20
    begin = time.perf_counter()
    with _asked(world, port, "/v1/large") as one:
        while left > 0:
            read = one.recv_into(space)
            if not read:
                raise KernelError(f"the answer ended {left} octets too early")
            left -= read
    return _MEGABYTES * 8 * (1 << 20) / 1e9 / (time.perf_counter() - begin)


@contextlib.contextmanager
def _asked(world: Proxied, port: int, path: str) -> Iterator[socket.socket]:
    with world.connection(port=port) as one:
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: {OUT4}\r\n\r\n".encode())
        yield one


# ---- the server ------------------------------------------------------------------------------------------------------


def _serve(listening: Callable[[], None]) -> None:
    """Answers at once, on one thread; a long answer keeps the others waiting, and is asked for alone."""
    listeners = [socket.create_server(("", port), backlog=1024) for port in (_CAUGHT, _DIRECT)]
    poll = select.epoll()
    connections: dict[int, socket.socket] = {}
    for one in listeners:
        poll.register(one, select.EPOLLIN)
    listening()
    accepting = {one.fileno(): one for one in listeners}
    while True:
        for fd, _ in poll.poll():
            if fd in accepting:
                made, _ = accepting[fd].accept()
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[made.fileno()] = made
                poll.register(made, select.EPOLLIN)
            elif not _answered(connections[fd]):
                poll.unregister(fd)
                connections.pop(fd).close()


def _answered(one: socket.socket) -> bool:
    """Whether the connection stands after what can be read was answered."""
    with contextlib.suppress(OSError):
        asked = one.recv(65536)
        if b" /v1/large " in asked:
            one.sendall(_LARGE)
            for _ in range(_MEGABYTES):
                one.sendall(_CHUNK)
        else:
            one.sendall(_SMALL * asked.count(b"\r\n\r\n"))
        return bool(asked)
    return False
