"""`outgate agent dns`: the DNS proxy of a node, which the agent starts and which outlives it."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from outgate.errors import KernelError, unusable

if TYPE_CHECKING:
    from outgate.agent.dns_settings import DnsSettings

__all__ = ["dns"]

_SWITCH = 0.000_5
"""Seconds."""


@click.command()
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    default="/run/outgate",
    show_default=True,
    metavar="DIR",
    help="Where the agent writes the proxy's orders, and the proxy its status.",
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default="/var/lib/outgate",
    show_default=True,
    metavar="DIR",
    help="What outlives a reboot: the addresses that were learnt.",
)
@click.option(
    "--while-down",
    type=click.Choice(("closed", "forward")),
    default="closed",
    show_default=True,
    help="What becomes of pods' questions while no proxy runs.",
)
@click.option("--standby", is_flag=True, help="Where another proxy runs, wait until it ends.")
@click.option("--lock-fd", type=click.IntRange(0), default=None, hidden=True)
@click.option(
    "--deadline",
    type=click.FloatRange(0.001),
    default=None,
    hidden=True,
    help="Seconds that an answer waits for the kernel.",
)
def dns(
    run_dir: Path, state_dir: Path, while_down: str, standby: bool, lock_fd: int | None, deadline: float | None
) -> int:
    """Serve DNS to the pods of this node whose policies use names.

    The agent starts it, and again when it dies; to be run by hand only in a container of its own beside the agent's,
    on standby. Then one of both serves, and the other takes over when it ends.
    Pods' questions are led here by the rules of the agent, and go on to the servers that the pods asked.

    \b
    Exit codes:
      0  it was told to end
      2  bad usage
      3  another proxy runs, or the kernel refused
    """
    from outgate.agent.dns_proxy import DnsProxy
    from outgate.agent.dns_settings import DnsSettings
    from outgate.host.descriptors import raise_descriptor_limit

    settings = DnsSettings(run_dir=run_dir, state_dir=state_dir, leased=while_down == "forward")
    if deadline is not None:
        settings = replace(settings, deadline=deadline)
    with ExitStack() as stack:
        try:
            lock = _locked(settings, lock_fd, standby=standby)
        except _EndedError:
            return 0
        stack.callback(os.close, lock)
        # Of connections alone there may be two thousand: those of pods, and some for each of them to its server.
        raise_descriptor_limit()
        proxy = stack.enter_context(DnsProxy(settings, say=lambda words: click.echo(words, err=True)))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: proxy.stop())
        # Python gives its lock on after 5 ms to a thread that asks for it; the one that puts addresses into the kernel
        # would lose a tenth of its deadline each time while questions come without a pause.
        sys.setswitchinterval(_SWITCH)
        # What is there now stays; of what comes with a question, nothing refers to itself.
        gc.freeze()
        gc.set_threshold(50_000)
        proxy.run()
    return 0


class _EndedError(Exception):
    """Told to end while waiting for the lock."""


def _end(*_: object) -> None:
    raise _EndedError


def _locked(settings: DnsSettings, inherited: int | None, *, standby: bool) -> int:
    """The lock that the one proxy of a node holds.

    Raises:
        KernelError: another holds it, and it is not to be waited for; or it cannot be made.
        _EndedError: a signal has ended the waiting.
    """
    try:
        if inherited is not None:
            lock = inherited
            os.set_inheritable(lock, False)
        else:
            settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(settings.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if standby:
            # Whoever waits as the first process of a container hears no signal that it has not asked for.
            signal.signal(signal.SIGTERM, _end)
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if standby else fcntl.LOCK_NB))
    except BlockingIOError:
        raise KernelError(
            f"another DNS proxy of this node runs already: it holds {settings.lock_file}",
            hint="the agent starts one by itself; --standby waits until it ends",
        ) from None
    except OSError as error:
        raise KernelError(str(unusable(error.filename or str(settings.lock_file), "made", error))) from error
    return lock
