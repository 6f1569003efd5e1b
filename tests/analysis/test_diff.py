"""What opens and what closes, case by case: each is a way in which a diff of lists would say something false."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from outgate.analysis.changes import Kind
from outgate.analysis.connections import External
from outgate.analysis.diff import diff
from outgate.analysis.groups import Group
from outgate.analysis.matching import Presence
from outgate.errors import TooComplex
from outgate.model import Direction
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.testing import Manifest, cluster_policy, ingress, namespace, pod, policy, service, snapshot_of
from tests.analysis.shop import owned
from tests.analysis.two_sides import CLUSTER, DENY, allow, compared, lines, outwards, pods, two

WEB, DB = "shop/Deployment/web", "shop/StatefulSet/db"
EVERYWHERE = "0.0.0.0/0, ::/0"


def test_a_policy_added_to_a_namespace() -> None:
    """A default deny closes everything between its pods and outside, in both directions, and isolates them."""
    found = two(CLUSTER, [*CLUSTER, DENY])
    assert lines(found) == [
        f"closed {DB} → {WEB}",
        f"closed {DB} → {EVERYWHERE}",
        f"closed {WEB} → {DB}",
        f"closed {WEB} → {EVERYWHERE}",
        f"closed {EVERYWHERE} → {DB}",
        f"closed {EVERYWHERE} → {WEB}",
    ]
    isolated = [(str(one.group), one.direction, one.isolated) for one in found.isolation]
    assert isolated == [(name, direction, True) for name in (DB, WEB) for direction in Direction]
    assert (found.opens, found.closes, bool(found)) == (False, True, True)


def test_a_block_is_narrowed() -> None:
    """The half that closed, and not the whole block closed and half of it opened."""
    found = two([*CLUSTER, outwards("10.0.0.0/8", 443, app="web")], [*CLUSTER, outwards("10.0.0.0/9", 443, app="web")])
    (one,) = found
    assert one.destination == External(AddressSet.network("10.128.0.0/9"))
    assert one.kind is Kind.CLOSED
    assert one.shift.before == TransportSet.ports(Protocol.TCP, 443)


def test_a_block_is_narrowed_and_covers_pods() -> None:
    """An address block matches pods too: those in the half that closed are closed to."""
    old, new = outwards("10.1.0.0/16", 443, app="web"), outwards("10.1.0.0/20", 443, app="web")
    assert compared([*CLUSTER, old], [*CLUSTER, new]) == [
        f"closed {WEB} → {DB}",
        f"closed {WEB} → 10.1.16.0/20, 10.1.32.0/19, 10.1.64.0/18, 10.1.128.0/17",
    ]


def test_parts_outside_are_the_coarsest() -> None:
    """Two blocks that close in the same way are one part; one that changes in another way is another."""
    old = [outwards("10.0.0.0/8", 443, "a", app="web"), outwards("192.168.0.0/16", 443, "b", app="web")]
    new = [outwards("10.0.0.0/8", 80, "a", app="web")]
    found = two([*CLUSTER, *old], [*CLUSTER, *new])
    assert lines(found)[1:] == [f"changed {WEB} → 10.0.0.0/8", f"closed {WEB} → 192.168.0.0/16"]


def test_a_label_split_on_one_side_only() -> None:
    """A policy that looks at the version splits the workload; the part that it does not select did not change."""
    cluster = [*CLUSTER[:1], *pods("db", 1, kind="StatefulSet", first=20), *_versions()]
    canary = allow("canary", {"policyTypes": ["Egress"]}, version="v2")
    found = two(cluster, [*cluster, canary])
    assert lines(found) == [f"closed {WEB}[version=v2] → {DB}", f"closed {WEB}[version=v2] → {EVERYWHERE}"]
    assert [(str(one.group), one.isolated) for one in found.isolation] == [(f"{WEB}[version=v2]", True)]
    back = two([*cluster, canary], cluster)
    assert lines(back) == [line.replace("closed", "opened") for line in lines(found)]


def _versions() -> list[Manifest]:
    both = pods("web", 2, first=10)
    for one, version in zip(both, ("v1", "v2"), strict=True):
        one["metadata"]["labels"]["version"] = version
    return both


def test_parts_that_changed_alike_are_the_workload() -> None:
    """Where a workload is split for another reason, what happens to all of it is said of it, and once."""
    cluster = [*CLUSTER[:1], *pods("db", 1, kind="StatefulSet", first=20), *_versions()]
    canary = allow("canary", {"policyTypes": ["Egress"]}, version="v2")
    closed = allow("in", {}, app="web")
    found = compared([*cluster, canary], [*cluster, canary, closed])
    assert found == [f"closed {DB} → {WEB}", f"closed {EVERYWHERE} → {WEB}"]


def test_replicas_are_no_difference() -> None:
    """More pods, fewer pods, and a roll-out that gives each another name and address: the policies are the same."""
    rules = [DENY, allow("to-db", {"policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": {}}]}]}, app="web")]
    more = [*CLUSTER[:1], *pods("web", 5, first=10), *pods("db", 3, kind="StatefulSet", first=20)]
    rolled = [*CLUSTER[:1], *pods("web", 2, first=77), *pods("db", 1, kind="StatefulSet", first=78)]
    for one in rolled[1:]:
        one["metadata"]["name"] += "-again"
    for other in (more, rolled):
        assert not two([*CLUSTER, *rules], [*other, *rules])
        assert not two([*other, *rules], [*CLUSTER, *rules])


def test_replicas_of_a_split_workload_are_no_difference() -> None:
    """The same where policies tell its pods apart: parts belong together by what sets them apart, not by names."""
    canary = allow("canary", {"policyTypes": ["Egress"]}, version="v2")
    old = [*CLUSTER[:1], *_versions()]
    new = [*CLUSTER[:1], *_versions()]
    for number, one in enumerate(new[1:]):
        one["metadata"]["name"] = f"web-other-{number}"
        one["status"]["podIPs"] = [{"ip": f"10.9.9.{number}"}]
    assert not two([*old, canary], [*new, canary])


def test_a_workload_is_renamed() -> None:
    """Nobody can know that it is the same one: the old is removed, the new added, and each is marked."""
    new = [*CLUSTER[:1], *pods("shop-front", 2, first=10), *pods("db", 1, kind="StatefulSet", first=20)]
    found = two(CLUSTER, new)
    assert {one.kind for one in found if "shop-front" in f"{one.source}{one.destination}"} == {Kind.OPENED}
    marks = {(str(one.source), one.source_presence) for one in found if isinstance(one.source, Group)}
    assert marks == {(WEB, Presence.REMOVED), ("shop/Deployment/shop-front", Presence.ADDED), (DB, None)}
    assert all(one.comes_with_workload for one in found)
    assert found.isolation == ()


def test_two_new_workloads_and_two_gone() -> None:
    """Between a workload that is gone and one that is new there never was anything."""
    new = [*CLUSTER[:1], *pods("a", 1, first=30), *pods("b", 1, first=31)]
    ends = {(one.source_presence, one.destination_presence) for one in two(CLUSTER, new)}
    assert (Presence.REMOVED, Presence.ADDED) not in ends
    assert (Presence.ADDED, Presence.ADDED) in ends


def test_policy_types_change() -> None:
    """The rules are the same; that the policy no longer speaks of egress opens what they did not allow."""
    spec: Manifest = {"ingress": [{}], "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "db"}}}]}]}
    old, new = (
        allow("web", {**spec, "policyTypes": ["Ingress", "Egress"]}, app="web"),
        allow("web", {**spec, "policyTypes": ["Ingress"]}, app="web"),
    )
    found = two([*CLUSTER, old], [*CLUSTER, new])
    assert lines(found) == [f"opened {WEB} → {EVERYWHERE}"]
    assert [(one.direction, one.isolated) for one in found.isolation] == [(Direction.EGRESS, False)]


def test_isolation_without_a_connection_is_a_difference() -> None:
    """A policy that allows everything closes nothing, but whoever relies on not being isolated has to know."""
    found = two(CLUSTER, [*CLUSTER, allow("all", {"ingress": [{}]}, app="web")])
    assert found.changes == ()
    assert found
    assert (found.opens, found.closes) == (False, False)


def test_one_family_alone() -> None:
    """A block of IPv6 that is taken away closes nothing by IPv4, and is a change for all that."""
    blocks = [{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"ipBlock": {"cidr": "fd00::/8"}}]
    old, new = (
        allow("web", {"policyTypes": ["Egress"], "egress": [{"to": to}]}, app="web") for to in (blocks, blocks[:1])
    )
    found = two([*CLUSTER, old], [*CLUSTER, new])
    inside = [one for one in found if isinstance(one.destination, Group)]
    assert lines(inside) == [f"changed {WEB} → {DB}"]
    shift = inside[0].shift
    assert shift.before == shift.after == TransportSet.governed()
    assert shift.families == ((4, shift.before, shift.before), (6, shift.before, TransportSet()))
    assert (shift.narrows, shift.widens) == (True, False)


def test_an_address_of_the_other_family_is_no_difference() -> None:
    """A pod that gets an IPv6 address reaches what it reached."""
    single = [namespace("shop"), pod("shop/a", ["10.1.0.1"]), pod("shop/b", ["10.1.0.2"])]
    dual = [namespace("shop"), pod("shop/a", ["10.1.0.1", "fd00::1"]), pod("shop/b", ["10.1.0.2", "fd00::2"])]
    assert not two(single, dual)
    assert not two([*single, DENY], [*dual, DENY])


def test_labels_of_a_namespace() -> None:
    """No policy differs, and yet something closes."""
    rule = policy("shop/db", {"ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "red"}}}]}]})
    sides = [[namespace("other", team=team), pod("other/a"), *CLUSTER, rule] for team in ("red", "blue")]
    assert compared(*sides) == [f"closed other/a → {DB}", f"closed other/a → {WEB}"]


def test_a_port_name_that_means_another_number() -> None:
    """The policy is the same; the pod's port is not."""
    rule = policy(
        "shop/named", {"podSelector": {"matchLabels": {"app": "x"}}, "ingress": [{"ports": [{"port": "http"}]}]}
    )
    sides = [
        [
            namespace("shop"),
            pod("shop/x", ["10.1.0.1"], ports=[{"name": "http", "containerPort": port}], app="x"),
            pod("shop/y"),
            rule,
        ]
        for port in (80, 8080)
    ]
    found = two(*sides)
    assert lines(found) == ["changed shop/y → shop/x", f"changed {EVERYWHERE} → shop/x"]
    assert found.opens
    assert found.closes


