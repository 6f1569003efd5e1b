"""The pair of interfaces and its rules, in a kernel of its own."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from outgate.errors import KernelError
from outgate.host import detour, links, process
from outgate.host.detour import INNER, OUTER, TABLE
from outgate.nft.detour import Detour
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel

MINE = Detour({"door": (ipaddress.ip_address("10.1.0.10"),)}, {"02:00:00:00:00:02": ("door",)})


def tables() -> set[str]:
    """The families in which the tables are."""
    told = process.run(("nft", "list", "tables")).stdout.splitlines()
    return {line.split()[1] for line in told if line.split()[2] == TABLE}


@alone
def test_it_comes_and_goes() -> None:
    """Once or twice, and without a trace."""
    links.batch(["link add door type bridge"])
    for _ in range(2):
        detour.program(MINE, 0x100)
        assert tables() == {"netdev", "bridge"}
        assert Path(f"/proc/sys/net/ipv4/conf/{INNER}/rp_filter").read_text().strip() == "2"
    for _ in range(2):
        detour.program(Detour(), 0x100)
        assert tables() == set()
        assert process.run(("ip", "link", "show", OUTER), check=False).code != 0


@alone
def test_what_is_refused_leaves_what_was_before() -> None:
    """It is one transaction."""
    links.batch(["link add door type bridge"])
    detour.program(MINE, 0x100)
    with pytest.raises(KernelError):
        detour.program(Detour({}, {"no address": ("door",)}), 0x100)
    assert "door" in process.run(("nft", "list", "table", "netdev", TABLE)).stdout
