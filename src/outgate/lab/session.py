"""The process that a lab lives in, from its first breath to its last.

    caller ──fork──► warden ──fork──► first process of the lab
      │  waits        isolates itself   │  builds, enforces, probes, prints
      │  forwards     then only waits   │  and, with `keep`, stays
      └──────── one socket: an exception that was raised, or "keep me" ──┘

The kernel ties each to the one before it (PR_SET_PDEATHSIG), and the first process of a process namespace
takes all others in it along: kill any of the three with any signal, and nothing is left. A kept lab is
untied only after the file that `outgate lab down` needs has been written.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import FrameType

from outgate.errors import OutgateError
from outgate.host import namespaces, process
from outgate.host.waiting import readable
from outgate.lab import keeper
from outgate.lab.build import Stage

__all__ = ["INTERRUPTED", "Outcome", "run_in_lab"]

INTERRUPTED = 130
"""The exit code of an interrupted command (128 + SIGINT), whatever signal it was that interrupted."""

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_RECORDED = b"k"
"""What the caller answers once the file of a kept lab stands."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, and the stage that may be kept."""

    exit_code: int
    stage: Stage | None = None


@dataclass(frozen=True, slots=True)
class _Raised:
    """An exception on its way out of the lab. `text` is its traceback, for those that are bugs."""

    error: Exception
    text: str


@dataclass(frozen=True, slots=True)
class _Keep:
    """The lab is done and asks for the file that describes it."""

    description: keeper.Description


def run_in_lab(function: Callable[[], int | Outcome], *, keep: bool = False, name: str = keeper.DEFAULT) -> int:
    """Runs `function` as the first process of a closed world of namespaces, and returns its exit code.

    Standard output and error are the caller's. An exception comes out as itself. SIGINT, SIGTERM and SIGHUP
    interrupt it (KeyboardInterrupt) and make the code 130; a second one kills it. With `keep`, a function that gives
    an `Outcome` with a stage leaves it standing under `name`, with all threads it started and the sockets
    they hold, until `keeper.down`.

    Raises:
        UsageError: a lab of that name stands already.
        NotPermitted: namespaces are not permitted here; says which setting forbids them.
        OutgateError: whatever `function` raised.
    """
    if keep:
        keeper.refuse_if_standing(name)
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    # Nobody is interrupted between being born and being able to pass it on.
    unmasked = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)
    warden = process.fork(lambda: _warden(function, ours, theirs, parent, keep=keep))
    theirs.close()
    try:
        with _forwarding(warden, unmasked), ours:
            raised = _serve(ours, name)
            code = os.waitstatus_to_exitcode(os.waitpid(warden, 0)[1])
    except BaseException:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(warden, signal.SIGKILL)
            os.waitpid(warden, 0)
        raise
    if raised is not None:
        if raised.text:
            raised.error.add_note(raised.text)
        raise raised.error
    # Ended by a signal: as a shell says it, except that every interruption is one code.
    return code if code >= 0 else INTERRUPTED if -code in _INTERRUPTIONS else 128 - code


@contextlib.contextmanager
def _forwarding(warden: int, unmasked: Iterable[int]) -> Iterator[None]:
    """Passes interruptions on to the lab, and kills it at the second. Only a main thread may handle signals."""
    if threading.current_thread() is not threading.main_thread():
        signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)
        yield
        return
    count = 0

    def forward(number: int, _: FrameType | None) -> None:
        nonlocal count
        count += 1
        with contextlib.suppress(ProcessLookupError):
            os.kill(warden, signal.SIGKILL if count > 1 else number)

    before = {number: signal.signal(number, forward) for number in _INTERRUPTIONS}
    signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _serve(ours: socket.socket, name: str) -> _Raised | None:
    """The caller's side of the socket: until the lab has ended, or stays without us."""
    raised = None
    with ours.makefile("rb") as stream:
        while True:
            try:
                message = pickle.load(stream)  # noqa: S301  from our own child
            except EOFError:
                return raised
            if isinstance(message, _Raised):
                raised = message
            else:
                # The lab is not untied yet: if we die before the file stands, so does the lab; if after it, the
                # file is stale and the next start tidies it away.
                keeper.record(name, message.description)
                ours.sendall(_RECORDED)


