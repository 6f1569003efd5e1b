"""Needs and doors: what is denied is denied by judgement, and a fix opens nothing for anybody else."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from outgate.checks import Survey
from outgate.checks.doors import (
    added_rule,
    barred,
    denied,
    doors_at,
    endpoint_of,
    leaves,
    narrowed,
    opening,
    rule_to,
    speaks_of,
)
from outgate.model import Direction
from outgate.policy.profile import AWS_VPC_CNI, CILIUM
from outgate.testing import Manifest, node, pod, policy, service, snapshot_of
from tests.checks.asking import block, deny, egress, pods, to
from tests.checks.needs import API, VIP

WEB, DB = pod("shop/web", ["10.244.1.1"], app="web"), pod("shop/db", ["10.244.1.2"], app="db")
ADDRESS = ipaddress.ip_address("192.0.2.10")


def survey(*cluster: Manifest, **options: Any) -> Survey:
    """What checks ask."""
    return Survey(snapshot_of(cluster), **options)


def test_doors_behind_a_service() -> None:
    """Its endpoints, each dialled by its address; another port of it is no door."""
    found = survey(*API)
    vip = ipaddress.ip_address(VIP)
    assert [str(door) for door in doors_at(found, vip, 443)] == ["192.0.2.10:6443/TCP", "192.0.2.11:6443/TCP"]
    assert doors_at(found, vip, 6443) == ()
    assert [str(door) for door in doors_at(found, ADDRESS, 6443)] == ["192.0.2.10:6443/TCP"]


def test_one_open_door_is_enough() -> None:
    """And a packet shows it where there is none."""
    found = survey(WEB, egress("shop/p", to(block("192.0.2.11/32"))))
    doors = [*doors_at(found, ADDRESS, 80), *doors_at(found, ipaddress.ip_address("192.0.2.11"), 80)]
    (group,) = found.groups
    assert denied(found, group, doors) is None
    assert str(denied(found, group, doors[:1])) == "shop/web -> 192.0.2.10:80/TCP is dropped"
    assert denied(found, group, ()) is None


def test_a_door_of_a_family_that_a_pod_does_not_have_is_none() -> None:
    """Nobody is cut off from what it could never have dialled."""
    found = survey(WEB, deny())
    assert denied(found, found.groups[0], doors_at(found, ipaddress.ip_address("fd00::1"), 80)) is None


def test_narrowed_to_those_that_are_meant() -> None:
    """The rest of what policies isolate together is left out, and with it what has nobody left."""
    found = survey(WEB, DB, deny())
    (whom,) = narrowed(found, Direction.EGRESS, lambda _, group: group.name == "db")
    assert [str(group) for group in whom.groups] == ["shop/db"]
    assert list(narrowed(found, Direction.EGRESS, lambda *_: False)) == []
    (whom,) = barred(found, lambda group: doors_at(found, ADDRESS, 80) if group.name == "web" else ())
    assert [str(group) for group in whom.groups] == ["shop/web"]


def test_whether_any_rule_speaks_of_a_port() -> None:
    """A name may be any number of TCP; UDP is another thing."""
    cases: tuple[tuple[list[dict[str, Any]] | None, bool], ...] = (
        (None, True),
        ([{"port": 3128}], True),
        ([{"port": 3000, "endPort": 4000}], True),
        ([{"port": "proxy"}], True),
        ([{"port": 3128, "protocol": "UDP"}, {"port": "x", "protocol": "SCTP"}], False),
        ([{"port": 443}], False),
    )
    for ports, speaks in cases:
        (whom,) = survey(WEB, egress("shop/p", to(pods(app="db"), ports=ports))).isolated(Direction.EGRESS)
        assert speaks_of(whom, 3128) is speaks, ports


def test_whether_anything_gets_out_to_a_port() -> None:
    """By an address, or to everybody; a rule for pods leads nowhere outside."""
    for rule, out in (
        (to(block("192.0.2.0/24"), ports=[{"port": 443}]), True),
        ({"ports": [{"port": 443}]}, True),
        (to(pods(app="db")), False),
        (to(block("192.0.2.0/24"), ports=[{"port": 80}]), False),
    ):
        found = survey(WEB, egress("shop/p", rule))
        (whom,) = found.isolated(Direction.EGRESS)
        assert leaves(found, whom, 443) is out, rule


def test_a_rule_by_addresses() -> None:
    """Of the endpoints; under AWS of what is dialled; none where blocks do not match, or pods have the addresses."""
    vip = ipaddress.ip_address(VIP)

    def rule(*cluster: Manifest, **options: Any) -> dict[str, object] | None:
        found = survey(*cluster, **options)
        return rule_to(found, doors_at(found, vip, 443))

    assert rule(*API) == {
        "to": [block("192.0.2.10/32"), block("192.0.2.11/32")],
        "ports": [{"protocol": "TCP", "port": 6443}],
    }
    assert rule(*API, profile=AWS_VPC_CNI) == {
        "to": [block("10.96.0.1/32")],
        "ports": [{"protocol": "TCP", "port": 443}],
    }
    assert rule(*API, node("cp", ["192.0.2.10"]), profile=CILIUM) is None
    assert rule(*API, pod("kube-system/api", ["192.0.2.10"])) is None
    assert rule() is not None  # nobody has the address: it is taken as it stands
    assert rule_to(survey(), ()) is None
    without = survey(service("default/kubernetes", "", [{"name": "https", "port": 443}]), API[1], profile=AWS_VPC_CNI)
    assert rule_to(without, without.api_server.doors) is None


def test_a_fix_opens_nothing_for_anybody_else() -> None:
    """Only policies that select by labels, and nobody beside those that need it, get a rule."""
    web = egress("shop/web", app="web")
    for cluster, count in (
        ((WEB, DB, deny()), 0),  # the default deny is also db's
        ((WEB, deny()), 0),  # and everybody's who comes
        ((WEB, DB, deny(), web), 1),
        ((pod("shop/web", tier="x", app="web"), pod("shop/db", tier="x"), egress("shop/both", tier="x")), 0),
        ((pod("shop/web", tier="x", app="web"), pod("shop/db", tier="x"), egress("shop/both", tier="x"), web), 1),
    ):
        found = survey(*cluster)
        many = list(narrowed(found, Direction.EGRESS, lambda _, group: group.name == "web"))
        edits = opening(found, many, doors_at(found, ADDRESS, 6443))
        assert len(edits) == count
        assert all(edit.place.document.value["metadata"]["name"] == "web" for edit in edits)  # type: ignore[index]
        assert opening(found, many, ()) == ()


def test_where_a_rule_is_added() -> None:
    """To the list, in the place of an empty one, or as a new section."""
    for spec, words in (
        ({"egress": [{}]}, "add item"),
        ({"egress": []}, "replace"),
        ({"policyTypes": ["Egress"]}, "add key"),
    ):
        (one,) = snapshot_of([policy("shop/p", {"podSelector": {}, **spec})]).policies
        (edit,) = added_rule(one, {"to": []})
        assert edit.action.value == words


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://proxy:3128", "proxy", 3128), ("https://Proxy", "proxy", 443), ("http://[fd00::1]", "fd00::1", 80),
        ("http://[fd00::1]:8080", "fd00::1", 8080), ("proxy:3128", "proxy", 3128), ("proxy", "proxy", 0),
        ("socks5://proxy", "proxy", 0), ("http://proxy:99999", "proxy", 0), ("", "", 0), ("http://p:x", "p:x", 80),
    ],
)  # fmt: skip
def test_the_endpoint_of_a_url(url: str, host: str, port: int) -> None:
    """A port that is not given is that of the scheme, where it has one."""
    assert endpoint_of(url) == (host, port)
