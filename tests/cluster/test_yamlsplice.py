"""Edits of text: one place changes, and every other byte stays."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.checks.edit import Action
from outgate.cluster.yamlsplice import CannotEditError, Change, splice
from outgate.model.place import Path

BLOCKS = """\
# top
a: 1   # one
list:
- x: 1
  y: 2
# between
- z: 3
map:
  k: v

# end
"""
DEEP = """\
spec:
    rules:
      - to:
          - p: 1
        ports:
          - q: 2  # last
    text: |
      lines
      of text

    after: true
"""
BRACES = "a: {b: 1}\nl: [1, 2]\ne: []\nm: {}\n"
RULE = {"to": [{"name": {"k": "v"}}], "ports": [{"port": 53}, {"port": "dns"}]}


def change(action: Action, *at: str | int, key: str = "", value: Any = None) -> Change:
    """One change."""
    path: Path = at
    return Change(action, path, key, value)


def test_add_a_key_at_the_end_of_a_mapping() -> None:
    """In its column; comments and empty lines below it stay below."""
    assert splice(BLOCKS, [change(Action.ADD_KEY, "map", key="new", value=[RULE])]) == BLOCKS.replace(
        "  k: v\n",
        "  k: v\n  new:\n  - to:\n    - name:\n        k: v\n    ports:\n    - port: 53\n    - port: dns\n",
    )


def test_add_an_item_where_the_list_puts_its_dashes() -> None:
    """In the column of the key, or further in; behind a comment on the last line."""
    assert splice(BLOCKS, [change(Action.ADD_ITEM, "list", value={"w": 4})]) == BLOCKS.replace(
        "- z: 3\n", "- z: 3\n- w: 4\n"
    )
    assert splice(DEEP, [change(Action.ADD_ITEM, "spec", "rules", 0, "ports", value={"q": 3})]) == DEEP.replace(
        "- q: 2  # last\n", "- q: 2  # last\n          - q: 3\n"
    )
    assert splice(DEEP, [change(Action.ADD_ITEM, "spec", "rules", value={"to": [1]})]) == DEEP.replace(
        "- q: 2  # last\n", "- q: 2  # last\n      - to:\n          - 1\n"
    )


def test_a_block_of_text_at_the_end() -> None:
    """What follows it is not swallowed."""
    text = "m:\n  t: |\n    x\n\n\nn: 1\n"
    assert splice(text, [change(Action.ADD_KEY, "m", key="u", value=1)]) == "m:\n  t: |\n    x\n  u: 1\n\n\nn: 1\n"


def test_in_braces() -> None:
    """Whether or not they hold anything."""
    assert splice(BRACES, [change(Action.ADD_KEY, "a", key="c", value={"d": [1]})]) == BRACES.replace(
        "{b: 1}", "{b: 1, c: {d: [1]}}"
    )
    assert splice(BRACES, [change(Action.ADD_ITEM, "l", value="x y")]) == BRACES.replace("[1, 2]", '[1, 2, "x y"]')
    assert splice(BRACES, [change(Action.ADD_ITEM, "e", value=1)]) == BRACES.replace("e: []", "e: [1]")
    assert splice(BRACES, [change(Action.ADD_KEY, "m", key="k", value=1)]) == BRACES.replace("m: {}", "m: {k: 1}")


def test_json_is_written_as_json() -> None:
    """With quotes around every name."""
    assert (
        splice('{"a": {"b": [1]}}', [change(Action.ADD_ITEM, "a", "b", value={"c": "d"})])
        == '{"a": {"b": [1, {"c": "d"}]}}'
    )


def test_replace() -> None:
    """Scalars, collections in blocks and in braces, items."""
    assert splice(BLOCKS, [change(Action.REPLACE, "a", value=2)]) == BLOCKS.replace("a: 1 ", "a: 2 ")
    assert splice(BRACES, [change(Action.REPLACE, "l", value=[{"x": 1}])]) == BRACES.replace(
        "l: [1, 2]", "l:\n  - x: 1"
    )
    assert splice(BLOCKS, [change(Action.REPLACE, "list", 1, value={"z": 4, "w": 5})]) == BLOCKS.replace(
        "- z: 3", "- z: 4\n  w: 5"
    )
    assert splice(BRACES, [change(Action.REPLACE, "a", "b", value="yes")]) == BRACES.replace("b: 1", 'b: "yes"')


def test_rename() -> None:
    """The value stays."""
    assert splice(BLOCKS, [change(Action.RENAME, "map", "k", key="a.b/c")]) == BLOCKS.replace("  k: v", "  a.b/c: v")
    assert splice(BLOCKS, [change(Action.RENAME, "map", "k", key="on")]) == BLOCKS.replace("  k: v", '  "on": v')


def test_remove() -> None:
    """Keys and items, the first and others."""
    assert splice(BLOCKS, [change(Action.REMOVE, "list", 0, "y")]) == BLOCKS.replace("  y: 2\n", "")
    assert splice(BLOCKS, [change(Action.REMOVE, "list", 0, "x")]) == BLOCKS.replace("- x: 1\n  y: 2", "- y: 2")
    assert splice(BLOCKS, [change(Action.REMOVE, "list", 1)]) == BLOCKS.replace("# between\n- z: 3\n", "")
    assert splice(BRACES, [change(Action.REMOVE, "l", 0)]) == BRACES.replace("[1, 2]", "[2]")
    assert splice(BRACES, [change(Action.REMOVE, "l", 1)]) == BRACES.replace("[1, 2]", "[1]")


def test_line_ends_and_characters_of_the_text() -> None:
    """Of Windows, and such as take more than one byte; and a text that ends without any."""
    text = "# \u00e9 \U0001f600\na:\n  b: 1 # \U0001f600\n  l:\n  - x"
    added = [change(Action.ADD_KEY, "a", key="c", value={"d": 2}), change(Action.ADD_ITEM, "a", "l", value=3)]
    expected = text + "\n  - 3\n  c:\n    d: 2"
    for end in ("\n", "\r\n"):
        done = splice(text.replace("\n", end), [added[1]])
        assert done == (text + "\n  - 3").replace("\n", end)
        assert splice(done, [added[0]]) == expected.replace("\n", end)
        assert splice(text.replace("\n", end) + end, [added[1]]) == (text + "\n  - 3\n").replace("\n", end)
    block = "m:\r\n  t: |\r\n    x\r\n\r\nn: 1\r\n"
    assert splice(block, [change(Action.ADD_KEY, "m", key="u", value=1)]) == block.replace("x\r\n", "x\r\n  u: 1\r\n")


def test_several_at_once() -> None:
    """From the end of the text to its beginning."""
    done = splice(
        BLOCKS,
        [
            change(Action.REPLACE, "a", value=2),
            change(Action.ADD_ITEM, "list", value=5),
            change(Action.RENAME, "map", "k", key="l"),
        ],
    )
    assert done == BLOCKS.replace("a: 1", "a: 2").replace("- z: 3", "- z: 3\n- 5").replace("  k: v", "  l: v")


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("", [change(Action.ADD_KEY, key="a")]),
        (BLOCKS, [change(Action.ADD_KEY, "list", key="a")]),
        (BLOCKS, [change(Action.ADD_ITEM, "map")]),
        (BLOCKS, [change(Action.REPLACE, "nothing", value=1)]),
        (BLOCKS, [change(Action.REPLACE, "list", 7, value=1)]),
        (BLOCKS, [change(Action.RENAME, "map", "x", key="y")]),
        (BLOCKS, [change(Action.REMOVE, "map", "k")]),
        (BLOCKS, [change(Action.REPLACE, "map", value=1), change(Action.REPLACE, "map", "k", value=2)]),
        ("a: !!set {x}\nb: &x [1]\nc: *x\n", [change(Action.ADD_KEY, "b", key="z")]),
    ],
)
def test_what_cannot_be_edited(text: str, changes: list[Change]) -> None:
    """A path that is not there, the wrong kind of collection, the last of something, two in one place."""
    with pytest.raises(CannotEditError):
        splice(text, changes)
