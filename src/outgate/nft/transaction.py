"""Changes of the table, as values: commands, and the transactions that the kernel takes whole or not at all.

`apply` is what the kernel makes of a transaction, down to its refusals: an object that is missing, one
that exists already, one that something still refers to. So a plan can be tried before it is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from outgate.nft.objects import (
    Chain,
    ChainRule,
    Judgement,
    Lookup,
    NftSet,
    Ruleset,
    SetKey,
    VerdictMap,
)

__all__ = [
    "AddChain",
    "AddElements",
    "AddRules",
    "AddSet",
    "AddTable",
    "Command",
    "DeleteChain",
    "DeleteElements",
    "DeleteSet",
    "DeleteTable",
    "FlushChain",
    "Refused",
    "Transaction",
    "apply",
    "references",
    "weight",
]


@dataclass(frozen=True, slots=True)
class AddTable:
    """Make the table. It is no error where it exists."""


@dataclass(frozen=True, slots=True)
class DeleteTable:
    """Remove the table and all that is in it."""


@dataclass(frozen=True, slots=True)
class AddChain:
    """Make a chain without rules; a base chain where `chain.hook` is given. `chain.rules` is ignored."""

    chain: Chain


@dataclass(frozen=True, slots=True)
class AddRules:
    """Append rules to a chain."""

    chain: str
    rules: tuple[ChainRule, ...]


@dataclass(frozen=True, slots=True)
class FlushChain:
    """Remove all rules of a chain."""

    chain: str


@dataclass(frozen=True, slots=True)
class DeleteChain:
    """Remove a chain that nothing refers to."""

    chain: str


@dataclass(frozen=True, slots=True)
class AddSet:
    """Make a set or map without elements. `declaration.elements` is ignored."""

    declaration: NftSet


@dataclass(frozen=True, slots=True)
class AddElements:
    """Add `part.elements` to the set or map that `part` declares."""

    part: NftSet


@dataclass(frozen=True, slots=True)
class DeleteElements:
    """Remove the keys of `part.elements` from the set or map that `part` declares.

    The kernel finds an element of an interval set by the start of its ranges alone, so a key must be
    exactly one that is there: deleting 11.0.0.0/8 has been seen to remove 11.0.0.0/16.
    """

    part: NftSet


@dataclass(frozen=True, slots=True)
class DeleteSet:
    """Remove a set or map that no rule refers to."""

    declaration: NftSet


Command = (
    AddTable
    | DeleteTable
    | AddChain
    | AddRules
    | FlushChain
    | DeleteChain
    | AddSet
    | AddElements
    | DeleteElements
    | DeleteSet
)


@dataclass(frozen=True, slots=True)
class Transaction:
    """Commands on one table that come into force together."""

    commands: tuple[Command, ...]
    family: str = "inet"
    """Which of our tables: that of this family."""


class Refused(ValueError):
    """The kernel would refuse the transaction: a mistake in the plan, never in the input."""


def weight(command: Command) -> tuple[int, int]:
    """How many rules (objects count as one) and how many elements a command carries."""
    match command:
        case AddRules(rules=rules):
            return len(rules), 0
        case AddElements(part=part) | DeleteElements(part=part):
            return 0, len(part.elements)
        case _:
            return 1, 0


def references(content: Chain | NftSet) -> Iterator[tuple[str, str]]:
    """The ("chain" or "set", name) of everything that a chain's rules or a map's elements refer to."""
    if isinstance(content, NftSet):
        yield from (("chain", verdict.chain) for verdict in content.elements.values() if verdict and verdict.chain)
        return
    for rule in content.rules:
        for statement in rule.statements:
            match statement:
                case Lookup(set=name) | VerdictMap(map=name):
                    yield "set", name
                case Judgement(chain=name) if name:
                    yield "chain", name
                case _:
                    pass


def apply(transaction: Transaction, before: Ruleset | None) -> Ruleset | None:
    """The table after a transaction; None where there is no table.

    Raises:
        Refused: the kernel would refuse; nothing has changed then.
    """
    state = _State(before, transaction.family)
    for command in transaction.commands:
        state.perform(command)
    state.check()
    return state.result()


class _State:
    def __init__(self, before: Ruleset | None, family: str) -> None:
        self.exists = before is not None
        frame = before or Ruleset(family=family)
        self.frame = Ruleset(family=frame.family, table=frame.table)
        self.chains: dict[str, Chain] = dict(frame.chains)
        self.sets: dict[str, NftSet] = dict(frame.sets)

    def result(self) -> Ruleset | None:
        return replace(self.frame, chains=self.chains, sets=self.sets) if self.exists else None

    def perform(self, command: Command) -> None:
        if not self.exists and not isinstance(command, AddTable):
            raise Refused(f"no table for {command}")
        match command:
            case AddTable():
                self.exists = True
            case DeleteTable():
                self.exists, self.chains, self.sets = False, {}, {}
            case AddChain() | AddRules() | FlushChain() | DeleteChain():
                self._perform_on_chain(command)
            case _:
                self._perform_on_set(command)

    def _perform_on_chain(self, command: AddChain | AddRules | FlushChain | DeleteChain) -> None:
        if isinstance(command, AddChain):
            if command.chain.name in self.chains:
                raise Refused(f"chain {command.chain.name} exists")
            self.chains[command.chain.name] = replace(command.chain, rules=())
            return
        chain = self.chains.get(command.chain)
        if chain is None:
            raise Refused(f"no chain {command.chain}")
        match command:
            case AddRules(rules=rules):
                self.chains[chain.name] = replace(chain, rules=(*chain.rules, *rules))
                self._refuse_missing(self.chains[chain.name])
            case FlushChain():
                self.chains[chain.name] = replace(chain, rules=())
            case DeleteChain():
                self._refuse_used("chain", chain.name)
                del self.chains[chain.name]

    def _perform_on_set(self, command: AddSet | AddElements | DeleteElements | DeleteSet) -> None:
        declared = command.declaration if isinstance(command, AddSet | DeleteSet) else command.part
        known = self.sets.get(declared.name)
        if isinstance(command, AddSet):
            if known is not None:
                raise Refused(f"set {declared.name} exists")
            self.sets[declared.name] = replace(declared, elements={})
            return
        if known is None:
            raise Refused(f"no set {declared.name}")
        match command:
            case AddElements():
                self._refuse_missing(declared)
                self.sets[known.name] = replace(known, elements=_added(known, declared))
            case DeleteElements():
                missing = declared.elements.keys() - known.elements.keys()
                if missing:
                    raise Refused(f"set {known.name} has no {missing}")
                rest = {key: value for key, value in known.elements.items() if key not in declared.elements}
                self.sets[known.name] = replace(known, elements=rest)
            case DeleteSet():
                self._refuse_used("set", known.name)
                del self.sets[known.name]

    def _refuse_missing(self, content: Chain | NftSet) -> None:
        for kind, name in references(content):
            if name not in (self.chains if kind == "chain" else self.sets):
                raise Refused(f"{content.name} refers to a missing {kind}: {name}")

    def _refuse_used(self, kind: str, name: str) -> None:
        for content in self._contents():
            if (kind, name) in references(content):
                raise Refused(f"{content.name} still refers to {kind} {name}")

    def _contents(self) -> Iterator[Chain | NftSet]:
        yield from self.chains.values()
        yield from self.sets.values()

    def check(self) -> None:
        """What the kernel looks at when all commands are done."""
        for content in self._contents():
            self._refuse_missing(content)


def _added(known: NftSet, part: NftSet) -> dict[SetKey, Judgement | None]:
    elements = dict(known.elements)
    for key, value in part.elements.items():
        if elements.setdefault(key, value) != value:
            raise Refused(f"map {known.name} already leads elsewhere at {key}")
    return elements
