"""Who holds which address, told by the API server, the network plugin and the kernel, each in its own time."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.agent.world import Claim, World
from outgate.model import ClusterPolicy, ClusterRule, LabelSelector, Namespace, NetworkPolicy, Node, Pod, PodPeer
from outgate.model.cluster_policy import NodePeer, UnknownPeer
from outgate.nft.placement import Share
from outgate.packets import Address
from tests.agent.words import HERE, read

ONE, TWO, THREE = (ipaddress.ip_address(f"10.1.0.{last}") for last in (10, 11, 12))
WEB = ("shop", "web")


def one(line: str) -> Any:
    """The object that a line speaks of."""
    return read(line)[0].body


def claim(address: Address, uid: str = "", interface: str = "og1") -> Claim:
    """What the network plugin says."""
    return Claim(uid, (address,), interface)


def world(*lines: str) -> World:
    """This node's, with these pods."""
    made = World(HERE)
    for line in lines:
        made.put_pod(one(line))
    return made


@pytest.mark.parametrize(
    ("line", "holds", "local"),
    [
        ("pod shop/web 10.1.0.10 here", True, True),
        ("pod shop/web 10.1.0.10 there", True, False),
        ("pod shop/web here", False, True),
        ("pod shop/web 10.1.0.10 here finished", False, False),
        ("pod shop/web 10.1.0.10 here host", False, False),
    ],
)
def test_who_holds_an_address(line: str, holds: bool, local: bool) -> None:
    """Ended pods have none, whatever their status still says; on the host network it is the node's."""
    now = world(line)
    assert (ONE in now.holders, now.is_local(WEB)) == (holds, local)


def test_what_changed_is_said_and_nothing_else() -> None:
    """Each address that is named is placed anew; a status that says the same again names none."""
    now = world()
    assert now.put_pod(one("pod shop/web 10.1.0.10 here app=web")) == {ONE}
    assert now.put_pod(one("pod shop/web 10.1.0.10 here app=web")) == set()
    assert now.put_pod(one("pod shop/web 10.1.0.10 here app=api")) == {ONE}
    assert now.put_pod(one("pod shop/web 10.1.0.11 here app=api")) == {ONE, TWO}
    assert now.put_pod(one("pod shop/web 10.1.0.11 there app=api")) == {TWO}
    assert now.put_pod(one("pod shop/web 10.1.0.11 there finished app=api")) == {TWO}
    assert now.drop_pod(WEB) == set()
    assert (now.holders, list(now.kinds()), now.drop_pod(WEB)) == ({}, [], set())


def test_a_list_drops_who_is_not_in_it() -> None:
    """What was missed while no news came."""
    now = world("pod shop/web 10.1.0.10 here", "pod shop/api 10.1.0.11 here")
    assert now.replace_pods([one("pod shop/api 10.1.0.11 here"), one("pod shop/new 10.1.0.12 here")]) == {ONE, THREE}
    assert sorted(now.pods) == [("shop", "api"), ("shop", "new")]


def test_an_address_of_two_is_of_both() -> None:
    """Whose packets they are nobody can tell; when one goes it is the other's."""
    now = world("pod shop/web 10.1.0.10 here", "pod shop/api 10.1.0.10 there")
    assert set(now.holders[ONE]) == {WEB, ("shop", "api")}
    assert now.drop_pod(WEB) == {ONE}
    assert now.holders[ONE] == (("shop", "api"),)


# ---- the network plugin ----------------------------------------------------------------------------------------------


def test_a_claim_counts_until_the_status_says_it() -> None:
    """Seconds earlier; and no longer than the API server's own word."""
    now = world("pod shop/web here")
    assert now.born(WEB, claim(ONE)) == {ONE}
    assert (now.holders, now.links) == ({ONE: (WEB,)}, {ONE: "og1"})
    assert now.awaited(WEB) is not None
    assert now.put_pod(one("pod shop/web 10.1.0.11 here")) == {ONE, TWO}
    assert now.holders == {TWO: (WEB,)}
    assert now.awaited(WEB) is None


def test_a_claim_may_come_before_the_pod() -> None:
    """The watch of pods lags behind."""
    now = world()
    assert now.born(WEB, claim(ONE)) == set(), "it is nobody's address yet"
    assert now.holders == {}
    assert now.put_pod(one("pod shop/web here")) == {ONE}
    assert now.holders == {ONE: (WEB,)}


