"""Property 18: ICMP is traffic like any other, but for errors about connections and the finding of neighbours."""

from __future__ import annotations

import errno
import select
import socket
import struct

import pytest

from tests.lab.agent.cast import CLUSTER, allow, deny
from tests.lab.agent.farm import PATIENCE, Farm, grow
from tests.lab.agent.frames import ICMP, ICMPV6, UDP, echo, icmp, ip, token, udp
from tests.lab.agent.volley import Ears, Shot, aimed

pytestmark = pytest.mark.kernel

FAMILIES = pytest.mark.parametrize("family", [4, 6])
THREE = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "three"}}}
CLOSED = [deny("a/out"), deny("a/in", "Ingress")]
SMALL = 1300
"""An MTU between the minimum of IPv6 and that of the other links."""


def lone(farm: Farm, target: str, family: int, kind: int, code: int, body: bytes = b"") -> Shot:
    """A message of pod one that belongs to nothing."""
    load = token()
    ends = farm.address("a/one", family), farm.address(target, family)
    message = icmp(*ends, kind, code, body + load)
    return Shot("a/one", target, ip(*ends, ICMP if family == 4 else ICMPV6, message), load)


@FAMILIES
def test_18_deny_all_stops_ping_and_what_hides_in_it(family: int) -> None:
    """Peers let echo requests pass, and with them a tunnel for everything else."""

    def check(farm: Farm) -> None:
        with Ears(farm) as ears:
            for target in ("world", "b/three", "a/two", "n1", "n2"):
                echoes = ICMP if family == 4 else ICMPV6
                assert ears.verdict("a/two", target, echoes, 0, family) or target == "a/two"
                shots = [aimed(farm, "a/one", target, echoes, 0, family)]
                load = token()
                ends = farm.address("a/one", family), farm.address(target, family)
                shots.append(Shot("a/one", target, echo(*ends, load + bytes(900)), load))
                assert ears.verdicts(shots) == [False, False], target

    grow([*CLUSTER, *CLOSED], check)


@FAMILIES
def test_18_messages_about_nothing_do_not_pass(family: int) -> None:
    """Answers that nobody asked for, requests of other kinds, errors about connections that there are not."""
    quoted = ip("10.1.0.10", "10.1.1.10", UDP, udp("10.1.0.10", "10.1.1.10", (1, 2), b""))
    if family == 6:
        quoted = ip("fd00:1::10", "fd00:1:1::10", UDP, udp("fd00:1::10", "fd00:1:1::10", (1, 2), b""))
    kinds = [(0, 0), (13, 0), (17, 0), (42, 0), (3, 3), (3, 4), (11, 0), (12, 0), (5, 1)]
    if family == 6:
        kinds = [(129, 0), (139, 0), (144, 0), (160, 0), (1, 4), (2, 0), (3, 0), (4, 0), (137, 0), (134, 0)]

    def check(farm: Farm) -> None:
        with Ears(farm) as ears:
            sent = [lone(farm, "world", family, kind, code, bytes(4) + quoted) for kind, code in kinds]
            sent += [lone(farm, "b/three", family, kind, code, bytes(4) + quoted) for kind, code in kinds]
            for shot in sent:
                ears.shoot(shot.source, shot.packet)
            ears.flush("a/two", "world", "b/three", family=family)
            for number, shot in enumerate(sent):
                assert not ears.heard(shot.token, but="a/one"), kinds[number % len(kinds)]

    grow([*CLUSTER, *CLOSED], check)


@FAMILIES
def test_18_an_error_goes_to_the_connection_it_is_about_and_nowhere_else(family: int) -> None:
    """Related is what goes back to the sender of the packet it quotes: else an error reaches any denied target."""

    def check(farm: Farm) -> None:
        mine, theirs = farm.address("a/one", family), farm.address("b/three", family)
        with Ears(farm) as ears:
            request = token()
            first = ip(theirs, mine, UDP, udp(theirs, mine, (7100, 7000), request))
            ears.shoot("b/three", first)
            ears.until(lambda: "a/one" in ears.heard(request), lambda: "the request is allowed")
            unreachable = (3, 3) if family == 4 else (1, 4)
            shots = []
            for target in ("b/three", "world", "a/two"):
                load = token()
                ends = mine, farm.address(target, family)
                # The quotation is whole, so that it is found, and there is room behind it.
                message = icmp(*ends, *unreachable, bytes(4) + first + load)
                shots.append(Shot("a/one", target, ip(*ends, ICMP if family == 4 else ICMPV6, message), load))
            for shot in shots:
                ears.shoot(shot.source, shot.packet)
            ears.flush("a/two", "world", "b/three", family=family)
            assert [shot.target in ears.heard(shot.token) for shot in shots] == [True, False, False]

    grow([*CLUSTER, deny("a/out"), allow("a/in", THREE, 7000, direction="Ingress")], check)


