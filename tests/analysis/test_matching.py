"""Which pods are which: by name, by kind, by labels, by the whole, and by nothing."""

from __future__ import annotations

from collections.abc import Iterable

from outgate.analysis.connections import connections
from outgate.analysis.matching import Presence, matched
from outgate.policy import Policies
from outgate.policy.grid import lens_of
from outgate.testing import Manifest, namespace, snapshot_of
from tests.analysis.two_sides import allow, outwards, pods, two

CANARY = allow("canary", {"policyTypes": ["Egress"]}, version="v2")


def pieces(old: Iterable[Manifest], new: Iterable[Manifest]) -> list[tuple[str, list[str], Presence | None]]:
    """How each is shown, with which pods, and where it is."""
    sides = [snapshot_of([namespace("shop"), *one]) for one in (old, new)]
    lens = lens_of(Policies(sides[0])) | lens_of(Policies(sides[1]))
    found = matched(*(connections(one, lens=lens) for one in sides))
    return [(str(one.group), [pod.name for pod in one.group.pods], one.presence) for one in found]


def versions(*each: str, prefix: str = "web", first: int = 10) -> list[Manifest]:
    """Pods of one Deployment, with these versions."""
    made = pods("web", len(each), first=first)
    for number, (one, version) in enumerate(zip(made, each, strict=True)):
        one["metadata"]["labels"]["version"] = version
        one["metadata"]["name"] = f"{prefix}-{number}"
    return made


def test_a_workload_that_is_whole_on_both_sides() -> None:
    """However its labels and names differ: there is nothing else that it could be."""
    assert pieces(versions("v1", "v1"), versions("v2", prefix="x")) == [("shop/Deployment/web", ["x-0"], None)]


def test_on_one_side_alone() -> None:
    """Such a workload has no partner, and none is made up."""
    assert pieces(versions("v1"), []) == [("shop/Deployment/web", ["web-0"], Presence.REMOVED)]
    assert pieces([], versions("v1")) == [("shop/Deployment/web", ["web-0"], Presence.ADDED)]


def test_one_side_is_split_where_the_other_is_not() -> None:
    """The policy that splits it is new: every part meets the whole as it was."""
    whole, split = versions("v1", "v2", "v2"), [*versions("v1", "v2", "v2"), CANARY]
    parts = [
        ("shop/Deployment/web[version=v1]", ["web-0"], None),
        ("shop/Deployment/web[version=v2]", ["web-1", "web-2"], None),
    ]
    assert pieces(whole, split) == parts
    assert pieces(split, whole) == parts


def test_both_sides_are_split_in_two_ways() -> None:
    """v1 and v2 are alike before, v2 and v3 after: three pieces, each alike on each side."""
    three = versions("v1", "v2", "v3")
    third = allow("third", {"policyTypes": ["Egress"]}, version="v3")
    second = allow("second", {"policyTypes": ["Egress"]}, version="v1")
    assert [name for name, *_ in pieces([*three, third], [*three, second])] == [
        f"shop/Deployment/web[version=v{number}]" for number in (1, 2, 3)
    ]


def test_other_names_same_kind() -> None:
    """A roll-out: no pod has the name of one before, and every one is like one before."""
    old, new = versions("v1", "v2"), versions("v2", "v1", "v1", prefix="new", first=30)
    assert pieces([*old, CANARY], [*new, CANARY]) == [
        ("shop/Deployment/web[version=v1]", ["new-1", "new-2"], None),
        ("shop/Deployment/web[version=v2]", ["new-0"], None),
    ]


def test_a_part_that_is_new_meets_the_whole() -> None:
    """The first canary of a workload whose pods were all treated alike is compared with these."""
    old, new = versions("v1"), versions("v1", "v2")
    assert pieces([*old, CANARY], [*new, CANARY]) == [
        ("shop/Deployment/web[version=v1]", ["web-0"], None),
        ("shop/Deployment/web[version=v2]", ["web-1"], None),
    ]


def test_a_part_without_a_partner() -> None:
    """Of two parts, which would a third have been? It is there on one side alone."""
    third = outwards("203.0.113.0/24", 443, "third", version="v3")
    old, new = versions("v1", "v2"), versions("v1", "v2", "v3")
    assert pieces([*old, CANARY, third], [*new, CANARY, third])[-1] == (
        "shop/Deployment/web[version=v3]",
        ["web-2"],
        Presence.ADDED,
    )
    assert pieces([*new, CANARY, third], [*old, CANARY, third])[-1][2] is Presence.REMOVED


def test_a_replica_of_a_part_that_stays() -> None:
    """One of two pods of a part is gone: its part is not, and it is in no other."""
    old, new = versions("v1", "v2", "v2"), versions("v1", "v2")
    assert [(name, where) for name, _, where in pieces([*old, CANARY], [*new, CANARY])] == [
        ("shop/Deployment/web[version=v1]", None),
        ("shop/Deployment/web[version=v2]", None),
    ]


def test_addresses_set_apart() -> None:
    """Where a block tells pods apart, they belong together by name, and pods are what is shown."""
    one = allow("in", {"ingress": [{"from": [{"ipBlock": {"cidr": "10.1.10.1/32"}}]}]}, app="db")
    both = [*pods("web", 2, first=10), *pods("db", 1, first=20)]
    found = [name for name, *_ in pieces(both, [*both, one])]
    assert found == ["shop/Deployment/db", "shop/Deployment/web[web-1]", "shop/Deployment/web[web-2]"]


def test_addresses_set_apart_and_other_names() -> None:
    """Pods of a roll-out at the same addresses: the one in the block is the one in the block, whatever its name."""
    one = allow("in", {"ingress": [{"from": [{"ipBlock": {"cidr": "10.1.10.1/32"}}]}]}, app="db")
    old, new = ([*pods("web", 2, first=10), *pods("db", 1, first=20), one] for _ in range(2))
    for pod in new[:2]:
        pod["metadata"]["name"] += "-again"
    found = [name for name, *_ in pieces(old, new)]
    assert found == ["shop/Deployment/db", "shop/Deployment/web[web-1-again]", "shop/Deployment/web[web-2-again]"]
    assert not two([namespace("shop"), *old], [namespace("shop"), *new])


def moved(families: int) -> list[tuple[str, list[str], Presence | None]]:
    """The first pod gives its address, which a block covers, to a third; pods have so many families after."""
    one = allow("in", {"ingress": [{"from": [{"ipBlock": {"cidr": "10.1.10.1/32"}}]}]}, app="db")
    old, new = pods("web", 2, first=10), pods("web", 3, first=10)
    for pod, last in zip(new, (3, 2, 1), strict=True):
        addresses = [{"ip": f"10.1.10.{last}"}, {"ip": f"fd00:10::{last}"}]
        pod["status"] |= {"podIP": f"10.1.10.{last}", "podIPs": addresses[:families]}
    db = [*pods("db", 1, first=20), one]
    return [piece for piece in pieces([*old, *db], [*new, *db]) if "web" in piece[0]]


def test_an_address_that_changes_hands() -> None:
    """The pod that has it now is like the one that had it, and that one has moved; neither is like the third."""
    assert moved(2) == [(f"shop/Deployment/web[web-{number}]", [f"web-{number}"], None) for number in (1, 2, 3)]


def test_parts_that_nobody_can_tell() -> None:
    """A new pod that is like none before, and whose labels two parts had: with which would it be compared?"""
    found = moved(1)
    assert [name for name, *_ in found] == [f"shop/Deployment/web[web-{number}]" for number in (1, 2, 3)]
    assert [where for *_, where in found] == [None, None, Presence.ADDED]
