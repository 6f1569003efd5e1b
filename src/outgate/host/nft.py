"""The door to nftables: one table, ours, read and changed through the `nft` command.

It speaks to the network namespace of the calling thread and touches no other table. Every call is a process of its
own: libnftables cannot be interrupted, a process can. What is read is asked for numerically, so that no
name of the machine's ``/etc/protocols`` or ``/etc/services`` comes between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from outgate.errors import KernelError, NotPermitted
from outgate.host import process
from outgate.nft.delta import Change
from outgate.nft.listing import read_listing
from outgate.nft.objects import Counter, Ruleset
from outgate.nft.text import transaction_text
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

__all__ = ["Nftables"]

_OURS = Ruleset()
_TIMEOUT = 120.0
"""Seconds. Loading 100 000 elements has been seen to take 1.6 s; a slow machine may take many times that."""


class _TooLong(KernelError):
    """A transaction does not fit the socket's buffer, which only root can enlarge (EMSGSIZE)."""


class Nftables:
    """Our table in the kernel."""

    def list(self) -> Ruleset | None:
        """The table as the kernel has it; None where there is none.

        Raises:
            NotPermitted: the caller may not look.
            KernelError: nft is missing or failed.
        """
        listing = self._listing("-nn", "-j")
        return read_listing(listing) if listing is not None else None

    def stands(self) -> bool:
        """Whether there is our table, whatever is in it. Raises as `list`."""
        return self._listing("-t") is not None

    def counters(self) -> Mapping[tuple[str, int], Counter]:
        """The packets and bytes of each counter, by chain and number of the rule; nothing without a table.

        Elements of sets are not read, so this costs the same however many there are. Raises as `list`.
        """
        listing = self._listing("-nn", "-t", "-j")
        ruleset = read_listing(listing) if listing is not None else None
        return {
            (name, index): statement
            for name, chain in (ruleset.chains if ruleset else {}).items()
            for index, rule in enumerate(chain.rules)
            for statement in rule.statements
            if isinstance(statement, Counter)
        }

    def apply(self, change: Change) -> None:
        """Make a change, transaction by transaction.

        A preparing transaction that is too long for an ordinary user's socket is sent in halves: nothing sees
        it yet. The flip is one transaction or none.

        Raises:
            NotPermitted: the caller may not change the table.
            TooLong: the flip does not fit; the old state stands.
            KernelError: nft refused. What was done before stands; list, and make a new delta.
        """
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
        """Remove the table, if there is one. Raises as `apply`."""
        self.load(transaction_text(Transaction((AddTable(), DeleteTable()))))

    def _listing(self, *options: str) -> str | None:
        try:
            return self._run(("nft", *options, "list", "table", _OURS.family, _OURS.table)).stdout
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
