"""The grid by hand: rows, the ingress half, families, port names, and what is taken over after a change.

That its answers are right for any cluster is a law (`tests/laws/test_connections.py`).
"""

from __future__ import annotations

import dataclasses

from outgate.model import Direction
from outgate.packets import Address, AddressSet, PacketSet, Protocol, TransportSet
from outgate.policy import Policies
from outgate.policy.cells import Row
from outgate.policy.grid import Grid, lens_of
from outgate.policy.identity import members
from outgate.policy.interned import EVERYTHING
from outgate.policy.profile import KUBE_ROUTER, OUTGATE, PASSING_ICMP
from outgate.testing import Manifest, namespace, pod, policy, snapshot_of

EGRESS: Manifest = {"policyTypes": ["Egress"]}


def grid_of(*cluster: Manifest) -> Grid:
    """The grid of a cluster."""
    return Grid(Policies(snapshot_of(cluster)))


def words(grid: Grid, row: Row) -> dict[str, TransportSet]:
    """A row by the names of the first pods."""
    return {
        grid.identities.pods[number][0].name: grid.transports.sets[transports]
        for transports, bits in row
        for number in members(bits)
    }


def number(grid: Grid, name: str) -> int:
    """The identity of the pod of that name."""
    return next(n for n, pods in enumerate(grid.identities.pods) if any(one.name == name for one in pods))


def test_without_policies_everything_passes() -> None:
    """All pods of a namespace are one identity then, and reach each other."""
    grid = grid_of(pod("a/one", app="x"), pod("a/two", app="y"), pod("b/three"))
    assert len(grid.identities.all) == 2
    assert grid.joined(0) == ((EVERYTHING, 0b11),)
    assert not grid.isolated(0, Direction.EGRESS)


def test_rules_of_several_policies_add_up() -> None:
    """types.go: policies are additive, whatever their order; ports of two rules to one peer are one set."""
    to_b = {"to": [{"podSelector": {"matchLabels": {"app": "b"}}}]}
    grid = grid_of(
        *(pod(f"n/{name}", app=name) for name in "abc"),
        policy("n/deny", EGRESS),
        policy("n/one", EGRESS | {"podSelector": {"matchLabels": {"app": "a"}}, "egress": [to_b | _ports(80)]}),
        policy(
            "n/two", EGRESS | {"podSelector": {"matchLabels": {"app": "a"}}, "egress": [to_b | _ports(81), _ports(53)]}
        ),
    )
    assert words(grid, grid.joined(number(grid, "a"))) == {
        "a": tcp(53),
        "b": tcp(53) | tcp(80) | tcp(81),
        "c": tcp(53),
    }
    assert grid.joined(number(grid, "b")) == ()


def _ports(*numbers: int | str) -> Manifest:
    return {"ports": [{"port": one} for one in numbers]}


def tcp(low: int, high: int | None = None) -> TransportSet:
    """Some TCP ports."""
    return TransportSet.ports(Protocol.TCP, low, high)


def test_both_ends_must_let_it_pass() -> None:
    """A connection needs the egress of its source and the ingress of its destination."""
    grid = grid_of(
        pod("n/a", app="a"),
        pod("n/b", app="b"),
        policy("n/out", EGRESS | {"podSelector": {"matchLabels": {"app": "a"}}, "egress": [_ports(1, 2)]}),
        policy("n/in", {"podSelector": {"matchLabels": {"app": "b"}}, "ingress": [_ports(2, 3)]}),
    )
    assert words(grid, grid.joined(number(grid, "a")))["b"] == tcp(2)


def test_port_names_are_the_destinations_own() -> None:
    """One name, two numbers: on egress each destination says for itself, and who has no such port is not reached."""
    pods = [
        pod("n/a", app="a"),
        pod("n/b", ports=[{"name": "http", "containerPort": 80}], app="b"),
        pod("n/c", ports=[{"name": "http", "containerPort": 8080}], app="c"),
        pod("n/d", ports=[{"name": "http", "containerPort": 53, "protocol": "UDP"}], app="d"),
    ]
    rule = policy("n/p", EGRESS | {"podSelector": {"matchLabels": {"app": "a"}}, "egress": [_ports("http")]})
    grid = grid_of(*pods, rule)
    assert words(grid, grid.joined(number(grid, "a"))) == {"b": tcp(80), "c": tcp(8080)}
    assert not grid.outside(number(grid, "a"), Direction.EGRESS)
    inward = grid_of(*pods, policy("n/p", {"ingress": [_ports("http")]}))
    assert inward.outside(number(inward, "c"), Direction.INGRESS).transports(_anybody()) == tcp(8080)
    assert not inward.outside(number(inward, "a"), Direction.INGRESS)


