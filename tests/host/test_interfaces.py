"""Which interface leads to a pod: as the kernel itself routes, for each kind of network, and through every change."""

from __future__ import annotations

import ipaddress
import json
import select
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outgate.host import links, namespaces, process
from outgate.host.interfaces import Attachment, Bridge, Interfaces, InterfaceWatch, Way, bridge_port
from outgate.lab.session import run_in_lab
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel
KERNEL = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def towards(text: str) -> Way | None:
    """The way to an address, read now."""
    return Interfaces.read().towards(ipaddress.ip_address(text))


def test_each_kind_of_network_is_recognised() -> None:
    """Calico and kindnet route, Flannel bridges, and a pod of another node is behind no interface of ours."""

    def inside() -> int:
        node, routed, bridged, second = (namespaces.create(name) for name in ("node", "routed", "bridged", "second"))
        links.batch(
            [
                "link add calia1 netns node type veth peer name eth0 netns routed",
                "link add veth1 netns node type veth peer name eth0 netns bridged",
                "link add veth2 netns node type veth peer name eth0 netns second",
            ]
        )
        links.batch(
            [
                "link add cni0 type bridge",
                "link add uplink type dummy" if dummies() else "link add uplink type veth peer name other",
                *(f"link set {name} up" for name in ("calia1", "veth1", "veth2", "cni0", "uplink")),
                "link set veth1 master cni0",
                "link set veth2 master cni0",
                "addr add 192.0.2.1/24 dev uplink",
                "addr add 10.2.0.1/24 dev cni0",
                "addr add fd00:2::1/64 dev cni0 nodad",
                "route add 10.1.0.5/32 dev calia1",
                "route add fd00:1::5/128 dev calia1",
                "route add 10.3.0.0/16 via 192.0.2.9",
                "route add 10.3.7.7/32 via 192.0.2.9",
            ],
            inside=node,
        )
        links.batch(["link set eth0 up", "addr add 10.1.0.5/32 dev eth0"], inside=routed)
        for number, space in enumerate((bridged, second), 5):
            links.batch(
                ["link set eth0 up", f"addr add 10.2.0.{number}/24 dev eth0", f"addr add fd00:2::{number}/64 dev eth0"],
                inside=space,
            )
        with node.enter():
            assert towards("10.1.0.5") == Way("calia1", Attachment.ROUTED, "veth")
            assert towards("fd00:1::5") == Way("calia1", Attachment.ROUTED, "veth")
            assert towards("10.2.0.5") == Way("cni0", Attachment.BRIDGED, "bridge")
            assert towards("fd00:2::5") == Way("cni0", Attachment.BRIDGED, "bridge")
            for beyond in ("10.3.0.5", "10.3.7.7", "192.0.2.77"):
                way = towards(beyond)
                assert way is not None
                assert (way.interface, way.attachment) == ("uplink", Attachment.BEYOND)
            assert towards("198.51.100.1") is None
            assert towards("fd00:9::1") is None
            (bridge,) = Interfaces.read().bridges()
            assert (bridge.name, bridge.ports) == ("cni0", ("veth1", "veth2"))
            assert bridge_port(ipaddress.ip_address("10.2.0.5")) == ""
            for address, port in (("10.2.0.5", "veth1"), ("10.2.0.6", "veth2"), ("fd00:2::6", "veth2")):
                meet(address)
                assert bridge_port(ipaddress.ip_address(address)) == port
        return 0

    assert run_in_lab(inside) == 0


def dummies() -> bool:
    """Whether the kernel has interfaces of the kind `dummy`."""
    made = process.run(("ip", "link", "add", "dummy9", "type", "dummy"), check=False).code == 0
    if made:
        process.run(("ip", "link", "del", "dummy9"))
    return made


