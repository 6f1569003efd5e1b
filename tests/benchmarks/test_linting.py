"""The cluster that `lint` is measured on: all of it is read, and there is something for the checks to do."""

from __future__ import annotations

from collections import Counter

from benchmarks.cluster import Shape
from benchmarks.linting import governed, measured
from outgate.checks.registry import NAMES

SMALL = Shape(pods=240, policies=150, namespaces=10, kinds=120)


def test_policies_of_all_kinds_are_as_many_as_were_asked_for() -> None:
    """NetworkPolicies are what the others leave."""
    kinds = Counter(one["kind"] for one in governed(SMALL) if one["kind"].endswith("Policy"))
    assert kinds.total() == SMALL.policies
    assert set(kinds) == {
        "NetworkPolicy",
        "ClusterNetworkPolicy",
        "CiliumNetworkPolicy",
        "CiliumClusterwideNetworkPolicy",
    }


def test_every_check_has_its_row() -> None:
    """And those that are about the order of rules find some: a figure of nothing found says little."""
    first, *rows = measured(SMALL)
    assert first["findings"] == SMALL.kinds + 2
    assert [row["check"] for row in rows] == list(NAMES)
    found = {str(row["check"]): row["findings"] for row in rows}
    assert all(found[name] for name in ("rule-shadowed", "priority-disputed", "peer-ingress-denies"))


def test_one_check_alone() -> None:
    """By its name; of the policies of one priority every two contradict each other, both ways."""
    (_, alone), (_, more) = (list(measured(SMALL, "priority-disputed", disputed=count)) for count in (0, 5))
    assert more["check"] == "priority-disputed"
    assert int(str(more["findings"])) == int(str(alone["findings"])) + 5 * 4


def test_rules_for_every_address() -> None:
    """Each lets workloads reach what a cloud hands its machines, unless another kind denies it."""
    _, found = measured(SMALL, "metadata-open", wide=True)
    assert int(str(found["findings"])) > SMALL.policies // 2
