"""One run of the checks: which are asked, what they find, and what of that is not to be shown.

A finding may be put away in three ways, and each is said: by an annotation of its object, with a reason; by the
configuration; by a baseline, which holds what was there before anybody looked.

    metadata:
      annotations:
        ignore.outgate.dev/dns-egress-missing: dials addresses only
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field

from outgate.checks.finding import Finding, Severity, fingerprints
from outgate.checks.registry import NAMES, run
from outgate.checks.survey import Survey
from outgate.errors import InputError
from outgate.model import Document
from outgate.model.place import complaint
from outgate.records import dataclass

__all__ = ["ANNOTATION", "LintReport", "Reported", "Selection", "annotations_of", "lint"]

ANNOTATION = "ignore.outgate.dev/"
"""What an annotation that puts a finding away begins with; the name of the check follows, and its value is why."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which checks are asked, and how seriously their findings are taken."""

    rules: tuple[str, ...] = NAMES
    severities: Mapping[str, Severity] = field(default_factory=dict)
    """Other severities than the checks' own."""
    known: Collection[str] = frozenset()
    """The fingerprints of a baseline."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A finding with its fingerprint."""

    finding: Finding
    fingerprint: str


@dataclass(frozen=True, slots=True)
class LintReport:
    """What one run has found, by file and line."""

    rules: tuple[str, ...]
    findings: tuple[Reported, ...]
    annotated: tuple[tuple[Reported, str], ...] = ()
    """What annotations have put away, each with its reason."""
    baselined: tuple[Reported, ...] = ()
    """What was in the baseline."""
    stale: tuple[str, ...] = ()
    """Fingerprints of the baseline that nothing has any more."""
    warnings: tuple[InputError, ...] = ()
    """Annotations that put nothing away, and why."""

    def count(self, severity: Severity) -> int:
        """The findings of one severity."""
        return sum(one.finding.severity is severity for one in self.findings)

    def worst(self) -> Severity | None:
        """The highest severity; None without findings."""
        return max((one.finding.severity for one in self.findings), default=None)


def lint(survey: Survey, selection: Selection | None = None) -> LintReport:
    """Ask the selected checks."""
    asked = selection or Selection()
    found = (_weighed(one, asked) for one in run(survey, asked.rules))
    ordered = tuple(sorted(found, key=lambda one: one.order))
    kept: list[Reported] = []
    annotated: list[tuple[Reported, str]] = []
    baselined: list[Reported] = []
    for finding, print_ in zip(ordered, fingerprints(ordered), strict=True):
        reported = Reported(finding, print_)
        reason = annotations_of(finding.place.document).get(ANNOTATION + finding.rule)
        if isinstance(reason, str) and reason.strip():
            annotated.append((reported, reason.strip()))
        elif print_ in asked.known:
            baselined.append(reported)
        else:
            kept.append(reported)
    stale = set(asked.known) - {one.fingerprint for one in baselined} - {one.fingerprint for one, _ in annotated}
    return LintReport(
        tuple(asked.rules),
        tuple(kept),
        tuple(annotated),
        tuple(baselined),
        tuple(sorted(stale)),
        tuple(dict.fromkeys(_complaints(survey))),
    )


def annotations_of(document: Document) -> Mapping[str, object]:
    """The annotations of an object; none where they cannot be read."""
    value = document.whole()
    metadata = value.get("metadata") if isinstance(value, dict) else None
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def _weighed(finding: Finding, asked: Selection) -> Finding:
    severity = asked.severities.get(finding.rule)
    return finding if severity is None else dataclasses.replace(finding, severity=severity)


def _complaints(survey: Survey) -> Iterator[InputError]:
    """Annotations of policies that were meant to put something away, and do not."""
    for policy in survey.snapshot.policies:
        for key, reason in policy.annotations.items():
            if not key.startswith(ANNOTATION):
                continue
            place = policy.place / "metadata" / "annotations" / key
            name = key.removeprefix(ANNOTATION)
            if name not in NAMES:
                words = f"there is no check {name}: nothing is ignored"
            elif not reason.strip():
                words = "no reason is given, so nothing is ignored: write why as the value"
            else:
                continue
            yield complaint(place, words)
