"""The words that every form of a diff shares."""

from __future__ import annotations

import pytest

from outgate.analysis.changes import Shift
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.groups import Group
from outgate.analysis.matching import Presence
from outgate.packets import Protocol, TransportSet
from outgate.report.diff_words import (
    EQUAL,
    Sections,
    blames,
    headline,
    isolation_words,
    plural,
    policies_around,
    ports_words,
    shift_words,
    with_workload,
    workloads,
)
from outgate.testing import namespace, pod, policy, service
from outgate.testing_cilium import cilium_policy
from tests.analysis.two_sides import CLUSTER, DENY, allow, outwards, pods, two
from tests.report.diffs import EVERYTHING, NOTHING, WILD, reported
from tests.slices import endpoint_slice

NONE, ALL = TransportSet(), TransportSet.governed()
SQL, WEB = (TransportSet.ports(Protocol.TCP, port) for port in (5432, 443))


def test_every_change_is_in_one_section() -> None:
    """None is lost between them, and none is counted twice."""
    parts = Sections.of(EVERYTHING)
    every = [*parts.wider, *parts.both, *parts.narrower, *parts.added, *parts.removed]
    assert sorted(map(id, every)) == sorted(map(id, EVERYTHING.changes))
    assert all((parts.wider, parts.both, parts.narrower, parts.added, parts.removed))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (NOTHING, EQUAL),
        (two(CLUSTER, [*CLUSTER, DENY]), "6 connections close, isolation differs for 2 workloads"),
        (
            two(
                [*CLUSTER, outwards("192.0.2.0/24", 80, app="web")],
                [*CLUSTER, outwards("192.0.2.0/24", 443, app="web")],
            ),
            "1 connection opens in part and closes in part",
        ),
        (
            two(CLUSTER, [*CLUSTER, *pods("new", 1, first=9)]),
            "6 connections come with 1 new workload",
        ),
        (
            two([*CLUSTER, *pods("new", 1, first=9)], CLUSTER),
            "6 connections go with 1 workload that is gone",
        ),
        (
            two(CLUSTER, [*CLUSTER, allow("all", {"ingress": [{}]}, app="web")]),
            "no connection differs, isolation differs for 1 workload",
        ),
    ],
)
def test_headline(found: ConnectionDiff, words: str) -> None:
    """One sentence that says all there is to know if nothing is amiss."""
    assert headline(found) == words


def test_shift_words() -> None:
    """What passes, and of what changed only the difference beside what was."""
    assert shift_words(Shift(NONE, SQL)) == "TCP 5432"
    assert shift_words(Shift(ALL, NONE)) == "every port"
    assert shift_words(Shift(SQL, SQL | WEB)) == "opens TCP 443; was TCP 5432"
    assert shift_words(Shift(SQL, WEB)) == "opens TCP 443 and closes TCP 5432; was TCP 5432"
    assert (
        shift_words(Shift(SQL, SQL, ((4, SQL, SQL), (6, SQL, NONE)))) == "closes TCP 5432, by IPv6 alone; was TCP 5432"
    )
    both = Shift(ALL, SQL, ((4, ALL, SQL), (6, SQL | WEB, NONE)))
    assert shift_words(both).startswith("closes TCP 0-5431, TCP 5433-65535, every UDP port, every SCTP port by IPv4, ")
    assert shift_words(both).endswith(", closes TCP 443, TCP 5432 by IPv6; was every port")
    assert shift_words(Shift(NONE, SQL, ((4, NONE, SQL), (6, NONE, NONE)))) == "TCP 5432 by IPv4; no port by IPv6"


def test_ports_words_may_be_cut_or_not() -> None:
    """A line has room for a dozen ranges, a table for a program for all."""
    many = TransportSet()
    for port in range(1, 60, 2):
        many |= TransportSet.ports(Protocol.TCP, port)
    assert "and 18 more ranges" in ports_words(many)
    assert ports_words(many, every=True).endswith("TCP 59")


def test_blames() -> None:
    """The line of the change, and both halves of one that opens and closes."""
    found, why = reported(EVERYTHING)
    (both,) = Sections.of(found).both
    words = [(blame.words, blame.origin.file if blame.origin else "") for blame in blames(both, why)]
    assert words == [("allowed by shop/out egress[0]", "new.yaml"), ("was allowed by shop/out egress[0]", "old.yaml")]


