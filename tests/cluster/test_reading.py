"""Lines are found when asked for, once, and relative to the slice of the file that the document is."""

from __future__ import annotations

from outgate.cluster.reading import Lines, Unreadable
from outgate.errors import InputError
from outgate.model.place import Path


def test_lines_count_from_the_beginning_of_the_file() -> None:
    """A document in the middle of a file must not begin at line one."""
    data = b"one\ntwo\nthree\nfour\nfive\n"
    asked: list[bytes] = []

    def find(text: bytes) -> dict[Path, int]:
        asked.append(text)
        return {(): 0, ("spec",): 1, ("spec", "a"): 2}

    lines = Lines(data, data.index(b"two"), data.index(b"five"), find)
    assert asked == []
    assert [lines(path) for path in ((), ("spec",), ("spec", "a"))] == [2, 3, 4]
    assert asked == [b"two\nthree\nfour\n"]


def test_the_first_line_needs_no_reading() -> None:
    """An error in a text that cannot be read has a line all the same."""

    def never(text: bytes) -> dict[Path, int]:
        raise AssertionError(text)

    assert Lines(b"one\ntwo\n", 4, 8, never).first == 2


def test_a_missing_value_has_the_line_of_its_nearest_parent() -> None:
    """What is missing stands nowhere; the reader is sent to where it would have to be."""
    lines = Lines(b"x\n", 0, 2, lambda _: {(): 0, ("spec",): 6})
    assert [lines(path) for path in (("spec", "egress", 0, "to"), ("metadata", "name"))] == [7, 1]
    assert Lines(b"", 0, 0, lambda _: {})(("a",)) == 1


def test_complaints_are_collected() -> None:
    """Two readers of one input share one list."""
    unreadable = Unreadable()
    unreadable.errors.append(InputError("f", 1, "", "x"))
    assert (len(unreadable.errors), unreadable.warnings, Unreadable().errors) == (1, [], [])
