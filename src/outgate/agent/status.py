"""What the agent publishes of itself: a document in a file, and the answers to "does it live" and "is it ready".

The loop calls `Publisher.publish` with its state after each turn. The file is written at most once a second, whole and
atomically, and last when the agent ends; it stays when the agent is gone, as the rules do, and says as of when they
stand. A file that cannot be written stops nobody. While the kernel takes its time with a change the loop does not turn;
then somebody else's thread says so (`Publisher.still_applying`), or a hanging node would look like a quiet one.

*Ready* is a claim: the kernel holds what the cluster asks for. It is not made before the kernel has taken the first
whole change, nor while it refuses one, nor while somebody else has changed our table, nor on a node where something is
in the way of enforcing (`hindrances`). A lost API server does not take it back: the rules stand, and the lag is shown.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from outgate.agent.asking import uses_names
from outgate.agent.settings import Settings
from outgate.agent.step import State
from outgate.agent.world import World
from outgate.host.rewrite import put
from outgate.model import CiliumPolicy, ClusterPolicy, Namespace, Pod, Policy
from outgate.model.cluster_policy import UnknownPeer
from outgate.nft.frame import DISPATCHES, LINKS
from outgate.policy.cilium_sight import unseen
from outgate.policy.cluster_rules import looks_at_nodes, stops_at_nodes
from outgate.policy.established import strange_established
from outgate.policy.mode import Mode, mode_of, strange_mode
from outgate.report.agent_status import AgentStatus, BrokenObject, Lag, ObjectError, UnenforcedPod
from outgate.report.packet_log import rfc3339
from outgate.version import __version__

__all__ = ["ELEMENT_FAMILIES", "POD_STATES", "POLICY_MODES", "Publisher", "elements_of"]

POD_STATES = ("enforced", "waiting", "contested", "unenforceable")
POLICY_MODES = ("enforce", "audit", "broken")
ELEMENT_FAMILIES = ("dispatch", "peers", "ports", "blocks", "links")

_MOST = 100
"""Entries of each list of the document: it is for a person, and bounded whatever the cluster does."""
_INTERVAL = 1.0
"""Seconds between two writings of the file."""
_SLOW = 2.0
"""Seconds that a change may take before that is said. A node of 10 000 pods is programmed anew within them."""
_UNHEARD = "has rules about names, and the agent runs no DNS proxy: they open nothing; see --names"
_LIVE_WITHIN = 60.0
"""Seconds within which the loop turns. Programming a node anew takes a few; one that hangs is to be started again."""
_FAMILY = {"p": "peers", "n": "ports", "t": "ports", "a": "blocks", "b": "blocks"}
_FAMILY_OF = {one.name: "dispatch" for one in DISPATCHES} | dict.fromkeys(LINKS.values(), "links")


@dataclass(frozen=True, slots=True)
class _Around:
    """What a status needs beside the state. Times in seconds: `started`, `applied`, `wall` since 1970."""

    started: float
    wall: float
    now: float
    """Monotonic, as the times of events are."""
    applied: float | None = None
    ready: bool = False
    hindrances: tuple[str, ...] = ()
    pending: float | None = None
    silent: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Policies:
    """How many there are of each mode, which are audited only, and what is strange in their annotations."""

    modes: dict[str, int]
    audited: tuple[str, ...]
    strange: tuple[str, ...]


def _status_of(state: State, settings: Settings, around: _Around, policies: _Policies) -> AgentStatus:
    """The document. It costs what the pods of this node cost, not the cluster's."""
    unenforced = list(_unenforced(state, around.hindrances))
    counts = dict.fromkeys(POD_STATES, 0)
    for one in unenforced:
        counts[one.state] += 1
    counts["enforced"] = len(state.world.local) - len(unenforced)
    return AgentStatus(
        node=settings.node,
        version=__version__,
        mode=settings.mode.value,
        started=rfc3339(around.started),
        written=rfc3339(around.wall),
        applied=rfc3339(around.applied) if around.applied is not None else None,
        ready=around.ready,
        generation=state.generation,
        epoch=state.epoch,
        synced=tuple(sorted(state.synced)),
        troubled=dict(sorted(state.troubled.items())),
        pods=counts,
        unenforced=tuple(unenforced[:_MOST]),
        policies=policies.modes,
        audited=policies.audited,
        broken=tuple(_broken(state)),
        strange=policies.strange,
        elements=elements_of(state),
        drift_repairs=state.drift,
        last_refusal=state.refused,
        lag=_lag(state, around),
        hindrances=around.hindrances,
    )


