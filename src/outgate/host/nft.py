"""The door to nftables: our tables, read and changed through the `nft` command.

One is ``inet outgate``; where pods are behind a bridge, ``bridge outgate`` stands beside it (`outgate.nft.guard`). The
door speaks to the network namespace of the calling thread and touches no other table. Every call is a process of its
own: libnftables cannot be interrupted, a process can. What is read is asked for numerically, so that no
name of the machine's ``/etc/protocols`` or ``/etc/services`` comes between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from outgate.errors import KernelError, NotPermitted
from outgate.host import process
from outgate.nft.delta import Change
from outgate.nft.guard import FAMILY, Ports, guard
from outgate.nft.listing import read_listing
from outgate.nft.objects import Counter, Ruleset
from outgate.nft.text import ruleset_text, transaction_text
from outgate.nft.transaction import (
    AddElements,
    AddRules,
    AddTable,
    Command,
    DeleteElements,
    DeleteTable,
    Transaction,
    weight,
)

__all__ = ["Asleep", "Nftables"]

_OURS = Ruleset()
_FAMILIES = (_OURS.family, FAMILY)
_TIMEOUT = 120.0
"""Seconds. Loading 100 000 elements has been seen to take 1.6 s; a slow machine may take many times that."""


class _TooLong(KernelError):
    """A transaction does not fit the socket's buffer, which only root can enlarge (EMSGSIZE)."""


class Asleep(KernelError):
    """A table of ours has the flag ``dormant``: it is there whole, and none of its rules is asked."""


_FLAGGED = re.compile(r'"table": \{[^{}]*"flags"')
"""A table with flags, in what ``nft -j`` prints. The flags themselves cannot be read there: nft 1.0.6 prints them from
memory that it has let go of, or stops in their place."""
_HEAD = 2000
"""Characters in which the table is named: it comes first."""
_FLAGS = re.compile(r"^\tflags ([a-z, ]+)$", re.MULTILINE)
_OWNER = re.compile(r"^table [^\n]*# progname ([^\n]*)", re.MULTILINE)


