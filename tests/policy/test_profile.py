"""The points that the API leaves open: each switch turns exactly the flow that it speaks of."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from outgate.policy import OUTGATE, Judge, Policies, Profile
from outgate.testing import pod, policy, snapshot_of
from tests.policy.asking import TOWN, Asked, ask

DENY: dict[str, Any] = {"policyTypes": ["Egress", "Ingress"]}
TO_PODS: dict[str, Any] = {"policyTypes": ["Egress"], "egress": [{"to": [{"namespaceSelector": {}}]}]}


def to_block(cidr: str) -> dict[str, Any]:
    """A policy of all pods with one egress rule, to a block."""
    return {"policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": cidr}}]}]}


# The switch, a policy of shop, a flow that it turns, and what Outgate itself says of that flow.
SWITCHES: list[tuple[str, dict[str, Any], Asked, bool]] = [
    ("blocks_match_pods", to_block("10.1.1.20/32"), Asked("shop/web", "data/db", port=1), True),
    ("blocks_see_service", to_block("10.96.1.1/32"), Asked("shop/api", "svc:shop/web", port=80), False),
    ("own_node_exempt", DENY, Asked("shop/web", "node:n1", port=1), False),
    ("host_network_isolated", DENY, Asked("shop/host", "data/db", port=1), True),
    ("host_network_selected", TO_PODS, Asked("shop/web", "shop/host", port=1), False),
    ("hairpin_exempt", DENY, Asked("shop/web", "svc:shop/web", port=80), False),
    ("stand_ins_in_blocks", to_block("10.0.0.0/8"), Asked("shop/web", "data/new", port=1), False),
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
    turned = dataclasses.replace(OUTGATE, name="turned", **{switch: not getattr(OUTGATE, switch)})
    assert Judge(Policies(snapshot, turned)).judge(trace.flow).verdict.allows != ours


def test_every_switch_is_turned_above() -> None:
    """A new open point needs its flow here."""
    switches = {field.name for field in dataclasses.fields(Profile)} - {"name"}
    assert switches == {one[0] for one in SWITCHES}


def test_ours_is_named() -> None:
    """Reports say whose reading they follow."""
    assert OUTGATE.name == "outgate"
    assert Policies(snapshot_of(TOWN)).profile is OUTGATE