def test_about() -> None:
    """Only what has the workload at one end; the numbers follow."""
    found = two(CLUSTER, [*CLUSTER, DENY])
    mine = found.about(lambda group: group.name == "db")
    assert lines(mine) == [line for line in lines(found) if DB in line]
    assert {str(one.group) for one in mine.isolation} == {DB}
    assert not found.about(lambda group: group.name == "nobody")


def test_the_other_snapshot_may_be_made_from_the_first() -> None:
    """As a library: the pods are the very same objects, and so may identities be shared."""
    old = snapshot_of([*CLUSTER, DENY])
    assert len(diff(old, old.with_policies(())).changes) == 6
    assert not diff(old, dataclasses.replace(old))


def test_other_protocols_do_not_count() -> None:
    """NetworkPolicy speaks of TCP, UDP and SCTP; naming all their ports shuts ICMP out for some plugins, not for us."""
    ports = [{"protocol": name, "port": 1, "endPort": 65535} for name in ("TCP", "UDP", "SCTP")]
    every = [{"protocol": name} for name in ("TCP", "UDP", "SCTP")]
    old, named, all_but_0 = (
        allow("web", {"ingress": [{"ports": one}] if one else [{}]}, app="web") for one in (None, every, ports)
    )
    assert not two([*CLUSTER, old], [*CLUSTER, named])
    assert two([*CLUSTER, old], [*CLUSTER, all_but_0])