class Nftables:
    """Our tables in the kernel."""

    def list(self, family: str = _OURS.family) -> Ruleset | None:
        """The table of a family as the kernel has it; None where there is none.

        Raises:
            NotPermitted: the caller may not look.
            Asleep: it is there, and its rules are not asked.
            KernelError: nft is missing or failed, or the table is another process's.
        """
        return self._read("-nn", "-j", family=family)

    def wake(self, family: str = _OURS.family) -> None:
        """Have the rules of a table asked again that is asleep. Raises as `apply`.

        The kernel takes no new base chain in the same transaction (EINVAL), so this is one of its own.
        """
        self._commit(Transaction((AddTable(),), family))

    def stands(self) -> bool:
        """Whether there is our table, whatever is in it. Raises as `list`."""
        return self._listing("-t") is not None

    def counters(self) -> Mapping[tuple[str, int], Counter]:
        """The packets and bytes of each counter, by chain and number of the rule; nothing without a table.

        Both tables count what is forged in a chain ``spoof``, and what is unknown in ``unknown``: they are added up.
        Elements of sets are not read, so this costs the same however many there are. Raises as `list`.
        """
        found: dict[tuple[str, int], Counter] = {}
        for family in _FAMILIES:
            ruleset = self._read("-nn", "-t", "-j", family=family)
            for at, one in _counters(ruleset) if ruleset is not None else ():
                before = found.get(at, Counter())
                found[at] = Counter(before.packets + one.packets, before.bytes + one.bytes)
        return found

    def guarding(self) -> bool:
        """Whether there is our table of the bridges. Raises as `list`."""
        return self._listing("-t", family=FAMILY) is not None

    def guards(self) -> bool:
        """Whether the kernel has nftables for bridges (CONFIG_NF_TABLES_BRIDGE). Raises as `list`."""
        try:
            self.check(ruleset_text(guard(Ports(), passive=True)))
        except NotPermitted:
            raise
        except KernelError:
            return False
        return True

    def apply(self, change: Change) -> None:
        """Make a change, transaction by transaction.

        A preparing transaction that is too long for an ordinary user's socket is sent in halves: nothing sees
        it yet. The flip is one transaction or none.

        Raises:
            NotPermitted: the caller may not change the table.
            TooLong: the flip does not fit; the old state stands.
            KernelError: nft refused. What was done before stands; list, and make a new delta.
        """
        for transaction in change.first:
            self.commit(transaction)
        for transaction in change.prepare:
            self.commit(transaction, whole=False)
        for whole in (change.flip, change.remove):
            if whole is not None:
                self.commit(whole)

    def commit(self, transaction: Transaction, *, whole: bool = True) -> None:
        """Make one transaction of a change; one that nothing sees yet need not be `whole`. Raises as `apply`."""
        if whole:
            self._commit(transaction)
        else:
            self._in_pieces(transaction)

    def check(self, text: str) -> None:
        """Whether nft would load a text. Raises KernelError, with nft's words, where it would not."""
        self._run(("nft", "-c", "-f", "-"), text)

    def load(self, text: str) -> None:
        """Load a text as one transaction. Raises as `apply`."""
        self._run(("nft", "-f", "-"), text)

    def remove(self) -> None:
        """Remove our tables, those that there are. Raises as `apply`."""
        for family in _FAMILIES:
            if self._listing("-t", family=family) is not None:
                self._commit(Transaction((AddTable(), DeleteTable()), family))

    def _read(self, *options: str, family: str) -> Ruleset | None:
        listing = self._listing(*options, family=family)
        if listing is None:
            return None
        if _FLAGGED.search(listing, 0, _HEAD):
            self._refuse_flags(family)
        return read_listing(listing)

    def _refuse_flags(self, family: str) -> None:
        text = self._listing("-t", family=family) or ""
        name, found = f"the table {family} {_OURS.table}", _FLAGS.search(text)
        flags = set(found[1].replace(",", " ").split()) if found else set[str]()
        if "owner" in flags:
            owner = _OWNER.search(text)
            raise KernelError(
                f"{name} belongs to another process{f', {owner[1]}' if owner else ''} (flags owner), and only that may "
                "change it",
                hint="end that process, and the table goes with it, unless it persists: then delete it",
            )
        if "dormant" in flags:
            hint = f"nft add table {family} {_OURS.table} wakes it, and so does an agent"
            raise Asleep(f"{name} is asleep (flags dormant): none of its rules is asked", hint=hint)

    def _listing(self, *options: str, family: str = _OURS.family) -> str | None:
        try:
            return self._run(("nft", *options, "list", "table", family, _OURS.table)).stdout
        except KernelError as error:
            if not isinstance(error, NotPermitted) and "No such file or directory" in error.message:
                return None
            raise

    def _in_pieces(self, transaction: Transaction) -> None:
        try:
            self._commit(transaction)
        except _TooLong:
            halves = list(_halves(transaction))
            if len(halves) < 2:
                raise
            for half in halves:
                self._in_pieces(half)

    def _commit(self, transaction: Transaction) -> None:
        self.load(transaction_text(transaction))

    def _run(self, argv: tuple[str, ...], text: str | None = None) -> process.Completed:
        try:
            return process.run(argv, input=text, timeout=_TIMEOUT)
        except KernelError as error:
            if "Message too long" in error.message:
                raise _TooLong(
                    "the change is too large for one netlink message of an ordinary user",
                    hint="run as root, or raise net.core.wmem_max and wmem_default",
                ) from error
            raise


def _counters(ruleset: Ruleset) -> Iterator[tuple[tuple[str, int], Counter]]:
    for name, chain in ruleset.chains.items():
        for index, rule in enumerate(chain.rules):
            for statement in rule.statements:
                if isinstance(statement, Counter):
                    yield (name, index), statement


def _halves(transaction: Transaction) -> Iterator[Transaction]:
    """A transaction in two, in order; itself where it is one thing."""
    commands = transaction.commands
    if len(commands) == 1:
        commands = tuple(_split(commands[0]))
    middle = len(commands) // 2
    yield from (Transaction(part) for part in (commands[:middle], commands[middle:]) if part)


def _split(command: Command) -> Iterator[Command]:
    middle = sum(weight(command)) // 2
    match command:
        case AddRules(name, rules) if middle:
            yield AddRules(name, rules[:middle])
            yield AddRules(name, rules[middle:])
        case AddElements(part) | DeleteElements(part) if middle:
            keys = list(part.elements)
            for some in (keys[:middle], keys[middle:]):
                yield type(command)(part.only(some))
        case _:
            yield command
