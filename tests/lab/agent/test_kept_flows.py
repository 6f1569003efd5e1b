"""Property 4 where policies keep what is live: it goes on for as long as its ends are who they were, and no longer.

A pod that dies leaves its connections in connection tracking. Whoever has its address next meets them by sending from
the same port: here the sockets of the dead pod stay open in its box, and are the next pod's.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping

import pytest

from outgate.agent.store import WORLD
from outgate.host.nft import Nftables
from outgate.nft.trust import DISTRUSTED, believes
from outgate.policy.established import ESTABLISHED
from outgate.testing import Manifest, namespace, pod
from tests.lab.agent.cast import CLUSTER, deny, exchange, relabelled
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.test_live_flows import is_cut

pytestmark = pytest.mark.kernel

PORT = 7000
NODES = ("n1", "n2")
KEEP = {ESTABLISHED: "keep"}
PLACES: Mapping[str, tuple[str, list[str]]] = {
    one["metadata"]["name"]: (one["spec"]["nodeName"], [ip["ip"] for ip in one["status"]["podIPs"]])
    for one in CLUSTER
    if one["kind"] == "Pod"
}


def born(path: str, at: str, uid: str, app: str) -> Manifest:
    """A pod with the addresses, and so in the box, of a pod of the cast."""
    node, addresses = PLACES[at]
    made = pod(path, addresses, on=node, app=app)
    made["metadata"]["uid"] = uid
    return made


THREE = [
    *(one for one in CLUSTER if one["kind"] != "Pod"),
    born("a/one", "one", "1", app="one"),
    born("a/two", "two", "2", app="two"),
    born("b/three", "three", "3", app="three"),
]


def trusted(farm: Farm, *nodes: str) -> bool:
    """Whether older numbers are believed on nodes, and of everybody whom no policy cuts."""
    for node in nodes:
        with farm.stage.enter(farm.stage.nodes[node]):
            table = Nftables().list()
        if table is None or not believes(table) or any(table.sets[name].elements for name in DISTRUSTED.values()):
            return False
    return True


class Manner:
    """How it is said that what is live is kept: by the node, or by each policy."""

    def __init__(self, *, node: bool) -> None:
        self.node = node
        self.annotations = {} if node else KEEP

    def deny(self, app: str) -> Manifest:
        """A policy that isolates pods of namespace a, allows nothing, and cuts nothing."""
        return deny(f"a/{app}", annotations=self.annotations, app=app)

    def grow(self, check: Callable[[Farm], None]) -> None:
        """A farm in which older numbers are believed."""

        def begun(farm: Farm) -> None:
            farm.until(lambda: trusted(farm, *NODES))
            check(farm)

        grow([*THREE, self.deny("heir")], begun, keep=self.node)


MANNERS = {"node": Manner(node=True), "policy": Manner(node=False)}
each_manner = pytest.mark.parametrize("manner", MANNERS.values(), ids=MANNERS)


@pytest.mark.parametrize("family", [4, 6])
@each_manner
def test_04_the_next_pod_of_an_address_has_nothing_of_the_connections_of_the_last(manner: Manner, family: int) -> None:
    """Neither at once nor when its address is believed again; who is who he was talks on, though no policy lets him."""

    def check(farm: Farm) -> None:
        with (
            farm.connection("a/one", "b/three", PORT, family) as taken,
            farm.connection("a/two", "b/three", 7001, family) as kept,
        ):
            exchange(*taken)
            farm.server.put(manner.deny("two"))
            farm.server.delete("Pod", "a", "one")
            farm.server.put(born("a/heir", "one", "4", app="heir"))
            farm.settle()
            assert is_cut(farm, *taken)
            exchange(*kept)
            farm.until(lambda: trusted(farm, *NODES))
            assert is_cut(farm, *taken)
            exchange(*kept)
            assert not farm.passes("a/two", "b/three", 7002)

    manner.grow(check)


@each_manner
def test_04_the_next_pod_of_an_address_elsewhere_is_not_reached_through_the_connections_of_the_last(
    manner: Manner,
) -> None:
    """Pod one may talk to nobody any more, and to the next owner of its peer's address it never might."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as taken, farm.connection("a/one", "a/two", 7001) as kept:
            farm.server.put(manner.deny("one"))
            farm.settle()
            exchange(*taken)
            farm.server.delete("Pod", "b", "three")
            farm.settle()
            # Only pod one's own node stands in the way: on the other nobody isolates the next one.
            farm.server.put(born("b/heir", "three", "4", app="heir"))
            farm.settle()
            assert is_cut(farm, *taken)
            farm.until(lambda: trusted(farm, *NODES))
            assert is_cut(farm, *taken)
            exchange(*kept)

    manner.grow(check)


