"""A baseline holds what was found, and is read back as that."""

from __future__ import annotations

import json

import pytest

from outgate.checks import Survey
from outgate.checks.baseline import baseline_of, read_baseline
from outgate.checks.lint import Selection, lint
from outgate.model import Document
from outgate.testing import pod, snapshot_of
from tests.checks.asking import deny

SURVEY = Survey(snapshot_of([pod("shop/web", ["10.1.0.1"]), deny()]))


def test_what_is_written_is_what_is_put_away() -> None:
    """And what was put away before stays so."""
    report = lint(SURVEY)
    assert report.findings
    written = baseline_of(report)
    known, errors = read_baseline(Document("b.json", json.loads(json.dumps(written))))
    assert errors == ()
    again = lint(SURVEY, Selection(known=known))
    assert (again.findings, len(again.baselined), again.stale) == ((), len(report.findings), ())
    assert baseline_of(again) == written


@pytest.mark.parametrize(
    ("value", "path", "words"),
    [
        ([], "", "this is no baseline"),
        ({"apiVersion": "outgate.dev/v1", "kind": "LintReport"}, "", "this is no baseline"),
        ({"apiVersion": "outgate.dev/v1", "kind": "LintBaseline"}, "findings", "must be a list"),
        ({"apiVersion": "outgate.dev/v1", "kind": "LintBaseline", "findings": [{}]}, "findings[0]", "no fingerprint"),
    ],
)
def test_what_is_none(value: object, path: str, words: str) -> None:
    """A baseline that cannot be read puts nothing away in silence."""
    known, (error,) = read_baseline(Document("b.json", value))
    assert known == frozenset()
    assert error.path == path
    assert words in error.message
