"""Who of the pods behind a bridge has connections that are caught: they take the detour of `outgate.nft.detour`.

It comes after the table that catches them. Until it is there, and where it cannot be, their first packets are given to
nobody: they are sent again, and closed is what they would be without a proxy.

Where br_netfilter does not show a bridge's packets to the hooks of IP, TPROXY works by itself for what leaves the
bridge; what its pods ask of each other is judged by nobody at all (`outgate.agent.links` calls the node hindered), and
no detour is made: the answers would miss it. That is said.
"""

from __future__ import annotations

from collections.abc import Callable

from outgate.agent.loop import Observer
from outgate.agent.step import State
from outgate.errors import KernelError
from outgate.host import detour as door
from outgate.host.interfaces import Interfaces
from outgate.nft.detour import Detour
from outgate.nft.guard import nameable
from outgate.nft.redirects import CATCHES
from outgate.packets import Address

__all__ = ["Detouring", "detour_of"]

_AGAIN = 1.0
"""Seconds until what the kernel refused is tried again: a port may have gone meanwhile."""


class Detouring(Observer):
    """Keeps the detour as it is to be. `mark` is the bit by which packets are delivered to the proxy."""

    def __init__(self, mark: int, say: Callable[[str], None]) -> None:
        self._mark = mark
        self._say = say
        self._said: tuple[str, ...] = ()
        self._seen: tuple[object, ...] = ()
        self._has: Detour | None = None
        """What the kernel has; None where that is not known."""
        self._not_before = 0.0

    def turned(self, state: State, now: float) -> None:
        """Bring the kernel to what it should have, where something changed."""
        desired, world = state.desired, state.world
        seen = (desired, desired.requests_revision, world.rewired, world.ways, state.drift)
        if not state.settled or not state.ready or (self._has is not None and seen == self._seen):
            return
        if now < self._not_before:
            return
        if self._seen and self._seen[-1] != state.drift:
            self._has = None
        interfaces = getattr(world.ways, "interfaces", None)
        wanted, words = detour_of(state, interfaces) if interfaces is not None else (Detour(), ())
        try:
            if wanted != self._has:
                door.program(wanted, self._mark)
            self._has, self._seen = wanted, seen
        except KernelError as error:
            self._has, self._not_before = None, now + _AGAIN
            if wanted:
                lost = f"connections of pods behind bridges are not led to Envoy, so they stop: {error.message}"
                words = (*words, lost)
        if words != self._said:
            self._said = words
            for one in words:
                self._say(f"rules about requests: {one}")


def detour_of(state: State, interfaces: Interfaces) -> tuple[Detour, tuple[str, ...]]:
    """The detour of a node's pods, and what is to be said of those that cannot take it."""
    ports: dict[str, list[Address]] = {}
    bridges: dict[str, tuple[str, ...]] = {}
    closed: set[tuple[str, int]] = set()
    macs = {link.name: link.address for link in interfaces.links.values()}
    mine = _mine(state)
    known = {bridge.name: bridge for bridge in interfaces.bridges()} if mine else {}
    for address, caught in mine.items():
        name = state.world.links.get(address, "")
        bridge = known.get(name)
        if bridge is None or not (bridge.ipv4_filtered if address.version == 4 else bridge.ipv6_filtered):
            closed.add((name, address.version))
            continue
        bridges[macs[name]] = tuple(filter(nameable, bridge.ports))
        if caught:
            ports.setdefault(state.world.ports[address], []).append(address)
    words = tuple(
        f"pods on bridge {name} ask each other past them by IPv{version}, as past all other rules: load the module "
        "br_netfilter and set net.bridge.bridge-nf-call-iptables and -ip6tables to 1"
        for name, version in sorted(closed)
    )
    return Detour({port: tuple(some) for port, some in ports.items()}, bridges), words


def _mine(state: State) -> dict[Address, bool]:
    """The addresses behind bridges of which the proxy may hold connections, and whether new ones are caught."""
    desired, world = state.desired, state.world
    if not desired.catching:
        return {}
    maps = frozenset(CATCHES.values())
    held = [one for key in sorted(desired.held) if world.is_local(key) for one in world.pods[key].addresses]
    return {one: any(name in maps for name, _ in desired.placed.get(one, {})) for one in held if world.ports.get(one)}
