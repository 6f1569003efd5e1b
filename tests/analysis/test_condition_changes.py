"""What is asked of a connection that stays: each difference is said, with the way it goes, and nothing else is."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from outgate.analysis.condition_changes import ConditionChange
from outgate.analysis.diff import ConnectionDiff, diff
from outgate.analysis.spelling import spell_transports
from outgate.model import Snapshot
from outgate.packets import Protocol
from outgate.policy import Endpoint, Judge, Policies
from outgate.policy.meeting import About
from outgate.policy.requests import Request
from outgate.policy.trace import Flow
from outgate.testing import namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy

WEB = {"matchLabels": {"app": "web"}}


def entry(port: str, **more: Any) -> dict[str, Any]:
    """An entry of toPorts."""
    return {"ports": [{"port": port, "protocol": "TCP"}], **more}


def http(*requests: dict[str, str]) -> dict[str, Any]:
    """Rules about requests."""
    return {"rules": {"http": list(requests)}}


def cluster(*egress: dict[str, Any], **more: Any) -> Snapshot:
    """Two pods, and a policy of one of them."""
    web, items = pod("shop/web", ["10.0.0.1"], app="web"), pod("shop/items", ["10.0.0.2"], app="items")
    spec = {"endpointSelector": WEB, "egress": list(egress), **more}
    return snapshot_of([namespace("shop"), web, items, cilium_policy("shop/p", spec)])


def to_items(*entries: dict[str, Any]) -> dict[str, Any]:
    """A rule for the other pod."""
    return {"toEndpoints": [{"matchLabels": {"app": "items"}}], "toPorts": list(entries)}


def ways(found: ConnectionDiff) -> list[tuple[str, str, bool, bool]]:
    """The differences: destination, ports, and which way they go."""
    return [
        (str(one.destination), spell_transports(one.transports), one.widens, one.narrows) for one in found.conditions
    ]


GET, POST = {"method": "GET"}, {"method": "POST", "path": "/v1"}


@pytest.mark.parametrize(
    ("old", "new", "widens", "narrows"),
    [
        (http(GET), {}, True, False),
        ({}, http(GET), False, True),
        (http(GET), http(GET, POST), True, False),
        (http(GET, POST), http(POST), False, True),
        (http(GET), http(POST), False, False),
        ({"serverNames": ["a.b"]}, {}, True, False),
        ({"serverNames": ["a.b"]}, {"serverNames": ["a.b", "c.d"]}, True, False),
        ({"serverNames": ["a.b"]}, {"serverNames": ["c.d"]}, False, False),
        (http({"path": "/a"}), http({"path": "/a", "host": "x"}), False, False),
        (http({"headers": ["X: a"]}), http({"headers": ["X: b"]}), False, False),  # type: ignore[dict-item]  # a list
    ],
    ids=str,
)
def test_each_kind_of_condition(old: dict[str, Any], new: dict[str, Any], widens: bool, narrows: bool) -> None:
    """Addresses and ports are the same, so that nothing but this tells that a request passes now."""
    found = diff(cluster(to_items(entry("80", **old))), cluster(to_items(entry("80", **new))))
    assert found.changes == ()
    assert ways(found) == [("shop/items", "TCP 80", widens, narrows)]
    assert bool(found)
    assert (found.opens, found.closes) == (not narrows, not widens)
    outside = {"toCIDR": ["192.0.2.0/24"]}
    one, two = (cluster(outside | {"toPorts": [entry("80", **each)]}) for each in (old, new))
    found = diff(one, two)
    assert ways(found) == [("192.0.2.0/24", "TCP 80", widens, narrows)]
    named = {"toFQDNs": [{"matchName": "api.example.com"}]}
    one, two = (cluster(named | {"toPorts": [entry("80", **each)]}) for each in (old, new))
    found = diff(one, two)
    assert ways(found) == [("api.example.com", "TCP 80", widens, narrows)]


def test_what_is_the_same_is_not_said() -> None:
    """The order, the case of a header's name, another rule, another policy of the same effect."""
    one = http({"path": "/a", "headers": ["X-A: b"]}, GET)  # type: ignore[dict-item]  # a list
    two = http(GET, {"path": "/a", "headers": ["x-a: b"]})  # type: ignore[dict-item]  # likewise
    assert not diff(cluster(to_items(entry("80", **one))), cluster(to_items(entry("80", **two))))
    split = to_items(entry("80", **http(GET))), to_items(entry("80", **http({"path": "/a", "headers": ["X-A: b"]})))  # type: ignore[dict-item]
    assert not diff(cluster(to_items(entry("80", **one))), cluster(*split))
    assert not diff(cluster(to_items(entry("80"))), cluster(to_items(entry("80"), entry("80", **http(GET)))))


