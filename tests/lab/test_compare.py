"""Prediction against packets: what agrees, what does not, and what is said of it."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from outgate.lab.attempt import Observation, Outcome
from outgate.lab.compare import compare, relevant
from outgate.lab.plan import Probe
from outgate.policy import Verdict
from outgate.report.lab import ProbeResult
from tests.lab.clusters import planned, planner_of
from tests.lab.test_plan import MIXED, service_draft

TITLES = {"a": "shop/a", "b": "shop/b"}


def probe(*, allowed: bool) -> Probe:
    """A probe from web to one of the two databases."""
    name = "shop/db" if allowed else "shop/db2"
    probes = planned(MIXED).plan.probes
    found = next(one for one in probes if (str(one.source), str(one.destination)) == ("shop/web", name))
    assert found.verdict.allows is allowed
    return found


def result(one: Probe, seen: Observation) -> ProbeResult:
    """The result of one probe."""
    (found,) = compare([one], [seen], TITLES)
    return found


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_against_every_prediction(outcome: Outcome, allowed: bool) -> None:
    """If one cell of this table were wrong, the lab would agree with a leak, or cry about nothing."""
    one = probe(allowed=allowed)
    party = one.parties[0] if outcome is Outcome.ANSWERED else None
    agrees = {
        Outcome.ANSWERED: allowed,
        Outcome.SILENT: not allowed,
        Outcome.REFUSED: not allowed,
        Outcome.WRONG_PARTY: False,
        Outcome.WRONG_NAME: False,
        Outcome.LATE: False,
    }[outcome]
    assert result(one, Observation(outcome, party)).disagrees is not agrees


def test_what_a_file_demands_counts_beside_the_policies() -> None:
    """A flow that is allowed as predicted is still wrong if it must be denied."""
    one = probe(allowed=True)
    seen = Observation(Outcome.ANSWERED, one.parties[0])
    assert not result(dataclasses.replace(one, demanded=Verdict.ALLOW), seen).disagrees
    assert result(dataclasses.replace(one, demanded=Verdict.DENY), seen).disagrees


@pytest.mark.parametrize(("index", "disagrees"), [(0, False), (1, True), (None, False)])
def test_the_backend_that_answers_decides(index: int | None, disagrees: bool) -> None:
    """Of two backends one is denied: its answer is a leak, the other's is none, and silence may be either."""
    made = planner_of(MIXED)
    made.add([service_draft(made)])
    (one,) = made.probes
    seen = Observation(Outcome.SILENT) if index is None else Observation(Outcome.ANSWERED, one.parties[index])
    found = result(one, seen)
    assert (found.disagrees, found.mixed, found.backends) == (disagrees, True, 2)


def test_the_sides_are_those_of_whoever_decided() -> None:
    """A report that names the policy of the wrong backend sends its reader to the wrong file."""
    made = planner_of(MIXED)
    made.add([service_draft(made)])
    (one,) = made.probes
    assert (
        relevant(one, Observation(Outcome.SILENT)).trace.flow.destination.pod
        == one.parties[1].trace.flow.destination.pod
    )
    assert not result(one, Observation(Outcome.SILENT)).egress.verdict.allows
    assert result(one, Observation(Outcome.ANSWERED, one.parties[0])).egress.verdict.allows


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Observation(Outcome.ANSWERED, answered_by="a", seconds=0.0042), "shop/a answered in 4.2 ms"),
        (
            Observation(Outcome.ANSWERED, answered_by="a", seen=ipaddress.ip_address("192.0.2.9")),
            "shop/a answered in 0.0 ms; it saw the client as 192.0.2.9",
        ),
        (Observation(Outcome.SILENT), "no answer"),
        (Observation(Outcome.SILENT, rounds=2), "no answer; asked again in a second round"),
        (Observation(Outcome.SILENT, arrived="b"), "the request reached shop/b, its answer did not come back"),
        (Observation(Outcome.REFUSED, detail="connection refused"), "refused; connection refused"),
    ],
)
def test_evidence_says_what_was_seen(seen: Observation, words: str) -> None:
    """Evidence is what a reader goes by when the prediction is in doubt."""
    one = probe(allowed=True)
    assert result(one, seen).evidence == words


def test_a_wrong_party_is_named_beside_the_right_one() -> None:
    """A packet that went astray is found by where it went."""
    one = probe(allowed=True)
    titles = {one.parties[0].box: "shop/db", "b": "shop/b"}
    (found,) = compare([one], [Observation(Outcome.WRONG_PARTY, answered_by="b")], titles)
    assert found.evidence == "shop/b answered in the place of shop/db"
