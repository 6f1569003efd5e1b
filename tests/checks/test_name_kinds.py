"""Kinds of names, against names at random."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.opened import names_of
from outgate.checks.name_kinds import name_kinds
from outgate.checks.survey import Survey
from outgate.model import Direction
from outgate.policy import Rule
from outgate.testing import cluster_policy, namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy

LABELS = ("a", "b", "some", "www")
STARS = ("*.io", "**.io", "*.a.io", "w*.a.io", "*", "a.*.io", "b.io")


def rules_of(seed: int) -> tuple[list[Rule], list[Rule]]:
    """Rules of a policy of the cluster that accept names, and others of Cilium's."""
    chance = random.Random(seed)

    def text() -> str:
        return chance.choice(("", "*.")) + ".".join((*chance.choices(LABELS, k=chance.randint(1, 2)), "io"))

    accepting = [
        {"action": "Accept", "to": [{"domainNames": list({text() for _ in range(chance.randint(1, 3))})}]}
        for _ in range(chance.randint(1, 4))
    ]
    patterns: list[dict[str, Any]] = [{"toFQDNs": [{"matchPattern": one}]} for one in chance.sample(STARS, 2)]
    spec = {"endpointSelector": {}, "egress": patterns}
    web = pod("shop/web", ["10.0.0.1"])
    shop = [namespace("shop"), web, cluster_policy("p", egress=accepting), cilium_policy("shop/c", spec)]
    grid = Survey(snapshot_of(shop)).grid
    standing = grid.standing(grid.keys[Direction.EGRESS][0], Direction.EGRESS)
    return [rule for layer in standing.admin for rule in layer.rules], list(standing.rules)


def opening(rules: list[Rule], name: str) -> set[int]:
    """The rules that open a name, asked one by one."""
    return {id(rule) for rule in rules if any(one.matches(name) for one in names_of(rule))}


@given(st.integers(0, 2**32 - 1))
def test_every_name_is_of_a_kind(seed: int) -> None:
    """The same rules of the cluster speak of it; of Cilium's at least those that speak of its kind."""
    asking, others = rules_of(seed)
    kinds = name_kinds(asking, [*asking, *others])
    mine = {id(rule) for rule in asking}
    chance = random.Random(seed)
    for _ in range(30):
        name = ".".join((*chance.choices((*LABELS, "zz"), k=chance.randint(1, 4)), "io"))
        wanted = opening(asking, name)
        if wanted:
            alike = [kind for kind in kinds if kind.rules & mine == wanted]
            assert alike, (seed, name)
            assert any(kind.rules - mine <= opening(others, name) for kind in alike), (seed, name)
    for kind in kinds:
        assert kind.rules & mine
        assert {rule for rule in mine if rule in kind.rules} == {id(one) for one in asking if kind.of(one)}
        written = {one.text for rule in asking if kind.of(rule) for one in names_of(rule)}
        assert set(kind.patterns) <= written


def test_names_that_the_same_rules_open_are_of_one_kind() -> None:
    """However many they are."""
    names = [f"api-{number}.example.com" for number in range(25)]
    shop = [namespace("shop"), pod("shop/web", ["10.0.0.1"])]
    rule = {"action": "Accept", "to": [{"domainNames": names}]}
    grid = Survey(snapshot_of([*shop, cluster_policy("p", egress=[rule])])).grid
    (one,) = grid.all_rules()
    (kind,) = name_kinds([one], [one])
    assert kind.patterns == tuple(names)
    assert kind.of(one)
