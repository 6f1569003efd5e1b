"""Rules that add nothing, held against the packets themselves: without all of them nothing changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outgate.checks import Survey
from outgate.checks.coverage import redundant_policies, redundant_rules
from outgate.model import Direction, NetworkPolicy, Snapshot
from outgate.policy import Policies, decide
from outgate.testing import pod, policy, random_cluster, snapshot_of
from tests.checks.asking import block, egress, pods, to

WEB, DB = pod("shop/web", ["10.1.0.1"], app="web"), pod("shop/db", ["10.1.0.2"], app="db")


def gone(snapshot: Snapshot) -> list[str]:
    """The rules that are found, in words."""
    return [str(one.rule.origin) for one in redundant_rules(Survey(snapshot))]


def without(snapshot: Snapshot) -> Snapshot:
    """The cluster without them; the policies stay, and with them the isolation."""
    found = {
        (one.rule.origin.namespace, one.rule.origin.name, one.rule.direction, one.rule.origin.rule)
        for one in redundant_rules(Survey(snapshot))
    }

    def kept(one: NetworkPolicy, direction: Direction) -> tuple[object, ...]:
        rules = enumerate(one.rules(direction))
        return tuple(rule for number, rule in rules if (one.namespace, one.name, direction, number) not in found)

    changed = [
        NetworkPolicy(
            one.namespace,
            one.name,
            one.pods,
            one.types,
            kept(one, Direction.EGRESS),  # type: ignore[arg-type]  # they are rules
            kept(one, Direction.INGRESS),  # type: ignore[arg-type]  # they are rules
        )
        for one in snapshot.policies
    ]
    return snapshot.with_policies(changed)


@given(st.integers(0, 2**32 - 1))
def test_without_them_every_decision_is_the_same(seed: int) -> None:
    """For each pod and direction, the set of packets; all that are found are taken away at once."""
    snapshot = snapshot_of(random_cluster(seed))
    before, after = Policies(snapshot), Policies(without(snapshot))
    for one in snapshot.endpoints:
        for direction in Direction:
            mine = decide(before, one, direction).allowed()
            assert decide(after, one, direction).allowed() == mine, (str(one), direction)


@given(st.integers(0, 2**32 - 1))
def test_without_superfluous_policies_too(seed: int) -> None:
    """All of them at once: whom they isolate stays isolated, and may do the same."""
    snapshot = snapshot_of(random_cluster(seed))
    gone = {(one.namespace, one.name) for one, _ in redundant_policies(Survey(snapshot))}
    kept = [one for one in snapshot.policies if (one.namespace, one.name) not in gone]
    before, after = Policies(snapshot), Policies(snapshot.with_policies(kept))
    for one in snapshot.endpoints:
        for direction in Direction:
            mine, others = decide(before, one, direction), decide(after, one, direction)
            assert (mine.isolated, mine.allowed()) == (others.isolated, others.allowed()), (str(one), direction)


def test_of_two_alike_the_first_stays() -> None:
    """Whoever takes both away has taken something away."""
    rule = to(pods(app="db"))
    assert gone(snapshot_of([WEB, DB, egress("shop/a", rule), egress("shop/b", rule)])) == ["shop/b egress[0]"]


def test_one_workload_that_needs_it_keeps_it() -> None:
    """The other rule is not for all of them."""
    snapshot = snapshot_of(
        [WEB, DB, egress("shop/a", to(block("10.0.0.0/8")), app="web"), egress("shop/b", to(block("10.0.0.0/9")))]
    )
    assert gone(snapshot) == []


def test_one_address_or_port_more_keeps_it() -> None:
    """Inside the cluster and outside."""
    for mine, other in (
        (to(block("10.0.0.0/8")), to(block("10.0.0.0/9"))),
        (to(pods(), ports=[{"port": 80, "endPort": 81}]), to(pods(), ports=[{"port": 80}])),
        (to(pods()), to(pods(app="db"))),
        (to(block("0.0.0.0/0")), to(pods())),
    ):
        assert gone(snapshot_of([WEB, DB, egress("shop/a", other), egress("shop/b", mine)])) == [] or gone(
            snapshot_of([WEB, DB, egress("shop/a", other), egress("shop/b", mine)])
        ) == ["shop/a egress[0]"]


def test_port_names_are_each_pods_own() -> None:
    """On ingress one rule may be enough for one pod and not for another."""
    named = [pod(f"shop/{n}", [f"10.1.0.{n}"], ports=[{"name": "web", "containerPort": n}], app="x") for n in (80, 81)]
    spec = {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}, {"ports": [{"port": "web"}]}]}
    assert gone(snapshot_of([*named, policy("shop/p", spec)])) == []
    assert gone(snapshot_of([named[0], policy("shop/p", spec)])) == ["shop/p ingress[1]"]
