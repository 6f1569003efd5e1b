"""Who gets which address and which node: nothing twice, nothing changed that was given, the same every time."""

from __future__ import annotations

import ipaddress
from collections import Counter
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.errors import InvalidInput
from outgate.lab.addressing import GATEWAYS, INVENTED_NODES, address
from outgate.model import (
    BlockPeer,
    Document,
    NetworkPolicy,
    Node,
    Place,
    Pod,
    PolicyRule,
    Service,
    ServicePort,
    Snapshot,
)
from outgate.model.objects import Address, Network


def ip(text: str) -> Address:
    """An address."""
    return ipaddress.ip_address(text)


def net(text: str) -> Network:
    """A block."""
    return ipaddress.ip_network(text)


def names_blocks(*blocks: str) -> NetworkPolicy:
    """A policy that names address blocks."""
    return NetworkPolicy("a", "p", egress=(PolicyRule(tuple(BlockPeer(net(block)) for block in blocks)),))


POOL = ("10.244.0.1", "10.244.0.2", "10.244.1.1", "172.18.0.1", "10.96.0.1", "240.0.0.1")
POOL6 = ("fd00:10:244::1", "fd00:10:244::2", "fd00:172:18::1", "fd00:10:96::1")
BLOCKS = ("10.244.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/0", "fd00::/8", "0.0.0.0/1")


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Clusters that hold, at random, the very addresses that the lab would like to give."""
    texts: list[str] = draw(st.permutations([*POOL, *POOL6]))
    free = [ip(text) for text in texts][: draw(st.integers(0, 6))]
    node = st.sampled_from(("", "", "n1", "n2"))
    pods = [
        Pod(
            "a",
            f"p{number}",
            addresses=(free.pop(),) if bool(free) and draw(st.booleans()) else (),
            node=draw(node),
            host_network=not number % 5 and draw(st.booleans()),
            finished=draw(st.integers(0, 9)) == 0,
        )
        for number in range(draw(st.integers(0, 9)))
    ]
    on_host = {one for pod in pods if pod.host_network for one in pod.addresses}
    nodes = [Node("n1", pod_cidrs=draw(st.sampled_from(((), (net("10.244.0.0/30"), net("fd00:9::/64"))))))]
    services = [Service("a", f"s{number}", ports=(ServicePort(80),)) for number in range(draw(st.integers(0, 3)))]
    blocks = draw(st.lists(st.sampled_from(BLOCKS), max_size=4))
    addresses = (free.pop(),) if free and free[-1] not in on_host else ()
    return Snapshot.of(
        pods=pods,
        nodes=[*nodes, Node("n3", addresses=addresses)][: draw(st.integers(0, 2))],
        services=services,
        policies=[names_blocks(*blocks)],
    )


def holders(snapshot: Snapshot) -> Counter[Address]:
    """How many hold each address, those aside that share their node's."""
    pods = chain.from_iterable(pod.addresses for pod in snapshot.endpoints if not pod.host_network)
    nodes = chain.from_iterable(node.addresses for node in snapshot.nodes.values())
    services = chain.from_iterable(service.cluster_ips for service in snapshot.services)
    return Counter(chain(pods, nodes, services))


@given(snapshots())
def test_no_two_share_an_address_and_all_have_one(snapshot: Snapshot) -> None:
    """Two pods with one address are one pod to the kernel, and half of all verdicts would be wrong."""
    done = address(snapshot)
    assert max(holders(done).values(), default=1) == 1
    assert not holders(done).keys() & set(GATEWAYS)
    for pod in done.endpoints:
        assert pod.node in done.nodes
        assert pod.addresses
        if pod.host_network:
            assert set(pod.addresses) <= set(done.nodes[pod.node].addresses)
    assert all(node.addresses for node in done.nodes.values())
    assert all(service.cluster_ips for service in done.services)


@given(snapshots())
def test_what_the_input_says_is_kept(snapshot: Snapshot) -> None:
    """An address from the cluster is a fact that policies were written for."""
    done = address(snapshot)
    for before, after in zip(snapshot.pods, done.pods, strict=True):
        assert before.key == after.key
        if before.finished:
            assert after == before
        elif before.addressed:
            assert after.addresses == before.addresses
        if before.node and not before.finished:
            assert after.node == before.node
        assert after.addressed
    for name, node in snapshot.nodes.items():
        assert set(node.addresses) <= set(done.nodes[name].addresses)
        assert done.nodes[name].pod_cidrs == node.pod_cidrs


