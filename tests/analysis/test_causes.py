"""Who is to blame: the rule or policy of the change comes first, with the place where it stands."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from outgate.analysis.causes import Cause, Causes, policies_that_differ
from outgate.analysis.changes import Change
from outgate.analysis.connections import External
from outgate.analysis.controller import IngressController
from outgate.analysis.diff import ConnectionDiff, diff
from outgate.analysis.matching import Presence
from outgate.model import Snapshot
from outgate.testing import Manifest, namespace, pod, policy, service, snapshot_of
from tests.analysis.two_sides import CLUSTER, DENY, allow, outwards, two

TO_DB: Manifest = {"to": [{"podSelector": {"matchLabels": {"app": "db"}}}], "ports": [{"port": 5432}]}
WEB_TO_DB = allow("web", {"policyTypes": ["Egress"], "egress": [TO_DB]}, app="web")
DB_FROM_ALL = allow("db", {"ingress": [{"from": [{"podSelector": {}}]}]}, app="db")


def change(found: ConnectionDiff, source: str, destination: str) -> Change:
    """The one change between two ends."""
    (one,) = [one for one in found if str(one.source).endswith(source) and str(one.destination).endswith(destination)]
    return one


def words(cause: Cause | None) -> tuple[list[str], list[str], list[str]]:
    """Who allows, who denies, and who of them differs, each with its file."""
    assert cause is not None
    sides = (cause.allowed, cause.denied, cause.blamed)
    allowed, denied, blamed = ([f"{one} {one.file}" for one in many] for many in sides)
    return allowed, denied, blamed


def test_a_new_rule_opens() -> None:
    """The rules of both ends that let it pass, and who denied it before; the new one first."""
    found = two([*CLUSTER, DENY, DB_FROM_ALL], [*CLUSTER, DENY, DB_FROM_ALL, WEB_TO_DB])
    one = change(found, "web", "db")
    why = Causes(found)
    assert words(why.opens(one)) == (
        ["shop/web egress[0] new.yaml", "shop/db ingress[0] new.yaml"],
        ["shop/deny old.yaml"],
        ["shop/web egress[0] new.yaml"],
    )
    assert why.closes(one) is None


def test_a_rule_that_is_gone_closes() -> None:
    """The way back: it was allowed by the rule that is gone, and the default deny is what stops it."""
    found = two([*CLUSTER, DENY, DB_FROM_ALL, WEB_TO_DB], [*CLUSTER, DENY, DB_FROM_ALL])
    why = Causes(found)
    assert words(why.closes(change(found, "web", "db"))) == (
        ["shop/web egress[0] old.yaml", "shop/db ingress[0] old.yaml"],
        ["shop/deny new.yaml"],
        ["shop/web egress[0] old.yaml"],
    )
    assert why.opens(change(found, "web", "db")) is None


def test_a_default_deny_closes() -> None:
    """Nothing allowed it, because nothing had to; each end that denies now is named once."""
    found = two(CLUSTER, [*CLUSTER, DENY])
    why = Causes(found)
    both = ["shop/deny new.yaml", "shop/deny new.yaml"]
    assert words(why.closes(change(found, "web", "db"))) == ([], both, both)
    (outside,) = [one for one in found if str(one.source).endswith("web") and isinstance(one.destination, External)]
    assert words(why.closes(outside)) == ([], both[:1], both[:1])
    assert [str(origin) for one in found.isolation for origin in why.isolates(one)] == ["shop/deny"] * 4


def test_isolation_that_is_gone() -> None:
    """The policies that did it, where they stood."""
    found = two([*CLUSTER, WEB_TO_DB], CLUSTER)
    (one,) = found.isolation
    assert [(str(origin), origin.file) for origin in Causes(found).isolates(one)] == [("shop/web", "old.yaml")]


def test_one_change_that_opens_and_closes() -> None:
    """Each half has its own cause."""
    found = two(
        [*CLUSTER, outwards("192.0.2.0/24", 80, app="web")], [*CLUSTER, outwards("192.0.2.0/24", 443, app="web")]
    )
    (one,) = found
    why = Causes(found)
    assert words(why.opens(one))[0] == ["shop/out egress[0] new.yaml"]
    assert words(why.closes(one))[0] == ["shop/out egress[0] old.yaml"]


def test_only_rules_that_speak_of_the_other_end() -> None:
    """Of a policy with many rules, those that let the very thing pass; a block elsewhere is not to blame."""
    rules = [
        TO_DB,
        {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]},
        {"to": [{"podSelector": {"matchLabels": {"app": "x"}}}]},
    ]
    found = two(
        [*CLUSTER, allow("web", {"policyTypes": ["Egress"]}, app="web")],
        [*CLUSTER, allow("web", {"policyTypes": ["Egress"], "egress": rules}, app="web")],
    )
    why = Causes(found)
    assert words(why.opens(change(found, "web", "db")))[0] == ["shop/web egress[0] new.yaml"]
    assert words(why.opens(change(found, "web", "192.0.2.0/24")))[0] == ["shop/web egress[1] new.yaml"]


def test_one_family_alone_has_a_cause() -> None:
    """By IPv4 it still passes: who denies it by IPv6 is who closes it."""
    blocks = [{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"ipBlock": {"cidr": "fd00::/8"}}]
    old, new = (
        allow("web", {"policyTypes": ["Egress"], "egress": [{"to": to}]}, app="web") for to in (blocks, blocks[:1])
    )
    found = two([*CLUSTER, old], [*CLUSTER, new])
    assert words(Causes(found).closes(change(found, "web", "db")))[1] == ["shop/web new.yaml"]


def test_no_policy_differs() -> None:
    """A label of the namespace closed it: rules are named, and none is blamed."""
    rule = policy("shop/db", {"ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "red"}}}]}]})
    sides = [[namespace("other", team=team), pod("other/a"), *CLUSTER, rule] for team in ("red", "blue")]
    found = two(*sides)
    cause = Causes(found).closes(change(found, "other/a", "db"))
    assert words(cause) == (["shop/db ingress[0] old.yaml"], ["shop/db new.yaml"], [])


def test_a_new_workload_was_denied_by_nobody() -> None:
    """Where an end was not there, nobody kept it from anything."""
    found = two([*CLUSTER[:-1], DB_FROM_ALL], [*CLUSTER, DB_FROM_ALL])
    one = change(found, "web", "db")
    assert one.destination_presence is Presence.ADDED
    assert words(Causes(found).opens(one)) == (["shop/db ingress[0] new.yaml"], [], [])


def test_policies_that_differ() -> None:
    """Added, removed and changed by what they mean: annotations and a section without its type mean nothing."""
    noted = WEB_TO_DB | {"metadata": WEB_TO_DB["metadata"] | {"annotations": {"a": "b"}}}
    silent = allow(
        "db", {"ingress": [{"from": [{"podSelector": {}}]}], "policyTypes": ["Ingress"], "egress": [TO_DB]}, app="db"
    )
    other = allow("other", {}, app="x")
    old, new = snapshot_of([WEB_TO_DB, DB_FROM_ALL, DENY]), snapshot_of([noted, silent, other])
    found = [(one.policy.name, one.presence) for one in policies_that_differ(old, new)]
    assert found == [("deny", Presence.REMOVED), ("other", Presence.ADDED)]
    changed = allow("db", {"ingress": [{}]}, app="db")
    (one,) = policies_that_differ(snapshot_of([DB_FROM_ALL]), snapshot_of([changed]))
    assert one.presence is None
    assert one.policy == one.after


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({}, True),
        ({"from": [{"namespaceSelector": {}}]}, True),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": "http"}]}, True),
        ({"from": [{"podSelector": {}}]}, False),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, False),
    ],
)
def test_what_lets_the_controller_in(rule: Manifest, named: bool) -> None:
    """Only a rule that speaks of everybody speaks of whoever serves Ingress objects."""
    extra = {"from": [{"namespaceSelector": {}}], "ports": [{"port": 8080}]}
    sides = (
        _with_ingress(allow("web", {"ingress": []}, app="web")),
        _with_ingress(allow("web", {"ingress": [rule, extra]}, app="web")),
    )
    found = diff(*sides)
    (one,) = [one for one in found if isinstance(one.source, IngressController)]
    opened = Causes(found).opens(one)
    assert opened is not None
    assert [str(origin) for origin in opened.allowed] == ["shop/web ingress[0]"] * named + ["shop/web ingress[1]"]


def _with_ingress(rules: Manifest) -> Snapshot:
    """A pod behind a Service to which an Ingress leads."""
    http = {"name": "http", "containerPort": 8080}
    snapshot = snapshot_of(
        [
            namespace("shop"),
            pod("shop/web", ["10.1.0.1"], ports=[http], app="web"),
            service("shop/web", "10.96.0.1", [{"port": 80, "targetPort": 8080}], app="web"),
            rules,
        ]
    )
    ingress = SimpleNamespace(namespace="shop", backends=(("web", 80),))
    object.__setattr__(snapshot, "ingresses", (ingress,))
    return snapshot
