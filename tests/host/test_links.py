"""Batches of iproute2: in the right namespace, and with the line that failed in the error."""

from __future__ import annotations

import pytest

from outgate.errors import KernelError
from outgate.host import links, namespaces, process
from outgate.lab.session import run_in_lab

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
