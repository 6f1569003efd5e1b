"""Signs that packets of pods go past netfilter on this node, so that no rule of ours is asked about them.

An enforcer that says "denied" while packets take another road is worse than none. What can be seen is told, each with
what was seen, and not what it probably means: programs on an interface decide before netfilter, and may redirect; kinds
of interface that hand packets to the hardware, to the interface below or to Open vSwitch, before any hook of IP.

Not to be seen from here are programs attached by tcx (since Linux 6.6; only bpf(2) lists them) and interfaces that live
in a pod's own namespace with no other end on the node, as those of ipvlan, macvlan and SR-IOV do: of such a pod no
interface leads to its address (`interfaces.Interfaces.towards`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from outgate.host import rtnetlink
from outgate.host.netlink import ROUTE, NetlinkSocket
from outgate.host.netlink_format import attributes, text
from outgate.host.rtnetlink import Link

__all__ = ["Sign", "bypasses"]

_INGRESS, _EGRESS = 0xFFFF_FFF2, 0xFFFF_FFF3
"""The two places of clsact (TC_H_MIN_INGRESS, TC_H_MIN_EGRESS)."""
_BPF_NAME, _BPF_NUMBER = 7, 11
_XDP_MODES = {1: "in the driver", 2: "in the generic hook", 3: "in the hardware", 4: "in several hooks"}

_KINDS = {
    "netkit": "netkit, an interface whose packets are given to a BPF program",
    "ipvlan": "ipvlan, whose packets go to the interface below it",
    "macvlan": "macvlan, whose packets go to the interface below it",
    "macvtap": "macvtap, whose packets go to the interface below it",
    "openvswitch": "Open vSwitch, which switches packets by flows of its own",
}
_OWNERS = {
    "cilium_host": "Cilium",
    "cilium_net": "Cilium",
    "bpfin.cali": "the eBPF dataplane of Calico",
    "antrea-gw0": "Antrea",
    "ovn-k8s-mp0": "OVN-Kubernetes",
}
"""Interfaces that plugins make for a dataplane of their own, under names that do not change."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that was seen."""

    interface: str
    words: str

    def __str__(self) -> str:
        return f"{self.interface}: {self.words}"


def bypasses(concerns: Callable[[str], bool] = lambda _: True) -> tuple[Sign, ...]:
    """The signs on those interfaces, by name, that `concerns` says yes to; all, without it.

    Raises:
        KernelError: the kernel did not tell.
    """
    with NetlinkSocket(ROUTE, strict=True) as asking:
        links = {one.index: one for one in rtnetlink.links(asking) if concerns(one.name)}
        found = [Sign(one.name, words) for one in links.values() for words in _of_link(one)]
        for index, kind, handle in rtnetlink.queues(asking):
            if index not in links or kind not in ("clsact", "ingress"):
                continue
            for place, parent in _places(kind, handle):
                words = _of_filters(place, rtnetlink.filters(asking, index, parent))
                found += [Sign(links[index].name, one) for one in words]
    return tuple(sorted(dict.fromkeys(found), key=lambda one: (one.interface, one.words)))


def _of_link(link: Link) -> Iterator[str]:
    mode, program = link.xdp
    if mode:
        yield f"XDP program {program} {_XDP_MODES.get(mode, 'attached')}"
    if link.kind in _KINDS:
        yield f"is of kind {_KINDS[link.kind]}"
    if link.member_kind == "openvswitch":
        yield f"is a port of {_KINDS['openvswitch']}"
    if link.functions:
        yield f"has {link.functions} virtual functions (SR-IOV): what a pod sends through one goes past this kernel"
    if link.name in _OWNERS:
        yield f"belongs to {_OWNERS[link.name]}"


def _places(kind: str, handle: int) -> Iterable[tuple[str, int]]:
    return (("ingress", _INGRESS), ("egress", _EGRESS)) if kind == "clsact" else (("ingress", handle),)


def _of_filters(place: str, filters: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    for kind, options in filters:
        if kind == "bpf":
            parts = attributes(options)
            number = int.from_bytes(parts.get(_BPF_NUMBER, b"")[:4], rtnetlink.BYTE_ORDER)
            name = text(parts.get(_BPF_NAME, b""))
            which = f" {number}" if number else ""
            yield f"BPF program{which}{f' ({name})' if name else ''} at its {place} (tc)"
        elif b"mirred\0" in options:
            # The name of the action that redirects, wherever in the filter's options its list stands.
            yield f"filter of kind {kind} at its {place} (tc) with an action that redirects packets"
