"""Property 20: packets that no sane program sends are denied like those that it sends.

What is wrong in one place is right in all others (`tests.lab.agent.frames`), so that it is the rules that are asked and
not the first check of the stack. That each kind of packet can pass where it may is shown beside it; what is dropped is
not always counted, so markers tell when a packet that has not come will not (`tests.lab.agent.volley`).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator, Mapping

import pytest

from tests.lab.agent.cast import CLUSTER, allow, deny
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.frames import (
    ICMP,
    SCTP,
    TCP,
    UDP,
    extension,
    fragments,
    icmp,
    init,
    ip,
    packed,
    tcp,
    token,
    transport,
    udp,
)
from tests.lab.agent.volley import Ears, Shot

pytestmark = pytest.mark.kernel

FAMILIES = pytest.mark.parametrize("family", [4, 6])
THREE = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "three"}}}
OPEN, SHUT = 7000, 7001
POLICY = allow("a/p", THREE, OPEN)
CLOSED = [deny(), deny("a/in", "Ingress")]
TUNNELS = {"IPIP": 4, "6in4": 41, "GRE": 47}
FUZZ = 600

Packets = Mapping[str, list[bytes]]


def ends(farm: Farm, target: str, family: int, source: str = "a/one") -> tuple[str, str]:
    """The addresses of pod one, or another, and a target."""
    return farm.address(source, family), farm.address(target, family)


def passing(farm: Farm, ears: Ears, named: Iterable[tuple[str, str, list[bytes], bytes]]) -> set[str]:
    """Send packets of pod one, in order; the names of those whose token came out anywhere but there."""
    sent = list(named)
    for _, _, packets, _ in sent:
        for packet in packets:
            ears.shoot("a/one", packet)
    ears.flush("a/two", "world", "b/three")
    ears.flush("a/two", "b/three", family=6)
    # A pod without any policy of its own is a way around only if it is sent to: it hears what its node lets through.
    del farm
    return {name for name, _, _, load in sent if ears.heard(load, but="a/one")}


def wrapped(source: str, target: str, load: bytes, kind: str) -> bytes:
    """A packet to the pod behind a tunnel's end, in one of the ways of wrapping."""
    inner = ip("10.1.0.10", "10.1.1.10", UDP, udp("10.1.0.10", "10.1.1.10", (7100, OPEN), load))
    ethernet = bytes(6) + bytes.fromhex("020000000001") + b"\x08\x00" + inner
    match kind:
        case "VXLAN":
            return ip(
                source, target, UDP, udp(source, target, (7100, 4789), struct.pack("!II", 8 << 24, 42 << 8) + ethernet)
            )
        case "VXLAN of Flannel":
            return ip(
                source, target, UDP, udp(source, target, (7100, 8472), struct.pack("!II", 8 << 24, 1 << 8) + ethernet)
            )
        case "Geneve":
            return ip(
                source,
                target,
                UDP,
                udp(source, target, (7100, 6081), struct.pack("!HHI", 0, 0x6558, 1 << 8) + ethernet),
            )
        case "GRE":
            return ip(source, target, 47, struct.pack("!HH", 0, 0x0800) + inner)
        case _:
            return ip(source, target, TUNNELS[kind], inner)


def broken_segments(source: str, target: str) -> Iterator[tuple[str, list[bytes], bytes]]:
    """Packets whose connection cannot be told, to a port that is allowed and to one that is not."""
    for port in (OPEN, SHUT):
        for name, flags in (
            ("ACK", 0x10),
            ("RST", 0x04),
            ("FIN", 0x01),
            ("SYN+ACK", 0x12),
            ("nothing", 0),
            ("all", 0x3F),
        ):
            load = token()
            yield f"{name} to {port}", [ip(source, target, TCP, tcp(source, target, (7100, port), load, flags))], load


