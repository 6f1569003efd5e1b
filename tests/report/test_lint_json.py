"""The document LintReport."""

from __future__ import annotations

import json

from outgate.checks.lint import Selection
from outgate.report.lint_json import error_json, lint_json
from tests.report.findings import ERRORS, HELM, empty, report
from tests.report.schema import complaints


def test_it_keeps_to_its_schema() -> None:
    """With everything that a report may have, and with nothing."""
    known = {report().findings[0].fingerprint}
    for found in (report(), report(HELM, "-"), empty(), report(selection=Selection(known=known))):
        document = json.loads(json.dumps(lint_json(found, ERRORS)))
        assert complaints(document) == []


def test_the_fields_that_other_tools_read() -> None:
    """As the design has them."""
    (one,) = [one for one in lint_json(report())["findings"] if one["rule"] == "union-widens"]
    assert (one["severity"], one["file"], one["line"], one["path"]) == (
        "error",
        "k8s/np.yaml",
        21,
        "spec.egress[1].to[0]",
    )
    assert one["object"] == {"kind": "NetworkPolicy", "namespace": "shop", "name": "block-metadata"}
    assert one["witness"]["destination"] == {"name": "1.0.0.0", "address": "1.0.0.0"}
    assert (one["witness"]["port"], one["witness"]["verdict"], one["fixable"]) == (443, "Allow", False)


def test_what_is_put_away_is_there_with_its_reason() -> None:
    """An audit reads it."""
    (one,) = lint_json(report())["suppressed"]
    assert (one["rule"], one["by"], one["reason"]) == (
        "selector-matches-nothing",
        "annotation",
        "made by | an <operator>",
    )


def test_errors_are_input_errors() -> None:
    """In every document alike."""
    assert error_json(ERRORS[0])["path"] == "spec.egress[0]"
    assert [one["file"] for one in lint_json(empty(), ERRORS)["errors"]] == ["a b.yaml", "-"]
