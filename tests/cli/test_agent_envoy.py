"""`outgate agent envoy`: the folder is what the agent expects, and one that is in use is left as it is."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from outgate.agent.proxying import envoy_of
from outgate.agent.settings import SIDECAR, Settings
from outgate.cli.main import main
from outgate.proxy.envoy import BOOTSTRAP, LOG, RULES, bootstrap, rule_files


def test_it_is_laid_out_and_lets_nothing_through(tmp_path: Path) -> None:
    """Twice, as after a restart of the node: rules that are there stay, since Envoy may be reading them."""
    assert main(["agent", "envoy", "--run-dir", str(tmp_path)]) == 0
    settings = Settings("node-a", run_dir=tmp_path, envoy=SIDECAR)
    folder = settings.envoy_dir
    assert (folder / BOOTSTRAP).read_bytes() == bootstrap(envoy_of(settings).proxying)
    assert stat.S_ISFIFO((folder / LOG).stat().st_mode)
    assert {one.name: one.read_bytes() for one in (folder / RULES).iterdir()} == rule_files(()).files
    kept = folder / RULES / "outgate_requests.json"
    kept.write_text("of an agent before")
    assert main(["agent", "envoy", "--run-dir", str(tmp_path)]) == 0
    assert kept.read_text() == "of an agent before"


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code 3, with its name."""
    (tmp_path / "file").write_text("")
    assert main(["agent", "envoy", "--run-dir", str(tmp_path / "file")]) == 3
    assert "the files of Envoy in" in capsys.readouterr().err