@FAMILIES
def test_20_fragments_are_judged_as_what_they_make(family: int) -> None:
    """Whole and in order, backwards, with a first one too small for ports, and with one that writes over another."""

    def cut(pair: tuple[str, str], port: int, how: str) -> tuple[list[bytes], bytes]:
        load = token()
        whole = udp(*pair, (7100, port), bytes(1200) + load)
        identity = 8 * (port - 6990) + len(how)
        match how:
            case "in order":
                return fragments(*pair, UDP, whole, 400, 800, identity=identity), load
            case "backwards":
                return fragments(*pair, UDP, whole, 400, 800, identity=identity)[::-1], load
            case "tiny first":
                return fragments(*pair, UDP, whole, 8, identity=identity), load
            case _:
                # Another packet, to the port that is allowed, and over its beginning this one: its ports, its bytes.
                other = udp(*pair, (7100, OPEN), bytes(1200) + token())
                first = fragments(*pair, UDP, other, 400, 800, identity=identity)
                whole = udp(*pair, (7100, port), load + bytes(1200))
                length = 8 * (how == "written over in part") + 400
                again = fragments(*pair, UDP, whole, length, 800, identity=identity)
                return [first[0], again[0], *first[1:]], load

    def check(farm: Farm) -> None:
        pair = ends(farm, "b/three", family)
        with Ears(farm) as ears:
            hows = ("in order", "backwards", "tiny first")
            for how in hows:
                packets, load = cut(pair, OPEN, how)
                for packet in packets:
                    ears.shoot("a/one", packet)
                ears.until(lambda load=load: "b/three" in ears.heard(load), lambda how=how: how)  # type: ignore[misc]  # bound
            named = [(how, "b/three", *cut(pair, SHUT, how)) for how in (*hows, "written over", "written over in part")]
            assert passing(farm, ears, named) == set()

    grow([*CLUSTER, POLICY], check)


def test_20_ip_options_hide_no_port() -> None:
    """A peer takes the header for twenty bytes: then options stand where it looks for ports."""
    options = {
        "no operation": bytes([1] * 8),
        "router alert": bytes([0x94, 4, 0, 0]),
        "timestamp": bytes([68, 12, 5, 0]) + bytes(8),
        "record route": bytes([7, 11, 4]) + bytes(8) + bytes(1),
        "made up": bytes([0x9E, 8, 0x1B, 0x58, 0x1B, 0x58, 0, 0]),
    }

    def check(farm: Farm) -> None:
        pair = ends(farm, "b/three", 4)
        with Ears(farm) as ears:

            def packet(port: int, option: bytes) -> tuple[list[bytes], bytes]:
                load = token()
                return [ip(*pair, UDP, udp(*pair, (7100, port), load), options=option)], load

            allowed = [(name, "b/three", *packet(OPEN, option)) for name, option in options.items()]
            assert passing(farm, ears, allowed) >= {"no operation", "timestamp", "record route"}
            denied = [(name, "b/three", *packet(SHUT, option)) for name, option in options.items()]
            assert passing(farm, ears, denied) == set()

    grow([*CLUSTER, POLICY], check)


def test_20_routes_of_the_sender_lead_nowhere() -> None:
    """Source routing (RFC 791; RFC 5095): addressed to one who may be reached, with another behind it."""

    def check(farm: Farm) -> None:
        allowed, shut = ends(farm, "b/three", 4), farm.address("a/two", 4)
        with Ears(farm) as ears:
            named = []
            for name, kind in (("loose", 131), ("strict", 137)):
                load = token()
                option = bytes([kind, 7, 4]) + packed(shut) + b"\0"
                named.append(
                    (name, "a/two", [ip(*allowed, UDP, udp(*allowed, (7100, OPEN), load), options=option)], load)
                )
            six, behind = ends(farm, "b/three", 6), farm.address("a/two", 6)
            for kind in (0, 2, 4):
                load = token()
                routing = extension(43, UDP, bytes([kind, 1]) + bytes(4) + packed(behind))
                named.append((f"type {kind}", "a/two", [ip(*six, 43, routing + udp(*six, (7100, OPEN), load))], load))
            passing(farm, ears, named)
            assert not any("a/two" in ears.heard(load) for _, _, _, load in named)

    grow([*CLUSTER, POLICY], check)