def elements_of(state: State) -> dict[str, int]:
    """How many elements the sets have, by what the sets are for."""
    found = dict.fromkeys(ELEMENT_FAMILIES, 0)
    for name, one in state.desired.sets.items():
        family = _FAMILY_OF.get(name) or _FAMILY.get(name[:1])
        if family is not None:
            found[family] += len(one.elements)
    return found


def _unenforced(state: State, hindrances: tuple[str, ...]) -> Iterator[UnenforcedPod]:
    for key in sorted(state.world.local):
        pod = state.world.pods[key].pod
        why = ("unenforceable", hindrances[0]) if hindrances else _why_not(state, pod)
        if why is not None:
            yield UnenforcedPod(*key, *why)


def _why_not(state: State, pod: Pod) -> tuple[str, str] | None:
    """Why a pod of this node is not enforced; None where it is."""
    world, linked = state.world, bool(state.desired.options.interface_prefix)
    addresses = world.pods[pod.key].addresses
    for address in addresses:
        holders = world.holders.get(address, ())
        if len(holders) > 1:
            others = ", ".join("/".join(one) for one in holders if one != pod.key)
            return "contested", f"{address} is claimed by {others} too; closed until one of them is gone"
    if not addresses:
        return "waiting", "has no address yet"
    if missing := state.unheard:
        return "waiting", f"the API server has not told of every {', '.join(sorted(missing))} yet"
    if not state.ready or state.rebuild:
        return "waiting", state.refused or "the rules are not in the kernel yet"
    for address in addresses:
        if address in state.dirty or address not in state.desired.placed:
            return "waiting", f"{address} is not in the kernel yet"
        if linked and not world.links.get(address):
            return "waiting", f"no interface of this node leads to {address} yet"
    return None


def _strange_words(policy: Policy, namespace: Namespace | None) -> Iterator[str]:
    """What is strange in the annotations of a policy and its namespace."""
    return filter(None, (strange_mode(policy, namespace), strange_established(policy, namespace)))


def _policies(state: State, default: Mode) -> _Policies:
    counts = dict.fromkeys(POLICY_MODES, 0)
    audited: list[str] = []
    strange: dict[str, None] = {}
    unheard = not state.desired.options.names
    sight = state.world.sight
    for key, policy in sorted(state.world.policies.items()):
        namespace = state.world.namespaces.get(policy.namespace) or Namespace(policy.namespace)
        strange |= dict.fromkeys(_strange_words(policy, namespace))
        if ("NetworkPolicy", *key) in state.broken:
            counts["broken"] += 1
            continue
        mode = mode_of(policy, namespace, default)
        counts[mode.value] += 1
        if mode is Mode.AUDIT:
            audited.append(str(policy))
    for (kind, name), above in sorted(state.world.cluster_policies.items()):
        strange |= dict.fromkeys(_strange_words(above, None))
        if words := _unseen_nodes(state.world, state.world.of_cluster[kind, name]):
            strange[f"{kind} {name} {words}: closed"] = None
        if unheard and uses_names([above]):
            strange[f"{kind} {name} {_UNHEARD}"] = None
        broken = (kind, "", name) in state.broken
        for words in () if broken else _unknown(state.world.of_cluster[kind, name]):
            strange[f"{kind} {name}: {words}"] = None
        mode = mode_of(above, None, default)
        counts["broken" if broken else mode.value] += 1
        if mode is Mode.AUDIT and not broken:
            audited.append(f"{kind} {name}")
    for (kind, _, _), written in sorted(state.world.written.items()):
        for one in written.policies:
            for mark in unseen(one, sight):
                strange[f"{kind} {one}: {mark}: closed"] = None
    for (kind, where, name), many in sorted(state.world.cilium.items()):
        space = state.world.namespaces.get(where)
        for one in many:
            strange |= dict.fromkeys(_strange_words(one, space))
            if unheard and uses_names([one]):
                strange[f"{kind} {one} {_UNHEARD}"] = None
            for mark in one.not_enforced():
                strange[f"{kind} {one}: {mark}: closed"] = None
            if not state.desired.options.proxied and _looks_into(one):
                strange[f"{kind} {one} has rules about requests, and there is no Envoy: closed; see --envoy"] = None
        broken = (kind, where, name) in state.broken
        mode = mode_of(many[0], space, default) if many else Mode.ENFORCE
        counts["broken" if broken else mode.value] += 1
        if mode is Mode.AUDIT and not broken:
            audited.append(f"{kind} {many[0]}")
    return _Policies(counts, tuple(audited[:_MOST]), tuple(itertools.islice(strange, _MOST)))


