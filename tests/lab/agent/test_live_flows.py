"""Properties 4 and 5: live connections follow policy, whatever the cause of the change, and only they do."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from outgate.host import process
from outgate.testing import Manifest, namespace, pod
from tests.lab.agent.cast import CLUSTER, allow, deny, exchange, relabelled, silent
from tests.lab.agent.farm import Farm, grow

pytestmark = pytest.mark.kernel

THREE = {"namespaceSelector": {"matchLabels": {"team": "blue"}}, "podSelector": {"matchLabels": {"app": "three"}}}
BOTH = allow("a/p", THREE, 7000, 7001)
PORT = 7000


def is_cut(farm: Farm, client: socket.socket, server: socket.socket) -> bool:
    """Whether neither end reaches the other: what either sends is counted among what was dropped, and does not come."""
    for sender, receiver in ((server, client), (client, server)):
        before = farm.dropped()
        sender.sendall(b"more")
        while farm.dropped() == before:
            if not silent(receiver):
                return False
    return True


def pod_named(path: str) -> Manifest:
    """An object of the cast."""
    name = path.split("/")[1]
    return next(one for one in CLUSTER if one["metadata"]["name"] == name)


@pytest.mark.parametrize("family", [4, 6])
def test_04_a_live_connection_is_cut_when_policy_turns_against_it(family: int) -> None:
    """Both ends talk on; `conntrack -D` would let the connection come back from the server's side."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT, family) as (client, server):
            exchange(client, server)
            farm.server.put(deny())
            farm.settle()
            assert is_cut(farm, client, server)
            farm.server.delete("NetworkPolicy", "a", "deny")
            farm.settle()
            # What was sent meanwhile is sent again by TCP itself: it was cut, not killed.
            assert server.recv(16) == b"more"
            assert client.recv(16) == b"more"

    grow(CLUSTER, check)


def test_04_a_connection_that_stays_allowed_is_not_touched() -> None:
    """Other connections of the same pod go on through every change, without a lost packet."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as kept, farm.connection("a/one", "b/three", 7001) as cut:
            farm.server.put(allow("a/p", THREE, PORT))
            farm.settle()
            before = farm.dropped()
            exchange(*kept)
            assert farm.dropped() == before
            assert is_cut(farm, *cut)

    grow(CLUSTER, check)


def test_04_with_keep_a_live_connection_goes_on() -> None:
    """The setting for those who drain by hand; new connections are denied all the same."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as ends:
            farm.server.put(deny())
            farm.settle()
            exchange(*ends)
            assert not farm.passes("a/one", "b/three", 7001)

    grow(CLUSTER, check, keep=True)


CAUSES: dict[str, Callable[[Farm], object]] = {
    "a policy was deleted": lambda farm: (
        farm.server.put(deny()),
        farm.server.delete("NetworkPolicy", "a", "p"),
    ),
    "a policy was narrowed": lambda farm: farm.server.put(allow("a/p", THREE, 7001)),
    "the peer's namespace was relabelled": lambda farm: farm.server.put(namespace("b", team="green")),
    "the peer was relabelled": lambda farm: farm.server.put(relabelled(pod_named("b/three"), app="four")),
    "the pod was relabelled into a policy": lambda farm: (
        farm.server.put(deny("a/strict", app="strict")),
        farm.server.put(relabelled(pod_named("a/one"), app="strict")),
    ),
    "an ingress policy came at the other end": lambda farm: farm.server.put(deny("b/closed", "Ingress", app="three")),
    "a named port moved": lambda farm: (
        farm.server.put(allow("a/p", THREE, "web")),
        farm.settled(),
        farm.server.put(
            pod(
                "b/three",
                ["10.1.1.10", "fd00:1:1::10"],
                on="n2",
                app="three",
                ports=[{"name": "web", "containerPort": 7009}],
            )
        ),
    ),
    "the address has another owner": lambda farm: (
        farm.server.delete("Pod", "b", "three"),
        farm.server.put(pod("b/heir", ["10.1.1.10", "fd00:1:1::10"], on="n2", app="heir")),
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_05_every_cause_cuts(cause: str) -> None:
    """A cause that is forgotten leaves connections open that nobody may have."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as (client, server):
            exchange(client, server)
            CAUSES[cause](farm)
            farm.settle()
            assert is_cut(farm, client, server)

    grow([*CLUSTER, BOTH], check)


def test_05_what_concerns_nobody_cuts_nobody() -> None:
    """The epoch is raised when something is tightened: not by a pod that comes, nor by one elsewhere that goes."""

    def check(farm: Farm) -> None:
        epoch = farm.agents["n1"].told["epoch"]
        farm.server.put(pod("b/new", ["10.1.1.77"], on="n2", app="three"))
        farm.settle()
        farm.server.put(pod("b/other", ["10.1.1.78"], on="n2", app="other"))
        farm.settle()
        farm.server.delete("Pod", "b", "new")
        farm.settle()
        assert farm.agents["n1"].told["epoch"] == epoch

    grow([*CLUSTER, BOTH], check)


@pytest.mark.parametrize("family", [4, 6])
def test_04_connections_that_outlive_the_table_are_judged_by_the_next_agent(family: int) -> None:
    """Their marks say "judged" under numbers that the next agent would give out again, were it to begin with 1."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT, family) as (client, server):
            exchange(client, server)
            for node in ("n1", "n2"):
                farm.kill(node)
                with farm.stage.enter(farm.stage.nodes[node]):
                    process.run(("nft", "delete", "table", "inet", "outgate"))
            # While there is no table nobody judges, and the marks stay as they are.
            exchange(client, server)
            farm.server.put(allow("a/p", THREE, 7001))
            for node in ("n1", "n2"):
                farm.start(node)
            farm.settle()
            assert is_cut(farm, client, server)

    grow([*CLUSTER, allow("a/p", THREE, PORT)], check)
