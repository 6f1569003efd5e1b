"""Many real watch clients against the API server of the tests: what events cost, and by which law.

The server is a process of its own on loopback; all clients are in another one, each with the reflectors of all kinds
that an agent follows (`outgate.cluster.watches`), its own connections and its own name, by which the server counts.
What they are told is counted and let go: what an agent does with it is measured elsewhere. Pods are of the size of real
ones (`benchmarks.watch.dressed`), and what happens to them is their life: of one pod after the other, eight writes from
``Pending`` to its end, one write after the other at a given rate, and then no more.

The law that is checked: bytes = clients x writes x (bytes of a pod + the frame of an event). Processor time of the
clients is for each event that one of them is told; that of the server is the test server's, which is no kube-apiserver.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from benchmarks.agent import serving, told
from benchmarks.cluster import Shape
from benchmarks.manifests import manifests
from benchmarks.measured_agent import processor
from benchmarks.tables import Row
from benchmarks.watch import dressed
from outgate.agent.step import NEEDED
from outgate.cluster.access import Access, Credentials
from outgate.cluster.events import Event, Removed, Replaced, Upserted
from outgate.cluster.watch import Pace, Subscription
from outgate.cluster.watches import Watches

__all__ = ["Load", "following", "life"]

Manifest = dict[str, Any]

PATIENCE = 120.0
"""Seconds after which something is wrong."""


@dataclass(frozen=True, slots=True)
class Load:
    """So many clients follow so many pods, and so many writes come, so many a second."""

    clients: int
    pods: int
    writes: int
    rate: float


def life(pod: Manifest) -> Iterator[Manifest]:
    """What is written of a pod, from its creation to the last before it is removed: seven of eight writes."""
    metadata, spec, running = pod["metadata"], pod["spec"], pod["status"]
    nowhere = {name: one for name, one in spec.items() if name != "nodeName"}
    pending: Manifest = {"phase": "Pending"}
    ends = {**metadata, "deletionTimestamp": "2026-11-22T18:31:44Z", "deletionGracePeriodSeconds": 30}
    ready = {"type": "Ready", "status": "True"}
    yield {**pod, "spec": nowhere, "status": pending}
    yield {**pod, "status": pending}
    yield {**pod, "status": {**pending, "conditions": [{"type": "PodScheduled", "status": "True"}]}}
    yield {**pod, "status": {**running, "conditions": []}}
    yield {**pod, "status": {**running, "conditions": [ready]}}
    yield {**pod, "metadata": ends, "status": {**running, "conditions": [ready]}}
    yield {**pod, "metadata": ends, "status": {"phase": "Succeeded"}}


class _Crowd:
    """Counts what all clients are told."""

    def __init__(self, clients: int) -> None:
        self._clients = clients
        self._lock = threading.Lock()
        self._wholes = 0
        self._events = 0
        self._wanted = 0
        self._complete = threading.Event()
        self._enough = threading.Event()

    def deliver(self, event: Event) -> None:
        """In the threads of all clients."""
        with self._lock:
            match event:
                case Replaced():
                    self._wholes += 1
                    if self._wholes == self._clients * len(NEEDED):
                        self._complete.set()
                case Upserted() | Removed():
                    self._events += 1
                    if self._events == self._wanted:
                        self._enough.set()
                case _:
                    raise AssertionError(event)

    def complete(self) -> None:
        """Wait until everybody knows all."""
        assert self._complete.wait(PATIENCE), f"{self._wholes} states have come"

    def expect(self, events: int) -> None:
        """So many events will come, of all clients together."""
        self._wanted = events

    def enough(self) -> None:
        """Wait until they have."""
        assert self._enough.wait(PATIENCE), f"{self._events} of {self._wanted} events have come"


def following(load: Load) -> Row:
    """One row: the figures of one load."""
    shape = Shape(pods=load.pods, policies=20, namespaces=4, kinds=20)
    objects = [one for one in manifests(shape) if one["kind"] in NEEDED]
    objects = [dressed(one, number) if one["kind"] == "Pod" else one for number, one in enumerate(objects)]
    some = [one for one in objects if one["kind"] == "Pod" and one["status"]["phase"] == "Running"]
    crowd = _Crowd(load.clients)
    with serving(objects) as (url, orders, answers):
        clients = [_client(url, number, crowd) for number in range(load.clients)]
        begun, used = time.monotonic(), processor()
        for one in clients:
            one.start()
        crowd.complete()
        listed, listing = time.monotonic() - begun, processor() - used
        before = _total(orders, answers)
        crowd.expect(load.clients * load.writes)
        begun, used = time.monotonic(), processor()
        for number, order in enumerate(islice(_orders(some), load.writes)):
            told(orders, answers, **order)
            # The rate is part of the load; what is awaited is awaited below.
            time.sleep(max(0.0, begun + number / load.rate - time.monotonic()))
        crowd.enough()
        seconds, events = time.monotonic() - begun, processor() - used
        after = _total(orders, answers)
        for one in clients:
            one.stop()
    deliveries = load.clients * load.writes
    sent = after["sent"] - before["sent"]
    return {
        "clients": load.clients,
        "pods": load.pods,
        "writes a second": round(load.writes / seconds, 1),
        "all lists, MB": round(before["sent"] / 1e6, 1),
        "of one client, MB": round(before["sent"] / load.clients / 1e6, 2),
        "all lists, s": round(listed, 1),
        "list, CPU µs a pod": round(listing / load.clients / load.pods * 1e6),
        "events told": after["events"] - before["events"],
        "of all, MB a second": round(sent / seconds / 1e6, 2),
        "of one, kB a second": round(sent / load.clients / seconds / 1e3, 1),
        "bytes an event": round(sent / deliveries),
        "event, CPU µs": round(events / deliveries * 1e6),
        "server, CPU µs an event": round((after["processor"] - before["processor"]) / deliveries * 1e6),
    }


def _client(url: str, number: int, crowd: _Crowd) -> Watches:
    access = Access("cluster:bench", urlsplit(url), lambda: Credentials({"X-Client": f"agent-{number}"}))
    subscriptions = [
        Subscription(kind, field_selector="metadata.name=node-0" if kind == "Node" else "") for kind in sorted(NEEDED)
    ]
    return Watches(access, subscriptions, crowd.deliver, pace=Pace(start=0.5))


def _orders(pods: list[Manifest]) -> Iterator[dict[str, Any]]:
    """What the server is told: new pods, beside those that there are, are born and go."""
    for number in range(1 << 30):
        like = pods[number % len(pods)]
        pod = {**like, "metadata": {**like["metadata"], "name": f"born-{number}", "uid": f"born-{number}"}}
        for one in life(pod):
            yield {"put": [one]}
        yield {"delete": [["Pod", pod["metadata"]["namespace"], pod["metadata"]["name"]]]}


def _total(orders: Any, answers: Any) -> dict[str, float]:
    cost = told(orders, answers, cost=True)
    total = {name: sum(one[name] for one in cost["traffic"]) for name in ("sent", "events")}
    return {**total, "processor": cost["processor"]}
