"""The loop: one change at a time, whatever has come taken together, and patience with a kernel that refuses."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field, replace

import pytest

from outgate.agent.events import Drifted
from outgate.agent.kernel import Kernel, Timing
from outgate.agent.loop import FIRST_PAUSE, LONGEST_PAUSE, Loop, Observer
from outgate.agent.step import NEEDED, Apply, State
from outgate.cluster.events import Replaced, Upserted
from outgate.errors import KernelError
from outgate.model import Pod
from outgate.nft.delta import Change
from outgate.nft.epoch import Epoch, epoch_of, with_epoch
from outgate.nft.objects import Chain, Ruleset
from outgate.nft.options import Options
from outgate.nft.transaction import apply
from outgate.packets.addresses import address_of


class Played(Kernel):
    """A kernel that is a value, and may be told to refuse."""

    def __init__(self) -> None:
        self.table: Ruleset | None = None
        self.changes: list[Change] = []
        self.refusals = 0
        self.entered: threading.Event | None = None
        self.leave: threading.Event | None = None
        self.marks: frozenset[int] | None = frozenset()
        self.asked = 0

    def list(self) -> Ruleset | None:
        """The table as it is."""
        return self.table

    def guard(self) -> Ruleset | None:
        """No bridge is played."""
        return None

    def carried(self, mask: int) -> frozenset[int]:  # noqa: ARG002 - as it is called
        """The epochs of live connections, where they can be read."""
        self.asked += 1
        if self.marks is None:
            raise KernelError("the connections are secret")
        return self.marks

    def apply(self, change: Change) -> Timing:
        """Make the change, or refuse it."""
        if self.refusals:
            self.refusals -= 1
            raise KernelError("not today")
        if self.entered is not None and self.leave is not None:
            self.entered.set()
            self.leave.wait(30)
        for transaction in change.transactions:
            self.table = apply(transaction, self.table)
        self.changes.append(change)
        return Timing()


@dataclass
class Heard(Observer):
    """What observers are told."""

    applied_: list[Apply] = field(default_factory=list)
    refused_: list[str] = field(default_factory=list)
    answered_: list[int] = field(default_factory=list)
    turns: int = 0
    begun: list[Apply] = field(default_factory=list)

    def applying(self, command: Apply) -> None:
        """A change goes to the kernel."""
        self.begun.append(command)

    def applied(self, command: Apply, timing: Timing, seconds: float, now: float) -> None:  # noqa: ARG002 - as told
        """A change came in."""
        self.applied_.append(command)

    def refused(self, words: str) -> None:
        """A change did not."""
        self.refused_.append(words)

    def answered(self, token: int) -> None:
        """Somebody may go on."""
        self.answered_.append(token)

    def turned(self, state: State, now: float) -> None:  # noqa: ARG002 - as told
        """A turn is done."""
        self.turns += 1


class Clock:
    """A clock that moves when it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def pod(number: int) -> Pod:
    """A pod of the node."""
    return Pod("a", f"pod-{number}", {"app": "a"}, (address_of(4, 0x0A010000 + number),), node="n1")


def looping() -> tuple[Loop, Played, Heard, Clock]:
    """A loop that knows an empty cluster."""
    kernel, heard, clock = Played(), Heard(), Clock()
    loop = Loop(State.of("n1", Options(interface_prefix="veth")), kernel, (heard,), clock=clock)
    for kind in sorted(NEEDED):
        loop.deliver(Replaced(kind, ()))
    return loop, kernel, heard, clock


def settle(loop: Loop) -> None:
    """Turn until nothing is left to do."""
    for _ in range(10):
        loop.turn(0)
    assert loop.state.settled


def test_everything_that_waits_is_one_change() -> None:
    """A hundred pods at once are one transaction: under load less is done for each, not more."""
    loop, kernel, heard, _ = looping()
    settle(loop)
    before = len(kernel.changes)
    for number in range(100):
        loop.deliver(Upserted("Pod", pod(number), 0.0))
    settle(loop)
    assert len(kernel.changes) == before + 1
    assert len(heard.applied_[-1].received) == 100


def test_what_comes_during_a_change_waits_for_it() -> None:
    """Two changes at once would be made from one picture of the table, and one of them from a wrong one."""
    loop, kernel, heard, _ = looping()
    settle(loop)
    kernel.entered, kernel.leave = threading.Event(), threading.Event()
    loop.deliver(Upserted("Pod", pod(1), 0.0))
    thread = threading.Thread(target=settle, args=(loop,))
    thread.start()
    assert kernel.entered.wait(30)
    assert len(heard.begun) == len(heard.applied_) + 1, "who is to say that it hangs must know that it began"
    for number in range(2, 9):
        loop.deliver(Upserted("Pod", pod(number), 0.0))
    kernel.leave.set()
    thread.join(30)
    settle(loop)
    assert kernel.table is not None
    assert len(kernel.table.sets["eg4"].elements) == 8
    assert len(kernel.changes) == 3, "the first table, the first pod, and all the others together"


