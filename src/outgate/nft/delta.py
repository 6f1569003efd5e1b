"""Desired − actual: the transactions that bring the kernel's table from what it is to what it should be.

    prepare    new chains, sets and maps, filled, in as many transactions as they need: nothing that packets
               can reach refers to them, so nothing changes
    flip       ONE transaction changes what packets reach: elements of dispatch maps and peer sets, base
               chains, the epoch. Before it the old state stands, after it the new one
    remove     what nothing refers to any more

A transaction is not enough by itself. Rules are live before new *interval* sets of the same transaction are
filled (the generation flips before pipapo publishes), so those are made first. And a packet that is in
the old rules while the generation flips may look sets up in the new one, where a set removed by the
same transaction is empty. So removal comes last, when no such packet is left.

If the process dies anywhere, what stands is the old state or the new one, perhaps with objects that
nothing refers to; the next delta finds those and finishes or removes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outgate.nft.canonical import canonical_rule
from outgate.nft.epoch import Epoch, epoch_of, with_epoch
from outgate.nft.objects import (
    Chain,
    Compare,
    Field,
    Judgement,
    Lookup,
    NftSet,
    Opaque,
    Reject,
    Ruleset,
    Statement,
    VerdictMap,
)
from outgate.nft.spelling import checked_name
from outgate.nft.transaction import (
    AddChain,
    AddElements,
    AddRules,
    AddSet,
    AddTable,
    Command,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    FlushChain,
    Transaction,
    references,
    weight,
)
from outgate.nft.trust import DISTRUSTED

__all__ = ["FAST_ELEMENTS", "MAX_ELEMENTS", "MAX_RULES", "Change", "chunks", "creation", "delta", "denying_sets"]

MAX_RULES = 2000
MAX_ELEMENTS = 10_000
"""What one preparing transaction carries at most. Each is a process of nft that reads the table first, so fewer are
faster; a larger one gains nothing more. Without CAP_NET_ADMIN outside its user namespace nft cannot raise its socket's
buffer, and 1000 rules or 5000 elements have been seen to fail: then it is sent again in halves (`Nftables.commit`)."""
FAST_ELEMENTS = 2000
"""The same for elements of hash sets alone, which need no process of nft (`outgate.agent.kernel`)."""
_DISTRUSTED = frozenset(DISTRUSTED.values())
_MANY = 200
"""From so many elements on, the batch of their own is worth that the rest takes one more process of nft."""


@dataclass(frozen=True, slots=True)
class Change:
    """What to do, in order; nothing where the kernel has what is desired."""

    prepare: tuple[Transaction, ...] = ()
    flip: Transaction | None = None
    remove: Transaction | None = None
    tightens: bool = False
    """Whether something that was allowed may now be denied: then the epoch is another, and live
    connections are judged again."""
    after: Ruleset | None = None
    """The table once all is done: the desired one, with the epoch that it got."""
    first: tuple[Transaction, ...] = ()
    """What another table of ours has to have before: a change of that, whole."""

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """All of them, in order."""
        rest = (one for one in (self.flip, self.remove) if one is not None)
        return (*self.first, *self.prepare, *rest)


def delta(
    desired: Ruleset,
    actual: Ruleset | None,
    *,
    tightens: bool = False,
    last: Epoch | None = None,
) -> Change:
    """The change from `actual`, as listed, to `desired`.

    The epoch that `desired` carries counts only where the table has none yet. Otherwise the actual one is
    kept or, if the change tightens anything, followed by the next. `tightens` says that something beside
    this difference asks for another epoch. `last` is the epoch that the table was left with; if it has another one, or
    is gone, somebody else was there, and connections may carry any number up to `last`: so the next is counted from
    that.
    """
    mine, theirs = epoch_of(desired), epoch_of(actual) if actual is not None else None
    current = theirs if theirs and mine and theirs.mask == mine.mask else mine
    if last is not None and mine is not None and last.mask == mine.mask and last != theirs:
        current, tightens = last, True
    kept = with_epoch(desired, current) if current else desired
    following = with_epoch(desired, current.following()) if current else desired
    if actual is None:
        made = kept if last is None else following
        return _Plan(made, Ruleset()).change(AddTable(), tightens=True)
    if _beyond_repair(desired, actual):
        return _rebuilt(following)
    plan = _Plan(kept, actual)
    tightens |= plan.tightens()
    return _Plan(following, actual).change(tightens=True) if tightens else plan.change()


def _beyond_repair(desired: Ruleset, actual: Ruleset) -> bool:
    """Whether somebody has put into our table what cannot be named, or has made one of our objects anew."""
    for name, one in actual.sets.items():
        wanted = desired.sets.get(name, one)
        if not one.key or _make(one) != _make(wanted):
            return True
    for name, chain in actual.chains.items():
        if chain.hook != desired.chains.get(name, chain).hook:
            return True
    try:
        for name in (*actual.sets, *actual.chains):
            checked_name(name)
    except ValueError:
        return True
    return False


def _make(one: NftSet) -> tuple[object, ...]:
    return one.key, one.interval, one.is_map, one.timeout


def _rebuilt(desired: Ruleset) -> Change:
    """The table made anew in one transaction: the last resort after tampering.

    For a moment its interval sets look empty. They hold what is allowed, so packets are lost, none leaks.
    """
    plan = _Plan(desired, Ruleset())
    commands = (AddTable(), DeleteTable(), AddTable(), *plan.preparation(), *plan.flip())
    return Change(flip=Transaction(commands, desired.family), tightens=True, after=desired)


class _Plan:
    """The differences between two rulesets, sorted by what packets can reach."""

    def __init__(self, desired: Ruleset, actual: Ruleset) -> None:
        self.desired = desired
        self.actual = actual
        self.live = _live(actual)
        want, have = desired.chains, actual.chains
        common = [name for name in sorted(want) if name in have]
        self.new_chains = [want[name] for name in sorted(want) if name not in have]
        self.changed_chains = [want[name] for name in common if not _same_rules(want[name], have[name])]
        self.gone_chains = [have[name] for name in sorted(have) if name not in want]
        self.new_sets = [desired.sets[name] for name in sorted(desired.sets) if name not in actual.sets]
        self.gone_sets = [actual.sets[name] for name in sorted(actual.sets) if name not in desired.sets]
        both = [name for name in sorted(desired.sets) if name in actual.sets]
        self.more = [_without(desired.sets[name], actual.sets[name]) for name in both]
        self.less = [_without(actual.sets[name], desired.sets[name]) for name in both]

    def change(self, *before: Command, tightens: bool = False) -> Change:
        """The plan as transactions."""
        return Change(
            prepare=tuple(chunks((*before, *self.preparation()), self.desired.family)),
            flip=self._transaction(self.flip()),
            remove=self._transaction(self.removal()),
            tightens=tightens,
            after=self.desired,
        )

    def _transaction(self, commands: Iterable[Command]) -> Transaction | None:
        many = tuple(commands)
        return Transaction(many, self.desired.family) if many else None

    def preparation(self) -> Iterator[Command]:
        """What no packet reaches yet: a chain before what leads to it, a set before the rules that look into it."""
        inner = [chain for chain in self.new_chains if chain.hook is None]
        yield from creation(inner, self.new_sets)
        yield from self._elements(live=False)
        yield from self._rewritten(live=False)

    def flip(self) -> Iterator[Command]:
        """What packets see change, all at once."""
        yield from self._elements(live=True)
        yield from self._rewritten(live=True)
        for chain in (one for one in self.new_chains if one.hook is not None):
            yield AddChain(chain)
            yield AddRules(chain.name, chain.rules)
        for chain in (one for one in self.gone_chains if one.hook is not None):
            yield FlushChain(chain.name)
            yield DeleteChain(chain.name)

    def removal(self) -> Iterator[Command]:
        """What no packet reaches any more: all rules first, then the maps that lead to chains, then the chains."""
        inner = [chain for chain in self.gone_chains if chain.hook is None]
        yield from (FlushChain(chain.name) for chain in inner)
        yield from (DeleteSet(one) for one in self.gone_sets)
        yield from (DeleteChain(chain.name) for chain in inner)

    def _elements(self, *, live: bool) -> Iterator[Command]:
        """An element that now leads elsewhere is removed and added: hash maps take both in one transaction."""
        for command, parts in ((DeleteElements, self.less), (AddElements, self.more)):
            yield from (command(one) for one in parts if one.elements and (("set", one.name) in self.live) is live)

    def _rewritten(self, *, live: bool) -> Iterator[Command]:
        for chain in self.changed_chains:
            if (("chain", chain.name) in self.live) is live:
                yield FlushChain(chain.name)
                yield AddRules(chain.name, chain.rules)

    def tightens(self) -> bool:
        """Whether a packet that was let pass may be stopped by what the flip does.

        A key that is new in a map and leads to a chain counts, unless pods are known by their interfaces: then
        its pod was unknown before, and nothing of it was let pass (whether somebody talked to its address before, the
        caller knows). A new element of a set counts if a rule that looks into the set can deny because of it;
        `return` means allowed, as everywhere in this table. Of the distrusted the reverse holds: in their chain it
        means that a connection is judged.
        """
        less = (one for one in self.less if one.elements and one.name not in _DISTRUSTED)
        reached = [one for one in less if ("set", one.name) in self.live]
        rewritten = [chain for chain in self.changed_chains if ("chain", chain.name) in self.live]
        hooks = [chain for chain in (*self.new_chains, *self.gone_chains) if chain.hook is not None]
        denying = _denying(self.actual, self.live) | _DISTRUSTED
        if not _closed_at_birth(self.actual):
            denying |= {
                one.name for one in self.more if any(verdict and verdict.chain for verdict in one.elements.values())
            }
        return bool(reached or rewritten or hooks or any(one.elements and one.name in denying for one in self.more))


def _closed_at_birth(ruleset: Ruleset) -> bool:
    """Whether what comes from the interface of a pod that is in no map is led away and dropped, not only counted."""
    return any(
        isinstance(rule.statements[0], Compare)
        and rule.statements[0].field is Field.IIFNAME
        and isinstance(rule.statements[-1], Judgement)
        and rule.statements[-1].act == "goto"
        and _can_deny(ruleset, rule.statements)
        for chain in ruleset.chains.values()
        for rule in chain.rules
        if len(rule.statements) > 1
    )


def _live(ruleset: Ruleset) -> frozenset[tuple[str, str]]:
    """The ("chain" or "set", name) of everything that a packet can reach from a hook."""
    opaque = any(isinstance(one, Opaque) for chain in ruleset.chains.values() for one in _statements(chain))
    if opaque:
        # A rule that we cannot read may lead anywhere.
        everything = [("chain", name) for name in ruleset.chains] + [("set", name) for name in ruleset.sets]
        return frozenset(everything)
    waiting = [("chain", name) for name, chain in ruleset.chains.items() if chain.hook is not None]
    reached: set[tuple[str, str]] = set()
    while waiting:
        kind, name = waiting.pop()
        if (kind, name) not in reached:
            reached.add((kind, name))
            content = ruleset.chains.get(name) if kind == "chain" else ruleset.sets.get(name)
            waiting += references(content) if content is not None else ()
    return frozenset(reached)


def _statements(chain: Chain) -> Iterator[Statement]:
    return (statement for rule in chain.rules for statement in rule.statements)


def denying_sets(ruleset: Ruleset) -> frozenset[str]:
    """The sets with a rule that can stop a packet because it is in the set."""
    return _denying(ruleset, _live(ruleset))


def _denying(ruleset: Ruleset, live: frozenset[tuple[str, str]]) -> frozenset[str]:
    denying: set[str] = set()
    for name, chain in ruleset.chains.items():
        for rule in chain.rules if ("chain", name) in live else ():
            looks = [one for one in rule.statements if isinstance(one, Lookup)]
            if any(one.set not in denying for one in looks):
                denies = _can_deny(ruleset, rule.statements)
                denying |= {one.set for one in looks if denies != one.negated}
    return frozenset(denying)


def _can_deny(ruleset: Ruleset, statements: Iterable[Statement]) -> bool:
    waiting, seen = list(statements), set[str]()
    while waiting:
        match waiting.pop():
            case Judgement("drop") | Reject():
                return True
            case Judgement(chain=name) if name and name not in seen:
                seen.add(name)
                waiting += _statements(ruleset.chains.get(name, Chain(name)))
            case VerdictMap(map=name) if name not in seen:
                seen.add(name)
                elements = ruleset.sets.get(name, NftSet(name, ())).elements
                waiting += {verdict for verdict in elements.values() if verdict}
            case _:
                pass
    return False


def _same_rules(one: Chain, other: Chain) -> bool:
    """Whether two chains are one to the kernel. Most have not been made anew at all."""
    if one is other or one.rules == other.rules:
        return True
    pairs = zip(one.rules, other.rules, strict=False)
    return len(one.rules) == len(other.rules) and all(canonical_rule(a) == canonical_rule(b) for a, b in pairs)


def _without(one: NftSet, other: NftSet) -> NftSet:
    """The elements of `one` that `other` does not have just so."""
    if one.elements is other.elements or one.elements == other.elements:
        return one.holding({})
    missing = object()
    return one.only(key for key, value in one.elements.items() if other.elements.get(key, missing) != value)


def creation(chains: Iterable[Chain], sets: Iterable[NftSet]) -> Iterator[Command]:
    """Make chains and sets that nothing leads to yet: first all of them, then what is in them.

    Hash sets come together, because a netlink batch carries their elements and no others.
    """
    new, filled = tuple(chains), tuple(sets)
    yield from (AddChain(chain) for chain in new)
    yield from (AddSet(one) for one in filled)
    for interval in (True, False):
        yield from (AddElements(one) for one in filled if one.elements and one.interval is interval)
    yield from (AddRules(chain.name, chain.rules) for chain in new if chain.rules)


def chunks(commands: Iterable[Command], family: str = "inet") -> Iterator[Transaction]:
    """Commands in their order, cut into transactions that an unprivileged socket can send.

    Elements of hash sets are kept apart from all else where there are many: a netlink batch carries them.
    """
    chunk: list[Command] = []
    rules = elements = 0
    fast = False
    for command in (piece for one in commands for piece in _pieces(one)):
        more_rules, more_elements = weight(command)
        other = _is_fast(command) is not fast and max(elements, more_elements) >= _MANY
        most = FAST_ELEMENTS if fast else MAX_ELEMENTS
        if chunk and (other or rules + more_rules > MAX_RULES or elements + more_elements > most):
            yield Transaction(tuple(chunk), family)
            chunk, rules, elements = [], 0, 0
        if not chunk:
            fast = _is_fast(command)
        chunk.append(command)
        fast = fast and _is_fast(command)
        rules, elements = rules + more_rules, elements + more_elements
    if chunk:
        yield Transaction(tuple(chunk), family)


def _is_fast(command: Command) -> bool:
    return isinstance(command, AddElements | DeleteElements) and not command.part.interval


def _pieces(command: Command) -> Iterator[Command]:
    """A command that carries too much, in several."""
    match command:
        case AddRules(name, rules) if len(rules) > MAX_RULES:
            yield from (AddRules(name, rules[at : at + MAX_RULES]) for at in range(0, len(rules), MAX_RULES))
        case AddElements(part) | DeleteElements(part):
            keys, most = list(part.elements), FAST_ELEMENTS if _is_fast(command) else MAX_ELEMENTS
            if len(keys) <= most:
                yield command
                return
            yield from (type(command)(part.only(keys[at : at + most])) for at in range(0, len(keys), most))
        case _:
            yield command
