"""Assertions in the lab: which packets are sent for them, what is demanded of each, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgate.errors import InvalidInput
from outgate.lab import flows
from outgate.lab.assertion_probes import named_pods
from outgate.lab.plan import Plan, Probe, Via
from outgate.lab.run import Wishes, prepare
from outgate.model import Snapshot
from outgate.policy import Verdict
from tests.lab.clusters import DNS, SHOP, outcome, snapshot_of

HEAD = "apiVersion: outgate.dev/v1\nkind: ReachabilityTest\nnames: {api.example.com: [203.0.113.9]}\nassertions:\n"
CLUSTER = (
    DNS
    + SHOP
    + """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: db}}}]
    ports: [{port: 5432}, {port: 8000, endPort: 8100}]
  - to: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.128/25]}}]
    ports: [{port: 443}]
  - to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]
    ports: [{port: 53, protocol: UDP}]
"""
)


def load(tmp_path: Path, *entries: str, head: str = HEAD) -> flows.Asked:
    """A file with these assertions, from line 5 on."""
    path = tmp_path / "tests.yaml"
    path.write_text(head + "".join(f"- {entry}\n" for entry in entries))
    return flows.load(str(path))


def plan_of(asked: flows.Asked, snapshot: Snapshot | None = None, families: tuple[int, ...] = (4,)) -> Plan:
    """What is probed for them."""
    return prepare(snapshot or snapshot_of(CLUSTER), Wishes(flows=asked, families=families)).plan


def demanded(plan: Plan, verdict: Verdict | None) -> set[tuple[str, str, str, int]]:
    """Where probes of one demand go."""
    return {(str(p.source), str(p.destination), p.protocol.name, p.port) for p in plan.probes if p.demanded is verdict}


def vias(probes: tuple[Probe, ...]) -> list[Via]:
    """How destinations are dialled."""
    return [one.via for one in probes]


def test_single_flows_are_probed_as_they_stand(tmp_path: Path) -> None:
    """By pod, by Service, by the name of the file's table, and by both sides of a subject."""
    plan = plan_of(
        load(
            tmp_path,
            "{from: shop/web, port: 5432, allow: [shop/db, svc/shop/db]}",
            "{from: shop/web, allow: {to: api.example.com, port: 443}}",
            "{to: shop/db, deny: {from: shop/web, port: [5433, 53/UDP]}}",
            "{from: shop/web, deny: {to: shop/db, port: ICMP}}",
        )
    )
    assert vias(plan.probes) == [Via.POD, Via.SERVICE, Via.NAME, Via.POD, Via.POD, Via.POD]
    assert demanded(plan, Verdict.ALLOW) >= {
        ("shop/web", "shop/db", "TCP", 5432),
        ("shop/web", "203.0.113.9", "TCP", 443),
    }
    assert demanded(plan, Verdict.DENY) == {
        ("shop/web", "shop/db", "TCP", 5433),
        ("shop/web", "shop/db", "UDP", 53),
        ("shop/web", "shop/db", "ICMP", 0),
    }
    assert plan.notes == ()


def test_whole_sets_are_probed_by_representatives(tmp_path: Path) -> None:
    """The borders of what is asked, and an address from each part of a block that is treated alike."""
    plan = plan_of(load(tmp_path, "{from: shop/web, deny: {to: [203.0.113.0/24, shop/db], port: 440-450}}"))
    ports = {one.port for one in plan.probes if one.via is Via.ADDRESS}
    assert ports >= {440, 443, 450}
    inside = {str(one.address) for one in plan.probes if one.via is Via.ADDRESS}
    assert len(inside) == 2
    assert {one.demanded for one in plan.probes} == {Verdict.DENY}
    assert plan.notes == ("1 assertion is about whole sets: their probes are samples; outgate test judges all of them",)


def test_only_demands_that_the_rest_is_denied(tmp_path: Path) -> None:
    """What is listed is probed too, with nothing demanded; under `exactly` it must pass."""
    entries = "[{to: shop/db, port: [5432, 8000-8100]}, {to: 203.0.113.0/25, port: 443}]"
    plan = plan_of(load(tmp_path, f"{{from: shop/web, only: {entries}, ignore: dns}}"))
    assert ("shop/web", "shop/db", "TCP", 5432) in demanded(plan, None)
    assert {("shop/web", "shop/db", "TCP", 7999), ("shop/web", "shop/db", "TCP", 8101)} <= demanded(plan, Verdict.DENY)
    assert not any(port == 53 for _, _, _, port in demanded(plan, Verdict.DENY))
    assert {one.verdict for one in plan.probes if one.demanded is Verdict.DENY} == {Verdict.DENY}
    plan = plan_of(load(tmp_path, f"{{from: shop/web, exactly: {entries}, ignore: dns}}"))
    assert ("shop/web", "shop/db", "TCP", 8100) in demanded(plan, Verdict.ALLOW)
    assert {one.verdict for one in plan.probes if one.demanded is Verdict.ALLOW} == {Verdict.ALLOW}


