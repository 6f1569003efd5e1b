"""The farm with the pods of node n1 on a bridge, as Flannel has them, and frames that say what one likes.

    with BridgedFarm() as farm:
        farm.arrives(frame, "a/one", "stranger")     what a packet socket sees of it, or a counter

Beside the pods two more ports hang on the bridge: the box ``stranger``, which is no pod, and ``wire``, whose both ends
are the node's own, as those of an uplink are.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from outgate.host import links, namespaces
from outgate.host.nft import Nftables
from outgate.lab.session import run_in_lab
from outgate.nft.guard import ASTRAY, FAMILY, MACS
from outgate.nft.objects import Ruleset
from outgate.testing import Manifest
from tests.lab.agent.cast import CLUSTER
from tests.lab.agent.farm import PATIENCE, Farm

__all__ = [
    "BRIDGE",
    "EVERYBODY",
    "MARKER",
    "BridgedFarm",
    "advert",
    "arp",
    "frame",
    "grow_bridged",
    "packet",
    "probe",
    "routed",
    "tagged",
]

BRIDGE = "cni0"
BLOCKS = ["10.1.0.0/24", "fd00:1::/64"]
ALL = 0x0003
"""ETH_P_ALL."""
IPV4, ARP, VLAN, IPV6 = 0x0800, 0x0806, 0x8100, 0x86DD
EVERYBODY = b"\xff" * 6
MARKER = b"who is it from?"
BEHIND = b"was it lost yet?"
"""The mark of a frame that is sent behind another, and that nothing stops."""


def frame(kind: int, payload: bytes, mark: bytes = MARKER) -> bytes:
    """A frame without its ends: its type and what it carries."""
    return struct.pack("!H", kind) + payload + mark


def _ip(source: str, target: str, protocol: int, body: bytes, sum_at: int, hops: int, mark: bytes = MARKER) -> bytes:
    """A frame with a packet of IP, all sums as they should be: br_netfilter looks at them."""
    ends = b"".join(ipaddress.ip_address(one).packed for one in (source, target))
    size = len(body) + len(mark)
    pseudo = ends + struct.pack("!II", size, protocol)
    body = body[:sum_at] + struct.pack("!H", _sum(pseudo + body + mark)) + body[sum_at + 2 :]
    if len(ends) == 8:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0, hops, protocol, 0) + ends
        return frame(IPV4, head[:10] + struct.pack("!H", _sum(head)) + head[12:] + body, mark)
    return frame(IPV6, struct.pack("!IHBB", 6 << 28, size, protocol, hops) + ends + body, mark)


def _sum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def packet(source: str, target: str) -> bytes:
    """A frame with a datagram."""
    return _ip(source, target, 17, struct.pack("!HHHH", 7000, 7000, 8 + len(MARKER), 0), 6, 64)


def tagged(what: bytes, *vlans: int) -> bytes:
    """The same frame with tags of 802.1Q."""
    return b"".join(struct.pack("!HH", VLAN, one) for one in vlans) + what


def arp(sender: str, target: str, operation: int = 1) -> bytes:
    """A frame with a question (1) or an answer (2) of ARP."""
    mac = bytes.fromhex("0200000000aa")
    ends = socket.inet_aton(sender), socket.inet_aton(target)
    return frame(ARP, struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + mac + ends[0] + bytes(6) + ends[1])


def advert(source: str, target: str, mark: bytes = MARKER) -> bytes:
    """A frame with a neighbour advertisement, unsolicited, to all nodes."""
    body = struct.pack("!BBHI", 136, 0, 0, 0x2000_0000) + ipaddress.ip_address(target).packed
    return _ip(source, "ff02::1", 58, body, 2, 255, mark)


def routed(source: str, target: str, kind: int) -> bytes:
    """A frame with what routers say: an advertisement (134), or a redirect (137) of the target to itself."""
    packed = ipaddress.ip_address(target).packed
    body = struct.pack("!BBHBBHII", kind, 0, 0, 64, 0, 1800, 0, 0) if kind == 134 else b""
    body = body or struct.pack("!BBHI", kind, 0, 0, 0) + packed * 2
    return _ip(source, target, 58, body, 2, 255)


def probe(target: str) -> bytes:
    """A frame with the question of duplicate address detection (RFC 4862, 5.4.2)."""
    packed = ipaddress.ip_address(target).packed
    group = ipaddress.IPv6Address(ipaddress.ip_address("ff02::1:ff00:0").packed[:13] + packed[13:])
    return _ip("::", str(group), 58, struct.pack("!BBHI", 135, 0, 0, 0) + packed, 2, 255)


def cluster(*, blocks: bool) -> list[Manifest]:
    """The cast; the node says which blocks its pods' addresses are from, or not."""
    spec = {"podCIDR": BLOCKS[0], "podCIDRs": BLOCKS} if blocks else {}
    return [{**one, "spec": spec} if one["metadata"]["name"] == "n1" else one for one in CLUSTER]


