"""What follows from what happened: the agent's decisions, without a clock, a file or a socket.

    state, commands = plan(state, events)

Events change the picture of the world and note what is dirty; then, at the end, one change of the kernel at most is
made for all of them. So the more comes at once, the less is done for each. The state belongs to the step and is given
on, not copied: the same events, one by one or together, in whatever order that the API server may tell them, lead to
the same table.

Three rules stand above the rest:

    nothing is written before everything is known    all kinds have been listed, and the kernel's table has been read
    one change at a time                              the next is made from what the kernel has after the last
    a refusal means to look again                     what was believed of the table is void; it is listed, and mended

The table of the bridges (`Desired.guard`) is changed before the other in the same command: whatever the second lets
talk, the first can tell already whose packets they are.

**The epoch** is raised when a change may stop what was let pass (`outgate.nft.epoch`). The death of a pod of another
node stops nobody: its address leads nowhere. So its rights are only noted (`ghosts`), and the epoch is raised when the
address comes back with fewer. The birth of a pod of this node raises it if a policy isolates that: what was sent to its
address before was let pass without it. What was to raise it and has not come in is owed (`owed`): where the kernel
refused it; and by an agent that begins, for the notes of the one before it died with that. Which epoch came last then,
live connections say (`Listed.last`): the table may be gone, or older than they are (`outgate.agent.boot`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from outgate.agent.desired import Desired
from outgate.agent.events import (
    Applied,
    Born,
    Chosen,
    Died,
    Drifted,
    Event,
    Forgotten,
    Linked,
    Listed,
    Refused,
    Released,
    Swept,
)
from outgate.agent.remembered import Memory
from outgate.agent.trust import Sweep, Trust
from outgate.agent.world import Claim, World
from outgate.cluster.events import Broken, Recovered, Removed, Replaced, Troubled, Upserted
from outgate.errors import InputError
from outgate.model import ClusterPolicy, Namespace, NetworkPolicy, Node, Pod
from outgate.model.cilium import CidrGroup, CiliumObject
from outgate.nft.delta import Change, chunks, creation, delta
from outgate.nft.epoch import EST, STAMP, Epoch, epoch_of, with_epoch
from outgate.nft.frame import LINKS
from outgate.nft.guard import FAMILY
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options
from outgate.nft.placement import Elements
from outgate.nft.transaction import (
    AddElements,
    AddRules,
    AddTable,
    Command,
    DeleteElements,
    DeleteTable,
    FlushChain,
    Transaction,
)
from outgate.nft.trust import DISTRUSTED
from outgate.packets import Address

__all__ = ["CLUSTER_POLICIES", "MOST_GHOSTS", "NEEDED", "OF_CILIUM", "Answer", "Apply", "Do", "Look", "State", "plan"]

CLUSTER_POLICIES = frozenset({"AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy"})
"""The kinds of policies of the whole cluster. Where one is not installed there are none of it, which is said, too."""

OF_CILIUM = frozenset({"CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "CiliumCIDRGroup"})
"""The kinds of Cilium's, likewise."""

NEEDED = frozenset({"Namespace", "NetworkPolicy", "Node", "Pod"}) | CLUSTER_POLICIES | OF_CILIUM
"""The kinds without which nothing is written to the kernel."""

MOST_GHOSTS = 10_000
"""So many dead pods are remembered. IPv6 addresses hardly ever come back; beyond this, to judge all anew costs less."""

PodKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Apply:
    """Change the kernel, and say `Applied` or `Refused`."""

    change: Change
    whole: bool
    """Whether policies were compiled; a move of elements alone is False."""
    received: tuple[float, ...] = ()
    """When the events behind it were received, as far as they said so."""


@dataclass(frozen=True, slots=True)
class Look:
    """List our table, and say `Listed`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell the network plugin that its pod is enforced."""

    token: int


Do = Apply | Look | Answer | Sweep


