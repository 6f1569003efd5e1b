"""Policies of one priority that say different things."""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.checks import Finding, Survey, load
from outgate.model import Learned, Snapshot
from outgate.policy import Endpoint, Flow, Judge, Policies
from outgate.testing import (
    Manifest,
    cluster_policy,
    namespace,
    pod,
    random_cluster,
    random_cluster_policies,
    snapshot_of,
)
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import ask, egress, to

RULE = "priority-disputed"
SHOP: list[Manifest] = [
    namespace("shop"),
    pod("shop/web", ["10.0.0.1"], app="web"),
    pod("shop/db", ["10.0.0.2"], app="db"),
]
WIDE, NARROW, BESIDE = "203.0.113.0/24", "203.0.113.128/25", "203.0.113.0/25"
WEB = {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}}
DB = {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "db"}}}}


def net(action: str, block: str, *ports: int) -> dict[str, Any]:
    """A rule for a block outside."""
    protocols = [{"tcp": {"destinationPort": {"number": port}}} for port in ports]
    return {"action": action, "to": [{"networks": [block]}], **({"protocols": protocols} if ports else {})}


def named(name: str, *rules: dict[str, Any], **more: Any) -> Manifest:
    """A policy with these egress rules."""
    return cluster_policy(name, egress=rules, **more)


def find(*cluster: Manifest) -> list[Finding]:
    """What is found in the shop."""
    return ask(RULE, *SHOP, *cluster)


def test_two_policies_and_a_connection() -> None:
    """In the words of the judge, with both places and how the connection fares here."""
    (found,) = find(named("a", net("Accept", WIDE)), named("b", net("Deny", NARROW)))
    assert found.message == (
        "ClusterNetworkPolicy a egress[0], ClusterNetworkPolicy b egress[0] have the same tier and priority and say "
        "different things; the API does not say which counts, for what shop/db, shop/web send"
    )
    assert str(found.witness) == "shop/db -> 203.0.113.128:80/TCP is dropped"
    assert found.place.path == "spec.egress[0]"
    assert [one.words for one in found.related] == [
        "ClusterNetworkPolicy a egress[0] says Accept",
        "ClusterNetworkPolicy b egress[0] says Deny",
    ]


@pytest.mark.parametrize(
    "other",
    [
        named("b", net("Accept", NARROW)),
        named("b", net("Deny", NARROW), priority=11),
        named("b", net("Deny", NARROW), tier="Baseline"),
        named("b", net("Deny", "198.51.100.0/24")),
        named("b", net("Deny", NARROW, 81)),
        named("b", net("Deny", NARROW), subject=DB),
        named("b", net("Accept", WIDE), net("Deny", NARROW)),
    ],
    ids=["alike", "priority", "tier", "block", "port", "subject", "its own first rule"],
)
def test_what_is_no_dispute(other: Manifest) -> None:
    """They agree, they have an order, or they never meet."""
    assert find(named("a", net("Accept", WIDE, 80), subject=WEB), other) == []


def test_what_is_decided_before_is_no_dispute() -> None:
    """By the tier itself, and for the Baseline tier by whatever isolates."""
    two = [named("a", net("Accept", WIDE)), named("b", net("Deny", WIDE))]
    assert find(*two, named("first", net("Deny", WIDE), priority=1)) == []
    (found,) = find(*two, named("first", net("Deny", BESIDE), priority=1))
    assert "203.0.113.128" in str(found.witness)
    base = [named("a", net("Accept", WIDE), tier="Baseline"), named("b", net("Deny", WIDE), tier="Baseline")]
    assert len(find(*base)) == 1
    assert find(*base, egress("shop/p", to({"ipBlock": {"cidr": WIDE}}))) == []
    (found,) = find(*base, egress("shop/p", to({"ipBlock": {"cidr": WIDE}}), app="web"))
    assert found.message.endswith("for what shop/db sends")


def test_a_pass_is_something_else_too() -> None:
    """Whatever comes of it."""
    (found,) = find(named("a", net("Pass", WIDE)), named("b", net("Accept", WIDE)))
    assert str(found.witness).endswith("passes")


