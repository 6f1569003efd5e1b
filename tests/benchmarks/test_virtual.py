"""Virtual time passes in order and costs none, and a pipe divides what it has as arithmetic says."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.virtual import Pipe, Timeline


def test_who_sleeps_shorter_wakes_first() -> None:
    """Whoever began first; a century takes no time."""
    line = Timeline()
    seen: list[tuple[str, float]] = []

    def sleeper(name: str, *seconds: float) -> None:
        for one in seconds:
            line.sleep(one)
            seen.append((name, line.now))

    line.spawn(lambda: sleeper("a", 3.0, 3.0e9))
    line.spawn(lambda: sleeper("b", 1.0, 1.0))
    line.run()
    assert seen == [("b", 1.0), ("b", 2.0), ("a", 3.0), ("a", 3.0e9 + 3.0)]


def test_an_end_ends_everybody() -> None:
    """Also who catches every exception, and who has not begun."""
    line = Timeline()
    seen: list[str] = []

    def stubborn() -> None:
        for _ in range(1000):
            try:
                line.sleep(1.0)
            except Exception:  # noqa: BLE001 - as a reflector does
                seen.append("caught")
        seen.append("went on")

    line.spawn(stubborn)
    line.at(2.5, lambda: line.spawn(lambda: seen.append("late")))
    line.run(enough=lambda: line.now == 2.5)
    assert seen == []


def test_what_a_thread_raises_is_raised() -> None:
    """A simulation whose agents fail unseen shows what nobody does."""
    line = Timeline()
    line.spawn(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        line.run()


def test_who_is_woken_is_told_so_and_once() -> None:
    """A late alarm, and the alarm of an earlier wait, wake nobody."""
    line = Timeline()
    seen: list[tuple[bool, float]] = []

    def parked() -> None:
        me = line.current
        line.at(1.0, lambda: line.wake(me))
        line.at(1.0, lambda: line.wake(me))
        seen.append((line.park(5.0), line.now))
        seen.append((line.park(7.0), line.now))

    line.spawn(parked)
    line.run()
    assert seen == [(True, 1.0), (False, 7.0)]


READERS = st.lists(
    st.tuples(st.floats(0, 20), st.floats(1, 100), st.floats(0.5, 30)),  # when, how much, how long at most
    min_size=1,
    max_size=6,
)


def obvious(readers: list[tuple[float, float, float]], rate: float, fastest: float) -> list[tuple[bool, float]]:
    """The same by very small steps."""
    step = 0.001
    left = [amount for _, amount, _ in readers]
    ends: list[tuple[bool, float] | None] = [None] * len(readers)
    now = 0.0
    while None in ends:
        active = [i for i, (begin, _, _) in enumerate(readers) if begin <= now and ends[i] is None]
        for i in active:
            left[i] -= min(fastest, rate / len(active)) * step
            if left[i] <= 0:
                ends[i] = True, now
            elif now >= readers[i][0] + readers[i][2]:
                ends[i] = False, now
        now += step
    return [one for one in ends if one is not None]


@settings(max_examples=25, deadline=None)
@given(READERS, st.floats(5, 50), st.floats(5, 50))
def test_a_pipe_is_fair(readers: list[tuple[float, float, float]], rate: float, fastest: float) -> None:
    """Who reads beside others is as much slower, and gives back what he has not read."""
    line = Timeline()
    pipe = Pipe(line, rate, fastest)
    ends: dict[int, tuple[bool, float]] = {}

    def reader(number: int, begin: float, amount: float, patience: float) -> None:
        line.sleep(begin)
        done = pipe.transfer(amount, line.now + patience)
        ends[number] = done, line.now

    for number, one in enumerate(readers):
        line.spawn(functools.partial(reader, number, *one))
    line.run()
    for number, (done, moment) in enumerate(obvious(readers, rate, fastest)):
        # Steps may decide otherwise where both come together.
        near = abs(ends[number][1] - readers[number][0] - readers[number][2]) < 0.05
        assert ends[number][0] is done or near
        assert ends[number][1] == pytest.approx(moment, abs=0.05)
    assert sum(pipe.seconds.values()) == pytest.approx(pipe.read)
    assert pipe.read <= sum(amount for _, amount, _ in readers) * 1.0001


def test_what_others_take_is_missing() -> None:
    """And comes back."""
    line = Timeline()
    pipe = Pipe(line, 10.0)
    ends: list[float] = []

    def reader() -> None:
        pipe.transfer(100.0)
        ends.append(line.now)

    line.spawn(reader)
    line.at(2.0, lambda: pipe.reserve(5.0))
    line.at(6.0, lambda: pipe.reserve(-5.0))
    line.run()
    assert ends == [pytest.approx(12.0)]
