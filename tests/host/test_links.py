"""Batches of iproute2: in the right namespace, and with the line that failed in the error."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgate.errors import KernelError
from outgate.host import links, namespaces, process
from outgate.lab.session import run_in_lab
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel


def interfaces(space: namespaces.NetworkNamespace) -> set[str]:
    """The names of a namespace's interfaces."""
    listing = namespaces.run_in(space, ("ip", "-o", "link")).stdout
    return {line.split(": ")[1].partition("@")[0] for line in listing.splitlines()}


def test_lines_act_where_they_are_sent_and_ends_are_born_where_they_belong() -> None:
    """A link made in the wrong namespace would be a link of the machine's own in the worst case."""

    def inside() -> int:
        one, two = namespaces.create("one"), namespaces.create("two")
        links.batch(["link add left netns one type veth peer name right netns two"])
        links.batch(["link set left up", "addr add 10.0.0.1/32 dev left"], inside=one)
        assert interfaces(one) == {"lo", "left"}
        assert interfaces(two) == {"lo", "right"}
        assert process.run(("ip", "-o", "link")).stdout.count("\n") == 1
        assert "10.0.0.1" in namespaces.run_in(one, ("ip", "addr")).stdout
        links.batch([])
        return 0

    assert run_in_lab(inside) == 0


def test_the_line_that_failed_is_named() -> None:
    """`Command failed -:57` tells nobody anything."""

    def inside() -> int:
        one = namespaces.create("one")
        lines = ["link set lo up", "addr add 10.0.0.1/32 dev nonesuch", "addr add 10.0.0.2/32 dev lo"]
        with pytest.raises(
            KernelError, match=r"^ip addr add 10\.0\.0\.1/32 dev nonesuch in the network namespace one: "
        ):
            links.batch(lines, inside=one)
        with pytest.raises(KernelError, match=r"^ip frobnicate: "):
            links.batch(["frobnicate"])
        listing = namespaces.run_in(one, ("ip", "addr")).stdout
        assert "10.0.0.2" not in listing
        assert "UP" in listing
        return 0

    assert run_in_lab(inside) == 0


def local() -> set[str]:
    """The IPv6 addresses for which this namespace has a local route (RTF_LOCAL), as 32 digits."""
    lines = [line.split() for line in Path("/proc/thread-self/net/ipv6_route").read_text().splitlines()]
    return {words[0] for words in lines if int(words[8], 16) & 0x8000_0000}


def digits(address: str) -> str:
    """An address as /proc writes it."""
    return ipaddress.IPv6Address(address).packed.hex()


def test_added_ipv6_addresses_are_local_when_the_batch_returns() -> None:
    """Else the first packet finds no way. Detection of duplicates makes the delay sure; without it, it is rare."""

    def inside() -> None:
        links.batch(["link add left type veth peer name right"])
        namespaces.write_sysctls(
            {
                "net/ipv6/neigh/left/retrans_time_ms": "200",
                "net/ipv6/conf/left/router_solicitation_delay": "0",
                "net/ipv6/conf/left/accept_dad": "1",
            }
        )
        links.batch(["link set left up", "link set right up"])
        links.batch(["addr add fd00::1/128 dev left", "address replace fd00::2/64 dev left nodad"])
        assert {digits("fd00::1"), digits("fd00::2")} <= local()

    alone(inside)


@pytest.mark.parametrize("rootless", [False, True], ids=["as started", "as root of a user namespace"])
def test_addresses_of_a_busy_machine_are_local_too(rootless: bool) -> None:
    """The work queue that makes the routes is slow where processors are short: one in ten was seen to come late."""

    def inside() -> bool:
        links.batch(["link set lo up", "addr add fd00::2/128 dev lo nodad"])
        return digits("fd00::2") in local()

    with busy(4):
        assert all(alone(inside, rootless=rootless) for _ in range(25))


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but that, while it lasts."""

    def spin() -> int:
        namespaces.die_with_parent()
        while True:
            pass

    pids = [process.fork(spin) for _ in range(count)]
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_what_cannot_become_local_is_not_waited_for() -> None:
    """No carrier to ask over, an interface that is down, an address that is taken away by the same batch."""

    def inside() -> None:
        links.batch(["link add left type veth peer name right", "link set left up"])
        links.batch(
            [
                "addr add fd00::1/128 dev left",
                "addr add fd00::2/128 dev right",
                "addr add fd00::3/128 dev left nodad",
                "addr del fd00::3/128 dev left",
                "addr add 10.0.0.1/32 dev left",
            ]
        )
        assert digits("fd00::3") not in local()

    alone(inside)