def _warden(
    function: Callable[[], int | Outcome], ours: socket.socket, theirs: socket.socket, parent: int, *, keep: bool
) -> int:
    """The process between: it makes the namespaces, and waits for the one that lives in them."""
    ours.close()
    # A group of its own: the terminal's Ctrl-C reaches the caller alone, which passes it on once.
    os.setpgid(0, 0)
    for number in _INTERRUPTIONS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTIONS)
    try:
        namespaces.isolate()
        # After the user namespace: a change of credentials clears the tie.
        namespaces.die_with_parent()
    except Exception as error:  # noqa: BLE001  it is raised again, on the other side
        _send(theirs, _raised(error))
        return error.exit_code if isinstance(error, OutgateError) else 1
    if os.getppid() != parent:
        return INTERRUPTED
    leash, held = os.pipe()
    untied, untying = os.pipe()

    def born() -> int:
        os.close(held)
        os.close(untied)
        return _first(function, theirs, leash, untying, keep=keep)

    signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)
    first = process.fork(born)
    for number in _INTERRUPTIONS:
        signal.signal(number, lambda number, _: os.kill(first, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTIONS)
    os.close(untying)
    theirs.close()
    if farewell := os.read(untied, 1):
        return farewell[0]
    return _exit_code(os.waitpid(first, 0)[1])


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _first(
    function: Callable[[], int | Outcome], theirs: socket.socket, leash: int, untying: int, *, keep: bool
) -> int:
    """The first process of the lab. When it ends, the kernel takes the lab down."""
    namespaces.die_with_parent()
    # If the warden died before the tie was made, the other end of its pipe is closed.
    if readable(leash, within=0):
        return INTERRUPTED
    # The first process of a process namespace gets no signal that it has no handler for (pid_namespaces(7)).
    for number in _INTERRUPTIONS:
        signal.signal(number, _interrupt)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTIONS)
        given = function()
        outcome = given if isinstance(given, Outcome) else Outcome(given)
        if keep and outcome.stage is not None and _recorded(theirs, outcome.stage):
            _stay(outcome.exit_code, theirs, untying)
        return outcome.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  it is raised again, on the other side
        _send(theirs, _raised(error))
        return 1


def _recorded(theirs: socket.socket, stage: Stage) -> bool:
    """Asks the caller for the file that describes this lab; False where it cannot or is gone."""
    _send(theirs, _Keep(keeper.describe(stage)))
    return theirs.recv(len(_RECORDED)) == _RECORDED


def _stay(exit_code: int, theirs: socket.socket, untying: int) -> None:
    """Lets go of everything that ties the lab to whoever started it, and waits to be ended."""
    sys.stdout.flush()
    sys.stderr.flush()
    namespaces.outlive_parent()
    os.setsid()
    with open(os.devnull, "r+b") as nothing:
        for number in (0, 1, 2):
            os.dup2(nothing.fileno(), number)
    theirs.close()
    os.write(untying, bytes([exit_code]))
    os.close(untying)
    keeper.wait_for_the_end()


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _raised(error: Exception) -> _Raised:
    """The exception, ready to travel. What does not survive pickling goes as its own text."""
    text = "" if isinstance(error, OutgateError) else "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  our own words
    except Exception:  # noqa: BLE001  a class may break in any way when it is made again
        return _Raised(RuntimeError(f"{type(error).__name__}: {error}"), text)
    return _Raised(error, text)


def _send(theirs: socket.socket, message: _Raised | _Keep) -> None:
    with contextlib.suppress(BrokenPipeError):
        theirs.sendall(pickle.dumps(message))