def test_between_pods_and_by_both_directions() -> None:
    """Peers by labels, and policies of ingress."""
    peer: list[dict[str, Any]] = [{"namespaces": {}}]
    (found,) = find(
        cluster_policy("a", subject=WEB, egress=[{"action": "Accept", "to": peer}]),
        cluster_policy("b", subject=WEB, egress=[{"action": "Deny", "to": peer}]),
    )
    assert str(found.witness) == "shop/web -> shop/db:80/TCP is dropped"
    (found,) = find(
        cluster_policy("a", subject=DB, ingress=[{"action": "Accept", "from": peer}]),
        cluster_policy("b", subject=DB, ingress=[{"action": "Deny", "from": peer}]),
    )
    assert str(found.witness) == "shop/web -> shop/db:80/TCP is dropped"
    assert found.message.endswith("for what shop/db is sent")


def test_a_pod_has_no_dispute_with_itself_nor_in_a_family_that_it_lacks() -> None:
    """No packet of these is asked about."""
    peer: list[dict[str, Any]] = [{"namespaces": {}}]
    two = [
        cluster_policy("a", subject=WEB, egress=[{"action": "Accept", "to": peer}, net("Accept", "2001:db8::/32")]),
        cluster_policy("b", subject=WEB, egress=[{"action": "Deny", "to": peer}, net("Deny", "2001:db8::/32")]),
    ]
    assert ask(RULE, *SHOP[:2], *two) == []
    assert ask(RULE, *SHOP[:2], pod("shop/six", ["fd00::1"]), *two) == []
    assert len(ask(RULE, *SHOP, *two)) == 1


def test_of_two_generations() -> None:
    """An AdminNetworkPolicy is of the Admin tier as well."""
    spec = {
        "priority": 10,
        "subject": {"namespaces": {}},
        "egress": [{"action": "Deny", "to": [{"networks": [NARROW]}]}],
    }
    version = "policy.networking.k8s.io/v1alpha1"
    old = {"apiVersion": version, "kind": "AdminNetworkPolicy", "metadata": {"name": "old"}, "spec": spec}
    (found,) = find(named("a", net("Accept", WIDE)), old)
    assert "AdminNetworkPolicy old egress[0]" in found.message


def connections(snapshot: Snapshot) -> Iterator[Flow]:
    """From every pod to every other, and to and from addresses outside, on a few ports."""
    outside = [ipaddress.ip_address(one) for one in ("8.8.8.8", "203.0.113.7", "10.9.0.1", "2001:db8::7")]
    for family in (4, 6):
        ends = [end for one in snapshot.endpoints if (end := Endpoint.of_pod(one, family)) is not None]
        far = [Endpoint.at(snapshot, one) for one in outside if one.version == family]
        for source, destination in itertools.permutations([*ends, *far], 2):
            if source.pod is not destination.pod and source.address != destination.address:
                yield from (Flow(source, destination, 6, port) for port in (53, 80, 443, 8080))


def of_one_priority(seed: int) -> list[Manifest]:
    """Drawn policies of the whole cluster, all of one priority, most of one tier."""
    drawn = random_cluster_policies(seed, 8)
    for one in drawn:
        if "priority" in one["spec"]:
            one["spec"]["priority"] = 10
        if "tier" in one["spec"] and seed % 3:
            one["spec"]["tier"] = "Admin" if seed % 3 == 1 else "Baseline"
    return drawn


@pytest.mark.parametrize("seed", range(24))
def test_all_that_the_judge_meets_is_found_and_is_shown(seed: int) -> None:
    """For drawn clusters: no dispute of any connection is left out, and each that is found has its connection."""
    snapshot = snapshot_of([*random_cluster(seed), *of_one_priority(seed)])
    judge = Judge(Policies(snapshot))
    found = list(load(RULE).find(Survey(snapshot)))
    pairs = {tuple(related.words.rpartition(" says ")[0] for related in one.related) for one in found}
    for flow in connections(snapshot):
        trace = judge.judge(flow)
        for side in (trace.egress, trace.ingress):
            said = side.outcome.disputed if side.outcome is not None else ()
            for one, other in itertools.combinations(said, 2):
                if one.action is not other.action:
                    mine = (str(one.origin), str(other.origin))
                    assert mine in pairs or mine[::-1] in pairs
    assert all(one.witness is not None for one in found)


