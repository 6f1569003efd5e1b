"""The agent's step on a node of the lab, and the way of a packet through the rules that stand there."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outgate.host.nft import Nftables
from outgate.lab import session
from outgate.lab.build import Stage, build
from outgate.lab.enforce import Tracer, enforce, options_of, program
from outgate.lab.run import Prepared
from outgate.packets import Protocol
from outgate.policy import Endpoint, Flow
from tests.lab.clusters import SHOP, planned

pytestmark = pytest.mark.kernel

POLICIES = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-out, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}, {port: 5433}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-in, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {}}], ports: [{port: 5432}]}]
"""


def in_lab(check: Callable[[Stage, Prepared], object]) -> Any:
    """What a check finds in a lab of the shop."""
    prepared = planned(SHOP + POLICIES)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "found.json")

        def inside() -> int:
            target.write_text(json.dumps(check(build(prepared.snapshot), prepared)))
            return 0

        assert session.run_in_lab(inside) == 0
        return json.loads(target.read_text())


def test_every_node_gets_its_table_and_no_other() -> None:
    """Rules of one node's pods on another would be dead weight, and rules in another table none of our business."""

    def check(stage: Stage, prepared: Prepared) -> list[object]:
        enforce(stage, prepared.policies)
        tables = [stage.run(node, ("nft", "list", "tables")).stdout.split("\n") for node in stage.nodes.values()]
        return [sorted(filter(None, one)) for one in tables]

    assert in_lab(check) == [["table inet lab_services", "table inet outgate"]] * 2


def test_the_second_time_there_is_nothing_to_do() -> None:
    """A step that is not idempotent would cut connections at every turn of the agent's loop."""

    def check(stage: Stage, prepared: Prepared) -> bool:
        enforce(stage, prepared.policies)
        node = stage.nodes["n1"]
        with stage.enter(node):
            before = Nftables().list()
            program(prepared.policies, "n1", Nftables(), options_of(stage, node))
            return before == Nftables().list()

    assert in_lab(check) is True


def test_a_node_knows_the_interfaces_of_its_own_pods() -> None:
    """Without them a pod could send in another's name."""
    options = in_lab(
        lambda stage, _: {str(key): one for key, one in options_of(stage, stage.nodes["n1"]).interfaces.items()}
    )
    assert set(options) == {"('shop', 'web')"}


def flow(prepared: Prepared, port: int, source: str = "web", target: str = "db") -> Flow:
    """A new TCP connection between two pods."""
    ends = []
    for name in (source, target):
        pod = prepared.snapshot.pod("shop", name)
        assert pod is not None
        end = Endpoint.of_pod(pod)
        assert end is not None
        ends.append(end)
    return Flow(ends[0], ends[1], int(Protocol.TCP), port)


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (5432, [("n1", "return", "web-out"), ("n2", "return", "db-in")]),
        (5433, [("n1", "return", "web-out"), ("n2", "drop", "db-in")]),
        (80, [("n1", "drop", "web-out")]),
    ],
    ids=["allowed", "denied by ingress", "denied by egress"],
)
def test_the_deciding_rules_are_named_node_by_node(port: int, expected: list[tuple[str, str, str]]) -> None:
    """A disagreement names the kernel rule that decided; a wrong name sends its reader astray."""

    def check(stage: Stage, prepared: Prepared) -> list[list[str]]:
        enforce(stage, prepared.policies)
        rules = Tracer(stage).rules(flow(prepared, port))
        return [[one.node, one.verdict, one.comment, one.hook] for one in rules]

    found = in_lab(check)
    assert [(node, verdict) for node, verdict, _, _ in found] == [(node, verdict) for node, verdict, _ in expected]
    assert all(policy in comment for (_, _, comment, _), (_, _, policy) in zip(found, expected, strict=True))
    assert {hook for *_, hook in found} == {"forward"}


def test_without_a_table_no_rule_decides() -> None:
    """The control run has no rules to name."""
    assert in_lab(lambda stage, prepared: len(Tracer(stage).rules(flow(prepared, 80)))) == 0
