"""Waiting for one of a few descriptors, whatever their numbers.

select(2): "select() can monitor only file descriptors numbers that are less than FD_SETSIZE (1024)". A proxy with a
thousand questions open and a lab of a thousand pods have higher ones, and a thread that meets one would end.
"""

from __future__ import annotations

import errno
import os
import select
from typing import Protocol, TypeVar

__all__ = ["readable"]


class _Open(Protocol):
    def fileno(self) -> int: ...


_Handle = TypeVar("_Handle", bound=int | _Open)


def readable(*handles: _Handle, within: float | None) -> list[_Handle]:
    """Those that can be read or have ended, waiting so many seconds (None: for ever) for the first.

    Raises:
        OSError: the file behind one of the numbers is closed.
        ValueError: one of the objects is.
    """
    poll = select.poll()
    by_number = {one if isinstance(one, int) else one.fileno(): one for one in handles}
    for number in by_number:
        poll.register(number, select.POLLIN)
    seen = poll.poll(None if within is None else within * 1000)
    # select(2) refuses a descriptor that is closed; poll(2) says so for as long as it is asked, at once.
    if any(event & select.POLLNVAL for _, event in seen):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return [by_number[number] for number, _ in seen]
