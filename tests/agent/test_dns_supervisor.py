"""There is one proxy, always: started where there is none, never two, and not as fast as it dies."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from outgate.agent.dns_settings import DnsSettings
from outgate.agent.dns_supervisor import DnsSupervisor, proxy_command
from outgate.cluster.backoff import Backoff
from outgate.host import process
from tests.agent.test_dns_udp import until
from tests.lab.dns.proxied import Proxied, orders, reaches
from tests.lab.dns.resolver import Resolver, addresses, ask, question
from tests.lab.dns.town import CLUSTER_IP, RESOLVERS, WORLD, Town, in_town


def quick() -> Backoff:
    """Waits that a test can wait for."""
    return Backoff(random.Random(1), first=0.02, longest=0.05)


class Stage:
    """Proxies that are nothing but processes which hold the lock until they are told to end."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.begun: list[float] = []

    def start(self, _: DnsSettings, lock: int) -> int:
        """One that waits."""
        self.begun.append(time.monotonic())
        pid = process.fork(lambda: self._wait(lock))
        self.pids.append(pid)
        return pid

    def dying(self, _: DnsSettings, __: int) -> int:
        """One that dies at once."""
        self.begun.append(time.monotonic())
        return process.fork(lambda: 3)

    def _wait(self, lock: int) -> int:
        os.fstat(lock)
        signal.pause()
        return 0

    def end(self) -> None:
        """No process stays."""
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def settings(folder: Path) -> DnsSettings:
    """With files of the test's own."""
    return DnsSettings(run_dir=folder / "run", state_dir=folder / "state")


def test_a_proxy_that_dies_is_started_again(tmp_path: Path) -> None:
    """And what ended it is said."""
    stage, said = Stage(), list[str]()
    with DnsSupervisor(settings(tmp_path), start=stage.start, backoff=quick(), say=said.append) as supervisor:
        until(lambda: len(stage.pids) == 1)
        os.kill(stage.pids[0], signal.SIGKILL)
        until(lambda: len(stage.pids) == 2)
        assert said == ["the DNS proxy has ended: signal 9"]
    os.kill(stage.pids[1], signal.SIGKILL)
    supervisor._thread.join(30)
    assert len(stage.pids) == 2, "at its end it starts none"


def test_a_proxy_of_the_agent_before_is_left_alone(tmp_path: Path) -> None:
    """Whoever holds the lock is the proxy; when it dies, however that is, there is a next."""
    its, stage = settings(tmp_path), Stage()
    its.run_dir.mkdir()
    held = os.open(its.lock_file, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    with DnsSupervisor(its, start=stage.start, backoff=quick()) as supervisor:
        until(lambda: sleeps_in_flock(Path(f"/proc/self/task/{supervisor._thread.native_id}")))
        assert stage.pids == []
        os.close(held)
        until(lambda: len(stage.pids) == 1)
        second = os.open(its.lock_file, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(second)
    stage.end()
    supervisor._thread.join(30)


def sleeps_in_flock(task: Path) -> bool:
    """Whether the kernel has a process or thread, by its folder below /proc, waiting for a lock."""
    waiting = (task / "syscall").read_text().split()[0]
    return waiting == {"x86_64": "73", "aarch64": "32"}.get(os.uname().machine, waiting)


def test_one_that_cannot_live_is_not_started_without_a_pause(tmp_path: Path) -> None:
    """A loop that turns as fast as it can would take a processor of every node from the pods."""
    stage, waits = Stage(), list[float]()

    class Noted(Backoff):
        def next(self) -> float:
            waits.append(super().next())
            return waits[-1]

    backoff = Noted(random.Random(3), first=0.02, longest=0.1)
    with DnsSupervisor(settings(tmp_path), start=stage.dying, backoff=backoff) as supervisor:
        until(lambda: len(stage.begun) >= 6)
    supervisor._thread.join(30)
    gaps = [after - before for before, after in zip(stage.begun, stage.begun[1:], strict=False)]
    assert all(gap >= wait for gap, wait in zip(gaps, waits, strict=False))
    assert min(waits) >= 0.01


def test_trouble_with_the_lock_or_the_start_is_said_and_tried_again(tmp_path: Path) -> None:
    """A disk that is full is not full for ever."""
    stage, said = Stage(), list[str]()
    its = settings(tmp_path)
    its.run_dir.write_bytes(b"a file where the folder should be")
    fail = [True]

    def start(settings: DnsSettings, lock: int) -> int:
        if fail.pop():
            fail.append(False)
            raise OSError(11, "Resource temporarily unavailable")
        return stage.start(settings, lock)

    with DnsSupervisor(its, start=start, backoff=quick(), say=said.append) as supervisor:
        until(lambda: bool(said))
        assert "cannot be had" in said[0]
        its.run_dir.unlink()
        until(lambda: len(stage.pids) == 1)
        assert "the DNS proxy cannot be started: resource temporarily unavailable" in said
    stage.end()
    supervisor._thread.join(30)


def test_the_words_that_start_a_proxy(tmp_path: Path) -> None:
    """What is chosen for it reaches it."""
    words = proxy_command(replace(settings(tmp_path), leased=True), 7)
    assert words[1:5] == ["-m", "outgate", "agent", "dns"]
    assert words[-4:] == ["--while-down", "forward", "--lock-fd", "7"]
    assert "closed" in proxy_command(settings(tmp_path), 7)


@pytest.mark.kernel
def test_a_real_proxy_is_killed_and_comes_back(tmp_path: Path) -> None:
    """With what it knew; in between questions are forwarded plainly where that was chosen, and what is open stays."""

    def play(town: Town) -> None:
        Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        its = replace(settings(tmp_path), leased=True)
        Proxied(town, orders(), folder=tmp_path)
        pids: list[int] = []
        gate = threading.Event()
        gate.set()

        def noted(start: Callable[[DnsSettings, int], int]) -> Callable[[DnsSettings, int], int]:
            def begin(settings: DnsSettings, lock: int) -> int:
                assert gate.wait(30)
                pids.append(start(settings, lock))
                return pids[-1]

            return begin

        from outgate.agent.dns_supervisor import start_proxy

        with DnsSupervisor(its, start=noted(start_proxy), backoff=quick()):
            until(lambda: "udp" in town.listed("dns_up"))
            with town.socket(town.pod, 4) as client:
                assert ask(client, CLUSTER_IP[4], question("a.example.com")).addresses
            assert WORLD[4][0] in town.listed()
            until(its.memory_file.exists)
            gate.clear()
            os.kill(pids[0], signal.SIGKILL)
            until(lambda: "udp" not in town.listed("dns_up"))
            with town.socket(town.pod, 4) as client:
                assert ask(client, CLUSTER_IP[4], question("b.example.com")).addresses
            assert reaches(town, WORLD[4][0])
            gate.set()
            until(lambda: "udp" in town.listed("dns_up"))
            with town.socket(town.neighbour, 4) as client:
                assert ask(client, CLUSTER_IP[4], question("a.example.com")).addresses
            assert reaches(town, WORLD[4][0], neighbour=True)
        os.kill(pids[1], signal.SIGTERM)

    in_town(play, leased=True)
