"""The verb agent boot: what it says, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from outgate.agent.boot import Booted, Outcome
from outgate.agent.store import FILES, Picture, Store
from outgate.cli.agent_boot import boot
from outgate.errors import KernelError
from outgate.host.nft import Nftables
from tests.agent.estates import NODE, gatehouse
from tests.lab.alone import alone


def run(*arguments: str) -> tuple[int, str]:
    """What the verb returned, and standard error; its errors are raised."""
    done = CliRunner().invoke(boot, arguments, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    assert done.stdout == ""
    return int(done.return_value), done.stderr


@pytest.mark.kernel
def test_a_node_that_was_rebooted(tmp_path: Path) -> None:
    """Loaded, then standing; quiet where that is asked for."""

    def inside() -> list[tuple[int, str]]:
        Store(tmp_path, NODE).write(Picture.of(gatehouse()))
        given = ("--state-dir", str(tmp_path), "--node", NODE)
        return [run(*given), run(*given), run(*given, "-q")]

    loaded, standing, quiet = alone(inside)
    assert loaded[0] == standing[0] == 0
    assert loaded[1].startswith("loaded the rules saved at ")
    assert "not touched" in standing[1]
    assert quiet == (0, "")


@pytest.mark.parametrize("outcome", [Outcome.CLOSED, Outcome.OPEN])
def test_rules_that_are_not_those_of_before_are_an_error(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
    """With nft's words, and how the node stands now."""
    monkeypatch.setattr("outgate.agent.boot.boot", lambda *_: Booted(outcome, "so it stands", ("syntax error",)))
    with pytest.raises(KernelError, match="syntax error; so it stands") as caught:
        run()
    assert caught.value.exit_code == 3


def test_the_node_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a DaemonSet gives it; files of another node are set aside, and that is a warning where it harms nobody."""
    Store(tmp_path, "other").write(Picture.of(gatehouse()))
    monkeypatch.setenv("OUTGATE_NODE", NODE)
    monkeypatch.setattr(Nftables, "stands", lambda _: False)
    with pytest.raises(KernelError, match="of the node 'other'"):
        run("--state-dir", str(tmp_path))
    assert {one.name for one in tmp_path.iterdir()} == {f"{name}.broken" for name in FILES}
    code, said = run("--state-dir", str(tmp_path))
    assert code == 0
    assert "nothing is saved" in said
