"""What the agent tells the DNS proxy: of each pod that asks its names and doors, and of nobody else anything."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from outgate.agent.dns_orders import orders_of
from outgate.agent.events import Applied
from outgate.cluster.events import Upserted
from outgate.nft.asking import ASKERS, DOORS
from outgate.nft.options import Options
from outgate.policy import Mode
from outgate.policy.names import Dialect
from outgate.proxy.orders import Plan, read
from outgate.testing import (
    cluster_policy,
    node,
    pod,
    policy,
    random_cluster,
    random_cluster_policies,
    snapshot_of,
)
from tests.agent.states import NODE, SHOP, enforced, tell

NAMES = Options(names=True, mode=Mode.ENFORCE)
WEB = {"pods": {"podSelector": {"matchLabels": {"app": "web"}}}}
POLICY = cluster_policy(
    "names", subject=WEB, egress=[{"action": "Accept", "to": [{"domainNames": ["*.example.com", "example.org"]}]}]
)


def test_a_pod_that_asks() -> None:
    """Its addresses, its set with the patterns, and the doors of its class, which stand in the kernel's maps."""
    state = enforced([*SHOP, POLICY], NAMES)
    orders = orders_of(state.desired, "t", ["10.96.0.0/12"])
    assert read(msgspec.json.encode(orders), "orders") == orders
    (one,) = orders.pods
    assert (one.key, one.addresses) == ("shop/web/uid-of-web", ("10.0.0.1", "fd00::1"))
    (names,) = orders.sets
    assert one.sets == (names.name,)
    assert (names.patterns, names.dialect) == (("*.example.com", "example.org"), Dialect.NETWORK_POLICY)
    assert {f"f{family}_{names.name}" for family in (4, 6)} <= state.desired.ruleset.sets.keys()
    (asking,) = one.asks or ()
    for family, door in zip((4, 6), asking.doors, strict=True):
        assert ((door, door),) in state.desired.ruleset.sets[DOORS[family]].elements
    assert orders.nodes == ("192.168.0.1", "192.168.0.2")
    assert not orders.resets
    assert orders_of(enforced([*SHOP, POLICY], replace(NAMES, reject=True)).desired, "t").resets


def test_names_of_a_tier_that_is_not_asked_have_their_sets() -> None:
    """As the Baseline behind a policy that isolates: an answer for a set that is missing would be refused each time."""
    isolating = policy("shop/deny", {"podSelector": {}, "policyTypes": ["Egress"]})
    below = {**POLICY, "spec": {**POLICY["spec"], "tier": "Baseline"}}
    state = enforced([*SHOP, isolating, below], NAMES)
    (names,) = orders_of(state.desired, "t").sets
    assert {f"f{family}_{names.name}" for family in (4, 6)} <= state.desired.ruleset.sets.keys()


def test_a_pod_with_other_labels_has_the_orders_of_its_class() -> None:
    """Or another pod under its name: what the old class may ask, and through which door, is not its own."""
    state = enforced([*SHOP, POLICY], NAMES)
    assert len(orders_of(state.desired, "t").pods) == 1
    (web,) = (one for one in snapshot_of(SHOP).pods if one.name == "web")
    for labels, count in (({"app": "other"}, 0), ({"app": "web"}, 1)):
        tell(state, Upserted("Pod", replace(web, labels=labels), 0.0))
        tell(state, Applied())
        assert len(orders_of(state.desired, "t").pods) == count


def test_what_is_the_clusters_own_is_said() -> None:
    """Blocks where they are known, and each pod beyond them: no name may open it."""
    there = node("node-c", ["192.168.0.3"])
    nodes = [{**there, "spec": {"podCIDRs": ["10.0.1.0/24"]}}]
    orders = orders_of(enforced([*SHOP, *nodes, POLICY], NAMES).desired, "t", ["10.96.0.0/12"])
    assert set(orders.cluster) == {"10.96.0.0/12", "10.0.1.0/24", "10.0.0.1", "10.0.0.2", "fd00::1"}


def test_nobody_asks_without_names() -> None:
    """Neither without such a policy nor without a proxy."""
    assert orders_of(enforced(SHOP, NAMES).desired, "t").pods == ()
    assert orders_of(enforced([*SHOP, POLICY], Options(mode=Mode.ENFORCE)).desired, "t").pods == ()


def test_an_address_of_two_pods_is_nobodys() -> None:
    """What is learnt for one would open it for the other."""
    twin = pod("shop/twin", ["10.0.0.1"], on=NODE, app="web")
    (one,) = orders_of(enforced([*SHOP, twin, POLICY], NAMES).desired, "t").pods
    assert (one.key, one.addresses) == ("shop/web/uid-of-web", ("fd00::1",))


@given(st.integers(0, 1 << 32))
def test_whose_questions_come_is_known_and_nobody_else(seed: int) -> None:
    """The kernel's askers are the pods of the orders, and each has its doors: one that is missing would be unheard."""
    state = enforced([*random_cluster(seed), *random_cluster_policies(seed, 3, names=True)], NAMES)
    tell(state, Applied())
    orders = orders_of(state.desired, "t")
    read(msgspec.json.encode(orders), "orders")
    led = {
        key[0][0]
        for name in ASKERS.values()
        if name in state.desired.ruleset.sets
        for key in state.desired.ruleset.sets[name].elements
    }
    plan = Plan(orders)
    assert {int(ipaddress.ip_address(one)) for one in plan.pods} == led
    for address, one in plan.pods.items():
        doors = state.desired.ruleset.sets[DOORS[6 if ":" in address else 4]].elements
        assert ((one.door(address, "a.example.com"),) * 2,) in doors