def _anybody() -> Address:
    return AddressSet.network("203.0.113.7/32").lowest()


def test_families_are_told_apart_where_a_block_does() -> None:
    """An IPv4 block says nothing about IPv6; without blocks one grid serves both."""
    pods = [pod("n/a", ["10.0.0.1", "fd00::1"], app="a"), pod("n/b", ["10.0.0.2", "fd00::2"], app="b")]
    block = policy("n/p", EGRESS | {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]})
    grid = grid_of(*pods, block)
    assert grid.families == (4, 6)
    a, b = number(grid, "a"), number(grid, "b")
    assert grid.row(a, 4) == ((EVERYTHING, 1 << a | 1 << b),)
    assert grid.row(a, 6) == ()
    assert grid.joined(a) == grid.row(a, 4)
    assert grid_of(*pods, policy("n/p", EGRESS)).families == (4,)


def test_pods_without_a_common_family_cannot_talk() -> None:
    """There is no packet that one could send to the other."""
    grid = grid_of(pod("n/four", ["10.0.0.1"]), pod("n/six", ["fd00::6"]), pod("n/both", ["10.0.0.2", "fd00::2"]))
    assert set(words(grid, grid.joined(number(grid, "four")))) == {"four", "both"}
    assert set(words(grid, grid.joined(number(grid, "six")))) == {"six", "both"}


def test_what_did_not_change_is_taken_over() -> None:
    """One policy more must not cost a new look at all pods; nor may the grid before it be touched."""
    cluster = [namespace("n"), *(pod(f"n/{name}", app=name) for name in "ab")]
    deny = policy("n/deny", EGRESS | {"podSelector": {"matchLabels": {"app": "a"}}})
    snapshot = snapshot_of([*cluster, deny])
    before = Grid(Policies(snapshot))
    row = before.joined(0)
    (more,) = snapshot_of(
        [policy("n/more", EGRESS | {"podSelector": {"matchLabels": {"app": "a"}}, "egress": [{}]})]
    ).policies
    after = Grid(Policies(snapshot.with_policies([*snapshot.policies, more])), previous=before)
    assert after.identities is before.identities
    assert after.joined(number(after, "a")) == ((EVERYTHING, 0b11),)
    assert before.joined(0) == row == ()


def test_pings_pass_outside_where_a_profile_lets_them() -> None:
    """And there alone: a grid made after one of another profile keeps nothing of what that one let pass."""
    snapshot = snapshot_of([pod("n/a"), policy("n/p", EGRESS)])
    policies = [Policies(snapshot, one) for one in (KUBE_ROUTER, OUTGATE)]
    pings = Grid(policies[0])
    assert pings.outside(0, Direction.EGRESS) == PacketSet.cube(AddressSet.any(), PASSING_ICMP)
    assert pings.outside(0, Direction.INGRESS) == PacketSet.any()
    assert not Grid(policies[1], previous=pings).outside(0, Direction.EGRESS)


def test_a_changed_namespace_is_seen() -> None:
    """A relabelled namespace changes who is selected, with the same pods and policies."""
    rule = {"from": [{"namespaceSelector": {"matchLabels": {"team": "red"}}}]}
    cluster = [pod("n/a"), pod("m/b"), policy("n/p", {"ingress": [rule]}), namespace("n")]
    one = snapshot_of([*cluster, namespace("m", team="blue")])
    relabelled = dataclasses.replace(one, namespaces=snapshot_of([*cluster, namespace("m", team="red")]).namespaces)
    before = Grid(Policies(one))
    after = Grid(Policies(relabelled), previous=before)
    assert set(words(before, before.joined(number(before, "b")))) == {"b"}
    assert set(words(after, after.joined(number(after, "b")))) == {"a", "b"}


def test_a_wider_lens_makes_finer_identities() -> None:
    """To compare two snapshots, each is seen through the lens of both."""
    cluster = [pod("n/a", version="1"), pod("n/b", version="2")]
    reader = snapshot_of([*cluster, policy("n/p", {"podSelector": {"matchLabels": {"version": "1"}}})])
    plain = Policies(snapshot_of(cluster))
    assert len(Grid(plain).identities.all) == 1
    assert len(Grid(plain, lens=lens_of(Policies(reader))).identities.all) == 2
