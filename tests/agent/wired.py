"""A network namespace that is a node: two pods' links, a way out, the ruleset of a cluster, and the log of its packets.

Packets are written to the far end of a link, and are forwarded, or not, by the kernel. The test's own table counts them
before any rule of ours and after all.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outgate.agent.attribution import Attribution
from outgate.agent.counters import PacketCounters
from outgate.agent.packets_log import PacketLog
from outgate.host import process
from outgate.host.namespaces import write_sysctls
from outgate.host.nft import Nftables
from outgate.nft.options import Options
from outgate.nft.text import ruleset_text
from outgate.packets import Address
from outgate.report.packet_log import LogRecord
from outgate.testing import Manifest
from tests.agent.states import SHOP, enforced

__all__ = ["GROUP", "WEB", "WEB6", "Node", "logging"]

GROUP = 5
MAC = bytes.fromhex("0200000000aa")
WEB, WEB6, CART = (ipaddress.ip_address(one) for one in ("10.0.0.1", "fd00::1", "10.0.0.2"))
LINKS: dict[Address, str] = {WEB: "ogp1", WEB6: "ogp1", CART: "ogp2"}
OPTIONS = Options(interface_prefix="ogp", log_group=GROUP)


class Node:
    """A namespace that is a node: two pods' links, a way out, the ruleset of a state, and the log."""

    def __init__(
        self, folder: Path, options: Options = OPTIONS, limit: int = 1 << 24, manifests: tuple[Manifest, ...] = SHOP
    ) -> None:
        settings = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}
        settings |= {f"net/ipv4/conf/{name}/rp_filter": "0" for name in ("all", "default")}
        write_sysctls(settings)
        lines: list[str] = []
        for name, far in (("ogp1", "far1"), ("ogp2", "far2"), ("eth0", "beyond")):
            lines += [f"link add {name} type veth peer name {far}", f"link set {name} up", f"link set {far} up"]
        lines += [
            *(f"link set {name} address {MAC.hex(':')}" for name in ("ogp1", "eth0")),
            "route add default dev eth0",
            "-6 route add default dev eth0",
        ]
        for line in lines:
            process.run(("ip", *line.split()))
        self.attribution = Attribution()
        self.program(manifests, options)
        process.run(("nft", "-f", "-"), input=SEEN)
        self.heard: list[LogRecord] = []
        self.came = threading.Condition()
        self.counters = PacketCounters(Nftables().counters, self.attribution.origins)
        self.log = PacketLog(
            folder / "packets.jsonl",
            self.attribution,
            GROUP,
            limit=limit,
            log_allowed=options.log_allowed,
            hear=self._hear,
        )
        self.link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.link.bind(("far1", 0))

    def program(self, manifests: tuple[Manifest, ...], options: Options = OPTIONS) -> None:
        """Put the ruleset of a cluster into the kernel, in the place of any other."""
        self.state = enforced(manifests, options, LINKS)
        self.attribution.publish(self.state)
        table = "table inet outgate"
        Nftables().load(f"{table} {{ }}\ndelete {table}\n{ruleset_text(self.state.desired.ruleset)}")

    def answer(self, source: str, destination: str, sport: int, port: int) -> None:
        """A datagram that comes in from outside."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
            link.bind(("beyond", 0))
            link.send(_frame(source, destination, sport, port))

    def counted(self) -> dict[str, int]:
        """The packets of each kind of series."""
        found: dict[str, int] = {}
        for series, packets in self.counters.read(now=True).items():
            found[series.what] = found.get(series.what, 0) + packets
        return found

    def _hear(self, record: LogRecord) -> None:
        with self.came:
            self.heard.append(record)
            self.came.notify_all()

    def send(self, source: str, destination: str, port: int, *, count: int = 1, sport: int = 40000) -> None:
        """Datagrams from the far end of the first pod's link; of several each from another port."""
        for number in range(count):
            self.link.send(_frame(source, destination, sport + number, port))

    def has(self, count: int) -> bool:
        """Whether so many records have come."""
        return len(self.heard) >= count

    def lines(self, count: int) -> list[LogRecord]:
        """So many records, once they have come."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.heard) >= count, 30), f"{len(self.heard)} of {count} came"
            return list(self.heard)

    def packets(self, name: str) -> int:
        """What the test's own table has counted."""
        listing = json.loads(process.run(("nft", "-j", "list", "counter", "inet", "seen", name)).stdout)
        found: int = next(one["counter"]["packets"] for one in listing["nftables"] if "counter" in one)
        return found


SEEN = """
table inet seen {
    counter came { }
    counter went { }
    chain before { type filter hook prerouting priority -400; iifname "ogp1" udp dport 1-9999 counter name came; }
    chain after { type filter hook postrouting priority 400; udp dport 1-9999 counter name went; }
}
"""


def _frame(source: str, destination: str, sport: int, port: int) -> bytes:
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    datagram = struct.pack(">HHHH", sport, port, 8, 0)
    if len(ends) == 8:
        base = struct.pack(">BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 17, 0)
        total = sum(struct.unpack(">10H", base + ends))
        total = (total & 0xFFFF) + (total >> 16)
        head = base[:10] + struct.pack(">H", ~total & 0xFFFF) + ends
        return MAC + bytes(6) + b"\x08\x00" + head + datagram
    return MAC + bytes(6) + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, 8, 17, 64) + ends + datagram


@contextmanager
def logging(node: Node) -> Iterator[Node]:
    """The log runs, and knows what was counted before it began."""
    node.log.start(node.counters.read(now=True))
    try:
        yield node
    finally:
        node.log.stop()
