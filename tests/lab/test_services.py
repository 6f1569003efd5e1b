"""Services on the lab's nodes: what kube-proxy does to packets, and what it refuses."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

import pytest

from outgate.lab import addressing, services
from outgate.lab.build import Box, Stage, build
from outgate.lab.session import run_in_lab
from outgate.model import ContainerPort, EndpointSlice, Pod, Service, ServicePort, Snapshot
from outgate.model.objects import Address, SliceEndpoint, SlicePort
from tests.lab.talk import family, tcp, udp


def ip(text: str) -> Address:
    """An address."""
    return ipaddress.ip_address(text)


VIP = (ip("10.96.5.5"), ip("fd00:10:96::55"))

CLIENT = Pod("a", "client", node="n1")
LOCAL = Pod("a", "local", {"app": "web", "at": "n1"}, node="n1", ports=(ContainerPort(8080, "TCP", "http"),))
REMOTE = Pod("a", "remote", {"app": "web", "at": "n2"}, node="n2", ports=(ContainerPort(9090, "TCP", "http"),))
HOST = Pod("a", "host", node="n2", host_network=True)


def service(name: str = "web", **fields: object) -> Service:
    """A Service on TCP 80 to the port that each pod calls `http`."""
    given: dict[str, object] = {"selector": {"app": "web"}, "ports": (ServicePort(80, "TCP", "http", "http"),)}
    return Service("a", name, **{**given, **fields})  # type: ignore[arg-type]  # one builder for all fields


def in_lab(check: Callable[[Stage], object], *made: Service, slices: tuple[EndpointSlice, ...] = ()) -> None:
    """Build a lab of four pods on two nodes with these Services, and run the check inside."""
    snapshot = addressing.address(Snapshot.of(pods=[CLIENT, LOCAL, REMOTE, HOST], services=made, slices=slices))

    def inside() -> int:
        check(build(snapshot))
        return 0

    assert run_in_lab(inside) == 0


def own(stage: Stage, pod: Pod, version: int = 4) -> str:
    """A pod's address of a family, as it stands."""
    return next(str(one) for one in stage.pods[pod.key].addresses if one.version == version)


def node(stage: Stage, name: str, version: int = 4) -> str:
    """A node's address of a family."""
    return next(str(one) for one in stage.nodes[name].addresses if one.version == version)


@pytest.mark.kernel
@pytest.mark.parametrize("address", VIP)
def test_a_cluster_address_leads_to_each_pod_on_its_own_number_of_a_named_port(address: Address) -> None:
    """A named target port is looked up pod by pod; one number for all would miss half of the backends."""

    def check(stage: Stage) -> None:
        client = stage.pods[CLIENT.key]
        for pod, port in ((LOCAL, 8080), (REMOTE, 9090)):
            box = stage.pods[pod.key]
            # One listener at a time: a connection to the other backend is refused, and the next try is another draw.
            for _ in range(200):
                try:
                    seen = tcp(stage, client, (address, 80), box, (own(stage, pod, address.version), port))
                except ConnectionRefusedError:
                    continue
                assert seen == own(stage, CLIENT, address.version)
                break
            else:
                pytest.fail(f"200 connections to the Service and none reached {pod}")

    in_lab(check, service(cluster_ips=VIP))


def refused_datagram(stage: Stage, box: Box, address: Address, port: int) -> None:
    """Send a datagram and take what comes back; a refusal is an error of the socket."""
    with stage.enter(box):
        client = socket.socket(family(address), socket.SOCK_DGRAM)
    with client:
        client.settimeout(5)
        client.connect((str(address), port))
        client.send(b"anybody?")
        client.recv(16)


@pytest.mark.kernel
def test_ports_that_nobody_serves_are_refused_at_once() -> None:
    """kube-proxy rejects them; a packet that went on to the world would be answered and look allowed."""

    def check(stage: Stage) -> None:
        client, host = stage.pods[CLIENT.key], stage.pods[HOST.key]
        for box in (client, host):
            for address in VIP:
                for port in (80, 81):
                    with pytest.raises(ConnectionRefusedError):
                        tcp(stage, box, (address, port), stage.world, (address, port))
                    # What a node refuses to itself, it refuses to the sender at once (EPERM).
                    with pytest.raises((ConnectionRefusedError, PermissionError)):
                        refused_datagram(stage, box, address, port)
            with pytest.raises(ConnectionRefusedError):
                tcp(stage, client, (node(stage, "n2"), 30080), host, (node(stage, "n2"), 30080))
            with pytest.raises(ConnectionRefusedError):
                tcp(stage, client, ("192.0.2.99", 80), stage.world, ("192.0.2.99", 80))

    nobody = service(
        cluster_ips=VIP,
        selector={"app": "nobody"},
        external_ips=(ip("192.0.2.99"),),
        ports=(ServicePort(80, "TCP", "http", "http", 30080),),
    )
    in_lab(check, nobody)


@pytest.mark.kernel
@pytest.mark.parametrize("address", VIP)
def test_a_pod_reaches_itself_through_a_service(address: Address) -> None:
    """Without masquerading, the pod would get a packet from its own address and drop it."""

    def check(stage: Stage) -> None:
        box = stage.pods[LOCAL.key]
        seen = tcp(stage, box, (address, 80), box, (own(stage, LOCAL, address.version), 8080))
        assert seen == node(stage, "n1", address.version)

    in_lab(check, service(cluster_ips=VIP, selector={"at": "n1"}))