@pytest.mark.parametrize(("uid", "counts"), [("", True), ("shop/web#1", True), ("shop/web#2", False)])
def test_a_claim_is_of_one_pod_of_that_name(uid: str, counts: bool) -> None:
    """The next one of a StatefulSet has the name and may have other rights."""
    now = world("pod shop/web#1 here")
    now.born(WEB, claim(ONE, uid))
    assert (ONE in now.holders) is counts
    now.put_pod(one("pod shop/web#2 here"))
    assert (ONE in now.holders) is (uid != "shop/web#1")


def test_a_claim_is_of_this_node() -> None:
    """A pod of another node that is called so is not ours."""
    now = world("pod shop/web there")
    now.born(WEB, claim(ONE))
    assert now.holders == {}


def test_who_died_holds_nothing_whatever_the_status_says() -> None:
    """The address may be given to another before the API server hears of it."""
    now = world("pod shop/web#1 10.1.0.10 here")
    assert now.died(WEB, "shop/web#2") == set(), "another one of that name"
    assert now.died(WEB, "shop/web#1") == {ONE}
    assert now.put_pod(one("pod shop/web#1 10.1.0.10 here app=web")) == set()
    assert now.holders == {}
    assert now.put_pod(one("pod shop/web#2 10.1.0.10 here app=web")) == {ONE}


@pytest.mark.parametrize(("uid", "back"), [("shop/web#1", True), ("", True), ("shop/web#2", False)])
def test_a_network_that_is_made_anew(uid: str, back: bool) -> None:
    """Of the same pod it counts again; of the next one of that name, it does not raise the dead one."""
    now = world("pod shop/web#1 10.1.0.10 here")
    now.died(WEB, "shop/web#1")
    now.born(WEB, claim(ONE, uid))
    assert (ONE in now.holders) is back


def test_a_death_of_nobody_is_nothing() -> None:
    """Kubelet says it more than once, and of pods that are long gone."""
    assert World(HERE).died(WEB, "") == set()


def test_links_are_those_of_this_node_and_claims_fill_the_gaps() -> None:
    """The kernel's word counts; of a link that it does not show yet, the plugin's. Others are not asked for."""
    now = world("pod shop/web here", "pod shop/far 10.1.0.11 there")
    now.born(WEB, claim(ONE, interface="og1"))
    assert now.link({TWO: "og2"}) == set()
    assert now.links == {ONE: "og1"}
    assert now.link({ONE: "og9"}) == {ONE}
    assert now.links == {ONE: "og9"}
    now.put_pod(one("pod shop/web 10.1.0.10 here"))
    assert now.link({}) == {ONE}


# ---- kinds -----------------------------------------------------------------------------------------------------------


def test_pods_that_are_alike_are_one_kind() -> None:
    """A thousand replicas are asked about once, and their labels are kept once."""
    now = world("pod shop/a 10.1.0.10 here app=x port http=80", "pod shop/b 10.1.0.11 there app=x port http=80")
    a, b = now.pods["shop", "a"], now.pods["shop", "b"]
    assert a.kind is b.kind
    assert a.pod.labels is b.pod.labels
    for line in ("app=y port http=80", "app=x port http=81", "app=x"):
        now.put_pod(one(f"pod shop/c 10.1.0.12 here {line}"))
        assert now.pods["shop", "c"].kind is not a.kind
    now.put_pod(one("pod else/c 10.1.0.12 here app=x port http=80"))
    assert now.pods["else", "c"].kind is not a.kind


def test_a_kind_that_had_no_address_is_asked_anew() -> None:
    """While it has none, policies may change, and nobody looks at it: what was known of it would be of before."""
    now = world("pod shop/web#1 10.1.0.10 here")
    kind = now.pods[WEB].kind
    kind.shares = (Share("p4_before", 4),)
    now.died(WEB, "")
    now.born(WEB, claim(ONE))
    assert now.pods[WEB].kind.shares is None
    assert list(now.kinds()) == [now.pods[WEB].kind]


class Oracle:
    """Who holds what, found by looking at all pods."""

    def __init__(self) -> None:
        self.pods: dict[tuple[str, str], Pod] = {}

    def holders(self) -> dict[Address, set[tuple[str, str]]]:
        """Address → pods."""
        found: dict[Address, set[tuple[str, str]]] = {}
        for key, pod in self.pods.items():
            for address in pod.addresses if not (pod.finished or pod.host_network) else ():
                found.setdefault(address, set()).add(key)
        return found