def test_20_extension_headers_hide_no_port() -> None:
    """The protocol is at the end of a chain of headers, and not in the first of them (RFC 8200, 4)."""

    def chains(pair: tuple[str, str], port: int) -> Iterator[tuple[str, str, list[bytes], bytes]]:
        for name, kinds in {
            "destination": (60,),
            "hop by hop": (0, 60),
            "many": (60, 60, 60),
            "fragment": (44,),
        }.items():
            load = token()
            made, following = udp(*pair, (7100, port), load), UDP
            for kind in reversed(kinds):
                made = (struct.pack("!BBHI", following, 0, 0, 7) if kind == 44 else extension(kind, following)) + made
                following = kind
            yield name, "b/three", [ip(*pair, following, made)], load

    def check(farm: Farm) -> None:
        pair = ends(farm, "b/three", 6)
        with Ears(farm) as ears:
            assert passing(farm, ears, chains(pair, OPEN)) == {"destination", "hop by hop", "many", "fragment"}
            assert passing(farm, ears, chains(pair, SHUT)) == set()

    grow([*CLUSTER, POLICY], check)


@FAMILIES
def test_20_what_belongs_to_no_connection_is_no_way_out(family: int) -> None:
    """ACK without SYN, RST, and flags that mean nothing; headers that end too soon; lengths that are lies."""

    def check(farm: Farm) -> None:
        with Ears(farm) as ears:
            named = []
            for target in ("world", "b/three", "n2"):
                pair = ends(farm, target, family)
                named += [(name, target, packets, load) for name, packets, load in broken_segments(*pair)]
                for protocol in (TCP, UDP, SCTP, 33, 136):
                    for size in (0, 1, 3, 4, 7):
                        load = token()
                        # The token is a source port and more: it is as much of the header as there is.
                        named.append((f"{protocol}: {size}", target, [ip(*pair, protocol, load[:size] + load)], load))
                load = token()
                lying = udp(*pair, (7100, SHUT), load)
                lying = lying[:4] + struct.pack("!H", 8) + lying[6:]
                named.append(("a length of nothing", target, [ip(*pair, UDP, lying)], load))
                load = token()
                named.append(
                    ("an INIT that is not alone", target, [ip(*pair, SCTP, init((7100, SHUT), load) * 2)], load)
                )
            assert passing(farm, ears, named) == set()

    grow([*CLUSTER, *CLOSED], check)


def test_20_a_pod_makes_no_tunnels() -> None:
    """To the world and to another node, which may take it for one of its own: VXLAN, Geneve, GRE, IPIP, 6in4."""
    kinds = ("VXLAN", "VXLAN of Flannel", "Geneve", "GRE", "IPIP", "6in4")

    def check(farm: Farm) -> None:
        def tries(source: str) -> list[Shot]:
            made = []
            for target in ("world", "n2", "b/three"):
                for kind in kinds:
                    load = token()
                    packet = wrapped(*ends(farm, target, 4, source), load, kind)
                    made.append(Shot(source, target, packet, load))
            return made

        with Ears(farm, 4, 41, 47) as ears:
            assert ears.verdicts(tries("a/one")) == [False] * 18
            came = ears.verdicts(tries("a/two"))
            assert all(came), "or there is nothing to be stopped"

    grow([*CLUSTER, *CLOSED], check)


def test_20_nobody_is_reached_by_an_address_of_all() -> None:
    """Multicast and broadcast: to neighbours, routers, and groups of the world."""
    targets = ["224.0.0.1", "224.0.0.251", "239.1.2.3", "255.255.255.255", "10.1.0.255", "10.1.1.255"]
    targets += ["ff02::1", "ff02::2", "ff02::fb", "ff05::2", "ff0e::1234", "ff02::1:ff00:11"]

    def check(farm: Farm) -> None:
        with Ears(farm, 2) as ears:
            named = []
            for target in targets:
                mine = farm.address("a/one", 6 if ":" in target else 4)
                for hops in (1, 64, 255):
                    load = token()
                    named.append(
                        (
                            target,
                            target,
                            [ip(mine, target, UDP, udp(mine, target, (5353, 5353), load), hops=hops)],
                            load,
                        )
                    )
            assert passing(farm, ears, named) == set()

    grow([*CLUSTER, *CLOSED], check)


