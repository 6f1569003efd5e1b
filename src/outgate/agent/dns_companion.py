"""The agent's side of the DNS proxy: it is started when a pod first needs it, and told what the kernel has.

    a pod of this node needs it ─► the supervisor starts a proxy, or finds the one of the agent before
    a change is in              ─► the orders are written, if they are others than before

Orders are written in the turn in which the kernel took the change: a set is there before the proxy is told of it. While
the kernel refuses, the old ones stand, as the old rules do. Without a pod that asks for names there is no proxy and no
file; once there was one it stays, with orders that name no pod, until the agent's container ends.

A set that was made anew is empty, and the proxy does not see that for itself. So whatever makes one gives `table` in
the orders another value, and everything that is known is put in again; and so does an agent that begins.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from outgate.agent.dns_orders import orders_of
from outgate.agent.dns_settings import DnsSettings
from outgate.agent.dns_supervisor import DnsSupervisor
from outgate.agent.kernel import Timing
from outgate.agent.loop import Observer
from outgate.agent.settings import Settings
from outgate.agent.step import Apply, State
from outgate.host.closing import Closing
from outgate.host.rewrite import put
from outgate.nft.delta import Change
from outgate.nft.transaction import AddSet, AddTable

__all__ = ["DnsCompanion", "empties_learned"]

Supervise = Callable[[DnsSettings, Callable[[str], None]], Closing]


def _supervise(settings: DnsSettings, say: Callable[[str], None]) -> Closing:
    return DnsSupervisor(settings, say=say)


def empties_learned(change: Change) -> bool:
    """Whether a change makes a set of learned addresses, or the table, which are empty then."""
    return any(
        isinstance(command, AddTable) or (isinstance(command, AddSet) and command.declaration.timeout)
        for transaction in change.transactions
        for command in transaction.commands
    )


class DnsCompanion(Observer):
    """Sees to it that the proxy lives and knows. Does nothing while the settings or the policies ask for none.

    To be told of turns in the network namespace that the proxy is for.
    """

    def __init__(
        self, settings: Settings, say: Callable[[str], None] = lambda _: None, *, supervise: Supervise = _supervise
    ) -> None:
        self._settings = settings
        self._say = say
        self._supervise = supervise
        self._supervisor: Closing | None = None
        self._due = False
        """The kernel has taken a change since the orders were written."""
        self._generation = 0
        """Of the policies behind the orders, as `State.generation` counts."""
        self._begin = os.urandom(8).hex()
        self._emptied = 0
        self._written: bytes | None = None
        self._trouble = ""

    def applied(self, command: Apply, timing: Timing, seconds: float, now: float) -> None:  # noqa: ARG002 - as told
        """A change is in the kernel."""
        self._due = True
        self._emptied += empties_learned(command.change)

    def turned(self, state: State, now: float) -> None:  # noqa: ARG002 - orders have no time
        """Start the proxy where it is needed, and write its orders where they are others."""
        if not state.desired.options.names or not state.ready or not (state.desired.asking or self._supervisor):
            return
        # Names that may be asked for change orders and no rule, so the kernel need not have been given anything.
        standing = state.settled and not state.refused
        if not (self._due or (standing and state.generation != self._generation)):
            return
        self._generation = state.generation
        orders = orders_of(state.desired, f"{self._begin}.{self._emptied}", self._settings.cluster_cidrs)
        if self._supervisor is None and not orders.pods:
            self._due = False
            return
        self._due = not self._write(msgspec.json.encode(orders))
        if self._supervisor is None:
            self._supervisor = self._supervise(self._settings.dns, self._say)

    def close(self) -> None:
        """Start none any more. The proxy stays, with its orders."""
        if self._supervisor is not None:
            self._supervisor.close()

    def _write(self, data: bytes) -> bool:
        if data == self._written:
            return True
        file = self._settings.dns.orders_file
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            put(file, data)
        except OSError as error:
            words = f"{file}: {error.strerror or error}; the DNS proxy goes by its old orders"
            if words != self._trouble:
                self._say(words)
            self._trouble = words
            return False
        self._written, self._trouble = data, ""
        return True
