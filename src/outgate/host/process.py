"""The one place that starts a process.

A command is a list of words, never a line for a shell, so text from a manifest cannot become a
command. It runs in the C locale (its messages are read here), its output is bounded, it has a time
limit, and it inherits the namespaces of the calling *thread*: enter a network namespace, then run.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, NoReturn

from outgate.errors import KernelError, NotPermitted

__all__ = [
    "OUTPUT_LIMIT",
    "PACKAGES",
    "Completed",
    "Output",
    "Running",
    "fork",
    "found",
    "read",
    "replace",
    "run",
    "start",
]

OUTPUT_LIMIT = 256 * 1024 * 1024
"""Bytes of output that are read before a command is ended. Listing 100 000 set elements takes about 20 MiB."""

PACKAGES: Mapping[str, str] = {
    "ip": "iproute2",
    "nft": "nftables",
    "conntrack": "conntrack",
    "git": "git",
    "setpriv": "util-linux",
}
"""The Debian package that has each command."""

_SYSTEM_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")
"""Searched after ``PATH``: on Debian an ordinary user's ``PATH`` has no ``sbin``, where `nft` lives."""

_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended. `code` is negative where a signal ended it."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Output:
    """A command that has ended, with what it wrote byte for byte."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes


def run(
    argv: Sequence[str],
    *,
    input: str | None = None,
    timeout: float = 60,
    check: bool = True,
    limit: int = OUTPUT_LIMIT,
) -> Completed:
    """Runs a command to its end and returns what it said.

    `timeout` is in seconds and `limit` in bytes, for both outputs together; past either the command is
    killed. With `check`, an exit code other than 0 is an error.

    Raises:
        NotPermitted: the command reports EPERM.
        KernelError: it is not installed, failed, took too long or said too much.
    """
    ended = read(argv, input=None if input is None else input.encode(), timeout=timeout, limit=limit)
    done = Completed(
        ended.argv, ended.code, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace")
    )
    if check and done.code != 0:
        raise _failure(done)
    return done


def read(
    argv: Sequence[str],
    *,
    input: bytes | None = None,
    timeout: float = 60,
    limit: int = OUTPUT_LIMIT,
    environment: Mapping[str, str] | None = None,
) -> Output:
    """Runs a command to its end, whatever its code, and returns the bytes that it wrote.

    `environment` is added to that of this process. `timeout` and `limit` are as for `run`.

    Raises:
        KernelError: it is not installed, took too long or said too much.
    """
    path = _find(argv[0])
    with _started(argv, path, with_input=input is not None, environment=environment or {}) as child:
        try:
            stdout, stderr = _converse(child, input or b"", time.monotonic() + timeout, limit)
        except TimeoutError as error:
            raise KernelError(f"{argv[0]} did not end within {timeout:g} s and was stopped") from error
        except OverflowError as error:
            raise KernelError(f"{argv[0]} wrote more than {limit} bytes and was stopped") from error
        finally:
            # Nothing is waited for without a bound: whoever still runs here has been given up.
            child.kill()
    return Output(tuple(argv), child.returncode, stdout, stderr)


class Running:
    """A command that was started to go on beside this process."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self.pid = child.pid
        self.ended = os.pidfd_open(child.pid)
        """A descriptor that can be read when the command has ended; `poll`, `select` and event loops wait for it."""

    @property
    def code(self) -> int | None:
        """The exit code, negative where a signal ended the command; None while it runs."""
        return self._child.poll()

    def stop(self, patience: float = 5.0) -> int:
        """Ends the command with SIGTERM, and after so many seconds with SIGKILL. Returns its code."""
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(patience)
            except subprocess.TimeoutExpired:
                self._child.kill()
        code = self._child.wait()
        if self.ended >= 0:
            os.close(self.ended)
            self.ended = -1
        return code


