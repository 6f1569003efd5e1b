"""Questions about a name that nobody gave an address for."""

from __future__ import annotations

import dataclasses
import ipaddress
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.lookup import Lookup, NameTarget, Target
from outgate.analysis.names import patterns_of
from outgate.analysis.reach import reach
from outgate.analysis.reachability import Question, Reachability
from outgate.analysis.targets import TransportAsked, parse
from outgate.errors import UnknownName, UsageError
from outgate.model import Snapshot
from outgate.packets import Address, AddressSet, Protocol
from outgate.packets.addresses import FAMILIES
from outgate.policy import Judge, Policies
from outgate.policy.meeting import About
from outgate.policy.requests import Request
from outgate.testing import Manifest, namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy
from outgate.testing_policies import cluster_policy
from tests.laws.test_cilium import drawn

ANYONE = [{"networks": ["0.0.0.0/0", "::/0"]}, {"namespaces": {}}]
API = {"toFQDNs": [{"matchName": "api.example.com"}], "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}


def shop(*egress: Manifest, deny: list[Manifest] | None = None, more: list[Manifest] | None = None) -> Snapshot:
    """A pod of both families under one policy."""
    spec = {"endpointSelector": {}, "egress": list(egress), "egressDeny": deny or []}
    web = pod("shop/web", ["10.0.0.1", "fd00::1"], app="web")
    return snapshot_of([namespace("shop"), web, cilium_policy("shop/p", spec), *(more or [])])


def ask(
    snapshot: Snapshot,
    name: str = "api.example.com",
    port: int | None = 443,
    protocol: int | None = None,
    about: About | None = None,
    source: str = "shop/web",
) -> Reachability:
    """The answer where the name has no address."""
    lookup = Lookup(snapshot, None, {}, tuple(patterns_of(snapshot)))
    question = Question(lookup.find(parse(source)), lookup.find(parse(name)), TransportAsked(port, protocol))
    return reach(Judge(Policies(snapshot)), dataclasses.replace(question, about=about))


@pytest.mark.parametrize(
    ("leads_to", "note"),
    [
        ("169.254.169.254", "no name opens 169.254.169.254: loopback, link-local"),
        ("fe80::5", "no name opens fe80::5"),
        ("168.63.129.16", "no name opens 168.63.129.16"),
        ("64:ff9b::a9fe:a9fe", "no name opens 64:ff9b::a9fe:a9fe"),
        ("10.0.0.9", "api.example.com leads to shop/db, and no name opens an address of the cluster"),
        ("10.9.9.9", "api.example.com leads to node n1, and no name opens an address of the cluster"),
        ("203.0.113.9", ""),
    ],
)
def test_a_name_opens_no_address_that_its_owner_should_not_choose(leads_to: str, note: str) -> None:
    """Whoever owns the name decides where it leads; the DNS proxy keeps these out, and so does the answer."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}
    node |= {"status": {"addresses": [{"type": "InternalIP", "address": "10.9.9.9"}]}}
    for rule in ("toFQDNs", "domainNames"):
        if rule == "toFQDNs":
            snapshot = shop(API, more=[node, pod("shop/db", ["10.0.0.9"], app="db")])
        else:
            accept = {"action": "Accept", "to": [{"domainNames": ["api.example.com"]}]}
            above = cluster_policy("p", subject={"namespaces": {}}, egress=[accept, {"action": "Deny", "to": ANYONE}])
            web = pod("shop/web", ["10.0.0.1", "fd00::1"], app="web")
            snapshot = snapshot_of([namespace("shop"), web, above, node, pod("shop/db", ["10.0.0.9"], app="db")])
        lookup = Lookup(snapshot, None, {"api.example.com": (ipaddress.ip_address(leads_to),)})
        ends = lookup.find(parse("shop/web")), lookup.find(parse("api.example.com"))
        found = reach(Judge(Policies(snapshot)), Question(*ends, TransportAsked(443, None)))
        assert found.verdict.allows == (note == ""), rule
        why = [one for one in found.notes if "no name opens" in one]
        assert len(why) == (note != "")
        assert not why or why[0].startswith(note)


def test_a_name_without_an_address_sends_nothing() -> None:
    """Its pods' answers are judged by addresses; a rule that means the name is about what goes there."""
    with pytest.raises(UsageError, match="judged by its address") as caught:
        ask(shop(API), name="shop/web", source="api.example.com")
    assert caught.value.hint == "give --dns-name api.example.com=ADDRESS"


def denied(answer: Reachability) -> list[str]:
    """The blocks that the name must not lead to."""
    assert answer.split is not None
    return list(answer.split.denied.cidrs())


def test_a_rule_about_the_name_opens_it_wherever_it_leads() -> None:
    """In both families; on its port alone."""
    answer = ask(shop(API))
    assert answer.verdict.allows
    assert answer.split is not None
    assert not answer.split.denied
    assert all(answer.split.allowed.only(family) for family in FAMILIES)
    assert not ask(shop(API), port=80).verdict.allows


def test_a_denial_of_a_block_divides_the_answer() -> None:
    """Deny wins over every allow: there the name opens nothing."""
    answer = ask(shop(API, deny=[{"toCIDR": ["192.168.0.0/16", "fd00:1::/32"]}]))
    assert not answer.verdict.allows
    assert denied(answer) == ["192.168.0.0/16", "fd00:1::/32"]


def test_another_rule_may_open_a_block_of_it() -> None:
    """Where the name opens another port, the address decides alone."""
    answer = ask(shop(API, {"toCIDR": ["198.51.100.0/24"]}), port=80)
    assert not answer.verdict.allows
    assert answer.split is not None
    assert answer.split.allowed.cidrs() == ("198.51.100.0/24",)


def test_what_passes_a_block_on_comes_before_the_name() -> None:
    """Two denials by isolation are not the same where a tier before it tells their addresses apart."""
    egress: list[Manifest] = [
        {"action": "Pass", "to": [{"networks": ["198.51.100.0/24"]}]},
        {"action": "Accept", "to": [{"domainNames": ["*.example.org"]}]},
    ]
    answer = ask(shop({}, more=[cluster_policy("t", egress=egress)]), "www.example.org")
    assert not answer.verdict.allows
    assert denied(answer) == ["198.51.100.0/24"]


def test_metadata_and_the_node_are_no_address_of_a_name() -> None:
    """No name opens them, so that a rule against them changes nothing of the answer."""
    answer = ask(shop(API, deny=[{"toCIDR": ["169.254.0.0/16", "127.0.0.0/8"]}]))
    assert answer.verdict.allows


def test_the_ports_of_a_name() -> None:
    """Without a port: those that pass everywhere, and what passes for some addresses."""
    everywhere = ask(shop(API), port=None)
    assert everywhere.verdict.allows
    assert everywhere.ports is not None
    assert list(everywhere.ports.everywhere.of(Protocol.TCP)) == [(443, 443)]
    some = ask(shop(API, deny=[{"toCIDR": ["192.168.0.0/16"]}]), port=None)
    assert not some.verdict.allows
    assert denied(some) == ["192.168.0.0/16"]


def test_a_request_to_a_name() -> None:
    """What the connection is about is asked as for any other destination."""
    http = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET", "path": "/v1/.*"}]}}
    snapshot = shop(API | {"toPorts": [http]})
    for method, allowed in (("GET", True), ("DELETE", False)):
        about = About(Request(method, "/v1/items", "api.example.com", ()))
        assert ask(snapshot, port=80, about=about).verdict.allows == allowed


def test_a_pod_of_one_family_asks_of_that_family() -> None:
    """What it has no address to send from is no part of the answer; a denial there is none either."""
    spec = {"endpointSelector": {}, "egress": [API], "egressDeny": [{"toCIDR": ["::/0"]}]}
    snapshot = snapshot_of([namespace("shop"), pod("shop/web", ["10.0.0.1"]), cilium_policy("shop/p", spec)])
    answer = ask(snapshot)
    assert answer.verdict.allows
    assert answer.split is not None
    assert not answer.split.allowed.only(6)
    assert ask(snapshot, port=None, protocol=int(Protocol.ICMP)).verdict.allows is False


def test_a_name_that_no_rule_means_is_any_other() -> None:
    """What is said of it holds for whatever is asked for, and a note says so: it may be mistyped."""
    for name in ("other.example.com", "example.com"):
        answer = ask(shop(API), name)
        assert not answer.verdict.allows
        assert answer.notes == (
            f"no rule is about the name {name}: what is said holds for any other outside of the cluster",
        )
        assert answer.split is not None
        assert not answer.split.allowed
    block = {"toCIDR": ["203.0.113.0/24"]}
    split = ask(shop(API, block), "example.com").split
    assert split is not None
    assert list(split.allowed.cidrs()) == ["203.0.113.0/24"]


def test_a_name_of_the_cluster_that_is_not_there_stays_unknown() -> None:
    """Nothing is guessed; and where no rule is about names at all, a name says nothing that an address does not."""
    for name in ("cart.shop.svc", "cart.shop", "a-b.shop.pod", "cart.shop.svc.cluster.local", "x.local"):
        with pytest.raises(UnknownName, match="cannot be resolved"):
            ask(shop(API), name)
    with pytest.raises(UnknownName, match="cannot be resolved"):
        ask(shop({"toCIDR": ["203.0.113.0/24"]}), "example.com")


def test_only_pods_are_told_names() -> None:
    """For a node or an address there is nothing that a rule about names could open."""
    with pytest.raises(UsageError, match="policies open names for pods alone"):
        ask(shop(API), source="203.0.113.1")


def test_a_port_by_its_name_means_nothing_there() -> None:
    """Nobody outside has declared it."""
    snapshot = shop(API)
    target: Target = NameTarget("api.example.com")
    question = Question(Lookup(snapshot).find(parse("shop/web")), target, TransportAsked("https", None))
    with pytest.raises(UsageError, match="the name of a port"):
        reach(Judge(Policies(snapshot)), question)


@given(st.integers(0, 2**32 - 1))
def test_each_address_is_answered_as_if_it_were_given(seed: int) -> None:
    """Over random clusters: the two halves of the answer, at their borders and beside them."""
    snapshot, chance = drawn(seed).snapshot(seed), random.Random(seed)
    pods = [one for one in snapshot.endpoints if one.addresses and not one.host_network]
    names = [text for text in ("www.example.org", "a.www.example.org") if _is_meant(snapshot, text)]
    if not pods or not names:
        return
    name, one = chance.choice(names), chance.choice(pods)
    port, source = chance.choice((53, 80, 443, 8080)), f"{one.namespace}/{one.name}"
    split = ask(snapshot, name, port, source=source).split
    assert split is not None
    inside = AddressSet.of(address for pod in snapshot.endpoints for address in pod.addresses)
    inside |= AddressSet.of(address for node in snapshot.nodes.values() for address in node.addresses)
    inside |= AddressSet.of(address for service in snapshot.services for address in service.cluster_ips)
    for addresses, allowed in ((split.allowed, True), (split.denied, False)):
        for address in _borders(addresses - inside, chance):
            given_ = Lookup(snapshot, None, {name: (address,)})
            question = Question(given_.find(parse(source)), given_.find(parse(name)), TransportAsked(port, None))
            assert reach(Judge(Policies(snapshot)), question).verdict.allows == allowed, (name, source, address, port)


def _is_meant(snapshot: Snapshot, name: str) -> bool:
    return any(pattern.matches(name) for pattern in patterns_of(snapshot))


def _borders(addresses: AddressSet, chance: random.Random) -> Iterator[Address]:
    """The first and the last of some blocks."""
    blocks = list(addresses.cidrs())
    for text in chance.sample(blocks, min(4, len(blocks))):
        block = ipaddress.ip_network(text)
        yield from (block[0], block[-1])