@pytest.mark.kernel
def test_a_node_port_answers_on_every_node_to_everybody() -> None:
    """Answers must return through the node that translated, whoever asked and wherever the backend runs."""

    def check(stage: Stage) -> None:
        target = (stage.pods[REMOTE.key], (own(stage, REMOTE), 9090))
        for name in ("n1", "n2"):
            for box in (stage.pods[CLIENT.key], stage.pods[HOST.key], stage.world, stage.nodes["n1"]):
                tcp(stage, box, (node(stage, name), 30080), *target)
        assert tcp(stage, stage.pods[CLIENT.key], (node(stage, "n1"), 30080), *target) == own(stage, CLIENT)
        assert tcp(stage, stage.world, (node(stage, "n1"), 30080), *target) == node(stage, "n1")

    port = ServicePort(80, "TCP", "http", "http", 30080)
    in_lab(check, service(cluster_ips=VIP, ports=(port,), selector={"at": "n2"}))


@pytest.mark.kernel
def test_processes_of_a_node_use_services_too() -> None:
    """A pod on the host network sends from the node itself, past the hook that other pods' packets meet."""

    def check(stage: Stage) -> None:
        box = stage.pods[REMOTE.key]
        seen = tcp(stage, stage.pods[HOST.key], (VIP[0], 80), box, (own(stage, REMOTE), 9090))
        assert seen == node(stage, "n2")

    in_lab(check, service(cluster_ips=VIP, selector={"at": "n2"}))


@pytest.mark.kernel
def test_slices_may_lead_outside_and_win_over_the_selector() -> None:
    """A Service without pods of its own is how clusters name an outside database; policy sees the outside address."""
    ends = EndpointSlice(
        "a",
        "s",
        "web",
        (SliceEndpoint((ip("203.0.113.50"),)),),
        (SlicePort(5432, "TCP", "http"), SlicePort(53, "UDP", "d")),
    )

    def check(stage: Stage) -> None:
        client = stage.pods[CLIENT.key]
        assert tcp(stage, client, (VIP[0], 80), stage.world, ("203.0.113.50", 5432)) == own(stage, CLIENT)
        udp(stage, client, (VIP[0], 5353), stage.world, ("203.0.113.50", 53))

    ports = (ServicePort(80, "TCP", 80, "http"), ServicePort(5353, "UDP", 53, "d"))
    in_lab(check, service(cluster_ips=VIP, ports=ports), slices=(ends,))


@pytest.mark.kernel
def test_an_external_address_is_translated_on_the_way_out() -> None:
    """A pod that asks for a load balancer's address never leaves the cluster."""

    def check(stage: Stage) -> None:
        box = stage.pods[LOCAL.key]
        assert tcp(stage, stage.pods[CLIENT.key], ("198.51.100.10", 80), box, (own(stage, LOCAL), 8080)) == own(
            stage, CLIENT
        )

    one = service("first", cluster_ips=VIP, external_ips=(ip("198.51.100.10"),), selector={"at": "n1"})
    two = service("rival", cluster_ips=(ip("10.96.5.6"),), external_ips=(ip("198.51.100.10"),))
    in_lab(check, one, two)


@pytest.mark.kernel
def test_a_headless_service_translates_nothing() -> None:
    """Its name leads to pods; no address of its own exists that a packet could be sent to."""

    def check(stage: Stage) -> None:
        listing = stage.run(stage.nodes["n1"], ("nft", "list", "table", "inet", services.TABLE)).stdout
        assert "dnat" not in listing

    in_lab(check, service(headless=True))


@pytest.mark.kernel
def test_names_never_reach_nft_as_anything_but_a_comment() -> None:
    """A Service called like a command must not become one."""
    nasty = 'x"; flush ruleset; add table inet owned; #\n\\ ${x} ' + "y" * 300
    port = ServicePort(80, "TCP", 8080, 'p" }\nadd table inet owned2 {')

    def check(stage: Stage) -> None:
        listing = stage.run(stage.nodes["n1"], ("nft", "list", "tables")).stdout
        assert listing.split("\n") == [f"table inet {services.TABLE}", ""]
        tcp(stage, stage.pods[CLIENT.key], (VIP[0], 80), stage.pods[LOCAL.key], (own(stage, LOCAL), 8080))

    in_lab(check, service(nasty, cluster_ips=VIP, ports=(port,), selector={"at": "n1"}))


def test_text_is_cut_into_transactions_that_an_ordinary_user_may_send() -> None:
    """Nft 1.0.6 of an ordinary user fails with EMSGSIZE at a thousand rules."""
    made = [service(f"s{number}", cluster_ips=(ip(f"10.96.{number >> 8}.{number & 255}"),)) for number in range(1, 600)]
    texts = services.transactions(addressing.address(Snapshot.of(pods=[LOCAL, REMOTE], services=made)))
    assert len(texts) > 5
    assert max(text.count("add rule") for text in texts) <= 200
    assert sum(text.count("add rule") for text in texts) == 2 * 599


def test_transactions_are_the_same_every_time() -> None:
    """A lab that differs from run to run cannot be argued about."""
    snapshot = addressing.address(Snapshot.of(pods=[LOCAL, REMOTE], services=[service(), service("other")]))
    assert services.transactions(snapshot) == services.transactions(snapshot)
