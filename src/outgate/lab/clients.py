"""Clients that wait: each is a thread, and the servers, which are one loop of this process, answer them meanwhile."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, TypeVar

from outgate.lab.sockets import Loop

__all__ = ["beside"]

_AT_ONCE = 16
"""Clients at a time."""
_TURN = 1.0
"""Seconds that the loop waits for events at most; the end of a client is one."""

_Found = TypeVar("_Found")


def beside(loop: Loop, clients: Sequence[Callable[[], _Found]]) -> list[_Found]:
    """What each returns, in their order, while the loop turns. Raises what a client raises, when all have ended."""
    if not clients:
        return []
    waiting, ended = os.pipe()
    try:
        with open(waiting, "rb", buffering=0) as one, ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            loop.watch(one, functools.partial(_swallow, one))
            futures: list[Future[_Found]] = [pool.submit(client) for client in clients]
            for future in futures:
                future.add_done_callback(lambda _: os.write(ended, b"."))
            while not all(future.done() for future in futures):
                loop.turn(_TURN)
            loop.forget(one)
    finally:
        os.close(ended)
    return [future.result() for future in futures]


def _swallow(one: IO[bytes], _: int) -> None:
    """What was written only wakes."""
    one.read(65536)
