"""What is decided at the desk, without a socket: who gets what answer, and when it may go."""

from __future__ import annotations

import ipaddress
import itertools
import select
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.agent import dns_desk
from outgate.agent.dns_desk import Desk
from outgate.agent.dns_measures import Measures, Result
from outgate.agent.names_commit import Committer
from outgate.host.dns_origin import Server
from outgate.proxy import dns, glance
from outgate.proxy.dns import Message, Question, Record
from outgate.proxy.glance import Asked
from outgate.proxy.learned import Learned, Limits
from outgate.proxy.orders import Asking, NameList, NameSet, Orders, Pod, PodOrder
from outgate.proxy.questions import Granted
from tests.agent.test_names_commit import Door
from tests.proxy.test_learned import Clock

DNS = Server("10.96.0.10", 53)
ORDERS = Orders(
    sets=(NameSet(name="a", patterns=("*.x.io",)),),
    pods=(
        PodOrder("web/1", ("10.1.0.1",), ("a",), (Asking(("10.96.0.10",), NameList(("*.x.io", "y.org"))),)),
        PodOrder("free/1", ("10.1.0.2",)),
    ),
)


class Refused:
    """The log, as a list."""

    def __init__(self) -> None:
        self.node = ""
        self.noted: list[tuple[str, str, str, str, str, bool]] = []

    def note(self, pod: Pod, source: str, server: Server, protocol: str, asked: Asked, *, refused: bool) -> None:
        """As `Refusals.note`."""
        self.noted.append((pod.key, source, server.address, protocol, asked.name, refused))


class Office:
    """A desk with a kernel that the test holds in its hand."""

    def __init__(self, committer: Committer, limits: Limits | None = None) -> None:
        self.refused = Refused()
        self.clock = Clock()
        self.measures = Measures()
        self.committer = committer
        self.desk = Desk(Learned(self.clock, limits), committer, self.measures, self.clock, lambda: 0.1, self.refused)
        self.desk.follow(ORDERS)
        self.sent: list[str] = []

    def answer(self, name: str, *addresses: str, pod: str = "web/1", code: int = 0) -> None:
        """An answer to a question of a pod; that it went is noted by its name."""
        query = dns.encode(Message(1, questions=(Question(name, 1),)))
        asked = glance.glance_question(query)
        assert isinstance(asked, Asked)
        records = tuple(Record(name, 1, ipaddress.IPv4Address(one)) for one in addresses)
        raw = dns.encode(Message(1, True, code=code, questions=(Question(name, 1),), answers=records))
        granted = Granted(Pod(PodOrder(pod, ()), None), asked)
        self.desk.answer(granted, raw, self.clock.now, lambda: self.sent.append(name))

    def settle(self) -> None:
        """The kernel has done something."""
        assert select.select([self.committer], [], [], 30)[0]
        self.desk.committed()


def query(name: str) -> bytes:
    """A question."""
    return dns.encode(Message(1, questions=(Question(name, 1),)))


@pytest.mark.parametrize(
    ("source", "server", "data", "result"),
    [
        ("10.1.0.9", DNS, query("a.x.io"), Result.UNKNOWN_POD),
        ("10.1.0.1", None, query("a.x.io"), Result.UNKNOWN_POD),
        ("10.1.0.1", Server("8.8.8.8", 53), query("a.x.io"), Result.NO_SERVER),
        ("10.1.0.1", DNS, b"short", Result.MALFORMED),
        ("10.1.0.1", DNS, dns.encode(Message(1, True)), Result.MALFORMED),
    ],
)
def test_silence(source: str, server: Server | None, data: bytes, result: Result) -> None:
    """To strangers, about servers that may not be asked, and to what would answer back."""
    with Committer(Door()) as committer:
        office = Office(committer)
        assert office.desk.question(source, server, data, "UDP") is None
        assert {one: count for one, count in office.measures.results.items() if count} == {result: 1}


