"""Property 23: what would be denied is counted and passes, policy by policy, and in the kernel."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from outgate.policy import Mode
from outgate.testing import Manifest, namespace
from tests.lab.agent.cast import CLUSTER, allow, deny, exchange
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.frames import ip, token, udp
from tests.lab.agent.volley import Ears

pytestmark = pytest.mark.kernel

AUDIT = {"outgate.dev/enforcement": "audit"}
ENFORCE = {"outgate.dev/enforcement": "enforce"}
THREE = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "three"}}}
FAMILIES = pytest.mark.parametrize("family", [4, 6])


def marked(one: Manifest, annotations: dict[str, str]) -> Manifest:
    """The same object with annotations."""
    return {**one, "metadata": {**one["metadata"], "annotations": annotations}}


def would(farm: Farm) -> int:
    """How many packets were let pass that an audited policy would have denied."""
    return sum(packets for chain, packets in farm.counted("n1").items() if chain.startswith("w_"))


def noted(farm: Farm, family: int = 4) -> bool:
    """Whether a denied datagram passes and is counted once; else it must be dropped."""
    before = would(farm)
    passes = farm.passes("a/one", "b/three", 7001, family)
    assert would(farm) == before + passes
    return passes


WAYS: dict[str, tuple[list[Manifest], Mode]] = {
    "on the policy": ([deny(annotations=AUDIT)], Mode.ENFORCE),
    "on its namespace": ([marked(namespace("a", team="red"), AUDIT), deny()], Mode.ENFORCE),
    "by the agent's default": ([deny()], Mode.AUDIT),
}


@pytest.mark.parametrize("way", WAYS)
def test_23_audit_counts_and_lets_pass(way: str) -> None:
    """Said in one of three places; the nearest counts."""
    manifests, mode = WAYS[way]

    def check(farm: Farm) -> None:
        assert noted(farm, 4)
        assert noted(farm, 6)
        farm.server.put(deny(annotations=ENFORCE))
        farm.settle()
        assert not noted(farm)

    grow([*CLUSTER, *manifests], check, mode=mode)


def test_23_an_audited_and_an_enforced_policy_on_one_pod() -> None:
    """What either allows is allowed; the rest is denied for the enforced one alone, and nothing is only noted."""

    def check(farm: Farm) -> None:
        before = would(farm)
        assert farm.passes("a/one", "b/three", 7000)
        assert farm.passes("a/one", "b/three", 7002)
        assert not farm.passes("a/one", "b/three", 7001)
        assert would(farm) == before
        farm.server.delete("NetworkPolicy", "a", "enforced")
        farm.settle()
        assert noted(farm)
        before = would(farm)
        assert farm.passes("a/one", "b/three", 7002), "allowed by the audited one"
        assert would(farm) == before

    audited = marked(allow("a/audited", THREE, 7002), AUDIT)
    grow([*CLUSTER, allow("a/enforced", THREE, 7000), audited], check)


def test_23_each_direction_has_its_own_mode() -> None:
    """An audited policy for what comes in says nothing of what goes out."""

    def check(farm: Farm) -> None:
        assert not farm.passes("a/one", "b/three", 7001)
        before = would(farm)
        assert farm.passes("b/three", "a/one", 7001)
        assert would(farm) == before + 1

    grow([*CLUSTER, deny(), deny("a/in", "Ingress", annotations=AUDIT)], check)


SWITCHES: dict[str, Callable[[Farm, bool], object]] = {
    "the policy": lambda farm, audit: farm.server.put(deny(annotations=AUDIT if audit else ENFORCE)),
    "the namespace": lambda farm, audit: farm.server.put(
        marked(namespace("a", team="red"), AUDIT if audit else ENFORCE)
    ),
}


@pytest.mark.parametrize("where", SWITCHES)
def test_23_to_enforce_cuts_and_to_audit_lets_go_on(where: str) -> None:
    """A live connection that was only noted is cut like any other; and is let go on as it was."""
    switch = SWITCHES[where]

    def check(farm: Farm) -> None:
        switch(farm, True)
        farm.settle()
        with farm.connection("a/one", "b/three", 7000) as (client, server):
            exchange(client, server)
            switch(farm, False)
            farm.settle()
            before = farm.dropped()
            server.sendall(b"more")
            farm.until(lambda: farm.dropped() > before)
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(16)
            client.settimeout(60)
            switch(farm, True)
            farm.settle()
            assert client.recv(16) == b"more", "sent again by TCP itself"
            exchange(client, server)
            # What is let go on goes on when something else is tightened.
            farm.server.put(deny("a/other", app="two"))
            farm.settle()
            exchange(client, server)

    grow([*CLUSTER, deny()], check)


@FAMILIES
def test_23_where_the_default_is_to_watch_nothing_is_dropped(family: int) -> None:
    """Neither pods that are not known nor sources that are not theirs: they are counted, and that is all."""

    def check(farm: Farm) -> None:
        farm.server.delete("Pod", "a", "two")
        farm.settle()
        before = farm.counted("n1")
        assert passes(farm, "a/two", "a/two", family)
        unknown = farm.counted("n1")
        assert unknown["unknown"] > before["unknown"]
        forged = farm.counted("n1")["spoof"]
        assert passes(farm, "a/one", "world", family)
        assert farm.counted("n1")["spoof"] > forged

    def passes(farm: Farm, source: str, owner: str, family: int) -> bool:
        mine = farm.address(owner, family) if owner != "world" else {4: "198.51.100.9", 6: "2001:db8:9::9"}[family]
        theirs, load = farm.address("b/three", family), token()
        with Ears(farm) as ears:
            ears.shoot(source, ip(mine, theirs, 17, udp(mine, theirs, (7100, 7000), load)))
            ears.until(lambda: "b/three" in ears.heard(load), lambda: "it never came")
        return True

    grow(CLUSTER, check, mode=Mode.AUDIT)
