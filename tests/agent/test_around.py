"""What is asked of the API server beside, and what an agent makes of the answers, in whatever order they come."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from outgate.agent.around import MOST_NAMES, Around
from outgate.agent.events import Applied, Listed
from outgate.agent.step import Apply, Do, Follow, State, plan
from outgate.cluster.events import Broken, Recovered, Removed, Replaced, Troubled, Upserted
from outgate.cluster.watch import Subscription
from outgate.model import CiliumPolicy, EndpointSlice, Service
from outgate.model.cilium import CidrGroup, CiliumObject
from outgate.model.objects import SliceEndpoint
from outgate.nft.options import Options
from outgate.testing import snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.agent.states import NODE, SHOP, told

API = {"toEntities": ["kube-apiserver"]}
BY_NAME = {"toServices": [{"k8sService": {"serviceName": "x", "namespace": "out"}}]}
LABEL = "kubernetes.io/service-name"
ALL = Subscription("Service")
OF_API = Subscription("EndpointSlice", label_selector=f"{LABEL} in (kubernetes)")


def policies(**sections: Any) -> tuple[CiliumPolicy, ...]:
    """A policy of the namespace shop."""
    made = cilium_policy("shop/p", {"endpointSelector": {}, "enableDefaultDeny": {"egress": False}, **sections})
    return snapshot_of([made]).cilium_policies


def put(**sections: Any) -> Upserted:
    """It is there."""
    return Upserted("CiliumNetworkPolicy", CiliumObject("CiliumNetworkPolicy", "shop", "p", policies(**sections)), 0.0)


def ends(namespace: str, name: str, *addresses: str) -> EndpointSlice:
    """The slice of a Service."""
    many = tuple(SliceEndpoint((ipaddress.ip_address(one),)) for one in addresses)
    return EndpointSlice(namespace, f"{name}-1", name, many)


def begun(*events: Any) -> tuple[State, tuple[Do, ...]]:
    """An agent that sees all nodes, and has been told of a shop and more; the kernel has no table."""
    state = State.of(NODE, Options())
    state.world.all_nodes = True
    return plan(state, [*told(snapshot_of(SHOP)), Listed(None), *events])


def enforced() -> State:
    """The same with its table in the kernel."""
    state, _ = begun()
    plan(state, [Applied()])
    assert state.ready
    return state


def closes(state: State) -> bool:
    """Whether some denial of the policy stands for everything."""
    return any(rule.unenforced for one in state.world.cilium_policies() for rule in one.egress_deny)


def follows(commands: tuple[Do, ...]) -> list[tuple[Subscription, ...]]:
    """What is asked for."""
    return [one.subscriptions for one in commands if isinstance(one, Follow)]


def test_nothing_is_asked_for_that_nobody_needs() -> None:
    """Neither by an agent that begins, nor for the sake of other peers."""
    _, commands = begun(put(egress=[{"toEndpoints": [{}]}, {"toCIDR": ["10.0.0.0/8"]}]))
    assert follows(commands) == []


@pytest.mark.parametrize("section", ["egress", "egressDeny"])
def test_an_agent_that_begins_waits_for_what_policies_mean(section: str) -> None:
    """Else it would close for a while what the one before it had let pass."""
    state, commands = begun(put(**{section: [API]}))
    assert follows(commands) == [(OF_API,)]
    assert not any(isinstance(one, Apply) for one in commands)
    _, commands = plan(state, [Replaced("EndpointSlice", (ends("default", "kubernetes", "198.51.100.1"),), "other")])
    assert commands == ()
    slices = (ends("default", "kubernetes", "198.51.100.1"),)
    _, commands = plan(state, [Replaced("EndpointSlice", slices, OF_API.label_selector)])
    assert [type(one) for one in commands] == [Apply]
    assert not closes(state)


def test_a_right_that_is_missing_keeps_no_other_policy_from_the_kernel() -> None:
    """Passing trouble is waited for; what only a person can mend is not, and closes."""
    state, _ = begun(put(egressDeny=[API]))
    assert plan(state, [Troubled("EndpointSlice", "no route to host")])[1] == ()
    _, commands = plan(state, [Troubled("EndpointSlice", "forbidden", lasting=True)])
    assert [type(one) for one in commands] == [Apply]
    assert closes(state)
    plan(state, [Applied()])
    slices = (ends("default", "kubernetes", "198.51.100.1"),)
    _, commands = plan(state, [Recovered("EndpointSlice"), Replaced("EndpointSlice", slices, OF_API.label_selector)])
    assert [type(one) for one in commands] == [Apply]
    assert not closes(state)


def test_what_comes_later_closes_until_it_is_known_and_again() -> None:
    """A denial; once nobody asks any more, nothing of what was known counts."""
    state = enforced()
    _, commands = plan(state, [put(egressDeny=[API])])
    assert follows(commands) == [(OF_API,)]
    assert closes(state)
    whole = Replaced("EndpointSlice", (ends("default", "kubernetes", "198.51.100.1"),), OF_API.label_selector)
    plan(state, [Applied(), whole])
    assert not closes(state)
    gone = Removed("CiliumNetworkPolicy", CiliumObject("CiliumNetworkPolicy", "shop", "p", ()))
    _, commands = plan(state, [Applied(), gone])
    assert follows(commands) == [()]
    plan(state, [Applied(), whole])
    assert state.world.around.told == {}
    assert "EndpointSlice" not in state.synced
    plan(state, [put(egressDeny=[API])])
    assert closes(state)


def test_an_api_server_without_an_address_is_not_known() -> None:
    """No slice, an empty one, or one that cannot be understood: to deny nobody would open."""
    state = enforced()
    whole = Replaced("EndpointSlice", (ends("default", "kubernetes"),), OF_API.label_selector)
    plan(state, [put(egressDeny=[{"toEntities": ["cluster"]}])])
    plan(state, [Applied(), whole])
    assert closes(state)
    plan(state, [Upserted("EndpointSlice", ends("default", "kubernetes", "198.51.100.1"), 0.0)])
    assert not closes(state)
    plan(state, [Broken("EndpointSlice", "default", "kubernetes-2", ())])
    assert closes(state)
    plan(state, [Removed("EndpointSlice", EndpointSlice("default", "kubernetes-2", ""))])
    assert not closes(state)


def test_a_group_that_cannot_be_read_is_not_denied_by_denying_nobody() -> None:
    """What stands for it has no blocks."""
    state = enforced()
    plan(state, [put(egressDeny=[{"toCIDRSet": [{"cidrGroupRef": "g"}]}])])
    group = Upserted("CiliumCIDRGroup", CidrGroup("g", ()), 0.0)
    plan(state, [group, Broken("CiliumCIDRGroup", "", "g", ())])
    assert closes(state)
    plan(state, [group])
    assert not closes(state)


def test_slices_are_asked_for_where_a_service_has_no_selector() -> None:
    """By its name, once it is known; that of one with a selector never."""
    state = enforced()
    _, commands = plan(state, [put(egressDeny=[BY_NAME, API])])
    assert follows(commands) == [(ALL, OF_API)]
    slices = (ends("default", "kubernetes", "198.51.100.1"),)
    plan(state, [Applied(), Replaced("EndpointSlice", slices, OF_API.label_selector)])
    _, commands = plan(state, [Applied(), Replaced("Service", (Service("out", "x"), Service("out", "y")))])
    both = Subscription("EndpointSlice", label_selector=f"{LABEL} in (kubernetes,x)")
    assert follows(commands) == [(ALL, both)]
    assert closes(state)
    more = Replaced("EndpointSlice", (*slices, ends("out", "x", "198.51.100.2")), both.label_selector)
    plan(state, [Applied(), more])
    assert not closes(state)
    _, commands = plan(state, [Applied(), Upserted("Service", Service("out", "x", selector={"app": "far"}), 0.0)])
    assert follows(commands) == [(ALL, OF_API)]
    assert not closes(state)


def test_a_service_that_nobody_means_costs_nothing() -> None:
    """Nothing is compiled for it, nor for what of one does not count."""
    state = enforced()
    plan(state, [put(egressDeny=[BY_NAME])])
    plan(state, [Applied(), Replaced("Service", (Service("out", "x", selector={"app": "far"}),))])
    plan(state, [Applied()])
    other = Service("out", "other", selector={"app": "far"})
    same = Service("out", "x", (ipaddress.ip_address("10.96.0.1"),), {"app": "far"})
    assert plan(state, [Upserted("Service", other, 0.0), Upserted("Service", same, 0.0)])[1] == ()


def test_a_query_does_not_grow_without_end() -> None:
    """Where too many are named, the slices of all are followed, and known."""
    around = Around()
    selector = {"k8sServiceSelector": {"selector": {}, "namespace": "out"}}
    around.ask(policies(egress=[{"toServices": [selector]}]))
    for number in range(MOST_NAMES + 1):
        around.put_service(Service("out", f"s{number}"))
    assert around.wanted == (ALL, Subscription("EndpointSlice"))
    around.hears("EndpointSlice", "")
    assert ("out", "s0") in around.endpoints
