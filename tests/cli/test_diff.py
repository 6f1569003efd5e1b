"""`outgate diff` as a user runs it: formats, exit codes, filters, and what is wrong with either side."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from outgate.cli.main import main
from tests.report.schema import complaints

BROKEN = (
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: shop}\nspec: {egress: 1}\n"
)


@pytest.fixture
def sides(repository: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The example: a change that opens two connections and closes one."""
    monkeypatch.chdir(repository)
    return "examples/diff/old", "examples/diff/new"


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The exit code, and both streams."""
    code = main(["diff", *arguments])
    words = capsys.readouterr()
    return code, words.out, words.err


def test_the_example(sides: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the documentation promises: two open, one closes, with the lines that bring it."""
    code, out, err = run(*sides, capsys=capsys)
    assert code == 1
    assert out.startswith("2 connections open, 1 closes\n")
    assert "allowed by shop/cart egress[1]   examples/diff/new/policies.yaml:31" in out
    assert err == ""


def test_nothing_differs(sides: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, and 0."""
    code, out, err = run(sides[0], sides[0], capsys=capsys)
    assert (code, err) == (0, "")
    assert out == "nothing differs: what was allowed is allowed, and nothing else is\n"


@pytest.mark.parametrize(
    ("output", "start"),
    [
        ("csv", "change,widens,"),
        ("markdown", "### Network policy: 2 connections open, 1 closes\n"),
        ("dot", "digraph diff {\n"),
        ("mermaid", "flowchart LR\n"),
    ],
)
def test_formats(sides: tuple[str, str], output: str, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each ends in one line end, and has the same exit code."""
    code, out, _ = run(*sides, "-o", output, capsys=capsys)
    assert code == 1
    assert out.startswith(start)
    assert out.endswith("\n")
    assert not out.endswith("\n\n")


def test_json_keeps_to_its_schema(sides: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """What other tools read."""
    code, out, _ = run(*sides, "-o", "json", capsys=capsys)
    document = json.loads(out)
    assert code == 1
    assert complaints(document) == []
    assert [one["change"] for one in document["changes"]] == ["opened", "opened", "closed"]


@pytest.mark.parametrize(
    ("options", "there", "back"),
    [
        ([], 1, 1),
        (["--fail-on", "any"], 1, 1),
        (["--fail-on", "opened"], 1, 1),
        (["--focus", "shop/cart", "--fail-on", "opened"], 1, 0),
        (["--focus", "shop/cart", "--fail-on", "closed"], 0, 1),
        (["--focus", "shop/cart", "--fail-on", "closed", "--fail-on", "opened"], 1, 1),
        (["--focus", "shop/sts/db", "--fail-on", "opened"], 0, 1),
        (["--focus", "shop/web"], 0, 0),
        (["--focus", "shop/sts/db", "--focus", "shop/cart", "--fail-on", "opened"], 1, 1),
        (["-n", "shop"], 1, 1),
        (["-n", "elsewhere"], 2, 2),
    ],
)
def test_exit_codes(
    sides: tuple[str, str], options: list[str], there: int, back: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what was asked for fails, and only where it is about what was asked for."""
    assert run(*sides, *options, capsys=capsys)[0] == there
    assert run(*reversed(sides), *options, capsys=capsys)[0] == back


def test_focus_on_what_is_on_one_side_alone(
    tmp_path: Path, sides: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A workload that is new can be asked for; one that is on neither side is a mistake."""
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: lone, namespace: shop, labels: {app: web}}\n"
    (tmp_path / "lone.yaml").write_text(pod + "spec: {containers: [{name: a, image: b}]}\n")
    empty = tmp_path / "empty.yaml"
    empty.write_text("---\n")
    code, out, _ = run(str(empty), str(tmp_path / "lone.yaml"), "--focus", "shop/lone", "-q", capsys=capsys)
    assert (code, out.splitlines()[0]) == (1, "2 connections come with 1 new workload")
    code, out, err = run(*sides, "--focus", "shop/nobody", capsys=capsys)
    assert (code, out) == (2, "")
    assert "nobody" in err
    assert run(*sides, "--focus", "10.0.0.1", capsys=capsys)[0] == 2


def test_standard_input(
    sides: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One side may come through a pipe; both cannot."""
    folder = Path(sides[1])
    text = "\n---\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.iterdir()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    code, out, _ = run(sides[0], "-", capsys=capsys)
    assert (code, out.splitlines()[0]) == (1, "2 connections open, 1 closes")
    code, out, err = run("-", "-", capsys=capsys)
    assert (code, out) == (2, "")
    assert "cannot both be standard input" in err


def test_an_input_that_cannot_be_read(sides: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Which side it is about is said, and what is wrong with both is said at once."""
    code, out, err = run("nowhere", sides[1], capsys=capsys)
    assert (code, out) == (2, "")
    assert "error: nowhere: cannot be read" in err
    assert "this is about OLD" in err
    code, _, err = run(sides[0], "nowhere", capsys=capsys)
    assert (code, "this is about NEW" in err) == (2, True)
    code, _, err = run("nowhere", "neither", capsys=capsys)
    assert code == 2
    assert [line.split(":")[1] for line in err.splitlines() if line.startswith("error")] == [" nowhere", " neither"]


def test_a_refused_object(tmp_path: Path, sides: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """It is set apart, and the side that lacks it is named: it may be why something seems to open."""
    file = tmp_path / "broken.yaml"
    file.write_text("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n---\n" + BROKEN)
    code, _, err = run(str(file), sides[1], capsys=capsys)
    assert code == 1
    assert f"set apart: {file}:6: spec.egress" in err
    assert f"note: OLD, {file}, is compared without what was set apart" in err
    code, out, err = run(sides[0], str(file), "--strict", capsys=capsys)
    assert (code, out) == (2, "")
    assert "this is about NEW" in err


@pytest.mark.parametrize(("option", "word"), [("-n", "shpo"), ("--focus", "shop/crat")])
def test_a_misspelt_filter_is_no_answer(
    sides: tuple[str, str], option: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing differs in a namespace that there is not would turn a gate green for ever."""
    code, out, err = run(*sides, option, word, capsys=capsys)
    assert (code, out) == (2, "")
    assert "did you mean shop" in err


def test_a_side_of_which_nothing_can_be_used(
    tmp_path: Path, sides: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Compared with nothing, everything would be new."""
    file = tmp_path / "broken.yaml"
    file.write_text(BROKEN)
    code, out, err = run(str(file), sides[1], capsys=capsys)
    assert (code, out) == (2, "")
    assert f"error: {file}:4: spec.egress" in err
    assert "this is about OLD" in err


def test_verbose(sides: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """How much was compared, beside the answer."""
    _, out, err = run(*sides, "-v", capsys=capsys)
    assert err == "note: compared 4 pods and 5 policies with 4 pods and 5 policies\n"
    assert out == run(*sides, capsys=capsys)[1]


@pytest.mark.parametrize("arguments", [[], ["examples/diff/old"], ["a", "b", "--fail-on", "nothing"], ["a", "b", "c"]])
def test_bad_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Two inputs, and kinds that there are."""
    code, out, err = run(*arguments, capsys=capsys)
    assert (code, out) == (2, "")
    assert err


def test_what_the_sides_lack_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a cluster compared with half a cluster: the answer hangs on the other halves, and names the side."""
    pods = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: NS}\nspec: {containers: []}\n---\n"
    policy = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: a}
spec: {ingress: [{from: [{namespaceSelector: {matchLabels: {team: red}}}]}]}
"""
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n" + pods.replace("NS", "a"))
    new.write_text(old.read_text() + pods.replace("NS", "b") + policy)
    assert main(["diff", str(old), str(new), "-o", "json", "--profile", "calico"]) == 1
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["notes"] == [
        "NEW: namespace b is not in the input: its labels are not known, and a/p ingress[0] look at labels"
    ]
    assert document["profile"] == "calico"
    assert complaints(document) == []
    assert "note: NEW: namespace b" in said.err
    assert "note: this is how calico judges it" in said.err
