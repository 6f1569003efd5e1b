"""Property 30 behind a bridge: a reboot without an API server is closed as before, also between neighbours.

The reboot is what it is to the kernel's tables: they are gone, and the agent with them. What was saved is loaded by
`outgate.agent.boot`, or by the boot unit's own words.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from outgate.agent.boot import Outcome, boot
from outgate.agent.store import RULESET, Store
from outgate.host.nft import Nftables
from outgate.nft.objects import Ruleset
from tests.lab.agent.bridged import BridgedFarm, advert, arp, grow_bridged, packet
from tests.lab.agent.cast import deny

pytestmark = pytest.mark.kernel

ONE, TWO, TWO6, THREE = "10.1.0.10", "10.1.0.11", "fd00:1::11", "10.1.1.10"
FORGED = {
    "a packet of its neighbour": packet(TWO, TWO),
    "an answer of ARP": arp(TWO, ONE, 2),
    "an advertisement": advert("fe80::1234", TWO6),
}


def folder(farm: BridgedFarm) -> Path:
    """Where the agent of n1 saves its state."""
    return farm.settings("n1").state_dir


def tables(farm: BridgedFarm) -> tuple[Ruleset | None, Ruleset | None]:
    """Both tables of n1."""
    with farm.stage.enter(farm.stage.nodes["n1"]):
        return Nftables().list(), farm.guard()


def emptied(farm: BridgedFarm) -> None:
    """The node without an agent, an API server and a table."""
    farm.server_down()
    farm.kill("n1", signal.SIGTERM)
    with farm.stage.enter(farm.stage.nodes["n1"]):
        Nftables().remove()
    assert tables(farm) == (None, None)


def by_command(farm: BridgedFarm) -> None:
    """`outgate agent boot`."""
    with farm.stage.enter(farm.stage.nodes["n1"]):
        booted = boot(Store(folder(farm), "n1"), Nftables())
    assert (booted.outcome, booted.faults) == (Outcome.LOADED, ())


def by_unit(farm: BridgedFarm) -> None:
    """What the unit says, which is nft alone."""
    with farm.stage.enter(farm.stage.nodes["n1"]):
        subprocess.run(("nft", "-f", str(folder(farm) / RULESET)), check=True)


@pytest.mark.parametrize("load", [by_command, by_unit])
@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("filtered", [True, False])
def test_30_a_reboot_is_closed_as_before_between_neighbours_too(
    filtered: bool, blocks: bool, load: Callable[[BridgedFarm], None]
) -> None:
    """Who is who comes back with the rules. Before it nothing stops a denied one.

    Without br_netfilter nothing but the guard sees what crosses the bridge, so nothing else can have stopped it.
    """

    def check(farm: BridgedFarm) -> None:
        farm.server.put(deny())
        farm.settle()
        before = tables(farm)
        emptied(farm)
        assert farm.passes("a/one", "b/three", 7000)
        assert farm.arrives(FORGED["a packet of its neighbour"], "a/one", "a/two")
        load(farm)
        assert tables(farm)[0] == before[0]
        assert not blocks or tables(farm) == before
        forged = {name: farm.arrives(what, "a/one", "a/two") for name, what in FORGED.items()}
        assert not any(forged.values()), forged
        assert farm.arrives(packet(TWO, ONE), "a/two", "a/one")
        assert not farm.passes("a/one", "b/three", 7000)
        assert farm.passes("a/two", "b/three", 7000)

    grow_bridged(check, filtered=filtered, blocks=blocks)


@pytest.mark.parametrize("blocks", [True, False])
def test_30_a_pod_that_is_born_with_an_old_address_has_nothing_of_it(blocks: bool) -> None:
    """The bridge has its name again, and the pod another port: neither a neighbour nor anybody else hears of it.

    Then the API server comes back, and with the agent the pod's own rights.
    """

    def check(farm: BridgedFarm) -> None:
        emptied(farm)
        farm.plug("a/two", "vethnew", before="vethtwo")
        assert farm.arrives(packet(TWO, ONE), "a/two", "a/one"), "nothing is loaded, and nothing else stops it"
        by_command(farm)
        assert not farm.arrives(packet(TWO, ONE), "a/two", "a/one")
        assert not farm.arrives(arp(TWO, ONE), "a/two", "a/one")
        assert not farm.arrives(advert("fe80::1234", TWO6), "a/two", "a/one")
        assert not farm.passes("a/two", "b/three", 7000)
        farm.server_up()
        farm.start("n1")
        farm.settle()
        farm.until(lambda: farm.owner(TWO) == "vethnew")
        assert farm.arrives(packet(TWO, ONE), "a/two", "a/one")
        assert farm.passes("a/two", "b/three", 7000)

    grow_bridged(check, filtered=False, blocks=blocks)


def test_30_half_of_it_that_stands_is_in_nobodys_way() -> None:
    """Somebody has flushed one table: the guard alone is replaced; the policies alone are not touched."""

    def check(farm: BridgedFarm) -> None:
        before = tables(farm)
        farm.server_down()
        farm.kill("n1", signal.SIGTERM)
        node = farm.stage.nodes["n1"]
        farm.stage.run(node, ("nft", "delete", "table", "inet", "outgate"))
        farm.stage.run(node, ("nft", "flush", "chain", "bridge", "outgate", "guard"))
        by_command(farm)
        assert tables(farm) == before
        farm.stage.run(node, ("nft", "delete", "table", "bridge", "outgate"))
        with farm.stage.enter(node):
            assert boot(Store(folder(farm), "n1"), Nftables()).outcome is Outcome.STANDING
        # A text that is late changes neither.
        with farm.stage.enter(node):
            late = subprocess.run(("nft", "-f", str(folder(farm) / RULESET)), check=False, capture_output=True)
        assert late.returncode != 0
        assert tables(farm) == (before[0], None)

    grow_bridged(check)
