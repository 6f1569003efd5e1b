"""Envoy beside the agent: what looks into requests where policies have rules about them (docs/decisions/0017).

    start     the way of marked packets is made, rules of before are thrown away, Envoy is started and watched; where
              it runs in a container beside the agent's, it and its rules outlive the agent, and are taken over
    applying  before the kernel is given other policies, Envoy is told of them
    turned    where something changed that its rules are made of, what they are made of is copied
    released  where nothing is caught any more, Envoy is asked whether it still holds connections; once it holds none,
              the loop is told, and its part of the kernel's table goes
    heard     what pods learn the DNS proxy says here, and waits with its answers until Envoy knows
    refusals  are read by a thread of their own, named by their rules, and written as JSON, a line each
    teller    a thread of its own makes redirects of the copy and moves them to Envoy; of several copies the last counts

Whatever fails here fails closed: the kernel gives those connections to Envoy or to nobody, and Envoy begins with rules
that let nothing through. Rules that it refuses leave it with those of before, which may allow what is no longer
allowed; so then it is told to let nothing through.

A Snapshot of the agent's own has no pods. Redirects need the addresses of peers, so the copy has the pods whose
connections are caught or held, and those in any set by which it is decided what becomes of them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import IO

import msgspec

from outgate.agent.desired import Desired
from outgate.agent.events import Event, Released
from outgate.agent.log_file import Limit, LogFile
from outgate.agent.loop import Observer
from outgate.agent.proxy_measures import RequestsSeen
from outgate.agent.settings import SIDECAR, Settings
from outgate.agent.step import Apply, State
from outgate.errors import KernelError
from outgate.host import proxy_routes
from outgate.host.envoy import Envoy, Supervisor
from outgate.host.learned_line import PATIENCE, Heard, LearnedEar
from outgate.host.learned_names import LearnedNames
from outgate.host.learned_sets import learned as learned_now
from outgate.host.waiting import readable
from outgate.model import Direction, Pod, Snapshot
from outgate.nft.lines import names_id
from outgate.packets import Address, AddressSet
from outgate.policy import Mode, Policies
from outgate.policy.rules import NamesMatch
from outgate.proxy.envoy import RULES, Proxying, RuleFiles, rule_files
from outgate.proxy.envoy_log import Refusal, read_refusal
from outgate.proxy.redirecting import redirects_of
from outgate.report.packet_log import LogRecord, Party, PodName, RequestSaid

__all__ = ["Copy", "RequestProxy", "copy_of", "envoy_of"]

_TAKEN_WITHIN = 10.0
"""Seconds in which Envoy takes rules; it needs milliseconds."""
_SEEN_WITHIN = 1.0
"""Seconds for what Envoy counts: whoever reads metrics waits five, and must not miss them all for one."""
_LISTENING = 0.5
"""Seconds between two looks at whether reading should end."""
_AGAIN = 1.0
"""Seconds until rules are told once more that Envoy has not said it took."""
_BEFORE = 0.25
"""Seconds for which the kernel waits for Envoy."""
_READ_AGAIN = 30.0
"""Seconds until learned addresses are read from the kernel again, to see which have gone."""


@dataclass(frozen=True)
class Copy:
    """What redirects are made of, but for what pods have learned."""

    snapshot: Snapshot
    caught: tuple[tuple[str, str], ...]
    """The pods of this node whose connections are caught, or were and may be held."""
    free: frozenset[tuple[str, str]] = frozenset()
    """Those among them whom nothing isolates, so that whatever no rule about requests is about goes on."""

    audited: frozenset[tuple[str, str, str]] = frozenset()
    """Kind, namespace and name of policies that are only watched."""
    names: frozenset[str] = frozenset()
    """The sets of learned addresses that these pods' rules use, by their ids."""

    @cached_property
    def policies(self) -> Policies:
        """What the policies say of these pods."""
        return Policies(self.snapshot)

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """The pods that are caught."""
        pods = {one.key: one for one in self.snapshot.pods}
        return tuple(pods[key] for key in self.caught if key in pods)

    @property
    def owners(self) -> Mapping[Address, str]:
        """Whose each address is of those pods."""
        return {one: f"{pod} {pod.uid}" for pod in self.pods for one in pod.addresses}

    def rules(self, learned: LearnedNames | None = None) -> RuleFiles:
        """What Envoy is told, where pods have learned these names."""

        def live(peer: NamesMatch, pod: Address) -> AddressSet:
            return learned.live(names_id(peer), pod) if learned is not None else AddressSet()

        def lingering(peer: NamesMatch, pod: Address) -> AddressSet:
            return learned.lingering(names_id(peer), pod) if learned is not None else AddressSet()

        return rule_files(redirects_of(self.policies, self.pods, self.free, live, self.audited, lingering))


