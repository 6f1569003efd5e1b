"""Kubernetes Events: what a developer sees of a denial with ``kubectl describe pod``, without asking for rights.

    EgressDenied, IngressDenied, WouldDeny    on the pod whose policies judged
    PolicyBroken                              on the policy
    DriftRepaired                             on the node

An Event is for people, so there is one for each owner, peer and rule in ten minutes, and a count: the first is written
at once, and how many came after it (`series`) when the ten minutes are over. Writing must never cost the cluster its
API server, nor the agent its memory: the queue is bounded and what does not fit is dropped, there are so many writes a
second and no more, and what is not allowed (403) is said once and then left.

Fields follow pkg/apis/core/validation/events.go, `legacyValidateEvent` and `ValidateEventCreate`: action, reason,
reporting controller and instance are required, a note has at most 1024 bytes, an Event lies in the namespace of what it
is about (``default`` for a node), and all but the series is immutable.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from outgate.cluster.client import Client
from outgate.cluster.watch_decode import KINDS
from outgate.cluster.writes import create, replace
from outgate.errors import ClusterError, InputError, one_line
from outgate.model.cilium_kinds import GROUP
from outgate.report.packet_log import LogRecord

__all__ = ["ClusterEvents", "Subject"]

WINDOW = 600.0
"""Seconds in which one Event stands for all of its kind."""
QUEUED = 500
"""Writes that wait at most."""
KEPT = 2000
"""Owners × peers × rules that are counted at a time; beyond it nothing new is told."""
BURST, PER_SECOND = 25, 1.0
"""Writes at once, and then so many a second: for each node there is one writer."""
_CONTROLLER = "outgate.dev/agent"
_NOTE = 1000
_PATIENCE = 5.0
"""Seconds: a server that does not answer is not waited for longer; the thread ends with the process."""
_REASONS = {("denied", "egress"): "EgressDenied", ("denied", "ingress"): "IngressDenied"}
_API = "/apis/events.k8s.io/v1/namespaces"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an Event is about (ObjectReference)."""

    kind: str
    name: str
    namespace: str = ""
    api_version: str = "v1"
    uid: str = ""

    @property
    def reference(self) -> Mapping[str, str]:
        """As the API has it."""
        fields = {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(slots=True)
class _Series:
    """One Event and how often it was seen since."""

    body: dict[str, Any]
    since: float
    count: int = 1
    last: float = 0.0
    """Seconds since 1970."""
    written: bool = False


class ClusterEvents:
    """Writes Events from a thread of its own, which alone uses `client`. Methods return at once, in any thread."""

    def __init__(
        self,
        client: Client,
        node: str,
        *,
        say: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.dropped = 0
        """Events that were not written because there were too many."""
        self.forbidden = False
        """Whether the API server does not let us write them; nothing is told then."""
        self._client, self._node, self._say = client, node, say
        self._clock, self._wall = clock, wall
        self._lock = threading.Lock()
        self._series: dict[tuple[object, ...], _Series] = {}
        self._queue: queue.Queue[_Series | None] = queue.Queue(QUEUED)
        self._ending = threading.Event()
        self._allowance, self._refilled = float(BURST), clock()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """End after the write that is being made; what waits is dropped."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---- what happened -----------------------------------------------------------------------------------------------

    def packet(self, record: LogRecord) -> None:
        """A packet was logged (`PacketLog` hears each)."""
        reason = (
            "WouldDeny" if record.verdict == "would-deny" else _REASONS.get((record.verdict, record.direction or ""))
        )
        if reason is None or record.pod is None:
            return
        # kubectl describe asks for the Events of this uid, and shows no others.
        subject = Subject("Pod", record.pod.name, record.pod.namespace, uid=record.pod.uid)
        sends = record.direction == "egress"
        what = f"{record.protocol or 'protocol unknown'}{'' if record.port is None else f' port {record.port}'}"
        way = f"{'to' if sends else 'from'} {record.peer}" if record.peer is not None else "of an unknown peer"
        did = "would be denied" if reason == "WouldDeny" else "denied"
        note = f"{what} {way} {did}: {record.rule} ({record.policy})"
        # One for a workload, not one for each of its pods: a deployment of a thousand would be a thousand Events.
        owner = (record.pod.namespace, record.workload or record.pod.name)
        self._happened((reason, owner, record.peer, record.protocol, record.port, record.policy), reason, subject, note)

    def policy_broken(self, kind: str, namespace: str, name: str, errors: Iterable[InputError]) -> None:
        """A policy, or a group of blocks that policies name, cannot be understood, and closes."""
        words = "; ".join(f"{one.path}: {one.message}" if one.path else one.message for one in errors)
        subject = Subject(kind, name, namespace, KINDS[kind].api_version)
        closes = "rules that name it are closed" if kind == GROUP else "nothing is allowed to the pods it selects"
        note = f"cannot be understood, so {closes}: {words}"
        self._happened(("PolicyBroken", subject), "PolicyBroken", subject, note)

    def drift_repaired(self) -> None:
        """Somebody else has changed our table, and it was mended."""
        subject = Subject("Node", self._node, uid=self._node)
        note = "the nftables table of Outgate was changed by somebody else, and is mended"
        self._happened(("DriftRepaired",), "DriftRepaired", subject, note)

    def _happened(self, key: tuple[object, ...], reason: str, subject: Subject, note: str) -> None:
        if self.forbidden:
            return
        now, wall = self._clock(), self._wall()
        with self._lock:
            self._close_windows(now)
            known = self._series.get(key)
            if known is not None:
                known.count += 1
                known.last = wall
                return
            if len(self._series) >= KEPT:
                self.dropped += 1
                return
            one = _Series(self._body(reason, subject, note, wall), now, last=wall)
            self._series[key] = one
            self._put(one)

    def _close_windows(self, now: float) -> None:
        """Series are in the order of their beginnings."""
        for key, one in list(self._series.items()):
            if now - one.since < WINDOW:
                break
            del self._series[key]
            if one.count > 1:
                self._put(one)

    def _put(self, one: _Series) -> None:
        try:
            self._queue.put_nowait(one)
        except queue.Full:
            self.dropped += 1

    def _body(self, reason: str, subject: Subject, note: str, wall: float) -> dict[str, Any]:
        namespace = subject.namespace or "default"
        parts = "\0".join((self._node, reason, subject.namespace, subject.name, note, repr(wall)))
        name = f"{subject.name[:200]}.{hashlib.blake2s(parts.encode(), digest_size=8).hexdigest()}"
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"namespace": namespace, "name": name},
            "eventTime": _micro(wall),
            "reportingController": _CONTROLLER,
            "reportingInstance": self._node[:128],
            "action": "Judge" if reason != "DriftRepaired" else "Mend",
            "reason": reason,
            "type": "Normal" if reason in {"WouldDeny", "DriftRepaired"} else "Warning",
            "regarding": dict(subject.reference),
            "note": _short(one_line(note)),
        }

    # ---- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                one = self._queue.get(timeout=0.5)
            except queue.Empty:
                with self._lock:
                    self._close_windows(self._clock())
                continue
            if one is not None and self._may_write():
                self._write(one)

    def _may_write(self) -> bool:
        """Wait for the allowance of writes; False where the end comes first."""
        while True:
            now = self._clock()
            self._allowance = min(float(BURST), self._allowance + (now - self._refilled) * PER_SECOND)
            self._refilled = now
            if self._allowance >= 1:
                self._allowance -= 1
                return not self.forbidden
            if self._ending.wait((1 - self._allowance) / PER_SECOND):
                return False

    def _write(self, one: _Series) -> None:
        path = f"{_API}/{one.body['metadata']['namespace']}/events"
        with self._lock:
            count, last = one.count, one.last
        try:
            if not one.written:
                answer = create(self._client, path, one.body)
                # 409: the first attempt did arrive, and its answer was lost.
                one.written = answer.status in {200, 201, 409}
            else:
                series = {"series": {"count": count, "lastObservedTime": _micro(last)}}
                answer = replace(self._client, f"{path}/{one.body['metadata']['name']}", one.body | series)
        except ClusterError:
            # The API server is away; its watches say so already, and an Event of yesterday helps nobody.
            self.dropped += 1
            return
        if answer.status == 403 and "being terminated" not in answer.words:
            self.forbidden = True
            with self._lock:
                self._series.clear()
            self._say(f"Events are not written: {answer.words}")
        elif answer.status >= 400 and answer.status != 409:
            self.dropped += 1


def _micro(seconds: float) -> str:
    """A MicroTime of the API."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _short(text: str) -> str:
    """At most so many bytes, cut at a letter."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= _NOTE else data[:_NOTE].decode("utf-8", "ignore") + "…"
