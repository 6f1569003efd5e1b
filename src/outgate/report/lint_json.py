"""A lint report as JSON: the kind LintReport (docs/schema/LintReport.json)."""

from __future__ import annotations

from collections.abc import Iterable

from outgate.analysis.spelling import spell_protocol
from outgate.checks.finding import Finding, Witness
from outgate.checks.lint import LintReport, Reported
from outgate.errors import InputError
from outgate.packets import Protocol
from outgate.report.lint_words import file_of, line_of
from outgate.report.terms import API_VERSION, Json

__all__ = ["error_json", "lint_json"]


def lint_json(report: LintReport, errors: Iterable[InputError] = ()) -> Json:
    """The document. `errors`: what of the input could not be used."""
    return {
        "apiVersion": API_VERSION,
        "kind": "LintReport",
        "rules": list(report.rules),
        "findings": [_finding(one) for one in report.findings],
        "suppressed": [
            *({**_finding(one), "by": "annotation", "reason": reason} for one, reason in report.annotated),
            *({**_finding(one), "by": "baseline"} for one in report.baselined),
        ],
        "errors": [error_json(one) for one in errors],
        "warnings": [error_json(one) for one in report.warnings],
    }


def error_json(one: InputError) -> Json:
    """InputError = {file, line, path, message}."""
    return {"file": one.file, "line": one.line, "path": one.path, "message": one.message}


def _finding(reported: Reported) -> Json:
    one: Finding = reported.finding
    return {
        "rule": one.rule,
        "severity": str(one.severity),
        "message": one.message,
        "object": {"kind": one.subject.kind, "namespace": one.subject.namespace, "name": one.subject.name},
        "file": file_of(one.place),
        "line": line_of(one.place) or None,
        "path": one.place.path,
        "fixable": one.fixable,
        "witness": None if one.witness is None else _witness(one.witness),
        "help": one.help,
        "related": [
            {
                "file": file_of(other.place),
                "line": line_of(other.place) or None,
                "path": other.place.path,
                "message": other.words,
            }
            for other in one.related
        ],
        "fingerprint": reported.fingerprint,
    }


def _witness(one: Witness) -> Json:
    packet = one.packet
    ports = packet.protocol in tuple(Protocol) and Protocol(packet.protocol).has_ports
    return {
        "source": {"name": one.source, "address": str(packet.source)},
        "destination": {"name": one.destination, "address": str(packet.destination)},
        "protocol": spell_protocol(packet.protocol),
        "port": packet.coordinate if ports else None,
        "verdict": "Allow" if one.passes else "Deny",
    }