def test_blocks_that_send_are_addresses_of_the_world(tmp_path: Path) -> None:
    """The lab dials from them."""
    plan = plan_of(load(tmp_path, "{to: shop/db, allow: {from: 203.0.113.0/24, port: 5432}}"))
    assert {(str(one.source), str(one.destination), one.port) for one in plan.probes} == {
        ("203.0.113.10", "shop/db", 5432)
    }


def test_what_cannot_be_probed_is_said(tmp_path: Path) -> None:
    """An address at which nobody answers in the lab; an assertion of which nothing is left."""
    plan = plan_of(load(tmp_path, "{from: shop/web, deny: [127.0.0.0/8, {to: shop/db, port: 1-2}]}"))
    assert any("nobody answers at 127.0.0.0/8 in the lab" in one for one in plan.notes)
    plan = plan_of(load(tmp_path, "{from: shop/web, deny: 127.0.0.0/8}"))
    assert any("nothing of it can be probed" in one and "tests.yaml:5" in one for one in plan.notes)
    assert plan.probes == ()


def test_mistakes_are_said_at_once(tmp_path: Path) -> None:
    """Of the text, and of what the cluster does not have; simple flows and sets alike."""
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, "{from: a/b}", "{from: a/b, allow: 7}")
    assert [(one.line, one.path) for one in caught.value.errors] == [(5, "assertions[0]"), (6, "assertions[1].allow")]
    asked = load(tmp_path, "{from: shop/wep, allow: {to: shop/db, port: 1}}", "{from: shop/web, deny: nowhere/*}")
    with pytest.raises(InvalidInput) as caught:
        plan_of(asked)
    assert [one.line for one in caught.value.errors] == [5, 6]


def test_flows_and_assertions_may_share_a_file(tmp_path: Path) -> None:
    """Two documents; each means what it means alone."""
    head = (
        "apiVersion: outgate.dev/v1\nkind: FlowList\nflows:\n- {from: shop/web, to: shop/db, port: 5432}\n---\n" + HEAD
    )
    plan = plan_of(load(tmp_path, "{from: shop/web, deny: {to: shop/db, port: 1}}", head=head))
    assert [(one.port, one.demanded) for one in plan.probes] == [(5432, None), (1, Verdict.DENY)]


def test_pods_of_assertions_play_in_a_lab_that_is_too_small(tmp_path: Path) -> None:
    """--max-pods must not leave out the very pods that are asked about."""
    asked = load(tmp_path, "{from: shop/web, deny: [every node, gone/x, {to: {labels: {app: db}}, port: 1}]}")
    assert {pod.name for pod in named_pods(asked.suites, snapshot_of(CLUSTER))} == {"web", "db"}
    asked = load(tmp_path, "{from: shop/web, allow: {to: shop/db, port: 5432}}")
    prepared = prepare(snapshot_of(CLUSTER), Wishes(flows=asked, max_pods=1))
    assert {pod.name for pod in prepared.snapshot.endpoints} == {"web", "db"}


@pytest.mark.kernel
def test_packets_agree_with_assertions_and_disagree_with_a_wrong_one(tmp_path: Path) -> None:
    """What holds on paper holds in the kernel, and a demand that the policies do not meet is a disagreement."""
    entries = "[{to: shop/db, port: [5432, 8000-8100]}, {to: 203.0.113.0/25, port: 443}]"
    good = load(tmp_path, f"{{from: shop/web, exactly: {entries}, ignore: dns}}")
    found = outcome(prepare(snapshot_of(CLUSTER), Wishes(flows=good)))
    assert found["disagreements"] == 0
    assert {one["demanded"] for one in found["probes"]} == {"Allow", "Deny"}
    bad = load(tmp_path, "{from: shop/web, deny: {to: shop/db, port: 5431-5433}}")
    found = outcome(prepare(snapshot_of(CLUSTER), Wishes(flows=bad)))
    assert {one["port"] for one in found["probes"] if one["disagreement"]} == {5432}
