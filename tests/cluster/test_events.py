"""Events are values: what one thread tells, another one may keep."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from outgate.cluster.events import Broken, Event, Recovered, Removed, Replaced, Troubled, Upserted, Watched
from outgate.cluster.watch_decode import KINDS
from outgate.model import Pod
from outgate.model.cilium_kinds import CILIUM_KINDS
from outgate.model.cluster_policy_schemas import DEFINITIONS

POD = Pod("shop", "web")
EVENTS: list[Event] = [
    Replaced("Pod", (POD,)), Upserted("Pod", POD, 1.5), Removed("Pod", POD), Troubled("Pod", "no"), Recovered("Pod"),
    Broken("Pod", "shop", "web", ()),
]  # fmt: skip


def test_every_kind_of_event_is_one() -> None:
    """Who matches on them all needs to know that these are all."""
    assert {type(one) for one in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda one: type(one).__name__)
def test_events_do_not_change(event: Event) -> None:
    """They cross threads."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.kind = "Node"  # type: ignore[misc]  # that is the point
    assert event == dataclasses.replace(event)


def test_kinds_are_named_after_their_classes() -> None:
    """The kind of an event says what class its object has; where several are one class, that says which it is."""
    alike = {*(kind for _, kind in DEFINITIONS), *(kind for _, kind in CILIUM_KINDS)}
    classes = {"ClusterPolicy", "CiliumObject", "CidrGroup"}
    assert {one.__name__ for one in get_args(Watched)} == set(KINDS) - alike | classes
    assert alike < set(KINDS)
