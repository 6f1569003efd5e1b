"""A lint report as JUnit XML."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from outgate.report.lint_junit import lint_junit
from tests.report.findings import ERRORS, HELM, empty, report


def test_counts_add_up() -> None:
    """Of cases and failures, in each suite and above."""
    root = ET.fromstring(lint_junit(report(), ERRORS))
    cases, failures = root.findall(".//testcase"), root.findall(".//failure")
    assert root.get("tests") == str(len(cases))
    assert root.get("failures") == str(len(failures)) == str(len(report().findings))
    assert root.get("errors") == "2" == str(len(root.findall(".//error")))
    for suite in root:
        assert suite.get("tests") == str(len(suite))


def test_a_finding_is_a_case_of_its_check() -> None:
    """With its object, file and line, the packet and what to do."""
    root = ET.fromstring(lint_junit(report()))
    (case,) = root.findall("./testsuite[@name='union-widens']/testcase")
    assert (case.get("name"), case.get("line")) == ("NetworkPolicy shop/block-metadata", "21")
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("type") == "error"
    assert "packet  shop/web -> 1.0.0.0:443/TCP passes" in (failure.text or "")


def test_checks_that_find_nothing_pass() -> None:
    """A build server shows that they were asked."""
    root = ET.fromstring(lint_junit(empty()))
    assert root.get("failures") == "0"
    assert root.get("tests") == str(len(empty().rules))


def test_no_line_is_made_up() -> None:
    """Of a template none is known."""
    root = ET.fromstring(lint_junit(report(HELM, "-")))
    (case,) = root.findall("./testsuite[@name='dns-egress-missing']/testcase")
    assert (case.get("file"), case.get("line")) == ("chart/templates/np.yaml", None)
