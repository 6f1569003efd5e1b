"""An agent's step between an API server and a kernel, both played; what must hold at every step is checked here.

The kernel is `outgate.nft.transaction.apply`, which refuses what the kernel refuses, and `outgate.nft.evaluate`. At
each transaction:

    nothing is refused that was not meant to be (a map that leads nowhere, an object used that is not there)
    no interval set that packets look into is filled by the transaction that leads there (`dataplane.md` 0.1)
    what is denied before and after a change is denied in between, and what passes before and after passes

and whenever the agent rests, what it believes of the table is what stands in the kernel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from outgate.agent.around import ON_DEMAND
from outgate.agent.events import Applied, Born, Died, Drifted, Event, Forgotten, Linked, Listed, Refused, Swept
from outgate.agent.remembered import Memory
from outgate.agent.step import NEEDED, Answer, Apply, Do, Follow, Look, State, plan
from outgate.agent.store import Picture
from outgate.agent.trust import Sweep
from outgate.cluster.events import Broken, Recovered, Removed, Replaced, Troubled, Upserted
from outgate.cluster.watch import Subscription
from outgate.errors import InputError
from outgate.nft.delta import Change
from outgate.nft.epoch import EST, Epoch, epoch_of, with_epoch
from outgate.nft.evaluate import CtDirection, Evaluator, Fate, Header, Outcome
from outgate.nft.objects import Chain, CtState, NftSet, Ruleset
from outgate.nft.options import Options
from outgate.nft.transaction import DeleteTable, apply, references
from outgate.packets import Address
from tests.agent.words import HERE, PREFIX, Happening

__all__ = ["Player", "Probe", "differences", "established", "fate", "reached", "swept"]

MOST_ROUNDS = 30
"""More plans than any event needs: an agent that never comes to rest is found."""


def reached(ruleset: Ruleset) -> Ruleset:
    """What a packet can reach: a class that its last pod left stays until the next rebuild."""
    waiting: list[Chain | NftSet] = [chain for chain in ruleset.chains.values() if chain.hook is not None]
    seen: set[tuple[str, str]] = {("chain", chain.name) for chain in waiting}
    while waiting:
        for kind, name in references(waiting.pop()):
            if (kind, name) not in seen:
                seen.add((kind, name))
                waiting.append(ruleset.chains[name] if kind == "chain" else ruleset.sets[name])
    return Ruleset(
        {name: one for name, one in sorted(ruleset.chains.items()) if ("chain", name) in seen},
        {name: one for name, one in sorted(ruleset.sets.items()) if ("set", name) in seen},
    )


def differences(mine: Ruleset, theirs: Ruleset) -> list[str]:
    """What is not alike, by name; short."""
    found = [
        f"chain {name}"
        for name in sorted(mine.chains.keys() | theirs.chains.keys())
        if mine.chains.get(name) != theirs.chains.get(name)
    ]
    for name in sorted(mine.sets.keys() | theirs.sets.keys()):
        one, other = mine.sets.get(name), theirs.sets.get(name)
        if one is None or other is None or dict(one.elements) != dict(other.elements) or one.key != other.key:
            found.append(f"set {name}: {one and dict(one.elements)} {other and dict(other.elements)}")
    return found


def fate(evaluator: Evaluator, hook: str, header: Header) -> Outcome:
    """A packet on its way through the hooks that it meets: prerouting, then the given one."""
    first = evaluator.run("prerouting", header)
    return first if first.fate is not Fate.ACCEPT else evaluator.run(hook, header)


@dataclass(frozen=True, slots=True)
class Probe:
    """A packet that is tried between any two transactions."""

    hook: str
    header: Header


@dataclass(slots=True)
class Player:
    """One agent, what the API server would list, and the kernel of its node."""

    options: Options = field(default_factory=lambda: Options(interface_prefix=PREFIX))
    sweep: Callable[[Sweep], None] = lambda _: None
    """What is done to the connections that live."""
    node: str = HERE
    probes: Callable[[], Iterable[Probe]] = tuple
    refusal: Callable[[int, int], int | None] = lambda _number, _size: None
    """(how many changes there were, transactions of this one) → how many are performed before a refusal."""
    state: State = field(init=False)
    kernel: Ruleset | None = None
    ledger: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[Address, str] = field(default_factory=dict)
    memory: Memory | None = None
    """What is on the node's disk: the world when the agent rested."""
    answered: set[int] = field(default_factory=set)
    changes: int = 0
    damage: dict[tuple[str, str], Broken] = field(default_factory=dict)
    """What the API server tells of objects that nobody can understand, by kind and name."""
    heard: dict[str, str] = field(default_factory=dict)
    """The kinds that are followed on demand and have been listed, and under which selector."""
    waiting: list[Subscription] | None = None
    """Lists that were asked for and do not come yet; None where all come at once."""

    def __post_init__(self) -> None:
        self.ledger = {kind: {} for kind in sorted(NEEDED | ON_DEMAND)}
        self.start()

    # ---- the API server and the node -----------------------------------------------------------------------------

    def start(self) -> None:
        """An agent begins: it lists, and looks at what the kernel has. It knows what the one before it saved."""
        self.state = State.of(self.node, self.options, self.memory)
        self.state.world.all_nodes = True
        self.heard = {}
        self.waiting = [] if self.waiting is not None else None
        self.tell([Linked(dict(self.links)), *(event for kind in sorted(NEEDED) for event in self._listed(kind))])

    def scratch(self) -> Ruleset:
        """What packets can reach where an agent that was never told anything else is told what there is now."""
        fresh = Player(self.options, node=self.node)
        fresh.ledger = {kind: dict(many) for kind, many in self.ledger.items()}
        fresh.links, fresh.damage = dict(self.links), dict(self.damage)
        fresh.start()
        return fresh.end()

    def _listed(self, kind: str, selector: str = "") -> Iterator[Event]:
        """A list, and what of it cannot be understood."""
        yield Replaced(kind, tuple(self._chosen(kind, selector)), selector)
        yield from (broken for (of, _), broken in self.damage.items() if of == kind)

    def _chosen(self, kind: str, selector: str) -> Iterator[Any]:
        """What there is of a kind under a selector of labels, and is understood or was before it was broken."""
        return (one for one in self.ledger[kind].values() if _is_chosen(one, selector))

    def _told_of(self, kind: str, before: Any, after: Any) -> list[Event]:
        """What is told of an object that was and is: of kinds on demand to who has listed them, as he asked for it."""
        selector = self.heard.get(kind, "")
        if kind in ON_DEMAND and kind not in self.heard:
            return []
        if after is not None and _is_chosen(after, selector):
            return [Upserted(kind, after, 0.0)]
        return [Removed(kind, before)] if before is not None and _is_chosen(before, selector) else []

    def _followed(self, subscriptions: Iterable[Subscription]) -> Iterator[Event]:
        """Watch these; what is watched already goes on (`outgate.cluster.watches.Watches.follow`)."""
        wanted = tuple(subscriptions)
        for kind, selector in list(self.heard.items()):
            if Subscription(kind, label_selector=selector) not in wanted:
                del self.heard[kind]
        for one in wanted:
            if one.kind in self.heard:
                continue
            if self.waiting is not None:
                self.waiting.append(one)
            else:
                yield from self._arrived(one)

    def _arrived(self, one: Subscription) -> Iterator[Event]:
        """A list that was asked for. One that nobody asks for any more may have been on its way."""
        if one in self.state.followed:
            self.heard[one.kind] = one.label_selector
        yield from self._listed(one.kind, one.label_selector)

    def events(self, one: Happening) -> list[Event]:
        """What an agent is told when something happens. The world changes at once."""
        many = self.ledger.get(one.kind, {})
        space, _, name = one.name.partition("/")
        match one.act:
            case "put":
                before, many[one.name] = many.get(one.name), one.body
                self.damage.pop((one.kind, one.name), None)
                return self._told_of(one.kind, before, one.body)
            case "gone":
                self.damage.pop((one.kind, one.name), None)
                return self._told_of(one.kind, many.pop(one.name), None) if one.name in many else []
            case "list":
                for gone in one.body:
                    many.pop(gone, None)
                    self.damage.pop((one.kind, gone), None)
                if one.kind in ON_DEMAND and one.kind not in self.heard:
                    return []
                return list(self._listed(one.kind, self.heard.get(one.kind, "")))
            case "wait":
                self.waiting = self.waiting or []
                return []
            case "come":
                late, self.waiting = self.waiting or [], None
                return [event for each in late for event in self._arrived(each)]
            case "link":
                self.links |= dict([one.body])
                return [Linked(dict(self.links))]
            case "born":
                claim, token = one.body
                return [Born(space, name, claim, token)]
            case "died":
                return [Died(space, name, one.body)]
            case "forgotten":
                return [Forgotten(one.body)]
            case "tamper":
                self._tamper(*one.body)
                return [Drifted(one.text)]
            case "broken":
                words = (InputError("", 0, "", "what is this?"),)
                self.damage[one.kind, one.name] = Broken(one.kind, space if name else "", name or space, words)
                told = one.kind not in ON_DEMAND or one.kind in self.heard
                return [self.damage[one.kind, one.name]] if told else []
            case "trouble":
                return [Troubled(one.kind, "no route to host")]
            case _:
                return [Recovered(one.kind)]

    def _tamper(self, act: str, what: str) -> None:
        """Somebody else changes our table."""
        assert self.kernel is not None
        sets = dict(self.kernel.sets)
        chains = dict(self.kernel.chains)
        match act:
            case "deletes":
                self.kernel = None
                return
            case "empties":
                chains[EST] = Chain(EST)
            case "restores":
                now = self.state.epoch
                epoch = Epoch(self.options.mark_mask, int(what) if what.isdigit() else now)
                self.kernel = with_epoch(self.kernel, epoch)
                return
            case "forgets":
                for name, one in sets.items():
                    rest = {key: value for key, value in one.elements.items() if what not in _written(key)}
                    sets[name] = one.holding(rest)
        self.kernel = dataclasses.replace(self.kernel, sets=sets, chains=chains)

    # ---- the kernel --------------------------------------------------------------------------------------------------

    def tell(self, events: Iterable[Event]) -> None:
        """Plan once for all these events, do what is asked, and go on until nothing is left to do."""
        waiting = tuple(events)
        for _ in range(MOST_ROUNDS):
            self.state, commands = plan(self.state, waiting)
            if not commands:
                self._at_rest()
                return
            waiting = tuple(answer for command in commands for answer in self._perform(command))
        raise AssertionError("an agent that never comes to rest")

    def _at_rest(self) -> None:
        if self.state.settled and self.kernel is not None and self.state.actual is not None:
            assert differences(self.state.actual, self.kernel) == []
            assert self.state.covered == ()
        if self.state.trust.wanted and self.state.settled:
            self.memory = Picture.of(self.state).memory

    def _perform(self, command: Do) -> Iterator[Event]:
        match command:
            case Sweep():
                self.sweep(command)
                yield Swept()
            case Look():
                yield Listed(self.kernel)
            case Follow(subscriptions):
                yield from self._followed(subscriptions)
            case Answer(token):
                assert token not in self.answered, "nobody is answered twice"
                self.answered.add(token)
            case Apply(change):
                yield self._change(change)

    def _change(self, change: Change) -> Event:
        self.changes += 1
        stop = self.refusal(self.changes, len(change.transactions))
        tables = [self.kernel]
        for number, transaction in enumerate(change.transactions):
            if number == stop:
                self.kernel = tables[-1]
                return Refused("no")
            after = apply(transaction, tables[-1])
            if DeleteTable() not in transaction.commands:
                assert late_intervals(tables[-1], after) == []
            tables.append(after)
        self._nothing_between(tables)
        self.kernel = tables[-1]
        return Applied()

    def _nothing_between(self, tables: list[Ruleset | None]) -> None:
        """Between the state before a change and the one after there is no third one."""
        if len(tables) < 3:
            return
        evaluators = [Evaluator(table or Ruleset()) for table in tables]
        for probe in self.probes():
            fates = [fate(one, probe.hook, probe.header).fate for one in evaluators]
            if fates[0] is fates[-1]:
                assert set(fates) == {fates[0]}, f"{probe}: {fates}"

    @property
    def epoch(self) -> int:
        """The epoch that stands in the kernel."""
        found = epoch_of(self.kernel) if self.kernel is not None else None
        return found.value if found is not None else 0

    def end(self) -> Ruleset:
        """What packets can reach, whatever the epoch."""
        assert self.state.settled
        assert self.kernel is not None
        return reached(with_epoch(self.kernel, Epoch(self.options.mark_mask)))