def dns(*names: str, ports: tuple[int, ...] = ()) -> dict[str, Any]:
    """A rule that accepts names."""
    return net("Accept", "", *ports) | {"to": [{"domainNames": list(names)}]}


def test_names_may_lead_to_what_another_denies() -> None:
    """Anywhere outside of the cluster; nobody knows where, so no connection is shown."""
    (found,) = find(named("a", dns("api.example.com")), named("b", net("Deny", WIDE)))
    assert found.message == (
        "ClusterNetworkPolicy a egress[0], ClusterNetworkPolicy b egress[0] have the same tier and priority and say "
        "different things; the API does not say which counts, for what shop/db, shop/web send to api.example.com"
    )
    assert found.witness is None
    (found,) = find(named("a", dns("*.example.com", "example.com")), named("b", net("Pass", "10.0.0.0/8")))
    assert found.message.endswith("send to *.example.com, example.com")
    (found,) = find(
        *(named(name, rule, tier="Baseline") for name, rule in (("a", dns("x.io")), ("b", net("Deny", WIDE))))
    )
    assert found.message.endswith("send to x.io")


@pytest.mark.parametrize(
    "rules",
    [
        [net("Deny", "10.0.0.1/32")],
        [{"action": "Deny", "to": [{"namespaces": {}}]}],
        [{"action": "Deny", "to": [{"domainNames": ["api.example.com"]}]}],
        [net("Deny", "127.0.0.0/8")],
        [net("Deny", WIDE, 81)],
        [net("Accept", WIDE)],
        [dns("api.example.com"), net("Deny", WIDE)],
        [dns("*.example.com"), net("Deny", WIDE)],
        [net("Accept", "0.0.0.0/0"), net("Deny", WIDE)],
    ],
    ids=["a pod", "pods", "names that are denied", "itself", "port", "alike", "the name", "its ending", "all"],
)
def test_where_names_are_no_dispute(rules: list[dict[str, Any]]) -> None:
    """Names lead to nothing in the cluster; the API knows none in a denial; and the other may accept them before."""
    snapshot = [*SHOP, named("a", dns("api.example.com", ports=(80,))), named("b", *rules)]
    assert ask(RULE, *snapshot) == []


def test_an_ending_is_more_than_one_of_its_names() -> None:
    """What one accepts before it denies are not all names that the other accepts."""
    (found,) = find(named("a", dns("*.example.com")), named("b", dns("www.example.com"), net("Deny", WIDE)))
    assert found.message.endswith("send to *.example.com")
    (found,) = find(named("a", dns("*.example.com")), named("b", dns("*.b.example.com"), net("Deny", WIDE)))
    assert found.message.endswith("send to *.example.com")


def test_names_that_are_decided_before_are_no_dispute() -> None:
    """By the tier; of the Baseline tier by what allows names in between, as far as they are the same."""
    two = [named("a", dns("api.example.com")), named("b", net("Deny", WIDE))]
    assert find(*two, named("first", net("Deny", "0.0.0.0/0"), priority=1)) == []
    assert find(*two, named("first", dns("*.example.com"), priority=1)) == []
    assert len(find(*two, named("first", dns("*.example.com", ports=(80,)), priority=1))) == 1
    base = [named("a", dns("*.example.com"), tier="Baseline"), named("b", net("Deny", WIDE), tier="Baseline")]
    spec = {"endpointSelector": {}, "enableDefaultDeny": {"egress": False}}

    def between(pattern: str) -> Manifest:
        return cilium_policy("shop/c", spec | {"egress": [{"toFQDNs": [{"matchPattern": pattern}]}]})

    assert find(*base, between("**.example.com")) == []
    # One label alone: there are names of more.
    assert len(find(*base, between("*.example.com"))) == 1


def test_a_connection_is_shown_where_one_needs_no_name() -> None:
    """Then it is not said of names."""
    both = {"action": "Accept", "to": [{"domainNames": ["api.example.com"]}, {"networks": [NARROW]}]}
    (found,) = find(named("a", both), named("b", net("Deny", WIDE)))
    assert str(found.witness) == "shop/db -> 203.0.113.128:80/TCP is dropped"
    assert found.message.endswith("for what shop/db, shop/web send")