def test_each_side_is_seen_through_the_lens_of_both() -> None:
    """Pods with new names under a policy that reads another label: they are the same, and the same passes."""
    ends = [{"tier": "front", "version": "1"}, {"tier": "back", "version": "2"}]
    old = [
        owned(pod(f"shop/web-{one}", labels=mine), "Deployment", "web") for one, mine in zip("ab", ends, strict=True)
    ]
    new = [
        owned(pod(f"shop/web-{one}", labels=mine), "Deployment", "web") for one, mine in zip("cd", ends, strict=True)
    ]
    before, after = (allow("deny", {"policyTypes": ["Egress"]}, **one) for one in ({"tier": "front"}, {"version": "1"}))
    assert compared([*old, before, pod("data/db")], [*new, after, pod("data/db")]) == []


def test_the_ingress_controller() -> None:
    """A door that is made is opened, and one that is taken away closed."""
    inside = [*CLUSTER, service("shop/web", "10.96.0.1", [{"port": 80}], app="web")]
    door = ingress("shop/door", ("web", 80))
    assert compared(inside, [*inside, door]) == [f"opened ingress controller → {WEB}"]
    assert compared([*inside, door], inside) == [f"closed ingress controller → {WEB}"]


def test_a_receiver_gets_an_address_of_the_other_family() -> None:
    """A family that an end lacks on one side is compared with nothing: what passed by IPv4 still passes."""
    web, deny = pod("shop/web", ["10.1.0.1", "fd00::1"], app="web"), outwards("203.0.113.0/24", 443, app="web")
    old, new = (pod("shop/db", ["10.1.0.2", "fd00::2"][:count], app="db") for count in (1, 2))
    other = pod("shop/other", ["10.1.0.3", "fd00::3"])
    for policies in ((), (deny,)):
        assert compared([web, other, old, *policies], [web, other, new, *policies]) == []
        assert compared([web, other, new, *policies], [web, other, old, *policies]) == []


