"""How pods hang on a node: the ways, the names, and what is said to be in the way."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import pytest

from outgate.agent.events import Chosen, Event, Linked
from outgate.agent.links import LinkWatch, Ways, hindrances, prefix_of
from outgate.agent.step import State, plan
from outgate.cluster.events import Upserted
from outgate.host import links, namespaces
from outgate.host.bridges import Behind
from outgate.host.interfaces import Interfaces
from outgate.lab.session import run_in_lab
from outgate.model import Pod
from outgate.nft.options import Options
from outgate.packets import Address
from outgate.packets.addresses import address_of
from tests.lab.alone import alone

ONE, TWO = address_of(4, 0x0A010001), address_of(4, 0x0A010002)


@pytest.mark.parametrize(
    ("names", "before", "expected"),
    [
        ([], "veth", "veth"),
        (["veth1f", "veth2a"], "", "veth"),
        (["cali1", "cali2"], "", "cali"),
        (["cni0"], "", "cni0"),
        (["cni0", "cni0", ""], "", "cni0"),
        (["cni0", "veth1"], "", ""),
        (["strange0", "other1"], "veth", ""),
    ],
)
def test_the_prefix_is_what_all_have_in_common(names: list[str], before: str, expected: str) -> None:
    """A prefix that some pod's interface lacks would let that pod be a stranger to its own rules."""
    assert prefix_of(names, before) == expected


def until(true: Callable[[], bool]) -> None:
    """Wait for what the watch's thread finds out; it tells nobody."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it never was so"
        time.sleep(0.01)


def routed() -> None:
    """A pod behind a veth, as the plugins ptp and kindnet make it, and a way through a gateway."""
    links.batch(
        [
            "link set lo up",
            "link add vethaa type veth peer name eth0",
            "link set vethaa up",
            "link set eth0 up",
            "addr add 192.0.2.1/32 dev lo",
            f"route add {ONE} dev vethaa",
        ]
    )


@pytest.mark.kernel
def test_a_routed_pod_is_behind_its_own_interface() -> None:
    """The rule asks for interface and address together."""

    def inside() -> tuple[str | None, str | None]:
        routed()
        ways = Ways(Interfaces.read())
        return ways.get(ONE), ways.get(TWO)

    assert alone(inside) == ("vethaa", None)


@pytest.mark.kernel
def test_a_pod_without_a_way_is_said() -> None:
    """A pod that no interface leads to is not enforced, and silence would claim that it is."""

    def inside() -> tuple[tuple[str, ...], tuple[str, ...]]:
        routed()
        interfaces = Interfaces.read()
        return hindrances(interfaces, (ONE,)), hindrances(interfaces, (ONE, TWO))

    good, bad = alone(inside)
    assert good == ()
    assert bad == (f"no interface of this node leads to {TWO}",)


@pytest.mark.kernel
def test_pods_on_a_bridge_that_hides_them_are_said() -> None:
    """Without br_netfilter, packets between two pods of a bridge never meet a rule."""

    def inside() -> tuple[str, ...]:
        links.batch(["link add cni0 type bridge", "link set cni0 up", "addr add 10.1.0.254/24 dev cni0"])
        return hindrances(Interfaces.read(), (ONE,))

    found = alone(inside)
    assert len(found) <= 1, "one line for one bridge"
    assert all("cni0" in one and "br_netfilter" in one for one in found)


@pytest.mark.kernel
def test_the_prefix_is_chosen_once_a_pod_is_seen() -> None:
    """Until then pods are known by the node's blocks alone; afterwards by interface, and spoofing can be seen."""

    def inside() -> list[str]:
        routed()
        heard: list[Event] = []
        watch = LinkWatch(heard.append, choose=True)
        state = State.of("n1", Options())
        assert isinstance(heard[0], Linked)
        plan(state, [heard.pop()])
        watch.turned(state, 0.0)
        assert heard == []
        plan(state, [Upserted("Pod", Pod("a", "one", addresses=(ONE,), node="n1"), 0.0)])
        watch.turned(state, 0.0)
        watch.turned(state, 0.0)
        watch.close()
        return [one.options.interface_prefix for one in heard if isinstance(one, Chosen)]

    assert alone(inside) == ["veth"]


