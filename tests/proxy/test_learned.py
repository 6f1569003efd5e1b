"""What was taught is open for as long as a client may use it, to the pod that was taught, and for nobody afterwards."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from outgate.policy.names import Dialect
from outgate.proxy.learned import LONGEST, Learned, Lesson, Limits
from outgate.proxy.orders import Element, NameSet, Orders, Plan, PodOrder

NAMES = ("a.io", "b.io", "x.c.io")
ADDRESSES = tuple(bytes((203, 0, 113, last)) for last in range(6))
SETS = (
    NameSet(name="one", patterns=("a.io", "*.c.io")),
    NameSet(name="two", patterns=("*.io", "**.io")),
    NameSet(name="three", patterns=("b.io",), dialect=Dialect.NETWORK_POLICY),
)


class Clock:
    """A clock that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


def plan(*pods: PodOrder, table: str = "t", floor: float = 10, grace: float = 2) -> Plan:
    """Orders for these pods."""
    return Plan(Orders(table=table, floor=floor, grace=grace, sets=SETS, pods=pods))


WEB = PodOrder("web/1", ("10.1.0.1", "10.1.0.2"), ("one", "two"))
API = PodOrder("api/1", ("10.1.0.3",), ("three",))


def learner(*pods: PodOrder, limits: Limits | None = None) -> tuple[Learned, Plan, Clock]:
    """A memory that follows orders for these pods."""
    clock = Clock()
    learned = Learned(clock, limits)
    its = plan(*pods)
    assert learned.follow(its) == []
    return learned, its, clock


def teach(learned: Learned, its: Plan, key: str, name: str, addresses: tuple[bytes, ...], ttl: int) -> Lesson:
    """An answer, as the desk does it; the kernel takes it."""
    pod = its.by_key[key]
    lesson = learned.learn(pod, name, its.grants(pod, name, addresses), ttl)
    learned.hold(lesson)
    return lesson


def test_every_address_of_the_pod_is_opened_in_every_set_that_uses_the_name() -> None:
    """A pod with two addresses sends from either; two rules with the same name both want it."""
    learned, its, _ = learner(WEB)
    lesson = teach(learned, its, "web/1", "a.io", ADDRESSES[:1], 60)
    sources = {b"\x0a\1\0\1", b"\x0a\1\0\2"}
    assert set(lesson.new) == {Element(one, source, ADDRESSES[0]) for one in ("one", "two") for source in sources}
    assert lesson.seconds == (60 + 2) * 1.5


def test_most_answers_change_nothing() -> None:
    """A resolver's cache counts the TTL down: until less is left than is needed, there is nothing to do."""
    learned, its, clock = learner(WEB)
    assert teach(learned, its, "web/1", "a.io", ADDRESSES[:2], 60).new
    for _ in range(30):
        clock.now += 1
        assert not teach(learned, its, "web/1", "a.io", ADDRESSES[:2], 60).new
        assert not teach(learned, its, "web/1", "a.io", ADDRESSES[1:2], 60).new
    clock.now += 2
    assert teach(learned, its, "web/1", "a.io", ADDRESSES[:2], 60).new, "a client may use it for 62 seconds from now"


def test_what_another_name_has_brought_is_known_at_once() -> None:
    """Names of one server: nothing has to be put in, and the next answer finds that out in one look."""
    learned, its, _ = learner(WEB)
    teach(learned, its, "web/1", "a.io", ADDRESSES[:1], 60)
    pod = its.by_key["web/1"]
    elements = its.grants(pod, "x.c.io", ADDRESSES[:1])
    assert learned.learn(pod, "x.c.io", elements, 60).new == ()
    known = learned._pods["web/1"].names["x.c.io"]
    assert (known.elements, known.until) == (elements, 1000 + (60 + 2) * 1.5)


