"""What is asked of ports between any two ends, and of that which opens or closes between two inputs."""

from __future__ import annotations

from typing import Any

from outgate.analysis.asking import Asking, Movements
from outgate.analysis.connections import Connections, External, Party, connections
from outgate.analysis.controller import INGRESS_CONTROLLER
from outgate.analysis.diff import diff
from outgate.analysis.groups import Group
from outgate.analysis.on_condition import Asked
from outgate.analysis.opened import Named
from outgate.analysis.spelling import spell_addresses, spell_transports
from outgate.model import Direction, Snapshot
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.testing import namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy

ALL = TransportSet.any()


def entry(port: str, *methods: str) -> dict[str, Any]:
    """An entry of toPorts, about requests where methods are given."""
    found: dict[str, Any] = {"ports": [{"port": port, "protocol": "TCP"}]}
    return found | ({"rules": {"http": [{"method": one} for one in methods]}} if methods else {})


def cluster(*egress: dict[str, Any], **more: Any) -> Snapshot:
    """Two pods, and a policy of one of them."""
    spec = {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": list(egress), **more}
    pods = [pod(f"shop/{name}", [f"10.0.0.{place}"], app=name) for place, name in enumerate(("web", "items"), 1)]
    return snapshot_of([namespace("shop"), *pods, cilium_policy("shop/p", spec)])


TO_ITEMS = {"toEndpoints": [{"matchLabels": {"app": "items"}}]}


def asked(found: tuple[Asked, ...]) -> list[tuple[str, str, str]]:
    """Ports, methods, and addresses where it is asked of some alone."""
    return [
        (
            spell_transports(one.part.transports),
            " ".join(each.method for rule in one.part.rules if rule.conditions for each in rule.conditions.http),
            "" if one.addresses is None else spell_addresses(one.addresses),
        )
        for one in found
    ]


def ends(found: Connections) -> tuple[Group, Group]:
    """The two pods, the sender first."""
    (web,), (items,) = (found.group("Pod", "shop", name) for name in ("web", "items"))
    return web, items


def test_between_workloads() -> None:
    """Of the ports that are meant, and of no other."""
    found = connections(cluster(TO_ITEMS | {"toPorts": [entry("80", "GET"), entry("81", "PUT"), entry("82")]}))
    web, items = ends(found)
    asking = Asking(found)
    assert asked(asking(web, items, ALL)) == [("TCP 80", "GET", ""), ("TCP 81", "PUT", "")]
    assert asked(asking(web, items, TransportSet.ports(Protocol.TCP, 81, 90))) == [("TCP 81", "PUT", "")]
    assert asking(web, items, TransportSet()) == ()
    assert asking(items, web, ALL) == ()
    assert asking(INGRESS_CONTROLLER, web, ALL) == ()


def test_addresses_that_no_line_of_the_list_has() -> None:
    """Half of one line and all of another: each condition with its addresses, unless it is asked of all."""
    found = connections(
        cluster(
            {"toCIDR": ["192.0.2.0/24"], "toPorts": [entry("80", "GET"), entry("81", "HEAD")]},
            {"toCIDR": ["198.51.100.0/24"], "toPorts": [entry("80", "PUT"), entry("81", "HEAD")]},
        )
    )
    web, _ = ends(found)
    both = External(AddressSet.network("192.0.2.0/25") | AddressSet.network("198.51.100.0/24"))
    assert sorted(asked(Asking(found)(web, both, ALL))) == [
        ("TCP 80", "GET", "192.0.2.0/25"),
        ("TCP 80", "PUT", "198.51.100.0/24"),
        ("TCP 81", "HEAD", "192.0.2.0/25"),
        ("TCP 81", "HEAD", "198.51.100.0/24"),
    ]
    half = External(AddressSet.network("192.0.2.0/25"))
    assert asked(Asking(found)(web, half, ALL)) == [("TCP 80", "GET", ""), ("TCP 81", "HEAD", "")]
    assert Asking(found)(web, External(AddressSet.network("203.0.113.0/24")), ALL) == ()


def test_from_addresses_and_to_names() -> None:
    """The other way in, and names with what is asked there."""
    rule = {"fromCIDR": ["192.0.2.0/24"], "toPorts": [entry("80", "GET")]}
    name = {"toFQDNs": [{"matchName": "a.example"}], "toPorts": [entry("80", "PUT")]}
    found = connections(cluster(name, ingress=[rule]))
    web, _ = ends(found)
    (from_outside,) = Asking(found)(External(AddressSet.network("192.0.2.0/24")), web, ALL)
    assert from_outside.part.direction is Direction.INGRESS
    (named,) = (one.destination for one in found.to_names(web))
    assert asked(Asking(found)(web, named, ALL)) == [("TCP 80", "PUT", "")]


def test_a_name_of_several_patterns() -> None:
    """What one of its patterns opens without a question is asked of nobody."""
    names = [
        {"toFQDNs": [{"matchPattern": "*.example"}], "toPorts": [entry("80", "PUT"), entry("81", "PUT")]},
        {"toFQDNs": [{"matchPattern": "a*.example"}], "toPorts": [entry("80")]},
    ]
    found = connections(cluster(*names))
    web, _ = ends(found)
    one, other = (line.destination for line in found.to_names(web))
    assert isinstance(one, Named)
    assert isinstance(other, Named)
    both: Party = Named(one.pattern, also=(other.pattern,))
    assert asked(Asking(found)(web, both, ALL)) == [("TCP 81", "PUT", "")]


def test_what_moves() -> None:
    """Of what opens what is asked now; of what closes what was; of what stays nothing."""
    old = cluster(TO_ITEMS | {"toPorts": [entry("80", "GET"), entry("81", "GET")]})
    new = cluster(TO_ITEMS | {"toPorts": [entry("81", "GET"), entry("82", "PUT")]})
    found = diff(old, new)
    moved = Movements(found.before, found.after, found.pieces)
    (change,) = found.changes
    assert asked(moved.opens(change)) == [("TCP 82", "PUT", "")]
    assert asked(moved.closes(change)) == [("TCP 80", "GET", "")]


def test_without_conditions_nothing_is_asked() -> None:
    """And nothing is looked up."""
    found = diff(cluster(TO_ITEMS | {"toPorts": [entry("80")]}), cluster(TO_ITEMS | {"toPorts": [entry("81")]}))
    moved = Movements(found.before, found.after, found.pieces)
    assert {(moved.opens(one), moved.closes(one), moved.state(one)) for one in found} == {((), (), ())}
