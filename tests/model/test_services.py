"""Where Services lead: what kube-proxy would translate, port by port and family by family."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.model import ContainerPort, EndpointSlice, Node, Pod, Service, ServicePort, Snapshot
from outgate.model.objects import Address, SliceEndpoint, SlicePort
from outgate.model.services import endpoints, resolve, translate


def ip(text: str) -> Address:
    """An address."""
    return ipaddress.ip_address(text)


V4, V6 = ip("10.96.0.1"), ip("fd00:96::1")
EXTERNAL = ip("198.51.100.1")

WEB = {"app": "web"}
ONE = Pod("a", "one", WEB, (ip("10.1.0.1"), ip("fd00::1")), ports=(ContainerPort(8080, "TCP", "http"),))
TWO = Pod("a", "two", WEB, (ip("fd00::2"), ip("10.1.0.2")), ports=(ContainerPort(9090, "TCP", "http"),))
UDP = Pod("a", "udp", WEB, (ip("10.1.0.3"),), ports=(ContainerPort(7070, "UDP", "http"),))
UNREADY = Pod("a", "unready", WEB, (ip("10.1.0.4"),), ports=(ContainerPort(8080, "TCP", "http"),), ready=False)
FINISHED = Pod("a", "finished", WEB, (ip("10.1.0.5"),), ports=(ContainerPort(8080, "TCP", "http"),), finished=True)
ELSEWHERE = Pod("b", "other", WEB, (ip("10.1.0.6"),), ports=(ContainerPort(8080, "TCP", "http"),))
PODS = (ONE, TWO, UDP, UNREADY, FINISHED, ELSEWHERE)
NAMED = ServicePort(80, "TCP", "http", "web")


def service(**fields: object) -> Service:
    """A Service over the pods of `app: web`."""
    given: dict[str, object] = {"cluster_ips": (V4, V6), "selector": WEB, "ports": (NAMED,)}
    return Service("a", "svc", **{**given, **fields})  # type: ignore[arg-type]  # one builder for all fields


def slice_of(*ends: SliceEndpoint, ports: tuple[SlicePort, ...] = (SlicePort(5000, "TCP", "web"),)) -> EndpointSlice:
    """A slice of that Service."""
    return EndpointSlice("a", "s1", "svc", ends, ports)


def behind(snapshot: Snapshot, made: Service, address: Address | None = V4) -> list[tuple[str, int]]:
    """The backends behind one address of a Service."""
    return [
        (str(end.address), end.port)
        for route in resolve(snapshot, made)
        if route.address == address
        for end in route.backends
    ]


def test_a_named_port_is_looked_up_on_each_pod() -> None:
    """The same name may be another number on another pod, and a pod without it is no backend."""
    made = service()
    snapshot = Snapshot.of(pods=PODS, services=[made])
    assert behind(snapshot, made) == [("10.1.0.1", 8080), ("10.1.0.2", 9090)]
    assert behind(snapshot, made, V6) == [("fd00::1", 8080), ("fd00::2", 9090)]


def test_a_named_port_is_of_the_services_protocol() -> None:
    """A pod may call a UDP and a TCP port alike; the Service means the one of its own protocol."""
    made = service(ports=(ServicePort(80, "UDP", "http"),))
    assert behind(Snapshot.of(pods=PODS), made) == [("10.1.0.3", 7070)]


@pytest.mark.parametrize(("target", "number"), [(8081, 8081), (0, 80)])
def test_a_number_is_the_same_on_every_pod_and_need_not_be_declared(target: int, number: int) -> None:
    """Declaring a container port is "primarily informational"; without a target it is the Service's own."""
    made = service(ports=(ServicePort(80, "TCP", target),))
    assert behind(Snapshot.of(pods=PODS), made) == [(f"10.1.0.{pod}", number) for pod in (1, 2, 3)]


def test_pods_that_are_not_ready_are_published_only_on_wish() -> None:
    """A pod that is not ready gets no traffic, and a finished one never."""
    made = service(publish_not_ready=True)
    assert ("10.1.0.4", 8080) in behind(Snapshot.of(pods=PODS), made)
    assert ("10.1.0.5", 8080) not in behind(Snapshot.of(pods=PODS), made)


def test_a_service_that_nobody_serves_has_its_route_all_the_same() -> None:
    """kube-proxy rejects such packets; without a route they would be taken for packets to the outside."""
    for made in (service(selector={"app": "nobody"}), service(selector=None), service(selector={})):
        routes = resolve(Snapshot.of(pods=PODS), made)
        assert [(route.address, route.port, route.backends) for route in routes] == [(V4, 80, ()), (V6, 80, ())]


def test_slices_of_the_input_win_over_the_selector() -> None:
    """kube-proxy reads slices and never a selector."""
    made = service()
    ends = slice_of(SliceEndpoint((ip("203.0.113.5"),)), SliceEndpoint((ip("10.1.0.1"),)))
    snapshot = Snapshot.of(pods=PODS, slices=[ends])
    assert behind(snapshot, made) == [("203.0.113.5", 5000), ("10.1.0.1", 5000)]
    assert behind(snapshot, made, V6) == []
    assert [end.pod.name if end.pod else None for end in resolve(snapshot, made)[0].backends] == [None, "one"]