class BridgedFarm(Farm):
    """One node with a bridge, and its agent. `filtered`: whether br_netfilter shows the bridge's packets to IP."""

    def __init__(self, *, filtered: bool = True, blocks: bool = True, **settings: object) -> None:
        super().__init__(cluster(blocks=blocks), **{"interface_prefix": "auto", **settings})  # type: ignore[arg-type]
        self.stranger = namespaces.create("stranger")
        node = self.stage.space(self.stage.nodes["n1"])
        with node.enter(), contextlib.suppress(FileNotFoundError):
            calls = ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables")
            namespaces.write_sysctls(dict.fromkeys(calls, str(int(filtered))))
        links.batch(
            [
                f"link add {BRIDGE} type bridge",
                f"link set {BRIDGE} up",
                f"addr add 10.1.0.1/24 dev {BRIDGE}",
                f"addr add fd00:1::1/64 dev {BRIDGE} nodad",
                "link add wire type veth peer name beyond",
                f"link set wire master {BRIDGE}",
                "link set wire up",
                "link set beyond up",
                "link add vethstranger type veth peer name eth0 netns stranger",
                f"link set vethstranger master {BRIDGE}",
                "link set vethstranger up",
            ],
            inside=node,
        )
        links.batch(["link set lo up", "link set eth0 up", "addr add 172.31.0.9/24 dev eth0"], inside=self.stranger)
        for path, port in (("a/one", "vethone"), ("a/two", "vethtwo")):
            self.plug(path, port, before=self.stage.pods[path.split("/")[0], path.split("/")[1]].interface)

    def __enter__(self) -> BridgedFarm:
        self.start("n1")
        return self

    def plug(self, path: str, port: str, *, before: str, addressed: bool = True) -> None:
        """Give a pod of n1 another link to the bridge, in the place of the one before."""
        box = self.stage.space(self.box(path))
        node = self.stage.space(self.stage.nodes["n1"])
        links.batch(
            [
                f"link del {before}",
                f"link add {port} type veth peer name eth0 netns {box.name}",
                f"link set {port} master {BRIDGE}",
                f"link set {port} up",
            ],
            inside=node,
        )
        links.batch(["link set eth0 up"], inside=box)
        # The bridge hears of the carrier a moment later, and takes nothing before.
        show = ("ip", "-d", "link", "show", port)
        self.until(lambda: "state forwarding" in self.stage.run(self.stage.nodes["n1"], show).stdout)
        if addressed:
            self.address_pod(path)

    def address_pod(self, path: str) -> None:
        """Give a pod's link its addresses and routes."""
        links.batch(
            [
                f"addr add {self.address(path)}/24 dev eth0",
                f"addr add {self.address(path, 6)}/64 dev eth0 nodad",
                "route add default via 10.1.0.1",
                "route add ::/0 via fd00:1::1",
            ],
            inside=self.stage.space(self.box(path)),
        )

    def guard(self) -> Ruleset | None:
        """The table of the bridge."""
        with self.stage.enter(self.stage.nodes["n1"]):
            return Nftables().list(FAMILY)

    def owner(self, address: str) -> str:
        """The port that an address may be used at, by the kernel's table; empty where there is none."""
        guard = self.guard()
        number = int(ipaddress.ip_address(address))
        sets = guard.sets.values() if guard is not None else ()
        found = [key[0] for one in sets for key in one.elements if key[1:] == ((number, number),)]
        return str(found[0]) if found else ""

    def mac(self, name: str, interface: str = "eth0") -> bytes:
        """The link-layer address of an interface in a box."""
        with self.ear(name, interface) as one:
            return bytes(one.getsockname()[4])

    def macs(self) -> set[bytes]:
        """The link-layer addresses of which the kernel's table knows at which port they are."""
        guard = self.guard()
        keys = guard.sets[MACS].elements if guard is not None else ()
        return {int(key[0][0]).to_bytes(6, "big") for key in keys}

    def guarded(self) -> bool:
        """Whether both tables know the pods of the node by interface and address."""
        with self.stage.enter(self.stage.nodes["n1"]):
            table = Nftables().list()
        ports = [self.owner(self.address(path, family)) for path in ("a/one", "a/two") for family in (4, 6)]
        return all(ports) and table is not None and "prerouting" in table.chains

    def inside(self, name: str) -> AbstractContextManager[None]:
        """Enter the box of a pod, ``stranger``, ``world``, or ``n1``."""
        if name == "stranger":
            return self.stranger.enter()
        return self.stage.enter(self.stage.nodes["n1"] if name == "n1" else self.box(name))

    @contextlib.contextmanager
    def ear(self, name: str, interface: str = "eth0") -> Iterator[socket.socket]:
        """A packet socket that sees all that comes."""
        with self.inside(name):
            one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
            one.bind((interface, ALL))
        with one:
            yield one

    def send(
        self, what: bytes, source: str, interface: str = "eth0", *, to: bytes = EVERYBODY, under: bytes = b""
    ) -> None:
        """Send a frame to a link-layer address, from a box; `under` another one than its own."""
        with self.ear(source, interface) as one:
            one.send(to + (under or one.getsockname()[4]) + what)

    def speak(self, target: str) -> None:
        """Have the node itself send the marker to an address."""
        family = socket.AF_INET if ipaddress.ip_address(target).version == 4 else socket.AF_INET6
        with self.inside("n1"), socket.socket(family, socket.SOCK_DGRAM) as one:
            one.sendto(MARKER, (target, 7000))

    def arrives(self, what: bytes, source: str, target: str, interface: str = "eth0", *, there: str = "eth0") -> bool:
        """Whether a frame from one box reaches another on the bridge; one that does not must have been counted.

        Behind it another one takes the same way, which nothing stops. One processor sends both, whose queue keeps their
        order (net/core/dev.c, `enqueue_to_backlog`); so if the second comes first, the first one never will. Counters
        alone do not tell, for what the bridge floods by itself is counted, too.
        """
        with self.ear(target, there) as ear:
            mac = ear.getsockname()[4]
            # So that the bridge knows where the target is: of what it floods br_netfilter lets one copy pass.
            ear.send(EVERYBODY + mac + arp("0.0.0.0", "10.1.0.254").removesuffix(MARKER))
            before = self.stopped()
            with _on_one_processor():
                # What one host says to another in ARP is asked of everybody first.
                self.send(what, source, interface, to=EVERYBODY if what[:2] == ARP.to_bytes(2, "big") else mac)
                self.send(advert("fe80::1234", "fe80::1234", BEHIND), source, interface, to=mac)
            ear.settimeout(PATIENCE)
            while True:
                data, where = ear.recvfrom(2048)
                if where[2] == socket.PACKET_OUTGOING:
                    continue
                if MARKER in data:
                    return True
                if BEHIND in data:
                    assert self.stopped() > before, f"{source} to {target}: neither arrived nor counted"
                    return False

    def stopped(self) -> int:
        """What was dropped, by whichever table, with what the bridge would have taken to the wrong port."""
        return self.dropped() + self.counted("n1").get(ASTRAY, 0)

    @staticmethod
    def hears(ear: socket.socket) -> bool:
        """Whether the marker has come. A packet socket sees what its own box sends, too."""
        ear.settimeout(0.01)
        with contextlib.suppress(TimeoutError):
            while True:
                data, where = ear.recvfrom(2048)
                if MARKER in data and where[2] != socket.PACKET_OUTGOING:
                    return True
        return False


@contextlib.contextmanager
def _on_one_processor() -> Iterator[None]:
    """Stay where this thread is now."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def grow_bridged(check: Callable[[BridgedFarm], None], **settings: object) -> None:
    """Build a bridged farm in a lab of its own, wait until the node knows its pods, and run the check in it."""

    def inside() -> int:
        with BridgedFarm(**settings) as farm:  # type: ignore[arg-type]  # a test writes them by name
            farm.settle()
            farm.until(farm.guarded)
            check(farm)
        return 0

    assert run_in_lab(inside) == 0
