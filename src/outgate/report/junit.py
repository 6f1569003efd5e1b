"""Outcomes of assertions as JUnit XML, for the test page of a build server.

One suite a file, one case an assertion. XML 1.0 has no way to write most control characters, not even escaped, so what
is not printable is written out as its number: a name from a manifest must break neither the document nor the screen
that shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from outgate.analysis.coverage import Coverage
from outgate.analysis.verdicts import Outcome
from outgate.report.assertions_text import failure_text, plain, rule_text
from outgate.report.terms import place_text

__all__ = ["junit"]


def junit(outcomes: Sequence[Outcome], coverage: Coverage | None = None, least: float | None = None) -> str:
    """The document. With `least`, too little coverage is a failed case of its own."""
    root = Element("testsuites", name="outgate test")
    files = dict.fromkeys(one.assertion.place.file for one in outcomes)
    for file in files:
        mine = [one for one in outcomes if one.assertion.place.file == file]
        suite = _suite(root, file, len(mine), sum(not one.holds for one in mine))
        for outcome in mine:
            _case(suite, outcome)
    if coverage is not None:
        _coverage(root, coverage, least)
    for key in ("tests", "failures"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("errors", "0")
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, name: str, tests: int, failures: int) -> Element:
    counts = {"tests": str(tests), "failures": str(failures), "errors": "0", "skipped": "0"}
    return SubElement(root, "testsuite", {"name": plain(name), **counts})


def _case(suite: Element, outcome: Outcome) -> None:
    assertion = outcome.assertion
    file, line = assertion.place.file, assertion.place.line
    where = {"file": plain(file), "line": str(line)} if line else {"file": plain(file)}
    case = SubElement(suite, "testcase", {"name": plain(assertion.title), "classname": plain(file), **where})
    if assertion.because:
        properties = SubElement(case, "properties")
        SubElement(properties, "property", {"name": "because", "value": plain(assertion.because)})
    if not outcome.holds:
        text = failure_text(outcome)
        lines = [plain(one) for one in text.split("\n")]
        found = next(one for one in lines if one.split()[:1] == ["found"])
        failure = SubElement(case, "failure", {"type": assertion.verb.value, "message": found.split(None, 1)[1]})
        failure.text = "\n".join(lines)
    if outcome.notes:
        # That something passes on a condition alone is no failure, and yet not all that the name of the case says.
        SubElement(case, "system-out").text = "\n".join(f"note: {plain(words)}" for words in outcome.notes)


def _coverage(root: Element, coverage: Coverage, least: float | None) -> None:
    enough = least is None or coverage.reaches(least)
    suite = _suite(root, "coverage", 1, 0 if enough else 1)
    case = SubElement(suite, "testcase", {"name": "rules exercised", "classname": "coverage"})
    words = f"{coverage.exercised} of {coverage.total} exercised ({coverage.percent:g} %)"
    missing = [f"{plain(rule_text(one))} {plain(place_text(one))}".strip() for one in coverage.missing]
    if not enough:
        failure = SubElement(case, "failure", {"type": "coverage", "message": f"{words}, less than {least:g} %"})
        failure.text = "\n".join(missing)
    else:
        SubElement(case, "system-out").text = "\n".join((words, *missing))