class RequestProxy(Observer):
    """Envoy of this node, told what the policies say.

    `say` is told what a person should know, and `deliver` what the loop should.
    """

    def __init__(
        self, settings: Settings, say: Callable[[str], None], deliver: Callable[[Event], object] = lambda _: None
    ) -> None:
        self._program = settings.envoy
        self._say = say
        self._deliver = deliver
        self.envoy = envoy_of(settings)
        self.supervisor: Supervisor | None = None
        self._revision = 0
        self._desired: Desired | None = None
        self._news = threading.Condition()
        self._copy: Copy | None = None
        self._copies = self._copies_told = 0
        """How often something was copied, and of how many Envoy has been told."""
        self._names = LearnedNames(time.monotonic)
        self._ear: LearnedEar | None = None
        self._socket = settings.dns.learned_socket if settings.names != "off" else None
        self._lessons = self._told = 0
        """How often something was learned, and of how many Envoy has been told."""
        self._called = False
        """Whether the DNS proxy has connected since the kernel was read: what was learned before was not heard."""
        self._lingering = False
        """Whether nothing is caught any more, and connections may still be held."""
        self._ending = False
        self._telling = threading.Thread(target=self._tell_on, name="requests", daemon=True)
        self._draining: threading.Thread | None = None
        self._said = ""
        self._log, self._node = settings.request_log, settings.node
        self._whose: Mapping[str, tuple[str, str]] = {}
        """The pods of addresses, for the log."""
        self._refused: Counter[str] = Counter()
        """How many requests and connections Envoy has refused."""
        self._lost = 0
        """Refusals that are not in the log."""
        self._begun: float | None = None
        """When the Envoy began that was seen last, by a clock that never goes back."""
        self._begins = 0
        self._concerned: Mapping[str, tuple[str, ...]] = {}
        """The rules behind the digests in Envoy's log."""

    def start(self) -> None:
        """Make the way of marked packets and start Envoy.

        Raises:
            KernelError: the routes or the files cannot be made, or there is no such program.
        """
        proxy_routes.ensure(self.envoy.proxying.deliver_mark)
        beside = self._program == SIDECAR
        if not beside:
            self._forget_rules()
        self.envoy.prepare()
        refusals = self.envoy.refusals()
        self._draining = threading.Thread(target=self._drain, args=(refusals,), name="refusals", daemon=True)
        self._draining.start()
        if not beside:
            self.supervisor = Supervisor(self.envoy, program=self._program)
        self._telling.start()

    def _forget_rules(self) -> None:
        """Those of before speak of addresses that may be somebody else's by now. Envoy begins with nothing allowed.

        An Envoy that went on beside an agent that died keeps them, as the kernel keeps its own (docs/decisions/0017).
        """
        rules = self.envoy.place / RULES
        for file in rules.iterdir() if rules.is_dir() else ():
            file.unlink()

    def stop(self) -> None:
        """End Envoy, if it was started here. What is caught for it stops until an agent starts it again."""
        with self._news:
            self._ending = True
            self._news.notify_all()
        if self.supervisor is not None:
            self.supervisor.close()
        for thread in (self._telling, self._draining):
            if thread is not None and thread.ident is not None:
                thread.join()
        if self._ear is not None:
            self._ear.close()

    def seen(self) -> RequestsSeen:
        """What is known of Envoy now."""
        counts = self.envoy.counts(_SEEN_WITHIN)
        if counts is None:
            starts = self.supervisor.restarts + 1 if self.supervisor is not None else self._begins
            return RequestsSeen(False, starts, self._refused, Counter(), self._lost)
        begun = time.monotonic() - counts.uptime
        # In whole seconds: what began more than one later is another.
        self._begins += self._begun is None or begun > self._begun + 2
        self._begun = begun
        starts = self.supervisor.restarts + 1 if self.supervisor is not None else self._begins
        allowed = Counter(request=counts.requests, connection=counts.connections)
        return RequestsSeen(True, starts, self._refused, allowed, self._lost)

    @property
    def pending(self) -> bool:
        """Whether something waits to be told."""
        return self._copy is not None

    def applying(self, command: Apply) -> None:
        """Tell Envoy of other policies before the kernel, as far as it listens.

        The kernel may then give it connections that it did not before: new ones would be refused for being early. What
        passes meanwhile is what the kernel lets pass by the rules of before and Envoy by those that come.
        """
        desired = self._desired
        if desired is None or not command.whole or desired.requests_revision == self._revision:
            return
        self._take(desired)
        if desired.catching:
            with self._news:
                mine = self._copies
                self._news.wait_for(lambda: self._ending or self._copies_told >= mine, _BEFORE)

    def turned(self, state: State, now: float) -> None:  # noqa: ARG002 - what is copied has no time
        """Copy what redirects are made of, where it changed."""
        desired = state.desired
        # Before the kernel has taken the change that ends it, connections are still caught.
        self._lingering = state.settled and desired.catching and not desired.classes.catching
        if not state.ready or (desired is self._desired and desired.requests_revision == self._revision):
            return
        self._take(desired)

    def _take(self, desired: Desired) -> None:
        self._desired, self._revision = desired, desired.requests_revision
        copy = copy_of(desired)
        self._whose = {str(address): one.key for one in copy.snapshot.pods for address in one.addresses}
        with self._news:
            self._copy, self._copies = copy, self._copies + 1
            self._news.notify_all()

    def _tell_on(self) -> None:
        known, lessons, read_at = "", 0, 0.0
        current, waiting = Copy(Snapshot(), ()), None
        while True:
            with self._news:
                self._news.wait_for(partial(self._has_news, lessons), _AGAIN)
                if self._ending:
                    return
                copy, self._copy, copies = self._copy, None, self._copies
                called, self._called = self._called, False
                anew, lessons = self._lessons > lessons, self._lessons
            self._release()
            current = copy or current
            if copy is not None or (current.names and (called or time.monotonic() >= read_at)):
                self._read(current)
                anew, read_at = True, time.monotonic() + _READ_AGAIN
            rules = self._made(current) if anew else waiting
            if rules is not None and rules.version != known:
                taken = self.tell(rules)
                known, waiting = (rules.version, None) if taken else ("", rules)
            else:
                waiting = None
            with self._news:
                self._told, self._copies_told = lessons, copies
                self._news.notify_all()

    def _has_news(self, lessons: int) -> bool:
        return self._ending or self._called or self._copy is not None or self._lessons > lessons

    def _read(self, copy: Copy) -> None:
        """Begin to follow what pods of a copy learn, with what is in the kernel."""
        with self._news:
            self._names.follow(copy.names, copy.owners)
        if not copy.names:
            return
        try:
            if self._ear is None and self._socket is not None:
                self._ear = LearnedEar(self._socket, self.heard, self.called)
            begun = time.monotonic()
            found = list(learned_now(copy.names))
        except KernelError as error:
            self._say_once(error.message)
            return
        with self._news:
            self._names.read(found, begun)

    def called(self) -> None:
        """The DNS proxy has connected, and may not have been heard before: have the kernel read."""
        with self._news:
            self._called = True
            self._news.notify_all()

    def heard(self, elements: Sequence[Heard]) -> None:
        """Pods have learned something: return when Envoy knows, or when they must not wait any longer."""
        with self._news:
            if self._names.hear(elements):
                self._lessons += 1
                mine = self._lessons
                self._news.notify_all()
                self._news.wait_for(lambda: self._ending or self._told >= mine, PATIENCE)

    def _release(self) -> None:
        """Tell the loop where Envoy holds no connection, and gets none any more. One that does not answer may."""
        if self._lingering:
            with contextlib.suppress(KernelError):
                if self.envoy.connections() == 0:
                    self._deliver(Released())

    def _made(self, copy: Copy) -> RuleFiles:
        """The rules of a copy; where they cannot be made, those that allow nothing."""
        try:
            with self._news:
                learned = self._names.copied()
            return copy.rules(learned)
        except Exception as error:  # noqa: BLE001 - this thread must go on, or Envoy would keep what is allowed no more
            self._say_once(f"rules about requests cannot be made: {error!r}; they allow nothing")
            return rule_files(())

    def tell(self, rules: RuleFiles) -> bool:
        """Tell Envoy; whether it has taken them, or never will."""
        self._concerned = rules.concerned
        try:
            answer = self.envoy.tell(rules, _TAKEN_WITHIN)
            if not answer.accepted:
                self._say_once(f"{answer.reason}; nothing of what it looks into is allowed until it takes others")
                # A next process reads the files, too, so what it refuses must not stay in them.
                self.envoy.tell(rule_files(()), _TAKEN_WITHIN)
        except KernelError as error:
            # The files are there: a process that starts reads them.
            self._say_once(error.message)
            return False
        self._said = self._said if not answer.accepted else ""
        return True

    def _say_once(self, words: str) -> None:
        if words != self._said:
            self._said = words
            self._say(f"rules about requests: {words}")

    def _drain(self, refusals: IO[bytes]) -> None:
        """Read what Envoy says of refusals: it keeps in its memory what nobody reads (`Envoy.refusals`)."""
        log, limit, rest = LogFile(self._log), Limit(time.monotonic), b""
        with refusals:
            while not self._ending:
                if readable(refusals, within=_LISTENING):
                    *lines, rest = (rest + (refusals.read(65536) or b"")).split(b"\n")
                    some = list(self._refusals(lines))
                    shown = [msgspec.json.encode(self._record(one)) for one in some if limit.lets()]
                    self._lost += len(some) - len(shown) + log.add(shown)
        log.close()

    def _record(self, refusal: Refusal) -> LogRecord:
        """The line of the log, with the pods of the addresses."""
        (mine, _), (theirs, port) = _parted(refusal.pod), _parted(refusal.destination)
        pod, peer = self._whose.get(mine), self._whose.get(theirs)
        said = RequestSaid(
            *(refusal.method, refusal.path, refusal.host, refusal.server_name), refusal.rules, refusal.details
        )
        policy = refusal.rules[0].rpartition(" ")[0].rpartition(" ")[2] if refusal.rules else None
        return LogRecord(
            time=refusal.time,
            node=self._node,
            verdict="refused",
            direction="egress",
            pod=PodName(*pod) if pod is not None else None,
            peer=_party(theirs, peer),
            source=mine or None,
            destination=theirs or None,
            protocol="TCP",
            port=port,
            policy=policy,
            rule=f"{said}: not what {', '.join(refusal.rules) or 'any rule'} allows",
            request=said,
        )

    def _refusals(self, lines: list[bytes]) -> Iterator[Refusal]:
        for line in lines:
            refusal = read_refusal(line, self._concerned)
            if refusal is not None:
                self._refused["request" if refusal.method else "connection"] += 1
                yield refusal


