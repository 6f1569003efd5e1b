"""What each kind costs that an agent follows: the list once, and the events of a minute's work on the cluster.

As in `benchmarks.fleet_following`, real watch clients follow the API server of the tests, which counts for each client
and kind (a watch of each kind has a name of its own here). What they ask for is what an agent asks for where policies
of Cilium's mean Services and the API server (`outgate.agent.around`); of Nodes both ways, its own alone and all. What
is written is the same for everybody: a number of changes of each kind, of EndpointSlices those that pods cause and some
of what is asked for.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from benchmarks.agent import serving, told
from benchmarks.around import around, heartbeat
from benchmarks.cluster import Shape
from benchmarks.fleet_following import PATIENCE
from benchmarks.tables import Row
from benchmarks.watch import dressed
from outgate.agent.around import Around
from outgate.agent.step import NEEDED
from outgate.cluster.access import Access, Credentials
from outgate.cluster.events import Event, Removed, Replaced, Upserted
from outgate.cluster.watch import Pace, Subscription
from outgate.cluster.watches import Watches
from outgate.model import Document, Service
from outgate.model.parse import parse

__all__ = ["kinds"]

Manifest = dict[str, Any]
_OWN, _ALL = "by selector", "all"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One watch of every client: its name in the table, and what is asked for."""

    name: str
    one: Subscription


def asked(objects: list[Manifest]) -> list[_Asked]:
    """What an agent asks for, by what its own book-keeping says (`Around.wanted`), and all Nodes beside."""
    needed = [Subscription(kind) for kind in sorted(NEEDED - {"Node"})]
    found = parse(Document("cluster", one) for one in objects if one["kind"] != "Pod").snapshot
    book = Around()
    book.ask(found.cilium_policies)
    for one in found.services:
        book.put_service(Service(one.namespace, one.name, selector=one.selector, labels=one.labels))
    own = Subscription("Node", field_selector="metadata.name=node-0")
    return [
        *(_Asked(one.kind, one) for one in needed),
        *(_Asked(f"{one.kind} ({_OWN})" if one.label_selector else one.kind, one) for one in book.wanted),
        _Asked(f"EndpointSlice ({_ALL})", Subscription("EndpointSlice")),
        _Asked(f"Node ({_OWN})", own),
        _Asked(f"Node ({_ALL})", Subscription("Node")),
    ]


class _Hall:
    """Counts what all clients are told, by the name of the watch."""

    def __init__(self) -> None:
        self.wholes: dict[str, int] = {}
        self.events: dict[str, int] = {}
        self._changed = threading.Condition()

    def ear(self, name: str) -> Any:
        """What a watch of that name delivers to."""

        def deliver(event: Event) -> None:
            with self._changed:
                if isinstance(event, Replaced):
                    self.wholes[name] = self.wholes.get(name, 0) + 1
                elif isinstance(event, Upserted | Removed):
                    self.events[name] = self.events.get(name, 0) + 1
                else:
                    raise AssertionError(event)
                self._changed.notify_all()

        return deliver

    def until(self, count: dict[str, int], wanted: dict[str, int]) -> None:
        """Wait until each has come so often."""
        with self._changed:
            true = self._changed.wait_for(
                lambda: all(count.get(name, 0) >= to for name, to in wanted.items()), PATIENCE
            )
        assert true, (count, wanted)


def kinds(shape: Shape, *, nodes: int, clients: int, writes: int) -> Iterator[Row]:
    """A row for each kind."""
    objects = list(around(shape, nodes=nodes))
    objects = [dressed(one, number) if one["kind"] == "Pod" else one for number, one in enumerate(objects)]
    watches, hall = asked(objects), _Hall()
    with serving(objects) as (url, orders, answers):
        many = [_client(url, one, number, hall) for one in watches for number in range(clients)]
        for client in many:
            client.start()
        hall.until(hall.wholes, {one.name: clients for one in watches})
        listed = _traffic(orders, answers)
        wanted = {one.name: 0 for one in watches}
        changes: Counter[str] = Counter()
        for written in _written(objects, writes):
            told(orders, answers, put=[written])
            changes[written["kind"]] += 1
            for one in watches:
                wanted[one.name] += clients * _sees(one.one, written)
        hall.until(hall.events, wanted)
        after = _traffic(orders, answers)
        for client in many:
            client.stop()
    for one in watches:
        first, then = listed.get(one.name, (0, 0)), after.get(one.name, (0, 0))
        events = (then[1] - first[1]) // clients
        yield {
            "kind": one.name,
            "objects there": sum(each["kind"] == one.one.kind for each in objects),
            "asked for": sum(_sees(one.one, each) for each in objects),
            "list of one, kB": round(first[0] / clients / 1e3, 1),
            "changes": changes[one.one.kind],
            "told of one": events,
            "bytes an event": round((then[0] - first[0]) / clients / events) if events else 0,
        }


def _client(url: str, one: _Asked, number: int, hall: _Hall) -> Watches:
    access = Access("cluster:bench", urlsplit(url), lambda: Credentials({"X-Client": f"{one.name}/{number}"}))
    return Watches(access, [one.one], hall.ear(one.name), pace=Pace(start=0.5))


def _written(objects: list[Manifest], writes: int) -> Iterator[Manifest]:
    """So many changes of each kind, and two of what is asked for where that is less than all."""
    by_kind: dict[str, list[Manifest]] = {}
    for one in objects:
        by_kind.setdefault(one["kind"], []).append(one)
    for kind, many in by_kind.items():
        if kind in {"Deployment", "ReplicaSet"}:
            continue
        # Slices of Services with selectors come first, and nodes that are others.
        some = [
            one for one in many if one["metadata"]["name"] != "node-0" and not one["metadata"]["name"].endswith("-x")
        ]
        more = [one for one in many if one not in some][:1] * 2 if kind in {"EndpointSlice", "Node"} else []
        for number, one in enumerate([*(some[at % len(some)] for at in range(writes)), *more]):
            changed = heartbeat(one, number) if kind == "Node" else one
            labels = {**changed["metadata"].get("labels", {}), "changed": str(number)}
            yield {**changed, "metadata": {**changed["metadata"], "labels": labels}}


def _sees(one: Subscription, written: Manifest) -> bool:
    """Whether a watch is told of an object."""
    if written["kind"] != one.kind:
        return False
    if one.field_selector:
        return bool(one.field_selector == f"metadata.name={written['metadata']['name']}")
    names = one.label_selector.partition("(")[2].rstrip(")").split(",") if one.label_selector else None
    return names is None or written["metadata"].get("labels", {}).get("kubernetes.io/service-name") in names


def _traffic(orders: Any, answers: Any) -> dict[str, tuple[int, int]]:
    """Bytes and events by the name of the watch, of all clients together."""
    found: dict[str, tuple[int, int]] = {}
    for one in told(orders, answers, cost=True)["traffic"]:
        name = one["client"].rpartition("/")[0]
        sent, events = found.get(name, (0, 0))
        found[name] = sent + one["sent"], events + one["events"]
    return found
