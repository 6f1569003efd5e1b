"""Who is selected: peers (semantics A4) row by row, the table of operators, and the same answer for the same kind."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.model import Direction
from outgate.model.labels import LabelSelector
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.policy import BlockMatch, Endpoint, Flow, NamedPort, PodMatch, Policies, Profile, judge
from outgate.policy.profile import PROFILES
from outgate.policy.selection import Selection, resolve
from outgate.testing import Manifest, node, pod, policy, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.policy.asking import TOWN, Row, names
from tests.slices import endpoint_slice


def to(*peers: object) -> dict[str, Any]:
    """A policy of all pods with one egress rule, to these peers."""
    return {"policyTypes": ["Egress"], "egress": [{"to": list(peers)}]}


def pods(**requirement: object) -> Manifest:
    """A peer: pods of any namespace with one requirement."""
    return {"namespaceSelector": {}, "podSelector": {"matchExpressions": [requirement]}}


WEB = {"matchLabels": {"app": "web"}}
BLUE = {"matchLabels": {"team": "blue"}}
NAME = "kubernetes.io/metadata.name"

A4 = [
    Row(
        "A4 podSelector alone is the policy's own namespace",
        to({"podSelector": WEB}),
        "shop/plain shop/web TCP/1 allow",
        "shop/plain data/web TCP/1 deny",
        "shop/plain shop/api TCP/1 deny",
    ),
    Row(
        "A4 namespaceSelector alone is all pods of the namespaces",
        to({"namespaceSelector": BLUE}),
        "shop/web data/db TCP/1 allow",
        "shop/web data/web TCP/1 allow",
        "shop/web shop/api TCP/1 deny",
    ),
    Row(
        "A4 both in one element are ANDed",
        to({"namespaceSelector": BLUE, "podSelector": WEB}),
        "shop/api data/web TCP/1 allow",
        "shop/api data/db TCP/1 deny",
        "shop/api shop/web TCP/1 deny",
    ),
    Row(
        "A4 both in two elements are ORed",
        to({"namespaceSelector": BLUE}, {"podSelector": WEB}),
        "shop/api data/db TCP/1 allow",
        "shop/api data/web TCP/1 allow",
        "shop/api shop/web TCP/1 allow",
        "shop/api mon/agent UDP/80 deny",
    ),
    Row(
        "A4 a namespace by its name label",
        to({"namespaceSelector": {"matchLabels": {NAME: "mon"}}}),
        "shop/web mon/agent UDP/80 allow",
        "shop/web data/db TCP/1 deny",
    ),
    Row(
        "A4 every namespace but one",
        to({"namespaceSelector": {"matchExpressions": [{"key": NAME, "operator": "NotIn", "values": ["data"]}]}}),
        "shop/web mon/agent UDP/80 allow",
        "shop/web shop/api TCP/1 allow",
        "shop/web data/db TCP/1 deny",
    ),
    Row(
        "A4 selectors match pods only",
        to({"namespaceSelector": {}}),
        "shop/web data/db TCP/1 allow",
        "shop/web node:n2 TCP/1 deny",
        "shop/web ip:203.0.113.9 TCP/1 deny",
        "shop/web ip:10.96.1.1 TCP/81 deny",
        "shop/web ip:10.1.0.200 TCP/1 deny",
    ),
    Row(
        "A4 a selector that matches nobody allows nothing and isolates all the same",
        to({"podSelector": {"matchLabels": {"app": "nobody"}}}),
        "shop/web shop/api TCP/1 deny",
        "shop/web data/db TCP/1 deny",
        "shop/web ip:203.0.113.9 TCP/1 deny",
    ),
    Row(
        "A4 the subject is selected by its labels",
        {"policyTypes": ["Egress"], "podSelector": WEB},
        "shop/web data/db TCP/1 deny",
        "shop/api data/db TCP/1 allow",
        "data/web data/db TCP/1 allow",
    ),
]

# shop/web has ver=v1, data/db role=primary, data/cache role="", the others have neither.
OPERATORS = [
    Row(
        "A4 In",
        to(pods(key="ver", operator="In", values=["v1", "v9"])),
        "shop/plain shop/api TCP/1 deny",
        "shop/plain shop/web TCP/1 allow",
    ),
    Row(
        "A4 In, other value",
        to(pods(key="ver", operator="In", values=["v2"])),
        "shop/plain shop/api TCP/1 deny",
        "shop/plain shop/web TCP/1 deny",
    ),
    Row(
        "A4 NotIn, key missing or other value",
        to(pods(key="ver", operator="NotIn", values=["v1"])),
        "shop/plain shop/api TCP/1 allow",
        "shop/plain shop/web TCP/1 deny",
    ),
    Row(
        "A4 NotIn, other value",
        to(pods(key="ver", operator="NotIn", values=["v2"])),
        "shop/plain shop/web TCP/1 allow",
    ),
    Row(
        "A4 Exists",
        to(pods(key="role", operator="Exists")),
        "shop/plain data/db TCP/1 allow",
        "shop/plain data/cache TCP/1 allow",
        "shop/plain data/web TCP/1 deny",
    ),
    Row(
        "A4 DoesNotExist",
        to(pods(key="role", operator="DoesNotExist")),
        "shop/plain data/db TCP/1 deny",
        "shop/plain data/cache TCP/1 deny",
        "shop/plain data/web TCP/1 allow",
    ),
    Row(
        "A4 matchLabels k: v",
        to({"namespaceSelector": {}, "podSelector": {"matchLabels": {"role": "primary"}}}),
        "shop/plain data/db TCP/1 allow",
        "shop/plain data/cache TCP/1 deny",
        "shop/plain data/web TCP/1 deny",
    ),
    Row(
        'A4 matchLabels k: "" needs the key',
        to({"namespaceSelector": {}, "podSelector": {"matchLabels": {"role": ""}}}),
        "shop/plain data/cache TCP/1 allow",
        "shop/plain data/db TCP/1 deny",
        "shop/plain data/web TCP/1 deny",
    ),
    Row(
        'A4 NotIn [""] holds where the key is missing',
        to(pods(key="role", operator="NotIn", values=[""])),
        "shop/plain data/web TCP/1 allow",
        "shop/plain data/cache TCP/1 deny",
    ),
    Row(
        "A4 requirements are ANDed",
        to(
            {
                "namespaceSelector": {},
                "podSelector": {
                    "matchLabels": {"app": "web"},
                    "matchExpressions": [{"key": "ver", "operator": "Exists"}],
                },
            }
        ),
        "shop/plain shop/web TCP/1 allow",
        "shop/plain data/web TCP/1 deny",
    ),
]


@pytest.mark.parametrize("row", [*A4, *OPERATORS], ids=names([*A4, *OPERATORS]))
def test_row(row: Row) -> None:
    """Each row is a peer that somebody has read the other way."""
    assert row.complaints() == []


def test_a4_labels_are_the_current_ones() -> None:
    """A4: a namespace that is relabelled changes what a selector means."""
    relabelled = [one if one["metadata"]["name"] != "mon" else with_label(one, "team", "blue") for one in TOWN]
    match = PodMatch(None, LabelSelector.of({"team": "blue"}), LabelSelector())
    before, after = Selection(snapshot_of(TOWN)), Selection(snapshot_of(relabelled))
    assert "mon/agent" not in map(str, before.pods(match))
    assert "mon/agent" in map(str, after.pods(match))


def with_label(manifest: Manifest, key: str, value: str) -> Manifest:
    """The object with one label more."""
    metadata = manifest["metadata"]
    return manifest | {"metadata": metadata | {"labels": metadata["labels"] | {key: value}}}


def test_name_label_cannot_be_forged() -> None:
    """E1: the API server overwrites kubernetes.io/metadata.name, so a manifest that lies about it is not believed."""
    forged = [one if one["metadata"]["name"] != "mon" else with_label(one, NAME, "data") for one in TOWN]
    match = PodMatch(None, LabelSelector.of({NAME: "data"}), LabelSelector())
    assert {pod.namespace for pod in Selection(snapshot_of(forged)).pods(match)} == {"data"}


def test_host_network_pods_are_neither_subjects_nor_peers() -> None:
    """A9: ours is the reading that nearly all have; the other one is a switch."""
    snapshot = snapshot_of([*TOWN, policy("mon/p", {"policyTypes": ["Egress"]})])
    host = snapshot.pod("mon", "host")
    assert host is not None
    everybody = PodMatch(None, LabelSelector(), LabelSelector())
    ours = Selection(snapshot)
    other = Selection(snapshot, Profile("other", host_network_isolated=True, host_network_selected=True))
    assert (host in ours.pods(everybody), bool(ours.selecting(host, Direction.EGRESS))) == (False, False)
    assert (host in other.pods(everybody), bool(other.selecting(host, Direction.EGRESS))) == (True, True)
    assert (ours.is_peer(everybody, host, inside=False), other.is_peer(everybody, host, inside=False)) == (False, True)


def test_pods_at_an_address() -> None:
    """Selected by address, a host-network pod brings in all that share its address; told apart, it stands alone."""
    more = pod("shop/second", ["192.168.50.12"], on="n2", host_network=True)
    snapshot = snapshot_of([*TOWN, more])
    host, web = snapshot.pod("mon", "host"), snapshot.pod("shop", "web")
    assert host is not None
    assert web is not None
    (node,) = [one for one in snapshot.nodes["n2"].addresses if one.version == 4]
    ours = Selection(snapshot)
    by_address = Selection(snapshot, Profile("by address", host_network_selected=True))
    apart = Selection(snapshot, Profile("apart", host_network_isolated=True, host_network_selected=True))
    together = [str(one) for one in by_address.seen_at(host, node)]
    assert together == [str(one) for one in by_address.seen_at(None, node)] == ["mon/host", "shop/second"]
    assert (ours.seen_at(host, node), ours.seen_at(None, node)) == ((), ())
    assert (apart.seen_at(host, node), apart.seen_at(None, node)) == ((host,), ())
    for selection in (ours, by_address, apart):
        assert selection.seen_at(web, web.addresses[0]) == (web,)


def test_block_without_pods_and_nodes() -> None:
    """What is left of a block is what blocks match; an address that a pod and a node claim is the pod's."""
    claimed = [one for one in TOWN if one["metadata"]["name"] != "n1"] + [node("n1", ["192.168.50.11", "10.1.0.12"])]
    snapshot = snapshot_of(claimed)
    everything = BlockMatch(AddressSet.any())
    pods = AddressSet.of(a for one in snapshot.endpoints if not one.host_network for a in one.addresses)
    nodes = AddressSet.of(a for one in snapshot.nodes.values() for a in one.addresses)
    for profile, missing in (
        (Profile("all"), AddressSet()),
        (Profile("no pods", blocks_match_pods=False), pods),
        (Profile("no nodes", blocks_match_nodes=False), nodes - pods),
        (Profile("neither", blocks_match_pods=False, blocks_match_nodes=False), nodes | pods),
    ):
        assert Selection(snapshot, profile).addresses(everything) == AddressSet.any() - missing