def meet(address: str) -> None:
    """Make the kernel ask who has the address, and hear the answer."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(30)
        # Nobody listens there; the refusal comes from the one whom we wanted to meet.
        with pytest.raises(ConnectionRefusedError):
            one.connect((address, 9))


def test_bridges_say_whether_their_packets_pass_the_hooks() -> None:
    """Without br_netfilter two pods of a bridge talk past every rule."""

    def inside() -> None:
        links.batch(["link add cni0 type bridge", "link add cni1 type bridge"])
        loaded = Path("/proc/sys/net/bridge").exists()
        if not loaded:
            assert Interfaces.read().bridges() == (Bridge("cni0", (), False, False), Bridge("cni1", (), False, False))
            links.batch(["link set cni1 type bridge nf_call_iptables 1"])
            assert not Interfaces.read().bridges()[1].ipv4_filtered
            return
        namespaces.write_sysctls(
            {"net/bridge/bridge-nf-call-iptables": "0", "net/bridge/bridge-nf-call-ip6tables": "1"}
        )
        links.batch(["link set cni1 type bridge nf_call_iptables 1"])
        assert Interfaces.read().bridges() == (Bridge("cni0", (), False, True), Bridge("cni1", (), True, True))

    alone(inside)


NETWORKS = {
    4: ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.128/25", "10.1.2.3/32", "10.9.9.9/32"],
    6: ["fd00::/8", "fd00:1::/32", "fd00:1:2::/64", "fd00:1:2::3/128", "fd09::9/128"],
}
ADDRESSES = {
    4: ["10.1.2.3", "10.1.2.4", "10.1.2.200", "10.1.9.9", "10.9.9.9", "192.0.2.1"],
    6: ["fd00:1:2::3", "fd00:1:2::4", "fd00:1:9::", "fd01::", "fd09::9", "2001:db8::1"],
}
WAYS = ["one", "two", "three"]
ROUTES = st.lists(
    st.sampled_from([4, 6]).flatmap(
        lambda family: st.tuples(st.sampled_from(NETWORKS[family]), st.sampled_from(WAYS), st.sampled_from([5, 7]))
    ),
    max_size=8,
    unique_by=lambda route: (route[0], route[2]),
)


def prepare() -> None:
    """Three interfaces, of which the last leads everywhere."""
    links.batch(
        [
            *(f"link add {name} type veth peer name peer_{name}" for name in WAYS),
            *(f"link set {name} up" for name in (*WAYS, *(f"peer_{name}" for name in WAYS))),
            "addr add 192.0.2.9/24 dev three",
            "route add default dev three metric 100",
            "route add ::/0 dev three metric 2000",
        ]
    )


@KERNEL
@given(ROUTES)
def test_the_way_is_the_one_that_the_kernel_takes(routes: list[tuple[str, str, int]]) -> None:
    """A rule for another interface than the pod's drops all that the pod sends."""

    def inside() -> None:
        prepare()
        links.batch(f"route add {network} dev {name} metric {metric}" for network, name, metric in routes)
        read = Interfaces.read()
        lines = "".join(f"route get {address}\n" for family in ADDRESSES for address in ADDRESSES[family])
        answers = process.run(("ip", "-j", "-batch", "-"), input=lines).stdout.splitlines()
        for line in filter(None, answers):
            (taken,) = json.loads(line)
            way = read.towards(ipaddress.ip_address(taken["dst"]))
            assert way is not None
            assert way.interface == taken["dev"], taken["dst"]

    alone(inside)


STEPS = st.one_of(
    st.builds(
        "route {} {} dev {} metric {}".format,
        st.sampled_from(["add", "add", "replace", "del", "append"]),
        st.sampled_from(NETWORKS[4] + NETWORKS[6]),
        st.sampled_from(WAYS),
        st.sampled_from([5, 7]),
    ),
    st.builds("link set {} {}".format, st.sampled_from(WAYS), st.sampled_from(["up", "down"])),
    st.builds("link set {} {}".format, st.sampled_from(WAYS), st.sampled_from(["master bridge0", "nomaster"])),
    st.builds("addr {} 10.7.7.7/24 dev {}".format, st.sampled_from(["add", "del"]), st.sampled_from(WAYS)),
    st.builds("link {} extra type veth peer name other".format, st.sampled_from(["add", "del"])),
    st.just("link del two"),
)


@KERNEL
@given(st.lists(STEPS, min_size=3, max_size=12))
def test_events_lead_to_what_would_be_read(steps: list[str]) -> None:
    """What the watcher believes and what there is part ways for ever after one event that was misread."""

    def inside() -> None:
        prepare()
        links.batch(["link add bridge0 type bridge"])
        with InterfaceWatch() as watch:
            for step in steps:
                process.run(("ip", "-batch", "-"), input=f"{step}\n", check=False)
                watch.read(0)
                read = Interfaces.read()
                assert watch.current.routes == read.routes, step
                assert seen(watch.current) == seen(read), step

    alone(inside)


def seen(interfaces: Interfaces) -> dict[int, tuple[str, str, int]]:
    """What does not change by itself some time later, as the carrier does."""
    return {index: (one.name, one.kind, one.master) for index, one in interfaces.links.items()}


def test_a_change_is_told_once_and_silence_is_no_change() -> None:
    """The agent works when it is told to, so it must not be told without need."""

    def inside() -> None:
        prepare()
        with InterfaceWatch() as watch:
            while watch.read(0.2):
                pass
            assert not watch.read(0)
            process.run(("ip", "route", "add", "10.1.2.3/32", "dev", "one"))
            assert select.select([watch], [], [], 30)[0] == [watch]
            assert watch.read(30)
            way = watch.current.towards(ipaddress.ip_address("10.1.2.3"))
            assert way == Way("one", Attachment.ROUTED, "veth")
            assert not watch.read(0)

    alone(inside)


def test_after_an_overrun_everything_is_read_anew() -> None:
    """A node on which 100 pods start at once makes more events than a socket holds."""

    def inside() -> None:
        prepare()
        with InterfaceWatch(buffer=1) as watch:
            links.batch(f"route add 10.1.{number}.3/32 dev one" for number in range(200))
            links.batch(["route del 10.1.7.3/32 dev one"])
            assert watch.read(30)
            assert watch.current == Interfaces.read()
            assert len(watch.current.routes) > 200

    alone(inside)
