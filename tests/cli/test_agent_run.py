"""`outgate agent run`: what it refuses, and that two of them never run on one node."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from outgate.agent.settings import Settings
from outgate.cli.agent_run import _in_vain
from outgate.cli.main import main

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: u, user: {}}]
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A command line that would run."""
    config = tmp_path / "config"
    config.write_text(KUBECONFIG)
    folders = ["--run-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")]
    return ["agent", "run", "--node", "n1", "--kubeconfig", str(config), *folders]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--mark-mask", "0x5"], 2, "neighbouring bits"),
        (["--listen", "9765"], 2, "give an address and a port"),
        (["--listen", "127.0.0.1:99999"], 2, "give an address and a port"),
        (["--interface-prefix", ""], 2, "is empty"),
        (["--mode", "observe"], 2, "enforce"),
        (["--log-group", "70000"], 2, "65535"),
        (["--names", "open"], 2, "forward"),
        (["--cluster-cidr", "10.1.0.0/16", "--cluster-cidr", "10.1.0.1/16"], 2, "--cluster-cidr 10.1.0.1/16"),
        (["--envoy", "/nowhere/envoy"], 2, "no such program"),
        (["--node", ""], 2, "--node '': this is no name of a Node"),
        (["--node", "Node_1; x"], 2, "--node Node_1; x: this is no name of a Node"),
    ],
)
def test_what_cannot_be_is_refused(
    words: list[str], more: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is made or asked."""
    assert main([*words, *more]) == code
    assert said in capsys.readouterr().err


def test_everything_that_is_wrong_is_said_at_once(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A DaemonSet that crashes once for each mistake takes ten minutes for each."""
    more = [
        "--node",
        "a_b",
        "--mark-mask",
        "0x5",
        "--listen",
        "x",
        "--cluster-cidr",
        "10.0.0.1/8",
        "--cluster-cidr",
        "y",
    ]
    assert main([*words, *more, "--interface-prefix", "a b", "--envoy", "/nowhere/envoy"]) == 2
    said = capsys.readouterr().err.splitlines()
    options = [one.removeprefix("error: ").split()[0] for one in said]
    assert sorted(options) == [
        *("--cluster-cidr", "--cluster-cidr", "--envoy", "--interface-prefix", "--listen", "--mark-mask", "--node")
    ]


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        ({"log_allowed": True, "log_group": None}, "--log-allowed logs nothing with --log-group 0"),
        ({"names": "closed"}, "--names without --cluster-cidr: a name may open addresses of Services"),
        ({"mark_mask": 0xF0}, "--mark-mask has 4 bits: a connection that is silent through exactly 15 changes"),
        ({"log_allowed": True, "names": "closed", "cluster_cidrs": ("10.1.0.0/16",), "mark_mask": 0xFFFF}, ""),
    ],
)
def test_what_is_given_in_vain_is_said(more: dict[str, Any], warned: str) -> None:
    """It is no reason not to enforce, and nobody would notice."""
    found = list(_in_vain(Settings("n1", **more)))
    assert len(found) == bool(warned)
    assert all(one.startswith(warned) for one in found)


def test_the_node_must_be_named(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An agent that guesses its node would enforce another's pods."""
    monkeypatch.delenv("NODE_NAME", raising=False)
    at = words.index("--node")
    assert main([*words[:at], *words[at + 2 :]]) == 2
    assert "--node" in capsys.readouterr().err


def test_a_second_agent_of_a_node_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two would undo each other's changes for ever."""
    folder = tmp_path / "run"
    folder.mkdir()
    held = os.open(folder / "agent.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        assert main(words) == 3
    finally:
        os.close(held)
    assert "another agent of this node runs already" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_said(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, with the path."""
    (tmp_path / "run").write_text("a file")
    assert main(words) == 3
    assert str(tmp_path / "run") in capsys.readouterr().err
