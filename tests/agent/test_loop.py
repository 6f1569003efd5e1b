"""The loop: one change at a time, whatever has come taken together, and patience with a kernel that refuses."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from outgate.agent.kernel import Kernel, Timing
from outgate.agent.loop import FIRST_PAUSE, LONGEST_PAUSE, Loop, Observer
from outgate.agent.step import NEEDED, Apply, State
from outgate.cluster.events import Replaced, Upserted
from outgate.errors import KernelError
from outgate.model import Pod
from outgate.nft.delta import Change
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

    def list(self) -> Ruleset | None:
        """The table as it is."""
        return self.table

    def guard(self) -> Ruleset | None:
        """No bridge is played."""
        return None

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
