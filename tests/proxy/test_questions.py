"""Only questions that are open have answers, and they are few."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from outgate.proxy.glance import Asked
from outgate.proxy.orders import Pod, PodOrder
from outgate.proxy.questions import Granted, OpenQuestions, Question

ASKED = Asked("a.io", 1, True, b"")


def question(pod: str = "a", deadline: float = 5.0) -> Question[str]:
    """A question of a pod."""
    return Question(Granted(Pod(PodOrder(pod, ()), None), ASKED), 7, "client", 0.0, deadline)


def counting() -> Callable[[], int]:
    """Numbers one after the other."""
    return itertools.count().__next__


def test_a_question_is_found_under_its_channel_and_number_until_it_is_closed() -> None:
    """The number alone is no key: two channels may have drawn the same."""
    table: OpenQuestions[str] = OpenQuestions(lambda: 9)
    assert (table.add(1, question("a")), table.add(2, question("b"))) == (9, 9)
    found = table.find(2, 9)
    assert found is not None
    assert found.granted.pod.key == "b"
    assert table.find(2, 9) is found, "what came may have been forged"
    table.close(2, 9)
    assert (table.find(2, 9), table.find(3, 9), len(table)) == (None, None, 1)


def test_a_number_is_drawn_until_it_is_free() -> None:
    """Two open questions under one number would get each other's answers."""
    drawn = iter([4, 4, 4, 5])
    table: OpenQuestions[str] = OpenQuestions(drawn.__next__)
    assert [table.add(1, question()) for _ in range(2)] == [4, 5]


def test_neither_all_pods_nor_one_can_fill_the_memory() -> None:
    """And one that asks without end keeps no other from asking."""
    table: OpenQuestions[str] = OpenQuestions(counting(), limit=5, of_a_pod=3)

    def ask(pod: str) -> bool:
        return table.has_room(pod) and table.add(1, question(pod)) >= 0

    assert sum(ask("a") for _ in range(9)) == 3
    assert sum(ask("b") for _ in range(9)) == 2
    table.close(1, 0)
    assert ask("b")


def test_the_questions_of_some_end_and_leave_room() -> None:
    """Those of one pod and no other's; nothing is counted of what is no more."""
    table: OpenQuestions[str] = OpenQuestions(counting(), of_a_pod=2)
    numbers = [table.add(1, question(pod)) for pod in "abab"]
    table.end(lambda one: one.granted.pod.key == "a")
    assert [table.find(1, one) is None for one in numbers] == [True, False, True, False]
    assert (table.has_room("a"), table.has_room("b"), len(table)) == (True, False, 2)


def test_a_channel_ends_with_its_questions() -> None:
    """They are told, so that their pods can be."""
    table: OpenQuestions[str] = OpenQuestions(counting())
    for channel in (1, 2, 1):
        table.add(channel, question())
    assert len(table.close_channel(1)) == 2
    assert len(table) == 1


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(0, 20))
def test_what_waited_too_long_ends(begun: list[int], now: int) -> None:
    """All that is over and nothing else, and the pods' counts with it."""
    table: OpenQuestions[str] = OpenQuestions(counting(), of_a_pod=12)
    for deadline in sorted(begun):
        table.add(deadline, question(deadline=deadline))
    assert [channel for channel, _ in table.expired(now)] == [one for one in sorted(begun) if one <= now]
    assert len(table) == sum(one > now for one in begun)
    assert sum(table._pods.values()) == len(table)
