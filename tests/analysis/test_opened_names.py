"""Names that several patterns mean: the lines of the list, read together, against a slow evaluator that asks one name.

The evaluator knows nothing of patterns in common: it takes a name and an address and goes through the policies.
"""

from __future__ import annotations

import ipaddress
import itertools
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis import opened
from outgate.analysis.connections import connections
from outgate.analysis.diff import diff
from outgate.analysis.opened import Named, Opening, openings
from outgate.errors import TooComplex
from outgate.model import Direction
from outgate.packets import Protocol
from outgate.testing import Manifest, cluster_policy, namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy

LABELS = ("a", "b", "ab")
NAMES = [".".join((*labels, "x")) for count in (1, 2, 3) for labels in itertools.product(LABELS, repeat=count)]
PATTERNS = ("*.a.x", "*.b.x", "*.a.b.x", "*.b.a.x", "*.ab.x", "a.b.x", "ab.a.x", "b.x")
OF_CILIUM = (*PATTERNS, "a.*.x", "b.*.*", "*b.*.x", "**.a.x", "*.*.b.x", "a*.b.x")
ADDRESSES = ("198.51.100.200", "203.0.113.200")
BLOCKS = (["0.0.0.0/0"], ["0.0.0.0/0"], ["198.51.100.0/24"], ["203.0.113.0/24"])
PORTS = (80, 443)


def tier_policy(chance: random.Random, name: str) -> Manifest:
    """Names and blocks in any order, of priorities that often meet."""
    rules = []
    for _ in range(chance.randint(1, 4)):
        if chance.random() < 0.6:
            names = chance.sample(PATTERNS, chance.choice((1, 1, 2)))
            rule: dict[str, Any] = {"action": "Accept", "to": [{"domainNames": names}]}
        else:
            action = chance.choice(("Deny", "Deny", "Pass", "Accept"))
            rule = {"action": action, "to": [{"networks": chance.choice(BLOCKS)}]}
        if chance.random() < 0.3:
            rule["protocols"] = [{"tcp": {"destinationPort": {"number": chance.choice(PORTS)}}}]
        rules.append(rule)
    tier = chance.choice(("Admin", "Admin", "Baseline"))
    return cluster_policy(name, tier=tier, priority=chance.choice((1, 1, 2)), egress=rules)


def middle_policy(chance: random.Random) -> Manifest:
    """One of Cilium's, which isolates."""
    rules = []
    for _ in range(chance.randint(1, 2)):
        names = chance.sample(OF_CILIUM, chance.choice((1, 2)))
        rule: dict[str, Any] = {"toFQDNs": [{"matchPattern" if "*" in one else "matchName": one} for one in names]}
        if chance.random() < 0.4:
            rule["toPorts"] = [{"ports": [{"port": str(chance.choice(PORTS)), "protocol": "TCP"}]}]
        rules.append(rule)
    return cilium_policy("shop/m", {"endpointSelector": {}, "egress": rules})


def drawn(seed: int) -> list[Manifest]:
    """Two to four policies of the cluster, and often one of Cilium's."""
    chance = random.Random(seed)
    above = [tier_policy(chance, f"p{number}") for number in range(chance.randint(2, 4))]
    return [*above, *([middle_policy(chance)] if chance.random() < 0.6 else [])]


def spelt(pattern: str, name: str) -> bool:
    """Whether a name of this alphabet is meant; the dialects differ here only in the star."""
    return re.fullmatch(pattern, name) is not None


def of_cluster(pattern: str, name: str) -> bool:
    """``*.`` is one or more labels."""
    return spelt(re.escape(pattern).replace(r"\*\.", r"(?:[a-z]+\.)+"), name)


def of_cilium(pattern: str, name: str) -> bool:
    """A star stays within its label; two in front are one or more labels."""
    return spelt(re.escape(pattern).replace(r"\*\*\.", r"(?:[a-z]+\.)+").replace(r"\*", "[a-z]*"), name)


def slowly(policies: list[Manifest], name: str, address: str, port: int) -> bool:
    """Whether a pod that was told the address for the name may send there."""
    for tier in ("Admin", "Baseline"):
        if tier == "Baseline":
            middle = [one["spec"]["egress"] for one in policies if one["kind"] == "CiliumNetworkPolicy"]
            if middle:
                return any(in_the_middle(rule, name, port) for rule in middle[0])
        mine = [
            one["spec"] for one in policies if one["kind"] == "ClusterNetworkPolicy" and one["spec"]["tier"] == tier
        ]
        for priority in sorted({one["priority"] for one in mine}):
            said = {first(one, name, address, port) for one in mine if one["priority"] == priority}
            answer = next((one for one in ("Deny", "Pass", "Accept") if one in said), "")
            if answer in ("Deny", "Accept"):
                return answer == "Accept"
            if answer:
                break
    return True


