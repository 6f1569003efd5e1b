"""Parts that changed alike are one again, and only those."""

from __future__ import annotations

from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.matching import Presence
from outgate.testing import Manifest, namespace, pod
from outgate.testing_cilium import cilium_policy
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


def parts(found: ConnectionDiff) -> list[tuple[list[str], Presence | None]]:
    """The parts of the web workload that are shown, by their versions, and where each is."""
    mine = [piece for piece in found.pieces if piece.group.name == "web"]
    return [(sorted(pod.labels["version"] for pod in piece.group.pods), piece.presence) for piece in mine]


def test_what_is_received_counts() -> None:
    """One part is reached on fewer ports than before; both are isolated as they were, and send as they did."""
    both = cluster("v1", "v2")
    old, new = (allow("in", {"ingress": [rule]}, version="v1") for rule in ({}, {"ports": [{"port": 80}]}))
    assert parts(two([*both, old], [*both, new])) == [(["v1"], None), (["v2"], None)]


def test_what_is_left_to_each_counts() -> None:
    """Something closes to the same end for both, and it is not the same."""
    both = cluster("v1", "v2")
    ports = {"v1": 80, "v2": 81}
    some = [
        allow(one, {"policyTypes": ["Egress"], "egress": [{"ports": [{"port": port}]}]}, version=one)
        for one, port in ports.items()
    ]
    assert parts(two(both, [*both, *some])) == [(["v1"], None), (["v2"], None)]


def test_isolation_counts() -> None:
    """A policy that selects one part and allows everything changes no connection, and whom it isolates is said."""
    both = cluster("v1", "v2")
    found = two([*both, CANARY], [*both, CANARY, allow("all", {"ingress": [{}]}, version="v1")])
    assert [str(one.group) for one in found.isolation] == [f"{WEB}[version=v1]"]


def test_a_part_that_is_gone_is_none_that_stays() -> None:
    """Also where neither had any connection."""
    shut = allow("shut", {"policyTypes": ["Egress", "Ingress"]}, app="web")
    each = [allow(one, {"policyTypes": ["Egress"]}, version=one) for one in ("v1", "v2", "v3")]
    three = [*cluster("v1", "v2", "v3"), shut, *each]
    two_left = [one for one in three if one["metadata"]["name"] != "web-1"]
    assert parts(two(three, two_left)) == [(["v1", "v3"], None), (["v2"], Presence.REMOVED)]


ITEMS = pod("shop/items", ["10.0.0.99"], app="items")


def asking(name: str, method: str, **labels: str) -> Manifest:
    """A policy for some pods, by which they send such requests to one other."""
    port = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": method}]}}
    rule = {"toEndpoints": [{"matchLabels": {"app": "items"}}], "toPorts": [port]}
    return cilium_policy(f"shop/{name}", {"endpointSelector": {"matchLabels": labels}, "egress": [rule]})


def conditions(found: ConnectionDiff) -> list[str]:
    """Who is asked something else."""
    return [f"{one.source} → {one.destination}" for one in found.conditions]


def test_the_same_is_asked_of_all_parts() -> None:
    """Split by a policy about something else, asked something else as a whole: it is said of the workload."""
    both = [*cluster("v1", "v2"), ITEMS, allow("in", {"ingress": [{"ports": [{"port": 1}]}]}, version="v2")]
    found = two([*both, asking("get", "GET", app="web")], [*both, asking("get", "PUT", app="web")])
    assert conditions(found) == [f"{WEB} → shop/items"]
    assert WEB in {str(piece.group) for piece in found.pieces}


def test_something_else_is_asked_of_one() -> None:
    """No connection differs, so that nothing but what is asked keeps the parts apart."""
    both = [*cluster("v1", "v2"), ITEMS, asking("one", "GET", version="v1")]
    found = two([*both, asking("two", "GET", version="v2")], [*both, asking("two", "PUT", version="v2")])
    assert conditions(found) == [f"{WEB}[version=v2] → shop/items"]
    assert f"{WEB}[version=v2]" in {str(piece.group) for piece in found.pieces}


def test_something_else_is_asked_of_what_opens() -> None:
    """The same port opens for both, for other requests: one line could not say for which."""
    both = [*cluster("v1", "v2"), ITEMS, allow("closed", {"policyTypes": ["Egress"]}, app="web")]
    found = two(both, [*both, asking("one", "GET", version="v1"), asking("two", "PUT", version="v2")])
    opened = [str(one.source) for one in found if str(one.destination) == "shop/items"]
    assert opened == [f"{WEB}[version=v1]", f"{WEB}[version=v2]"]
    found = two(both, [*both, asking("all", "GET", app="web")])
    assert [str(one.source) for one in found if str(one.destination) == "shop/items"] == [WEB]
