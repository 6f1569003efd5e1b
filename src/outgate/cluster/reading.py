"""What every reader of text has in common: lines that are found on demand, and a place for complaints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from outgate.errors import InputError
from outgate.model.place import Path

__all__ = ["Lines", "Newlines", "Unreadable"]


@dataclass(slots=True)
class Unreadable:
    """Errors are texts that are no documents; warnings are documents that say more than one reader would take."""

    errors: list[InputError] = field(default_factory=list)
    warnings: list[InputError] = field(default_factory=list)


class Newlines:
    """The newlines of one file, counted once.

    A file of a hundred thousand objects is asked for the beginning of many of them, and counting from its own beginning
    each time would cost more than reading it.
    """

    __slots__ = ("_before", "data")

    _STEP = 1 << 16

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._before: list[int] = []

    def line(self, at: int) -> int:
        """The line of a place, counted from 1."""
        if not self._before:
            counted = 0
            for start in range(0, len(self.data) + 1, self._STEP):
                self._before.append(counted)
                counted += self.data.count(b"\n", start, start + self._STEP)
        step = at // self._STEP
        return 1 + self._before[step] + self.data.count(b"\n", step * self._STEP, at)


class Lines:
    """The lines of one document, a slice of its file. Call it with a path.

    `find` reads the slice again and gives the line of every path in it, counted from 0 at its beginning; `read` gives
    its value. The text is
    not copied: of the files that were read, the bytes stay.
    """

    __slots__ = ("_end", "_file", "_find", "_first", "_read", "_start", "_table")

    def __init__(
        self,
        file: Newlines,
        start: int,
        end: int,
        find: Callable[[bytes], Mapping[Path, int]],
        read: Callable[[bytes], object],
    ) -> None:
        self._file = file
        self._start = start
        self._end = end
        self._find = find
        self._read = read
        self._first = 0
        self._table: Mapping[Path, int] | None = None

    @property
    def first(self) -> int:
        """The line on which the document begins, counted from 1 in its file."""
        if not self._first:
            self._first = self._file.line(self._start)
        return self._first

    def __call__(self, path: Path) -> int:
        """The line of the value at a path, counted from 1; of the nearest parent where there is no such value."""
        if self._table is None:
            self._table = self._find(self._file.data[self._start : self._end])
        while path and path not in self._table:
            path = path[:-1]
        return self.first + self._table.get(path, 0)

    def value(self) -> object:
        """What the document says, read again."""
        return self._read(self._file.data[self._start : self._end])

    def text(self, path: Path) -> tuple[int, str]:
        """The lines of the value at a path as they are written, and the number of the first.

        They end where the next value begins that is no part of it. The mark and the empty lines around a whole
        document are left out.
        """
        begin = self(path) - self.first
        assert self._table is not None
        after = [line for at, line in self._table.items() if line > begin and at[: len(path)] != path]
        lines = self._file.data[self._start : self._end].decode("utf-8", "replace").split("\n")
        if not path:
            begin = 0
        kept = lines[begin : min(after, default=len(lines))]
        while kept and kept[0].strip() in ("", "---"):
            begin += 1
            kept = kept[1:]
        return self.first + begin, "\n".join(kept).replace("\r", "").rstrip()