def test_where_no_policy_is_to_blame() -> None:
    """A label that changed is said, and not laid to a policy that is the same."""
    rule = allow("db", {"ingress": [{"from": [{"podSelector": {"matchLabels": {"team": "a"}}}]}]}, app="db")
    sides = [[*CLUSTER, *pods("more", 1, first=9, team=team), rule] for team in ("a", "b")]
    found, why = reported(two(*sides))
    (one,) = found
    words = [blame.words for blame in blames(one, why)]
    assert words[0] == "denied by shop/db"
    assert words[1].startswith("no policy that decides this differs")


def test_many_are_counted() -> None:
    """A connection that a hundred rules allow is not a hundred lines."""
    rules = [{"to": [{"podSelector": {}}], "ports": [{"port": port}]} for port in range(1, 9)]
    wide = allow("wide", {"policyTypes": ["Egress"], "egress": rules}, app="web")
    found, why = reported(two([*CLUSTER, allow("wide", {"policyTypes": ["Egress"]}, app="web")], [*CLUSTER, wide]))
    assert [blame.words for blame in blames(found.changes[0], why)][-1] == "and by 5 more"


def test_what_comes_with_a_workload() -> None:
    """Under the workload that is new, once, even where both ends are."""
    found = two(CLUSTER, [*CLUSTER, *pods("a", 1, first=8), *pods("b", 1, first=9)])
    groups = with_workload(found, Presence.ADDED)
    assert sum(map(len, groups.values())) == len(found.changes)
    assert sorted(group.name for group in groups) == ["a", "b"]
    assert workloads(groups) == 2


def test_policies_around() -> None:
    """Those of namespaces where nothing changed are somebody else's."""
    elsewhere = policy("elsewhere/p", {})
    found, why = reported(two(CLUSTER, [*CLUSTER, DENY, elsewhere]))
    assert [str(one.policy) for one in why.policies] == ["elsewhere/p", "shop/deny"]
    assert [str(one.policy) for one in policies_around(found, why)] == ["shop/deny"]


def test_small_words() -> None:
    """One and many; now and no longer."""
    assert (plural(1, "way"), plural(1_200, "way"), plural(2, "is", "are")) == ("1 way", "1,200 ways", "2 are")
    assert {isolation_words(one) for one in WILD.isolation} <= {"is isolated for egress now"}
    assert {isolation_words(one) for one in EVERYTHING.isolation} == {
        "is isolated for ingress now",
        "is no longer isolated for egress",
    }


def test_a_policy_that_denies_at_both_ends_is_named_once() -> None:
    """A default-deny does; named twice it would push another one out of the sentence."""
    deny = policy("shop/deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
    found, why = reported(two([*CLUSTER, deny], CLUSTER))
    inside = [one for one in found if isinstance(one.source, Group) and isinstance(one.destination, Group)]
    assert {tuple(blame.words for blame in blames(one, why)) for one in inside} == {("was denied by shop/deny",)}


OTHERS = "labels, ports, addresses or namespaces do"


def test_a_name_that_may_be_asked_for_now() -> None:
    """Its own rule is the same on both sides: whom the pods may ask is what differs."""
    web, dns = pod("shop/web", ["10.0.0.1"], app="web"), pod("shop/dns", ["10.0.0.53"], app="dns")
    names = {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [{"toFQDNs": [{"matchName": "a.io"}]}]}
    server = service("kube-system/kube-dns", "10.96.0.10", [{"port": 53, "protocol": "UDP"}])
    there = endpoint_slice("kube-system/kube-dns", "10.0.0.53", port=53)
    town = [namespace("shop"), web, dns, server, there | {"ports": [{"port": 53, "protocol": "UDP"}]}]
    asking = names | {"egress": [{"toEndpoints": [{}]}]}
    one = [*town, cilium_policy("shop/p", names)]
    found, why = reported(two(one, [*one, cilium_policy("shop/q", asking)]))
    words = [
        blame.words for change in found.changes for blame in blames(change, why) if str(change.destination) == "a.io"
    ]
    assert words[0] == "allowed by shop/p egress[0]"
    assert words[1:] == ["no policy that decides this differs: whom the pods may ask for the name does, or " + OTHERS]
