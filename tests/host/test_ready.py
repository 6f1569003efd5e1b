"""Waiting for IPv6 addresses: by events, with an end, and with words where there is none."""

from __future__ import annotations

import ipaddress
import threading

import pytest

from outgate.errors import KernelError
from outgate.host import links, namespaces, process, ready
from outgate.lab.session import run_in_lab
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel
ONE = ipaddress.IPv6Address("fd00::1")


def pair(*, milliseconds: int) -> None:
    """A link whose two ends are up, on which an address is tentative for so long."""
    links.batch(["link add left type veth peer name right"])
    namespaces.write_sysctls(detection("left", milliseconds))
    links.batch(["link set left up", "link set right up"])


def detection(interface: str, milliseconds: int) -> dict[str, str]:
    """The settings that make the detection of duplicates on an interface take so long."""
    return {
        f"net/ipv6/neigh/{interface}/retrans_time_ms": str(milliseconds),
        f"net/ipv6/conf/{interface}/router_solicitation_delay": "0",
        f"net/ipv6/conf/{interface}/accept_dad": "1",
    }


def test_nothing_is_waited_for_where_nothing_was_added() -> None:
    """A batch without IPv6 addresses pays nothing, and an interface that has gone is nobody's any more."""

    def inside() -> None:
        ready.await_local([])
        ready.await_local([(ONE, "nonesuch"), (ONE, "lo")])

    alone(inside)


def test_the_end_of_patience_is_an_error_in_words() -> None:
    """A lab that hangs says nothing; one that goes on sends packets that are lost."""

    def inside() -> str:
        pair(milliseconds=60_000)
        process.run(("ip", "addr", "add", "fd00::1/128", "dev", "left"))
        with pytest.raises(KernelError) as caught:
            ready.await_local([(ONE, "left")], timeout=0.05)
        return caught.value.message

    assert alone(inside) == "after 0.05 s these IPv6 addresses cannot be used yet: fd00::1 on left"


def test_an_address_that_goes_away_ends_the_wait() -> None:
    """Somebody else may undo what was done; that is no reason to wait for the whole time."""

    def inside() -> None:
        pair(milliseconds=60_000)
        process.run(("ip", "addr", "add", "fd00::1/128", "dev", "left"))
        waiting = threading.Thread(target=lambda: ready.await_local([(ONE, "left")], timeout=100))
        waiting.start()
        process.run(("ip", "addr", "del", "fd00::1/128", "dev", "left"))
        waiting.join(60)
        assert not waiting.is_alive()

    alone(inside)


def test_an_address_of_somebody_else_is_told() -> None:
    """It will never be local, and waiting would end in words that hide why."""

    def inside() -> int:
        one, two = namespaces.create("one"), namespaces.create("two")
        links.batch(["link add left netns one type veth peer name right netns two"])
        with one.enter():
            namespaces.write_sysctls(detection("left", 500))
        links.batch(["link set right up", "addr add fd00::1/64 dev right nodad"], inside=two)
        with pytest.raises(KernelError, match=r"fd00::1 on left is somebody else's on that link already"):
            links.batch(["link set left up", "addr add fd00::1/64 dev left"], inside=one)
        return 0

    assert run_in_lab(inside) == 0
