"""What is decided at the desk, without a socket: who gets what answer, and when it may go."""

from __future__ import annotations

import ipaddress
import select

import pytest

from outgate.agent import dns_desk
from outgate.agent.dns_desk import Desk, Granted
from outgate.agent.dns_measures import Measures, Result
from outgate.agent.names_commit import Committer
from outgate.host.dns_origin import Server
from outgate.proxy import dns
from outgate.proxy.dns import Message, Question, Record
from outgate.proxy.glance import Asked
from outgate.proxy.learned import Learned
from outgate.proxy.orders import Asking, NameList, NameSet, Orders, Pod, PodOrder
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

    def __init__(self, committer: Committer) -> None:
        self.refused = Refused()
        self.clock = Clock()
        self.measures = Measures()
        self.committer = committer
        self.desk = Desk(Learned(self.clock), committer, self.measures, self.clock, lambda: 0.1, self.refused)
        self.desk.follow(ORDERS)
        self.sent: list[str] = []

    def answer(self, name: str, *addresses: str, pod: str = "web/1", code: int = 0) -> None:
        """An answer to a question of a pod; that it went is noted by its name."""
        query = dns.encode(Message(1, questions=(Question(name, 1),)))
        granted = self.desk.question("10.1.0.2", DNS, query, "UDP")
        assert isinstance(granted, Granted)
        records = tuple(Record(name, 1, ipaddress.IPv4Address(one)) for one in addresses)
        raw = dns.encode(Message(1, True, code=code, questions=(Question(name, 1),), answers=records))
        self.desk.answer(pod, granted.asked, raw, self.clock.now, lambda: self.sent.append(name))

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