@FAMILIES
def test_18_path_mtu_discovery_works_for_who_may_do_nothing_else(family: int) -> None:
    """A link on the way is smaller than the packet: who sent it hears of it, though the router is nobody's peer."""

    def check(farm: Farm) -> None:
        link = farm.stage.nodes["n2"].link
        farm.stage.run(farm.stage.world, ("ip", "link", "set", link, "mtu", str(SMALL)))
        af = socket.AF_INET if family == 4 else socket.AF_INET6
        level, discover, mtu, recverr = (0, 10, 14, 11) if family == 4 else (socket.IPPROTO_IPV6, 23, 24, 25)
        with farm.stage.enter(farm.box("a/one")):
            client = socket.socket(af, socket.SOCK_DGRAM)
        with client:
            client.setsockopt(level, discover, 2)  # IP_PMTUDISC_DO: never cut, tell me
            client.setsockopt(level, recverr, 1)
            client.connect((farm.address("b/three", family), 7000))
            client.send(bytes(1400))
            poll = select.poll()
            poll.register(client, 0)
            assert poll.poll(PATIENCE * 1000), "the error never came"
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EMSGSIZE
            assert client.getsockopt(level, mtu) == SMALL
        assert not farm.passes("a/one", "b/three", 7001, family)

    grow([*CLUSTER, allow("a/out", THREE, 7000), deny("a/in", "Ingress")], check)


def test_18_neighbours_are_found_by_who_may_do_nothing_else() -> None:
    """Both ways, from empty tables, and again: without it there is no IPv6."""

    def check(farm: Farm) -> None:
        pod, node = farm.box("a/one"), farm.box("n1")
        for _ in range(2):
            farm.stage.run(pod, ("ip", "-6", "neigh", "flush", "dev", "eth0"))
            farm.stage.run(node, ("ip", "-6", "neigh", "flush", "dev", farm.stage.pods["a", "one"].interface))
            assert farm.passes("a/one", "b/three", 7000, 6)
            assert not farm.passes("a/one", "b/three", 7001, 6)

    grow([*CLUSTER, allow("a/out", THREE, 7000), deny("a/in", "Ingress")], check)


def test_18_a_pod_does_not_redirect() -> None:
    """A redirect (137) among neighbours, with hop limit 255, would tell the node where to send."""

    def check(farm: Farm) -> None:
        target = socket.inet_pton(socket.AF_INET6, farm.address("b/three", 6))
        with Ears(farm) as ears:
            for source, there in (("fe80::1234", "fe80::1"), (farm.address("a/one", 6), farm.address("n1", 6))):
                before, load = farm.dropped(), token()
                body = bytes(4) + socket.inet_pton(socket.AF_INET6, source) + target + load
                ears.shoot("a/one", ip(source, there, ICMPV6, icmp(source, there, 137, 0, body), hops=255))
                farm.until(lambda before=before: farm.dropped() > before)  # type: ignore[misc]  # a default binds it
                assert not ears.heard(load, but="a/one")

    grow([*CLUSTER, *CLOSED], check)


def test_18_a_redirect_about_a_connection_is_no_error() -> None:
    """Connection tracking calls an IPv4 redirect related, and it would send another pod's traffic elsewhere."""

    def check(farm: Farm) -> None:
        mine, theirs = farm.address("a/one"), farm.address("b/three")
        with Ears(farm) as ears:
            request = token()
            first = ip(theirs, mine, UDP, udp(theirs, mine, (7100, 7000), request))
            ears.shoot("b/three", first)
            ears.until(lambda: "a/one" in ears.heard(request), lambda: "the request is allowed")
            load = token()
            message = icmp(mine, theirs, 5, 1, struct.pack("!4s", socket.inet_aton(mine)) + first + load)
            ears.shoot("a/one", ip(mine, theirs, ICMP, message))
            ears.flush("a/two", "b/three")
            assert not ears.heard(load, but="a/one")

    grow([*CLUSTER, deny("a/out"), allow("a/in", THREE, 7000, direction="Ingress")], check)