@given(snapshots())
def test_the_same_input_gives_the_same_lab_and_a_lab_is_left_alone(snapshot: Snapshot) -> None:
    """A lab that differs from run to run cannot be argued about."""
    done = address(snapshot)
    assert address(snapshot) == done
    again = address(done)
    assert again.nodes == done.nodes
    assert again.services == done.services


@given(st.lists(st.sampled_from([block for block in BLOCKS if block != "0.0.0.0/1"]), max_size=6))
def test_an_invented_address_falls_into_no_block_that_a_policy_names(blocks: list[str]) -> None:
    """A pod must not be matched by an ipBlock because of the number that the lab chose for it."""
    pods = [Pod("a", f"p{number}") for number in range(3)]
    services = [Service("a", "s", ports=(ServicePort(80),))]
    done = address(Snapshot.of(pods=pods, services=services, policies=[names_blocks(*blocks)]))
    named = [net(block) for block in blocks if net(block).prefixlen]
    assert not [one for one in holders(done) for block in named if one.version == block.version and one in block]


def test_a_whole_address_space_in_pieces_still_leaves_room() -> None:
    """Policies may name everything there is; the lab then only steps around what is held."""
    everything = ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")
    done = address(Snapshot.of(pods=[Pod("a", "p")], policies=[names_blocks(*everything)]))
    assert len(holders(done)) == 4


def test_exceptions_of_a_block_are_named_too() -> None:
    """`except` names a network as well as `cidr` does, and private networks are what it usually names."""
    private = tuple(map(net, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
    rule = PolicyRule((BlockPeer(net("0.0.0.0/0"), private),))
    done = address(Snapshot.of(pods=[Pod("a", "p")], policies=[NetworkPolicy("a", "p", egress=(rule,))]))
    assert not [one for one in holders(done) if one.version == 4 and any(one in block for block in private)]


def test_pods_without_a_node_take_turns() -> None:
    """All on one node, no packet between nodes would ever be tried."""
    done = address(Snapshot.of(pods=[Pod("a", f"p{number}") for number in range(4)]))
    assert [pod.node for pod in done.pods] == [*INVENTED_NODES, *INVENTED_NODES]
    done = address(Snapshot.of(pods=[Pod("a", "x", node="own"), Pod("a", "y"), Pod("a", "z")], nodes=[Node("spare")]))
    assert {pod.node for pod in done.pods} == {"own"}
    many = [Node(f"n{number}") for number in range(9)]
    done = address(Snapshot.of(pods=[Pod("a", f"p{number}") for number in range(4)], nodes=many))
    assert {pod.node for pod in done.pods} == {"n0", "n1"}


def test_a_pod_is_placed_where_its_address_points() -> None:
    """A pod status without a nodeName still tells the node, by the node's block."""
    nodes = [Node("n1", pod_cidrs=(net("10.1.0.0/24"),), addresses=(ip("192.168.0.1"),))]
    nodes += [Node("n2", pod_cidrs=(net("10.2.0.0/24"),), addresses=(ip("192.168.0.2"),))]
    pods = [
        Pod("a", "x", addresses=(ip("10.2.0.7"),)),
        Pod("a", "y", addresses=(ip("192.168.0.2"),), host_network=True),
    ]
    done = address(Snapshot.of(pods=[*pods, Pod("a", "z", node="n1")], nodes=nodes))
    assert [pod.node for pod in done.pods] == ["n2", "n2", "n1"]
    assert done.pods[2].addresses[0] in net("10.1.0.0/24")


def test_a_full_block_of_a_node_is_followed_by_another() -> None:
    """A /30 holds two pods; the third must not take the broadcast address or fail."""
    node = Node("n1", pod_cidrs=(net("10.9.0.0/30"),))
    done = address(Snapshot.of(pods=[Pod("a", f"p{number}", node="n1") for number in range(4)], nodes=[node]))
    four = [one for pod in done.pods for one in pod.addresses if one.version == 4]
    assert four[:2] == [ip("10.9.0.1"), ip("10.9.0.2")]
    assert not [one for one in four[2:] if one in net("10.9.0.0/30")]
    assert len(set(four)) == 4


def test_a_thousand_pods_have_a_thousand_addresses() -> None:
    """Blocks of 254 run full, and every one after the first must be found as well."""
    done = address(Snapshot.of(pods=[Pod("a", f"p{number:04}", node="n") for number in range(1000)]))
    assert len({one for pod in done.pods for one in pod.addresses}) == 2000


def test_a_host_network_pod_tells_its_node_s_address() -> None:
    """Without Node objects, the pods of the host network are all that is known of a node's address."""
    pods = [
        Pod("a", "x", node="n1", host_network=True, addresses=(ip("192.168.9.1"),)),
        Pod("a", "y", node="n1", host_network=True),
    ]
    done = address(Snapshot.of(pods=pods))
    assert done.nodes["n1"].addresses == (ip("192.168.9.1"),)
    assert done.pods[1].addresses == (ip("192.168.9.1"),)


def test_services_get_what_their_kind_has() -> None:
    """Only a Service that the API server would have given a cluster address gets one."""
    services = [
        Service("a", "given", cluster_ips=(ip("10.96.0.1"),)),
        Service("a", "headless", headless=True),
        Service("a", "name", external_name="example.org"),
        Service("a", "plain"),
    ]
    done = {one.name: one.cluster_ips for one in address(Snapshot.of(services=services)).services}
    assert done["given"] == (ip("10.96.0.1"),)
    assert (done["headless"], done["name"]) == ((), ())
    assert [one.version for one in done["plain"]] == [4, 6]


PLACE = Place(Document("pods.yaml", None, lambda at: 7 if at else 1))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("fe80::7", "link-local"),
        ("169.254.1.1", "gateway"),
        ("::ffff:10.0.0.1", "mapped"),
        ("255.255.255.255", "broadcast"),
    ],
)
def test_an_address_that_no_interface_can_hold_is_refused_where_it_stands(text: str, why: str) -> None:
    """The kernel would refuse it half-way through, with a message about netlink."""
    pods = [Pod("a", "x", addresses=(ip(text),), place=PLACE), Pod("a", "fine")]
    with pytest.raises(InvalidInput) as caught:
        address(Snapshot.of(pods=pods))
    (error,) = caught.value.errors
    assert (error.file, error.line, error.path) == ("pods.yaml", 7, "status.podIPs")
    assert "pod a/x" in error.message
    assert why in error.message