def test_what_the_kernel_refused_is_tried_again() -> None:
    """An element that is believed to be open and is not would stay closed for its whole TTL."""
    learned, its, _ = learner(API)
    pod = its.by_key["api/1"]
    elements = its.grants(pod, "b.io", ADDRESSES[:1])
    first = learned.learn(pod, "b.io", elements, 60)
    assert learned.learn(pod, "b.io", elements, 60).new == first.new
    learned.hold(first)
    assert learned.learn(pod, "b.io", elements, 60).new == ()


def test_a_ttl_has_a_floor_and_an_end() -> None:
    """0 is not "at once", and 68 years are a day."""
    learned, its, _ = learner(API)
    assert teach(learned, its, "api/1", "b.io", ADDRESSES[:1], 0).seconds == (10 + 2) * 1.5
    assert teach(learned, its, "api/1", "b.io", ADDRESSES[1:2], 2**31 - 1).seconds == (LONGEST + 2) * 1.5


def test_a_name_has_so_many_addresses_and_the_oldest_goes() -> None:
    """Out of the kernel, too; unless another name of the pod gives the same."""
    learned, its, _ = learner(WEB, limits=Limits(of_a_name=2, of_a_pod=100))
    teach(learned, its, "web/1", "b.io", ADDRESSES[1:2], 60)
    teach(learned, its, "web/1", "a.io", ADDRESSES[:2], 60)
    lesson = teach(learned, its, "web/1", "a.io", ADDRESSES[2:3], 60)
    assert {one.address for one in lesson.gone} == {ADDRESSES[0]}
    lesson = teach(learned, its, "web/1", "a.io", ADDRESSES[3:4], 60)
    assert {(one.set, one.address) for one in lesson.gone} == {("one", ADDRESSES[1])}, "b.io gives it to `two`"
    assert (learned.evicted, len(learned)) == (2, 3)


def test_it_says_when_it_is_sure_what_the_kernel_has() -> None:
    """What was never held is not there; what is renewed is, and what makes room is, unless its time is all but over."""
    learned, its, clock = learner(API, limits=Limits(of_a_name=1, of_a_pod=9))

    def said(address: int, ttl: int = 60) -> tuple[bool, bool, bool]:
        lesson = teach(learned, its, "api/1", "b.io", ADDRESSES[address : address + 1], ttl)
        return bool(lesson.new), bool(lesson.gone), lesson.sure

    assert said(0) == (True, False, True)
    assert said(0, 600) == (True, False, False)
    assert said(1) == (True, True, True)
    clock.now += (60 + 2) * 1.5 - 1
    assert said(2) == (True, True, False)


def test_what_had_to_go_may_come_back_before_it_went() -> None:
    """The kernel takes both in their order: the second has to say that it wants it in again."""
    learned, its, _ = learner(API, limits=Limits(of_a_name=1, of_a_pod=9))
    pod = its.by_key["api/1"]
    teach(learned, its, "api/1", "b.io", ADDRESSES[:1], 60)
    first = learned.learn(pod, "b.io", its.grants(pod, "b.io", ADDRESSES[1:2]), 60)
    second = learned.learn(pod, "b.io", its.grants(pod, "b.io", ADDRESSES[:1]), 60)
    assert {one.address for one in first.gone} == {one.address for one in second.new} == {ADDRESSES[0]}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("refused", [False, True])
def test_what_had_to_go_while_it_was_renewed_is_not_believed_to_be_there(refused: bool, again: bool) -> None:
    """The kernel takes the one after the other, and it is out then, also where it refused what came instead.

    Also where the name gave it again between the two, when it was held.
    """
    learned, its, clock = learner(WEB, limits=Limits(of_a_name=1))
    pod = its.by_key["web/1"]
    old, other = (its.grants(pod, "a.io", (one,)) for one in ADDRESSES[:2])
    teach(learned, its, "web/1", "a.io", ADDRESSES[:1], 60)
    clock.now += 40
    renewed = learned.learn(pod, "a.io", old, 60)
    instead = learned.learn(pod, "a.io", other, 60)
    assert set(renewed.new) == set(instead.gone) == set(old)
    learned.hold(renewed)
    if again:
        assert not learned.learn(pod, "a.io", old, 60).new
    learned.hold(instead.closing if refused else instead)
    assert set(learned.learn(pod, "a.io", old, 60).new) == set(old)


