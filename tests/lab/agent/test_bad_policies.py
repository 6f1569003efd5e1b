"""Property 13: a policy that cannot be understood closes its own pods, in its own direction, and harms nobody else.

No API server of today takes these; what an old one took is still stored, and is told to whoever watches.
"""

from __future__ import annotations

from typing import Any

import pytest

from outgate.testing import Manifest, policy
from tests.lab.agent.cast import CLUSTER, allow
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.frames import UDP
from tests.lab.agent.volley import Ears, aimed

pytestmark = pytest.mark.kernel

ONE = {"matchLabels": {"app": "one"}}
SOUND = [allow("a/sound", None, 7000, app="two"), allow("b/sound", None, 7000, direction="Ingress", app="three")]
"""Policies of others, which must go on to mean what they say."""

BAD: dict[str, dict[str, Any]] = {
    "a prefix that is too long": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/99"}}]}]},
    "an exception outside its block": {
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["192.168.0.0/16"]}}]}]
    },
    "an unknown operator": {
        "egress": [{"to": [{"podSelector": {"matchExpressions": [{"key": "x", "operator": "Perhaps"}]}}]}]
    },
    "a port that is none": {"egress": [{"ports": [{"port": 70000}]}]},
    "a range that ends before it begins": {"egress": [{"ports": [{"port": 9000, "endPort": 8000}]}]},
    "an unknown protocol": {"egress": [{"ports": [{"protocol": "ICMP"}]}]},
    "a peer of no kind": {"egress": [{"to": [{}]}]},
    "a peer of two kinds": {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}, "podSelector": {}}]}]},
    "a rule that is a word": {"egress": ["everything"]},
    "a list that is a word": {"egress": [{"to": "everybody"}]},
}


def verdicts(farm: Farm) -> dict[str, bool]:
    """Who reaches whom, as far as policies could say otherwise."""
    tried = {
        "one out": ("a/one", "b/three", 7000),
        "one in": ("b/three", "a/one", 7000),
        "two out, as allowed": ("a/two", "b/three", 7000),
        "two out, otherwise": ("a/two", "world", 7001),
        "three in, otherwise": ("a/two", "b/three", 7001),
        "three out": ("b/three", "a/two", 9000),
    }
    with Ears(farm) as ears:
        shots = [aimed(farm, source, target, UDP, port, 6) for source, target, port in tried.values()]
        return dict(zip(tried, ears.verdicts(shots), strict=True))


SAFE = {
    "one out": True,
    "one in": True,
    "two out, as allowed": True,
    "two out, otherwise": False,
    "three in, otherwise": False,
    "three out": True,
}


def test_13_a_bad_policy_closes_its_own_pods_alone() -> None:
    """One after the other, each in the place of the last; mended, it is as if it had never been there."""

    def check(farm: Farm) -> None:
        assert verdicts(farm) == SAFE
        for words, spec in BAD.items():
            farm.server.put(policy("a/bad", {"podSelector": ONE, "policyTypes": ["Egress"], **spec}))
            farm.settle(until=lambda told: told["broken"] == ["NetworkPolicy/a/bad"])
            assert verdicts(farm) == SAFE | {"one out": False}, words
            farm.server.put(policy("a/bad", {"podSelector": ONE, "policyTypes": ["Egress"], "egress": [{}]}))
            farm.settle(until=lambda told: not told["broken"])
            assert verdicts(farm)["one out"], f"{words}: mended"

    grow([*CLUSTER, *SOUND], check)


DIRECTIONS: dict[str, tuple[Manifest, dict[str, bool]]] = {
    "ingress alone": (
        {"podSelector": ONE, "policyTypes": ["Ingress"], "ingress": [{"from": [{"ipBlock": {"cidr": "x"}}]}]},
        {"one in": False},
    ),
    "no types, and what is wrong is in ingress": (
        {"podSelector": ONE, "ingress": [{"from": [{"ipBlock": {"cidr": "x"}}]}]},
        {"one in": False},
    ),
    "a direction that is none": (
        {"podSelector": ONE, "policyTypes": ["Sideways"]},
        {"one in": False, "one out": False},
    ),
    "whom it is for cannot be read": (
        {"podSelector": {"matchLabels": {"app": ["one"]}}, "policyTypes": ["Egress"]},
        {"one out": False, "two out, as allowed": True},
    ),
}


@pytest.mark.parametrize("case", DIRECTIONS)
def test_13_as_little_is_closed_as_can_be_read(case: str) -> None:
    """The direction where that much is clear; all pods of the namespace, and of no other, where it is not for whom."""
    spec, closes = DIRECTIONS[case]

    def check(farm: Farm) -> None:
        farm.server.put(policy("a/bad", spec))
        farm.settle(until=lambda told: told["broken"] == ["NetworkPolicy/a/bad"])
        assert verdicts(farm) == SAFE | closes
        farm.server.delete("NetworkPolicy", "a", "bad")
        farm.settle(until=lambda told: not told["broken"])
        assert verdicts(farm) == SAFE

    grow([*CLUSTER, *SOUND], check)


def test_13_an_agent_that_begins_with_a_bad_policy_enforces_the_others() -> None:
    """What stops a start stops every node that is started again: a peer's has crashed so, and its rules were gone."""

    def check(farm: Farm) -> None:
        bad = policy("a/bad", {"podSelector": ONE, "policyTypes": ["Egress"], **BAD["a prefix that is too long"]})
        farm.server.put(bad)
        for name in farm.stage.nodes:
            farm.kill(name)
            farm.start(name)
        farm.settle(until=lambda told: told["broken"] == ["NetworkPolicy/a/bad"])
        assert verdicts(farm) == SAFE | {"one out": False}

    grow([*CLUSTER, *SOUND], check)
