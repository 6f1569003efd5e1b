"""Property 2: a pod's start waits for the commit, and is closed at its time limit.

The plugin, the agent, the kernel and the packets are real, and the packets are the pod's first ones.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from outgate.host import process
from outgate.host.namespaces import die_with_parent
from tests.agent.calling import ended
from tests.lab.agent.births import asking, begun, called, previous, refused, told, without_two
from tests.lab.agent.cast import CLUSTER, allow
from tests.lab.agent.farm import PATIENCE, Farm, grow

pytestmark = pytest.mark.kernel

OPEN, SHUT = 7000, 7001
BIRTHS = 10
LATE_BIRTHS = 8
LARGE = 100_000
"""Elements: a commit of some tenths of a second."""
POLICY = allow("a/born", {"namespaceSelector": {}}, OPEN, app="born")


def test_02_the_first_packet_of_a_pod_meets_its_policies() -> None:
    """Of each of ten pods the first allowed packet passes and the first denied one does not.

    Without the wait the allowed one would be lost: before it is programmed a pod is closed.
    """

    def check(farm: Farm) -> None:
        without_two(farm)
        for number in range(BIRTHS):
            name = f"born-{number}"
            plugin = begun(farm, name, 60)
            farm.until(lambda: asking(farm))
            assert not farm.passes("a/two", "b/three", OPEN)
            assert plugin.poll() is None, "it waits"
            farm.server.put(told(name))
            said = ended(plugin, b"")
            assert (said.code, said.answer) == (0, previous(farm)), said
            assert farm.passes("a/two", "b/three", OPEN, family=4 if number % 2 else 6)
            assert not farm.passes("a/two", "b/three", SHUT, family=6 if number % 2 else 4)
            farm.server.put(told(name, *map(str, farm.box("a/two").addresses)))
            farm.settle(["n1"])
            farm.server.delete("Pod", "a", name)
            farm.settle(["n1"])
            assert not farm.passes("a/two", "b/three", OPEN)

    grow([*CLUSTER, POLICY], check)


def test_02_the_answer_comes_after_the_commit() -> None:
    """The kernel takes one transaction at a time in a network namespace, and here it has others to take, large ones.

    So the agent's change comes in late, and an answer that did not wait for it would be a lie for long enough.
    """

    def check(farm: Farm) -> None:
        without_two(farm)
        with farm.stage.enter(farm.box("b/three")):
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with farm.stage.enter(farm.box("a/two")):
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with server, client, busy(farm):
            server.bind(("", OPEN))
            server.settimeout(PATIENCE)
            client.connect((farm.address("b/three"), OPEN))
            for number in range(LATE_BIRTHS):
                name = f"born-{number}"
                farm.server.put(told(name))
                said = called(farm, name)
                client.send(name.encode())
                assert said.code == 0
                assert server.recv(64) == name.encode(), "the very first"
                farm.server.put(told(name, *map(str, farm.box("a/two").addresses)))
                farm.settle(["n1"])
                farm.server.delete("Pod", "a", name)
                farm.settle(["n1"])

    grow([*CLUSTER, POLICY], check)


@contextlib.contextmanager
def busy(farm: Farm) -> Iterator[None]:
    """Somebody else's tables on n1, large ones, made and removed again and again."""
    elements = ",".join(f"{10_000 + number}" for number in range(LARGE))
    text = "table inet busy {{\n set s {{\n type mark; elements = {{ {} }}\n }}\n}}\ndelete table inet busy\n"

    def body() -> int:
        die_with_parent()
        with farm.stage.enter(farm.stage.nodes["n1"]):
            while True:
                process.run(("nft", "-f", "-"), input=text.format(elements))

    pid = process.fork(body)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_02_a_pod_that_nobody_tells_of_is_closed_at_the_limit() -> None:
    """Its policies cannot be known: the start fails, and what its box sends is dropped before and after."""

    def check(farm: Farm) -> None:
        without_two(farm)
        plugin = begun(farm, "stranger", 1.5)
        assert not farm.passes("a/two", "b/three", OPEN)
        assert refused(ended(plugin, b""))
        assert not farm.passes("a/two", "b/three", OPEN)
        assert not farm.passes("a/two", "b/three", OPEN, family=6)
        farm.server.put(told("stranger"))
        assert called(farm, "stranger").code == 0, "the next attempt of kubelet's"
        assert farm.passes("a/two", "b/three", OPEN)

    grow([*CLUSTER, POLICY], check)


def test_02_an_agent_that_does_not_answer_starts_no_pod() -> None:
    """One that hangs, one that has been killed; then one that comes back, and meets the plugin still waiting."""

    def check(farm: Farm) -> None:
        without_two(farm)
        farm.server.put(told("late"))
        os.kill(farm.agents["n1"].pid, signal.SIGSTOP)
        assert refused(called(farm, "late", 0.5))
        assert not farm.passes("a/two", "b/three", OPEN)
        farm.kill("n1")
        assert refused(called(farm, "late", 0.5))
        assert not farm.passes("a/two", "b/three", OPEN)
        plugin = begun(farm, "late", 60)
        farm.start("n1")
        assert ended(plugin, b"").code == 0
        assert farm.passes("a/two", "b/three", OPEN)
        assert not farm.passes("a/two", "b/three", SHUT)

    grow([*CLUSTER, POLICY], check)
