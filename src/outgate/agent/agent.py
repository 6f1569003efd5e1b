"""One agent, put together: doors to the API server and to the kernel, the loop between them, and who accompanies it.

The order of the start is the order of trust. The kernel may already hold what an agent before this one put there, and
goes on with it; nothing is written until all kinds have been listed, so a start changes what differs and no more. What
only looks, tells or saves comes beside the loop (`Companions`), and its failure is said and stops nothing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from outgate.agent.companions import Companions
from outgate.agent.detouring import Detouring
from outgate.agent.dns_companion import DnsCompanion
from outgate.agent.events import Drifted
from outgate.agent.kernel import Kernel
from outgate.agent.links import LinkWatch
from outgate.agent.loop import Loop, Observer
from outgate.agent.proxying import RequestProxy
from outgate.agent.settings import AUTO, Settings
from outgate.agent.step import NEEDED, State
from outgate.agent.store import Store
from outgate.agent.sweeper import Sweeper
from outgate.cluster.access import Access
from outgate.cluster.events import Event
from outgate.cluster.watch import Pace, Subscription
from outgate.cluster.watches import Watches

__all__ = ["Agent"]

_LISTENING = 1.0
"""Seconds: how long the ear at the table listens before it looks whether it should end."""

_TURN = 0.0005
"""Seconds that one thread of Python goes on while another wants to."""


class _Following(Observer):
    """Asks the API server for what the step wants to know beside."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches

    def following(self, subscriptions: tuple[Subscription, ...]) -> None:
        """These, and nothing else beside."""
        self._watches.follow(subscriptions)


class Agent:
    """An agent in the network namespace of the calling thread. `run` returns when `stop` is called.

    `say` is told, in one line each, what a person should know.

    Raises:
        NotPermitted: the caller may not change the kernel's rules.
        KernelError: the kernel has no nf_tables, nft is missing, or a socket of the settings cannot be had.
    """

    def __init__(
        self,
        settings: Settings,
        access: Access,
        observers: tuple[Observer, ...] = (),
        *,
        pace: Pace | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        prefix = "" if settings.interface_prefix == AUTO else settings.interface_prefix
        self.kernel = Kernel()
        saved = Store(settings.state_dir, settings.node).load()
        for words in saved.notes:
            say(words)
        state = State.of(settings.node, settings.options(prefix), saved.memory)
        state.world.all_nodes = settings.all_nodes
        self.loop = Loop(state, self.kernel)
        self.companions = Companions(settings, access, self.loop.deliver, say)
        self.links = LinkWatch(
            self.loop.deliver,
            choose=settings.interface_prefix == AUTO,
            guards=self.kernel.guards,
            hindered=self.companions.seeing.hindered,
        )
        self.names = DnsCompanion(settings, say)
        self.requests = RequestProxy(settings, say, self.loop.deliver) if settings.envoy else None
        self.sweeper = Sweeper(self.loop.deliver, say)
        proxies: tuple[Observer, ...] = (self.names,)
        if self.requests is not None:
            self.companions.requests = self.requests.seen
            proxies += (self.requests, Detouring(settings.options("").deliver_mark, say))
        self.loop.observers += (self.links, self.companions, self.sweeper, *proxies, *observers)
        failed = self.companions.measures.api_error
        self.watches = Watches(access, _subscriptions(settings), self._told, failed=failed, pace=pace)
        self.loop.observers += (_Following(self.watches),)
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Keep the kernel true until stopped."""
        # The loop must not wait five milliseconds, as it would by default, for whoever saves or tells meanwhile.
        sys.setswitchinterval(_TURN)
        self._start("ear", self._listen)
        self._start("links", self.links.run)
        self.sweeper.start()
        self.companions.start()
        self.watches.start()
        try:
            if self.requests is not None:
                self.requests.start()
            self.loop.run()
        finally:
            self._ending.set()
            self.sweeper.stop()
            self.links.stop()
            self.watches.stop()
            self.names.close()
            self.companions.stop(self.loop.state)
            if self.requests is not None:
                self.requests.stop()
            for thread in self._threads:
                thread.join()
            self.links.close()
            self.kernel.close()

    def stop(self) -> None:
        """Return from `run` soon. The kernel keeps what it has."""
        self.loop.stop()

    def _told(self, event: Event) -> None:
        self.companions.told(event)
        self.loop.deliver(event)

    def _start(self, name: str, body: Callable[[], None]) -> None:
        thread = threading.Thread(target=body, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while not self._ending.is_set():
            words = self.kernel.drifted(_LISTENING)
            if words:
                self.loop.deliver(Drifted(words))


def _subscriptions(settings: Settings) -> list[Subscription]:
    """All kinds that are needed; of nodes this one alone, unless it is said otherwise."""
    own = {} if settings.all_nodes else {"Node": f"metadata.name={settings.node}"}
    return [Subscription(kind, field_selector=own.get(kind, "")) for kind in sorted(NEEDED)]
