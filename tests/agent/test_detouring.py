"""Who takes the detour, and what becomes of it where the kernel does not take it."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.agent.detouring import Detouring, detour_of
from outgate.agent.step import State
from outgate.errors import KernelError
from outgate.host import detour as door
from outgate.host import interfaces as seen
from outgate.host.bridges import Behind
from outgate.host.interfaces import Bridge, Interfaces
from outgate.host.rtnetlink import Link
from outgate.nft.detour import Detour
from outgate.packets import Address
from tests.agent.test_proxying import PODS, town

MAC = "02:00:00:00:00:02"
ONE = ipaddress.ip_address("10.1.0.10")


class Ways(dict[Address, str]):
    """What leads to whom, as `LinkWatch` tells it."""

    interfaces = Interfaces({1: Link(1, "cni0", 0, kind="bridge", address=MAC)}, {})


def bridged() -> State:
    """A node whose pod web is behind a port of a bridge."""
    state = town()
    behind = Behind(frozenset({"cni0"}), {ONE: ("door",)}, {}, frozenset({"door"}))
    state.world.link(Ways({ONE: "cni0"}), behind)
    state.world.put_pod(PODS[0, "web", True])
    state.desired.rebuild()
    state.seen, state.rebuild = True, False
    state.dirty.clear()
    return state


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether br_netfilter shows the packets of the bridge."""
    answer = [True]
    monkeypatch.setattr(seen.Interfaces, "bridges", lambda _: (Bridge("cni0", ("door", "up"), answer[0], answer[0]),))
    return answer


def test_who_is_caught_takes_it(shown: list[bool]) -> None:
    """And who may be held is taken off the bridge; without br_netfilter it is said."""
    state = bridged()
    bridges = {MAC: ("door", "up")}
    assert detour_of(state, Ways.interfaces) == (Detour({"door": (ONE,)}, bridges), ())
    state.desired.move(state.world.put_pod(PODS[0, "api", True]))
    assert detour_of(state, Ways.interfaces) == (Detour({}, bridges), ())
    shown[0] = False
    made, (words,) = detour_of(state, Ways.interfaces)
    assert made == Detour()
    assert "pods on bridge cni0 ask each other past them by IPv4" in words


def test_what_the_kernel_refuses_is_said_once_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second later, and not before; what it has is not told it again."""
    told: list[Detour] = []
    said: list[str] = []

    def program(one: Detour, mark: int) -> None:
        told.append(one)
        assert mark == 0x100
        if len(told) < 3:
            raise KernelError("no such port")

    monkeypatch.setattr(door, "program", program)
    keeping, state = Detouring(0x100, said.append), bridged()
    for now in (0.0, 0.5, 1.0, 2.5, 2.6, 9.0):
        keeping.turned(state, now)
    assert len(told) == 3
    assert len(said) == 1
    assert "no such port" in said[0]
    # Somebody has taken our tables away, so perhaps these, too.
    state.drift += 1
    keeping.turned(state, 10.0)
    assert len(told) == 4