def start(argv: Sequence[str], *, output: IO[bytes]) -> Running:
    """Starts a command that goes on by itself; what it writes goes to `output`, and it reads nothing.

    Raises:
        KernelError: it is not installed or cannot be started.
    """
    path = _find(argv[0])
    try:
        child = subprocess.Popen(
            list(argv),
            executable=path,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise KernelError(f"{argv[0]} cannot be started: {error.strerror}") from error
    return Running(child)


def fork(entry: Callable[[], int]) -> int:
    """Starts `entry` in a copy of this process and returns the copy's pid.

    The copy ends with the code that `entry` returns and never comes back to the caller's code: no
    handler, buffer or `finally` of the parent runs twice. An exception in `entry` is a bug; its
    traceback goes to standard error and the code is 70 (``EX_SOFTWARE`` of sysexits.h).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        code = entry()
    except BaseException:  # noqa: BLE001  nobody above would ever see it
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def replace(argv: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Becomes the command. The environment is the command's own: it is a person's shell, read by nobody here.

    Raises:
        KernelError: the command is not installed or cannot be started.
    """
    path = shutil.which(argv[0], path=_search_path(environment.get("PATH", "")))
    if path is None:
        raise _missing(argv[0])
    try:
        os.execve(path, list(argv), dict(environment))
    except OSError as error:
        raise KernelError(f"{argv[0]} cannot be started: {error.strerror}") from error


def found(name: str) -> str | None:
    """The path of a command, or None where it is not installed."""
    return shutil.which(name, path=_search_path(os.environ.get("PATH", "")))


def _find(name: str) -> str:
    path = found(name)
    if path is None:
        raise _missing(name)
    return path


def _search_path(path: str) -> str:
    return os.pathsep.join((*filter(None, path.split(os.pathsep)), *_SYSTEM_PATH))


def _missing(name: str) -> KernelError:
    package = PACKAGES.get(name)
    hint = f"install the package {package} (Debian, Ubuntu: apt install {package})" if package else ""
    return KernelError(f"the command {name} is not installed", hint=hint)


def _started(
    argv: Sequence[str], path: str, *, with_input: bool, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            executable=path,
            stdin=subprocess.PIPE if with_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C", "PATH": _search_path(os.environ.get("PATH", "")), **environment},
        )
    except OSError as error:
        raise KernelError(f"{argv[0]} cannot be started: {error.strerror}") from error


def _converse(child: subprocess.Popen[bytes], text: bytes, deadline: float, limit: int) -> tuple[bytes, bytes]:
    """Feeds and reads a command until it has ended.

    Raises TimeoutError past the deadline (monotonic seconds), and OverflowError past the limit (bytes).
    """
    assert child.stdout is not None
    assert child.stderr is not None
    stdout, stderr = bytearray(), bytearray()
    rest = memoryview(text)
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ, stdout)
        selector.register(child.stderr, selectors.EVENT_READ, stderr)
        if child.stdin is not None:
            os.set_blocking(child.stdin.fileno(), False)
            selector.register(child.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                raise TimeoutError
            for key, _ in ready:
                if child.stdin is not None and key.fileobj is child.stdin:
                    rest = _fed(child.stdin, rest)
                    if not rest:
                        selector.unregister(child.stdin)
                        child.stdin.close()
                elif chunk := os.read(key.fd, _CHUNK):
                    key.data.extend(chunk)
                else:
                    selector.unregister(key.fileobj)
            if len(stdout) + len(stderr) > limit:
                raise OverflowError
    try:
        child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    return bytes(stdout), bytes(stderr)


def _fed(stdin: IO[bytes], rest: memoryview) -> memoryview:
    """Writes what the pipe takes. A reader that has gone ends the feeding; its exit code tells the rest."""
    try:
        return rest[os.write(stdin.fileno(), rest[:_CHUNK]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]


def _failure(done: Completed) -> KernelError:
    words = " ".join(done.argv)
    ending = f"was ended by signal {-done.code}" if done.code < 0 else f"failed with code {done.code}"
    said = done.stderr.strip() or done.stdout.strip() or "it said nothing"
    if "Operation not permitted" in said or "you must be root" in said:
        return NotPermitted(f"{words} {ending}: {said}", hint="run as root, or inside a user namespace")
    return KernelError(f"{words} {ending}: {said}")
