"""`outgate status` as a tired person runs it."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from outgate.agent.dns_measures import Measures, Result
from outgate.agent.status import Publisher
from outgate.cli.main import main
from outgate.proxy.envoy import BOOTSTRAP
from tests.agent.states import agent, enforced, settings
from tests.report.schema import complaints


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """An agent holds the lock."""
    with settings(folder).lock_file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def test_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code 0, and not a word on standard error."""
    Publisher(settings(tmp_path)).publish(enforced())
    with running(tmp_path):
        assert main(["status", "--run-dir", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("node-a: ready\n  pods      2 enforced, 0 waiting, 0 contested, 0 unenforceable\n")
    assert err == ""


def test_not_ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or hindered: code 1, and why."""
    one = Publisher(settings(tmp_path))
    one.publish(agent())
    with running(tmp_path):
        assert main(["status", "--run-dir", str(tmp_path)]) == 1
        assert capsys.readouterr().out.startswith("node-a: not ready\n")
        one.hindered(["load br_netfilter"])
        one.publish(enforced(), last=True)
        assert main(["status", "--run-dir", str(tmp_path)]) == 1
        assert "  hindered  load br_netfilter\n" in capsys.readouterr().out


def shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The lines of a status, by what they are about."""
    main(["status", "--run-dir", str(folder)])
    lines = capsys.readouterr().out.splitlines()[1:]
    return {topic: words for topic, _, words in (line.strip().partition(" ") for line in lines)}


def test_the_proxies_beside_the_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said of those that never ran here; of the others, whether they live and what they know."""
    Publisher(settings(tmp_path)).publish(enforced())
    assert not {"names", "requests"} & shown(tmp_path, capsys).keys()
    file, counts = settings(tmp_path).dns.status_file, Measures()
    counts.results[Result.REFUSED] = 3
    file.parent.mkdir(exist_ok=True)
    for ago, fault, words in (
        (0.0, "", "the DNS proxy runs; 7 addresses known, 3 questions refused"),
        (60.0, "", "the DNS proxy is not running: names open nothing new; 7 addresses known"),
        (0.0, "bad", "its orders cannot be read: bad; it goes by those of before"),
    ):
        counts.fault = fault
        file.write_bytes(counts.status(written=time.time() - ago, process=1, open_questions=0, learned=7, evicted=0))
        assert words in shown(tmp_path, capsys)["names"]
    settings(tmp_path).envoy_dir.mkdir()
    assert "requests" not in shown(tmp_path, capsys)
    (settings(tmp_path).envoy_dir / BOOTSTRAP).touch()
    assert "Envoy does not take connections" in shown(tmp_path, capsys)["requests"]
    main(["status", "--run-dir", str(tmp_path), "-o", "json"])
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    assert [(one["topic"], one["up"]) for one in document["proxies"]] == [("names", False), ("requests", False)]


@pytest.mark.parametrize("lock", ["free", "absent"])
def test_the_agent_is_not_running(tmp_path: Path, capsys: pytest.CaptureFixture[str], lock: str) -> None:
    """The last word of it is shown with what it is worth, and the lock is left as it was."""
    Publisher(settings(tmp_path)).publish(enforced())
    if lock == "free":
        settings(tmp_path).lock_file.touch()
    assert main(["status", "--run-dir", str(tmp_path)]) == 1
    assert "the agent is not running; the kernel's rules stand as of 2" in capsys.readouterr().out
    assert main(["status", "-o", "json", "--run-dir", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert complaints(json.loads(out)) == []
    assert err == "note: the agent is not running\n"
    with settings(tmp_path).lock_file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code 3, and what to try."""
    assert main(["status", "--run-dir", str(tmp_path / "none")]) == 3
    err = capsys.readouterr().err
    assert "status.json is not there: no agent runs on this machine" in err
    assert "hint: " in err


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b'{"kind":"AgentStatus","apiVersion":"v0"}'])
def test_a_file_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes) -> None:
    """Code 2, by name."""
    settings(tmp_path).status_file.write_bytes(text)
    assert main(["status", "--run-dir", str(tmp_path)]) == 2
    assert f"error: {tmp_path}/status.json: " in capsys.readouterr().err
