"""What is said of a node before anything is changed."""

from __future__ import annotations

import os

import pytest

from outgate.agent.preflight import Preflight, look
from outgate.host import links, process
from outgate.host.nft import Nftables
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel
MASK = 0xFFFF0000


def test_an_empty_node_can_enforce() -> None:
    """Nothing is in the way where nothing is, and the look leaves nothing behind."""

    def inside() -> tuple[Preflight, str]:
        found = look(MASK)
        return found, process.run(("nft", "list", "tables")).stdout

    found, tables = alone(inside)
    assert found == Preflight(os.uname().release, "none", (), ())
    assert tables == ""


def test_a_table_that_sleeps_is_named() -> None:
    """It is whole, and the node is open; an agent that begins wakes it, so it is no hindrance."""

    def inside() -> Preflight:
        process.run(("nft", "add table inet outgate { flags dormant; }"))
        return look(MASK)

    found = alone(inside)
    assert (found.table, found.hindrances) == ("asleep", ())
    assert found.warnings[0].startswith("the table inet outgate is asleep (flags dormant): none of its rules is asked")


def test_who_writes_into_our_bits_is_named() -> None:
    """A network plugin's mark in our bits would pass for an epoch: connections that nobody judged would go on."""
    chain = "add chain ip theirs c { type filter hook output priority 0; }"
    rules = f"add table ip theirs\n{chain}\nadd rule ip theirs c ct mark set 0x00010000\n"

    def inside() -> tuple[Preflight, Preflight]:
        process.run(("nft", "-f", "-"), input=rules)
        return look(MASK), look(0x0000FF00)

    ours, other = alone(inside)
    assert len(ours.warnings) == 1
    assert "theirs" in ours.warnings[0]
    assert "0xffff0000" in ours.warnings[0]
    assert ours.hindrances == other.hindrances == ()


def test_a_kernel_that_cannot_guard_a_bridge_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a bridge, its pods could be each other; where there is none, nothing is said."""
    monkeypatch.setattr(Nftables, "guards", lambda _: False)

    def inside() -> tuple[tuple[str, ...], tuple[str, ...]]:
        before = look(MASK).warnings
        links.batch(["link add cni0 type bridge"])
        return before, look(MASK).warnings

    before, after = alone(inside)
    assert not any("CONFIG_NF_TABLES_BRIDGE" in one for one in before)
    assert any("CONFIG_NF_TABLES_BRIDGE" in one for one in after)