def _parted(text: str) -> tuple[str, int | None]:
    """Address and port of how Envoy writes both: ``10.0.0.1:80``, ``[fd00::1]:80``."""
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port) if port.isdecimal() else None


def _party(address: str, pod: tuple[str, str] | None) -> Party | None:
    if pod is not None:
        return Party("Pod", *pod)
    return Party("External", cidrs=(f"{address}/{128 if ':' in address else 32}",)) if address else None


def envoy_of(settings: Settings) -> Envoy:
    """The folder of a node's Envoy, and what it is told once."""
    options = settings.options("")
    return Envoy(
        Proxying(
            str(settings.envoy_dir),
            port=options.proxy_port,
            deliver_mark=options.deliver_mark,
            upstream_mark=options.upstream_mark,
        )
    )


def copy_of(desired: Desired) -> Copy:
    """What redirects are made of now; nothing where nobody is caught."""
    world = desired.world
    if not desired.catching:
        return Copy(Snapshot(), ())
    deciding = desired.known_by
    caught = {key for key in desired.held if world.is_local(key)}
    peers = set(caught)
    for address, elements in desired.placed.items():
        if not deciding.isdisjoint(name for name, _ in elements):
            peers.update(world.holders.get(address, ()))
    snapshot = Snapshot.of(
        namespaces=world.namespaces.values(),
        pods=_pods(desired, peers),
        policies=world.policies.values(),
        cluster_policies=world.cluster_policies.values(),
        cilium_policies=world.cilium_policies(),
        cidr_groups=world.groups.values(),
        nodes=world.nodes.values(),
        services=world.around.meant.values(),
        slices=world.around.slices.values(),
    )
    isolation = desired.classes.policies.isolation
    names: set[str] = set()
    for example in {id(one): one for one in (world.pods[key].kind.example for key in caught)}.values():
        rules = isolation(example, Direction.EGRESS).every_rule()
        names.update(names_id(peer) for rule in rules for peer in rule.peers or () if isinstance(peer, NamesMatch))
    free = frozenset(filter(desired.is_free, caught))
    mode = desired.classes.mode
    audited = ((one.kind, one.namespace, one.name) for one in world.cilium_policies() if mode(one) is Mode.AUDIT)
    return Copy(snapshot, tuple(sorted(caught)), free, frozenset(audited), frozenset(names))


def _pods(desired: Desired, keys: set[tuple[str, str]]) -> Iterator[Pod]:
    """Pods with the addresses that count, which the network plugin may have said before the API server does."""
    for key in keys:
        record = desired.world.pods[key]
        yield replace(record.pod, addresses=record.addresses, addressed=True)
