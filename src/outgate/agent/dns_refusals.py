"""The log of questions that were not passed on: a line of JSON for each, as `outgate logs` shows it.

The proxy writes it itself, since it goes on when the agent dies. What a line says of the pod beside its name (what it
belongs to, which policies isolate it, which rules list names) comes with the orders (`proxy.orders.Account`). Lines are
limited to so many a second, for all pods together, and the file is bounded: lines are lost then, and counted, and no
answer waits for one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from outgate.agent.log_file import Limit, LogFile
from outgate.host.closing import Closing
from outgate.host.dns_origin import Server
from outgate.proxy.glance import Asked
from outgate.proxy.orders import Pod
from outgate.report.packet_log import LogRecord, Party, PodName, QuestionSaid, Workload, rfc3339

__all__ = ["Refusals"]

_TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 35: "NAPTR", 43: "DS",
    48: "DNSKEY", 64: "SVCB", 65: "HTTPS", 255: "ANY", 257: "CAA",
}  # fmt: skip


class Refusals(Closing):
    """Writes lines. Nothing is raised: what cannot be written is lost, and counted. `clock` gives seconds."""

    def __init__(
        self,
        file: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        limit: int | None = None,
    ) -> None:
        self._file = LogFile(file) if limit is None else LogFile(file, limit=limit)
        self._limit, self._wall = Limit(clock), wall
        self.node = ""
        self.lost = 0
        """Lines that belonged in the log and are not in it."""

    def close(self) -> None:
        """Lets the file go."""
        self._file.close()

    def note(self, pod: Pod, source: str, server: Server, protocol: str, asked: Asked, *, refused: bool) -> None:
        """A pod's question to a server was not passed on: for its name (`refused`), or because of the server."""
        if not self._limit.lets():
            self.lost += 1
            return
        record = self._record(pod, source, server, protocol, asked, refused=refused)
        self.lost += self._file.add((msgspec.json.encode(record),))

    def _record(
        self, pod: Pod, source: str, server: Server, protocol: str, asked: Asked, *, refused: bool
    ) -> LogRecord:
        account, said = pod.account, QuestionSaid(asked.name, _type(asked.type), pod.account.rules if refused else ())
        kind, name = account.workload or ("", "")
        allowed = f"not what {', '.join(account.rules)} allows" if account.rules else "no rule allows it"
        return LogRecord(
            time=rfc3339(self._wall()),
            node=self.node,
            verdict="refused",
            direction="egress",
            pod=PodName(*_parted(pod.key)),
            workload=Workload(kind, name) if kind else None,
            peer=Party("External", cidrs=(f"{server.address}/{128 if ':' in server.address else 32}",)),
            source=source,
            destination=server.address,
            protocol=protocol,
            port=server.port,
            policy=account.policy or None,
            policies=account.policies,
            rule=f"{said}: {allowed if refused else 'no rule allows to ask this server'}",
            question=said,
        )


def _parted(key: str) -> tuple[str, str, str]:
    """A key of the orders: namespace, name and uid, each of which may be missing."""
    namespace, _, rest = key.partition("/")
    name, _, uid = rest.partition("/")
    return namespace, name, uid


def _type(number: int) -> str:
    """The name of a record type. RFC 3597, 5: one without is ``TYPE`` and its number."""
    return _TYPES.get(number, f"TYPE{number}")
