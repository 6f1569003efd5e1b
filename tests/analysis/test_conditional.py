"""What of the list passes on a condition alone."""

from __future__ import annotations

from typing import Any

from outgate.analysis.conditional import conditionals
from outgate.analysis.connections import External, connections
from outgate.analysis.listing import Asked, selected
from outgate.analysis.spelling import spell_addresses
from outgate.model import Direction
from outgate.packets import Protocol, TransportSet
from outgate.testing import Manifest, cluster_policy, namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.slices import endpoint_slice

API = {"toEndpoints": [{"matchLabels": {"app": "api"}}]}
GET = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}
OPEN = {"ports": [{"port": "80", "protocol": "TCP"}]}
PLAIN = {"ports": [{"port": "81", "protocol": "TCP"}]}


def found(
    *egress: dict[str, Any], beside: tuple[Manifest, ...] = (), families: tuple[str, ...] = ("4", "46"), **more: Any
) -> dict[str, list[tuple[Direction, TransportSet, int]]]:
    """The conditional parts of what web may send to api, by destination; `families` are those of the two."""
    policy = cilium_policy(
        "shop/p", {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": list(egress), **more}
    )
    pods = [
        pod(f"shop/{name}", [{"4": f"10.0.0.{last}", "6": f"fd00::{last}"}[one] for one in mine], app=name)
        for last, (name, mine) in enumerate(zip(("web", "api"), families, strict=True), 1)
    ]
    listed = connections(snapshot_of([namespace("shop"), *pods, policy, *beside]))
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


def above(tier: str, action: str) -> Manifest:
    """A policy of the whole cluster that says one thing of all pods."""
    rule = {"action": action, "to": [{"namespaces": {}}]}
    return cluster_policy("above", tier=tier, subject={"namespaces": {}}, egress=[rule])


def test_what_is_accepted_where_nobody_asks_makes_nothing_void() -> None:
    """The Baseline tier is asked of what no rule speaks of, and the Admin tier before; what that passes on is asked."""
    asked = {"shop/api": [(Direction.EGRESS, TransportSet.ports(Protocol.TCP, 80), 1)]}
    assert found(API | {"toPorts": [GET]}, beside=(above("Baseline", "Accept"),)) == asked
    assert found(API | {"toPorts": [GET]}, beside=(above("Admin", "Pass"),)) == asked
    assert found(API | {"toPorts": [GET]}, beside=(above("Admin", "Accept"),)) == {"shop/api": []}
    passed = cluster_policy(
        "above",
        subject={"namespaces": {}},
        egress=[{"action": action, "to": [{"namespaces": {}}]} for action in ("Pass", "Accept")],
    )
    assert found(API | {"toPorts": [GET]}, beside=(passed,)) == asked


def test_by_the_families_that_both_have() -> None:
    """What is said of the server's address of IPv4 is nothing to who has IPv6 alone, and all the same to who has it."""
    server = endpoint_slice("default/kubernetes", "10.0.0.2")
    to_server = {"toEntities": ["kube-apiserver"], "toPorts": [GET]}
    asked = {"shop/api": [(Direction.EGRESS, TransportSet.ports(Protocol.TCP, 80), 1)]}
    for families, expected in ((("6", "46"), {"shop/api": []}), (("46", "46"), asked), (("4", "46"), asked)):
        parts = found(to_server, beside=(server,), families=families, enableDefaultDeny={"egress": False})
        assert {key: one for key, one in parts.items() if key == "shop/api"} == expected


def test_addresses_are_split_by_what_is_asked_there() -> None:
    """A rule without conditions for half of a block says nothing of the other half."""
    whole = {"toCIDR": ["192.0.2.0/24"], "toPorts": [{"ports": [PORT], "rules": {"http": [{"method": "GET"}]}}]}
    half = {"toCIDR": ["192.0.2.128/25"], "toPorts": [{"ports": [PORT]}]}
    spec = {"endpointSelector": {}, "egress": [whole, half]}
    found = connections(snapshot_of([namespace("shop"), pod("shop/web", ["10.0.0.1"]), cilium_policy("shop/p", spec)]))
    only = conditionals(found)
    listed = {str(one.destination): bool(only(one)) for one in found if str(one.source) == "shop/web"}
    assert listed == {"192.0.2.0/25": True, "192.0.2.128/25": False}
    # A block that makes no difference splits nothing.
    both = {"endpointSelector": {}, "egress": [whole, whole | {"toCIDR": ["192.0.2.128/25"]}, half | whole, half]}
    again = connections(snapshot_of([namespace("shop"), pod("shop/web", ["10.0.0.1"]), cilium_policy("shop/p", both)]))
    assert [str(one.destination) for one in again if str(one.source) == "shop/web"] == [
        "192.0.2.0/25",
        "192.0.2.128/25",
    ]


PORT = {"port": "80", "protocol": "TCP"}


def test_of_a_connection_that_is_shown_in_part() -> None:
    """`--port 81` shows no port of which something is asked, so nothing is said, whatever families the pods have."""
    for families in ("4", "4"), ("46", "46"):
        policy = cilium_policy("shop/p", {"endpointSelector": {}, "egress": [API | {"toPorts": [GET, PLAIN]}]})
        pods = [
            pod(f"shop/{name}", [{"4": f"10.0.0.{last}", "6": f"fd00::{last}"}[one] for one in mine], app=name)
            for last, (name, mine) in enumerate(zip(("web", "api"), families, strict=True), 1)
        ]
        listed = connections(snapshot_of([namespace("shop"), *pods, policy]))
        only = conditionals(listed)
        eighty, other = (Asked(transports=TransportSet.ports(Protocol.TCP, port)) for port in (80, 81))
        assert [part.transports for one in selected(listed, eighty) for part in only(one)] == [eighty.transports]
        assert [only(one) for one in selected(listed, other) if str(one.source) == "shop/web"] == [()]


def test_what_another_tier_would_let_through_keeps_addresses_apart() -> None:
    """The node passes on a condition alone: Baseline, which accepts it in any case, is not asked. The line hid it."""
    spec = {
        "endpointSelector": {},
        "egress": [{"toEntities": ["remote-node"], "toPorts": [GET]}, {"toCIDR": ["192.0.2.0/24"], "toPorts": [OPEN]}],
    }
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
    node["status"] = {"addresses": [{"type": "InternalIP", "address": "192.0.2.70"}]}
    web = pod("shop/web", ["10.0.0.1"])
    to_nodes = cluster_policy("nodes", tier="Baseline", egress=[{"action": "Accept", "to": [{"nodes": {}}]}])
    for beside in ((), (to_nodes,)):
        listed = connections(snapshot_of([namespace("shop"), web, node, cilium_policy("shop/p", spec), *beside]))
        only = conditionals(listed)
        parts = {
            spell_addresses(one.destination.addresses, 1): [(len(part.rules), part.transports) for part in only(one)]
            for one in listed
            if isinstance(one.destination, External)
        }
        asked = [(1, TransportSet.ports(Protocol.TCP, 80))]
        assert parts == {"192.0.2.0/26 and 7 more blocks": [], "192.0.2.70/32": asked}
