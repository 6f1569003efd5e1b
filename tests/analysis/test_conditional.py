"""What of the list passes on a condition alone."""

from __future__ import annotations

from typing import Any

from outgate.analysis.conditional import conditionals
from outgate.analysis.connections import connections
from outgate.model import Direction
from outgate.packets import Protocol, TransportSet
from outgate.testing import namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy

API = {"toEndpoints": [{"matchLabels": {"app": "api"}}]}
GET = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}
PLAIN = {"ports": [{"port": "81", "protocol": "TCP"}]}


def found(*egress: dict[str, Any], **more: Any) -> dict[str, list[tuple[Direction, TransportSet, int]]]:
    """The conditional parts of what web may send to api, by destination."""
    policy = cilium_policy(
        "shop/p", {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": list(egress), **more}
    )
    pods = [pod("shop/web", ["10.0.0.1"], app="web"), pod("shop/api", ["10.0.0.2"], app="api")]
    listed = connections(snapshot_of([namespace("shop"), *pods, policy]))
    only = conditionals(listed)
    return {
        str(one.destination): [(part.direction, part.transports, len(part.rules)) for part in only(one)]
        for one in listed
        if str(one.source) == "shop/web"
    }


def test_of_some_ports() -> None:
    """The others pass as they are."""
    parts = found(API | {"toPorts": [GET, PLAIN]})
    assert parts == {"shop/api": [(Direction.EGRESS, TransportSet.ports(Protocol.TCP, 80), 1)]}


def test_where_nothing_isolates() -> None:
    """What the rule is about asks for its condition all the same; nothing else does."""
    parts = found(API | {"toPorts": [GET]}, enableDefaultDeny={"egress": False})
    assert parts.pop("shop/api") == [(Direction.EGRESS, TransportSet.ports(Protocol.TCP, 80), 1)]
    assert list(parts.values()) == [[]]


def test_several_rules_are_alternatives() -> None:
    """Each may be met."""
    ((_, _, rules),) = found(API | {"toPorts": [GET]}, API | {"toPorts": [GET]})["shop/api"]
    assert rules == 2


def test_each_port_has_its_own() -> None:
    """A name on one, requests on another, and on a third either: none is said of a port of which it is not asked."""
    names = {"ports": [{"port": one, "protocol": "TCP"} for one in ("443", "444")], "serverNames": ["a.b"]}
    both = {
        "ports": [{"port": one, "protocol": "TCP"} for one in ("80", "444")],
        "rules": {"http": [{"method": "PUT"}]},
    }
    parts = found(API | {"toPorts": [GET]}, API | {"toPorts": [names]}, API | {"toPorts": [both]})["shop/api"]
    said = {(port, rules) for _, transports, rules in parts for port in (80, 443, 444) if transports.contains(6, port)}
    assert said == {(80, 2), (443, 1), (444, 2)}
    assert len(parts) == 3


def test_a_plain_allowance_makes_it_void() -> None:
    """Whoever asks for nothing more lets every request through."""
    assert found(API | {"toPorts": [GET]}, API) == {"shop/api": []}
