"""What happens to an agent, as values: equal where they say the same, so that a test or a log may compare them."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from outgate.agent import events
from outgate.agent.events import (
    Applied,
    Born,
    Chosen,
    Died,
    Drifted,
    Event,
    Forgotten,
    Linked,
    Listed,
    Refused,
    Released,
    Swept,
)
from outgate.agent.step import State, plan
from outgate.agent.world import Claim
from outgate.cluster import events as told
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options

MINE = (
    Listed(None),
    Listed(Ruleset()),
    Drifted("who?"),
    Linked({}),
    Born("shop", "web", Claim("", (), ""), 1),
    Died("shop", "web"),
    Forgotten(1),
    Chosen(Options()),
    Applied(),
    Refused("no"),
    Released(),
    Swept(),
)


def test_every_event_is_one() -> None:
    """One that is missing in the union is one that the type checker lets nobody send."""
    kinds = set(typing.get_args(Event))
    assert {getattr(events, name) for name in events.__all__ if name != "Event"} <= kinds
    assert set(typing.get_args(told.Event)) <= kinds
    assert {type(one) for one in MINE} == kinds - set(typing.get_args(told.Event))


@pytest.mark.parametrize("event", MINE, ids=lambda one: type(one).__name__)
def test_an_event_is_a_value(event: Event) -> None:
    """What has happened cannot be changed."""
    assert dataclasses.replace(event) == event
    for one in dataclasses.fields(event):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(event, one.name, None)


@pytest.mark.parametrize("event", MINE, ids=lambda one: type(one).__name__)
def test_an_agent_that_knows_nothing_bears_any_event(event: Event) -> None:
    """Events of the node come before the first list of the API server: nothing may be written for them."""
    state, commands = plan(State.of("here", Options()), [event])
    assert not state.ready
    assert [type(one).__name__ for one in commands] in ([], ["Look"])


def test_a_death_without_a_uid_is_of_whoever_is_there() -> None:
    """Network plugins of old do not say it."""
    assert Died("shop", "web").uid == ""
