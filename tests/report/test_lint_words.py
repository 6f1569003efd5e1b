"""The words that formats share."""

from __future__ import annotations

from outgate.checks.lint import Selection
from outgate.report.lint_words import count_words, file_of, finding_place, line_of
from tests.report.findings import HELM, empty, report


def test_what_helm_rendered_is_mended_in_the_template() -> None:
    """The file is the template's, and the line is not known there."""
    place = report(HELM, "-").findings[0].finding.place
    assert (file_of(place), line_of(place)) == ("chart/templates/np.yaml", 0)
    assert finding_place(place) == "chart/templates/np.yaml (rendered line 9)"


def test_counts() -> None:
    """In the order of severity, in words for one and many; what a baseline holds is said."""
    found = report()
    assert count_words(found).startswith("2 errors, ")
    known = {one.fingerprint for one in found.findings}
    assert count_words(report(selection=Selection(known=known))).endswith(
        f"checks (put away: 1 by annotation, {len(known)} by the baseline)"
    )
    assert count_words(report(selection=Selection(("union-widens",)))) == "1 error"
    assert count_words(empty()).startswith("nothing found by ")