def test_one_answer_may_be_too_long() -> None:
    """What finds no room is not opened."""
    learned, its, _ = learner(API, limits=Limits(of_a_name=4, of_a_pod=3))
    lesson = teach(learned, its, "api/1", "b.io", ADDRESSES[:5], 60)
    assert {one.address for one in lesson.new} == set(ADDRESSES[2:5])
    assert len(learned) == 3


def test_a_pod_has_so_many_addresses_and_its_oldest_name_goes() -> None:
    """A pod that asks for endless names closes its own old ones, and nobody else's."""
    learned, its, _ = learner(WEB, API, limits=Limits(of_a_name=9, of_a_pod=3))
    teach(learned, its, "api/1", "b.io", ADDRESSES[:3], 60)
    teach(learned, its, "web/1", "a.io", ADDRESSES[:2], 60)
    lesson = teach(learned, its, "web/1", "b.io", ADDRESSES[2:5], 60)
    assert {one.address for one in lesson.gone} == set(ADDRESSES[:2])
    assert not teach(learned, its, "api/1", "b.io", ADDRESSES[:3], 60).new


def test_what_the_kernel_took_late_ends_late_there() -> None:
    """It counts from when it took it: what is forgotten before stayed open for the next pod with the address."""
    learned, its, clock = learner(API)
    pod = its.by_key["api/1"]
    lesson = learned.learn(pod, "b.io", its.grants(pod, "b.io", ADDRESSES[:1]), 60)
    clock.now += 20
    learned.hold(lesson)
    clock.now += lesson.seconds - 1
    learned.expire()
    assert [one for each in learned.follow(plan()) for one in each.gone] == list(lesson.new)


def test_a_pod_that_is_gone_leaves_nothing() -> None:
    """The next with its address is another pod; what was under way for it meanwhile is taken out as well."""
    learned, its, _ = learner(API)
    held = teach(learned, its, "api/1", "b.io", ADDRESSES[:1], 60)
    pod = its.by_key["api/1"]
    late = learned.learn(pod, "b.io", its.grants(pod, "b.io", ADDRESSES[1:2]), 60)
    heir = PodOrder("api/2", API.addresses, API.sets)
    (lesson,) = learned.follow(plan(heir))
    assert lesson.gone == held.new
    assert learned.hold(late).gone == late.new
    assert len(learned) == 0


def test_new_sets_get_what_is_known_and_old_ones_lose_it() -> None:
    """A policy that changes must not close what it still allows, nor leave open what it does not."""
    learned, its, clock = learner(PodOrder("web/1", ("10.1.0.1",), ("one",)))
    held = teach(learned, its, "web/1", "a.io", ADDRESSES[:1], 60)
    clock.now += 20
    lessons = learned.follow(plan(PodOrder("web/1", ("10.1.0.1",), ("two",))))
    assert [(one.set, lesson.seconds) for lesson in lessons for one in lesson.new] == [("two", 42)]
    assert [one for lesson in lessons for one in lesson.gone] == list(held.new)
    again = plan(PodOrder("web/1", ("10.1.0.1",), ("two",)), API)
    assert learned.follow(again) == []
    for lesson in lessons:
        assert learned.hold(lesson) == Lesson(), "the kernel was slower than the next orders"
    assert teach(learned, again, "web/1", "a.io", ADDRESSES[:1], 30).new == ()


