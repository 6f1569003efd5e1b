"""What the way to the API server does to an agent: nothing, but that it is late; and it settles on the truth."""

from __future__ import annotations

import pytest

from outgate.testing import Manifest, namespace, pod
from tests.lab.agent.cast import CLUSTER, allow, deny
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.frames import UDP
from tests.lab.agent.load import load
from tests.lab.agent.test_kernel_table import listing
from tests.lab.agent.volley import Ears, aimed

pytestmark = pytest.mark.kernel

BLUE = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}
ONE = next(one for one in CLUSTER if one["metadata"]["name"] == "one")
CROWD = 30


def test_30_an_absence_in_which_much_changes() -> None:
    """Pods come, go, and take each other's addresses; the server has forgotten all of it when it is asked (410)."""

    def check(farm: Farm) -> None:
        farm.server_down()
        with load(farm, "a/two", "b/three", 7000) as found:
            for number in range(20):
                farm.server.put(pod(f"b/came-{number}", [f"10.1.1.{100 + number}"], on="n2", app="three"))
                farm.server.put(pod(f"a/went-{number}", [f"10.1.0.{100 + number}"], on="n1", app="one"))
            for number in range(20):
                farm.server.delete("Pod", "a", f"went-{number}")
            farm.server.delete("Pod", "a", "one")
            farm.server.put(pod("a/heir", ["10.1.0.10", "fd00:1::10"], on="n1", app="heir"))
            farm.server.put(deny("a/heir", app="heir"))
            farm.server.delete("NetworkPolicy", "a", "p")
            farm.server.put(allow("a/q", BLUE, 7000, app="two"))
            # What stands is what was known before, for as long as it takes.
            assert farm.passes("a/one", "b/three", 7001)
            assert not farm.passes("a/one", "b/three", 7002)
            farm.server.compact()
            farm.server_up()
            farm.settle()
        assert found.lost(7000) == 0, "allowed before and after"
        assert not farm.passes("a/one", "b/three", 7001), "another's address"
        assert not farm.passes("a/two", "b/three", 7001)
        assert farm.passes("a/two", "b/three", 7000)
        maps = {one["name"]: one for item in listing(farm, "n1") for kind, one in item.items() if kind == "map"}
        assert {address for address, _ in maps["eg4"]["elem"]} == {"10.1.0.10", "10.1.0.11"}

    grow([*CLUSTER, allow("a/p", BLUE, 7001)], check)


OTHERS = {
    "inet outgates": """table inet outgates {
        set est { type ipv4_addr; flags interval; elements = { 10.1.0.0/24 }; }
        chain egress { type filter hook forward priority -10; policy accept; ip saddr @est counter accept; }
    }""",
    "ip outgate": "table ip outgate { chain spoof { meta nftrace set 0; tcp option maxseg size set 1200; counter; }; }",
    "netdev odd": "table netdev odd { counter c { packets 7 bytes 7 }; chain x { counter name c; }; }",
}
"""Some with our names, some with what no rule of ours has."""


def test_30_tables_of_others_are_neither_touched_nor_read() -> None:
    """A peer has crashed on a rule that somebody else wrote; others flush what they find."""

    def check(farm: Farm) -> None:
        node = farm.stage.nodes["n1"]

        def found() -> dict[str, str]:
            argv = ("nft", "--handle", "--stateless", "list", "table")
            return {name: farm.stage.run(node, (*argv, *name.split())).stdout for name in OTHERS}

        for text in OTHERS.values():
            farm.stage.run(node, ("nft", text))
        before = found()
        farm.server.put(allow("a/p", BLUE, 7000))
        farm.settle()
        farm.kill("n1")
        farm.start("n1")
        farm.server.put(allow("a/p", BLUE, 7001))
        farm.settle()
        drift = farm.agents["n1"].told["drift"]
        farm.stage.run(node, ("nft", "delete", "table", "inet", "outgate"))
        farm.settle(["n1"], until=lambda told: told["drift"] > drift)
        assert not farm.passes("a/one", "b/three", 7000)
        assert found() == before
        drift = farm.agents["n1"].told["drift"]
        farm.stage.run(node, ("nft", "flush", "table", "ip", "outgate"))
        farm.stage.run(node, ("nft", "delete", "table", "netdev", "odd"))
        farm.server.put(allow("a/p", BLUE, 7002))
        farm.settle()
        assert farm.agents["n1"].told["drift"] == drift, "what others do to their own is nothing to us"

    grow([*CLUSTER, allow("a/p", BLUE, 7001)], check)


def test_30_a_cluster_that_is_restored_from_a_backup() -> None:
    """Its versions are behind those that agents know: a watch that went on from these would say nothing for hours."""

    def check(farm: Farm) -> None:
        backup = farm.server.backup()
        farm.server.put(allow("a/p", BLUE, 7001))
        farm.server.put_all(namespace(f"later-{number}") for number in range(100))
        farm.settle()
        assert farm.passes("a/one", "b/three", 7001)
        farm.server_down()
        farm.server.store.restore(backup)
        farm.server_up()
        farm.settle()
        assert not farm.passes("a/one", "b/three", 7001)
        assert farm.passes("a/one", "b/three", 7000)

    grow([*CLUSTER, allow("a/p", BLUE, 7000)], check)


@pytest.mark.parametrize("kind", ["NetworkPolicy", "Namespace", "Pod"])
def test_30_a_watch_that_is_cut_in_the_middle_of_an_object(kind: str) -> None:
    """Half an object is no object, and the other half is not lost; whatever is changed while nobody listens."""
    changes: dict[str, tuple[Manifest, Manifest]] = {
        "NetworkPolicy": (allow("a/p", BLUE, 7001), allow("a/p", BLUE, 7000)),
        "Namespace": (namespace("b", team="green"), namespace("b", team="blue")),
        "Pod": ({**ONE, "metadata": {**ONE["metadata"], "labels": {"app": "shut"}}}, ONE),
    }
    closing, opening = changes[kind]

    def check(farm: Farm) -> None:
        assert farm.passes("a/one", "b/three", 7000)
        for number in range(6):
            farm.server.cut(kind, inside=True)
            farm.server.put((closing, opening)[number % 2])
            farm.server.cut(kind)
            farm.settle()
            assert farm.passes("a/one", "b/three", 7000) == bool(number % 2)

    grow([*CLUSTER, deny("a/shut", app="shut"), allow("a/p", BLUE, 7000)], check)


def test_05_a_relabelled_namespace_moves_all_its_pods_at_once() -> None:
    """Thirty peers leave by one change of the kernel and come back by another: no packet sees some of them gone."""
    crowd = [
        pod(f"c/peer-{number}", [f"10.1.1.{100 + number}", f"fd00:1:1::{100 + number:x}"], on="n2")
        for number in range(CROWD)
    ]

    def check(farm: Farm) -> None:
        tried = [(f"c/peer-{number}", family) for number in range(CROWD) for family in (4, 6)]
        with Ears(farm) as ears:
            for team, open_ in (("blue", True), ("green", False), ("blue", True)):
                farm.server.put(namespace("c", team=team))
                farm.settle()
                shots = [aimed(farm, "a/one", target, UDP, 7000, family) for target, family in tried]
                assert ears.verdicts(shots) == [open_] * len(tried)
        with load(farm, "a/one", "b/three", 7000) as found:
            for team in ("green", "blue") * 5:
                farm.server.put(namespace("c", team=team))
                farm.settle()
        assert found.lost(7000) == 0, "a peer of the same set, whose namespace is what it was"

    grow([*CLUSTER, namespace("c", team="blue"), *crowd, allow("a/p", BLUE, 7000)], check)
