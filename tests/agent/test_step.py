"""What an agent does about what happens, rule by rule. What comes of it all: `test_scenarios`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from outgate.agent import step
from outgate.agent.events import Applied, Born, Drifted, Event, Listed, Refused
from outgate.agent.step import NEEDED, Answer, Apply, Do, Look, State, plan
from outgate.agent.world import Claim
from outgate.cluster.events import Broken, Recovered, Removed, Replaced, Troubled, Upserted
from outgate.errors import InputError
from outgate.nft.epoch import EST, STAMP
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options
from outgate.nft.transaction import AddRules, Command, FlushChain, apply
from tests.agent.states import of_the_cluster
from tests.agent.words import HERE, read


def one(line: str) -> Any:
    """The object that a line speaks of."""
    return read(line)[0].body


WEB, API = one("pod shop/web 10.1.0.10 here app=web"), one("pod shop/api 10.1.0.11 here app=api")
FAR = one("pod shop/far 10.2.0.12 there app=far")
DENY = one("policy shop/deny egress app=web to app=far")
LISTS: dict[str, Event] = {
    "Pod": Replaced("Pod", (WEB, API, FAR)),
    "NetworkPolicy": Replaced("NetworkPolicy", (DENY,)),
    "Namespace": Replaced("Namespace", ()),
    "Node": Replaced("Node", ()),
    **{one.kind: one for one in of_the_cluster()},
}

_PLAIN = ("Pod", "NetworkPolicy", "Namespace", "Node")
TOGETHER = {**{kind: (kind,) for kind in _PLAIN}, "others": tuple(kind for kind in LISTS if kind not in _PLAIN)}


def put(thing: object, received: float = 0.0) -> Event:
    """An object is new or another."""
    return Upserted(type(thing).__name__, thing, received)  # type: ignore[arg-type] # one of those that can be watched


def agent() -> State:
    """One that has just begun."""
    return State.of(HERE, Options(interface_prefix="og"))


def at_rest() -> State:
    """One that has programmed the cluster of `LISTS`."""
    state, _ = plan(agent(), [*LISTS.values(), Listed(None)])
    state, commands = plan(state, [Applied()])
    assert (commands, state.settled) == ((), True)
    return state


def after(made: Do, before: Ruleset | None) -> Ruleset | None:
    """The table after a change."""
    assert isinstance(made, Apply)
    for transaction in made.change.transactions:
        before = apply(transaction, before)
    return before


def raises(made: Iterable[Do]) -> bool:
    """Whether a change rewrites the epoch, in the transaction that packets see."""
    commands: list[Command] = []
    for single in made:
        if isinstance(single, Apply) and single.change.flip is not None:
            commands += single.change.flip.commands
    rewritten = {command.chain for command in commands if isinstance(command, FlushChain | AddRules)}
    return {EST, STAMP} <= rewritten


@pytest.mark.parametrize("missing", sorted(NEEDED))
def test_nothing_is_written_before_everything_is_known(missing: str) -> None:
    """Without policies all is allowed, without pods all is unknown: either would be programmed for a moment."""
    state, commands = plan(agent(), [event for kind, event in LISTS.items() if kind != missing])
    assert commands == (Look(),)
    state, commands = plan(state, [Listed(None)])
    assert commands == ()
    assert not state.ready
    state, commands = plan(state, [LISTS[missing]])
    assert [type(made) for made in commands] == [Apply]
    assert state.ready


@pytest.mark.parametrize("order", list(itertools.permutations(TOGETHER)), ids=",".join)
def test_lists_come_in_any_order(order: tuple[str, ...]) -> None:
    """All watches begin together, and which is first is chance. What few clusters have comes in a row."""
    state, _ = plan(agent(), [Listed(None)])
    for kind in (kind for name in order for kind in TOGETHER[name]):
        state, commands = plan(state, [LISTS[kind]])
    (made,) = commands
    assert after(made, None) == after(plan(agent(), [*LISTS.values(), Listed(None)])[1][0], None)


def test_one_change_at_a_time() -> None:
    """A change is made from what the kernel has; from what it may have soon, it would be refused."""
    state, (first,) = plan(at_rest(), [put(one("pod shop/new 10.2.0.20 there app=far"), 1.0)])
    assert isinstance(first, Apply)
    assert (first.whole, first.received) == (False, (1.0,))
    for event in (put(DENY), put(one("policy shop/more egress app=web"), 2.0), Drifted("who?"), Drifted("who?")):
        state, commands = plan(state, [event])
        assert commands == ()
    state, commands = plan(state, [Applied()])
    assert commands == (Look(),)


def test_a_refusal_means_to_look_again() -> None:
    """What the kernel did not take, nobody may build on."""
    state, _ = plan(at_rest(), [put(one("pod shop/new 10.2.0.20 there app=far"))])
    state, commands = plan(state, [Refused("EBUSY"), put(one("pod shop/newer 10.2.0.21 there app=far"))])
    assert commands == (Look(),)
    assert state.refused == "EBUSY"
    state, commands = plan(state, [])
    assert commands == ()
    assert state.looking
    state, (made,) = plan(state, [Listed(at_rest().actual)])
    assert isinstance(made, Apply)
    assert made.whole
    state, _ = plan(state, [Applied()])
    assert (state.refused, state.settled) == ("", True)


def test_a_raise_that_was_refused_is_owed() -> None:
    """Rights are forgotten when they are taken away; that the kernel refused must not mean that they stay."""
    state, (made,) = plan(at_rest(), [Removed("Pod", FAR)])
    assert not raises([made])
    state, _ = plan(state, [Applied()])
    kernel = Ruleset(dict(state.desired.chains), dict(state.desired.sets))
    state, made_again = plan(state, [put(one("pod shop/new 10.2.0.12 there app=new"))])
    assert raises(made_again)
    state, _ = plan(state, [Refused("no")])
    before = state.epoch
    state, made_again = plan(state, [Listed(kernel)])
    assert raises(made_again)
    assert state.epoch >= before


def test_a_new_agent_judges_all_anew() -> None:
    """Which dead pods had which rights, only the agent before it knew."""
    table = at_rest().actual
    _, (made,) = plan(agent(), [*LISTS.values(), Listed(table)])
    assert raises([made])
    assert isinstance(made, Apply)
    assert len(made.change.transactions) == 1


def test_a_change_while_the_table_is_listed_is_looked_at() -> None:
    """The listing may be from before it; believed, what a stranger did would stand until the next one looks."""
    state, _ = plan(at_rest(), [Drifted("who?")])
    state, commands = plan(state, [Drifted("again")])
    assert commands == ()
    state, commands = plan(state, [Listed(state.actual)])
    assert commands == (Look(),)
    state, commands = plan(state, [Listed(state.actual)])
    assert (commands, state.settled, state.drift) == ((), True, 0), "nothing was found, so nothing had drifted"


def test_what_changes_nothing_is_no_change() -> None:
    """The status of nodes and pods changes all the time."""
    state = at_rest()
    for event in (put(WEB), put(DENY), LISTS["Pod"], LISTS["NetworkPolicy"], Troubled("Pod", "gone"), Recovered("Pod")):
        state, commands = plan(state, [event])
        assert commands == ()
    assert state.generation == 1


def test_who_waits_is_answered_after_the_change_alone() -> None:
    """An answer before the kernel has the pod lets it begin unguarded."""
    claim = Claim("shop/new#1", one("pod a/b 10.1.0.50 here").addresses, "og50")
    state, commands = plan(at_rest(), [Born("shop", "new", claim, 7)])
    assert commands == ()
    state, (made,) = plan(state, [put(one("pod shop/new here app=web"))])
    assert isinstance(made, Apply)
    state, commands = plan(state, [Refused("no")])
    assert commands == (Look(),)
    state, (made,) = plan(state, [Listed(at_rest().actual)])
    assert isinstance(made, Apply)
    state, commands = plan(state, [Applied()])
    assert commands == (Answer(7),)
    assert state.waiting == {}
    state, commands = plan(state, [Born("shop", "new", claim, 8)])
    assert commands == (Answer(8),), "who asks again about what stands need not wait"


def test_ghosts_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses of IPv6 hardly come back: a note for each dead pod of a cluster would grow for as long as it lives."""
    monkeypatch.setattr(step, "MOST_GHOSTS", 3)
    state, raised = at_rest(), []
    for number in range(5):
        pod = one(f"pod shop/n 10.2.1.{number} there app=far")
        for event in (put(pod), Removed("Pod", pod)):
            state, commands = plan(state, [event])
            raised.append(raises(commands))
            state, _ = plan(state, [Applied()])
    assert sum(raised) == 1
    assert len(state.ghosts) < 3


def test_what_is_broken_is_kept_until_it_is_mended() -> None:
    """Status and metrics tell of it; a list that lacks it, or the object itself, ends it."""
    words = (InputError("", 0, "spec", "what?"),)
    broken = Broken("NetworkPolicy", "shop", "deny", words)
    for event in (put(DENY), Removed("NetworkPolicy", DENY), LISTS["NetworkPolicy"]):
        state, _ = plan(at_rest(), [broken])
        assert state.broken == {("NetworkPolicy", "shop", "deny"): words}
        state, _ = plan(state, [event])
        assert state.broken == {}
    state, _ = plan(state, [Troubled("Pod", "no route")])
    assert state.troubled == {"Pod": "no route"}
    state, _ = plan(state, [Recovered("Pod")])
    assert state.troubled == {}