def test_one_family_opens_with_the_policy_gone() -> None:
    """Only the side before has to tell the families apart."""
    four = allow("four", {"ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}, app="db")
    found = [one for one in two([*CLUSTER, four], CLUSTER) if str(one.source) == WEB]
    assert [(str(one.destination), one.kind) for one in found] == [(DB, Kind.CHANGED)]
    assert [family for family, before, after in found[0].shift.families if before != after] == [6]
    assert found[0].shift.widens
    assert found[0].shift.opened


def test_more_changes_than_can_be_kept_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted and put together in memory: it is better to say so than to fill it."""
    pods = [pod(f"a/{name}", [f"10.0.0.{number}"], app=name) for number, name in enumerate("wxyz", start=1)]
    before = snapshot_of([namespace("a"), *pods])
    after = snapshot_of([namespace("a"), *pods, policy("a/deny", {"podSelector": {}, "policyTypes": ["Ingress"]})])
    found = len(diff(before, after).changes)
    monkeypatch.setattr(sys.modules[diff.__module__], "MOST_CHANGES", found)
    assert len(diff(before, after).changes) == found
    monkeypatch.setattr(sys.modules[diff.__module__], "MOST_CHANGES", found - 1)
    with pytest.raises(TooComplex, match=f"more than {found - 1} connections differ"):
        diff(before, after)


def test_what_one_pod_loses_is_not_told_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set for each pod, by what it calls a port, was kept by nobody: the next was taken for the last.

    `id` is "unique and constant for this object during its lifetime": here the next object has it at once.
    """
    held: list[object] = []

    def hasty(one: object) -> int:
        for number in range(len(held)):
            if held[number] is one:
                return number
        for number in range(len(held)):
            if sys.getrefcount(held[number]) <= 2:  # the list here has it, and whoever is asked
                held[number] = one
                return number
        held.append(one)
        return len(held) - 1

    monkeypatch.setattr(sys.modules[diff.__module__], "id", hasty, raising=False)
    many = [pod(f"a/p{n}", [f"10.1.0.{n}"], ports=[{"name": "http", "containerPort": 8000 + n}]) for n in (1, 2, 3)]
    never = {
        "action": "Deny",
        "from": [{"namespaces": {}}],
        "protocols": [{"tcp": {"destinationPort": {"number": 22}}}],
    }
    ruled = policy("a/p", {"policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": "http"}]}]})
    town = [namespace("a"), *many]
    found = diff(snapshot_of(town), snapshot_of([*town, cluster_policy("c", ingress=[never]), ruled]))
    left = {
        one.destination.name: one.shift.after
        for one in found.changes
        if isinstance(one.source, External) and isinstance(one.destination, Group)
    }
    assert left == {f"p{n}": TransportSet.ports(Protocol.TCP, 8000 + n) for n in (1, 2, 3)}
