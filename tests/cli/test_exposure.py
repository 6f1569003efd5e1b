"""`outgate exposure` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outgate.cli.exposure import FAIL_ON
from outgate.cli.main import main
from tests.report.schema import complaints

CLUSTER = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: example/c}]}
status: {phase: Running, podIPs: [{ip: 10.1.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: free, namespace: other}
spec: {containers: [{name: c, image: example/c}]}
status: {phase: Running, podIPs: [{ip: 10.1.0.2}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
    - to: [{ipBlock: {cidr: 8.8.8.0/24}}]
"""


@pytest.fixture
def cluster(tmp_path: Path) -> str:
    """A file with one workload that is held and one that is not."""
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER, encoding="utf-8")
    return str(path)


def test_a_report_is_no_failure(cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it says: who wants a failure asks for one."""
    assert main(["exposure", "-f", cluster]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("2 workloads, the most exposed first\n")
    assert "cluster.yaml:25" in said.out
    assert said.err == "note: not in the input, so only their names are known: namespace other\n"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--fail-on", "metadata"], 1),
        (["--fail-on", "internet-part", "-n", "shop"], 1),
        (["--fail-on", "metadata", "--fail-on", "unisolated", "-n", "shop"], 0),
        (["--fail-on", "dns", "--focus", "shop/web"], 0),
        (["--fail-on", "dns", "--focus", "other/free"], 1),
        (["--fail-on", "dns", "--focus", "other/free", "--focus", "shop/web"], 1),
        (["--fail-on", "namespaces", "--fail-on", "nodes", "-n", "shop"], 0),
    ],
)
def test_fail_on_is_about_the_workloads_that_are_shown(
    options: list[str], code: int, cluster: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 is a finding that was asked for; which, stands on standard error."""
    assert main(["exposure", "-f", cluster, *options]) == code
    assert ("exposed: " in capsys.readouterr().err) == (code == 1)


def test_json_of_a_namespace(cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
    """-n shows the workloads of that namespace; what they reach is still asked of all."""
    assert main(["exposure", "-f", cluster, "-n", "shop", "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    (web,) = document["workloads"]
    assert web["workload"] == {"kind": "Pod", "namespace": "shop", "name": "web"}
    assert web["namespaces"]["others"] == 1
    assert web["findings"] == ["internet-part", "open-ingress"]
    assert web["ranges"][0]["allowedBy"][0]["line"] == 25


@pytest.mark.parametrize(("output", "first"), [("csv", "rank,namespace,"), ("markdown", "### Exposure of 2 ")])
def test_other_formats(output: str, first: str, cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One file each, the same report."""
    assert main(["exposure", "-q", "-f", cluster, "-o", output]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(first)
    assert said.err == ""


@pytest.mark.parametrize(
    "options",
    [
        ["--focus", "shop/nobody"],
        ["--focus", "10.1.0.1"],
        ["--focus", "a/b/c/d"],
        ["--fail-on", "everything"],
        ["-n", "shpo"],
        ["-n", ""],
    ],
)
def test_what_cannot_be_asked_is_2(options: list[str], cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed that could be taken for an answer."""
    assert main(["exposure", "-f", cluster, *options]) == 2
    assert capsys.readouterr().out == ""


def test_no_input_is_2_and_empty_input_is_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty file has no workloads, and none of them is exposed."""
    assert main(["exposure"]) == 2
    empty = tmp_path / "empty.yaml"
    empty.write_text("", encoding="utf-8")
    assert main(["exposure", "-f", str(empty), *(f"--fail-on={name}" for name in FAIL_ON)]) == 0
    assert capsys.readouterr().out == "no workloads\n"


def test_verbose_shows_every_block(cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And --focus one, with no table."""
    main(["exposure", "-v", "-f", cluster])
    assert capsys.readouterr().out.count("\n  egress ") == 2
    main(["exposure", "-f", cluster, "--focus", "shop/web"])
    assert capsys.readouterr().out.startswith("1  shop/web\n  egress ")