def _is_chosen(one: Any, selector: str) -> bool:
    """Whether an object is meant by a selector of labels, which says of which Services slices are."""
    return not selector or one.service in selector.partition("(")[2].rstrip(")").split(",")


def late_intervals(before: Ruleset | None, after: Ruleset | None) -> list[str]:
    """Interval sets that packets look into and that the same transaction made, or took from.

    For a moment these look empty. That one gains again what a stranger took from it is another matter.
    """
    if after is None:
        return []
    old = before.sets if before is not None else {}
    return [
        name
        for name, one in reached(after).sets.items()
        if one.interval and (name not in old or not old[name].elements.items() <= one.elements.items())
    ]


def swept(what: Sweep, header: Header, mark: int) -> int:
    """The mark of a connection after a sweep."""
    meant = what.addresses is None or {header.saddr, header.daddr} & set(map(int, what.addresses))
    older = mark & what.epoch.mask not in (0, what.epoch.bits)
    return mark & ~what.epoch.mask if meant and older else mark


def established(header: Header, *, reply: bool = False) -> Header:
    """A later packet of the same connection, of its client or of the other side."""
    if reply:
        return header.reply()
    return dataclasses.replace(header, state=CtState.ESTABLISHED, direction=CtDirection.ORIGINAL)


def _written(key: tuple[Any, ...]) -> set[str]:
    """The IPv4 addresses in a key, as people write them."""
    values = [part[0] for part in key if not isinstance(part, str)]
    return {".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0)) for value in values if value > 1 << 16}
