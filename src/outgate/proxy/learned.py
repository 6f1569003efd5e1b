"""What names have taught: for each pod, the addresses that it may reach, and until when.

    lesson = learned.learn(pod, name, elements, ttl)     what has to be changed in the kernel before the answer may go
    learned.hold(lesson)                                 it has been

Between the two nothing is held: an answer whose element the kernel refused is not remembered as if it were open, and
the next answer tries again.

How long. A client may use an address for the TTL that it was told, and connects when it likes in that time. So an
element is needed for max(TTL, floor) + grace: the floor for programs that keep addresses longer than they may, the
grace for the way from the answer to the first packet. It is put in for half as long again, and renewed only when less
is left than is needed: most answers then change nothing in the kernel. When it runs out in the kernel, new connections
stop; established ones are not asked ("TTL expiry stops new connections only", NPEP-133).

How much. A name has so many addresses and a pod so many in all; then the oldest go, and out of the kernel too, unless
another name of the pod gives the same. Pods are told apart by their incarnation: what one has learnt goes with it, so
that the next pod with its address begins with nothing.

What the kernel holds at a start is read from it (`found`), and not believed to be what was saved: changes may have been
on their way, or come after the last saving. A pod that was here before keeps what stands in sets of its rules, for it
has heard of that; all else is taken out. So who saves has to save also when pods come.

Times are seconds of a clock that never goes back; what is saved has the time that is left.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from outgate.proxy.orders import Element, Plan, Pod
from outgate.records import dataclass

__all__ = ["Learned", "Lesson", "Limits"]

FORMAT = 1
_SAFE = 1.0
"""Seconds before an element's end from which on it may have gone by itself: the kernel's clock is not this one."""
LONGEST = 86400.0
"""Seconds: a longer TTL is taken for a day, as resolvers do (RFC 8767, 4, lets them go on for a week)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is remembered. The API asks for "at least 100" addresses of a name (NPEP-133)."""

    of_a_name: int = 1000
    of_a_pod: int = 10_000


class Lesson(NamedTuple):
    """A change of the kernel's sets. `new` are to be held for `seconds`, `gone` to be taken out."""

    new: tuple[Element, ...] = ()
    gone: tuple[Element, ...] = ()
    seconds: float = 0.0
    pod: str = ""
    name: str = ""
    elements: tuple[Element, ...] = ()
    """All that the name gives, new or not."""
    until: float = 0.0
    orders: int = 0
    """Under which orders this was decided."""
    sure: bool = False
    """As far as can be known, nothing of `new` is in the kernel yet, and all of `gone` is."""

    @property
    def closing(self) -> Lesson:
        """The part of it that takes something out."""
        return Lesson(gone=self.gone, pod=self.pod, orders=self.orders)


class _Name:
    __slots__ = ("addresses", "elements", "until")

    def __init__(self) -> None:
        self.addresses: dict[bytes, float] = {}
        """With the time until which each is of use; what was heard last stands last."""
        self.elements: tuple[Element, ...] = ()
        """What was held when the name was last learnt, all of it until `until`."""
        self.until = 0.0


class _Memory:
    __slots__ = ("count", "givers", "held", "key", "names", "sets", "sources")

    def __init__(self, key: str) -> None:
        self.key = key
        self.names: OrderedDict[str, _Name] = OrderedDict()
        """What was learnt last stands last."""
        self.givers: dict[bytes, set[str]] = {}
        """The names of an address: a pod that asks without end must not have all of them gone through each time."""
        self.held: dict[Element, float] = {}
        self.count = 0
        """Addresses of all names."""
        self.sets: tuple[str, ...] = ()
        self.sources: Mapping[int, tuple[bytes, ...]] = {}

    def note(self, name: str, known: _Name, address: bytes, until: float) -> None:
        """A name has an address, which stands last with it."""
        self.count += address not in known.addresses
        known.addresses[address] = max(until, known.addresses.pop(address, 0.0))
        self.givers.setdefault(address, set()).add(name)

    def drop(self, name: str, known: _Name, address: bytes) -> None:
        """It has it no more."""
        del known.addresses[address]
        self.count -= 1
        givers = self.givers[address]
        givers.discard(name)
        if not givers:
            del self.givers[address]

    def held_for(self, address: bytes) -> Iterator[Element]:
        """What is held of an address. `follow` leaves nothing held but for the pod's own sets and addresses."""
        for wanted in self.sets:
            for source in self.sources.get(len(address), ()):
                element = Element(wanted, source, address)
                if element in self.held:
                    yield element


