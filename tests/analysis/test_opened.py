"""What rules open by names."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis.connections import Connections, connections
from outgate.analysis.groups import Group
from outgate.analysis.lookup import AddressTarget, PodsTarget
from outgate.analysis.opened import Opening, openings
from outgate.analysis.reach import reach
from outgate.analysis.reachability import Question
from outgate.analysis.spelling import spell_transports
from outgate.analysis.targets import TransportAsked
from outgate.model import Direction
from outgate.packets import Address, Protocol, TransportSet
from outgate.policy import Judge, Policies, Rule
from outgate.policy.names import Dialect, Pattern, plain
from outgate.testing import Manifest, cluster_policy, namespace, node, pod, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.laws.test_cilium import drawn

SHOP: list[Manifest] = [
    namespace("shop"),
    node("one", ["192.168.0.1"]),
    pod("shop/web", ["10.0.0.1"]),
    pod("shop/db", ["10.0.0.2"], labels={"app": "db"}),
]


def found(*policies: Manifest) -> Connections:
    """The cluster under some policies."""
    return connections(snapshot_of([*SHOP, *policies]))


def opened(*policies: Manifest) -> list[Opening]:
    """What is opened for the web."""
    listed = found(*policies)
    (group,) = listed.group("Pod", "shop", "web")
    return list(openings(listed.grid, group.identity))


def words(*policies: Manifest) -> list[str]:
    """The same, a line each."""
    return [f"{one.named}: {spell_transports(one.transports)}" for one in opened(*policies)]


def rule(*names: str, port: str | None = "443", **entry: Any) -> dict[str, Any]:
    """A rule about names and a port."""
    made: dict[str, Any] = {"toFQDNs": [{"matchPattern" if "*" in name else "matchName": name} for name in names]}
    if port is not None:
        made["toPorts"] = [{"ports": [{"port": port, "protocol": "TCP"}], **entry}]
    return made


def cilium(*rules: dict[str, Any], path: str = "shop/p", **sections: Any) -> Manifest:
    """A policy of Cilium's for everybody in the shop."""
    return cilium_policy(path, {"endpointSelector": {}, "egress": list(rules), **sections})


ACCEPT = {"action": "Accept", "to": [{"domainNames": ["*.example.com"]}]}


def test_patterns_as_they_are_written() -> None:
    """With all ports of all rules; without a name, none."""
    assert words(cilium(rule("b.x", "*.a.x"), rule("b.x", port="80"))) == ["b.x: TCP 80, TCP 443", "*.a.x: TCP 443"]
    assert words(cilium({"toEntities": ["world"]})) == []
    assert words() == []


def test_a_name_that_a_pattern_means() -> None:
    """Its line is the whole answer about it; that of the pattern is not about it alone."""
    assert words(cilium(rule("api.x"), rule("*.x", port="80"))) == ["api.x: TCP 80, TCP 443", "*.x: TCP 80"]


