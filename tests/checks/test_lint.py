"""One run: what is shown, and what is put away, by whom and why."""

from __future__ import annotations

import dataclasses

from outgate.checks import Severity, Survey
from outgate.checks.lint import ANNOTATION, LintReport, Selection, annotations_of, lint
from outgate.cluster.files import documents_of
from outgate.cluster.reading import Unreadable
from outgate.model import NOWHERE
from outgate.model.parse import parse
from outgate.testing import Manifest, pod, snapshot_of
from tests.checks.asking import block, cilium, deny, egress, entry, to

WEB = pod("shop/web", ["10.1.0.1"], app="web")
EMPTY = to(block("10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9"))
RULES = ("dns-egress-missing", "empty-block", "no-default-deny")


def annotated(manifest: Manifest, **reasons: str) -> Manifest:
    """A manifest with reasons to ignore checks."""
    found = {ANNOTATION + name.replace("_", "-"): reason for name, reason in reasons.items()}
    return manifest | {"metadata": manifest["metadata"] | {"annotations": found}}


def ask(*cluster: Manifest, **settings: object) -> LintReport:
    """A run of a few checks."""
    selection = dataclasses.replace(Selection(RULES), **settings)  # type: ignore[arg-type]  # fields of it
    return lint(Survey(snapshot_of(cluster)), selection)


def shown(report: LintReport) -> list[str]:
    """What is shown, by check."""
    return [one.finding.rule for one in report.findings]


def test_an_annotation_with_a_reason_puts_away() -> None:
    """On the object that the finding is about, and of that check alone."""
    report = ask(WEB, annotated(deny(), dns_egress_missing="dials addresses"), egress("shop/p", EMPTY))
    assert shown(report) == ["empty-block"]
    ((one, reason),) = report.annotated
    assert (one.finding.rule, reason) == ("dns-egress-missing", "dials addresses")


def test_without_a_reason_it_does_not() -> None:
    """And it is said, as is a name that no check has."""
    report = ask(WEB, annotated(deny(), dns_egress_missing=" ", nothing="why"))
    assert shown(report) == ["dns-egress-missing"]
    assert [one.message for one in report.warnings] == [
        "no reason is given, so nothing is ignored: write why as the value",
        "there is no check nothing: nothing is ignored",
    ]


def test_annotations_of_policies_of_other_kinds() -> None:
    """Of one of Cilium's with several specs they are the object's, and are said once."""
    many = cilium("shop/p", entry(443))
    many["specs"] = [many.pop("spec"), cilium("shop/p", entry(443), app="web")["spec"]]
    report = ask(WEB, annotated(many, ports_without_to="a crawler", nothing="why"), rules=("ports-without-to",))
    assert [one.finding.rule for one, _ in report.annotated] == ["ports-without-to"] * 2
    assert [(one.message, one.path) for one in report.warnings] == [
        ("there is no check nothing: nothing is ignored", "metadata.annotations.ignore.outgate.dev/nothing")
    ]


def test_objects_other_than_policies_have_annotations_too() -> None:
    """The reader lets go of what it does not need, and reads it again."""
    text = b"""
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata:
    name: shop
    annotations: {ignore.outgate.dev/no-default-deny: a sandbox}
- apiVersion: v1
  kind: Pod
  metadata: {name: web, namespace: shop, labels: {app: web}}
  spec: {containers: [{name: main, image: app}]}
"""
    as_json = (
        b'{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name":'
        b' "shop", "annotations": {"ignore.outgate.dev/no-default-deny": "a sandbox"}}}, {"apiVersion": "v1", "kind":'
        b' "Pod", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"containers": [{"name": "m"}]}}]}'
    )
    for data in (text, as_json):
        snapshot = parse(documents_of(data, "x", Unreadable())).snapshot
        report = lint(Survey(snapshot), Selection(RULES))
        assert [(one.finding.rule, reason) for one, reason in report.annotated] == [("no-default-deny", "a sandbox")]
        assert report.findings == ()


def test_what_has_no_document_has_no_annotations() -> None:
    """A namespace that only a pod mentions."""
    assert annotations_of(NOWHERE.document) == {}


def test_a_baseline_puts_away_what_it_holds() -> None:
    """What is new is shown, and what is gone is counted."""
    before = ask(WEB, deny())
    (old,) = before.findings
    report = ask(WEB, deny(), egress("shop/p", EMPTY), known={old.fingerprint, "gone"})
    assert shown(report) == ["empty-block"]
    assert [one.fingerprint for one in report.baselined] == [old.fingerprint]
    assert report.stale == ("gone",)


def test_other_severities() -> None:
    """Of the configuration; the counts and the worst follow."""
    report = ask(WEB, deny(), egress("shop/p", EMPTY), severities={"dns-egress-missing": Severity.INFO})
    assert {one.finding.rule: one.finding.severity for one in report.findings} == {
        "dns-egress-missing": Severity.INFO,
        "empty-block": Severity.WARNING,
    }
    assert (report.count(Severity.INFO), report.count(Severity.ERROR), report.worst()) == (1, 0, Severity.WARNING)
    assert ask(rules=()).worst() is None
