"""A baseline: what was found before anybody looked, so that only what is new makes a build fail.

    {"apiVersion": "outgate.dev/v1", "kind": "LintBaseline",
     "findings": [{"fingerprint": "…", "rule": "no-default-deny", "object": "Namespace shop", "message": "…"}]}

Only the fingerprint counts; the rest is for whoever reads the file in a review.
"""

from __future__ import annotations

from collections.abc import Mapping

from outgate.checks.lint import LintReport
from outgate.errors import InputError
from outgate.model import Document, Place
from outgate.model.place import complaint

__all__ = ["baseline_of", "read_baseline"]

API_VERSION = "outgate.dev/v1"
KIND = "LintBaseline"


def baseline_of(report: LintReport) -> dict[str, object]:
    """The document that puts away all that a report shows, and what its own baseline has put away already."""
    every = sorted((*report.findings, *report.baselined), key=lambda one: (one.finding.order, one.fingerprint))
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "findings": [
            {
                "fingerprint": one.fingerprint,
                "rule": one.finding.rule,
                "object": str(one.finding.subject),
                "message": one.finding.message,
            }
            for one in every
        ],
    }


def read_baseline(document: Document) -> tuple[frozenset[str], tuple[InputError, ...]]:
    """The fingerprints of a baseline, and what is wrong with it."""
    place, value = Place(document), document.value
    if not isinstance(value, Mapping) or (value.get("apiVersion"), value.get("kind")) != (API_VERSION, KIND):
        words = f"this is no baseline: it must have apiVersion {API_VERSION} and kind {KIND}"
        return frozenset(), (complaint(place, words),)
    findings = value.get("findings")
    if not isinstance(findings, list):
        return frozenset(), (complaint(place / "findings", "must be a list"),)
    found, errors = set(), []
    for number, one in enumerate(findings):
        fingerprint = one.get("fingerprint") if isinstance(one, Mapping) else None
        if isinstance(fingerprint, str) and fingerprint:
            found.add(fingerprint)
        else:
            errors.append(complaint(place / "findings" / number, "has no fingerprint"))
    return frozenset(found), tuple(errors)
