"""Who accompanies the loop: status, metrics, the log of packets, Events, the network plugin's socket, the saved state.

They look at the agent, tell of it, and bring it questions; none of them decides anything. So one that cannot start (a
log group that somebody else reads, an API server that takes no Events) is said and left out. Only what was asked for by
name and cannot be had, an address to listen on or the plugin's socket, ends the agent before it begins.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Mapping

from outgate.agent.attribution import Attribution
from outgate.agent.cluster_events import ClusterEvents
from outgate.agent.cni import Server
from outgate.agent.counters import PacketCounters, Series
from outgate.agent.events import Event
from outgate.agent.kernel import Timing
from outgate.agent.loop import Observer
from outgate.agent.measures import Measures
from outgate.agent.packets_log import PacketLog
from outgate.agent.proxy_measures import RequestsSeen, read_names
from outgate.agent.seeing import Seeing
from outgate.agent.settings import Settings
from outgate.agent.status import Publisher
from outgate.agent.step import Apply, State
from outgate.agent.store import Saver, Store
from outgate.agent.web import WebServer, pages_of
from outgate.cluster.access import Access
from outgate.cluster.client import Client
from outgate.cluster.events import Event as ApiEvent
from outgate.cluster.events import Recovered, Replaced, Troubled
from outgate.errors import KernelError
from outgate.host.nft import Nftables

__all__ = ["Companions"]

_LOOK = 1.0
"""Seconds between two looks at whether the loop waits for the kernel."""


class Companions(Observer):
    """All of them, as one observer of the loop. What the settings leave out is not there.

    Raises:
        KernelError: the address to listen on cannot be had.
    """

    def __init__(
        self, settings: Settings, access: Access, deliver: Callable[[Event], None], say: Callable[[str], None]
    ) -> None:
        self._say = say
        self._settling: threading.Thread | None = None
        self._settled = False
        self._unsaved = False
        self._listed: set[str] = set()
        self.publisher = Publisher(settings)
        attribution = Attribution()
        self._counters = PacketCounters(lambda: Nftables().counters(), attribution.origins)
        self._events = ClusterEvents(Client(access), settings.node, say=say) if settings.write_events else None
        self._log: PacketLog | None = None
        self.requests: Callable[[], RequestsSeen] = RequestsSeen
        """What is known of Envoy; whoever looks after it sets this."""
        self.measures = Measures(
            lambda: self.publisher.current,
            self._counters,
            self._lost,
            lambda: read_names(settings.dns.status_file),
            lambda: self.requests(),  # noqa: PLW0108 - it is set later
        )
        if settings.log_group is not None:
            hear = self._events.packet if self._events is not None else lambda _: None
            self._log = PacketLog(
                settings.log_file,
                attribution,
                settings.log_group,
                log_allowed=settings.log_allowed,
                logged=self.measures.logged,
                hear=hear,
            )
        self.seeing = Seeing(
            self.publisher, measures=self.measures, attribution=attribution, events=self._events, say=say
        )
        pages = pages_of(self.publisher.live, self.publisher.ready, self.measures.exposition)
        self._web = WebServer(settings.listen, pages) if settings.listen else None
        self._plugin = Server(settings.cni_socket, deliver, lambda: self.publisher.ready()[0], self._asked)
        self._saver = Saver(Store(settings.state_dir, settings.node), say)
        self._ending = threading.Event()
        self._vigil = threading.Thread(target=self._keep_vigil, name="vigil", daemon=True)

    def start(self) -> None:
        """Begin.

        Raises:
            KernelError: the network plugin's socket cannot be made.
        """
        self._plugin.start()
        self._vigil.start()
        if self._events is not None:
            self._events.start()
        if self._log is not None:
            try:
                self._log.start(self._counters.read(now=True))
            except KernelError as error:
                self._say(f"denied packets are not logged: {error.message}")

    def stop(self, state: State) -> None:
        """End all of them, and save the state once more."""
        self._ending.set()
        if self._vigil.ident is not None:
            self._vigil.join()
        self._plugin.stop()
        if self._web is not None:
            self._web.close()
        if self._log is not None:
            self._log.stop()
        if self._events is not None:
            self._events.stop()
        self.seeing.ended(state)
        self._saver.stop(state)

    def told(self, event: ApiEvent) -> None:
        """The API server has told something, in whichever thread: a watch that begins anew is counted."""
        match event:
            case Troubled(kind, words):
                self.measures.restarted(kind, "troubled")
                self._say(f"no news of {kind} objects: {words}")
            case Recovered(kind):
                self._say(f"news of {kind} objects come again")
            case Replaced(kind):
                if kind in self._listed:
                    self.measures.restarted(kind, "listed anew")
                self._listed.add(kind)
            case _:
                pass

    def applying(self, command: Apply) -> None:
        """A change goes to the kernel now."""
        self._settle_memory()
        self.seeing.applying(command)

    def applied(self, command: Apply, timing: Timing, seconds: float, now: float) -> None:
        """A change is in the kernel."""
        self._unsaved = True
        self.seeing.applied(command, timing, seconds, now)

    def refused(self, words: str) -> None:
        """A change, or a look, did not work."""
        self._say(f"the kernel refused: {words}")
        self.seeing.refused(words)

    def answered(self, token: int) -> None:
        """The network plugin may go on."""
        self._plugin.answer(token)

    def turned(self, state: State, now: float) -> None:
        """A turn is done."""
        if state.ready and not self._settled:
            # Before anybody is told that the node is ready: from then on a change must not wait for this.
            self._settle_memory().join()
            self._settled = True
        self.seeing.turned(state, now)
        if self._unsaved or self._saver.due == 0:
            self._unsaved = False
            self._saver.changed(state)

    def _settle_memory(self) -> threading.Thread:
        """Begin, once, to take what is there now out of all searches for garbage.

        What a cluster says once stays for long: to look through all of it would stall the loop again and again. One
        look takes a quarter of a second at 10 000 pods. It begins with the first change: the loop waits for `nft` then.
        """
        if self._settling is None:
            self._settling = threading.Thread(target=_freeze, name="settling", daemon=True)
            self._settling.start()
        return self._settling

    def _keep_vigil(self) -> None:
        """A loop that waits for the kernel says nothing, so somebody else says that it waits."""
        while not self._ending.wait(_LOOK):
            self.publisher.still_applying()

    def _lost(self, counted: Mapping[Series, int] | None) -> int:
        return self._log.lost(counted) if self._log is not None else 0

    def _asked(self, result: str, seconds: float) -> None:
        self.measures.cni(result)
        if result == "enforced":
            self.measures.cni_waited(seconds)
            self.measures.pod_enforced(seconds)


def _freeze() -> None:
    gc.collect()
    gc.freeze()
