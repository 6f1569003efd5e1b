"""`outgate lint` as a user runs it: codes, formats, settings, fixes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml

from outgate.cli.main import main
from tests.report.findings import CLUSTER, HELM
from tests.report.schema import complaints

CLEAN = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody, namespace: empty}
spec: {podSelector: {}, policyTypes: [Egress]}
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test in a folder of its own, where settings are looked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s" / "np.yaml").write_text(CLUSTER, encoding="utf-8")
    return tmp_path


def test_findings_are_a_failure_from_a_severity_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors, warnings and notes are all shown, whatever fails."""
    assert main(["lint", "-f", "k8s"]) == 1
    shown = capsys.readouterr().out
    assert "[dns-egress-missing]" in shown or "[union-widens]" in shown
    assert main(["lint", "-f", "k8s", "--fail-on", "never"]) == 0
    assert capsys.readouterr().out == shown
    only = ["--select", "ipv6-forgotten"]
    assert main(["lint", "-f", "k8s", *only]) == 0
    assert main(["lint", "-f", "k8s", *only, "--fail-on", "info"]) == 1


def test_nothing_found_is_0(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says how many checks were asked."""
    (elsewhere / "clean.yaml").write_text(CLEAN, encoding="utf-8")
    assert main(["lint", "-f", "clean.yaml"]) == 0
    assert capsys.readouterr().out.startswith("nothing found by ")


@pytest.mark.parametrize("form", ["text", "json", "sarif", "junit", "github", "gitlab", "markdown"])
def test_every_format_on_standard_output_and_in_a_file(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same, with a line at its end; files have no colours."""
    assert main(["lint", "-f", "k8s", "-o", form, "--write", f"{form}=report", "--color", "always"]) == 1
    said = capsys.readouterr()
    written = Path("report").read_text(encoding="utf-8")
    assert "\x1b" not in written
    assert written.endswith("\n")
    if form != "text":
        assert said.out == written
    if form == "json":
        assert complaints(json.loads(written)) == []


def test_several_files_at_once() -> None:
    """One run for the terminal, the code host and the build server."""
    files = [*("--write", "sarif=a.sarif"), *("--write", "junit=b.xml")]
    assert main(["lint", "-f", "k8s", *files]) == 1
    assert Path("a.sarif").read_text(encoding="utf-8").startswith("{")
    assert Path("b.xml").read_text(encoding="utf-8").startswith("<?xml")


def test_a_broken_file_is_2_and_the_rest_is_looked_at(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In every format the error is there beside the findings."""
    (elsewhere / "k8s" / "broken.yaml").write_text("a: [\n", encoding="utf-8")
    assert main(["lint", "-f", "k8s", "-o", "json"]) == 2
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["findings"]
    assert [one["file"] for one in document["errors"]] == ["k8s/broken.yaml"]
    assert "k8s/broken.yaml:1" in said.err


def test_what_helm_renders(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """From standard input, with the templates named; nothing of it can be mended here."""
    standard = io.TextIOWrapper(io.BytesIO(HELM.encode()))
    monkeypatch.setattr("sys.stdin", standard)
    assert main(["lint", "-f", "-", "--fix"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("chart/templates/np.yaml (rendered line 9): error: ")
    assert "note: - is not mended: only files are" in said.err


def test_fix_shows_and_then_does(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--diff` writes nothing; the fix leaves every other byte; a second run has nothing to mend."""
    file = elsewhere / "k8s" / "np.yaml"
    assert main(["lint", "-f", "k8s", "--fix", "--diff"]) == 1
    diff = capsys.readouterr().out
    assert diff.startswith("--- a/k8s/np.yaml\n+++ b/k8s/np.yaml\n@@ ")
    assert file.read_text(encoding="utf-8") == CLUSTER
    main(["lint", "-f", "k8s", "--fix"])
    assert "mended: k8s/np.yaml" in capsys.readouterr().err
    changed = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    after = file.read_text(encoding="utf-8")
    for line in changed:
        assert (line[1:] in after) == line.startswith("+")
    assert main(["lint", "-f", "k8s", "--fix", "--diff"]) == 0
    assert capsys.readouterr().out == ""
    assert "kubernetes.io/metadata.name: data" in after


def test_a_baseline_puts_away_and_ages(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing new is 0; something new is 1; what is gone is said."""
    assert main(["lint", "-f", "k8s", "--write-baseline", "base.json"]) == 1
    assert complaints(json.loads(Path("base.json").read_text(encoding="utf-8"))) == []
    assert main(["lint", "-f", "k8s", "--baseline", "base.json", "--fail-on", "info"]) == 0
    assert "by the baseline" in capsys.readouterr().out
    (elsewhere / "k8s" / "np.yaml").write_text(CLEAN, encoding="utf-8")
    assert main(["lint", "-f", "k8s", "--baseline", "base.json"]) == 0
    assert "findings of the baseline are gone" in capsys.readouterr().err


def test_reasons_are_told_with_v(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever audits wants to know why."""
    main(["lint", "-f", "k8s", "-v"])
    assert "selector-matches-nothing is put away: made by | an <operator>" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--select", "dns-egress-mising"], "did you mean dns-egress-missing?"),
        (["--ignore", "x"], "there is no check x"),
        (["--diff"], "give both"),
        (["--dns-name", "a.x=here"], "write it NAME=ADDRESS"),
        (["--write", "sarif"], "FORMAT=FILE"),
        (["--write", "pdf=x"], "FORMAT=FILE"),
        (["--write", "json=no/such/folder"], "cannot be written"),
        (["--baseline", "none.json"], "none.json: cannot be read"),
        (["--config", "none.yaml"], "none.yaml: cannot be read"),
        (["--write-baseline", "no/such/folder"], "cannot be written"),
    ],
)
def test_what_cannot_be_asked_is_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence that helps."""
    assert main(["lint", "-f", "k8s", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_names_that_are_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two of one address, found at the line of the name that opens it."""
    policy = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"endpointSelector": {}, "egress": [{"toFQDNs": [{"matchName": "a.x"}]}]},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": [{"name": "main", "image": "app"}]},
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump_all([policy, pod]), encoding="utf-8")
    asked = ["lint", "-f", str(tmp_path / "p.yaml"), "--select", "fqdn-shared-ip"]
    assert main(asked) == 0
    given = [*asked, "--dns-name", "a.x=203.0.113.1", "--dns-name", "b.x=203.0.113.1"]
    capsys.readouterr()
    assert main(given) == 1
    assert "p.yaml:9: warning: shop/p egress[0] opens b.x to shop/web as well" in capsys.readouterr().out


def test_without_input(capsys: pytest.CaptureFixture[str]) -> None:
    """As everywhere."""
    assert main(["lint"]) == 2
    assert "no input" in capsys.readouterr().err
