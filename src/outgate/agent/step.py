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
from dataclasses import replace

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
from outgate.agent.news import absorb_news, mend_all
from outgate.agent.state import CLUSTER_POLICIES, NEEDED, OF_CILIUM, Answer, Apply, Do, Follow, Look, State
from outgate.cluster.events import Broken, Recovered, Removed, Replaced, Troubled, Upserted
from outgate.nft.delta import Change, chunks, creation, delta
from outgate.nft.epoch import EST, STAMP, Epoch, epoch_of, with_epoch
from outgate.nft.frame import LINKS
from outgate.nft.guard import FAMILY
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

__all__ = [
    "CLUSTER_POLICIES",
    "MOST_GHOSTS",
    "NEEDED",
    "OF_CILIUM",
    "Answer",
    "Apply",
    "Do",
    "Follow",
    "Look",
    "State",
    "plan",
]

MOST_GHOSTS = 10_000
"""So many dead pods are remembered. IPv6 addresses hardly ever come back; beyond this, to judge all anew costs less."""


def plan(state: State, events: Iterable[Event]) -> tuple[State, tuple[Do, ...]]:
    """The state after some events, and what is to be done about it, in order."""
    for event in events:
        _absorb(state, event)
    state.rebuild |= state.world.look_again()
    return state, (*_sought(state), *_commands(state))


# ---- what happened ---------------------------------------------------------------------------------------------------


def _absorb(state: State, event: Event) -> None:
    match event:
        case Replaced() | Upserted() | Removed() | Troubled() | Recovered() | Broken():
            absorb_news(state, event)
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
        case Listed(ruleset, guard, last, woken):
            state.drift += woken
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


def _sought(state: State) -> Iterable[Do]:
    """What is to be watched beside from now on, where that is not what is; once it is known what policies there are."""
    wanted = state.world.around.wanted
    if wanted == state.followed or not state.synced >= NEEDED:
        return
    for kind in {one.kind for one in state.followed} - {one.kind for one in wanted}:
        state.world.around.forget(kind)
        state.synced.discard(kind)
        state.troubled.pop(kind, None)
        state.out_of_reach.discard(kind)
        mend_all(state, kind)
    state.followed = wanted
    yield Follow(wanted)


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
    if state.unheard:
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
