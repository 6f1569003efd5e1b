"""Code quality for GitLab: the four fields that it asks for, and a path that it finds."""

from __future__ import annotations

from outgate.report.lint_gitlab import lint_gitlab
from tests.report.findings import HELM, report


def test_the_fields() -> None:
    """Each with a fingerprint of its own."""
    found = lint_gitlab(report())
    assert {one["severity"] for one in found} <= {"major", "minor", "info"}
    assert len({one["fingerprint"] for one in found}) == len(found)
    for one in found:
        assert one["description"]
        assert one["location"] == {"path": "k8s/np.yaml", "lines": {"begin": one["location"]["lines"]["begin"]}}


def test_paths() -> None:
    """Relative to the repository, and without a dot in front."""
    for file, base in (("/repo/k8s/np.yaml", "/repo/"), ("./k8s/np.yaml", "/repo/")):
        assert {one["location"]["path"] for one in lint_gitlab(report(file=file), base)} == {"k8s/np.yaml"}
    assert lint_gitlab(report(HELM, "-"))[0]["location"] == {"path": "chart/templates/np.yaml", "lines": {"begin": 1}}
