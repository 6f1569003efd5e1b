"""Load through the forward path of one node, from a pod to the world outside, inside a lab.

Three loads, each bounded in count and time. All are Python and sockets; what differs between two variants of
a ruleset is the kernel's work alone, which runs in the sender's own time (a veth hands packets on before
`send` returns), so ratios are sharper than the absolute figures.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator

from outgate.host import process
from outgate.lab.build import Box, Stage

__all__ = ["PORT", "bulk", "connections", "new_flows", "serving"]

PORT = 443
_BULK_PORT = 5001
_CHUNK = 1 << 20
_UDP_SINK = 9


@contextlib.contextmanager
def serving(stage: Stage) -> Iterator[None]:
    """The other end, in a process of its own: accepts and closes, swallows bulk data, ignores UDP."""
    with stage.enter(stage.world):
        accepting = _listen(PORT)
        swallowing = _listen(_BULK_PORT)
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sink.bind(("0.0.0.0", _UDP_SINK))  # noqa: S104 - the world of a lab, connected to nothing
    children = [process.fork(lambda: _accept(accepting)), process.fork(lambda: _swallow(swallowing))]
    try:
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for one in (accepting, swallowing, sink):
            one.close()


def _listen(port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("0.0.0.0", port))  # noqa: S104 - the world of a lab, connected to nothing
    one.listen(4096)
    return one


def _accept(listener: socket.socket) -> int:
    while True:
        listener.accept()[0].close()


def _swallow(listener: socket.socket) -> int:
    space = bytearray(_CHUNK)
    while True:
        connection, _ = listener.accept()
        with connection:
            while connection.recv_into(space):
                pass


def connections(stage: Stage, client: Box, address: str, count: int) -> float:
    """New TCP connections per second: connect and reset, one after the other."""
    reset = struct.pack("ii", 1, 0)

    def load() -> None:
        for _ in range(count):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                one.settimeout(5)
                one.connect((address, PORT))

    return count / _timed(stage, client, load)


def bulk(stage: Stage, client: Box, address: str, megabytes: int) -> float:
    """Gigabits per second over one established connection."""
    data = bytes(_CHUNK)

    def load() -> None:
        with socket.create_connection((address, _BULK_PORT), timeout=10) as one:
            for _ in range(megabytes):
                one.sendall(data)
            one.shutdown(socket.SHUT_WR)
            one.recv(1)

    return megabytes * _CHUNK * 8 / 1e9 / _timed(stage, client, load)


def new_flows(stage: Stage, client: Box, address: str, count: int, round_number: int) -> float:
    """One-way UDP packets per second, each the first of a new flow: the pure cost of a new connection."""
    source = next(str(one) for one in client.pod.addresses if one.version == 4) if hasattr(client, "pod") else ""
    packets = list(_datagrams(source, address, count, round_number))

    def load() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for packet in packets:
                raw.sendto(packet, (address, 0))

    return count / _timed(stage, client, load)


def _datagrams(source: str, destination: str, count: int, round_number: int) -> Iterator[bytes]:
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    # The identification and checksums of the IP header are the kernel's to fill in (raw(7)).
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, socket.IPPROTO_UDP, 0) + ends
    for number in range(count):
        port = 1024 + (number + round_number * count) % 60_000
        yield header + struct.pack("!HHHH", port, _UDP_SINK, 8, 0)


def _timed(stage: Stage, client: Box, load: Callable[[], None]) -> float:
    with stage.enter(client):
        begin = time.perf_counter()
        load()
        return time.perf_counter() - begin
