"""`outgate new` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from outgate.cli.main import main
from outgate.recipes import RECIPES
from tests.recipes.town import TOWN


@pytest.fixture
def town(tmp_path: Path) -> str:
    """A file of the cluster."""
    path = tmp_path / "town.yaml"
    path.write_text(TOWN, encoding="utf-8")
    return str(path)


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each."""
    assert main(["new"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [one.name for one in RECIPES]


def test_written_validated_linted_and_tested(town: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The way of a user, with each verb by itself."""
    arguments = ["new", "zero-trust-namespace", "-n", "shop", "--from", "edge", "-f", town]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "note: what the workloads call" in said.err
    policies, suite = tmp_path / "new.yaml", tmp_path / "test.yaml"
    policies.write_text(said.out, encoding="utf-8")
    suite.write_text(
        "apiVersion: outgate.dev/v1\nkind: ReachabilityTest\nassertions:\n"
        "  - {to: shop/db, exactly: [{from: edge/*, port: 5432}]}\n"
        "  - {from: shop/*, exactly: [{to: kube-system/coredns, port: [5353/UDP, 5353/TCP]}]}\n",
        encoding="utf-8",
    )
    assert main(["validate", "-f", str(policies)]) == 0
    assert main(["test", str(suite), "-f", town, "-f", str(policies)]) == 0
    capsys.readouterr()
    main(["lint", "-f", town, "-f", str(policies), "-o", "json"])
    report = json.loads(capsys.readouterr().out)
    assert [one for one in report["findings"] if one["file"] == str(policies) and one["severity"] != "info"] == []
    assert main([*arguments, "-o", "json", "-q"]) == 0
    said_again = capsys.readouterr()
    assert json.loads(said_again.out)["items"] == list(yaml.safe_load_all(said.out))
    assert said_again.err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["alow-dns"], "did you mean allow-dns"),
        (["allow-dns", "default-deny-all"], "one recipe at a time"),
        (["allow-dns", "-A"], "belongs to one namespace"),
        (["allow-dns", "-n", "shpo", "-f", "TOWN"], "did you mean"),
        (["allow-dns", "--port", "53"], "takes no --port"),
        (["allow-app", "--to", "web"], "no input to look it up in"),
        (["allow-api-server"], "control-plane Nodes"),
        (["allow-cidr", "--to", "10.0.0.5/8"], "hint: write 10.0.0.0/8, or 10.0.0.5/32"),
        (["default-deny-egress", "-f", "nowhere.yaml"], "nowhere.yaml"),
        (["default-deny-egress", "--selector", "a b"], "label selector"),
        (["allow-dns", "-n", ""], "empty"),
    ],
)
def test_what_cannot_be_written_is_2(
    arguments: list[str], words: str, town: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a sentence, and nothing on standard output."""
    assert main(["new", *(town if one == "TOWN" else one for one in arguments)]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def test_all_namespaces_in_the_admin_tier(capsys: pytest.CaptureFixture[str]) -> None:
    """The one kind of policy that belongs to none."""
    assert main(["new", "block-metadata", "--admin-tier", "-A", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"]["subject"] == {"namespaces": {}}


def test_recipes_are_completed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the shell, with the names of the table."""
    monkeypatch.setenv("_OUTGATE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "outgate new allow-c")
    monkeypatch.setenv("COMP_CWORD", "2")
    main([])
    assert "allow-cidr" in capsys.readouterr().out
