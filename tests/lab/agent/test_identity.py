"""Properties 1, 3 and 22: closed at birth, interface and address together, and an address is its pod's alone."""

from __future__ import annotations

import socket
import struct

import pytest

from outgate.testing import Manifest, pod
from tests.lab.agent.cast import CLUSTER, allow, deny
from tests.lab.agent.farm import Farm, grow

pytestmark = pytest.mark.kernel

UNKNOWN = [one for one in CLUSTER if one["kind"] != "Pod"]
BIRTHS = 200


def test_01_a_pod_that_nobody_knows_may_not_talk() -> None:
    """Its box is there, its first packet leaves in its first millisecond: the API server does not know it yet."""

    def check(farm: Farm) -> None:
        farm.server.delete("Pod", "a", "two")
        farm.settle()
        assert not farm.passes("a/two", "b/three", 7000)
        # Its node finds it by ARP, which no table of ours sees, so nothing but its being unknown stops this one.
        assert not farm.passes("b/three", "a/two", 7000)
        assert not farm.passes("b/three", "a/two", 7000, family=6)
        farm.server.put(next(one for one in CLUSTER if one["metadata"]["name"] == "two"))
        farm.settle()
        assert farm.passes("a/two", "b/three", 7000)

    grow(CLUSTER, check)


def test_01_births_under_a_default_deny_leak_nothing() -> None:
    """Each of 200 births sends from before it is known until it is programmed; a policy denies it: not one arrives."""

    def check(farm: Farm) -> None:
        farm.server.put(deny("a/all", app="born"))
        with farm.stage.enter(farm.box("b/three")):
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("", 7000))
        with farm.stage.enter(farm.box("a/two")):
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.connect(("10.1.1.10", 7000))
        with server, client:
            farm.server.delete("Pod", "a", "two")
            farm.settle()
            for number in range(BIRTHS):
                client.send(b"before it is known")
                farm.server.put(pod(f"a/born-{number}", ["10.1.0.11"], on="n1", app="born"))
                farm.settle(["n1"], until=lambda _: client.send(b"until it is programmed") > 0)
                client.send(b"after")
                farm.server.delete("Pod", "a", f"born-{number}")
                farm.settle(["n1"])
            farm.server.put(pod("a/free", ["10.1.0.11"], on="n1", app="free"))
            farm.settle(["n1"])
            client.send(b"marker")
            server.settimeout(30)
            assert server.recv(64) == b"marker"

    grow(CLUSTER, check)


def test_01_open_at_birth_is_a_choice() -> None:
    """The opt-out of a cluster: what nobody knows passes, and is counted."""

    def check(farm: Farm) -> None:
        farm.server.delete("Pod", "a", "two")
        farm.settle()
        assert farm.passes("a/two", "b/three", 7000)
        assert farm.counted("n1")["unknown"] > 0

    grow(CLUSTER, check, open_at_birth=True)


@pytest.mark.parametrize("family", [4, 6])
def test_03_a_forged_source_is_dropped_and_counted(family: int) -> None:
    """Pod two sends under pod one's address, which may do what two may not."""

    def check(farm: Farm) -> None:
        farm.server.put(deny("a/two", app="two"))
        farm.settle()
        forged = farm.address("a/one", family)
        with farm.stage.enter(farm.box("a/two")):
            raw = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        before = farm.counted("n1")["spoof"]
        with raw:
            raw.sendto(datagram(forged, farm.address("b/three", family), family), (farm.address("b/three", family), 0))
        farm.until(lambda: farm.counted("n1")["spoof"] > before)

    grow(CLUSTER, check)


def datagram(source: str, target: str, family: int) -> bytes:
    """A UDP datagram to port 7000 with its IP header."""
    udp = struct.pack("!HHHH", 7000, 7000, 8 + 4, 0) + b"evil"
    if family == 4:
        ends = socket.inet_aton(source) + socket.inet_aton(target)
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + ends + udp
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    return struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + ends + udp


def again(name: str, address: str, **more: object) -> Manifest:
    """Another pod at an address, on n1."""
    return pod(f"a/{name}", [address], on="n1", **more)  # type: ignore[arg-type]  # labels and a phase


def test_22_a_finished_pod_has_no_address() -> None:
    """Its address belongs to whoever has it now, with that pod's policies and rights."""

    def check(farm: Farm) -> None:
        farm.server.put(
            allow(
                "b/in",
                {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "job"}}},
                direction="Ingress",
                app="three",
            )
        )
        farm.server.delete("Pod", "a", "two")
        farm.server.put(again("job", "10.1.0.11", app="job"))
        farm.settle()
        assert farm.passes("a/two", "b/three", 7000)
        farm.server.put(again("job", "10.1.0.11", app="job", phase="Succeeded"))
        farm.server.put(again("heir", "10.1.0.11", app="heir"))
        farm.settle()
        assert not farm.passes("a/two", "b/three", 7000)
        assert farm.passes("a/two", "a/one", 7000), "it is the heir's alone, and not an address of two"

    grow(CLUSTER, check)


def test_22_two_claims_to_one_address_close_it() -> None:
    """Whose packet it is cannot be told, so it is nobody's until one of them is gone."""

    def check(farm: Farm) -> None:
        farm.server.put(again("twin", "10.1.0.11", app="twin"))
        farm.settle()
        assert not farm.passes("a/two", "b/three", 7000)
        farm.server.delete("Pod", "a", "twin")
        farm.settle()
        assert farm.passes("a/two", "b/three", 7000)

    grow(CLUSTER, check)