def test_a_new_table_is_filled() -> None:
    """The agent made it anew: it is empty, whatever was put in before; an answer from before it came counts no more."""
    learned, its, _ = learner(API)
    held = teach(learned, its, "api/1", "b.io", ADDRESSES[:1], 60)
    pod = its.by_key["api/1"]
    late = learned.learn(pod, "b.io", its.grants(pod, "b.io", ADDRESSES[1:2]), 60)
    lessons = learned.follow(plan(API, table="other"))
    assert {one for lesson in lessons for one in lesson.new} == {*held.new, *late.new}
    assert learned.hold(late) == Lesson()
    assert teach(learned, plan(API), "api/1", "b.io", ADDRESSES[1:2], 60).new


# ---- across a restart ------------------------------------------------------------------------------------------------


def test_what_was_learnt_outlives_the_proxy() -> None:
    """Less the time that passed, and without what is over; and the pods that have gone meanwhile are taken out."""
    learned, its, clock = learner(WEB, API)
    teach(learned, its, "web/1", "a.io", ADDRESSES[:1], 100)
    teach(learned, its, "web/1", "b.io", ADDRESSES[1:2], 10)
    gone = teach(learned, its, "api/1", "b.io", ADDRESSES[:1], 100)
    data = learned.saved(5000.0)
    assert data
    clock.now = 3.0
    heir = Learned(clock)
    assert heir.recall(data, 5050.0)
    assert len(heir) == 2, "b.io of web is over"
    lessons = heir.follow(plan(WEB))
    assert {one for lesson in lessons for one in lesson.gone} == set(gone.new)
    assert not any(lesson.new for lesson in lessons), "it is in the kernel still"
    pod = its.by_key["web/1"]
    assert not heir.learn(pod, "a.io", its.grants(pod, "a.io", ADDRESSES[:1]), 50).new
    assert heir.learn(pod, "a.io", its.grants(pod, "a.io", ADDRESSES[:1]), 110).new


def test_what_was_on_its_way_when_the_proxy_died_belongs_to_its_pod() -> None:
    """In or out, nobody knows how far it came: the kernel is asked, and what stands there goes with its pod."""
    learned, its, clock = learner(WEB, API)
    teach(learned, its, "api/1", "b.io", ADDRESSES[:1], 60)
    data = learned.saved(0.0)
    late = learned.learn(its.by_key["api/1"], "b.io", its.grants(its.by_key["api/1"], "b.io", ADDRESSES[1:2]), 60).new
    for pods, gone in (((WEB, API), ()), ((WEB, PodOrder("api/2", API.addresses, API.sets)), late), ((WEB,), late)):
        heir = Learned(clock)
        assert heir.recall(data, 0.0)
        heir.found(dict.fromkeys(late, 90.0))
        lessons = heir.follow(plan(*pods))
        assert tuple(one for lesson in lessons for one in lesson.gone) == gone


def test_what_is_missing_in_the_kernel_is_put_in_again() -> None:
    """What was saved as open may be open no more: somebody has emptied the set while no proxy lived."""
    learned, its, clock = learner(API)
    held = teach(learned, its, "api/1", "b.io", ADDRESSES[:1], 60)
    heir = Learned(clock)
    assert heir.recall(learned.saved(0.0), 0.0)
    heir.found({})
    assert {one for lesson in heir.follow(its) for one in lesson.new} == set(held.new)


def test_a_clock_that_was_set_back_lengthens_nothing() -> None:
    """The wall clock may jump; what had ten seconds left has no more than ten."""
    learned, its, clock = learner(API)
    teach(learned, its, "api/1", "b.io", ADDRESSES[:1], 10)
    heir = Learned(clock)
    assert heir.recall(learned.saved(5000.0), 10.0)
    clock.now += 20
    heir.expire()
    assert len(heir) == 0


@given(st.binary(max_size=64))
def test_a_memory_that_cannot_be_read_is_none(data: bytes) -> None:
    """A file from a disk that was full must not keep the proxy from starting."""
    assert not Learned(Clock()).recall(data, 0.0)


def test_a_memory_of_another_format_is_none() -> None:
    """The next version's."""
    assert not Learned(Clock()).recall(msgspec.msgpack.encode((2, 0.0, "", ())), 0.0)