def test_every_collision_is_reported_at_once() -> None:
    """One error a run is one run an error."""
    pods = [Pod("a", name, addresses=(ip("10.0.0.1"),), place=PLACE) for name in ("x", "y", "z")]
    nodes = [Node("n1", addresses=(ip("10.0.0.9"),)), Node("n2", addresses=(ip("10.0.0.9"),))]
    with pytest.raises(InvalidInput) as caught:
        address(Snapshot.of(pods=pods, nodes=nodes, services=[Service("a", "s", cluster_ips=(ip("10.0.0.1"),))]))
    assert [error.message.split(" has ")[0] for error in caught.value.errors] == [
        "pod a/y",
        "pod a/z",
        "node n2",
        "service a/s",
    ]


def test_addresses_that_may_be_shared_are() -> None:
    """Finished pods leave their address to others; load balancers hand out nodes' addresses, one to several."""
    pods = [
        Pod("a", "done", addresses=(ip("10.0.0.1"),), finished=True, node="n1"),
        Pod("a", "new", addresses=(ip("10.0.0.1"),), node="n1"),
        Pod("a", "h1", addresses=(ip("10.0.0.9"),), node="n1", host_network=True),
        Pod("a", "h2", addresses=(ip("10.0.0.9"),), node="n1", host_network=True),
    ]
    services = [
        Service("a", "s", cluster_ips=(ip("10.96.0.1"),), external_ips=(ip("10.0.0.9"),)),
        Service("a", "t", external_ips=(ip("10.0.0.9"),)),
    ]
    done = address(Snapshot.of(pods=pods, nodes=[Node("n1", addresses=(ip("10.0.0.9"),))], services=services))
    assert done.pods == tuple(sorted(pods, key=lambda pod: pod.name))


def test_a_host_network_pod_on_two_nodes_with_one_address_is_a_collision() -> None:
    """Two nodes cannot have one address, also when only their pods say so."""
    pods = [Pod("a", f"h{n}", addresses=(ip("10.0.0.9"),), node=f"n{n}", host_network=True) for n in (1, 2)]
    with pytest.raises(InvalidInput, match=r"node n2 has the address 10\.0\.0\.9 of node n1"):
        address(Snapshot.of(pods=pods))


def test_an_empty_cluster_has_a_node() -> None:
    """Nothing to do is no reason to fail."""
    done = address(Snapshot.of())
    assert list(done.nodes) == [INVENTED_NODES[0]]