def first(spec: Manifest, name: str, address: str, port: int) -> str:
    """What a policy says, if anything."""
    for rule in spec["egress"]:
        numbers = [one["tcp"]["destinationPort"]["number"] for one in rule.get("protocols", ())]
        (peer,) = rule["to"]
        met = any(of_cluster(one, name) for one in peer.get("domainNames", ()))
        met |= any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in peer.get("networks", ()))
        if met and (not numbers or port in numbers):
            return str(rule["action"])
    return ""


def in_the_middle(rule: dict[str, Any], name: str, port: int) -> bool:
    """Whether a rule of Cilium's lets it pass."""
    ports = [one["port"] for entry in rule.get("toPorts", ()) for one in entry["ports"]]
    met = any(of_cilium(one, name) for peer in rule["toFQDNs"] for one in peer.values())
    return met and (not ports or str(port) in ports)


def listed(policies: list[Manifest]) -> tuple[list[Opening], Any]:
    """What is opened for a pod by names, and what passes to the addresses outside without any."""
    found = connections(snapshot_of([namespace("shop"), pod("shop/web", ["10.0.0.1"]), *policies]))
    (group,) = found.group("Pod", "shop", "web")
    return list(openings(found.grid, group.identity)), found.grid.outside(group.identity, Direction.EGRESS)


@settings(max_examples=400)
@given(st.integers(0, 2**32 - 1))
def test_each_name_is_answered_by_the_lines_that_mean_it(seed: int) -> None:
    """Neither more nor less: a name gets what the lines open whose patterns all mean it."""
    policies = drawn(seed)
    lines, without = listed(policies)
    for name, address, port in itertools.product(NAMES, ADDRESSES, PORTS):
        there = ipaddress.ip_address(address)
        shown = any(
            one.named.means(name) and there in one.named.addresses and one.transports.contains(int(Protocol.TCP), port)
            for one in lines
        )
        at_all = without.transports(there).contains(int(Protocol.TCP), port)
        assert (shown or at_all) == slowly(policies, name, address, port), (seed, name, address, port)


DENY = {"action": "Deny", "to": [{"networks": ["0.0.0.0/0", "::/0"]}]}


def accept(*names: str) -> dict[str, Any]:
    """A rule of the cluster's that opens names."""
    return {"action": "Accept", "to": [{"domainNames": list(names)}]}


def names(*policies: Manifest) -> list[str]:
    """The lines, without ports."""
    return [str(one.named) for one in listed(list(policies))[0]]


def test_what_is_opened_by_two_patterns_together() -> None:
    """Each of two policies of one priority denies what the other alone allows; a name that both allow passes."""
    one = cluster_policy("one", egress=[accept("*.example.com"), DENY])
    other = cluster_policy("other", egress=[accept("*.api.example.com"), DENY])
    assert names(one, other) == ["*.example.com & *.api.example.com"]
    assert names(one, cluster_policy("other", egress=[accept("*.example.org"), DENY])) == [], "no name is both"
    assert names(one, cluster_policy("other", egress=[accept("*.example.com"), DENY])) == ["*.example.com"]
    assert names(one, cluster_policy("other", egress=[accept("www.example.com"), DENY])) == ["www.example.com"]
    assert names(one, cluster_policy("other", priority=11, egress=[accept("*.api.example.com"), DENY])) == [
        "*.example.com"
    ], "there is an order"


def test_a_name_that_was_open_before_is_not_opened() -> None:
    """In a comparison, what the lines of each side say of a name together is what counts."""
    town = [namespace("shop"), pod("shop/web", ["10.0.0.1"])]
    one = cluster_policy("one", egress=[accept("*.example.com"), DENY])
    other = cluster_policy("other", egress=[accept("*.api.example.com"), DENY])

    def changed(before: list[Manifest], after: list[Manifest]) -> list[tuple[str, str]]:
        found = diff(snapshot_of([*town, *before]), snapshot_of([*town, *after]))
        return [(str(one.destination), one.shift.kind.value) for one in found if isinstance(one.destination, Named)]

    assert changed([one], [one, other]) == [("*.example.com", "closed")]
    assert changed([one, other], [one]) == [("*.example.com", "opened")]


def test_three_patterns() -> None:
    """As many as there are policies that deny the rest."""
    patterns = "*.x.com", "*.b.x.com", "*.a.b.x.com"
    policies = [cluster_policy(f"p{at}", egress=[accept(one), DENY]) for at, one in enumerate(patterns)]
    assert names(*policies) == ["*.x.com & *.b.x.com & *.a.b.x.com"]


def test_too_many_to_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no answer then, and never a wrong one; and what to do is said."""
    monkeypatch.setattr(opened, "_MOST", 3)
    one = cluster_policy("one", egress=[accept("*.x.com", "*.b.x.com"), DENY])
    other = cluster_policy("other", egress=[accept("*.a.b.x.com"), DENY])
    with pytest.raises(TooComplex, match="names that policies of one priority open"):
        names(one, other)
