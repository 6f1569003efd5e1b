"""Who accompanies the loop. That they are all there and work is held by agents that run (`tests/lab/agent`)."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from outgate.agent import companions as module
from outgate.agent import status
from outgate.agent.companions import Companions
from outgate.agent.events import Event, Listed
from outgate.agent.kernel import Timing
from outgate.agent.settings import Settings
from outgate.agent.step import NEEDED, Apply, State, plan
from outgate.agent.store import Saver
from outgate.cluster.access import Access, Credentials
from outgate.cluster.events import Recovered, Replaced, Troubled
from outgate.report.agent_status import AgentStatus, read_status


class Asked(Saver):
    """A saver that only counts how often it is told of a change, and is due when it is told so."""

    def __init__(self) -> None:
        self.told = 0
        self.waits: float | None = None

    @property
    def due(self) -> float | None:
        """Seconds after which it wants to be told again."""
        return self.waits

    def changed(self, state: State, *, now: bool = False) -> None:  # noqa: ARG002 - as it is called
        """Something has changed."""
        self.told += 1


def accompanied(folder: Path, said: list[str]) -> Companions:
    """Companions of an agent that listens nowhere and logs nothing."""
    settings = Settings("n1", log_group=None, listen="", write_events=False, run_dir=folder, state_dir=folder)
    access = Access("cluster:test", urlsplit("http://127.0.0.1:9"), Credentials)
    heard: list[Event] = []
    return Companions(settings, access, heard.append, said.append)


def test_a_quiet_agent_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop turns each second; a state saved every few seconds for ever wears out a disk for nothing."""
    companions, saver = accompanied(tmp_path, []), Asked()
    monkeypatch.setattr(companions, "_saver", saver)
    state = State.of("n1", companions.publisher.settings.options("veth"))
    plan(state, [Replaced(kind, ()) for kind in sorted(NEEDED)])
    _, (command,) = plan(state, [Listed(None)])
    assert isinstance(command, Apply)
    companions.turned(state, 0.0)
    assert saver.told == 0
    companions.applied(command, Timing(), 0.1, 0.0)
    for _ in range(3):
        companions.turned(state, 0.0)
    assert saver.told == 1
    saver.waits = 3.0
    companions.turned(state, 0.0)
    assert saver.told == 1
    saver.waits = 0.0
    companions.turned(state, 0.0)
    assert saver.told == 2


def test_news_that_stay_away_are_said_and_watches_that_begin_anew_counted(tmp_path: Path) -> None:
    """Policies grow old in silence, unless somebody says so."""
    said: list[str] = []
    companions = accompanied(tmp_path, said)
    for event in (Replaced("Pod", ()), Troubled("Pod", "no route"), Recovered("Pod"), Replaced("Pod", ())):
        companions.told(event)
    assert said == ["no news of Pod objects: no route", "news of Pod objects come again"]
    _, text = companions.measures.exposition("")
    assert b'outgate_watch_restarts_total{kind="Pod",reason="troubled"} 1.0' in text
    assert b'outgate_watch_restarts_total{kind="Pod",reason="listed anew"} 1.0' in text


def test_a_change_that_hangs_is_said_by_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop is in the kernel and cannot; and a refusal ends it."""
    companions, seen = accompanied(tmp_path, []), threading.Event()
    monkeypatch.setattr(module, "_LOOK", 0.01)
    monkeypatch.setattr(status, "_SLOW", 0.0)
    state = State.of("n1", companions.publisher.settings.options("veth"))
    plan(state, [Replaced(kind, ()) for kind in sorted(NEEDED)])
    _, (command,) = plan(state, [Listed(None)])
    assert isinstance(command, Apply)
    companions.turned(state, 0.0)
    put = companions.publisher._put

    def noticed(told: AgentStatus) -> None:
        put(told)
        if told.programming:
            seen.set()

    monkeypatch.setattr(companions.publisher, "_put", noticed)
    companions.start()
    try:
        companions.applying(command)
        assert seen.wait(30)
        companions.refused("enough")
    finally:
        companions.stop(state)
    assert read_status(companions.publisher.settings.status_file.read_bytes(), "status.json").programming is None


def test_memory_is_settled_once_and_before_the_node_is_said_to_be_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From then on a change must not wait for a look through all that the cluster has said."""
    companions = accompanied(tmp_path, [])
    done: list[bool] = []
    monkeypatch.setattr(module, "_freeze", lambda: done.append(companions.publisher.ready()[0]))
    state = State.of("n1", companions.publisher.settings.options("veth"))
    companions.turned(state, 0.0)
    assert done == [], "nothing is known yet"
    plan(state, [Replaced(kind, ()) for kind in sorted(NEEDED)])
    _, (command,) = plan(state, [Listed(None)])
    assert isinstance(command, Apply)
    companions.applying(command)
    companions.applied(command, Timing(), 0.1, 0.0)
    companions.turned(state, 0.0)
    companions.turned(state, 0.0)
    assert done == [False]


def test_memory_is_settled_where_nothing_had_to_be_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that finds its table as it should be has read as much."""
    companions = accompanied(tmp_path, [])
    done: list[bool] = []
    monkeypatch.setattr(module, "_freeze", lambda: done.append(companions.publisher.ready()[0]))
    state = State.of("n1", companions.publisher.settings.options("veth"))
    plan(state, [Replaced(kind, ()) for kind in sorted(NEEDED)])
    plan(state, [Listed(None)])
    companions.turned(state, 0.0)
    assert done == [False]
