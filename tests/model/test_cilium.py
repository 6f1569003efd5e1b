"""The values themselves."""

from __future__ import annotations

import pytest

from outgate.model.cilium import CidrGroup, CiliumPolicy, CiliumRule, EntityPeer, PortEntry, Unenforced
from outgate.model.objects import Direction
from outgate.model.place import Document, Place

ANYBODY = (EntityPeer("all"),)
PORTS = (PortEntry(()),)


@pytest.mark.parametrize(
    ("rule", "nothing"),
    [
        (CiliumRule(None), True),
        (CiliumRule(()), True),
        (CiliumRule((), PORTS), True),
        (CiliumRule(None, PORTS), False),
        (CiliumRule(None, lists_icmps=True), False),
        (CiliumRule(ANYBODY), False),
        (CiliumRule(ANYBODY, PORTS), False),
    ],
)
def test_absent_and_empty_are_different_things(rule: CiliumRule, nothing: bool) -> None:
    """The four corners of peers and ports."""
    assert rule.matches_nothing is nothing


def test_a_policy_knows_its_kind_by_its_namespace() -> None:
    """Of one of the whole cluster it is empty."""
    assert (CiliumPolicy("p").kind, str(CiliumPolicy("p"))) == ("CiliumClusterwideNetworkPolicy", "p")
    assert (CiliumPolicy("p", "n").kind, str(CiliumPolicy("p", "n"))) == ("CiliumNetworkPolicy", "n/p")
    assert CidrGroup("g", ()).namespace == ""


def test_all_that_is_asked_for_in_vain() -> None:
    """Of the policy first, and then of every section."""
    marks = [Unenforced(str(number), "") for number in range(5)]
    rules = [CiliumRule(None, unenforced=(mark,)) for mark in marks[1:]]
    policy = CiliumPolicy(
        "p",
        egress=(rules[2],),
        egress_deny=(rules[3],),
        ingress=(rules[0],),
        ingress_deny=(rules[1],),
        unenforced=(marks[0],),
    )
    assert list(policy.not_enforced()) == marks
    assert policy.rules(Direction.EGRESS) == (rules[3], rules[2])
    assert policy.rules(Direction.INGRESS) == (rules[1], rules[0])


def test_places_make_no_difference() -> None:
    """Two policies that say the same are equal, wherever they stand."""
    place = Place(Document("a.yaml", None))
    assert CiliumPolicy("p", place=place) == CiliumPolicy("p")
    assert EntityPeer("all", place) == EntityPeer("all")
