"""Assertions about names and requests: as `can-reach` answers; who speaks of everything overlooks nothing."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis.assertions import read
from outgate.analysis.connections import External, connections
from outgate.analysis.lookup import Lookup, NameTarget
from outgate.analysis.names import patterns_of
from outgate.analysis.opened import Named
from outgate.analysis.reach import reach
from outgate.analysis.reachability import Question
from outgate.analysis.targets import TransportAsked, parse
from outgate.analysis.verdicts import Outcome, evaluate
from outgate.errors import InvalidInput
from outgate.model import Document, Snapshot
from outgate.packets import Address, AddressSet, Protocol
from outgate.policy import Judge, Policies, Verdict
from outgate.policy.endpoints import LOOPBACK, TO_MANY
from outgate.testing import Manifest, cluster_policy, namespace, node, pod, service, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.laws.test_cilium import drawn

SEEDS = st.integers(0, 2**32 - 1)
EXAMPLES = (settings.default.max_examples if settings.default is not None else 100) // 4


def on(port: int, **more: object) -> list[dict[str, Any]]:
    """An entry of ``toPorts``."""
    return [{"ports": [{"port": str(port), "protocol": "TCP"}], **more}]


def of_web(*rules: dict[str, Any], **more: object) -> Manifest:
    """A policy for web."""
    return cilium_policy("shop/p", {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": list(rules), **more})


SHOP: list[Manifest] = [
    namespace("shop"),
    node("n1", ["192.168.50.11", "fd00:50::11"]),
    pod("shop/web", ["10.1.0.1", "fd00:1::1"], on="n1", app="web"),
    pod("shop/db", ["10.1.0.2"], on="n1", app="db"),
]
OPEN = {"toFQDNs": [{"matchName": "api.example.com"}, {"matchPattern": "*.cdn.net"}], "toPorts": on(443)}
ASKED = {
    "toEndpoints": [{"matchLabels": {"app": "db"}}],
    "toPorts": on(80, rules={"http": [{"method": "GET", "path": "/v1/.*"}]}),
}


def outcomes(
    manifests: list[Manifest] | Snapshot, *assertions: object, names: dict[str, tuple[Address, ...]] | None = None
) -> tuple[Outcome, ...]:
    """What comes of assertions."""
    value: Any = {"apiVersion": "outgate.dev/v1", "kind": "ReachabilityTest", "assertions": list(assertions)}
    snapshot = manifests if isinstance(manifests, Snapshot) else snapshot_of(manifests)
    return evaluate(Judge(Policies(snapshot)), read([Document("t.yaml", value)]), names)


def holds(manifests: list[Manifest] | Snapshot, assertion: dict[str, Any], **more: Any) -> bool:
    """Whether one does."""
    (one,) = outcomes(manifests, {"from": "shop/web", **assertion}, **more)
    return one.holds


def test_a_name_is_asked_about_wherever_it_leads() -> None:
    """Its port and no other; a denial of some of the addresses that it may have is enough for neither verb."""
    town = [*SHOP, of_web(OPEN)]
    assert holds(town, {"allow": {"to": "api.example.com", "port": 443}})
    assert holds(town, {"allow": {"to": "img.cdn.net", "port": 443}})
    assert holds(town, {"deny": {"to": "api.example.com", "port": "1-442"}})
    assert not holds(town, {"allow": {"to": "api.example.com", "port": [443, 80]}})
    partly = [*SHOP, of_web(OPEN, egressDeny=[{"toCIDR": ["198.51.100.0/24"]}])]
    assert not holds(partly, {"allow": {"to": "api.example.com", "port": 443}})
    assert not holds(partly, {"deny": {"to": "api.example.com", "port": 443}})
    there = {"api.example.com": (ipaddress.ip_address("198.51.100.9"),)}
    assert holds(partly, {"deny": {"to": "api.example.com", "port": 443}}, names=there)
    elsewhere = {"api.example.com": (ipaddress.ip_address("203.0.113.9"),)}
    assert holds(partly, {"allow": {"to": "api.example.com", "port": 443}}, names=elsewhere)


@pytest.mark.parametrize("above", [False, True], ids=["of Cilium", "of the cluster"])
def test_who_speaks_of_everything_speaks_of_names(above: bool) -> None:
    """A rule that opens a name opens something, though no address is in the input: `only: []` does not hold."""
    rules: list[dict[str, Any]] = [
        {"action": "Accept", "to": [{"domainNames": ["api.example.com", "*.cdn.net"]}], "protocols": [{"tcp": {
            "destinationPort": {"number": 443}}}]},
        {"action": "Deny", "to": [{"networks": ["0.0.0.0/0", "::/0"]}]},
    ]  # fmt: skip
    made = cluster_policy("p", subject={"namespaces": {}}, egress=rules) if above else of_web(OPEN)
    town = [*SHOP, made]
    listed = [{"to": "api.example.com", "port": 443}, {"to": "*.cdn.net", "port": 443}]
    for verb in ("only", "exactly") if not above else ("only",):
        assert not holds(town, {verb: []})
    assert not holds(town, {"deny": "anywhere"})
    assert not holds(town, {"deny": {"to": {"any": "anywhere", "except": ["every pod", "every node"]}, "port": 443}})
    assert holds(town, {"deny": {"to": "anywhere", "port": 80}})
    assert holds(town, {"only": listed})
    assert holds(town, {"only": [], "ignore": listed})
    assert holds(town, {"only": {"to": "anywhere", "port": 443}})
    assert not holds(town, {"only": listed[:1]})
    assert not holds(town, {"only": listed[1:]})
    assert not holds(town, {"only": [{**one, "port": 80} for one in listed]})
    assert holds(town, {"port": 80, "only": []})


def test_a_name_that_only_two_policies_together_open() -> None:
    """Each opens one pattern and denies all else; the two have one priority, so only what both mean passes."""

    def above(name: str, pattern: str) -> Manifest:
        rules = [
            {"action": "Accept", "to": [{"domainNames": [pattern]}]},
            {"action": "Deny", "to": [{"networks": ["0.0.0.0/0", "::/0"]}]},
        ]
        return cluster_policy(name, priority=5, subject={"namespaces": {}}, egress=rules)

    town = [*SHOP, above("p", "*.example.com"), above("q", "*.api.example.com")]
    outside = {"any": "anywhere", "except": ["every pod", "every node"]}
    (one,) = outcomes(town, {"from": "shop/web", "deny": {"to": outside, "port": 443}})
    assert one.failure is not None
    assert one.failure.name in {"*.api.example.com", "*.example.com & *.api.example.com"}


def test_what_fails_is_shown_by_its_name() -> None:
    """And not by the address that stood for all that it may have."""
    (one,) = outcomes([*SHOP, of_web(OPEN)], {"from": "shop/web", "only": [{"to": "*.cdn.net", "port": 443}]})
    assert one.failure is not None
    assert one.failure.name == "api.example.com"
    assert str(one.failure.trace.egress.decided_by) == "shop/p egress[0]"
    assert one.failure.more == ()


def test_other_ends_are_called_by_their_names_too() -> None:
    """One that is wrong by both families is no news; of another name the name is told."""
    (one,) = outcomes([*SHOP, of_web(OPEN)], {"from": "shop/web", "only": []})
    assert one.failure is not None
    assert [*map(str, one.failure.more)] == ["shop/web → *.cdn.net"]


def test_requests_are_asked_about_one_by_one() -> None:
    """Without one, what is allowed on a condition is allowed, and the condition is said."""
    town = [*SHOP, of_web(ASKED)]
    there = {"to": "shop/db", "port": 80}
    assert holds(town, {"allow": {**there, "http": "GET /v1/items"}})
    assert holds(town, {"deny": {**there, "http": "DELETE /v1/items"}})
    assert not holds(town, {"deny": {**there, "http": {"request": "GET /v1/items", "headers": {"X-A": "b"}}}})
    assert not holds(town, {"allow": {**there, "http": "GET /v2"}})
    (plain,) = outcomes(town, {"from": "shop/web", "allow": there})
    assert plain.holds
    assert any("allowed only for requests of HTTP " in words for words in plain.notes)
    (mixed,) = outcomes(town, {"from": "shop/web", "deny": [{**there, "http": "DELETE /"}, there]})
    assert not mixed.holds


def test_what_the_receiving_end_asks_is_said_too() -> None:
    """Nothing stands in the way of the sender, and still not every request passes."""
    rule = {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "PUT"}]}}]}
    let_in = cilium_policy("shop/in", {"endpointSelector": {"matchLabels": {"app": "db"}}, "ingress": [rule]})
    (plain,) = outcomes([*SHOP, let_in], {"from": "shop/web", "allow": {"to": "shop/db", "port": 80}})
    assert plain.holds
    assert [words.partition(";")[0] for words in plain.notes] == [
        "shop/web → shop/db TCP 80 is allowed only for requests of HTTP PUT *, by shop/in ingress[0]"
    ]


@pytest.mark.parametrize(
    ("assertion", "words"),
    [
        ({"allow": {"to": "shop/db", "port": 80, "http": "GET"}}, "is no request"),
        ({"allow": {"to": "shop/db", "port": 80, "http": "GET /a/../b"}}, "is sent on as another path"),
        ({"allow": {"to": "shop/db", "port": 80, "http": {"request": 1, "hots": "x"}}}, "did you mean host"),
        ({"allow": {"to": "shop/db", "http": "GET /"}}, "goes to one port of one destination"),
        ({"allow": {"to": "203.0.113.0/24", "port": 80, "http": "GET /"}}, "goes to one port of one destination"),
        ({"only": {"to": "shop/db", "port": 80, "http": "GET /"}}, "is for allow and deny"),
        ({"allow": {"to": "*.example.com", "port": 443}}, "nobody can count"),
        ({"deny": {"to": "*.example.com", "port": 443}}, "nobody can count"),
        ({"allow": {"to": "api.example.com", "port": "https"}}, "the name of a port means nothing there"),
        ({"allow": {"to": "nobody.shop.svc", "port": 443}}, "cannot be resolved"),
        ({"deny": {"to": {"any": "anywhere", "except": "*.example.com"}, "port": 443}}, "a pattern of names"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_place(assertion: dict[str, Any], words: str) -> None:
    """Never a verdict about something else."""
    with pytest.raises(InvalidInput) as caught:
        outcomes([*SHOP, of_web(OPEN)], {"from": "shop/web", **assertion})
    assert any(words in str(one) and "assertions[0]" in str(one) for one in caught.value.errors)


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_as_can_reach_answers(seed: int) -> None:
    """Of random clusters: `allow` is its yes, and `deny` holds where no part of the answer is a yes."""
    snapshot = snapshot_of(drawn(seed).manifests)
    patterns = tuple(patterns_of(snapshot))
    names = sorted({one.text.replace("*", "a") for one in patterns if "." in one.text})[:2]
    names += ["nobody.example.net"] if patterns else []
    pods = [one for one in snapshot.endpoints if not one.host_network and one.addresses][:3]
    judge, lookup = Judge(Policies(snapshot)), Lookup(snapshot, None, {}, patterns)
    for one in pods:
        for name in names:
            target = lookup.find(parse(name))
            if not isinstance(target, NameTarget):
                continue
            for port in (53, 80, 443):
                asked = TransportAsked(port, int(Protocol.TCP))
                answer = reach(judge, Question(lookup.find(parse(str(one))), target, asked, None, None))
                passing = [flow.trace.verdict.allows for flow in answer.flows]
                there = {"to": name, "port": port}
                said = outcomes(snapshot, *({"from": str(one), verb: there} for verb in ("allow", "deny")))
                assert [each.holds for each in said] == [answer.verdict is Verdict.ALLOW, not any(passing)]


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_nothing_leaves_the_cluster_if_the_list_says_so(seed: int) -> None:
    """Neither to an address nor to a name: what the one sees the other does."""
    snapshot = snapshot_of(drawn(seed).manifests)
    found = connections(snapshot)
    outside = {"any": "anywhere", "except": ["every pod", "every node"]}
    here = [one for pod in snapshot.endpoints for one in pod.addresses]
    here += [one for each in snapshot.nodes.values() for one in each.addresses]
    # What no packet to elsewhere has, is left out by both.
    inside = AddressSet.of(here) | LOOPBACK | TO_MANY
    for group in found.groups.all[:6]:
        one = group.pods[0]
        if one.host_network or not one.addresses:
            continue
        families = {address.version for address in one.addresses}
        leaving = [
            row.transports
            for row in (*found.to_outside(group), *found.to_names(group))
            if isinstance(row.destination, External | Named)
            and any(row.destination.addresses.only(family) - inside for family in families)
        ]
        for port in (53, 80, 443):
            (said,) = outcomes(snapshot, {"from": str(one), "deny": {"to": outside, "port": port}})
            assert said.holds is not any(each.contains(int(Protocol.TCP), port) for each in leaving), (str(one), port)


HEADLESS: list[Manifest] = [
    namespace("shop"),
    namespace("data"),
    pod("shop/cart", ["10.0.0.1"], app="cart"),
    pod("data/redis", ["10.0.0.2"], app="redis"),
    pod("data/pg", ["10.0.0.3"], app="pg"),
    service("data/redis", "None", [{"port": 6379}], app="redis"),
    service("data/pg", "10.96.0.9", [{"port": 5432}], app="pg"),
    cluster_policy(
        "cart",
        subject={"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "cart"}}}},
        egress=[
            {"action": "Accept", "to": [{"networks": ["198.51.100.53/32"]}]},
            {"action": "Accept", "to": [{"domainNames": ["redis.data.svc.cluster.local"]}]},
            {"action": "Accept", "to": [{"domainNames": ["pg.data.svc.cluster.local"]}]},
            {"action": "Deny", "to": [{"networks": ["0.0.0.0/0", "::/0"]}]},
        ],
    ),
]


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ("allow: redis.data.svc.cluster.local", True),
        ("deny: redis.data.svc.cluster.local", False),
        ("only: [198.51.100.53, redis.data.svc.cluster.local]", True),
        ('only: [198.51.100.53, "*.data.svc.cluster.local"]', True),
        ("only: [198.51.100.53]", False),
        ("deny: {to: pg.data.svc.cluster.local, port: 5432}", True),
        ("allow: {to: pg.data.svc.cluster.local, port: 5432}", False),
    ],
)
def test_names_of_services(said: str, holds: bool) -> None:
    """That of a headless one opens its pods to who has asked; that of another leads to an address of no packet."""
    judge = Judge(Policies(snapshot_of(HEADLESS)))
    text = f"apiVersion: outgate.dev/v1\nkind: ReachabilityTest\nassertions:\n- {{from: shop/cart, {said}}}\n"
    (one,) = evaluate(judge, read([Document("t.yaml", yaml.safe_load(text))]))
    assert one.holds is holds
    named = [
        str(each.destination) for each in connections(judge.policies.snapshot) if isinstance(each.destination, Named)
    ]
    assert named == ["redis.data.svc.cluster.local"]


def test_an_address_that_is_open_on_a_condition() -> None:
    """It counts as allowed, and a note says for what: of one address and of a block."""
    rule = {"toCIDR": ["203.0.113.0/24"], "toPorts": on(443, rules={"http": [{"method": "GET"}]})}
    judge = Judge(Policies(snapshot_of([*SHOP, of_web(rule)])))
    entries = ({"to": end, "port": 443} for end in ("203.0.113.9", "203.0.113.0/25"))
    value: Any = {"apiVersion": "outgate.dev/v1", "kind": "ReachabilityTest"}
    value["assertions"] = [{"from": "shop/web", "allow": one} for one in entries]
    for one in evaluate(judge, read([Document("t.yaml", value)])):
        assert one.holds
        (said,) = one.notes
        assert "TCP 443 is allowed only for requests of HTTP GET *, by shop/p egress[0]" in said
