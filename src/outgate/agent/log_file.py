"""A file of lines that is bounded: when it is full it becomes ``NAME.1``, in the place of the one before."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = ["A_SECOND", "LIMIT", "Limit", "LogFile"]

LIMIT = 16 * 1024 * 1024
"""Bytes of the file; with the one before it is twice as much. /run is memory on most nodes."""


A_SECOND = 50
"""Lines in one second at the most, as the kernel's rules have it for each set of policies."""


class Limit:
    """Lets so many through in each second of a clock."""

    def __init__(self, clock: Callable[[], float], a_second: int = A_SECOND) -> None:
        self._clock, self._a_second = clock, a_second
        self._second, self._left = -1, 0

    def lets(self) -> bool:
        """Whether there is room for one more now."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._left = second, self._a_second
        self._left -= 1
        return self._left >= 0


class LogFile:
    """A file that lines are added to, and that is rotated once it holds `limit` bytes. Not for several threads."""

    def __init__(self, file: Path, *, limit: int = LIMIT) -> None:
        self.file, self.limit = file, limit
        self.trouble = ""
        self._handle: int | None = None
        self._size = 0
        self._torn = False

    @property
    def before(self) -> Path:
        """Where the lines are that were rotated away."""
        return self.file.with_name(f"{self.file.name}.1")

    def add(self, lines: Iterable[bytes]) -> int:
        """Write lines, and say how many could not be written."""
        many = tuple(lines)
        if not many:
            return 0
        # What was cut off when the disk was full must not take the next line with it.
        data = (b"\n" if self._torn else b"") + b"".join(one + b"\n" for one in many)
        try:
            handle = self._open()
            written = os.write(handle, data)
        except OSError as error:
            self.trouble = f"{self.file}: {(error.strerror or str(error)).lower()}"
            self.close()
            return len(many)
        self._size += written
        if written < len(data):
            self._torn, self.trouble = True, f"{self.file}: no room"
            whole = data[:written].count(b"\n") - data.startswith(b"\n")
            return len(many) - max(0, whole)
        self._torn, self.trouble = False, ""
        if self._size >= self.limit:
            self._rotate()
        return 0

    def _open(self) -> int:
        if self._handle is None:
            # Addresses and names of pods are for the node's administrators.
            self._handle = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            self._size = os.fstat(self._handle).st_size
        return self._handle

    def _rotate(self) -> None:
        self.close()
        try:
            os.replace(self.file, self.before)
        except OSError as error:
            self.trouble = f"{self.file}: {(error.strerror or str(error)).lower()}"

    def close(self) -> None:
        """Let the file go; the next line opens it again."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.close(self._handle)
            self._handle = None