def test_a_refusal_is_said_looked_at_and_tried_again_later() -> None:
    """An agent that insists without a pause burns a processor; one that gives up leaves the node as it was for ever."""
    loop, kernel, heard, clock = looping()
    settle(loop)
    kernel.refusals = 3
    loop.deliver(Upserted("Pod", pod(1), 0.0))
    pauses = []
    while kernel.refusals:
        loop.turn(0)
        for _ in range(5):
            loop.turn(0)
        assert not loop.state.settled
        begun, refusals = clock.now, kernel.refusals
        while kernel.refusals == refusals and kernel.refusals:
            clock.now += 0.01
            loop.turn(0)
        pauses.append(clock.now - begun)
    for _ in range(3):
        clock.now += LONGEST_PAUSE
        loop.turn(0)
    settle(loop)
    assert heard.refused_ == ["not today"] * 3
    assert pauses[0] >= FIRST_PAUSE / 2 - 0.02
    assert kernel.table is not None
    assert len(kernel.table.sets["eg4"].elements) == 1


def test_it_turns_while_nothing_happens() -> None:
    """A health check tells a quiet loop from a dead one by its turning."""
    loop, _, heard, _ = looping()
    settle(loop)
    before = heard.turns
    loop.turn(0)
    assert heard.turns == before + 1


def test_stopping_ends_the_loop_and_touches_nothing() -> None:
    """Peers take their rules away when they are asked to stop: a rolling upgrade is then a hole."""
    loop, kernel, _, _ = looping()
    settle(loop)
    before = kernel.table
    loop.stop()
    loop.run()
    assert kernel.table is before


def test_the_table_is_compared_from_time_to_time() -> None:
    """Somebody's hand that nobody heard is found all the same, and mended, and counted."""
    loop, kernel, _, clock = looping()
    settle(loop)
    good = kernel.table
    assert good is not None
    kernel.table = replace(good, chains={**good.chains, "egress": Chain("egress")})
    clock.now += 10_000
    settle(loop)
    assert kernel.table is not None
    assert kernel.table.chains["egress"].rules == good.chains["egress"].rules
    assert loop.state.drift == 1


HIGHEST = 0xFFFF


@pytest.mark.parametrize(
    ("marks", "stands", "epoch"),
    [
        (frozenset(), None, 1),
        (frozenset({1}), None, 2),
        (frozenset({7, 8, 500}), None, 501),
        (frozenset({HIGHEST}), None, 1),
        (frozenset({1, 2, HIGHEST}), None, 3),
        (frozenset({4}), 4, 5),
        (frozenset({3, 4, 5}), 4, 6),
        (frozenset(), 4, 5),
    ],
)
def test_an_agent_begins_with_an_epoch_that_no_connection_carries(
    marks: frozenset[int], stands: int | None, epoch: int
) -> None:
    """What its predecessor let pass would count as judged, though this one has other policies."""
    loop, kernel, heard, _ = looping()
    kernel.marks = marks
    if stands is not None:
        settle(loop)
        assert kernel.table is not None
        table = with_epoch(kernel.table, Epoch(0xFFFF_0000, stands))
        loop, kernel, heard, _ = looping()
        kernel.table, kernel.marks = table, marks
    settle(loop)
    assert loop.state.epoch == epoch
    assert kernel.table is not None
    assert epoch_of(kernel.table) == Epoch(0xFFFF_0000, epoch)
    assert heard.refused_ == []
    # Later it knows better than any connection.
    kernel.table, kernel.marks = None, frozenset({30_000})
    loop.deliver(Drifted("gone"))
    settle(loop)
    assert loop.state.epoch == epoch % HIGHEST + 1
    assert kernel.asked == 1


def test_a_table_under_another_mask_says_nothing_of_ours() -> None:
    """Somebody has given the agent other bits: connections say what is in them, and not the number of the old table."""
    loop, kernel, _, _ = looping()
    settle(loop)
    assert kernel.table is not None
    table = with_epoch(kernel.table, Epoch(0x0000_FF00, 9))
    loop, kernel, _, _ = looping()
    kernel.table, kernel.marks = table, frozenset({1})
    settle(loop)
    assert loop.state.epoch == 2


@pytest.mark.parametrize("marks", [None, frozenset(range(1, HIGHEST + 1))])
def test_where_connections_do_not_say_an_epoch_is_drawn_and_that_is_said(marks: frozenset[int] | None) -> None:
    """The node is enforced all the same: without a table nothing would be."""
    epochs = set()
    for seed in range(5):
        kernel, heard = Played(), Heard()
        kernel.marks = marks
        state = State.of("n1", Options(interface_prefix="veth"))
        loop = Loop(state, kernel, (heard,), clock=Clock(), dice=random.Random(seed))
        for kind in sorted(NEEDED):
            loop.deliver(Replaced(kind, ()))
        settle(loop)
        epochs.add(loop.state.epoch)
        (words,) = heard.refused_
        assert words.startswith("live connections do not say which epochs are in use, so one is drawn: ")
    assert len(epochs) == 5
    assert not epochs & {1, 2}


def test_with_keep_a_new_agent_asks_connections_too() -> None:
    """A number that they have, given out anew, would be taken for the current one where its address is another's."""
    loop, kernel, _, _ = looping()
    settle(loop)
    assert kernel.table is not None
    table = with_epoch(kernel.table, Epoch(0xFFFF_0000, 4))
    kernel, state = Played(), State.of("n1", Options(interface_prefix="veth", keep=True))
    kernel.table, kernel.marks = table, frozenset({4, 9})
    loop = Loop(state, kernel, (), clock=Clock())
    for kind in sorted(NEEDED):
        loop.deliver(Replaced(kind, ()))
    settle(loop)
    assert (loop.state.epoch, kernel.asked) == (10, 1)