def test_denials_come_before_names() -> None:
    """Of every address, of some, of some ports; those of the cluster are none of a name's."""
    world = {"toEntities": ["world"], "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}
    some = {"toCIDR": ["10.0.0.0/8"]}
    assert words(cilium(rule("a.x"), egressDeny=[world])) == []
    assert words(cilium(rule("a.x", port="80"), egressDeny=[world])) == ["a.x: TCP 80"]
    assert words(cilium(rule("a.x"), egressDeny=[some])) == ["a.x outside of 10.0.0.0/8: TCP 443"]
    inside = {"toEntities": ["cluster"]}
    assert words(cilium(rule("a.x"), egressDeny=[inside])) == ["a.x: TCP 443"]


def test_tiers() -> None:
    """A rule of the Admin tier is before a denial by default, and behind a denial of a lower priority."""
    deny = {"action": "Deny", "to": [{"networks": ["0.0.0.0/0", "::/0"]}]}
    (one,) = opened(cluster_policy("q", egress=[ACCEPT, deny]))
    assert str(one.named) == "*.example.com"
    assert one.transports == TransportSet.any()
    assert words(cluster_policy("q", egress=[deny, ACCEPT])) == []
    assert words(cluster_policy("q", egress=[ACCEPT]), cluster_policy("r", priority=1, egress=[deny])) == []
    assert len(words(cluster_policy("q", egress=[ACCEPT]), cilium({}))) == 1, "the Admin tier comes first"
    baseline = cluster_policy("q", tier="Baseline", egress=[ACCEPT, deny])
    assert words(baseline, cilium({})) == [], "what isolates is the end"


def test_conditions() -> None:
    """What is asked, of which ports, by which rules; an allowance without any for the same port makes it void."""
    asked = rule("a.x", serverNames=["a.x"])
    (one,) = opened(cilium(asked, rule("a.x", port="80")))
    assert spell_transports(one.transports) == "TCP 80, TCP 443"
    assert spell_transports(one.asked) == "TCP 443"
    assert [rule.conditions.server_names for rule in one.rules if rule.conditions] == [("a.x",)]
    (void,) = opened(cilium(asked, rule("*.x")))[:1]
    assert not void.asked
    block = {"toCIDR": ["203.0.113.0/24"], "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}
    parts = {str(part.named): spell_transports(part.asked) for part in opened(cilium(asked, block))}
    assert parts == {"a.x within 203.0.113.0/24": "no port", "a.x outside of 203.0.113.0/24": "TCP 443"}


@settings(max_examples=120)
@given(st.integers(0, 2**32 - 1))
def test_each_address_of_a_name_is_answered_as_in_the_list(seed: int) -> None:
    """Over random clusters: `can-reach` by name, for addresses on both sides of what tells them apart."""
    snapshot, chance = drawn(seed).snapshot(seed), random.Random(seed)
    listed = connections(snapshot)
    judge = Judge(Policies(snapshot))
    for group in listed.groups.all:
        opened_names = [one for one in listed.opened(group) if "*" not in one.named.name]
        if group.pods[0].host_network or not opened_names:
            continue
        name, port = chance.choice(opened_names).named.name, chance.choice((53, 80, 443, 8080))
        for address in map(ipaddress.ip_address, _ADDRESSES[group.pods[0].addresses[0].version]):
            shown = TransportSet()
            for one in opened_names:
                if one.named.name == name and address in one.named.addresses:
                    shown |= one.transports
            source = PodsTarget("Pod", group.namespace, group.pods[0].name, (group.pods[0],))
            asked = Question(source, AddressTarget((address,), name), TransportAsked(port, None), address.version)
            wanted = reach(judge, asked).egress.verdict.allows
            at_all = connects(listed, group, address, port)
            assert (shown.contains(int(Protocol.TCP), port) or at_all) == wanted, (
                seed,
                str(group),
                name,
                address,
                port,
            )


_ADDRESSES = {4: ("192.0.2.200", "198.51.100.200", "203.0.113.200"), 6: ("2001:db8:9::9", "2001:db8:1::99")}
"""Nobody's, inside and outside of the blocks that the policies speak of."""


def connects(listed: Connections, group: Group, address: Address, port: int) -> bool:
    """Whether the list has it without the name."""
    return any(
        address in external.addresses and transports.contains(int(Protocol.TCP), port)
        for external, transports in listed.outside(group, Direction.EGRESS)
    )


def test_a_name_has_one_line_in_whichever_words_it_is_written() -> None:
    """A name without a star is one name in both dialects, in any case; a pattern with one is not."""
    above = cluster_policy(
        "above",
        subject={"namespaces": {}},
        egress=[{"action": "Accept", "to": [{"domainNames": ["API.example.com", "*.example.net"]}]}],
    )
    lines = words(above, cilium(rule("api.example.com"), rule("*.example.net")))
    every = "every port of every protocol"
    assert lines == [f"api.example.com: {every}", f"*.example.net: {every}", "*.example.net: TCP 443"]


def test_names_are_no_texts() -> None:
    """Other spellings of one name, or of one pattern, are one; a diff of them is empty."""
    one = ("Four.Example.COM", "**.example.org", "a*b.io", ".", "*")
    other = ("four.example.com.", "***.example.org.", "a**b.io", ".", "**.")
    plainly = [[plain(Pattern(text, Dialect.CILIUM)) for text in texts] for texts in (one, other)]
    assert plainly[0] == plainly[1]
    assert [each.text for each in plainly[0]] == ["four.example.com", "**.example.org", "a*b.io", ".", "*"]
    different = ("*.io", "**.io", "a*.io", "**io", "*io.")
    texts = [plain(Pattern(text, Dialect.CILIUM)).text for text in different]
    assert texts == ["*.io", "**.io", "a*.io", "*io", "*io"]
    assert plain(Pattern("**.Io", Dialect.NETWORK_POLICY)).text == "**.io"
    assert words(cilium(rule("Four.Example.COM"), rule("four.example.com."))) == ["four.example.com: TCP 443"]


def test_what_no_name_opens_makes_no_difference() -> None:
    """A denial of the metadata service says nothing about names: they do not lead there."""
    deny = {"toCIDR": ["169.254.169.254/32", "fd00:ec2::254/128"]}
    assert words(cilium(rule("api.example.com"), egressDeny=[deny])) == ["api.example.com: TCP 443"]


def test_a_block_with_conditions_adds_to_a_name_only_within_itself() -> None:
    """Said of all addresses of the name, a request that only the block lets through seemed to pass to each of them."""
    get, put = ({"http": [{"method": method}]} for method in ("GET", "PUT"))
    block = {"toCIDR": ["192.0.2.0/24"], "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": put}]}
    named = {"toFQDNs": [{"matchName": "a.example"}], "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}
    named["toPorts"][0]["rules"] = get  # type: ignore[index]  # a dict
    parts = {str(one.named): [_methods(rule) for rule in one.rules] for one in opened(cilium(block, named))}
    assert parts == {
        "a.example within 192.0.2.0/24": ["PUT", "GET"],
        "a.example outside of 192.0.2.0/24": ["GET"],
    }
    block["toPorts"][0]["rules"] = get  # type: ignore[index]  # likewise
    assert [str(one.named) for one in opened(cilium(block, named))] == ["a.example"]


def _methods(one: Rule) -> str:
    assert one.conditions is not None
    return " ".join(request.method for request in one.conditions.http)
