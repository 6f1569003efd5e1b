"""A lint report as SARIF 2.1.0 (OASIS), the form in which code hosts take findings.

What is a finding to us is a result there; put-away findings are results with a suppression, and input that could not be
used is a notification, since the run then did not see all. Paths are relative to where the command runs, as forges want
them, and fingerprints are our own: they hang on the object and the value, never on a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from outgate.checks import Severity, load
from outgate.checks.finding import Finding
from outgate.checks.lint import LintReport, Reported
from outgate.checks.registry import GROUPS
from outgate.errors import InputError
from outgate.model import Place
from outgate.report.lint_words import file_of, line_of
from outgate.report.terms import Json
from outgate.version import __version__

__all__ = ["sarif"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_FILE = "file"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_OPEN = frozenset(GROUPS["What is open"])
_SECURITY = {Severity.ERROR: "7.5", Severity.WARNING: "5.0", Severity.INFO: "2.0"}


def sarif(report: LintReport, errors: Iterable[InputError] = (), base: str = "") -> Json:
    """The document. `base`: the folder that paths are written relative to, with a slash at its end; empty for none."""
    numbers = {name: number for number, name in enumerate(report.rules)}
    results = [_result(one, numbers, base) for one in report.findings]
    for one, reason in report.annotated:
        results.append(_result(one, numbers, base) | {"suppressions": [{"kind": "inSource", "justification": reason}]})
    put_away: Json = {"suppressions": [{"kind": "external"}]}
    results.extend(_result(one, numbers, base) | put_away for one in report.baselined)
    problems = [_notification(one, base) for one in errors]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "outgate", "version": __version__, "rules": _rules(report.rules)}},
                "originalUriBaseIds": {"SRCROOT": {"description": {"text": "where the command was run"}}},
                "invocations": [
                    {"executionSuccessful": not problems, "toolExecutionNotifications": problems},
                ],
                "results": results,
                "columnKind": "unicodeCodePoints",
            }
        ],
    }


def _rules(names: Sequence[str]) -> list[Json]:
    return [_rule(name) for name in names]


def _rule(name: str) -> Json:
    check = load(name)
    documentation = check.documentation
    what, why = documentation.sections["What it does"], documentation.sections["Why it matters"]
    markdown = "\n\n".join(f"**{title}**\n\n{_markdown(title, text)}" for title, text in documentation.sections.items())
    properties: Json = {"tags": ["network-policy", "kubernetes"], "precision": "high"}
    if name in _OPEN:
        properties |= {"tags": ["security", *properties["tags"]], "security-severity": _SECURITY[check.severity]}
    return {
        "id": name,
        "shortDescription": {"text": documentation.title},
        "fullDescription": {"text": " ".join(what.split())},
        "help": {"text": f"{what}\n\n{why}", "markdown": markdown},
        "defaultConfiguration": {"level": _LEVELS[check.severity]},
        "properties": properties,
    }


def _markdown(title: str, text: str) -> str:
    return f"```yaml\n{text}\n```" if "xample" in title else text


def _sentence(text: str) -> str:
    """With a capital letter, unless it begins with a command that can be copied."""
    return text if text.startswith("outgate ") else f"{text[:1].upper()}{text[1:]}"


def _result(reported: Reported, numbers: dict[str, int], base: str) -> Json:
    one: Finding = reported.finding
    message = f"{one.message}. {_sentence(one.help)}." if one.help else f"{one.message}."
    if one.witness is not None:
        message += f" Packet: {one.witness}."
    name = f"{one.subject.namespace}/{one.subject.name}" if one.subject.namespace else one.subject.name
    result: Json = {
        "ruleId": one.rule,
        "ruleIndex": numbers[one.rule],
        "level": _LEVELS[one.severity],
        "message": {"text": message},
        "locations": [
            {
                "physicalLocation": _location(one.place, base),
                "logicalLocations": [{"fullyQualifiedName": f"{one.subject.kind}/{name}", "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"outgate/v1": reported.fingerprint},
    }
    if one.related:
        result["relatedLocations"] = [
            {"id": number, "physicalLocation": _location(other.place, base), "message": {"text": other.words}}
            for number, other in enumerate(one.related, 1)
        ]
    return result


def _location(place: Place, base: str) -> Json:
    # GitHub shows a result without a region nowhere: what has no line is shown at the beginning.
    return _physical(file_of(place), line_of(place) or 1, base)


def _physical(file: str, line: int, base: str) -> Json:
    return {"artifactLocation": _artifact(file, base), "region": {"startLine": line}}


def _artifact(file: str, base: str) -> Json:
    if file.startswith("/"):
        if not (base and file.startswith(base)):
            return {"uri": f"{_FILE}://{quote(file)}"}
        file = file[len(base) :]
    file = file.removeprefix("./")
    # Standard input has no file; a colon in the first segment would make it a scheme (RFC 3986, 4.2).
    return {"uri": quote(file if file not in ("", "-") else "stdin"), "uriBaseId": "SRCROOT"}


def _notification(one: InputError, base: str) -> Json:
    words = f"{one.path}: {one.message}" if one.path else one.message
    return {
        "level": "error",
        "message": {"text": words},
        "locations": [{"physicalLocation": _physical(one.file, one.line or 1, base)}],
    }
