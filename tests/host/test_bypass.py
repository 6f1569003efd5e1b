"""Signs that packets go past netfilter are seen on real interfaces, and an ordinary node shows none."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

import pytest

from outgate.host import links, process, rtnetlink
from outgate.host.bypass import Sign, bypasses
from outgate.host.netlink import ROUTE, NetlinkSocket
from outgate.host.netlink_format import NESTED, attribute
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel
PAIR = ["link add veth1 type veth peer name eth0", "link set veth1 up", "link set eth0 up"]


def tc(*lines: str) -> bool:
    """Traffic control; False where this kernel lacks a kind of filter or action."""
    done = process.run(("tc", "-batch", "-"), input="".join(f"{line}\n" for line in lines), check=False)
    lacking = "not found" in done.stderr or "Failed to load" in done.stderr
    assert done.code == 0 or lacking, done.stderr
    return done.code == 0


def test_an_ordinary_node_shows_no_sign() -> None:
    """Veths, a bridge, an ordinary queue, even an ingress queue that filters nothing."""

    def inside() -> None:
        links.batch([*PAIR, "link add cni0 type bridge", "link set veth1 master cni0"])
        tc("qdisc add dev veth1 clsact", "qdisc add dev eth0 ingress")
        assert bypasses() == ()

    alone(inside)


def test_programs_of_traffic_control_are_seen() -> None:
    """At both places, and only those that decide or redirect."""

    def inside() -> tuple[tuple[Sign, ...], tuple[Sign, ...]] | None:
        links.batch([*PAIR, "link add lxc1 type veth peer name eth1"])
        redirect = "action mirred egress redirect dev eth0"
        possible = tc(
            "qdisc add dev veth1 clsact",
            "qdisc add dev lxc1 ingress",
            "filter add dev veth1 ingress bpf bytecode '1,6 0 0 0' flowid 1:1",
            f"filter add dev veth1 egress u32 match u32 0 0 {redirect}",
            f"filter add dev lxc1 ingress u32 match u32 0 0 {redirect}",
            "qdisc add dev eth1 clsact",
            "filter add dev eth1 ingress u32 match u32 0 0 flowid 1:1",
        )
        return (bypasses(), bypasses(lambda name: name.startswith("lxc"))) if possible else None

    found = alone(inside)
    if found is None:
        pytest.skip("needs the filters bpf and u32 and the action mirred of tc")
    everything, some = found
    assert [str(one) for one in everything] == [
        "lxc1: filter of kind u32 at its ingress (tc) with an action that redirects packets",
        "veth1: BPF program at its ingress (tc)",
        "veth1: filter of kind u32 at its egress (tc) with an action that redirects packets",
    ]
    assert [one.interface for one in some] == ["lxc1"]


def test_kinds_and_names_are_seen() -> None:
    """Interfaces that hand packets elsewhere, and those that a plugin makes for its own dataplane."""

    def inside() -> tuple[Sign, ...]:
        links.batch([*PAIR, "link add cilium_host type veth peer name cilium_net"])
        links.batch(["link add link eth0 name mac1 type macvlan"])
        return bypasses()

    words = {one.interface: one.words for one in alone(inside)}
    assert words == {
        "cilium_host": "belongs to Cilium",
        "cilium_net": "belongs to Cilium",
        "mac1": "is of kind macvlan, whose packets go to the interface below it",
    }


def test_an_xdp_program_is_seen() -> None:
    """It decides before anything else in the kernel has seen the packet."""

    def inside() -> tuple[Sign, ...]:
        links.batch(PAIR)
        with NetlinkSocket(ROUTE) as asking:
            (index,) = (one.index for one in rtnetlink.links(asking) if one.name == "veth1")
            header = struct.pack("=BxHiII", 0, 0, index, 0, 0)
            # IFLA_XDP: the descriptor of the program, and XDP_FLAGS_SKB_MODE.
            what = attribute(1, struct.pack("=i", pass_everything())) + attribute(3, struct.pack("=I", 2))
            asking.ask(19, header + attribute(43 | NESTED, what), "attach a program")
        return bypasses()

    (sign,) = alone(inside)
    assert sign.interface == "veth1"
    assert sign.words.startswith("XDP program ")
    assert sign.words.endswith(" in the generic hook")


def pass_everything() -> int:
    """The descriptor of an XDP program of two instructions: r0 = XDP_PASS; exit."""
    number = {"x86_64": 321, "aarch64": 280}.get(platform.machine())
    if number is None:
        pytest.skip("needs the number of bpf(2) on this machine")
    code = ctypes.create_string_buffer(struct.pack("=BBhi", 0xB7, 0, 0, 2) + struct.pack("=BBhi", 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    asked = struct.pack("=IIQQ", 6, 2, ctypes.addressof(code), ctypes.addressof(licence)).ljust(128, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(number, 5, ctypes.create_string_buffer(asked), 128)
    if descriptor < 0:
        pytest.skip(f"no program can be loaded here: {os.strerror(ctypes.get_errno())}")
    return int(descriptor)


def test_hardware_and_switches_are_read_from_what_the_kernel_says() -> None:
    """No machine of ours has them, so the message is made by hand."""
    information = attribute(4, b"openvswitch\0")
    body = struct.pack("=BxHiII", 0, 1, 7, 1, 0) + attribute(3, b"ens1f0\0")
    body += attribute(18 | NESTED, information) + attribute(21, struct.pack("=I", 8))
    link = rtnetlink.link(body)
    assert (link.name, link.member_kind, link.functions) == ("ens1f0", "openvswitch", 8)
