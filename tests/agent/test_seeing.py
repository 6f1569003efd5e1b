"""What the loop does is told to everybody who looks, once, and the loop is never in danger of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from outgate.agent.attribution import Attribution
from outgate.agent.measures import Measures
from outgate.agent.seeing import Seeing
from outgate.agent.status import Publisher
from outgate.agent.step import Apply
from outgate.agent.web import WebServer, pages_of
from outgate.cluster.events import Broken
from outgate.errors import InputError
from outgate.nft.delta import Change
from tests.agent.states import agent, enforced, settings, tell
from tests.agent.test_cluster_events import Server, writing
from tests.agent.test_measures import samples
from tests.agent.test_web import get


@dataclasses.dataclass
class Timing:
    """As the kernel's doors tell."""

    text: list[float] = dataclasses.field(default_factory=list)
    netlink: list[float] = dataclasses.field(default_factory=list)


def test_a_turn_is_told_to_all(tmp_path: Path) -> None:
    """Status, names, metrics, Events: from one call."""
    state, server = enforced(), Server()
    measures, attribution = Measures(), Attribution()
    state.drift = 2
    tell(state, Broken("NetworkPolicy", "shop", "bad", (InputError("x", 0, "spec", "no"),)), Broken("Pod", "", "", ()))
    with writing(server) as events:
        one = Seeing(Publisher(settings(tmp_path)), measures=measures, attribution=attribution, events=events)
        for _ in range(3):
            one.turned(state, 0.0)
        reasons = [body["reason"] for _, _, body in server.written(2)]
        one.ended(state)
    assert sorted(reasons) == ["DriftRepaired", "PolicyBroken"]
    assert len(server.bodies) == 2
    assert samples(measures)["drift_repairs_total", ()] == 2
    assert attribution.view.node == "node-a"
    assert one.publisher.current is not None
    assert one.publisher.current.drift_repairs == 2


def test_events_that_cannot_be_made_end_with_a_word_and_not_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kind that nobody thought of once ended it, and the next agent met the same."""

    def faulty(*_: object) -> None:
        raise KeyError("no such kind")

    said: list[str] = []
    state = enforced()
    tell(state, Broken("NetworkPolicy", "shop", "bad", (InputError("x", 0, "spec", "no"),)))
    with writing(Server()) as events:
        monkeypatch.setattr(events, "policy_broken", faulty)
        one = Seeing(Publisher(settings(tmp_path)), events=events, say=said.append)
        for _ in range(3):
            one.turned(state, 0.0)
    assert said == ["Events are written no more: KeyError: 'no such kind'"]
    assert one.publisher.current is not None


def test_a_change_is_measured(tmp_path: Path) -> None:
    """Each transaction by its door, the change as a whole by what it was for."""
    measures = Measures()
    one = Seeing(Publisher(settings(tmp_path)), measures=measures)
    one.applied(Apply(Change(), True, (9.0,)), Timing([0.1, 0.2], [0.001]), 0.4, 10.0)
    one.refused("no")
    one.answered(3)
    found = samples(measures)
    assert found["nft_transaction_seconds_count", (("door", "text"),)] == 2
    assert found["nft_transaction_seconds_count", (("door", "netlink"),)] == 1
    assert found["policy_programming_seconds_sum", ()] == 1.0
    one.turned(agent(), 0.0)
    assert one.publisher.current is not None
    assert one.publisher.current.applied is not None


def test_a_status_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    """Not each second."""
    said: list[str] = []
    one = Seeing(Publisher(settings(tmp_path / "gone")), say=said.append)
    for _ in range(3):
        one.ended(enforced())
        one.turned(enforced(), 0.0)
    assert len(said) == 1


def test_all_of_it_over_http(tmp_path: Path) -> None:
    """As the kubelet and Prometheus ask."""
    publisher, state = Publisher(settings(tmp_path)), enforced()
    measures = Measures(lambda: publisher.current)
    one = Seeing(publisher, measures=measures)
    with WebServer("127.0.0.1:0", pages_of(publisher.live, publisher.ready, measures.exposition)) as server:
        assert get(server, "/readyz") == (503, "the agent is starting\n")
        one.turned(state, 0.0)
        assert get(server, "/readyz") == (200, "ok\n")
        code, text = get(server, "/metrics", Accept="application/openmetrics-text;version=1.0.0")
    assert code == 200
    assert 'outgate_pods{state="enforced"} 2' in text
    assert text.endswith("# EOF\n")


def test_hindrances_are_passed_on(tmp_path: Path) -> None:
    """To the one place that decides what ready means."""
    one = Seeing(Publisher(settings(tmp_path)))
    one.hindered(["x"])
    one.turned(enforced(), 0.0)
    assert not one.publisher.ready()[0]