def bridged(*ports: str) -> namespaces.NetworkNamespace:
    """A node with a bridge and a namespace behind each port, called as the port; its link has no address yet."""
    node = namespaces.create("node")
    for number, _ in enumerate(ports):
        namespaces.create(f"end{number}")
    links.batch(
        [
            "link add cni0 type bridge",
            "link set cni0 up",
            "addr add 10.1.0.254/24 dev cni0",
            *(f"link add {port} type veth peer name eth0 netns end{number}" for number, port in enumerate(ports)),
            *(f"link set {port} master cni0" for port in ports),
        ],
        inside=node,
    )
    return node


def pod(name: str, *addresses: Address) -> Upserted:
    """The API server tells of a pod of node n1."""
    return Upserted("Pod", Pod("a", name, addresses=addresses, node="n1"), 0.0)


@pytest.mark.kernel
def test_an_address_that_a_pod_gets_later_is_found() -> None:
    """No event tells of it, and the pod is closed until its port is known. What is not found is said."""

    def inside() -> int:
        heard: queue.Queue[Event] = queue.Queue()
        with bridged("veth1", "veth2").enter():
            watch = LinkWatch(heard.put, choose=False)
            listening = threading.Thread(target=watch.run)
            listening.start()
        state = State.of("n1", Options("cni0"))
        plan(state, [heard.get(timeout=30), pod("one", ONE), pod("two", TWO)])
        assert state.world.ports == {ONE: "", TWO: ""}
        watch.turned(state, 0.0)
        links.batch([f"addr add {ONE}/24 dev eth0"], inside=namespaces.opened("end0"))
        while state.world.ports[ONE] != "veth1":
            plan(state, [heard.get(timeout=30)])
        watch.turned(state, 0.0)
        until(lambda: f"no port of a bridge leads to {TWO} alone" in watch.hindrances)
        links.batch([f"addr add {TWO}/24 dev eth0"], inside=namespaces.opened("end1"))
        while state.world.ports[TWO] != "veth2":
            plan(state, [heard.get(timeout=30)])
        watch.turned(state, 0.0)
        until(lambda: not any("no port" in one for one in watch.hindrances))
        watch.stop()
        listening.join()
        watch.close()
        return 0

    assert run_in_lab(inside) == 0


@pytest.mark.kernel
def test_a_kernel_without_a_guard_is_said() -> None:
    """Its pods are let talk as before, and the node does not claim that they cannot be each other."""

    def inside() -> int:
        heard: list[Event] = []
        with bridged("veth1").enter():
            watch = LinkWatch(heard.append, choose=False, guards=False)
        assert isinstance(heard[0], Linked)
        assert heard[0].behind == Behind()
        state = State.of("n1", Options("cni0"))
        plan(state, [*heard, pod("one", ONE)])
        watch.turned(state, 0.0)
        watch.close()
        assert state.world.ports == {}
        assert any("each other's addresses" in one for one in watch.hindrances)
        return 0

    assert run_in_lab(inside) == 0


@pytest.mark.kernel
def test_a_port_that_no_rule_can_name_leads_to_nobody() -> None:
    """The kernel takes such a name, nft does not; the pod stays closed, and the agent goes on."""

    def inside() -> int:
        heard: list[Event] = []
        node = bridged("veth1")
        links.batch([f"addr add {ONE}/24 dev eth0"], inside=namespaces.opened("end0"))
        links.batch(["link set veth1 name veth*"], inside=node)
        with node.enter():
            LinkWatch(heard.append, choose=False).close()
        state = State.of("n1", Options("cni0"))
        plan(state, [*heard, pod("one", ONE)])
        assert state.world.ports == {ONE: ""}
        return 0

    assert run_in_lab(inside) == 0
