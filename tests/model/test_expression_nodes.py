"""Parts of expressions, against sets of strings written out."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from outgate.model.expression_nodes import (
    EVERY,
    Characters,
    Edge,
    Either,
    Node,
    Repeated,
    Together,
    example,
    matches,
    the_set,
)

_LEAVES = st.sampled_from(
    [Characters(the_set("a")), Characters(the_set("ab")), Characters(EVERY & ~the_set("a")), Edge(False), Edge(True)]
)
_NODES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: Together(tuple(parts)))
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: Either(tuple(parts)))
        | st.builds(Repeated, inner, st.integers(0, 2), st.none() | st.integers(2, 3))
    ),
    max_leaves=6,
)
WORDS = ["".join(word) for size in range(5) for word in product("ab", repeat=size)]


def obvious(node: Node, value: str, start: int) -> set[int]:
    """Where a part can end, by trying everything."""
    match node:
        case Characters(which):
            return {start + 1} if start < len(value) and which >> ord(value[start]) & 1 else set()
        case Edge(end):
            return {start} if start == (len(value) if end else 0) else set()
        case Together(parts):
            ends = {start}
            for part in parts:
                ends = {after for at in ends for after in obvious(part, value, at)}
            return ends
        case Either(branches):
            return {after for branch in branches for after in obvious(branch, value, start)}
        case Repeated(part, low, high):
            ends, found = {start}, set[int]()
            for turn in range((low + len(value) + 1 if high is None else high) + 1):
                found |= ends if turn >= low else set()
                ends = {after for at in ends for after in obvious(part, value, at)}
            return found
    raise AssertionError(node)


@given(_NODES)
def test_all_short_words(node: Node) -> None:
    """Every word of two letters up to four of them."""
    for word in WORDS:
        assert matches(node, word) == (len(word) in obvious(node, word, 0))


@given(_NODES)
def test_no_word_begins_otherwise(node: Node) -> None:
    """Of all that match, none is empty, or begins with a character, that was not said."""
    first, empty = node.beginnings()
    for word in (one for one in WORDS if matches(node, one)):
        assert first >> ord(word[0]) & 1 if word else empty


def test_what_is_not_ascii_is_in_no_text() -> None:
    """The set of it is empty."""
    assert the_set("é") == 0
    assert the_set("aé") == 1 << ord("a")


@given(_NODES)
def test_an_example_is_one(node: Node) -> None:
    """Where one is found it matches; and one is found wherever the first branches lead to one."""
    found = example(node)
    assert found is None or matches(node, found)


def test_examples_that_are_found() -> None:
    """Readable ones, as short as may be; none where there is none."""
    every = Characters(EVERY)
    assert example(Together((Characters(the_set("/")), Repeated(every, 0, None)))) == "/"
    assert example(Repeated(every, 3, None)) == "aaa"
    assert example(Either((Characters(0), Characters(the_set("7"))))) == "7"
    assert example(Characters(the_set("\t"))) is None