def _unseen_nodes(world: World, policy: ClusterPolicy) -> str:
    """Why rules of a policy close that look at nodes; empty where they do not."""
    if not world.all_nodes and looks_at_nodes(policy):
        return "has peers of nodes, and only this node is watched (see --all-nodes)"
    if world.unread_nodes and stops_at_nodes(policy):
        return f"denies nodes or passes them on, and Node {world.unread_nodes[0]} cannot be understood"
    return ""


def _unknown(policy: ClusterPolicy) -> Iterator[str]:
    """Subject and peers in no form that is known here, and what becomes of their rules: a newer API has them."""
    rules = (*policy.ingress, *policy.egress)
    for one in (policy.subject, *(peer for rule in rules for peer in rule.peers)):
        if isinstance(one, UnknownPeer):
            yield f"{one.place.path}: {one.words}"


def _looks_into(policy: CiliumPolicy) -> bool:
    """Whether a proxy would have to look into connections for it."""
    return any(entry.looks_into for rule in policy.egress for entry in rule.ports or ())


def _broken(state: State) -> Iterator[BrokenObject]:
    for (kind, namespace, name), errors in sorted(state.broken.items())[:_MOST]:
        yield BrokenObject(kind, namespace, name, tuple(ObjectError(one.path, one.message) for one in errors[:_MOST]))


def _lag(state: State, around: _Around) -> Lag:
    kernel = 0.0 if around.pending is None else max(0.0, around.now - around.pending)
    kinds = sorted(state.synced | state.troubled.keys())
    watch = {kind: round(max(0.0, around.now - around.silent.get(kind, around.now)), 3) for kind in kinds}
    return Lag(round(kernel, 3), watch)


