"""`outgate list` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outgate.cli.main import main
from tests.report.schema import complaints

BROKEN = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: x, namespace: production}
spec: {egress: 1}
"""


@pytest.fixture
def recipes(repository: Path) -> str:
    """The folder of the example cluster."""
    return str(repository / "examples" / "recipes")


def test_json_keeps_to_its_schema(recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What other tools read."""
    assert main(["list", "-f", recipes, "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    found = {
        (one["source"].get("name"), one["destination"].get("name")): one["allowed"] for one in document["connections"]
    }
    assert found["web-api", "postgres"] == [{"protocol": "TCP", "ports": [[5432, 5432]]}]
    assert ("batch", "postgres") not in found


@pytest.mark.parametrize("form", ["text", "json", "csv", "markdown", "mermaid", "dot"])
def test_every_format_is_stable_and_quiet(recipes: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same input gives the same text; notes go elsewhere."""
    assert main(["list", "-f", recipes, "-o", form]) == 0
    first = capsys.readouterr()
    assert main(["list", "-f", recipes, "-o", form, "-q"]) == 0
    assert capsys.readouterr().out == first.out
    assert first.out.endswith("\n")
    assert first.err == ""


def test_filters(recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By workload, direction, port and namespace."""
    assert main(["list", "-f", recipes, "--focus", "production/web-api", "--direction", "ingress"]) == 0
    assert "  → production/web-api   every port" in capsys.readouterr().out
    assert main(["list", "-f", recipes, "--port", "5432/tcp", "-n", "production", "--direction", "egress"]) == 0
    assert capsys.readouterr().out == "production/web-api\n  → production/postgres   TCP 5432\n"
    assert main(["list", "-f", recipes, "-v", "-n", "monitoring", "--direction", "egress"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("monitoring/prometheus\n  → every other workload   every port\n")
    assert said.err == "note: 5 groups of pods of 5 kinds, 3 policies\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--focus", "production/nobody"], "production/nobody"),
        (["--focus", "10.0.0.1"], "no pod and no workload"),
        (["--focus", "svc/production/postgres"], "no pod and no workload"),
        (["--focus", "production/web-api[app=nobody]"], "they have app=web-api"),
        (["-n", "prodcution"], "did you mean production?"),
        (["--profiles-differ", "-n", "prodcution"], "did you mean production?"),
        (["--port", "http"], "443 or 8000-8010/UDP"),
        (["--port", "tcp/443"], "did you mean 443/TCP?"),
        (["--port", "0"], "between 1 and 65535"),
        (["--port", "9-8"], "between 1 and 65535"),
        (["--port", "80/ICMP"], "TCP, UDP, SCTP"),
        (["--port", "80/"], "443 or 8000-8010/UDP"),
    ],
)
def test_what_cannot_be_asked_is_2(
    recipes: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused with a sentence, and nothing on standard output."""
    assert main(["list", "-f", recipes, *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err


def test_a_broken_policy_is_set_apart(recipes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list is about the rest, and says so; with --strict there is none."""
    file = tmp_path / "broken.yaml"
    file.write_text(BROKEN)
    assert main(["list", "-f", recipes, "-f", str(file)]) == 0
    said = capsys.readouterr()
    assert "set apart: " in said.err
    assert "production/web-api" in said.out
    assert main(["list", "-f", recipes, "-f", str(file), "--strict"]) == 2
    assert capsys.readouterr().out == ""


def test_no_input_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to read is a mistake, not an empty cluster."""
    assert main(["list"]) == 2
    assert "no input" in capsys.readouterr().err


def test_another_profile_is_said(recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer of another plugin must not be taken for ours."""
    assert main(["list", "-f", recipes, "--profile", "cilium", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["profile"] == "cilium"


def test_profiles_differ(recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A difference is exit code 1; and what means nothing beside the option is refused."""
    assert main(["list", "-f", recipes, "--profiles-differ"]) == 1
    assert "production/postgres → svc/production/postgres\n" in capsys.readouterr().out
    assert main(["list", "-f", recipes, "--profiles-differ", "-o", "json"]) == 1
    assert complaints(json.loads(capsys.readouterr().out)) == []
    assert main(["list", "-f", recipes, "--profiles-differ", "-n", "monitoring"]) == 0
    assert capsys.readouterr().out.startswith("no verdict depends")
    for arguments in (["--port", "80"], ["--direction", "egress"], ["--profile", "cilium"], ["-o", "csv"], ["-n", "x"]):
        assert main(["list", "-f", recipes, "--profiles-differ", *arguments]) == 2
        assert capsys.readouterr().out == ""


def test_what_it_prints_can_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`shop/ReplicaSet/web[version=v2]` is copied from the list into the next question."""
    owner = '{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: "1", controller: true}'
    pods = (
        f"{{apiVersion: v1, kind: Pod, metadata: {{name: web-{n}, namespace: shop, ownerReferences: [{owner}], "
        f"labels: {{version: v{n}}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}\n"
        for n in (1, 2)
    )
    policy = (
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: shop}, "
        "spec: {podSelector: {matchLabels: {version: v2}}, policyTypes: [Egress]}}\n"
    )
    file = tmp_path / "shop.yaml"
    file.write_text("---\n".join((*pods, policy)))
    part = "shop/ReplicaSet/web[version=v1]"
    assert main(["list", "-f", str(file)]) == 0
    assert part in capsys.readouterr().out
    assert main(["list", "-f", str(file), "--focus", part, "--direction", "egress"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == part
    assert main(["can-reach", "-f", str(file), part, "1.1.1.1:443", "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    assert document["source"]["part"] == ["version=v1"]
    assert main(["can-reach", "-f", str(file), "shop/ReplicaSet/web[version=v2]", "1.1.1.1:443"]) == 1
    capsys.readouterr()
    assert main(["graph", "-f", str(file), part]) == 0
    assert 'subject(["shop/web#91;version#61;v1#93; · ReplicaSet"])' in capsys.readouterr().out
    assert main(["exposure", "-f", str(file), "--focus", part]) == 0
    assert capsys.readouterr().out.startswith(f"1  {part}\n")