def test_leave_and_refusal() -> None:
    """A pod without doors may ask anybody anything."""
    with Committer(Door()) as committer:
        office = Office(committer)
        for source, name in (("10.1.0.1", "A.X.io"), ("10.1.0.1", "y.org"), ("10.1.0.2", "z.org")):
            assert isinstance(office.desk.question(source, DNS, query(name), "UDP"), Granted)
        said = office.desk.question("10.1.0.1", DNS, query("z.org"), "UDP")
        assert isinstance(said, bytes)
        assert dns.decode(said).code == 5
        assert office.desk.question("10.1.0.1", Server("8.8.8.8", 53), query("a.x.io"), "TCP") is None
        assert office.refused.noted == [
            ("web/1", "10.1.0.1", "10.96.0.10", "UDP", "z.org", True),
            ("web/1", "10.1.0.1", "8.8.8.8", "TCP", "a.x.io", False),
        ]


def test_what_was_granted_once_is_asked_anew_under_other_orders() -> None:
    """A name is no longer listed, an address is another pod's now, or nobody's."""
    with Committer(Door()) as committer:
        office = Office(committer)

        def ask(source: str, name: str) -> Granted | bytes | None:
            return office.desk.question(source, DNS, query(name), "UDP")

        assert isinstance(ask("10.1.0.1", "y.org"), Granted)
        first = ask("10.1.0.2", "z.org")
        assert isinstance(first, Granted)
        assert first.pod.key == "free/1"
        heir = PodOrder("heir/1", ("10.1.0.2",))
        less = PodOrder("web/1", ("10.1.0.1",), ("a",), (Asking(("10.96.0.10",), NameList(("*.x.io",))),))
        office.desk.follow(Orders(sets=ORDERS.sets, pods=(less, heir)))
        assert isinstance(ask("10.1.0.1", "y.org"), bytes)
        second = ask("10.1.0.2", "z.org")
        assert isinstance(second, Granted)
        assert second.pod.key == "heir/1"
        office.desk.follow(Orders())
        assert ask("10.1.0.2", "z.org") is None


def test_a_granted_question_is_granted_to_nobody_else() -> None:
    """Neither to another pod, nor for another server."""
    with Committer(Door()) as committer:
        office = Office(committer)
        assert isinstance(office.desk.question("10.1.0.2", DNS, query("z.org"), "UDP"), Granted)
        assert isinstance(office.desk.question("10.1.0.1", DNS, query("z.org"), "UDP"), bytes)
        assert isinstance(office.desk.question("10.1.0.2", Server("8.8.8.8", 53), query("a.x.io"), "UDP"), Granted)
        assert office.desk.question("10.1.0.1", Server("8.8.8.8", 53), query("a.x.io"), "UDP") is None
        assert isinstance(office.desk.question("10.1.0.1", DNS, query("y.org"), "UDP"), Granted)
        assert office.desk.question("10.1.0.1", None, query("y.org"), "UDP") is None


def test_answers_that_teach_nothing_new_go_at_once() -> None:
    """Names that no rule uses, errors, pods that have gone, and what is in the kernel already."""
    door = Door()
    with Committer(door) as committer:
        office = Office(committer)
        office.answer("y.org", "203.0.113.1")
        office.answer("a.x.io", "203.0.113.1", code=3)
        office.answer("b.x.io", "203.0.113.1", pod="gone/1")
        office.answer("c.x.io", "169.254.169.254")
        assert office.sent == ["y.org", "a.x.io", "b.x.io", "c.x.io"]
        assert office.measures.kept_out == 1
        office.answer("d.x.io", "203.0.113.1")
        assert len(office.sent) == 4
        office.settle()
        office.answer("d.x.io", "203.0.113.1")
        assert office.sent[4:] == ["d.x.io"] * 2
        assert len(door.batches) == 1