def test_only_the_ports_that_pass_on_both_sides_and_differ() -> None:
    """What opens is no matter of conditions, and what is asked as before none at all."""
    old = cluster(to_items(entry("80", **http(GET)), entry("81", **http(GET)), entry("82")))
    new = cluster(to_items(entry("80", **http(GET)), entry("81", **http(POST)), entry("83", **http(GET))))
    found = diff(old, new)
    assert ways(found) == [("shop/items", "TCP 81", False, False)]
    assert [spell_transports(one.shift.opened | one.shift.closed) for one in found] == ["TCP 82-83"]


def test_what_an_ingress_controller_asks_for_is_said_of_it() -> None:
    """It is no address: said of "every address" it was said twice, and of the controller not at all."""
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    beside: list[Any] = [
        namespace("shop"),
        pod("shop/web", ["10.0.0.1"], app="web"),
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i", "namespace": "shop"}}
        | {"spec": {"defaultBackend": backend}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}}
        | {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}},
    ]
    policies = (
        cilium_policy("shop/p", {"endpointSelector": WEB, "ingress": [{"fromEntities": ["all"], "toPorts": [ports]}]})
        for ports in (entry("80", **http(GET)), entry("80", **http(POST)))
    )
    old, new = (snapshot_of([*beside, policy]) for policy in policies)
    found = diff(old, new)
    assert [str(one.source) for one in found.conditions] == ["0.0.0.0/0, ::/0", "ingress controller"]


def test_addresses_are_cut() -> None:
    """Of a block that is asked for anew in part, that part."""
    old = cluster({"toCIDR": ["192.0.2.0/24"], "toPorts": [entry("80", **http(GET))]})
    plain = {"toCIDR": ["192.0.2.128/25"], "toPorts": [entry("80")]}
    new = cluster({"toCIDR": ["192.0.2.0/24"], "toPorts": [entry("80", **http(GET))]}, plain)
    assert ways(diff(old, new)) == [("192.0.2.128/25", "TCP 80", True, False)]


def test_a_part_that_is_asked_about() -> None:
    """`--focus` and `-n` leave out what has neither end there."""
    found = diff(cluster(to_items(entry("80", **http(GET)))), cluster(to_items(entry("80"))))
    assert len(found.about(lambda group: group.name == "items").conditions) == 1
    assert not found.about(lambda group: group.name == "nobody")


REQUESTS = [Request(method, path, host) for method in ("GET", "POST") for path in ("/v1", "/v2") for host in ("a", "b")]
RULES: list[list[dict[str, str]] | None] = [
    None, [], [{}], [GET], [POST], [GET, POST], [{"path": "/v1"}], [{"path": "/v[12]", "host": "a"}],
]  # fmt: skip


def lets(snapshot: Snapshot, request: Request) -> bool:
    """Whether a request passes, by the judge of single flows."""
    web, items = (snapshot.pod("shop", name) for name in ("web", "items"))
    assert web is not None
    assert items is not None
    source, destination = Endpoint.of_pod(web, 4), Endpoint.of_pod(items, 4)
    assert source is not None
    assert destination is not None
    flow = Flow(source, destination, int(Protocol.TCP), 80, about=About(request))
    return Judge(Policies(snapshot)).judge(flow).verdict.allows


@pytest.mark.parametrize(("old", "new"), list(itertools.product(RULES, RULES)), ids=str)
def test_requests_one_by_one(old: list[dict[str, str]] | None, new: list[dict[str, str]] | None) -> None:
    """Where nothing is said, nothing differs; where one way is, no request goes the other."""
    before, after = (cluster(to_items(entry("80", **({} if one is None else http(*one))))) for one in (old, new))
    conditions: tuple[ConditionChange, ...] = diff(before, after).conditions
    for request in REQUESTS:
        was, now = lets(before, request), lets(after, request)
        assert was == now or conditions
        assert was <= now or not all(one.widens for one in conditions)
        assert now <= was or not all(one.narrows for one in conditions)
