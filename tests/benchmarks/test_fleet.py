"""Each part of the fleet's figures runs at small size and has its rows."""

from __future__ import annotations

import pytest

from benchmarks.agent import serving, told
from benchmarks.cluster import Shape
from benchmarks.fleet import main, starts
from benchmarks.fleet_following import Load, following, life
from benchmarks.fleet_relabel import Agent, relabel
from benchmarks.manifests import manifests
from outgate.cluster.events import Upserted
from outgate.model import Namespace, Pod
from tests.cluster.following import meant
from tests.cluster.watched import pod


def test_starts_have_a_row_for_each_case() -> None:
    """And every one of them comes to an end."""
    rows = list(starts(20))
    assert len({row["what"] for row in rows}) == 11
    assert all(isinstance(row["all watch, s"], int) for row in rows)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It prints a table."""
    assert main(["relabel", "--quick", "-o", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("| pods | policies |")


def test_following_follows_the_law() -> None:
    """Twice the clients, twice the events and the bytes."""
    rows = [following(Load(clients, 40, 16, 1000.0)) for clients in (2, 4)]
    assert [row["events told"] for row in rows] == [32, 64]
    assert rows[0]["of one client, MB"] == rows[1]["of one client, MB"]
    assert rows[0]["bytes an event"] == pytest.approx(rows[1]["bytes an event"], rel=0.01)
    assert 4000 < rows[0]["bytes an event"] < 10_000  # type: ignore[operator]  # a number


def test_the_life_of_a_pod() -> None:
    """Seven writes, all of them pods, with an address from the fourth to the last but one."""
    states = [meant(one) for one in life(pod("web", address="10.1.0.9"))]
    assert all(isinstance(one, Pod) for one in states)
    addresses = [len(one.addresses) for one in states if isinstance(one, Pod)]
    assert addresses == [0, 0, 0, 1, 1, 1, 0]


def test_a_server_in_a_process_of_its_own_counts() -> None:
    """What it is told to put and to delete, and what that cost."""
    with serving([pod("a")]) as (_, orders, answers):
        assert told(orders, answers, put=[pod("b")]) is None
        assert told(orders, answers, delete=[["Pod", "shop", "a"]]) is None
        cost = told(orders, answers, cost=True)
    assert cost["traffic"] == []
    assert cost["processor"] > 0


def test_a_relabelled_namespace_is_planned_as_if_it_had_always_been() -> None:
    """The figures are of the change that is meant: what comes of it is the table of a cluster with these labels."""
    shape = Shape(200, 40, 4, 20, local=20)
    agent = Agent(shape)
    (first, *_) = [one for one in agent.objects["Namespace"] if isinstance(one, Namespace)]
    labels = {**first.labels, "team": "t5"}
    agent.turn([Upserted("Namespace", Namespace(first.name, labels), 0.0)])
    moved = agent.state.desired.ruleset
    agent.state.rebuild = True
    agent.turn([])
    assert agent.state.desired.ruleset == moved


def test_a_small_relabelling() -> None:
    """Every figure is there."""
    shape = Shape(200, 40, 4, 20, local=20)
    row = relabel(shape)
    pods = sum(one["kind"] == "Pod" for one in manifests(shape))
    assert (row["pods"], row["pods of the namespace"]) == (pods, 50)
    assert row["elements of them"] != 0
