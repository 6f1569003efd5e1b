"""The points that the API leaves open: each switch turns exactly the flow that it speaks of."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from outgate.packets import Protocol
from outgate.policy import OUTGATE, PROFILES, Judge, Policies, Profile
from outgate.policy.label_filter import LabelFilter
from outgate.policy.profile import PASSING_ICMP, REASONS
from outgate.testing import pod, policy, snapshot_of
from tests.policy.asking import TOWN, Asked, ask

DENY: dict[str, Any] = {"policyTypes": ["Egress", "Ingress"]}
DENY_INGRESS: dict[str, Any] = {"policyTypes": ["Ingress"]}
TO_PODS: dict[str, Any] = {"policyTypes": ["Egress"], "egress": [{"to": [{"namespaceSelector": {}}]}]}


TO_APP: dict[str, Any] = {
    "policyTypes": ["Egress"],
    "egress": [{"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "db"}}}]}],
}


def to_ports(*ports: object) -> dict[str, Any]:
    """A policy of all pods with one egress rule without `to`."""
    return {"policyTypes": ["Egress"], "egress": [{"ports": [{"port": one} for one in ports]}]}


def to_block(cidr: str, *excepts: str) -> dict[str, Any]:
    """A policy of all pods with one egress rule, to a block."""
    return {"policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": cidr, "except": list(excepts)}}]}]}


# The switch, a policy of shop, a flow that it turns, and what Outgate itself says of that flow.
SWITCHES: list[tuple[str, dict[str, Any], Asked, bool]] = [
    ("blocks_match_pods", to_block("10.1.1.20/32"), Asked("shop/web", "data/db", port=1), True),
    ("blocks_match_nodes", to_block("192.168.50.12/32"), Asked("shop/web", "node:n2", port=1), True),
    ("before_translation", to_ports(80), Asked("shop/api", "svc:shop/web", port=80), False),
    ("blocks_see_service", to_block("10.96.1.1/32"), Asked("shop/api", "svc:shop/web", port=80), False),
    ("own_node_exempt", DENY, Asked("shop/web", "node:n1", port=1), False),
    ("host_network_isolated", DENY, Asked("shop/host", "data/db", port=1), True),
    ("host_network_selected", TO_PODS, Asked("shop/web", "shop/host", port=1), False),
    ("hairpin_exempt", DENY, Asked("shop/web", "svc:shop/web", port=80), False),
    ("hairpin_ingress_exempt", DENY_INGRESS, Asked("shop/web", "svc:shop/web", port=80), False),
    ("names_need_selectors", to_ports("http"), Asked("shop/api", "data/web", port=8080), True),
    ("icmp_passes", DENY, Asked("shop/web", "data/db", "ICMP"), False),
    ("hidden_labels", TO_APP, Asked("shop/web", "data/db", port=1), True),
    ("stand_ins_in_blocks", to_block("10.0.0.0/8"), Asked("shop/web", "data/new", port=1), False),
    ("stand_ins_out_of_blocks", to_block("0.0.0.0/0", "10.0.0.0/8"), Asked("shop/web", "data/new", port=1), True),
]


@pytest.mark.parametrize(("switch", "spec", "asked", "ours"), SWITCHES, ids=[one[0] for one in SWITCHES])
def test_switch_turns_its_flow(switch: str, spec: dict[str, Any], asked: Asked, ours: bool) -> None:
    """A switch that turns nothing is decoration; what we enforce without it is part of the contract."""
    more = [
        pod("shop/host", ["192.168.50.12"], on="n2", host_network=True),
        pod("data/new", on="n2"),
        policy("shop/p", spec),
    ]
    trace = ask(snapshot_of([*TOWN, *more]), asked)
    assert trace.verdict.allows == ours
    snapshot = snapshot_of([*TOWN, *more])
    other: Any = LabelFilter(("app",)) if switch == "hidden_labels" else not getattr(OUTGATE, switch)
    turned = dataclasses.replace(OUTGATE, name="turned", **{switch: other})
    assert Judge(Policies(snapshot, turned)).judge(trace.flow).verdict.allows != ours
    assert Judge(Policies(snapshot)).why_otherwise(trace.flow, turned) == (REASONS[switch],)


def test_every_switch_is_turned_above() -> None:
    """A new open point needs its flow here."""
    # What pods have been told of names is known before a flow is judged: tests/analysis/test_learning.py.
    switches = {field.name for field in dataclasses.fields(Profile)} - {"name", "names_need_dns_rules"}
    assert switches == {one[0] for one in SWITCHES}
    assert switches == set(REASONS)


def test_ours_is_named() -> None:
    """Reports say whose reading they follow."""
    assert OUTGATE.name == "outgate"
    assert Policies(snapshot_of(TOWN)).profile is OUTGATE


def test_profiles_are_found_by_their_names() -> None:
    """The names are what people type, and ours comes first."""
    assert list(PROFILES) == ["outgate", "calico", "cilium", "aws-vpc-cni", "ovn-kubernetes", "kube-router"]
    assert all(profile.name == name for name, profile in PROFILES.items())
    assert next(iter(PROFILES.values())) is OUTGATE


def test_differing_points_are_named() -> None:
    """A name is no point: Calico reads everything as we do."""
    assert OUTGATE.differing(PROFILES["calico"]) == ()
    assert OUTGATE.differing(PROFILES["kube-router"]) == ("icmp_passes",)
    assert PROFILES["kube-router"].differing(PROFILES["ovn-kubernetes"]) == ("hairpin_ingress_exempt", "icmp_passes")


def test_labels_are_all_visible_unless_hidden() -> None:
    """The same object where nothing is hidden: it is asked for every pod."""
    labels = {"app": "web", "pod-template-hash": "5d8f"}
    assert OUTGATE.visible(labels) is labels
    assert PROFILES["cilium"].visible(labels) == {"app": "web"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("outgate", (True, True, True, True)), ("cilium", (False, False, False, True))],
)
def test_blocks_match(name: str, expected: tuple[bool, ...]) -> None:
    """A pod, a host-network pod, a node, and an address outside; a host-network pod is its node."""
    snapshot = snapshot_of(TOWN)
    web, host = snapshot.pod("shop", "web"), snapshot.pod("mon", "host")
    profile = PROFILES[name]
    found = (
        profile.block_matches(web),
        profile.block_matches(host),
        profile.block_matches(None, on_node=True),
        profile.block_matches(None),
    )
    assert found == expected
    # A pod with an address of its own stays a pod, also where a node claims the address too.
    assert profile.block_matches(web, on_node=True) == profile.blocks_match_pods


def test_passing_icmp_is_whole_types() -> None:
    """Every code of a type passes, and nothing of the types beside it; no port of TCP is among them."""
    for number in (3, 8, 11):
        assert PASSING_ICMP.contains(Protocol.ICMP, number << 8)
        assert PASSING_ICMP.contains(Protocol.ICMP, (number << 8) + 255)
    assert not any(PASSING_ICMP.contains(Protocol.ICMP, number << 8) for number in (0, 4, 5, 9, 12, 13))
    assert not any(PASSING_ICMP.contains(Protocol.ICMPV6, number << 8) for number in (2, 8, 130, 133, 137))
    assert not PASSING_ICMP.contains(Protocol.TCP, 8 << 8)