def test_addresses_are_those_of_the_selected_pods() -> None:
    """Both families, and nobody else's."""
    match = PodMatch("shop", None, LabelSelector.of({"app": "web"}))
    assert Selection(snapshot_of(TOWN)).addresses(match).cidrs() == ("10.1.0.10/32", "fd00:1::10/128")


def test_port_name_means_what_each_pod_says() -> None:
    """A6: one name, four pods, four meanings; and a protocol that must agree."""
    selection = Selection(snapshot_of(TOWN))
    http = NamedPort(Protocol.TCP, "http")
    found = {cidr: ports for ports, block in selection.named_port(http) for cidr in block.only(4).cidrs()}
    numbers = {"10.1.0.10/32": 8080, "10.1.0.11/32": 9090, "10.1.1.21/32": 6379, "10.1.1.22/32": 8080}
    assert found == {cidr: TransportSet.ports(Protocol.TCP, number) for cidr, number in numbers.items()}
    ((udp, block),) = selection.named_port(NamedPort(Protocol.UDP, "http"))
    assert (udp, block.cidrs()) == (TransportSet.ports(Protocol.UDP, 80), ("10.1.2.30/32",))
    assert selection.named_port(NamedPort(Protocol.SCTP, "http")) == ()


def test_port_name_is_resolved_on_one_pod() -> None:
    """Two names of one pod add up; a name it does not have is nothing."""
    api = snapshot_of(TOWN).pod("shop", "api")
    assert api is not None
    both = resolve((NamedPort(Protocol.TCP, "http"), NamedPort(Protocol.TCP, "metrics")), api)
    assert both == TransportSet.ports(Protocol.TCP, 9090) | TransportSet.ports(Protocol.TCP, 9100)
    assert not resolve((NamedPort(Protocol.TCP, "pg"), NamedPort(Protocol.UDP, "http")), api)


