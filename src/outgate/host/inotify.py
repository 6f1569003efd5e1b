"""Waiting for a file in a folder to change, without looking again and again (inotify(7)).

The folder is watched and not the file, because a file that is replaced or rotated is another file of the same name.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

from outgate.errors import KernelError
from outgate.host.closing import Closing
from outgate.host.waiting import readable

__all__ = ["FolderWatch"]

_MODIFY, _MOVED_TO, _CREATE = 0x2, 0x80, 0x100
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
"""IN_NONBLOCK and IN_CLOEXEC are defined as these."""


class FolderWatch(Closing):
    """Hears that something in a folder was written, created or moved there, from the moment that it is made.

    Raises:
        KernelError: the folder is not there, or the user has no more watches (fs.inotify.max_user_instances).
    """

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle: int = libc.inotify_init1(_FLAGS)
        if self._handle < 0:
            raise _refusal(folder)
        if libc.inotify_add_watch(self._handle, os.fsencode(folder), _MODIFY | _MOVED_TO | _CREATE) < 0:
            error = _refusal(folder)
            os.close(self._handle)
            raise error

    def close(self) -> None:
        """Hears no more."""
        os.close(self._handle)

    def fileno(self) -> int:
        """For `select` and its like: readable when something has changed. `wait` takes note of it."""
        return self._handle

    def wait(self, timeout: float | None) -> bool:
        """Whether something has changed since the last call; waits so many seconds for it, or (None) for ever."""
        if not readable(self._handle, within=timeout):
            return False
        with contextlib.suppress(BlockingIOError):
            while os.read(self._handle, 65536):
                pass
        return True


def _refusal(folder: Path) -> KernelError:
    return KernelError(f"{folder} cannot be watched: {os.strerror(ctypes.get_errno()).lower()}")
