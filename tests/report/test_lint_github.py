"""Annotations of GitHub Actions: what the runner takes for a command, and nothing of it from a manifest."""

from __future__ import annotations

from outgate.report.lint_github import lint_github
from tests.report.findings import ERRORS, HELM, empty, report


def test_each_finding_is_one_line() -> None:
    """With file, line and the check as its title."""
    found = list(lint_github(report()))
    assert len(found) == len(report().findings)
    assert any(
        line.startswith("::error file=k8s/np.yaml,line=21,title=union-widens::shop/block-metadata egress[1]")
        for line in found
    )
    assert all("\n" not in line for line in found)


def test_what_would_end_a_property_or_a_line_is_written_as_its_number() -> None:
    """In errors of the input as well."""
    assert list(lint_github(empty(), ERRORS)) == [
        "::error file=a b.yaml,line=3,title=outgate::spec.egress[0]: must be, 100%25%0Asomething: else",
        "::error file=-,title=outgate::no YAML",
    ]
    commas = next(iter(lint_github(report(file="a,b:c.yaml"))))
    assert "file=a%2Cb%3Ac.yaml,line=" in commas


def test_of_a_template_no_line_is_made_up() -> None:
    """The annotation is the file's."""
    assert next(iter(lint_github(report(HELM, "-")))).startswith("::error file=chart/templates/np.yaml,title=")
