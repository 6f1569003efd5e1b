"""The engine: it waits as long as it must, asks again where something may be lost, and never for ever."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from outgate.lab import run, session
from outgate.lab.answers import Answers
from outgate.lab.attempt import Observation, Outcome
from outgate.lab.build import Stage, build
from outgate.lab.plan import Probe
from outgate.lab.probe import MOST_SOCKETS, Engine, capacity
from outgate.lab.run import Prepared
from tests.lab.clusters import DNS, SHOP, planned


@pytest.mark.parametrize(
    ("limit", "in_use", "room"),
    [(1024, 100, 286), (1 << 20, 500, MOST_SOCKETS), (256, 250, 8)],
    ids=["usual", "plenty", "nothing left"],
)
def test_probes_under_way_fit_the_descriptors(limit: int, in_use: int, room: int) -> None:
    """Each probe may hold three descriptors; running out of them would look like denials."""
    assert capacity(limit, in_use) == room


def observed(
    prepared: Prepared,
    *,
    patience: float = 1.0,
    room: int | None = None,
    before: Callable[[Stage, Answers], None] | None = None,
) -> list[Observation]:
    """What the engine sees of a plan in a lab without rules, whose servers or wires may be broken first."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "observations.json")

        def inside() -> int:
            stage = build(prepared.snapshot)
            answers = run._answers(prepared, stage)
            if before is not None:
                before(stage, answers)
            found = Engine(answers, patience=patience, room=room).run(prepared.plan.probes)
            target.write_text(json.dumps([(one.outcome.name, one.rounds, one.arrived, one.detail) for one in found]))
            return 0

        assert session.run_in_lab(inside) == 0
        return [
            Observation(Outcome[name], rounds=rounds, arrived=arrived, detail=detail)
            for name, rounds, arrived, detail in json.loads(target.read_text())
        ]


def without_rules(stage: Stage, node: str, rule: str) -> None:
    """A rule of somebody else's on a node."""
    for line in (
        "add table inet other",
        "add chain inet other forward { type filter hook forward priority 0; }",
        f"add rule inet other forward {rule}",
    ):
        stage.run(stage.nodes[node], ("nft", line))


@pytest.mark.kernel
def test_without_rules_everybody_answers_at_once() -> None:
    """The engine must not lose a packet of its own: one lost answer is one false denial."""
    prepared = planned(DNS + SHOP)
    found = observed(prepared)
    assert {(one.outcome, one.rounds) for one in found} == {(Outcome.ANSWERED, 1)}
    assert len(found) == len(prepared.plan.probes) > 100


@pytest.mark.kernel
def test_few_descriptors_mean_more_waves_and_the_same_result() -> None:
    """Where a container allows few open files, a run takes longer and says the same."""
    prepared = planned(SHOP)
    found = observed(prepared, room=8)
    assert {one.outcome for one in found} == {Outcome.ANSWERED}
    assert len(found) == len(prepared.plan.probes)


@pytest.mark.kernel
@pytest.mark.parametrize("protocol", ["udp", "sctp", "icmp"])
def test_a_packet_that_is_lost_is_sent_again(protocol: str) -> None:
    """The first packet of every flow is dropped: what TCP does by itself, the engine does for the others."""
    probes = planned(SHOP).plan.probes
    wanted = {"udp": "UDP", "sctp": "SCTP", "icmp": "ICMP"}[protocol]
    text = (
        SHOP.replace("containerPort: 5432}", f"containerPort: 5432, protocol: {wanted}}}") if wanted != "ICMP" else SHOP
    )
    prepared = planned(text)
    kept = [one for one in prepared.plan.probes if one.protocol.name == wanted and one.address.version == 4]
    assert kept
    assert probes
    prepared = dataclasses.replace(prepared, plan=dataclasses.replace(prepared.plan, probes=_numbered(kept)))

    def before(stage: Stage, _: Answers) -> None:
        # A packet without an entry in the set is remembered and dropped; the next one passes.
        for node in stage.nodes:
            key = "ip saddr . ip daddr . meta l4proto"
            for line in (
                "add table inet other",
                "add set inet other seen { type ipv4_addr . ipv4_addr . inet_proto; flags dynamic; }",
                "add chain inet other forward { type filter hook forward priority 0; }",
                f"add rule inet other forward ct direction original {key} != @seen add @seen {{ {key} }} drop",
            ):
                stage.run(stage.nodes[node], ("nft", line))

    assert {(one.outcome, one.rounds) for one in observed(prepared, patience=3.0, before=before)} == {
        (Outcome.ANSWERED, 1)
    }


@pytest.mark.kernel
def test_what_is_expected_and_silent_is_asked_for_twice() -> None:
    """A single lost answer must not count; a wire that is cut must, after the second round."""
    prepared = planned(SHOP)
    found = observed(prepared, patience=0.5, before=lambda stage, _: without_rules(stage, "n1", "tcp dport 5432 drop"))
    silent = [probe for probe, one in zip(prepared.plan.probes, found, strict=True) if one.outcome is Outcome.SILENT]
    assert silent != []
    assert {probe.parties[0].port for probe in silent} == {5432}
    assert {one.rounds for one in found if one.outcome is Outcome.SILENT} == {2}


@pytest.mark.kernel
def test_a_lost_answer_is_told_from_a_lost_request() -> None:
    """Where only the way back is closed, the report says that the request arrived."""
    prepared = planned(SHOP.replace("containerPort: 5432}", "containerPort: 5432, protocol: UDP}"))
    found = observed(prepared, patience=0.5, before=lambda stage, _: without_rules(stage, "n1", "udp sport 5432 drop"))
    lost = [one for probe, one in zip(prepared.plan.probes, found, strict=True) if one.outcome is Outcome.SILENT]
    box = prepared.topology.pods["shop", "db"].namespace
    assert lost != []
    assert {one.arrived for one in lost} == {box}


@pytest.mark.kernel
def test_a_refusal_is_seen_at_once() -> None:
    """An RST is an answer of the kernel's, not of the party that was meant."""
    prepared = planned(SHOP)
    rule = "tcp dport 5432 reject with tcp reset"
    found = observed(prepared, before=lambda stage, _: without_rules(stage, "n1", rule))
    refused = {(one.rounds, one.detail) for one in found if one.outcome is Outcome.REFUSED}
    assert refused == {(1, "connection refused")}


@pytest.mark.kernel
def test_a_name_that_leads_elsewhere_is_noticed() -> None:
    """A DNS server that answers with another address would send every client there."""
    prepared = planned(DNS + SHOP)

    def before(_: Stage, answers: Answers) -> None:
        name = "db.shop.svc.cluster.local"
        wrong = {**answers.zone.addresses, name: answers.zone.addresses["kube-dns.kube-system.svc.cluster.local"]}
        answers.zone = dataclasses.replace(answers.zone, addresses=wrong)

    found = observed(prepared, before=before)
    wrong = [one for one in found if one.outcome is Outcome.WRONG_NAME]
    assert wrong != []
    assert all("db.shop.svc.cluster.local was answered with" in one.detail for one in wrong)
    assert {one.outcome for one in found} == {Outcome.ANSWERED, Outcome.WRONG_NAME}


def _numbered(probes: list[Probe]) -> tuple[Probe, ...]:
    return tuple(dataclasses.replace(one, number=number) for number, one in enumerate(probes))