@each_manner
def test_04_a_namesake_with_the_same_address_is_another_pod(manner: Manner) -> None:
    """A pod of a StatefulSet that is made anew comes back under its name, and maybe its address."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as ends:
            farm.server.put(manner.deny("one"))
            farm.settle()
            exchange(*ends)
            # What the watch tells is one change, of the object that has the name.
            farm.server.put(born("a/one", "one", "4", app="one"))
            farm.settle()
            assert is_cut(farm, *ends)

    manner.grow(check)


@each_manner
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_04_an_agent_that_begins_knows_who_is_who_he_was(manner: Manner, number: int) -> None:
    """What was allowed once is kept through the change of agents; what became another's meanwhile is not."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as taken, farm.connection("a/two", "b/three", 7001) as kept:
            farm.server.put(manner.deny("one"))
            farm.server.put(manner.deny("two"))
            farm.settle()
            farm.until((farm.settings("n1").state_dir / WORLD).exists)
            farm.kill("n1", number)
            exchange(*taken)
            farm.server.delete("Pod", "a", "one")
            farm.server.put(born("a/heir", "one", "4", app="heir"))
            farm.start("n1")
            farm.settle()
            assert is_cut(farm, *taken)
            exchange(*kept)
            farm.until(lambda: trusted(farm, "n1"))
            assert is_cut(farm, *taken)
            exchange(*kept)

    manner.grow(check)


def test_04_a_pod_that_comes_to_be_kept_gets_nothing_back() -> None:
    """What a policy has cut stays cut, if another one that keeps takes its place, by whatever way."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as gone, farm.connection("a/two", "b/three", 7001) as kept:
            farm.server.put(deny("a/one", app="one"))
            farm.server.put(deny("a/two", annotations=KEEP, app="two"))
            farm.settle()
            assert is_cut(farm, *gone)
            exchange(*kept)
            farm.server.put(deny("a/one", annotations=KEEP, app="one"))
            farm.settle()
            assert is_cut(farm, *gone)
            farm.until(lambda: trusted(farm, "n1"))
            assert is_cut(farm, *gone)
            # And once it is kept, another reason for a new epoch takes nothing from the other.
            farm.server.put(relabelled(namespace("b", team="blue"), team="green"))
            farm.server.put(deny("a/more", "Ingress", app="heir"))
            farm.settle()
            assert is_cut(farm, *gone)
            exchange(*kept)

    MANNERS["policy"].grow(check)


def test_04_each_end_has_its_own_word() -> None:
    """A policy that cuts on the other node, or beside one that keeps, cuts."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as far, farm.connection("a/two", "a/one", 7001) as near:
            farm.server.put(deny("a/one", annotations=KEEP, app="one"))
            farm.server.put(deny("b/guard", "Ingress", app="three"))
            farm.settle()
            assert is_cut(farm, *far)
            exchange(*near)
            farm.server.put(deny("a/two", app="two"))
            farm.settle()
            assert is_cut(farm, *near)

    MANNERS["policy"].grow(check)


def test_04_a_namespace_keeps_for_its_policies() -> None:
    """The annotation stands where that of the mode may stand, and the policy's own counts first."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as kept, farm.connection("a/two", "b/three", 7001) as cut:
            space = namespace("a", team="red")
            space["metadata"]["annotations"] = KEEP
            farm.server.put(space)
            farm.settle()
            farm.server.put(deny("a/one", app="one"))
            farm.server.put(deny("a/two", annotations={ESTABLISHED: "cut"}, app="two"))
            farm.settle()
            exchange(*kept)
            assert is_cut(farm, *cut)

    MANNERS["policy"].grow(check)
