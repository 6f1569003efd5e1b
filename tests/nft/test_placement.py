"""What one address has in the moving sets. That all of it together is a compile is in `tests/agent/test_desired`."""

from __future__ import annotations

import ipaddress

from outgate.model import Pod
from outgate.nft.classes import Classes
from outgate.nft.frame import UNKNOWN
from outgate.nft.objects import RETURN, goto
from outgate.nft.options import Options
from outgate.nft.placement import Share, Shares, local_elements
from outgate.packets import Address, AddressSet
from outgate.policy import Policies
from outgate.testing import namespace, pod, policy, snapshot_of

HTTP = {"name": "http", "containerPort": 8080}
TOWN = (
    namespace("shop", team="red"),
    namespace("back", team="blue"),
    pod("shop/web", ["10.1.0.10", "fd00:1::10"], app="web"),
    pod("shop/api", ["10.1.0.11"], ports=[HTTP, {"name": "http", "containerPort": 9090}], app="api"),
    pod("back/api", ["10.1.0.12"], ports=[HTTP], app="api"),
    pod("shop/host", ["192.168.5.1"], host_network=True, ports=[HTTP], app="api"),
)


def address(text: str) -> Address:
    """An address."""
    return ipaddress.ip_address(text)


def placed(*peers: dict[str, object], ports: list[dict[str, object]] | None = None) -> tuple[Shares, Classes]:
    """The shares under one policy for pod web with these egress peers, and the classes behind."""
    rule = {"to": list(peers), "ports": ports or []}
    spec = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "egress": [rule]}
    policies = Policies(snapshot_of([*TOWN, policy("shop/p", spec)]))
    classes = Classes(policies, Options())
    for one in ("10.1.0.10", "fd00:1::10"):  # the classes are made by asking for them
        list(local_elements(classes, named(classes, "shop/web"), address(one), contested=False, interface=""))
    return Shares(policies, classes.registry.members), classes


def named(classes: Classes, path: str) -> Pod:
    """A pod of the town."""
    found = classes.policies.snapshot.pod(*path.split("/"))
    assert found is not None
    return found


API: dict[str, object] = {"podSelector": {"matchLabels": {"app": "api"}}}


def of(shares: Shares, classes: Classes, path: str) -> set[tuple[str, int]]:
    """The sets of a pod, by the beginning of their names, and the family."""
    return {(share.name[:2], share.family) for share in shares.of(named(classes, path))}


def test_a_pod_is_where_a_selector_selects_it() -> None:
    """By labels, in the policy's own namespace, and never on the host network, whose address is the node's."""
    shares, classes = placed(API)
    assert of(shares, classes, "shop/api") == {("p4", 4), ("p6", 6)}
    assert [of(shares, classes, path) for path in ("shop/web", "back/api", "shop/host")] == [set()] * 3


def test_namespaces_are_asked_by_their_labels() -> None:
    """Both halves of a peer count."""
    shares, classes = placed(API | {"namespaceSelector": {"matchLabels": {"team": "blue"}}})
    assert of(shares, classes, "back/api") == {("p4", 4), ("p6", 6)}
    assert of(shares, classes, "shop/api") == set()


def test_a_port_name_may_be_two_numbers() -> None:
    """Each is an element; of another name, or in no selector, none is."""
    shares, classes = placed(API, ports=[{"port": "http"}])
    found = [share for share in shares.of(named(classes, "shop/api")) if share.family == 4]
    ports = [share.key(address("10.1.0.11")) for share in found]
    value = int(address("10.1.0.11"))
    assert ports == [((value, value), (6, 6), (one, one)) for one in (8080, 9090)]
    assert of(shares, classes, "shop/web") == set()
    assert of(shares, classes, "shop/host") == set()


def test_a_port_name_within_a_block_is_of_its_addresses_alone() -> None:
    """Name and block must both hold of the same end."""
    shares, classes = placed({"ipBlock": {"cidr": "10.1.0.12/32"}}, ports=[{"port": "http"}])
    (share,) = [share for share in shares.of(named(classes, "back/api")) if share.family == 4]
    assert share.within == AddressSet.network(ipaddress.ip_network("10.1.0.12/32"))
    assert share.key(address("10.1.0.12")) is not None
    assert share.key(address("10.1.0.11")) is None


def test_a_share_takes_addresses_of_its_family() -> None:
    """An IPv6 number in an IPv4 set would be another's address."""
    share = Share("p4", 4)
    assert share.key(address("fd00:1::10")) is None
    assert share.key(address("0.0.0.1")) == ((1, 1),)


def test_sets_that_are_made_later_are_learned() -> None:
    """A class that a node did not have brings sets; of those alone a pod is asked, and from then on always."""
    _, classes = placed(API)
    members = dict(classes.registry.members)
    late = Shares(classes.policies, members)
    names = list(members)
    for name in names:
        del members[name]
    assert late.of(named(classes, "shop/api")) == ()
    members |= classes.registry.members
    late.learn(names[:1])
    assert [share.name for share in late.of(named(classes, "shop/api"))] == names[:1]
    assert [share.name for share in late.of(named(classes, "shop/api"), names[1:])] == names[1:]
    assert late.of(named(classes, "back/api"), names) == ()


def test_a_pod_of_this_node_is_in_the_maps_of_its_family() -> None:
    """To the chain of its class, or back; a contested address goes where nobody gets through."""
    _, classes = placed(API)
    web = named(classes, "shop/web")
    found = dict(local_elements(classes, web, address("10.1.0.10"), contested=False, interface="og10"))
    value = int(address("10.1.0.10"))
    key = ((value, value),)
    assert found[("if4", ("og10", (value, value)))] is None
    ways = {name: way for (name, at), way in found.items() if at == key}
    assert ways.keys() == {"eg4", "er4", "ig4", "ir4"}
    assert ways["ig4"] == ways["ir4"] == RETURN
    assert str(ways["eg4"]).startswith("goto e4_")
    assert str(ways["er4"]).startswith("goto e4r_")
    contested = dict(local_elements(classes, web, address("fd00:1::10"), contested=True, interface=""))
    assert {name for name, _ in contested} == {"eg6", "er6", "ig6", "ir6"}
    assert set(contested.values()) == {goto(UNKNOWN)}
