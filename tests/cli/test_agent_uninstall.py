"""The verb agent uninstall: a line for each thing, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from outgate.agent.uninstall import PLUGIN
from outgate.cli.agent_uninstall import uninstall
from outgate.host.nft import Nftables
from tests.agent.test_uninstall import NoTable, Stubborn, installed


def run(*arguments: str) -> tuple[int, list[str]]:
    """What the verb returned and printed."""
    done = CliRunner().invoke(uninstall, arguments, standalone_mode=False)
    assert done.exception is None
    assert done.stderr == ""
    return int(done.return_value), done.stdout.splitlines()


def folders(tmp_path: Path) -> list[str]:
    """The options that lead to a node in a folder."""
    names = {"state-dir": "state", "run-dir": "run", "unit-dir": "units", "cni-bin-dir": "bin", "cni-conf-dir": "net.d"}
    return [word for option, name in names.items() for word in (f"--{option}", str(tmp_path / name))]


def test_it_says_each_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was removed, what was not there, what is left."""
    installed(tmp_path)
    monkeypatch.setattr(Nftables, "stands", NoTable.stands)
    code, lines = run(*folders(tmp_path))
    assert code == 0
    assert "not there: the table inet outgate" in lines
    assert f"removed: {tmp_path}/bin/{PLUGIN}" in lines
    assert lines[-1].startswith("left: the bits 0xffff0000 of connection marks")


def test_a_failure_is_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an option that is given as nothing leaves its folder alone."""
    installed(tmp_path)
    monkeypatch.setattr(Nftables, "stands", Stubborn.stands)
    code, lines = run(*folders(tmp_path), "--cni-bin-dir", "", "--unit-dir", "", "--cni-conf-dir", "")
    assert code == 3
    assert "failed: the table inet outgate (nft is not installed)" in lines
    assert (tmp_path / "bin" / PLUGIN).exists()
    assert (tmp_path / "units" / "outgate-boot.service").exists()