@dataclass(slots=True)
class State:
    """All that an agent knows."""

    world: World
    desired: Desired
    trust: Trust = field(default_factory=Trust)
    synced: set[str] = field(default_factory=set)
    actual: Ruleset | None = None
    """The kernel's table, where `seen`."""
    guard: Ruleset | None = None
    """The kernel's table of the bridges, where `seen`."""
    seen: bool = False
    looking: bool = False
    doubtful: bool = False
    """The table was changed while it was listed: the listing may be older than that."""
    changing: bool = False
    rebuild: bool = True
    dirty: set[Address] = field(default_factory=set)
    ghosts: dict[Address, frozenset[object]] = field(default_factory=dict)
    """What an address had of which the pod, one of another node, is gone: its set memberships."""
    owed: bool = True
    """The next change raises the epoch, whatever it does."""
    last: Epoch | None = None
    """The epoch that this agent left the table with, or was about to; before that, the last one of others."""
    received: list[float] = field(default_factory=list)
    waiting: dict[int, tuple[PodKey, Claim]] = field(default_factory=dict)
    covered: tuple[int, ...] = ()
    """Who can be answered once the change that is on its way has come in."""
    broken: dict[tuple[str, str, str], tuple[InputError, ...]] = field(default_factory=dict)
    troubled: dict[str, str] = field(default_factory=dict)
    generation: int = 0
    """How often policies have been compiled into the kernel."""
    comparing: bool = False
    """Nothing has changed since the table was as it should be, so whatever is found is somebody else's doing."""
    drift: int = 0
    """How often our table was not as we left it."""
    refused: str = ""
    """What the kernel said to the last change, where it refused it."""

    @classmethod
    def of(cls, node: str, options: Options, memory: Memory | None = None) -> State:
        """An agent that knows nothing yet, but what the one before it remembered."""
        world, trust = World(node), Trust()
        if memory is not None:
            trust.remember(memory)
        return cls(world, Desired(world, options, trust), trust, dirty=set(trust.owners))

    @property
    def ready(self) -> bool:
        """Whether the kernel has been given what the whole cluster asks for, once at least."""
        return self.generation > 0

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to do."""
        return self.seen and not (self.changing or self.rebuild or self.dirty)

    @property
    def epoch(self) -> int:
        """The epoch of the table; 0 where it has none."""
        found = epoch_of(self.actual) if self.actual is not None else None
        return found.value if found else 0


def plan(state: State, events: Iterable[Event]) -> tuple[State, tuple[Do, ...]]:
    """The state after some events, and what is to be done about it, in order."""
    for event in events:
        _absorb(state, event)
    return state, tuple(_commands(state))


# ---- what happened ---------------------------------------------------------------------------------------------------


def _absorb(state: State, event: Event) -> None:
    match event:
        case Replaced() | Upserted() | Removed():
            _absorb_objects(state, event)
        case Troubled(kind, words):
            state.troubled[kind] = words
        case Recovered(kind):
            state.troubled.pop(kind, None)
        case Broken(kind, namespace, name, errors):
            state.broken[kind, namespace, name] = errors
        case Linked(links, behind):
            state.dirty |= state.world.link(links, behind)
        case Chosen(options):
            if options != state.desired.options:
                state.trust.doubt(state.desired.distrusted)
                held = state.desired.held
                state.desired, state.rebuild = Desired(state.world, options, state.trust), True
                state.desired.held |= held
        case Released():
            state.rebuild |= state.desired.let_go()
        case Born() | Died() | Forgotten():
            _absorb_plugin(state, event)
        case Swept():
            believing = state.trust.believing
            state.dirty |= state.trust.swept(epoch_of(state.actual) if state.actual is not None else None)
            state.rebuild |= state.trust.believing != believing
        case Listed() | Drifted() | Applied() | Refused():
            _absorb_kernel(state, event)


def _absorb_objects(state: State, event: Replaced | Upserted | Removed) -> None:
    match event:
        case Upserted(kind, object=one, received=received):
            if _put(state, one):
                state.received.append(received)
            state.broken.pop((kind, *_key_of(one)), None)
        case Removed(kind, object=one):
            _drop(state, kind, _key_of(one))
        case Replaced("Pod", objects):
            state.dirty |= state.world.replace_pods(one for one in objects if isinstance(one, Pod))
            state.synced.add("Pod")
        case Replaced(kind, objects):
            present = {_key_of(one) for one in objects}
            for key in _keys(state, kind) - present:
                _drop(state, kind, key)
            for one in objects:
                _put(state, one)
            state.synced.add(kind)
    if isinstance(event, Replaced):
        for place in [place for place in state.broken if place[0] == event.kind]:
            del state.broken[place]


def _key_of(one: object) -> PodKey:
    return getattr(one, "namespace", ""), getattr(one, "name", "")


def _keys(state: State, kind: str) -> set[PodKey]:
    match kind:
        case "Namespace":
            return {("", name) for name in state.world.namespaces}
        case "NetworkPolicy":
            return set(state.world.policies)
        case "Node":
            return {("", name) for name in state.world.nodes}
        case "CiliumCIDRGroup":
            return {("", name) for name in state.world.groups}
        case _ if kind in OF_CILIUM:
            return {(namespace, name) for of, namespace, name in state.world.cilium if of == kind}
        case _:
            return {("", name) for of, name in state.world.cluster_policies if of == kind}


def _put(state: State, one: object) -> bool:
    """Take an object up; whether the kernel has to know."""
    world = state.world
    match one:
        case Pod():
            touched = world.put_pod(one)
            state.dirty |= touched
            return bool(touched)
        case Namespace():
            changed = world.put_namespace(one)
        case NetworkPolicy():
            changed = world.put_policy(one)
        case ClusterPolicy():
            changed = world.put_cluster_policy(one)
        case CiliumObject():
            changed = world.put_cilium(one)
        case CidrGroup():
            changed = world.put_group(one)
        case Node():
            changed = world.put_node(one)
        case _:
            changed = False
    state.rebuild |= changed
    return changed


def _drop(state: State, kind: str, key: PodKey) -> None:
    world = state.world
    match kind:
        case "Pod":
            state.dirty |= world.drop_pod(key)
        case "Namespace":
            state.rebuild |= world.drop_namespace(key[1])
        case "NetworkPolicy":
            state.rebuild |= world.drop_policy(key)
        case "Node":
            state.rebuild |= world.drop_node(key[1])
        case "CiliumCIDRGroup":
            state.rebuild |= world.drop_group(key[1])
        case _ if kind in OF_CILIUM:
            state.rebuild |= world.drop_cilium(kind, key)
        case _:
            state.rebuild |= world.drop_cluster_policy(kind, key[1])
    state.broken.pop((kind, *key), None)


def _absorb_plugin(state: State, event: Born | Died | Forgotten) -> None:
    match event:
        case Born(namespace, name, claim, token):
            state.dirty |= state.world.born((namespace, name), claim)
            state.waiting[token] = (namespace, name), claim
        case Died(namespace, name, uid, addresses):
            state.dirty |= state.world.died((namespace, name), uid, addresses)
        case Forgotten(token):
            state.waiting.pop(token, None)


def _absorb_kernel(state: State, event: Listed | Drifted | Applied | Refused) -> None:
    match event:
        case Listed(ruleset, guard, last):
            state.guard, state.last = guard, state.last or last
            state.trust.begin(ruleset, last)
            # Nothing that was believed counts any more: the difference to the listing says what is to be done.
            state.comparing = state.ready and not (state.rebuild or state.dirty or state.refused)
            state.actual, state.looking, state.rebuild = ruleset, False, True
            state.seen, state.doubtful = not state.doubtful, False
        case Drifted():
            state.seen, state.doubtful = False, state.looking
        case Applied():
            state.changing, state.refused, state.owed = False, "", False
        case Refused(words):
            state.changing, state.seen, state.refused, state.covered = False, False, words, ()


# ---- what follows ----------------------------------------------------------------------------------------------------


def _commands(state: State) -> Iterable[Do]:
    if state.changing:
        return
    for token in state.covered:
        if state.waiting.pop(token, None) is not None:
            yield Answer(token)
    state.covered = ()
    if not state.seen:
        if not state.looking:
            state.looking = True
            yield Look()
        return
    if not state.synced >= NEEDED:
        return
    received = tuple(state.received)
    state.trust.notice(state.world, state.dirty)
    whole = state.rebuild or state.desired.begins_to_catch(state.dirty)
    change = _guarded(state, _rebuilt(state) if whole else _moved(state))
    state.rebuild, state.dirty, state.received = False, set(), []
    state.trust.fresh = False
    state.trust.relieved.clear()
    if whole:
        state.generation += 1
    covered = tuple(_covered(state))
    comparing, state.comparing = state.comparing, False
    if change is not None:
        state.drift += comparing
        state.changing, state.covered = True, covered
        yield Apply(change, whole, received)
    else:
        if whole:
            # The kernel has refused something, and has all the same what it should.
            state.refused = ""
        for token in covered:
            del state.waiting[token]
            yield Answer(token)
        sweep = state.trust.next(Epoch(state.desired.options.mark_mask, state.epoch))
        if sweep is not None:
            yield sweep


def _covered(state: State) -> Iterable[int]:
    """Who waits for a pod of which all addresses are placed, as what they are."""
    for token, (key, claim) in state.waiting.items():
        record = state.world.pods.get(key)
        if record is None or not state.world.is_local(key) or (claim.uid and record.pod.uid not in {"", claim.uid}):
            continue
        if set(claim.addresses) <= set(record.addresses) and not any(map(state.desired.awaits_port, claim.addresses)):
            yield token


def _guarded(state: State, change: Change | None) -> Change | None:
    """The change, and before it what the bridges need."""
    wanted, has = state.desired.guard(), state.guard
    state.guard = wanted
    if wanted is has:
        return change
    if wanted is not None:
        first = delta(wanted, has).transactions
    else:
        first = (Transaction((AddTable(), DeleteTable()), FAMILY),)
    return replace(change or Change(), first=first) if first else change


def _rebuilt(state: State) -> Change | None:
    desired = state.desired
    before, placed = state.actual, desired.placed
    ruleset = desired.rebuild()
    tightens = _tightens(state, {address: placed.get(address, {}) for address in state.dirty})
    tightens |= state.owed or state.trust.fresh
    change = delta(ruleset, before, tightens=tightens, last=state.last)
    assert change.after is not None, "a difference to a table that is desired ends there"
    desired.chains = dict(change.after.chains)
    state.actual = desired.ruleset
    if change.tightens:
        state.ghosts.clear()
    _note(state, change)
    return change if change.transactions else None


def _moved(state: State) -> Change | None:
    if not state.dirty:
        return None
    desired = state.desired
    assert state.actual is not None, "a table that was never made is rebuilt, not moved"
    before = {address: dict(desired.placed.get(address, {})) for address in state.dirty}
    moved = desired.move(state.dirty)
    tightens = _tightens(state, before) or state.trust.fresh
    # What is new is loaded as it is now; the next move changes the sets themselves.
    sets = [one.holding(dict(one.elements)) for one in moved.sets]
    flip: list[Command] = []
    flip += (DeleteElements(desired.sets[name].holding(content)) for name, content in moved.less.items())
    flip += (AddElements(desired.sets[name].holding(content)) for name, content in moved.more.items())
    if tightens:
        flip += _raise_epoch(state)
    if not moved.chains and not moved.sets and not flip:
        return None
    state.actual = desired.ruleset
    change = Change(
        prepare=tuple(chunks(creation(moved.chains, sets))),
        flip=Transaction(tuple(flip)) if flip else None,
        tightens=tightens,
        after=state.actual,
    )
    _note(state, change)
    return change


def _note(state: State, change: Change) -> None:
    """Remember the epoch that a change gives out, and that it must be given out if the kernel refuses it."""
    state.last = epoch_of(state.desired.ruleset)
    state.owed = change.tightens


def _tightens(state: State, before: Mapping[Address, Elements]) -> bool:
    """Whether what pods did may stop something that passed; and which rights are only noted.

    `before` is what the addresses had. A pod of this node that is new may stop something, too: until now its address
    was somebody else's, or led out of the node, and whoever talked to it then was not asked for the policies of this
    pod. (Pods that nobody isolates change nothing for anybody.) What stops somebody may also be gained: a place in a
    set that a rule denies.
    """
    found = False
    denying = state.desired.denying
    for address, had in before.items():
        has = state.desired.placed.get(address, {})
        lost = {at for at, value in had.items() if at[0] not in _NO_RIGHTS and has.get(at, _MISSING) != value}
        found |= any(at[0] in _DISTRUSTED and at not in had for at in has)
        if address in state.world.holders:
            closes = any(value is not None and value.chain and had.get(at) != value for at, value in has.items())
            gained = any(at[0] in denying and had.get(at, _MISSING) != value for at, value in has.items())
            found |= closes or gained or bool(lost) or bool(state.ghosts.pop(address, frozenset()) - has.keys())
        elif any(value is not None for value in had.values()):
            found = True  # a pod of this node: what it still sends is nobody's
        elif lost:
            state.ghosts[address] = frozenset(lost)
    if found or len(state.ghosts) > MOST_GHOSTS:
        state.ghosts.clear()
        return True
    return False


_DISTRUSTED = frozenset(DISTRUSTED.values())
_NO_RIGHTS = frozenset(LINKS.values()) | _DISTRUSTED
"""Not to be in these closes nothing. Whose interface an address is, is asked of each packet, before its connection is
looked at; and who is not distrusted is believed."""
_MISSING = object()
"""No verdict, where None is one: that of a set."""


def _raise_epoch(state: State) -> Iterable[Command]:
    desired = state.desired
    now = epoch_of(desired.ruleset) or Epoch(desired.options.mark_mask, desired.options.epoch)
    raised = with_epoch(desired.ruleset, now.following())
    for name in (EST, STAMP):
        desired.chains[name] = raised.chains[name]
        yield FlushChain(name)
        yield AddRules(name, raised.chains[name].rules)
