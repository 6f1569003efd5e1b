"""Real packets through the forward hook of a namespace, and what became of each.

One namespace is a router with two links. Frames are written to the far end of the first with any source and
destination, and the only route leads out by the second. A table of the test's own gives each packet's
connection the mark that its DSCP stands for, and, asked last, keeps the identification of every packet that
came through, with the mark that it left with. A packet that is missing there was stopped. What the router
sends itself (ICMP errors) does not come in and so is not kept.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from outgate.host import process
from outgate.host.namespaces import write_sysctls
from outgate.nft.evaluate import CtDirection, Header
from outgate.nft.objects import CtState
from tests.nft.rulesets import INCOMING, MARKS, OUTGOING

__all__ = ["Router", "flow", "known"]

_FAR = "far"
_MAC = bytes.fromhex("0200000000aa")
_UNTRACKED = 32
"""The DSCP of packets that connection tracking is told to leave alone."""

_OBSERVER = """
table inet observer {
    set seen {
        typeof ip id
        flags dynamic
        size 65535
    }
    set marked {
        typeof ip id . ct mark
        flags dynamic
        size 65535
    }
    chain first {
        type filter hook prerouting priority -400; policy accept;
        iifname "beyond" drop
        ip dscp 32 notrack
        ip6 dscp 32 notrack
    }
    chain before {
        type filter hook prerouting priority 300; policy accept;
        counter meta mark set 7
        ct mark set ip dscp map { DSCP }
        ct mark set ip6 dscp map { DSCP }
    }
    chain after {
        type filter hook postrouting priority 300; policy accept;
        meta mark != 7 accept
        meta nfproto ipv4 add @seen { @nh,32,16 }
        meta nfproto ipv4 add @marked { @nh,32,16 . ct mark }
        meta nfproto ipv6 add @seen { @nh,16,16 }
        meta nfproto ipv6 add @marked { @nh,16,16 . ct mark }
    }
}
""".replace("DSCP", ", ".join(f"{index} : {mark:#x}" for index, mark in enumerate(MARKS)))

_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/accept_dad": "0",
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """The bytes behind the IP header: the first packet of a flow, the answer, and a later one."""

    first: bytes
    answer: bytes
    later: bytes


def _tcp(source: int, destination: int, flags: int) -> bytes:
    return struct.pack("!HHIIBBHHH", source, destination, 100, 101, 5 << 4, flags, 1000, 0, 0)


def _shape(header: Header, number: int) -> _Shape:
    source, destination = header.sport or 0, header.dport or 0
    match header.protocol:
        case 6:
            return _Shape(
                _tcp(source, destination, 2), _tcp(destination, source, 0x12), _tcp(source, destination, 0x10)
            )
        case 17:
            there, back = (
                struct.pack("!HHHH", source, destination, 8, 0),
                struct.pack("!HHHH", destination, source, 8, 0),
            )
            return _Shape(there, back, there)
        case 132:
            chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 7, 1000, 1, 1, 7)
            there = struct.pack("!HHII", source, destination, 0, 0) + chunk
            return _Shape(there, there, there)
        case 1 | 58:
            request, reply = (8, 0) if header.protocol == 1 else (128, 129)
            there = struct.pack("!BBHHH", request, 0, 0xABCD, number, 1)
            return _Shape(there, struct.pack("!BBHHH", reply, 0, 0xABCD, number, 1), there)
        case _:
            there = struct.pack("!HH", 0, 0x0800) + b"x"
            return _Shape(there, there, there)


def _payload(header: Header, number: int) -> bytes:
    if header.state is CtState.INVALID:
        return _tcp(header.sport or 0, header.dport or 0, 0)
    if header.direction is CtDirection.REPLY:
        return _shape(header.reply(), number).answer
    shape = _shape(header, number)
    return shape.later if header.state is CtState.ESTABLISHED else shape.first


def flow(header: Header) -> tuple[object, ...]:
    """What connection tracking knows a connection by, the same for both directions."""
    ends = sorted([(header.saddr, header.sport), (header.daddr, header.dport)], key=str)
    return header.family, header.protocol, *ends


def known(header: Header, number: int) -> Header:
    """The header as the rules see it once it is a packet: what its protocol has instead of ports is filled in."""
    payload = _payload(header, number)
    if header.protocol in (6, 17, 132):
        return header
    first, second = struct.unpack("!HH", payload[:4])
    icmp = payload[0] if header.protocol in (1, 58) else None
    return replace(header, sport=first, dport=second, icmp_type=icmp)


class Router:
    """The namespace of the calling process, made into a router. Not reentrant: one for each namespace."""

    def __init__(self) -> None:
        write_sysctls(_SYSCTLS)
        for name, far in ((INCOMING, _FAR), (OUTGOING, "beyond")):
            process.run(("ip", "link", "add", name, "type", "veth", "peer", "name", far))
            for link in (name, far):
                process.run(("ip", "link", "set", link, "up"))
        process.run(("ip", "link", "set", INCOMING, "address", _MAC.hex(":")))
        for family in ("-4", "-6"):
            process.run(("ip", family, "route", "add", "default", "dev", OUTGOING))
        process.run(("nft", "-f", "-"), input=_OBSERVER)
        write_sysctls({"net/netfilter/nf_conntrack_checksum": "0"})
        self.link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.link.bind((_FAR, 0))
        self.sent = 0

    def send(self, headers: Sequence[Header], load: Callable[[], object]) -> Mapping[int, int | None]:
        """Bring each connection into its state, load the ruleset, send a packet of each.

        Returns the numbers of the packets that came through, each with its connection's mark, or None where
        it belongs to no connection.
        """
        for number, header in enumerate(headers):
            for payload in self._history(header, number):
                self._write(*payload)
        self._settle()
        process.run(("nft", "flush", "set", "inet", "observer", "seen"))
        process.run(("nft", "flush", "set", "inet", "observer", "marked"))
        load()
        for number, header in enumerate(headers):
            self._write(header, number, _payload(header, number))
        self._settle()
        marks: dict[int, int | None] = dict.fromkeys(self._elements("seen"))
        marks.update(dict(self._elements("marked")))
        return marks

    def _history(self, header: Header, number: int) -> list[tuple[Header, int, bytes]]:
        """The packets that bring a connection to where the header says it is."""
        if header.state is not CtState.ESTABLISHED:
            return []
        there = header if header.direction is CtDirection.ORIGINAL else header.reply()
        back = there.reply()
        shape = _shape(there, number)
        first = [(there, number, shape.first)]
        return first if header.direction is CtDirection.REPLY else [*first, (back, number, shape.answer)]

    def _write(self, header: Header, number: int, payload: bytes) -> None:
        dscp = _UNTRACKED if header.state is CtState.UNTRACKED else MARKS.index(header.mark)
        if header.family == 4:
            size = 20 + len(payload)
            ends = header.saddr.to_bytes(4, "big") + header.daddr.to_bytes(4, "big")
            base = struct.pack("!BBHHHBBH", 0x45, dscp << 2, size, number, 0, 64, header.protocol, 0)
            total = sum(struct.unpack("!10H", base + ends))
            checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
            packet = base[:10] + struct.pack("!H", checksum) + ends + payload
        else:
            ends = header.saddr.to_bytes(16, "big") + header.daddr.to_bytes(16, "big")
            word = 6 << 28 | dscp << 22 | number
            # Forwarding counts the hop limit down before the hook.
            packet = struct.pack("!IHBB", word, len(payload), header.protocol, header.hop_limit + 1) + ends + payload
        kind = 0x0800 if header.family == 4 else 0x86DD
        self.link.send(_MAC + bytes(6) + struct.pack("!H", kind) + packet)
        self.sent += 1

    def _settle(self) -> None:
        """Wait until the kernel has counted every packet that was written."""
        while self._arrived() < self.sent:
            pass

    def _arrived(self) -> int:
        listing = json.loads(process.run(("nft", "-j", "list", "chain", "inet", "observer", "before")).stdout)
        rules = [item["rule"] for item in listing["nftables"] if "rule" in item]
        count: int = rules[0]["expr"][0]["counter"]["packets"]
        return count

    def _elements(self, name: str) -> list[Any]:
        text = process.run(("nft", "-j", "list", "set", "inet", "observer", name)).stdout
        found = next(item["set"] for item in json.loads(text)["nftables"] if "set" in item).get("elem", [])
        bare = [one["elem"]["val"] if isinstance(one, dict) and "elem" in one else one for one in found]
        return [tuple(one["concat"]) if isinstance(one, dict) else one for one in bare]
