"""A flood through a router whose rules are being replaced, counted by the kernel itself.

Two kinds of datagram leave one pod for the same places: to port 53, which every ruleset allows, and to port 54,
which none does. They come from many source ports in turn, so that nearly every packet belongs to a connection that
the current epoch has not judged yet. A table of the test's own counts each kind before and after.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from outgate.host import process
from outgate.host.namespaces import die_with_parent, write_sysctls

__all__ = ["ALLOWED", "DENIED", "POD", "Count", "count", "flood", "make_router"]

ALLOWED, DENIED = 53, 54
POD = 0x0A09_0001
_MAC = bytes.fromhex("0200000000aa")
_SOURCE_PORTS = range(20000, 22000)
_BURST, _PAUSE = 4, 0.0001
_IN, _OUT, _FAR = "ogp1", "eth0", "far"

_COUNTERS = f"""
table inet observer {{
    chain before {{
        type filter hook prerouting priority -400; policy accept;
        iifname != "{_IN}" drop
        udp dport {ALLOWED} counter comment "allowed before"
        udp dport {DENIED} counter comment "denied before"
    }}
    chain after {{
        type filter hook postrouting priority 400; policy accept;
        udp dport {ALLOWED} counter comment "allowed after"
        udp dport {DENIED} counter comment "denied after"
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Count:
    """Packets of both kinds, as they came in and as they went out."""

    allowed_before: int
    allowed_after: int
    denied_before: int
    denied_after: int

    @property
    def lost(self) -> int:
        """Packets that every ruleset allows and that did not come through."""
        return self.allowed_before - self.allowed_after

    @property
    def leaked(self) -> int:
        """Packets that no ruleset allows and that came through."""
        return self.denied_after


def make_router() -> None:
    """Make this network namespace a router from the pod's link to the rest of the world."""
    write_sysctls({"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/rp_filter": "0"})
    write_sysctls({"net/ipv4/conf/default/rp_filter": "0"})
    for name, far in ((_IN, _FAR), (_OUT, "beyond")):
        process.run(("ip", "link", "add", name, "type", "veth", "peer", "name", far))
        for link in (name, far):
            process.run(("ip", "link", "set", link, "up"))
    process.run(("ip", "link", "set", _IN, "address", _MAC.hex(":")))
    process.run(("ip", "route", "add", "default", "dev", _OUT))
    process.run(("nft", "-f", "-"), input=_COUNTERS)


@contextmanager
def flood(destinations: Sequence[int]) -> Iterator[None]:
    """Send both kinds to all destinations, some thousands of packets a second, for as long as the block runs.

    At the end the sender has ended, and every packet that it wrote has been counted.
    """
    pid = process.fork(lambda: _send(destinations))
    try:
        first = count()
        while count().denied_before == first.denied_before:
            pass
        yield
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    # What the sender wrote last may still be on its way through the other processor.
    last = count()
    while (now := count()) != last:
        last = now


def _send(destinations: Sequence[int]) -> int:
    die_with_parent()
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind((_FAR, 0))
    frames = [
        _frame(destination, source_port, port)
        for source_port in _SOURCE_PORTS
        for destination in destinations
        for port in (ALLOWED, DENIED)
    ]
    while True:
        for start in range(0, len(frames), _BURST):
            for frame in frames[start : start + _BURST]:
                link.send(frame)
            # One processor has to be left for the replacing, or there is nothing to be in the way of.
            time.sleep(_PAUSE)


def _frame(destination: int, source_port: int, port: int) -> bytes:
    ends = POD.to_bytes(4, "big") + destination.to_bytes(4, "big")
    base = struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 17, 0)
    total = sum(struct.unpack("!10H", base + ends))
    total = (total & 0xFFFF) + (total >> 16)
    datagram = struct.pack("!HHHH", source_port, port, 8, 0)
    return _MAC + bytes(6) + b"\x08\x00" + base[:10] + struct.pack("!H", ~total & 0xFFFF) + ends + datagram


def count() -> Count:
    """The counters now."""
    listing = json.loads(process.run(("nft", "-j", "list", "table", "inet", "observer")).stdout)
    found = {
        rule["comment"].replace(" ", "_"): statement["counter"]["packets"]
        for rule in (item["rule"] for item in listing["nftables"] if "rule" in item)
        for statement in rule["expr"]
        if "counter" in statement
    }
    return Count(**found)
