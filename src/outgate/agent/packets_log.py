"""The packet log: reads what rules copy to the nflog group, and writes a JSON object a line.

    kernel ─► nflog group ─► this thread: who was it (`attribution`) ─► packets.jsonl, and whoever listens (Events)

It never holds up a packet: the kernel copies and goes on, and what does not fit is lost *here*. Three things lose
lines: the limit of a rule (50 a second and chain), a full socket, a file that cannot be written. How many were lost is
told as the difference between what the rules counted and what came; where the counters are not known, as the numbers
that were missing in the stream.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from outgate.agent.attribution import Attribution
from outgate.agent.counters import Series
from outgate.agent.log_file import LIMIT, LogFile
from outgate.errors import OutgateError
from outgate.host.nflog import Logged, LogReader
from outgate.host.waiting import readable
from outgate.report.packet_log import LogRecord

__all__ = ["PacketLog"]

_AGAIN = 5.0
"""Seconds after which a group that could not be read is tried again."""
_SETTLED = 1.0
"""Seconds after which a logged packet has come, if there is nothing to be read: the kernel gathers for 0.1 s."""
_GATHERED = 0.2
"""Seconds within which the kernel has sent what it had gathered (`host.nflog` asks for 0.1 s)."""
_LOGGED = ("denied", "would-deny", "unknown")
"""The series whose chains log each packet that they count, up to the limit."""


class PacketLog:
    """Reads a group from a thread of its own until it is stopped, in the network namespace of whoever starts it.

    `logged` is told the verdict of each line and how many there are, `hear` each record; both must return at once.
    """

    def __init__(
        self,
        file: Path,
        attribution: Attribution,
        group: int,
        *,
        limit: int = LIMIT,
        log_allowed: bool = False,
        logged: Callable[[str, int], None] = lambda _verdict, _count: None,
        hear: Callable[[LogRecord], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.trouble = ""
        """Why nothing is read, where that is so."""
        self.file = LogFile(file, limit=limit)
        self._attribution, self._group = attribution, group
        self._kinds = (*_LOGGED, "allowed") if log_allowed else _LOGGED
        self._logged, self._hear = logged, hear
        self._encode = msgspec.json.Encoder().encode
        self._lock = threading.Lock()
        self._received = self._missed = self._missed_before = self._unwritten = self._lost = 0
        self._clock = clock
        self._base: int | None = None
        self._before, self._before_at = 0, 0.0
        self._busy = False
        self._names: dict[int, str | None] = {}
        self._reader: LogReader | None = None
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._run, name="packet log", daemon=True)

    def start(self, counted: Mapping[Series, int] | None = None) -> None:
        """Begin. `counted` is what the kernel's rules have counted until now, where that is known.

        Raises:
            NotPermitted, KernelError: the group cannot be read. It may be started all the same, by `start` again.
        """
        self._reader = LogReader(self._group)
        if counted is not None:
            self._begin(self._sum(counted))
        self._thread.start()

    def stop(self) -> None:
        """Read what is there, and end."""
        os.write(self._waker, b".")
        if self._thread.ident is not None:
            self._thread.join()
        for one in (self._wake, self._waker):
            os.close(one)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def lost(self, counted: Mapping[Series, int] | None = None) -> int:
        """Packets that belonged in the log and are not in it, as far as it is known; never less than before.

        Of what the rules have counted by now, the last lines may still be on their way. So what they had counted a
        while ago is compared, and only when nothing waits to be read: a loss is told late, and none that was none.
        """
        with self._lock:
            known = self._missed + self._unwritten
            if counted is not None:
                known = max(known, self._difference(self._sum(counted)) + self._unwritten)
            self._lost = max(self._lost, known)
            return self._lost

    def _difference(self, now: int) -> int:
        """Of what the rules have counted, how much did not come."""
        if self._base is None:
            self._begin(now - self._received)
        assert self._base is not None, "made a line above"
        if not self._thread.is_alive():
            # Nothing is on its way to a log that has ended.
            return now - self._base - self._received
        if self._clock() - self._before_at < _SETTLED or self._waits():
            return 0
        before, self._before, self._before_at = self._before, now, self._clock()
        return before - self._base - self._received

    def _begin(self, counted: int) -> None:
        self._base = self._before = counted
        self._before_at = self._clock()

    def _waits(self) -> bool:
        """Whether there is something that is not counted as received yet."""
        return self._busy or self._reader is None or bool(readable(self._reader.fileno(), within=0))

    def _sum(self, counted: Mapping[Series, int]) -> int:
        return sum(packets for series, packets in counted.items() if series.what in self._kinds)

    # ---- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._reader is not None or self._reopened():
            assert self._reader is not None, "opened, now or before"
            try:
                ended = self._wait(self._reader)
                self._take(self._reader.read(0), self._reader.lost)
                if ended:
                    self._take_last(self._reader)
                    break
            except OutgateError as error:
                self.trouble = error.message
                with self._lock:
                    self._missed_before += self._reader.lost
                self._close()
        self._close()
        self.file.close()

    def _take_last(self, reader: LogReader) -> None:
        """What the kernel has gathered and not sent yet."""
        end = self._clock() + _GATHERED
        while (left := end - self._clock()) > 0:
            self._take(reader.read(left), reader.lost)

    def _wait(self, reader: LogReader) -> bool:
        """Whether the end has come; else there is something to be read."""
        with self._lock:
            self._busy = False
        ended = self._wake in readable(reader.fileno(), self._wake, within=None)
        with self._lock:
            self._busy = True
        return ended

    def _reopened(self) -> bool:
        """Open the group again, and again; False where the end has come first."""
        while not readable(self._wake, within=_AGAIN):
            try:
                self._reader = LogReader(self._group)
            except OutgateError as error:
                self.trouble = error.message
            else:
                self.trouble = ""
                return True
        return False

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _take(self, packets: list[Logged], missed: int) -> None:
        records = [record for one in packets if (record := self._attribution.record(one, self._interface)) is not None]
        failed = self.file.add(self._encode(one) for one in records)
        counts: dict[str, int] = {}
        for one in records:
            counts[one.verdict] = counts.get(one.verdict, 0) + 1
            self._hear(one)
        for verdict, count in counts.items():
            self._logged(verdict, count)
        with self._lock:
            self._received += len(records)
            self._unwritten += failed
            self._missed = self._missed_before + missed

    def _interface(self, index: int) -> str | None:
        """The name of an interface, asked for once; of one that has gone meanwhile none."""
        if index not in self._names:
            if len(self._names) > 1000:
                self._names.clear()
            try:
                self._names[index] = socket.if_indextoname(index)
            except OSError:
                return None
        return self._names[index]
