"""`outgate compile` as a user runs it; the kernel's own tool says whether the text is a ruleset."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from outgate.cli.main import main
from tests.cli.test_can_reach import files
from tests.report.schema import complaints


def check(text: str) -> subprocess.CompletedProcess[str]:
    """Let nft read a ruleset in a network namespace of its own, without loading it."""
    command = ["unshare", "--user", "--map-root-user", "--net", "nft", "-c", "-f", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.kernel
@pytest.mark.parametrize("policies", ["", "01", "01 02", "01 02 03 04"])
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--reject", "--log-group", "7", "--interface-prefix", "ogp", "--mark-mask", "0x00ff0000"],
    ],
)
def test_nft_accepts_it(shared: Path, policies: str, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A ruleset that nft refuses leaves the node open, or closed, at the worst moment."""
    for node in ("node-a", "node-b"):
        assert main(["compile", *files(shared / "recipes", policies), "--node", node, *options]) == 0
        text = capsys.readouterr().out
        assert "table inet outgate {" in text
        found = check(text)
        assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.kernel
def test_the_check_finds_something() -> None:
    """If nft accepted anything here, the test above would say nothing."""
    assert check("table inet outgate { chain a { goto nowhere } }").returncode != 0


def test_options_reach_the_ruleset(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that is read and not used is worse than one that is missing."""
    arguments = ["compile", *files(shared / "recipes", "01"), "--node", "node-a"]
    main(arguments)
    plain = capsys.readouterr().out
    assert "reject" not in plain
    assert "0x00010000" in plain or "65536" in plain
    main([*arguments, "--reject", "--log-group", "7", "--interface-prefix", "ogp"])
    changed = capsys.readouterr().out
    for words in ("reject with tcp reset", "group 7", '"ogp*"'):
        assert words in changed
        assert words not in plain


def test_the_header_says_what_it_is(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of rules without a word on whose they are is one that nobody dares to touch."""
    main(["compile", *files(shared / "recipes", "01 02"), "--node", "node-a"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# Outgate's table for node node-a: 3 pods, 2 policies that select one of them."
    assert all(line.startswith("#") for line in lines[:3])


def test_the_index_traces_every_chain(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A counter in the kernel is only useful if somebody can say whose it is."""
    arguments = ["compile", *files(shared / "recipes", "01 02"), "--node", "node-a"]
    main(arguments)
    text = capsys.readouterr().out
    main([*arguments, "--index"])
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    named = {line.split()[1] for line in text.splitlines() if line.strip().startswith(("chain r_", "chain d_"))}
    assert named == set(document["chains"])
    origins = [one for many in document["chains"].values() for one in many]
    assert {one["rule"] for one in origins if one["name"] == "app-egress"} == {None, 0, 1, 2}
    main([*arguments, "-o", "json"])
    assert json.loads(capsys.readouterr().out) == document


def test_one_node_need_not_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With one node there is nothing to choose."""
    file = tmp_path / "one.yaml"
    file.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\nspec: {nodeName: only, containers: []}\n"
        "status: {podIP: 10.0.0.1}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: c, namespace: b}\n"
        "spec: {nodeName: only, containers: []}\n"
    )
    assert main(["compile", "-f", str(file)]) == 0
    words = capsys.readouterr()
    assert "for node only: 2 pods" in words.out
    assert "1 pod of only has no address in the input and is not in the ruleset" in words.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give one with --node: node-a, node-b"),
        (["--node", "node-z"], "the nodes are: node-a, node-b"),
        (["--node", "node-a", "--mark-mask", "0"], "neighbouring bits"),
        (["--node", "node-a", "--mark-mask", "0x00010001"], "neighbouring bits"),
        (["--node", "node-a", "--mark-mask", "0x1ffffffff"], "neighbouring bits"),
        (["--node", "node-a", "--mark-mask", "all"], "neighbouring bits"),
        (["--node", "node-a", "--interface-prefix", 'x"; drop'], "--interface-prefix"),
        (["--node", "node-a", "--interface-prefix", ""], "--interface-prefix is empty"),
        (["--node", "node-a", "--log-group", "70000"], "--log-group"),
    ],
)
def test_bad_options_are_2(shared: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A ruleset for the wrong node, or with a mark that is somebody else's, must not be printed."""
    assert main(["compile", *files(shared / "recipes", "01"), *options]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert words in found.err


def test_an_address_that_two_pods_claim_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pod that is silently closed sends somebody looking for a policy that is not there."""
    pod = (
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {0}, namespace: a}}, "
        "spec: {{nodeName: n, containers: []}}, status: {{podIP: 10.1.0.9}}}}\n"
    )
    (tmp_path / "two.yaml").write_text("---\n".join(pod.format(name) for name in ("x", "zed")).replace("n,", '"n1",'))
    assert main(["compile", "-f", str(tmp_path)]) == 0
    assert "10.1.0.9 is claimed by a/x and a/zed: it is closed" in capsys.readouterr().err