class _SavedName(NamedTuple):
    name: str
    addresses: tuple[tuple[bytes, float], ...]


class _SavedPod(NamedTuple):
    key: str
    names: tuple[_SavedName, ...]
    held: tuple[tuple[str, bytes, bytes, float], ...]


class _Saved(NamedTuple):
    format: int
    written: float
    table: str
    pods: tuple[_SavedPod, ...]


class Learned:
    """The memory of the proxy. `clock` gives seconds and never goes back."""

    def __init__(self, clock: Callable[[], float], limits: Limits | None = None) -> None:
        self._clock = clock
        self._limits = limits or Limits()
        self._pods: dict[str, _Memory] = {}
        self._plan: Plan | None = None
        self._table = ""
        self._orders = 0
        self._table_since = 0
        """The orders with which the table came."""
        self._found: dict[bytes, dict[Element, float]] = {}
        """What the kernel was found to hold, by its source, until the first orders say whose it is."""
        self._lateness = 0.0
        """Seconds for which the kernel has let a lesson wait, at the most: so much later its elements may end there."""
        self.evicted = 0
        """Addresses that had to go for want of room, since the beginning."""
        self.changed = False
        """Something is not saved yet; for who saves to take back."""
        self.era = 0
        """Another number whenever something that was held may be so no more before its time."""

    def __len__(self) -> int:
        """How many addresses of names are remembered."""
        return sum(one.count for one in self._pods.values())

    # ---- learning --------------------------------------------------------------------------------------------------

    def learn(self, pod: Pod, name: str, elements: tuple[Element, ...], ttl: int) -> Lesson:
        """A name has been found to give a pod these elements, for `ttl` seconds. Raises KeyError without a plan.

        A lesson without anything in it says until when, in this `era`, the same will teach nothing again.
        """
        memory = self._pods[pod.key]
        now = self._clock()
        needed = self._needed(ttl)
        known = memory.names.get(name)
        if known is not None and known.elements == elements and known.until >= now + needed:
            return Lesson(until=known.until - needed)
        if known is None:
            known = _Name()
        else:
            del memory.names[name]
        memory.names[name] = known
        gone = self._remember(memory, name, elements, now + needed)
        new = tuple(
            one for one in elements if one.address in known.addresses and memory.held.get(one, 0.0) < now + needed
        )
        if not (new or gone):
            # Another name has brought the same, or another type of question.
            self._know(memory, known, elements, now + needed)
            return Lesson(until=known.until - needed)
        seconds = needed * 1.5
        sure = not any(one in memory.held for one in new) and min(gone.values(), default=math.inf) > now + _SAFE
        return Lesson(new, tuple(gone), seconds, pod.key, name, elements, now + seconds, self._orders, sure)

    def hold(self, lesson: Lesson) -> Lesson:
        """The kernel has taken a lesson. What new orders have made wrong of it meanwhile is to be taken out again.

        To be said in the order in which the kernel takes them.
        """
        memory = self._pods.get(lesson.pod)
        undo: tuple[Element, ...] = ()
        if lesson.orders != self._orders:
            undo = tuple(one for one in lesson.new if not self._granted(lesson, one))
        # What was put into a table that is no more says nothing about the one that is.
        if memory is None or lesson.orders < self._table_since:
            return Lesson(gone=undo)
        self.changed = True
        if lesson.new:
            self._lateness = max(self._lateness, self._clock() - (lesson.until - lesson.seconds))
        for one in lesson.new:
            memory.held[one] = lesson.until
        # Also what was renewed on its way: that has been held before this.
        for one in (*lesson.gone, *undo):
            self._lose(memory, one)
        known = memory.names.get(lesson.name)
        # Unless some of it has had to go since.
        if known is not None and all(one.address in known.addresses for one in lesson.elements):
            self._know(memory, known, lesson.elements, lesson.until)
        return Lesson(gone=undo)

    def _lose(self, memory: _Memory, element: Element) -> None:
        """It is out of the kernel, whatever was believed of it: the next answer that gives it puts it in."""
        if memory.held.pop(element, None) is not None:
            self.era += 1
            for name in memory.givers.get(element.address, ()):
                memory.names[name].elements = ()

    def _know(self, memory: _Memory, known: _Name, elements: tuple[Element, ...], until: float) -> None:
        """Notes for how long all that a name gives is held; `until`, if it gives nothing."""
        known.elements = elements
        known.until = min((memory.held.get(one, 0.0) for one in elements), default=until)

    def _granted(self, lesson: Lesson, element: Element) -> bool:
        pod = self._plan.by_key.get(lesson.pod) if self._plan is not None else None
        return pod is not None and element in self._grants(pod, lesson.name, element.address)

    def _grants(self, pod: Pod, name: str, address: bytes) -> tuple[Element, ...]:
        return self._plan.grants(pod, name, (address,)) if self._plan is not None else ()

    def _needed(self, ttl: int) -> float:
        orders = self._plan.orders if self._plan is not None else None
        floor, grace = (orders.floor, orders.grace) if orders is not None else (0.0, 0.0)
        return min(max(float(ttl), floor), LONGEST) + grace

    def _remember(self, memory: _Memory, name: str, elements: Iterable[Element], until: float) -> dict[Element, float]:
        """Notes the addresses, makes room for them, and says what has to leave the kernel, and when it would have."""
        known = memory.names[name]
        for address in dict.fromkeys(one.address for one in elements):
            memory.note(name, known, address, until)
        dropped: dict[bytes, None] = {}
        while len(known.addresses) > self._limits.of_a_name:
            dropped[self._drop_oldest(memory, name, known)] = None
        while memory.count > self._limits.of_a_pod:
            other, oldest = next(iter(memory.names.items()))
            dropped[self._drop_oldest(memory, other, oldest)] = None
            if not oldest.addresses:
                del memory.names[other]
        gone = [one for address in dropped for one in memory.held_for(address) if not self._still_given(memory, one)]
        # At once, and not when the kernel has done it: what is learnt again meanwhile is put in after it.
        return {one: memory.held.pop(one) for one in gone}

    def _drop_oldest(self, memory: _Memory, name: str, known: _Name) -> bytes:
        address = next(iter(known.addresses))
        memory.drop(name, known, address)
        known.elements = ()
        self.evicted += 1
        self.era += 1
        return address

    def _still_given(self, memory: _Memory, element: Element) -> bool:
        """Whether another name of the pod gives the same."""
        pod = self._plan.by_key.get(memory.key) if self._plan is not None else None
        return pod is not None and any(
            element in self._grants(pod, name, element.address) for name in memory.givers.get(element.address, ())
        )

    # ---- new orders ------------------------------------------------------------------------------------------------

    def follow(self, plan: Plan) -> list[Lesson]:
        """New orders: what has to be put in because of them, by pod and name, and what has to go.

        What is known is put in again where a pod's sets or addresses changed, and everywhere where the table is new.
        """
        anew = plan.orders.table != self._table
        alike = not anew and self._plan is not None and _rules(self._plan) == _rules(plan)
        self._plan, self._table = plan, plan.orders.table
        self._orders += 1
        self.era += 1
        self._table_since = self._orders if anew else self._table_since
        lessons: list[Lesson] = []
        for key in [key for key in self._pods if key not in plan.by_key]:
            lessons.append(Lesson(gone=tuple(self._pods.pop(key).held)))
            self.changed = True
        now = self._clock()
        for key, pod in plan.by_key.items():
            known = key in self._pods
            self.changed |= not known
            memory = self._pods.setdefault(key, _Memory(key))
            if anew:
                memory.held.clear()
            kept = self._taken_over(pod, memory) if known else ()
            if not (alike and memory.sets == pod.sets and memory.sources == pod.sources):
                lessons += self._anew(pod, memory, now, kept)
            memory.sets, memory.sources = pod.sets, pod.sources
        lessons.append(Lesson(gone=tuple(one for standing in self._found.values() for one in standing)))
        self._found = {}
        return [one for one in lessons if one.new or one.gone]

    def _taken_over(self, pod: Pod, memory: _Memory) -> tuple[Element, ...]:
        """What was found of a pod that was here before, in sets that its rules use: it has heard of those addresses."""
        mine: list[Element] = []
        for source in (one for many in pod.sources.values() for one in many):
            standing = self._found.get(source, {})
            for one in [one for one in standing if one.set in pod.sets]:
                memory.held[one] = standing.pop(one)
                mine.append(one)
        return tuple(mine)

    def _anew(self, pod: Pod, memory: _Memory, now: float, kept: Iterable[Element]) -> Iterator[Lesson]:
        given = set(kept)
        for name, known in memory.names.items():
            known.elements = ()
            missing: dict[float, list[Element]] = {}
            for address, until in known.addresses.items():
                elements = self._grants(pod, name, address) if until > now else ()
                given.update(elements)
                missing.setdefault(until, []).extend(one for one in elements if memory.held.get(one, 0.0) < until)
            for until, new in missing.items():
                yield Lesson(tuple(new), (), until - now, pod.key, name, tuple(new), until, self._orders)
        gone = tuple(one for one in memory.held if one not in given)
        for one in gone:
            del memory.held[one]
        yield Lesson(gone=gone, pod=pod.key, orders=self._orders)

    def expire(self) -> None:
        """Forgets what is over. The kernel has forgotten it by itself."""
        now = self._clock()
        for memory in self._pods.values():
            for name, known in list(memory.names.items()):
                for address in [one for one, until in known.addresses.items() if until <= now]:
                    memory.drop(name, known, address)
                    self.changed = True
                if not known.addresses:
                    del memory.names[name]
            # Not before the kernel has: what is forgotten is not taken out when the pod goes.
            for element in [one for one, until in memory.held.items() if until + self._lateness <= now]:
                del memory.held[element]

    # ---- across a restart ------------------------------------------------------------------------------------------

    def saved(self, wall: float) -> bytes:
        """All of it, as MessagePack. `wall` is the time of day, in seconds since 1970."""
        now = self._clock()
        pods = tuple(
            _SavedPod(
                key,
                tuple(
                    _SavedName(name, tuple((one, until - now) for one, until in known.addresses.items()))
                    for name, known in memory.names.items()
                ),
                tuple((*element, until - now) for element, until in memory.held.items()),
            )
            for key, memory in self._pods.items()
        )
        return msgspec.msgpack.encode(_Saved(FORMAT, wall, self._table, pods))

    def found(self, standing: Mapping[Element, float]) -> None:
        """What the kernel holds, all of it, and for how many seconds more. To be said before the first `follow`."""
        now = self._clock()
        for one, left in standing.items():
            self._found.setdefault(one.source, {})[one] = now + left
        for memory in self._pods.values():
            memory.held.clear()

    def recall(self, data: bytes, wall: float) -> bool:
        """Takes up what was saved, less what is over by now. False where it cannot be read; nothing is changed then.

        A clock of the day that was set back lets nothing live longer than it had left. To be followed by `follow`.
        """
        try:
            saved = msgspec.msgpack.decode(data, type=_Saved)
        except msgspec.MsgspecError:
            return False
        if saved.format != FORMAT:
            return False
        passed = max(0.0, wall - saved.written)
        now = self._clock()
        self._table = saved.table
        for key, names, held in saved.pods:
            memory = self._pods[key] = _Memory(key)
            for name, addresses in names:
                known = memory.names[name] = _Name()
                for one, left in addresses:
                    memory.note(name, known, one, now + min(left, 2 * LONGEST) - passed)
            for wanted, source, address, left in held:
                memory.held[Element(wanted, source, address)] = now + min(left, 2 * LONGEST) - passed
        self.expire()
        return True


def _rules(plan: Plan) -> tuple[object, ...]:
    """What decides what a pod's names give, but for the pod itself."""
    orders = plan.orders
    return orders.sets, orders.cluster, orders.nodes, orders.free, orders.domain
