"""Whoever folds the events of a watch, as the agent does, and can be asked to wait for what they amount to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from outgate.cluster.access import Access, Credentials
from outgate.cluster.events import Broken, Event, Recovered, Removed, Replaced, Troubled, Upserted
from outgate.cluster.watch import Pace, Subscription
from outgate.cluster.watches import Watches
from outgate.model.parse import Refused, parse_object
from outgate.model.parse_objects import HostPod
from outgate.model.place import Document
from tests.cluster.watchserver import WatchServer

__all__ = ["QUICK", "Follower", "access_of", "follow", "meant", "state_of"]

Key = tuple[str, str, str]

QUICK = Pace(start=0, relist=0, grace=5, head=5, healthy=0, first=0.002, longest=0.01, refused=(0.005, 0.01))
"""For tests that care about what happens and not about when."""


class Follower:
    """Give `deliver` to a watch. `state` is by kind, namespace and name."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.state: dict[Key, object] = {}
        self.broken: dict[Key, Broken] = {}
        self.troubled: dict[str, str] = {}
        self._news = threading.Condition()

    def deliver(self, event: Event) -> None:
        """Take an event in."""
        with self._news:
            self.events.append(event)
            self._fold(event)
            self._news.notify_all()

    def _fold(self, event: Event) -> None:
        match event:
            case Replaced():
                for many in (self.state, self.broken):
                    for key in [key for key in many if key[0] == event.kind]:
                        del many[key]
                self.state |= {key_of(event.kind, one): one for one in event.objects}
                assert len({key_of(event.kind, one) for one in event.objects}) == len(event.objects)
            case Upserted():
                self.state[key_of(event.kind, event.object)] = event.object
                self.broken.pop(key_of(event.kind, event.object), None)
            case Removed():
                self.state.pop(key_of(event.kind, event.object), None)
                self.broken.pop(key_of(event.kind, event.object), None)
            case Broken():
                self.broken[event.kind, event.namespace, event.name] = event
            case Troubled():
                assert event.kind not in self.troubled, "trouble is told once"
                self.troubled[event.kind] = event.words
            case Recovered():
                del self.troubled[event.kind]

    def until(self, true: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until something is true that an event makes true, or fail."""
        with self._news:
            assert self._news.wait_for(true, seconds), f"never came about; the last events are {self.events[-5:]}"

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of a class."""
        return [one for one in list(self.events) if isinstance(one, kind)]


def key_of(kind: str, value: Any) -> Key:
    """Kind, namespace and name."""
    return kind, getattr(value, "namespace", ""), value.name


def access_of(server: WatchServer, client: str = "", **more: Any) -> Access:
    """The access to a server, with the name by which its traffic is counted."""
    headers = {"X-Client": client} if client else {}
    return Access("cluster:test", urlsplit(server.url), lambda: Credentials(headers), **more)


def follow(
    server: WatchServer, follower: Follower, kinds: Iterable[str | Subscription] = ("Pod",), **more: Any
) -> Watches:
    """Watch these kinds, quickly unless told otherwise. Use it with `with`."""
    subscriptions = [Subscription(one) if isinstance(one, str) else one for one in kinds]
    access = more.pop("access", None) or access_of(server)
    return Watches(access, subscriptions, follower.deliver, **{"pace": QUICK, **more})


def meant(value: dict[str, Any]) -> object:
    """What `outgate.model.parse` makes of an object by itself; None where it refuses it."""
    made = parse_object(Document("x", value, stored=True))
    if isinstance(made, Refused):
        return None
    (one,) = made
    return one.pod if isinstance(one, HostPod) else one


def state_of(server: WatchServer, *kinds: str) -> dict[Key, object]:
    """What is stored, as a follower of these kinds should have it."""
    found = [(kind, meant(value)) for kind in kinds for value in server.store.all(kind)]
    return {key_of(kind, one): one for kind, one in found}