def test_many_pairs_are_looked_at_once_for_all_workloads() -> None:
    """Each rule against all others of its priority, whoever the workloads are."""
    pods = [pod(f"shop/app-{at}", [f"10.0.1.{at}"], app=f"app-{at}") for at in range(40)]
    many = [named(f"p{at:02}", dns(f"api-{at}.example.com"), net("Deny", f"198.18.{at}.0/24")) for at in range(12)]
    found = ask(RULE, *SHOP, *pods, *many)
    assert len(found) == 12 * 11
    assert all("shop/app-0, shop/app-1, shop/app-10 and 39 more send to api-" in one.message for one in found)


BLOCKS = ("0.0.0.0/0", WIDE, NARROW, "198.51.100.0/24")
PATTERNS = ("example.com", "www.example.com", "*.example.com", "*.b.example.com", "*.example.org")
NAMES = (
    "example.com",
    "www.example.com",
    "x.example.com",
    "a.b.example.com",
    "a.c.example.com",
    "y.z.example.org",
    "nobody.test",
)
ENDS = ("203.0.113.1", "203.0.113.200", "198.51.100.1", "8.8.8.8")


def with_names(seed: int) -> list[Manifest]:
    """The shop under policies of few priorities that accept names and speak of blocks, and now and then others."""
    chance = random.Random(seed)

    def rule() -> dict[str, Any]:
        ports = chance.choice(((), (), (80,), (443,)))
        if chance.random() < 0.4:
            return dns(*chance.sample(PATTERNS, chance.randint(1, 2)), ports=ports)
        return net(chance.choice(("Accept", "Deny", "Pass")), chance.choice(BLOCKS), *ports)

    made = [
        named(
            f"p{number}",
            *(rule() for _ in range(chance.randint(1, 3))),
            tier=chance.choice(("Admin", "Admin", "Baseline")),
            priority=chance.choice((10, 10, 20)),
            subject=chance.choice(({"namespaces": {}}, WEB)),
        )
        for number in range(chance.randint(2, 5))
    ]
    if chance.random() < 0.3:
        made.append(egress("shop/n", to({"ipBlock": {"cidr": chance.choice(BLOCKS)}}), app="db"))
    if chance.random() < 0.3:
        spec: dict[str, Any] = {"endpointSelector": {}, "enableDefaultDeny": {"egress": False}}
        names = [{"matchPattern": chance.choice(("*.example.com", "**.example.com", "*.org", "w*.example.com"))}]
        made.append(cilium_policy("shop/c", spec | {"egress": [{"toFQDNs": names}]}))
    return [*SHOP, *made]


@given(st.integers(0, 2**32 - 1))
def test_found_is_what_the_judge_meets_wherever_names_lead(seed: int) -> None:
    """Of every name, told to all pods for every address outside: those pairs, and no others."""
    snapshot = snapshot_of(with_names(seed))
    there = tuple(map(ipaddress.ip_address, ENDS))
    met: set[frozenset[str]] = set()
    for name in NAMES:
        told = [Learned(one.key, name, there) for one in snapshot.endpoints]
        told_all = dataclasses.replace(snapshot, learned=tuple(told))
        judge = Judge(Policies(told_all))
        here = [Endpoint.of_pod(one, 4) for one in told_all.endpoints]
        pods = [one for one in here if one is not None]
        ends = [*pods, *(Endpoint.at(told_all, one) for one in there)]
        for source, end, port in itertools.product(pods, ends, (9, 80, 443)):
            outcome = judge.judge(Flow(source, end, 6, port)).egress.outcome if source.address != end.address else None
            for one, other in itertools.combinations(outcome.disputed if outcome is not None else (), 2):
                if one.action is not other.action and one.tier is other.tier:
                    met.add(frozenset((str(one.origin), str(other.origin))))
    found = list(load(RULE).find(Survey(snapshot)))
    pairs = {frozenset(one.words.rpartition(" says ")[0] for one in finding.related) for finding in found}
    same = {one for one in met if len({_priority(snapshot, text) for text in one}) == 1}
    assert pairs == same, seed


def _priority(snapshot: Snapshot, origin: str) -> int:
    """The priority of the policy that a rule is of."""
    name = origin.split()[1]
    return next(one.priority for one in snapshot.cluster_policies if one.name == name)
