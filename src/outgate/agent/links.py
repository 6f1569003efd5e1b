"""How pods hang on this node: which interface leads to each, what such interfaces are called, and what is in the way.

A rule that asks for interface *and* address needs to know both. Where each pod has an interface of its own
(`Attachment.ROUTED`) that is exact. Behind a bridge all pods come in by the bridge's name: whose packet it is, the
guard of the bridge asks at its ports (`outgate.host.bridges`, `outgate.nft.guard`), and packets between two pods of it
meet the policies only where br_netfilter shows them to the hooks of IP. What is in the way is said (`hindrances`), and
a node that cannot enforce never claims to.

Of an address that the other end of a port gets, no event tells. When a pod is named whose port is not known, the ends
are asked that had none; where that does not help, everything is read anew, at once and then each second until it is.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from outgate.agent.events import Chosen, Event, Linked
from outgate.agent.loop import Observer
from outgate.agent.step import State
from outgate.agent.world import World
from outgate.host.bridges import Behind, Doors
from outgate.host.bypass import bypasses
from outgate.host.interfaces import Attachment, Interfaces, InterfaceWatch
from outgate.host.netlink import ROUTE, NetlinkSocket
from outgate.host.waiting import readable
from outgate.nft.guard import nameable
from outgate.packets import Address

__all__ = ["KNOWN_PREFIXES", "LinkWatch", "Ways", "hindrances", "prefix_of"]

KNOWN_PREFIXES = ("veth", "cali", "eni", "gke", "azv", "lxc", "tap", "ogp")
"""What network plugins call the node's end of a pod's link: the reference plugins, Calico, AWS, GKE, Azure, ..."""

_LISTENING = 1.0
"""Seconds: how long is listened for events before it is looked whether to end."""


class Ways(Mapping[Address, str]):
    """The interface that leads to an address; nothing for one that a gateway or another network leads to."""

    def __init__(self, interfaces: Interfaces) -> None:
        self.interfaces = interfaces

    def __getitem__(self, address: Address) -> str:
        way = self.interfaces.towards(address)
        if way is None or way.attachment is Attachment.BEYOND:
            raise KeyError(address)
        return way.interface

    def __iter__(self) -> Iterator[Address]:
        """None can be named: every address has a way, or none."""
        return iter(())

    def __len__(self) -> int:
        return 0


def prefix_of(links: Iterable[str], before: str) -> str:
    """What the names of pods' interfaces begin with, as far as those that are known tell; else what it was before.

    A bridge is named whole. Where pods are found behind interfaces that have nothing known in common, they are known by
    the node's blocks of addresses alone.
    """
    names = {name for name in links if name}
    if not names:
        return before
    if len(names) == 1 and not any(name.startswith(KNOWN_PREFIXES) for name in names):
        return names.pop()
    return next((one for one in KNOWN_PREFIXES if all(name.startswith(one) for name in names)), "")


def hindrances(interfaces: Interfaces, addresses: Iterable[Address], *, guards: bool = True) -> tuple[str, ...]:
    """What keeps the rules of this node from being true for pods at these addresses, in words.

    `guards`: whether the kernel has nftables for bridges.
    """
    ways = {address: interfaces.towards(address) for address in addresses}
    bridged = {way.interface for way in ways.values() if way is not None and way.attachment is Attachment.BRIDGED}
    found = []
    for bridge in interfaces.bridges():
        families = [name for name, seen in (("IPv4", bridge.ipv4_filtered), ("IPv6", bridge.ipv6_filtered)) if not seen]
        if bridge.name in bridged and families:
            found.append(
                f"pods on bridge {bridge.name} reach each other past the rules ({' and '.join(families)}): load the "
                "module br_netfilter and set net.bridge.bridge-nf-call-iptables and -ip6tables to 1"
            )
    if bridged and not guards:
        found.append(
            f"pods on bridge {', '.join(sorted(bridged))} can send under each other's addresses: the kernel has no "
            "nftables for bridges (CONFIG_NF_TABLES_BRIDGE)"
        )
    used = {way.interface for way in ways.values() if way is not None}
    ports = {port for bridge in interfaces.bridges() if bridge.name in bridged for port in bridge.ports}
    found += map(str, bypasses(lambda name: name in used | ports))
    lost = sorted(str(address) for address, way in ways.items() if way is None or way.attachment is Attachment.BEYOND)
    if lost:
        found.append(f"no interface of this node leads to {', '.join(lost[:4])}{' and more' if len(lost) > 4 else ''}")
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """What there is to be looked at for hindrances."""

    interfaces: Interfaces
    mine: frozenset[Address]
    unplugged: tuple[str, ...]


class LinkWatch(Observer):
    """Tells the loop how addresses are reached, and finds out what pods' interfaces are called. An `Observer`.

    Raises:
        KernelError: the kernel does not tell of its interfaces.
    """

    def __init__(
        self,
        deliver: Callable[[Event], object],
        *,
        choose: bool,
        guards: bool = True,
        hindered: Callable[[tuple[str, ...]], object] = lambda _: None,
    ) -> None:
        self.hindrances: tuple[str, ...] = ()
        """What is in the way, as last looked; a new tuple each time."""
        self._deliver = deliver
        self._choose = choose
        self._guards = guards
        self._hindered = hindered
        self._watch = InterfaceWatch()
        self._asking = NetlinkSocket(ROUTE, strict=True)
        self._doors = Doors(self._asking)
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ending = threading.Event()
        self._seen: tuple[object, object, object] = (None, None, None)
        self._unplugged: frozenset[Address] = frozenset()
        """Addresses of this node's pods behind a bridge whose port is not known."""
        self._question: _Question | None = None
        self._judged: _Question | None = None
        self._judge_at = 0.0
        self._told = Linked(Ways(self._watch.current), self._behind())
        deliver(self._told)

    def run(self) -> None:
        """The body of a thread: listen until `stop`."""
        while not self._ending.is_set():
            rung = self._bell in readable(self._watch.fileno(), self._bell, within=_LISTENING)
            if rung:
                os.eventfd_read(self._bell)
            changed = self._watch.read(0.0)
            if changed or rung or self._unplugged:
                self._look(changed=changed)
            if time.monotonic() >= self._judge_at:
                self._judge()

    def _look(self, *, changed: bool) -> None:
        before, found = self._watch.current, self._behind()
        if any(len(found.holders.get(one, ())) != 1 for one in self._unplugged):
            self._watch.refresh()
            found = self._behind(anew=True)
        changed |= self._watch.current != before
        if changed or found != self._told.behind:
            self._told = Linked(Ways(self._watch.current) if changed else self._told.links, found)
            self._deliver(self._told)

    def _judge(self) -> None:
        """Say what is in the way, where pods or ways are others than they were."""
        asked = self._question
        if asked is None or asked is self._judged:
            return
        self._judged, self._judge_at = asked, time.monotonic() + _LISTENING
        self.hindrances = hindrances(asked.interfaces, asked.mine, guards=self._guards) + asked.unplugged
        self._hindered(self.hindrances)

    def stop(self) -> None:
        """End `run` soon."""
        self._ending.set()
        os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Let go of the sockets, once `run` has ended."""
        self._watch.close()
        self._asking.close()
        os.close(self._bell)

    def _behind(self, *, anew: bool = False) -> Behind:
        """Who is behind the ports of the bridges; nobody where the kernel cannot guard them."""
        if not self._guards:
            return Behind()
        found = self._doors.look(self._watch.current, anew=anew)
        odd = {name for name in found.doors if not nameable(name)}
        if not odd:
            return found
        holders = {one: tuple(name for name in names if name not in odd) for one, names in found.holders.items()}
        macs = {one: tuple(name for name in names if name not in odd) for one, names in found.macs.items()}
        return replace(
            found, doors=found.doors - odd, holders=holders, macs={one: to for one, to in macs.items() if to}
        )

    def turned(self, state: State, now: float) -> None:  # noqa: ARG002 - how pods hang on the node has no time
        """Look again where the pods of this node, or the ways to them, have changed."""
        world = state.world
        mine = frozenset(address for key in world.local for address in world.pods[key].addresses)
        before, self._seen = self._seen, (mine, world.ways, world.behind)
        if before[0] == mine and before[1] is world.ways and before[2] is world.behind:
            return
        interfaces = getattr(world.ways, "interfaces", None)
        if interfaces is None:
            return
        self._question = _Question(interfaces, mine, self._without_port(world))
        if self._judged is None or not self._judged.mine:
            # Nothing may be claimed before pods have been looked at once; afterwards the thread has the time for it.
            self._judge()
        options = state.desired.options
        if self._choose:
            prefix = prefix_of((world.links.get(address, "") for address in mine), options.interface_prefix)
            if prefix != options.interface_prefix:
                self._deliver(Chosen(replace(options, interface_prefix=prefix)))

    def _without_port(self, world: World) -> tuple[str, ...]:
        """Have the ports read anew that are not known. Said is what was not known before that, too."""
        before, self._unplugged = self._unplugged, frozenset(one for one, port in world.ports.items() if not port)
        if self._unplugged - before:
            os.eventfd_write(self._bell, 1)
        lost = sorted(map(str, self._unplugged & before))
        if not lost:
            return ()
        return (f"no port of a bridge leads to {', '.join(lost[:4])}{' and more' if len(lost) > 4 else ''} alone",)