def test_without_orders_nobody_learns() -> None:
    """Whose address that is, nobody has said."""
    with pytest.raises(KeyError):
        Learned(Clock()).learn(plan(API).by_key["api/1"], "b.io", (), 1)


# ---- anything, in any order ------------------------------------------------------------------------------------------

PODS = (
    WEB,
    API,
    PodOrder("web/1", ("10.1.0.1",), ("two",)),
    PodOrder("web/2", WEB.addresses, WEB.sets),
    PodOrder("api/1", ("10.1.0.3",), ()),
)


class Anything(RuleBasedStateMachine):
    """Answers, time, new orders, new tables and restarts; beside them a kernel of elements with their ends."""

    @initialize()
    def begin(self) -> None:
        """One memory, one kernel."""
        self.clock = Clock()
        self.limits = Limits(of_a_name=3, of_a_pod=4)
        self.learned = Learned(self.clock, self.limits)
        self.kernel: dict[Element, float] = {}
        self.waiting: list[Lesson] = []
        self.table = 0
        self.promised: dict[Element, float] = {}
        """Answers told clients so. A promise ends where there was no more room for it."""
        self.orders((WEB, API))

    def orders(self, pods: tuple[PodOrder, ...]) -> None:
        """New orders; what they want reaches the kernel before anything else does."""
        self.plan = plan(*pods, table=str(self.table))
        keys = {one.key: one for one in pods}
        self.promised = {
            one: until
            for one, until in self.promised.items()
            if any(one.set in pod.sets and one.source in packed(pod) for pod in keys.values())
        }
        lessons = self.learned.follow(self.plan)
        self.settle(lessons)
        # What belonged to a pod that is no more is promised to nobody.
        self.promised = {one: until for one, until in self.promised.items() if self.kernel.get(one, 0) >= until}

    def settle(self, lessons: list[Lesson]) -> None:
        """What waits reaches the kernel, and then these: never in another order than that in which they were made."""
        for lesson in [*self.waiting, *lessons]:
            self.commit(lesson)
        self.waiting = []

    def take(self, lesson: Lesson) -> None:
        """The kernel takes a lesson."""
        for one in lesson.gone:
            self.kernel.pop(one, None)
        for one in lesson.new:
            self.kernel[one] = self.clock.now + lesson.seconds

    def commit(self, lesson: Lesson) -> None:
        """The kernel takes a lesson, and what has to be undone."""
        self.take(lesson)
        undo = self.learned.hold(lesson)
        for one in undo.gone:
            self.kernel.pop(one, None)

    @rule(
        key=st.sampled_from(["web/1", "web/2", "api/1"]),
        name=st.sampled_from(NAMES),
        addresses=st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=3, unique=True),
        ttl=st.integers(0, 60),
        late=st.booleans(),
    )
    def answer(self, key: str, name: str, addresses: list[bytes], ttl: int, late: bool) -> None:
        """An answer; its lesson reaches the kernel now, or some time."""
        pod = self.plan.by_key.get(key)
        if pod is None:
            return
        elements = self.plan.grants(pod, name, tuple(addresses))
        evicted = self.learned.evicted
        lesson = self.learned.learn(pod, name, elements, ttl)
        self.promised = {one: end for one, end in self.promised.items() if one not in lesson.gone}
        if not self.waiting and (lesson.new or lesson.gone):
            # Nothing is on its way that could make it wrong: then it is known, and one message of the kernel's enough.
            there = {one for one, end in self.kernel.items() if end > self.clock.now}
            assert not lesson.sure or (there.isdisjoint(lesson.new) and there.issuperset(lesson.gone))
        if late and lesson.new:
            self.waiting.append(lesson)
            return
        self.settle([lesson])
        if self.learned.evicted == evicted:
            for one in elements:
                self.promised[one] = max(self.promised.get(one, 0.0), self.clock.now + max(ttl, 10) + 2)

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        """The kernel forgets by itself."""
        self.clock.now += seconds
        self.kernel = {one: end for one, end in self.kernel.items() if end > self.clock.now}
        self.learned.expire()

    @rule(pods=st.lists(st.sampled_from(PODS), max_size=3, unique_by=lambda pod: pod.key))
    def new_orders(self, pods: list[PodOrder]) -> None:
        """Other pods, other sets."""
        taken = {address for pod in pods for address in pod.addresses}
        if len(taken) == sum(len(pod.addresses) for pod in pods):
            self.orders(tuple(pods))

    @rule()
    def a_new_table(self) -> None:
        """The kernel's is made anew, and empty."""
        self.table += 1
        self.kernel = {}
        self.waiting = []
        self.orders(tuple(PodOrder(pod.key, texts(pod), pod.sets) for pod in self.plan.by_key.values()))

    @rule(taken=st.integers(0, 3))
    def a_restart(self, taken: int) -> None:
        """Of what was on its way the kernel has taken the first; nobody was told, and the rest is lost."""
        for lesson in self.waiting[:taken]:
            self.take(lesson)
        self.waiting = []
        data = self.learned.saved(77.0)
        self.learned = Learned(self.clock, self.limits)
        assert self.learned.recall(data, 77.0)
        self.learned.found({one: end - self.clock.now for one, end in self.kernel.items()})
        self.orders(tuple(PodOrder(pod.key, texts(pod), pod.sets) for pod in self.plan.by_key.values()))

    @invariant()
    def what_was_promised_is_open(self) -> None:
        """Until the last moment at which a client may use it."""
        for one, until in self.promised.items():
            if until > self.clock.now:
                assert self.kernel.get(one, 0.0) >= until, one

    @invariant()
    def nothing_is_open_to_strangers(self) -> None:
        """Every element in the kernel is of a pod and a set in the orders."""
        for one in self.kernel:
            owners = [pod for pod in self.plan.by_key.values() if one.source in pod.sources[4]]
            assert any(one.set in pod.sets for pod in owners), one

    @invariant()
    def the_memory_is_bounded(self) -> None:
        """For each pod."""
        assert len(self.learned) <= 4 * len(self.plan.by_key)