@pytest.mark.parametrize(
    "ends",
    [
        EndpointSlice("a", "s", "other", (SliceEndpoint((ip("203.0.113.5"),)),), (SlicePort(5000, name="web"),)),
        EndpointSlice("b", "s", "svc", (SliceEndpoint((ip("203.0.113.5"),)),), (SlicePort(5000, name="web"),)),
        EndpointSlice("a", "s", "", (SliceEndpoint((ip("203.0.113.5"),)),), (SlicePort(5000, name="web"),)),
    ],
)
def test_a_slice_belongs_to_the_service_that_its_label_names(ends: EndpointSlice) -> None:
    """A slice of another Service must not take this one's pods away."""
    made = service()
    assert behind(Snapshot.of(pods=PODS, slices=[ends]), made) == [("10.1.0.1", 8080), ("10.1.0.2", 9090)]


def test_ports_of_slices_are_matched_by_name_and_protocol() -> None:
    """A slice carries the ports of all of the Service's ports; each belongs to one."""
    ports = (
        SlicePort(1, "TCP", "web"),
        SlicePort(2, "UDP", "web"),
        SlicePort(3, "TCP", ""),
        SlicePort(None, "TCP", "all"),
    )
    made = service(
        ports=(NAMED, ServicePort(81, "UDP", 1, "web"), ServicePort(82, "TCP", 1), ServicePort(83, name="all"))
    )
    snapshot = Snapshot.of(slices=[slice_of(SliceEndpoint((ip("10.1.0.1"),)), ports=ports)])
    found = {(route.port, end.port) for route in resolve(snapshot, made) for end in route.backends}
    assert found == {(80, 1), (81, 2), (82, 3)}


def test_endpoints_of_slices_are_ready_single_and_counted_once() -> None:
    """Addresses of one endpoint are alike and the first is taken; the same end in two slices is one end."""
    ends = (
        SliceEndpoint((ip("10.1.0.1"), ip("10.1.0.99"))),
        SliceEndpoint((ip("10.1.0.2"),), ready=False),
        SliceEndpoint(()),
    )
    second = EndpointSlice("a", "s2", "svc", ends[:1], (SlicePort(5000, name="web"),))
    made = service()
    snapshot = Snapshot.of(slices=[slice_of(*ends), second])
    assert behind(snapshot, made) == [("10.1.0.1", 5000)]
    assert [end.addresses for end in endpoints(snapshot, made)] == [(ip("10.1.0.1"),)]


def test_a_slice_that_names_a_pod_without_an_address_follows_the_pod() -> None:
    """The lab gives such a pod another address than the slice remembers."""
    pod = Pod("a", "moved", WEB)
    snapshot = Snapshot.of(pods=[pod], slices=[slice_of(SliceEndpoint((ip("10.7.7.7"),), pod=("a", "moved")))])
    (stand_in, _) = snapshot.pods[0].addresses
    assert behind(snapshot, service()) == [(str(stand_in), 5000)]


def test_a_headless_service_has_ends_and_no_address() -> None:
    """Its name resolves to the pods themselves; nothing is translated."""
    made = service(cluster_ips=(), headless=True)
    snapshot = Snapshot.of(pods=PODS)
    (route,) = resolve(snapshot, made)
    assert route.address is None
    assert not route.node_port
    assert len(route.backends) == 4
    assert [str(end.addresses[0]) for end in endpoints(snapshot, made)] == [
        "10.1.0.1",
        "fd00::1",
        "fd00::2",
        "10.1.0.2",
        "10.1.0.3",
    ]


def test_an_external_name_translates_nothing() -> None:
    """It is a CNAME: policies see the address that the other name has."""
    assert resolve(Snapshot.of(pods=PODS), service(cluster_ips=(), external_name="example.org")) == ()


def test_external_addresses_and_node_ports_are_told_apart() -> None:
    """Traffic to them is masqueraded, traffic to a cluster address is not."""
    made = service(external_ips=(EXTERNAL, V4), ports=(ServicePort(80, "TCP", 8080, "web", 30080),))
    routes = resolve(Snapshot.of(pods=PODS), made)
    assert [(r.address, r.port, r.external, r.node_port) for r in routes] == [
        (V4, 80, False, False),
        (V6, 80, False, False),
        (EXTERNAL, 80, True, False),
        (None, 30080, False, True),
    ]


def test_translate_finds_the_route_of_a_packet() -> None:
    """`can-reach` is asked about a Service's address and judges what is behind it."""
    made = service(external_ips=(EXTERNAL,), ports=(ServicePort(80, "TCP", "http", "web", 30080),))
    node = Node("n1", addresses=(ip("192.168.0.1"),))
    snapshot = Snapshot.of(pods=PODS, services=[service(cluster_ips=(ip("10.96.0.2"),)), made], nodes=[node])
    route = translate(snapshot, V4, "TCP", 80)
    assert route is not None
    assert [end.port for end in route.backends] == [8080, 9090]
    assert translate(snapshot, EXTERNAL, "TCP", 80) is not None
    by_node = translate(snapshot, ip("192.168.0.1"), "TCP", 30080)
    assert by_node is not None
    assert by_node.node_port
    assert {end.address.version for end in by_node.backends} == {4}
    for address, protocol, port in ((V4, "UDP", 80), (V4, "TCP", 81), (V4, "TCP", 30080), (ip("10.1.0.1"), "TCP", 80)):
        assert translate(snapshot, address, protocol, port) is None
    assert translate(snapshot, ip("192.168.0.1"), "TCP", 80) is None
