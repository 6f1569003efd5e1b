"""Rules about requests for pods behind a bridge, through the whole agent, with a real Envoy.

br_netfilter shows the bridge's packets to IP, so TPROXY alone would lose the first packet of each connection, and what
a neighbour answers would miss Envoy (`outgate.nft.detour`).
"""

from __future__ import annotations

import contextlib
import http.server
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgate.host import process
from outgate.host.detour import OUTER
from outgate.host.namespaces import write_sysctls
from outgate.testing import Manifest
from outgate.testing_cilium import cilium_policy
from tests.lab.agent.bridged import BridgedFarm, grow_bridged
from tests.lab.agent.test_http import DELETE, GET, PORT, Fine, program
from tests.lab.proxied import needs_envoy, read_reply

pytestmark = [
    pytest.mark.kernel,
    needs_envoy,
    pytest.mark.skipif(not Path("/proc/sys/net/bridge").exists(), reason="br_netfilter is not loaded"),
]

SERVICES = """
table inet kube_proxy {
    chain services {
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr 10.96.0.1 tcp dport 8000 dnat ip to 10.1.0.11:8080
        ip daddr 10.96.0.2 tcp dport 8000 dnat ip to 10.1.1.10:8080
    }
}
"""


class Everywhere(http.server.ThreadingHTTPServer):
    """A server of both families."""

    address_family = socket.AF_INET6


def rule(*methods: str) -> Manifest:
    """What a/one may ask of the neighbour and of the pod on another node; and whatever it likes on another port."""
    ports = {"ports": [{"port": str(PORT), "protocol": "TCP"}], "rules": {"http": [{"method": one} for one in methods]}}
    others = {"ports": [{"port": "7000", "protocol": "TCP"}]}
    to = [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": one}} for one in ("a", "b")]
    egress = [{"toEndpoints": to, "toPorts": [ports]}, {"toEndpoints": to, "toPorts": [others]}]
    return cilium_policy("a/requests", {"endpointSelector": {"matchLabels": {"app": "one"}}, "egress": egress})


@contextlib.contextmanager
def serving(farm: BridgedFarm, *paths: str) -> Iterator[None]:
    """Servers in these pods, processes that die with this one."""
    pids = []
    for path in paths:
        with farm.stage.enter(farm.box(path)):
            server = Everywhere(("::", PORT), Fine)

            def serve(server: Everywhere = server) -> int:
                server.serve_forever()
                return 0

            pids.append(process.fork(serve))
        server.socket.close()
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def connected(farm: BridgedFarm, source: str, address: str, port: int) -> socket.socket:
    """A connection; its timeout is that of an attempt which is dropped."""
    with farm.stage.enter(farm.box(source)):
        one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    one.settimeout(1)
    one.connect((address, port))
    return one


def asked(farm: BridgedFarm, request: bytes, address: str, port: int = PORT, source: str = "a/one") -> tuple[int, int]:
    """The status of the answers to a request, asked twice on one connection; 0 where there is none."""
    try:
        with connected(farm, source, address, port) as one:
            one.sendall(request)
            first = read_reply(one).status
            one.sendall(request)
            return first, read_reply(one).status
    except OSError:
        return 0, 0


def test_requests_of_bridged_pods_are_judged() -> None:
    """To a neighbour, to another node, by services to both, by both families, with strict reverse paths on the node.

    Other ports and other pods are left alone, and a kept connection goes on when the rule goes.
    """

    def check(farm: BridgedFarm) -> None:
        with farm.stage.enter(farm.stage.nodes["n1"]):
            write_sysctls({"net/ipv4/conf/all/rp_filter": "1"})
            process.run(("nft", "-f", "-"), input=SERVICES)
        places = [(farm.address(path, family), PORT) for path in ("a/two", "b/three") for family in (4, 6)]
        places += [("10.96.0.1", 8000), ("10.96.0.2", 8000)]
        with serving(farm, "a/two", "b/three"):
            farm.until(lambda: asked(farm, GET, *places[0]) == (200, 200))
            for place in places:
                assert asked(farm, GET, *place) == (200, 200), place
                assert asked(farm, DELETE, *place) == (403, 403), place
            assert asked(farm, DELETE, farm.address("b/three"), source="a/two") == (200, 200)
            for family in (4, 6):
                with farm.connection("a/one", "a/two", 7000, family) as (client, server):
                    client.sendall(b"plain")
                    assert server.recv(16) == b"plain"
                    # Not through Envoy, whose connection would have a port of its own.
                    assert server.getpeername()[1] == client.getsockname()[1]
            with connected(farm, "a/one", *places[0]) as kept:
                kept.sendall(GET)
                assert read_reply(kept).status == 200
                farm.server.delete("CiliumNetworkPolicy", "a", "requests")
                farm.settle()

                def goes_on() -> bool:
                    kept.sendall(DELETE)
                    return read_reply(kept).status == 200

                farm.until(goes_on)
            farm.until(lambda: not _detours(farm))
            assert asked(farm, DELETE, *places[0]) == (200, 200)

    _grow(check)


def test_without_envoy_bridged_pods_are_closed() -> None:
    """What such a rule is about stops, and nothing else does."""

    def check(farm: BridgedFarm) -> None:
        with serving(farm, "a/two"):
            farm.until(lambda: asked(farm, GET, farm.address("a/two")) == (200, 200))
            farm.kill("n1")
            assert asked(farm, GET, farm.address("a/two")) == (0, 0)
            with farm.connection("a/one", "a/two", 7000) as (client, server):
                client.sendall(b"plain")
                assert server.recv(16) == b"plain"

    _grow(check)


def test_what_was_direct_between_neighbours_is_cut() -> None:
    """The rule comes, and neither end gets a word through."""

    def check(farm: BridgedFarm) -> None:
        farm.server.delete("CiliumNetworkPolicy", "a", "requests")
        farm.settle()
        with farm.connection("a/one", "a/two", PORT) as (client, server):
            client.sendall(b"there")
            assert server.recv(16) == b"there"
            farm.server.put(rule("GET"))
            farm.settle()
            farm.until(lambda: _detours(farm))
            client.sendall(GET)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            before = farm.dropped()
            server.sendall(b"unseen")
            farm.until(lambda: farm.dropped() > before)

    _grow(check)


def test_without_br_netfilter_what_leaves_the_bridge_is_judged() -> None:
    """TPROXY works there by itself. Neighbours reach each other past all rules: the node says that it is hindered."""

    def check(farm: BridgedFarm) -> None:
        place = farm.address("b/three"), PORT
        with serving(farm, "b/three"):
            farm.until(lambda: asked(farm, GET, *place) == (200, 200))
            assert asked(farm, DELETE, *place) == (403, 403)
            assert not _detours(farm)
            farm.settle(until=lambda told: any("bridge cni0 reach each other" in one for one in told["hindrances"]))

    _grow(check, filtered=False)


def _grow(check: object, **settings: object) -> None:
    def ruled(farm: BridgedFarm) -> None:
        farm.server.put(rule("GET"))
        farm.settle()
        check(farm)  # type: ignore[operator]  # a function of the farm

    grow_bridged(ruled, envoy=program(), **settings)


def _detours(farm: BridgedFarm) -> bool:
    with farm.stage.enter(farm.stage.nodes["n1"]):
        return process.run(("ip", "link", "show", OUTER), check=False).code == 0