def test_a_restart_between_what_had_to_go_and_the_kernel() -> None:
    """Once found: a name had no more room, its oldest address was forgotten, and stood in the kernel for the heir."""
    machine = Anything()
    machine.begin()
    machine.answer(key="web/1", name="a.io", addresses=[ADDRESSES[0]], ttl=0, late=False)
    machine.answer(key="web/1", name="a.io", addresses=list(ADDRESSES[1:4]), ttl=0, late=True)
    machine.a_restart(taken=0)
    machine.what_was_promised_is_open()
    machine.new_orders([])
    machine.nothing_is_open_to_strangers()


def test_a_promise_ends_with_the_room_for_it() -> None:
    """Once found, in the test: an address that had to go was learnt again under another name, for a shorter time."""
    machine = Anything()
    machine.begin()
    machine.answer(key="web/1", name="a.io", addresses=[ADDRESSES[3]], ttl=17, late=False)
    machine.answer(key="web/1", name="a.io", addresses=list(ADDRESSES[:3]), ttl=0, late=True)
    machine.answer(key="web/1", name="b.io", addresses=[ADDRESSES[3]], ttl=0, late=False)
    machine.what_was_promised_is_open()
    assert any(one.address == ADDRESSES[3] for one in machine.kernel)


def packed(order: PodOrder) -> set[bytes]:
    """The addresses of a pod."""
    return {bytes(map(int, one.split("."))) for one in order.addresses}


def texts(pod: object) -> tuple[str, ...]:
    """The addresses of a pod, as orders have them."""
    sources: dict[int, tuple[bytes, ...]] = pod.sources  # type: ignore[attr-defined]
    return tuple(".".join(map(str, one)) for one in sources[4])


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=60, stateful_step_count=25)
