"""One run of the checks: which are asked, what they find, and what of that is not to be shown.

A finding may be put away in three ways, and each is said: by an annotation of its object, with a reason; by the
configuration; by a baseline, which holds what was there before anybody looked.

    metadata:
      annotations:
        ignore.outgate.dev/dns-egress-missing: dials addresses only
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property

from outgate.checks.finding import Finding, Severity
from outgate.checks.registry import NAMES, run
from outgate.checks.survey import Survey
from outgate.errors import InputError
from outgate.model import CiliumPolicy, Document, Place
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


class _Fingerprints:
    """Those of one run, worked out when the first is asked for: what people read has none of them."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._findings = findings

    @cached_property
    def all(self) -> tuple[str, ...]:
        """By the number of the finding."""
        from outgate.checks.fingerprint import fingerprints  # noqa: PLC0415 - see above

        return fingerprints(self._findings)


@dataclass(frozen=True, slots=True)
class Reported:
    """A finding with its fingerprint."""

    finding: Finding
    number: int
    """Which of its run it is."""
    run: _Fingerprints = field(repr=False, compare=False)

    @property
    def fingerprint(self) -> str:
        """Its name in a baseline, and wherever else reports of several days are compared."""
        return self.run.all[self.number]


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
    fingerprints = _Fingerprints(ordered)
    for number, finding in enumerate(ordered):
        reported = Reported(finding, number, fingerprints)
        reason = annotations_of(finding.place.document).get(ANNOTATION + finding.rule)
        if isinstance(reason, str) and reason.strip():
            annotated.append((reported, reason.strip()))
        elif asked.known and reported.fingerprint in asked.known:
            baselined.append(reported)
        else:
            kept.append(reported)
    # Without a baseline no fingerprint is worked out.
    met = (*baselined, *(one for one, _ in annotated)) if asked.known else ()
    stale = set(asked.known) - {one.fingerprint for one in met}
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
    for policy in survey.snapshot.every_policy:
        whole = policy.place
        if isinstance(policy, CiliumPolicy) and policy.index is not None:
            # One of the `specs` of an object, whose annotations are those of the object.
            whole = Place(whole.document, whole.at[:-2])
        for key, reason in policy.annotations.items():
            if not key.startswith(ANNOTATION):
                continue
            place = whole / "metadata" / "annotations" / key
            name = key.removeprefix(ANNOTATION)
            if name not in NAMES:
                words = f"there is no check {name}: nothing is ignored"
            elif not reason.strip():
                words = "no reason is given, so nothing is ignored: write why as the value"
            else:
                continue
            yield complaint(place, words)