@given(st.lists(st.tuples(*map(st.integers, (0,) * 5, (2, 3, 2, 5, 1))), max_size=25))
def test_the_indexes_are_what_the_pods_say(moves: list[tuple[int, int, int, int, int]]) -> None:
    """After any moves, by looking at every pod; and who was not named has not changed."""
    now, oracle = World(HERE), Oracle()
    for name, address, label, sort, where in moves:
        key, before = ("shop", f"p{name}"), oracle.holders()
        if sort == 5:
            oracle.pods.pop(key, None)
            touched = now.drop_pod(key)
        else:
            words = ("", "", "", "finished", "host")[sort]
            said = f"10.1.0.{address}" if address else ""
            pod = one(f"pod shop/p{name} {said} {('here', 'there')[where]} app=a{label} {words}")
            oracle.pods[key] = pod
            touched = now.put_pod(pod)
        after = oracle.holders()
        assert {address: set(keys) for address, keys in now.holders.items()} == after
        assert {
            address for address in before.keys() | after.keys() if before.get(address) != after.get(address)
        } <= touched
    kinds: dict[int, set[Address]] = {}
    for record in now.pods.values():
        kinds.setdefault(id(record.kind), set()).update(record.addresses)
    assert {id(kind): set(kind.addresses) for kind in now.kinds()} == {k: many for k, many in kinds.items() if many}


# ---- what pods live among --------------------------------------------------------------------------------------------


def test_only_what_selectors_or_modes_can_see_counts() -> None:
    """Namespaces, policies and nodes are told again at every heartbeat; a compile for each would be all there is."""
    now = World(HERE)
    assert not now.put_namespace(Namespace("shop", {})), "its name was known"
    assert now.put_namespace(Namespace("shop", {"team": "red"}))
    assert not now.put_namespace(Namespace("shop", {"team": "red"}, declared=False))
    assert now.put_namespace(Namespace("shop", {"team": "red"}, annotations={"outgate.dev/enforcement": "audit"}))
    assert now.drop_namespace("shop")
    assert not now.drop_namespace("shop")
    assert now.put_namespace(Namespace("new", {}, annotations={"outgate.dev/enforcement": "audit"}))


def test_a_policy_is_what_it_decides() -> None:
    """Not who applied it last."""
    now, made = World(HERE), NetworkPolicy("shop", "p")
    assert now.put_policy(made)
    for same in (dataclasses.replace(made, uid="2"), dataclasses.replace(made, annotations={"kubectl": "applied"})):
        assert not now.put_policy(same)
    assert now.put_policy(dataclasses.replace(made, annotations={"outgate.dev/enforcement": "audit"}))
    assert now.put_policy(one("policy shop/p egress all"))
    assert now.drop_policy(("shop", "p"))
    assert not now.drop_policy(("shop", "p"))


def test_of_nodes_the_blocks_of_this_one_count() -> None:
    """And they outlive the object: its pods run on, and unknown ones stay closed."""
    now, blocks = World(HERE), (ipaddress.ip_network("10.1.0.0/24"),)
    assert not now.put_node(Node(HERE))
    assert now.put_node(Node(HERE, pod_cidrs=blocks))
    assert not now.put_node(Node(HERE, {"a": "b"}, pod_cidrs=blocks))
    assert not now.put_node(Node("there", pod_cidrs=blocks))
    now.drop_node("there")
    now.drop_node(HERE)
    assert now.nodes[HERE].pod_cidrs == blocks
    assert now.nodes.keys() == {HERE}


def test_of_nodes_those_that_nobody_can_read_are_denied_by_denying_everybody() -> None:
    """And only as long as they are there: who accepts nodes accepts those that are known."""
    now = World(HERE, all_nodes=True)
    nodes = (NodePeer(LabelSelector()),)
    rules = tuple(ClusterRule(action, nodes) for action in ("Accept", "Deny", "Pass"))
    written = ClusterPolicy("p", "Admin", 1, PodPeer(None, None), rules)
    other = ClusterPolicy("q", "Admin", 1, PodPeer(None, None), rules[:1])
    assert now.put_cluster_policy(written)
    assert now.put_cluster_policy(other)
    key = written.kind, "p"
    assert now.cluster_policies[key] == written
    now.read(("Node", "", "bad"), understood=False)
    assert now.look_again()
    accept, deny, passing = now.cluster_policies[key].egress
    assert accept.peers == nodes
    assert [type(one) for one in (*deny.peers, *passing.peers)] == [UnknownPeer, UnknownPeer]
    assert now.cluster_policies[other.kind, "q"] == other
    assert not now.put_cluster_policy(written)
    now.read(("Node", "", "bad"), understood=True)
    assert now.look_again()
    assert now.cluster_policies[key] == written