class Publisher:
    """Keeps what is published. Its answers, and `still_applying`, are for any thread; all else is for the loop's.

    `clock` is the monotonic clock that the events' times are of, `wall` gives seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        live_within: float = _LIVE_WITHIN,
    ) -> None:
        self.settings = settings
        self.trouble = ""
        """Why the file could not be written, where it could not."""
        self._clock, self._wall, self._live_within = clock, wall, live_within
        self._started = wall()
        self._turned = clock()
        self._written: float | None = None
        self._applied: float | None = None
        self._hindrances: tuple[str, ...] = ()
        self._confirmed = False
        self._ready = False
        self._why_not = "the agent is starting"
        self._sent: float | None = None
        self._begun: tuple[float, float] | None = None
        """When the change began that is being made: monotonic, and since 1970."""
        self._writing = threading.Lock()
        self._pending: float | None = None
        self._silent: dict[str, float] = {}
        self._current: AgentStatus | None = None
        self._counted: object = None
        self._policies = _Policies({}, (), ())

    # ---- what the loop says --------------------------------------------------------------------------------------

    def hindered(self, words: Iterable[str]) -> None:
        """What is in the way of enforcing on this node now; nothing where it is empty."""
        self._hindrances = tuple(words)

    def applying(self, received: Iterable[float]) -> None:
        """A change goes to the kernel; when the events behind it were received (`Apply.received`)."""
        self._begun = self._clock(), self._wall()
        self._sent = min((*received, *(() if self._sent is None else (self._sent,))), default=None)

    def applied(self) -> None:
        """The kernel has taken a change."""
        self._sent = self._begun = None
        self._applied = self._wall()

    def refused(self) -> None:
        """The kernel has not taken a change. What was behind it still waits."""
        self._begun = None

    def publish(self, state: State, *, last: bool = False) -> None:
        """The state after a turn; `last` where there will be no other."""
        now = self._turned = self._clock()
        self._follow(state, now)
        if last or self._written is None or now - self._written >= _INTERVAL:
            self._write(state, now)

    def still_applying(self) -> None:
        """From a thread beside the loop, about once a second: where a change is slow, the document says since when."""
        with self._writing:
            begun, sent, current, now = self._begun, self._sent, self._current, self._clock()
            if begun is None or current is None or now - begun[0] < _SLOW:
                return
            lag = Lag(round(now - (begun[0] if sent is None else sent), 3), current.lag.watch)
            written, since = rfc3339(self._wall()), rfc3339(begun[1])
            self._put(msgspec.structs.replace(current, written=written, programming=since, lag=lag))

    # ---- what others ask -----------------------------------------------------------------------------------------

    @property
    def current(self) -> AgentStatus | None:
        """The document as it was last written; None before the first."""
        return self._current

    def live(self) -> tuple[bool, str]:
        """Whether the loop turns, and words about it."""
        idle = self._clock() - self._turned
        if idle > self._live_within:
            begun = self._begun
            why = f": a change is being programmed since {rfc3339(begun[1])}" if begun is not None else ""
            return False, f"the loop has not turned for {idle:.0f} s{why}"
        return True, "ok"

    def ready(self) -> tuple[bool, str]:
        """Whether the kernel holds what the cluster asks for, and words about it."""
        return self._ready, "ok" if self._ready else self._why_not

    # ---- how -----------------------------------------------------------------------------------------------------

    def _follow(self, state: State, now: float) -> None:
        if state.settled and state.ready and not state.refused:
            self._confirmed = True
            self._sent = None
        self._why_not = self._reason(state)
        self._ready = not self._why_not
        self._pending = min((*state.received, *(() if self._sent is None else (self._sent,))), default=None)
        for kind in state.troubled:
            self._silent.setdefault(kind, now)
        for kind in self._silent.keys() - state.troubled.keys():
            del self._silent[kind]

    def _reason(self, state: State) -> str:
        if self._hindrances:
            return f"this node cannot be enforced: {self._hindrances[0]}"
        if missing := state.unheard:
            return f"the API server has not told of every {', '.join(sorted(missing))} yet"
        if state.refused:
            return f"the kernel refused the last change: {state.refused}"
        if not self._confirmed:
            return "the rules are not in the kernel yet"
        if not state.seen:
            return "somebody has changed our table, and it is not mended yet"
        return ""

    def _policies_of(self, state: State) -> _Policies:
        """Those of the last compilation; thousands of them are not looked at again each second."""
        known = (state.generation, frozenset(state.broken)) if state.generation else None
        if known is None or known != self._counted:
            self._counted, self._policies = known, _policies(state, self.settings.mode)
        return self._policies

    def _write(self, state: State, now: float) -> None:
        around = _Around(
            self._started,
            self._wall(),
            now,
            self._applied,
            self._ready,
            self._hindrances,
            self._pending,
            dict(self._silent),
        )
        with self._writing:
            self._put(_status_of(state, self.settings, around, self._policies_of(state)))
        self._written = now

    def _put(self, status: AgentStatus) -> None:
        self._current = status
        try:
            put(self.settings.status_file, msgspec.json.format(msgspec.json.encode(status)) + b"\n")
            self.trouble = ""
        except OSError as error:
            self.trouble = f"{self.settings.status_file}: {error.strerror or error}"
