"""Properties 6, 7 and 30: the agent's death, and its life, change nothing that nobody asked for."""

from __future__ import annotations

import os
import signal

import pytest

from outgate.host.nft import Nftables
from outgate.nft.epoch import Epoch, with_epoch
from outgate.nft.objects import Ruleset
from outgate.testing import pod
from tests.lab.agent.cast import CLUSTER, allow, deny
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.load import load

pytestmark = pytest.mark.kernel

OPEN, SHUT = 7000, 7001
KILLS = 50
FLIPS = 60
THREE = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "three"}}}
POLICY = allow("a/p", THREE, OPEN)


def table(farm: Farm, node: str) -> Ruleset | None:
    """Our table on a node. Counters do not count, nor does the epoch: an agent that begins raises it once."""
    with farm.stage.enter(farm.stage.nodes[node]):
        found = Nftables().list()
    return found and with_epoch(found, Epoch(0xFFFF0000))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_07_death_changes_nothing_in_the_kernel(number: signal.Signals) -> None:
    """Peers delete their table when asked to stop, or leave packets to a queue that nobody reads any more."""

    def check(farm: Farm) -> None:
        before = table(farm, "n1")
        assert before is not None
        farm.kill("n1", number)
        assert table(farm, "n1") == before
        assert farm.passes("a/one", "b/three", OPEN)
        assert not farm.passes("a/one", "b/three", SHUT)
        farm.start("n1")
        farm.settle()
        assert table(farm, "n1") == before

    grow([*CLUSTER, POLICY], check)


def test_06_no_packet_waits_for_the_agent() -> None:
    """A stopped agent decides nothing, and everything is decided: old connections, new ones, and denials."""

    def check(farm: Farm) -> None:
        for agent in farm.agents.values():
            os.kill(agent.pid, signal.SIGSTOP)
        assert farm.passes("a/one", "b/three", OPEN)
        assert not farm.passes("a/one", "b/three", SHUT)
        for agent in farm.agents.values():
            os.kill(agent.pid, signal.SIGCONT)

    grow([*CLUSTER, POLICY], check)


def test_07_killed_fifty_times_under_load() -> None:
    """Pods come and go and the agent dies at any moment: none of the denied arrives, none of the allowed is lost."""

    def check(farm: Farm) -> None:
        with load(farm, "a/one", "b/three", OPEN, SHUT) as found:
            for number in range(KILLS):
                farm.server.put(pod(f"b/other-{number % 5}", [f"10.1.1.{100 + number}"], on="n2", app="three"))
                farm.server.put(deny(f"b/other-{number % 3}", app=f"nobody-{number}"))
                farm.kill("n1")
                farm.start("n1")
                if number % 10 == 9:
                    farm.settle()
        assert found.came[SHUT] == set()
        assert found.lost(OPEN) == 0
        assert found.sent[OPEN] > KILLS

    grow([*CLUSTER, POLICY], check)


def test_08_policies_flip_under_load() -> None:
    """A change that keeps a verdict must not show to a packet, in either direction, whatever changes around it."""

    def check(farm: Farm) -> None:
        with load(farm, "a/one", "b/three", OPEN, SHUT) as found:
            for number in range(FLIPS):
                ports = range(8000, 8000 + number % 7 + 1)
                farm.server.put(allow("a/p", THREE, OPEN, *ports))
                farm.server.put(allow("a/q", {"ipBlock": {"cidr": f"203.0.{number}.0/24"}}, SHUT))
                farm.settle()
        assert found.came[SHUT] == set()
        assert found.lost(OPEN) == 0

    grow([*CLUSTER, POLICY], check)


def test_30_nothing_is_written_before_everything_is_known() -> None:
    """An agent that starts while the API server is away keeps what the one before it left."""

    def check(farm: Farm) -> None:
        before = table(farm, "n1")
        farm.kill("n1")
        farm.server.down()
        farm.start("n1")
        assert farm.passes("a/one", "b/three", OPEN)
        assert not farm.passes("a/one", "b/three", SHUT)
        assert table(farm, "n1") == before
        farm.server_up()
        farm.settle()
        assert table(farm, "n1") == before

    grow([*CLUSTER, POLICY], check)


@pytest.mark.parametrize("kind", ["NetworkPolicy", "Namespace", "Pod", "ClusterNetworkPolicy"])
def test_30_nothing_is_written_while_one_kind_is_not_known(kind: str) -> None:
    """Of everything else the agent has been told: by half of it, somebody would be let pass, or cut off."""

    def check(farm: Farm) -> None:
        before = table(farm, "n1")
        farm.kill("n1")
        farm.server.forbidden = {("list", kind), ("watch", kind)}
        farm.start("n1")
        agent = farm.agents["n1"]
        while agent.told.get("unheard") != [kind]:
            assert "epoch" not in agent.told, "it has programmed"
            agent.read()
        assert table(farm, "n1") == before
        assert farm.passes("a/one", "b/three", OPEN)
        assert not farm.passes("a/one", "b/three", SHUT)
        farm.server.forbidden = set()
        farm.settle()
        assert table(farm, "n1") == before

    grow([*CLUSTER, POLICY], check)


def test_08_drift_is_noticed_and_repaired() -> None:
    """Somebody empties a chain of ours: it is heard, and mended, and counted; another's table is left alone."""

    def check(farm: Farm) -> None:
        farm.stage.run(farm.stage.nodes["n1"], ("nft", "add", "table", "inet", "somebody"))
        epoch = farm.agents["n1"].told["epoch"]
        farm.stage.run(farm.stage.nodes["n1"], ("nft", "flush", "chain", "inet", "outgate", "egress"))
        farm.settle(["n1"], until=lambda told: told["drift"] == 1)
        assert farm.agents["n1"].told["epoch"] > epoch, "what passed meanwhile is judged again"
        assert not farm.passes("a/one", "b/three", SHUT)
        farm.stage.run(farm.stage.nodes["n1"], ("nft", "delete", "table", "inet", "outgate"))
        farm.settle(["n1"], until=lambda told: told["drift"] == 2)
        assert not farm.passes("a/one", "b/three", SHUT)
        assert "somebody" in farm.stage.run(farm.stage.nodes["n1"], ("nft", "list", "tables")).stdout
        # Nothing is missing in a table that sleeps, and none of its rules is asked.
        farm.stage.run(farm.stage.nodes["n1"], ("nft", "add table inet outgate { flags dormant; }"))
        farm.settle(["n1"], until=lambda told: told["drift"] == 3)
        assert (
            "dormant" not in farm.stage.run(farm.stage.nodes["n1"], ("nft", "list", "table", "inet", "outgate")).stdout
        )
        assert not farm.passes("a/one", "b/three", SHUT)
        # And so an agent finds it that begins, though no API server tells it anything.
        farm.kill("n1")
        farm.stage.run(farm.stage.nodes["n1"], ("nft", "add table inet outgate { flags dormant; }"))
        farm.server_down()
        farm.start("n1")
        farm.until(
            lambda: "dormant" not in farm.stage.run(farm.stage.nodes["n1"], ("nft", "-t", "list", "ruleset")).stdout
        )
        assert not farm.passes("a/one", "b/three", SHUT)
        farm.server_up()

    grow([*CLUSTER, POLICY], check)