def test_what_was_read_is_kept_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another type, another spelling or another class is another message; endless messages do not fill the memory."""
    monkeypatch.setattr(dns_desk, "_KEPT", 4)
    with Committer(Door()) as committer:
        office = Office(committer)
        for _ in range(2):
            for name, kind in (
                ("a.x.io", 1),
                ("A.x.io", 1),
                ("a.x.io", 65),
                ("a.x.io", 97),
                ("y.org", 1),
                ("z.org", 1),
            ):
                raw = dns.encode(Message(9, questions=(Question(name, kind),)))
                said = office.desk.question("10.1.0.2", DNS, raw, "UDP")
                assert isinstance(said, Granted)
                assert (said.asked.name, said.asked.type) == (name.lower(), kind)
        for last in range(9):
            office.answer("a.x.io", f"203.0.113.{last}")
        assert len(office.desk._granted) <= 4
        assert len(office.desk._answers) <= 4


def test_an_answer_goes_at_its_deadline_once() -> None:
    """And not again when the kernel is ready at last; then it is known to be open."""
    door = Door()
    door.free.clear()
    with Committer(door) as committer:
        office = Office(committer)
        began = office.clock.now
        office.answer("a.x.io", "203.0.113.1")
        office.clock.now += 0.05
        office.answer("b.x.io", "203.0.113.2")
        assert office.desk.next_deadline() == began + 0.1
        office.desk.overdue(began + 0.09)
        assert office.sent == []
        office.desk.overdue(began + 0.1)
        assert office.sent == ["a.x.io"]
        office.desk.overdue(began + 0.2)
        assert office.sent == ["a.x.io", "b.x.io"]
        assert office.desk.next_deadline() is None
        assert office.measures.results[Result.OVERDUE] == 2
        door.free.set()
        while office.measures.elements < 2:
            office.settle()
        office.answer("a.x.io", "203.0.113.1")
        assert office.sent == ["a.x.io", "b.x.io", "a.x.io"]


def test_a_pod_that_went_while_the_kernel_was_busy_leaves_nothing() -> None:
    """Its element is taken out again behind it."""
    door = Door()
    door.free.clear()
    with Committer(door) as committer:
        office = Office(committer)
        office.answer("a.x.io", "203.0.113.1")
        office.desk.follow(Orders())
        door.free.set()
        office.settle()
        assert office.sent == ["a.x.io"]
    seconds = [one.seconds for batch in door.batches for one in batch]
    assert seconds[-1] == 0


def test_what_one_set_took_is_known_where_another_is_missing() -> None:
    """It is taken out with its pod, or the next one with that address would find it open."""
    door = Door()
    door.missing = {"f4_b"}
    (web, *others) = ORDERS.pods
    both = msgspec.structs.replace(web, sets=("a", "b"))
    orders = msgspec.structs.replace(
        ORDERS, sets=(*ORDERS.sets, NameSet(name="b", patterns=("a.x.io",))), pods=(both, *others)
    )
    with Committer(door) as committer:
        office = Office(committer)
        office.desk.follow(orders)
        office.answer("a.x.io", "203.0.113.1")
        office.settle()
        assert office.sent == ["a.x.io"]
        assert (office.measures.elements, office.measures.refused_elements) == (1, 1)
        office.answer("a.x.io", "203.0.113.1")
        office.settle()
        office.desk.follow(Orders())
        office.settle()
    (first, again, last) = ([(one.element.set, one.seconds > 0) for one in batch] for batch in door.batches)
    assert set(first) == {("a", True), ("b", True)}
    assert again == [("b", True)], "what is missing is tried with each answer"
    assert last == [("a", False)]


# ---- the same answer again -------------------------------------------------------------------------------------------


def reply(name: str, *addresses: str, ttl: int = 60) -> bytes:
    """An answer."""
    records = tuple(Record(name, 1, ipaddress.IPv4Address(one), ttl) for one in addresses)
    return dns.encode(Message(1, True, questions=(Question(name, 1),), answers=records))


def test_the_same_answer_again_goes_by_itself_for_a_while() -> None:
    """Once the kernel has it, and until it has to hear of it anew; any other is looked at."""
    with Committer(Door()) as committer:
        office = Office(committer)
        granted = office.desk.question("10.1.0.1", DNS, query("a.x.io"), "UDP")
        assert isinstance(granted, Granted)
        known, other = reply("a.x.io", "203.0.113.1"), reply("a.x.io", "203.0.113.2")

        def sent() -> int:
            before = office.measures.results[Result.ANSWERED]
            office.desk.answer(granted, known, office.clock.now, lambda: None)
            return office.measures.results[Result.ANSWERED] - before

        assert not office.desk.again(granted, known, 0.0)
        assert sent() == 1
        assert not office.desk.again(granted, known, 0.0), "it waits for the kernel, and so does the next"
        office.settle()
        assert sent() == 1
        before = office.measures.results[Result.ANSWERED]
        assert office.desk.again(granted, b"\7\7" + known[2:], office.clock.now), "under whatever number"
        assert office.measures.results[Result.ANSWERED] == before + 1
        assert not any(
            office.desk.again(granted, one, 0.0) for one in (other, known[:-1], known + b"\0", known[:2], b"")
        )
        # Held for half as long again as it is needed, 60 and 30 seconds: for 45 the same changes nothing.
        office.clock.now += 44
        assert office.desk.again(granted, known, 0.0)
        office.desk.follow(ORDERS)
        assert not office.desk.again(granted, known, 0.0), "what it was told may be another thing now"
        assert sent() == 1
        assert office.desk.again(granted, known, 0.0)
        office.clock.now += 2
        assert not office.desk.again(granted, known, 0.0)


def test_what_is_counted_or_long_is_looked_at_each_time() -> None:
    """A name for an address of the cluster is an attempt, and each is one."""
    with Committer(Door()) as committer:
        office = Office(committer)
        office.desk.follow(msgspec.structs.replace(ORDERS, cluster=("10.0.0.0/8",)))
        granted = office.desk.question("10.1.0.1", DNS, query("a.x.io"), "UDP")
        assert isinstance(granted, Granted)
        long = reply("a.x.io", *(f"203.0.113.{one}" for one in range(40)))
        for data in (reply("a.x.io", "10.2.3.4"), reply("a.x.io", "10.2.3.4", "203.0.113.9"), long, known_cut(long)):
            for _ in range(2):
                waiting = len(office.desk._held)
                office.desk.answer(granted, data, office.clock.now, lambda: None)
                if len(office.desk._held) > waiting:
                    office.settle()
            assert not office.desk.again(granted, data, 0.0)
        assert office.measures.kept_out == 4
        assert office.measures.results[Result.UNREADABLE] == 2


def known_cut(data: bytes) -> bytes:
    """An answer whose last record lacks its end."""
    return data[:-2]


class Script(NamedTuple):
    """What happens: an answer to one of some names, time that passes, other orders, or what is over is forgotten."""

    kind: str
    name: str
    addresses: tuple[str, ...]
    ttl: int


scripts = st.lists(
    st.builds(
        Script,
        st.sampled_from(("answer", "answer", "answer", "answer", "wait", "orders", "expire")),
        st.sampled_from(("a.x.io", "b.x.io", "c.x.io", "y.org")),
        st.sampled_from((("203.0.113.1",), ("203.0.113.2", "203.0.113.3"), ("203.0.113.4",))),
        st.sampled_from((0, 60, 300)),
    ),
    max_size=40,
)


@given(scripts)
def test_what_goes_by_itself_would_have_changed_nothing(script: list[Script]) -> None:
    """Held to the long way, with a memory so small that each name drives out another, and orders that come and go."""
    with Committer(Door()) as committer:
        office = Office(committer, Limits(of_a_name=2, of_a_pod=3))
        asked: dict[str, Granted] = {}
        plans = itertools.cycle((msgspec.structs.replace(ORDERS, floor=10.0), ORDERS))
        for kind, name, addresses, ttl in script:
            if kind == "wait":
                office.clock.now += ttl
            elif kind == "orders":
                office.desk.follow(next(plans))
            elif kind == "expire":
                office.desk.learned.expire()
            else:
                said = asked.setdefault(name, said_to(office.desk, name))
                data = reply(name, *addresses, ttl=ttl)
                # Twice: after the first the kernel has it, and the second is what may be known of the next.
                for _ in range(2):
                    if office.desk.again(said, data, office.clock.now):
                        lesson = office.desk._lesson(said.pod.key, said.asked, data)
                        assert (lesson.new, lesson.gone) == ((), ())
                    else:
                        office.desk.answer(said, data, office.clock.now, lambda: None)
                        while office.desk._held:
                            office.settle()


def said_to(desk: Desk, name: str) -> Granted:
    """A question that may be passed on. It outlives the orders that allowed it: it was under way when they came."""
    said = desk.question("10.1.0.1", DNS, query(name), "UDP")
    assert isinstance(said, Granted)
    return said
