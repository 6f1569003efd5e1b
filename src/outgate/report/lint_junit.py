"""A lint report as JUnit XML: one suite a check, one case for each of its findings, or one that passed."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from outgate.checks.finding import Finding
from outgate.checks.lint import LintReport
from outgate.errors import InputError
from outgate.report.assertions_text import plain
from outgate.report.lint_words import file_of, finding_place, line_of

__all__ = ["lint_junit"]


def lint_junit(report: LintReport, errors: Iterable[InputError] = ()) -> str:
    """The document. Input that could not be used is an error of a suite of its own."""
    root = Element("testsuites", name="outgate lint")
    found: dict[str, list[Finding]] = {name: [] for name in report.rules}
    for one in report.findings:
        found[one.finding.rule].append(one.finding)
    for name, many in found.items():
        suite = _suite(root, name, max(len(many), 1), failures=len(many))
        for finding in many:
            _case(suite, finding)
        if not many:
            SubElement(suite, "testcase", {"name": name, "classname": name})
    problems = list(errors)
    if problems:
        suite = _suite(root, "input", len(problems), errors=len(problems))
        for problem in problems:
            case = SubElement(suite, "testcase", {"name": plain(str(problem)), "classname": "input"})
            SubElement(case, "error", {"message": plain(problem.message)}).text = plain(str(problem))
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, name: str, tests: int, *, failures: int = 0, errors: int = 0) -> Element:
    counts = {"tests": str(tests), "failures": str(failures), "errors": str(errors), "skipped": "0"}
    return SubElement(root, "testsuite", {"name": name, **counts})


def _case(suite: Element, one: Finding) -> None:
    where = {"file": plain(file_of(one.place))}
    if line_of(one.place):
        where["line"] = str(line_of(one.place))
    case = SubElement(suite, "testcase", {"name": plain(str(one.subject)), "classname": one.rule, **where})
    failure = SubElement(case, "failure", {"type": str(one.severity), "message": plain(one.message)})
    lines = [plain(finding_place(one.place))]
    lines += [plain(f"packet  {one.witness}")] if one.witness is not None else []
    lines += [plain(f"also    {finding_place(other.place)}: {other.words}") for other in one.related]
    lines += [plain(f"help    {one.help}")] if one.help else []
    failure.text = "\n".join(lines)
