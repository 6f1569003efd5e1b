"""Truth cases of every verb: each flow whose verdict is known, looked for in what list, diff, graph and the rest say.

The cases are the shared ones, the rows of `tests/policy`, and those of `borough`, which need a larger cluster:
workloads of several pods that are split, pods of one address family, pods that have ended. Where a verdict is up to the
network plugin, the verbs must still be of one mind.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from outgate.testing import snapshot_of
from tests.laws import borough
from tests.laws.verbs import Verbs
from tests.policy import test_decide, test_rules, test_selection, test_trace
from tests.policy.asking import TOWN, Row, answer, ask, read
from tests.policy.test_truth_cases import asked, flows, snapshot_for, title

SPEAKING = {"can-reach", "test", "list", "diff"}
"""The verbs that have an answer for each two workloads, in TCP, UDP and SCTP."""

ROWS = [
    *test_rules.A2,
    *test_rules.A3,
    *test_selection.A4,
    *test_selection.OPERATORS,
    *test_decide.A5,
    *test_decide.A6,
    *test_decide.A7,
    *test_trace.A8,
    *test_trace.A9,
]


def complaints(verbs: Verbs, line: str) -> list[str]:
    """The verbs that say otherwise than a line does."""
    flow, expected = read(line)
    trace = ask(verbs.snapshot, flow)
    assert answer(trace) == expected, line
    return [f"{line}: {verb} says {said}" for verb, said in verbs.answers(flow).items() if said != trace.verdict.allows]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_rows(row: Row) -> None:
    """Each line of the semantics is true of whatever verb is asked."""
    verbs = Verbs(snapshot_of([*TOWN, *row.manifests]))
    assert [one for line in row.lines for one in complaints(verbs, line)] == []


@pytest.mark.parametrize("row", borough.ROWS, ids=[row.name for row in borough.ROWS])
def test_rows_of_the_borough(row: Row) -> None:
    """The same where workloads are in parts, addresses are borrowed, and families are missing."""
    verbs = Verbs(snapshot_of([*borough.BOROUGH, *row.manifests]))
    assert [one for line in row.lines for one in complaints(verbs, line)] == []


@cache
def verbs_for(case: str) -> Verbs:
    """A shared case, read once for all its flows."""
    return Verbs(snapshot_for(CASES[case]))


CASES = {case["id"]: case for case, _ in flows()}
FLOWS = [(case, flow) for case, flow in flows() if not flow.get("established") and not flow.get("reply")]


@pytest.mark.parametrize(("case", "flow"), FLOWS, ids=[title(*one) for one in FLOWS])
def test_shared_cases(case: dict[str, Any], flow: dict[str, Any]) -> None:
    """A verdict that two evaluators agreed on, also where sets are shown and not flows."""
    verbs = verbs_for(case["id"])
    expected = (
        flow["expect"] == "allow"
        if flow["expect"] != "unspecified"
        else ask(verbs.snapshot, asked(flow)).verdict.allows
    )
    said = verbs.answers(asked(flow))
    assert said == dict.fromkeys(said, expected), flow.get("why", case["title"])


def test_every_verb_is_asked() -> None:
    """If a verb never spoke of any flow, what it says would be true of nothing."""
    row = borough.ROWS[0]
    verbs = Verbs(snapshot_of([*borough.BOROUGH, *row.manifests]))
    said = [verbs.answers(read(line)[0]) for line in row.lines]
    assert {verb for one in said for verb, passes in one.items() if passes} >= {*SPEAKING, "graph"}
    assert {verb for one in said for verb, passes in one.items() if not passes} >= {*SPEAKING, "graph"}
    assert all(one.keys() >= SPEAKING for one in said)
