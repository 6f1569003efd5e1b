"""Who is behind a port: what the other end has, and nothing that anybody has sent."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest

from outgate.host import links, namespaces
from outgate.host.bridges import Behind, behind
from outgate.host.interfaces import Interfaces
from outgate.host.netlink import ROUTE, NetlinkSocket
from outgate.lab.session import run_in_lab

pytestmark = pytest.mark.kernel
FOUR, SIX = ipaddress.ip_address("10.2.0.5"), ipaddress.ip_address("fd00:2::5")


def look() -> Behind:
    """What there is now."""
    with NetlinkSocket(ROUTE, strict=True) as asking:
        return behind(asking, Interfaces.asked(asking))


def mac_of(space: str) -> int:
    """What the other end of a pod's port says itself."""
    found = subprocess.run(
        ("ip", "-n", space, "-j", "link", "show", "eth0"), check=True, capture_output=True, text=True
    ).stdout
    return int(json.loads(found)[0]["address"].replace(":", ""), 16)


def on_a_bridge(check: Callable[[namespaces.NetworkNamespace], None]) -> None:
    """Two pods behind a bridge, one behind a link of its own, an uplink and a dangling end; then the check."""

    def inside() -> int:
        node, one, two = (namespaces.create(name) for name in ("node", "one", "two"))
        links.batch(
            [
                "link add cni0 type bridge",
                "link add veth1 type veth peer name eth0 netns one",
                "link add veth2 type veth peer name eth0 netns two",
                "link add alone type veth peer name eth1 netns two",
                "link add up0 type veth peer name up1",
                *(f"link set {name} master cni0" for name in ("veth1", "veth2", "up0")),
                "addr add 10.2.0.99/24 dev up1",
            ],
            inside=node,
        )
        links.batch(["link set lo up", f"addr add {FOUR}/24 dev eth0", f"addr add {SIX}/64 dev eth0"], inside=one)
        links.batch(["addr add 10.2.0.6/24 dev eth0", "addr add 10.2.0.7/24 dev eth1"], inside=two)
        with node.enter():
            check(two)
        return 0

    assert run_in_lab(inside) == 0


def test_each_address_is_behind_its_port() -> None:
    """Both families; neither what the loopback of a pod has, nor what another link of it has, is behind the port."""

    def check(_: namespaces.NetworkNamespace) -> None:
        six = ipaddress.ip_address("10.2.0.6")
        holders = {FOUR: ("veth1",), SIX: ("veth1",), six: ("veth2",)}
        macs = {mac_of("one"): ("veth1",), mac_of("two"): ("veth2",)}
        wanted = Behind(frozenset({"cni0"}), holders, macs, frozenset({"veth1", "veth2"}), frozenset({"up0"}))
        assert look() == wanted

    on_a_bridge(check)


def test_what_two_claim_is_told_of_both() -> None:
    """Who is right is not for this room to say."""

    def check(two: namespaces.NetworkNamespace) -> None:
        links.batch([f"addr add {FOUR}/32 dev eth0"], inside=two)
        assert look().holders[FOUR] == ("veth1", "veth2")
        links.batch([f"link set eth0 address {mac_of('one').to_bytes(6, 'big').hex(':')}"], inside=two)
        assert look().macs == {mac_of("one"): ("veth1", "veth2")}

    on_a_bridge(check)


def test_what_goes_is_behind_nothing() -> None:
    """A link that is deleted, and a port that leaves its bridge."""

    def check(_: namespaces.NetworkNamespace) -> None:
        links.batch(["link del veth1", "link set veth2 nomaster"])
        assert look() == Behind(frozenset({"cni0"}), {}, {}, frozenset(), frozenset({"up0"}))

    on_a_bridge(check)


def test_no_namespace_is_asked_that_is_not_there() -> None:
    """The number of a namespace is of the moment before: one that is gone has no addresses, and is no error."""

    def check(_: namespaces.NetworkNamespace) -> None:
        with NetlinkSocket(ROUTE, strict=True) as asking:
            interfaces = Interfaces.asked(asking)
            gone = {
                index: replace(one, namespace=999)
                for index, one in interfaces.links.items()
                if one.namespace is not None
            }
            found = behind(asking, Interfaces({**interfaces.links, **gone}, interfaces.routes))
        assert found.holders == {}
        assert found.macs == {}
        assert found.doors == {"veth1", "veth2"}

    on_a_bridge(check)
