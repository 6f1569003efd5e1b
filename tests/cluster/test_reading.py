"""Lines are found when asked for, once, and relative to the slice of the file that the document is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster.files import documents_of
from outgate.cluster.reading import Lines, Newlines, Unreadable
from outgate.errors import InputError
from outgate.model.parse_lists import items_of
from outgate.model.place import Document, Path


def test_lines_count_from_the_beginning_of_the_file() -> None:
    """A document in the middle of a file must not begin at line one."""
    data = b"one\ntwo\nthree\nfour\nfive\n"
    asked: list[bytes] = []

    def find(text: bytes) -> dict[Path, int]:
        asked.append(text)
        return {(): 0, ("spec",): 1, ("spec", "a"): 2}

    lines = Lines(Newlines(data), data.index(b"two"), data.index(b"five"), find, bytes)
    assert asked == []
    assert [lines(path) for path in ((), ("spec",), ("spec", "a"))] == [2, 3, 4]
    assert asked == [b"two\nthree\nfour\n"]


def test_the_first_line_needs_no_reading() -> None:
    """An error in a text that cannot be read has a line all the same."""

    def never(text: bytes) -> dict[Path, int]:
        raise AssertionError(text)

    assert Lines(Newlines(b"one\ntwo\n"), 4, 8, never, bytes).first == 2


@given(st.binary(max_size=40), st.integers(0, 40), st.integers(1, 9))
def test_newlines_are_counted_as_one_would(data: bytes, at: int, step: int) -> None:
    """Counted in steps, and at the borders of steps, as from the beginning."""
    at = min(at, len(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Newlines, "_STEP", step)
        counted = Newlines(data)
        assert [counted.line(at), counted.line(0)] == [1 + data[:at].count(b"\n"), 1]


def test_a_missing_value_has_the_line_of_its_nearest_parent() -> None:
    """What is missing stands nowhere; the reader is sent to where it would have to be."""
    lines = Lines(Newlines(b"x\n"), 0, 2, lambda _: {(): 0, ("spec",): 6}, bytes)
    assert [lines(path) for path in (("spec", "egress", 0, "to"), ("metadata", "name"))] == [7, 1]
    assert Lines(Newlines(b""), 0, 0, lambda _: {}, bytes)(("a",)) == 1


YAML = """\
# about the first
kind: First
spec:
  a: 1

---

kind: NetworkPolicy  # the second
metadata: {name: x}
spec:
  egress:
  - to:
    - podSelector: {}
    # and a port
    ports: [{port: 1}]
  - {}
"""
LISTED = """\
{
  "kind": "List", "apiVersion": "v1",
  "items": [
    {"kind": "A",
     "apiVersion": "v1"},
    {"kind": "NetworkPolicy",
     "spec": {"egress": [
       {}
     ]}}
  ]
}
"""


def documents(text: str) -> list[Document]:
    """What the readers make of a text, lists taken apart."""
    unreadable = Unreadable()
    return [item for one in documents_of(text.encode(), "f", unreadable) for item in items_of(one)]


def test_a_document_gives_back_its_text() -> None:
    """Who explains a policy shows it as it was written, with its comments, and counts lines as the file does."""
    first, second = documents(YAML)
    assert first.text(()) == (1, "# about the first\nkind: First\nspec:\n  a: 1")
    begin, text = second.text(())
    assert (begin, text.splitlines()[0]) == (8, "kind: NetworkPolicy  # the second")
    assert begin + text.splitlines().index("  - {}") == second.locate(("spec", "egress", 1)) == 16
    assert second.text(("spec", "egress", 0)) == (
        12,
        "  - to:\n    - podSelector: {}\n    # and a port\n    ports: [{port: 1}]",
    )


def test_an_item_of_a_list_gives_back_its_own_text() -> None:
    """The rest of the list is not the policy's; and what was never written has no text."""
    _, policy = documents(LISTED)
    begin, text = policy.text(())
    assert begin == 6
    assert text.splitlines()[0] == '{"kind": "NetworkPolicy",'
    assert '"A"' not in text
    assert Document("f", {}).text(()) == (0, "")


def test_complaints_are_collected() -> None:
    """Two readers of one input share one list."""
    unreadable = Unreadable()
    unreadable.errors.append(InputError("f", 1, "", "x"))
    assert (len(unreadable.errors), unreadable.warnings, Unreadable().errors) == (1, [], [])