def test_node_addresses_are_known_without_a_node() -> None:
    """A host-network pod tells its node's address where the input has no Node object."""
    full, bare = snapshot_of(TOWN), snapshot_of([one for one in TOWN if one["kind"] != "Node"])
    assert Selection(bare).node_addresses("n2") == Selection(full).node_addresses("n2")
    assert Selection(full).node_addresses("n1").cidrs() == ("192.168.50.11/32", "fd00:50::11/128")
    assert not Selection(full).node_addresses("")
    assert not Selection(bare).node_addresses("n1")


def test_policies_are_named_in_one_order() -> None:
    """The first by name is the one that a denial is laid to; the order of the files must not matter."""
    three = [policy(f"shop/{name}", {"policyTypes": ["Egress"]}) for name in ("z", "a", "m")]
    snapshot = snapshot_of([*three, *TOWN])
    web = snapshot.pod("shop", "web")
    assert web is not None
    assert [one.name for one in Policies(snapshot).selection.selecting(web, Direction.EGRESS)] == ["a", "m", "z"]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda one: str(one.name))
def test_an_api_server_in_a_pod_is_the_api_server_to_every_plugin(profile: Profile) -> None:
    """Cilium's policies mean the same under each profile; the list had it so, and can-reach had not as cilium does."""
    town = [
        pod("a/web", ["10.1.0.1"], app="web"),
        pod("a/server", ["10.1.0.9"], app="server"),
        endpoint_slice("default/kubernetes", "10.1.0.9"),
        cilium_policy("a/p", {"endpointSelector": WEB, "egress": [{"toEntities": ["kube-apiserver"]}]}),
    ]
    policies = Policies(snapshot_of(town), profile)
    server, web = (Endpoint.of_pod(one) for one in policies.snapshot.pods)
    assert web is not None
    assert server is not None
    assert web.pod is not None
    assert web.pod.name == "web"
    assert judge(policies, Flow(web, server, int(Protocol.TCP), 6443)).verdict.allows
    assert policies.decision(web.pod, Direction.EGRESS).allowed().contains(server.address, int(Protocol.TCP), 6443)
