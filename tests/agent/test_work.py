"""Work counted: what one event costs does not depend on how many pods and policies there are."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from outgate.agent.desired import Desired
from outgate.agent.events import Applied, Listed
from outgate.agent.step import Apply, State, plan
from outgate.cluster.events import Event, Removed, Replaced, Upserted
from outgate.model import Namespace, Pod, Requirement
from outgate.nft.options import Options
from outgate.nft.placement import Share, Shares
from outgate.nft.transaction import weight
from outgate.packets import Address
from tests.agent.states import of_the_cluster
from tests.agent.words import HERE, read

POLICIES = 12


def one(line: str) -> Any:
    """The object that a line speaks of."""
    return read(line)[0].body


def town(pods: int) -> list[Event]:
    """Some pods of this node, many of another; policies of which some look at those; namespaces."""
    far = (
        one(f"pod shop/far-{number} 10.{2 + number // 60000}.{number // 250 % 240}.{1 + number % 250} there app=far")
        for number in range(pods)
    )
    here = (one(f"pod shop/web-{number} 10.1.0.{10 + number} here app=web") for number in range(5))
    policies = (one(f"policy shop/p{number} egress app=web to app=a{number} or app=far") for number in range(POLICIES))
    return [
        Replaced("Pod", (*far, *here)),
        Replaced("NetworkPolicy", tuple(policies)),
        *of_the_cluster(),
        Replaced("Namespace", (Namespace("shop"), Namespace("else"))),
        Replaced("Node", (one("node"),)),
    ]


def programmed(pods: int) -> State:
    """An agent at rest."""
    state = State.of(HERE, Options(interface_prefix="og"))
    state, _ = plan(state, [*town(pods), Listed(None)])
    state, commands = plan(state, [Applied()])
    assert commands == ()
    assert state.settled
    assert len(state.world.pods) == pods + 5
    return state


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often what is done for a pod is done: requirements looked at, kinds asked, addresses placed, keys made."""
    found: Counter[str] = Counter()

    def counting(owner: type, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def call(self: Any, *rest: Any, **more: Any) -> Any:
            found[f"{owner.__name__}.{name}"] += 1
            return original(self, *rest, **more)

        monkeypatch.setattr(owner, name, call)

    for owner, name in (
        (Requirement, "matches"),
        (Shares, "of"),
        (Shares, "_shares"),
        (Share, "key"),
        (Desired, "_elements"),
        (Desired, "_fill"),
        (Desired, "_make_classes"),
    ):
        counting(owner, name)
    return found


def changed(state: State, *events: Event) -> tuple[int, int]:
    """The commands and the elements that events cost in the kernel."""
    state, commands = plan(state, events)
    sizes = [weight(command) for made in commands if isinstance(made, Apply) for command in _commands(made)]
    plan(state, [Applied()])
    return len(sizes), sum(elements for _, elements in sizes)


def _commands(made: Apply) -> Iterator[Any]:
    return (command for transaction in made.change.transactions for command in transaction.commands)


def events_of(name: str) -> list[Event]:
    """One event, or those of a life, that are told of a pod."""
    born = Upserted("Pod", one("pod shop/new 10.9.0.1 there app=far"), 0.0)
    near = Upserted("Pod", one("pod shop/new 10.1.0.99 here app=web"), 0.0)
    other = Upserted("Pod", one("pod shop/new 10.9.0.1 there app=a3"), 0.0)
    gone = Removed("Pod", one("pod shop/new 10.9.0.1 there app=far"))
    stranger = Upserted("Pod", one("pod else/new 10.9.0.1 there app=far"), 0.0)
    lives: dict[str, list[Event]] = {
        "born": [born],
        "a life": [born, other, gone],
        "of this node": [near],
        "stranger": [stranger],
    }
    return lives[name]


@pytest.mark.parametrize("name", ["born", "a life", "of this node", "stranger"])
def test_an_event_costs_the_same_in_a_large_cluster(name: str, counted: Counter[str]) -> None:
    """On each of 5000 nodes every pod of the cluster is told of: what grows with the cluster there grows squared."""
    costs = []
    for pods in (100, 10_000):
        state = programmed(pods)
        counted.clear()
        sizes = [changed(state, event) for event in events_of(name)]
        costs.append((sizes, dict(counted)))
    assert costs[0] == costs[1]
    assert costs[0][1]["Desired._elements"] == len(events_of(name))


def test_a_pod_of_a_known_kind_asks_no_selector(counted: Counter[str]) -> None:
    """Replicas are alike: what policies say of one they say of all."""
    state = programmed(100)
    counted.clear()
    changed(state, Upserted("Pod", one("pod shop/new 10.9.0.1 there app=far"), 0.0))
    assert counted["Requirement.matches"] == 0
    assert counted["Shares.of"] == 0


def test_what_is_counted_would_be_seen(counted: Counter[str]) -> None:
    """A rebuild looks at every pod, and the counters above see that."""
    seen = []
    for pods in (100, 200):
        state = programmed(pods)
        counted.clear()
        changed(state, Upserted("NetworkPolicy", one("policy shop/p0 egress app=web"), 0.0))
        seen.append(counted["Desired._elements"])
    assert seen[1] - seen[0] == 100


def test_other_pods_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The indexes are asked for the addresses of the event alone: never walked through."""
    state = programmed(1000)
    touched: set[Address] = set()

    class Watched(dict[Address, tuple[tuple[str, str], ...]]):
        def get(self, key: Address, default: Any = None) -> Any:
            touched.add(key)
            return super().get(key, default)

        def __getitem__(self, key: Address) -> tuple[tuple[str, str], ...]:
            touched.add(key)
            return super().__getitem__(key)

        def __iter__(self) -> Iterator[Address]:
            raise AssertionError("all addresses are walked through")

    monkeypatch.setattr(state.world, "holders", Watched(state.world.holders))
    born: Pod = one("pod shop/new 10.9.0.1 there app=far")
    changed(state, Upserted("Pod", born, 0.0))
    changed(state, Upserted("Pod", dataclasses.replace(born, labels={"app": "a1"}), 0.0))
    changed(state, Removed("Pod", born))
    assert touched == set(born.addresses)


@pytest.mark.parametrize("rounds", [3])
def test_many_events_are_one_change(rounds: int) -> None:
    """What piles up while the kernel is busy is done at once; the more comes, the less each costs."""
    state = programmed(10)
    put = partial(Upserted, "Pod", received=1.0)
    state, (first,) = plan(state, [put(object=one("pod shop/n0 10.9.0.1 there app=far"))])
    for number in range(rounds):
        state, commands = plan(state, [put(object=one(f"pod shop/m{number} 10.9.1.{number} there app=far"))])
        assert commands == ()
    state, commands = plan(state, [Applied()])
    assert isinstance(first, Apply)
    (second,) = commands
    assert isinstance(second, Apply)
    assert len(second.received) == rounds
    assert second.change.flip is not None
    assert len(second.change.transactions) == 1
