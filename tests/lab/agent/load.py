"""A pod that never stops sending, and the count of what arrived: what was lost, and what leaked, to the packet.

Datagrams go to two ports of another pod in turn, from many source ports, so that most belong to connections that
nobody has judged yet. Each carries its number. The receiver's buffer holds everything that can be sent meanwhile, so a
missing number was lost in the network and nowhere else.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from outgate.host import process
from outgate.host.namespaces import die_with_parent
from tests.lab.agent.farm import Farm

__all__ = ["Load", "load"]

SOURCES = 200
_PAUSE = 0.0005
_NUMBER = struct.Struct("!I")


@dataclass
class Load:
    """What one sender sent, and what came of it, by port."""

    sent: dict[int, int] = field(default_factory=dict)
    came: dict[int, set[int]] = field(default_factory=dict)

    def lost(self, port: int) -> int:
        """How many did not arrive."""
        return self.sent[port] - len(self.came[port])


@contextmanager
def load(farm: Farm, source: str, target: str, *ports: int) -> Iterator[Load]:
    """Send from one pod to some ports of another for as long as the block lasts. The counts are whole behind it."""
    found = Load(dict.fromkeys(ports, 0), {port: set() for port in ports})
    with farm.stage.enter(farm.box(target)):
        servers = {port: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for port in ports}
    for port, server in servers.items():
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        server.bind(("", port))
    ending = threading.Event()
    receiver = threading.Thread(target=_receive, args=(servers, found, ending))
    receiver.start()
    reading, writing = os.pipe()
    pid = process.fork(lambda: _send(farm, source, farm.address(target), ports, writing))
    os.close(writing)
    try:
        yield found
    finally:
        os.kill(pid, signal.SIGTERM)
        with os.fdopen(reading, "rb") as pipe:
            sent = pipe.read()
        os.waitpid(pid, 0)
        # The sender has ended, and its packets took their way while it sent them: what is not here will not come.
        ending.set()
        receiver.join()
        found.sent.update(zip(ports, struct.unpack(f"!{len(ports)}I", sent), strict=True))
        for server in servers.values():
            server.close()


def _send(farm: Farm, source: str, address: str, ports: tuple[int, ...], pipe: int) -> int:
    die_with_parent()
    over: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(1))
    with farm.stage.enter(farm.box(source)):
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SOURCES)]
    number = 0
    while not over:
        for port in ports:
            clients[number % SOURCES].sendto(_NUMBER.pack(number), (address, port))
        number += 1
        time.sleep(_PAUSE)
    os.write(pipe, struct.pack(f"!{len(ports)}I", *[number] * len(ports)))
    return 0


def _receive(servers: dict[int, socket.socket], found: Load, ending: threading.Event) -> None:
    while True:
        ready = select.select(list(servers.values()), [], [], 0.05)[0]
        if not ready and ending.is_set():
            return
        for port, server in servers.items():
            if server in ready:
                found.came[port].add(_NUMBER.unpack(server.recv(16))[0])