def noise(dice: random.Random, pair: tuple[str, str], load: bytes) -> bytes:
    """One random packet: of any protocol, with options or extension headers, cut, forged, or plainly odd."""
    source, target = pair
    six = ":" in target
    payload = dice.randbytes(dice.choice((0, 1, 4, 8, 20, 40))) + load + dice.randbytes(dice.choice((0, 3, 100)))
    protocol = dice.choice((TCP, UDP, SCTP, ICMP, 58, 4, 41, 47, 50, 51, 33, 136, 2, 89, 112, dice.randrange(256)))
    if dice.random() < 0.5:
        ports = (
            dice.choice((53, 68, 443, 500, 4789, OPEN)),
            dice.choice((53, 67, 443, 4789, 6081, OPEN, dice.randrange(65536))),
        )
        match dice.choice("tuis"):
            case "t":
                protocol, payload = TCP, tcp(source, target, ports, payload, dice.randrange(256))
            case "u":
                protocol, payload = UDP, udp(source, target, ports, payload)
            case "s":
                protocol, payload = SCTP, init(ports, load)
            case _:
                protocol = 58 if six else ICMP
                payload = icmp(source, target, dice.randrange(256), dice.randrange(3), payload)
    if six:
        for _ in range(dice.choice((0, 0, 0, 1, 2))):
            kind = dice.choice((60, 43, 60, 135))
            payload = extension(kind, protocol, dice.randbytes(dice.choice((6, 14)))) + payload
            protocol = kind
        return ip(source, target, protocol, payload, hops=dice.choice((1, 2, 64, 255)))
    return ip(
        source,
        target,
        protocol,
        payload,
        options=dice.randbytes(4 * dice.choice((0, 0, 0, 1, 3))),
        identity=dice.randrange(65536),
        offset=dice.choice((0, 0, 0, 0, 1, 100)),
        more=dice.random() < 0.1,
        hops=dice.choice((1, 2, 64, 255)),
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_20_fuzz_nothing_gets_out(seed: int) -> None:
    """Hundreds of random packets of a pod that may send none: to all, by all protocols, under its own and any name."""
    dice = random.Random(seed)

    def check(farm: Farm) -> None:
        places = ["world", "b/three", "a/two", "n1", "n2"]
        with Ears(farm, *(one for one in range(1, 256) if one not in {ICMP, TCP, UDP, SCTP, 58, 255})) as ears:
            loads = []
            for number in range(FUZZ):
                family = dice.choice((4, 6))
                source, target = ends(farm, places[number % len(places)], family)
                source = dice.choice(
                    (source, source, source, farm.address("a/two", family), farm.address("n1", family), target)
                )
                load = token()
                ears.shoot("a/one", noise(dice, (source, target), load))
                loads.append(load)
            ears.flush("a/two", "world", "b/three")
            ears.flush("a/two", "world", "b/three", family=6)
            assert {load: ears.heard(load, but="a/one") for load in loads if ears.heard(load, but="a/one")} == {}
            # The same senders, the same ears: what may pass is heard.
            free = transport(UDP, *ends(farm, "world", 4, "a/two"), (7100, 7000), load := token())
            ears.shoot("a/two", free)
            ears.until(lambda: "world" in ears.heard(load), lambda: "the ears are deaf")

    grow([*CLUSTER, *CLOSED], check)


def test_20_the_same_packets_show_when_nothing_is_closed() -> None:
    """The control: without a policy some of the noise gets through, so the noise is not all that the stack drops."""
    dice = random.Random(3)

    def check(farm: Farm) -> None:
        with Ears(farm) as ears:
            loads: list[bytes] = []
            for _ in range(200):
                load = token()
                ears.shoot("a/one", noise(dice, ends(farm, "world", dice.choice((4, 6))), load))
                loads.append(load)
            ears.flush("a/two", "world", "b/three")
            assert sum("world" in ears.heard(load) for load in loads) > 50

    grow(CLUSTER, check)
