"""Parts that changed alike are one again, and only those."""

from __future__ import annotations

from outgate.testing import Manifest, namespace
from tests.analysis.test_matching import versions
from tests.analysis.two_sides import allow, lines, outwards, pods, two

WEB = "shop/Deployment/web"
CANARY = outwards("203.0.113.0/24", 443, "canary", version="v2")
CLOSED = allow("closed", {"policyTypes": ["Ingress"]}, app="web")


def cluster(*each: str) -> list[Manifest]:
    """A Deployment with these versions, beside a database."""
    return [namespace("shop"), *versions(*each), *pods("db", 1, first=20)]


def test_the_same_happens_to_all_parts() -> None:
    """Split by a policy about something else, closed as a whole: it is said of the workload."""
    both = cluster("v1", "v2")
    found = two([*both, CANARY], [*both, CANARY, CLOSED])
    assert lines(found) == [f"closed shop/Deployment/db → {WEB}", f"closed 0.0.0.0/0, ::/0 → {WEB}"]
    assert [str(one.group) for one in found.isolation] == [WEB]
    assert [str(piece.group) for piece in found.pieces] == ["shop/Deployment/db", WEB]


def test_something_else_happens_to_one() -> None:
    """The part that lost more than the others stays by itself, and the others are one."""
    three = cluster("v1", "v2", "v3")
    third = allow("third", {"policyTypes": ["Egress"]}, version="v3")
    found = two([*three, CANARY], [*three, CANARY, CLOSED, third])
    groups = [piece.group for piece in found.pieces if piece.group.name == "web"]
    assert [sorted(pod.labels["version"] for pod in group.pods) for group in groups] == [["v1", "v2"], ["v3"]]
    assert f"closed {groups[1]} → 0.0.0.0/0, ::/0" in lines(found)
    assert str(groups[1]) == f"{WEB}[version=v3]"


def test_both_ends_are_split() -> None:
    """Two workloads in two parts each: one line between them, and not four."""
    (more,) = pods("db", 1, first=21)
    more["metadata"] |= {"name": "db-2", "labels": {"app": "db", "version": "v2"}}
    both = [*cluster("v1", "v2"), more]
    # It isolates v2 and shuts nothing: pods are told apart, and do the same.
    split = allow("split", {"policyTypes": ["Egress"], "egress": [{}]}, version="v2")
    found = two([*both, split], [*both, split, CLOSED])
    assert lines(found) == [f"closed shop/Deployment/db → {WEB}", f"closed 0.0.0.0/0, ::/0 → {WEB}"]


def test_nothing_happens_to_any() -> None:
    """The parts of a workload that did not change are no difference, merged or not."""
    both = cluster("v1", "v2")
    assert not two([*both, CANARY], [*both, CANARY])
