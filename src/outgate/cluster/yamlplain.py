"""Plain YAML at speed: mappings and lists in blocks, with scalars of one line.

Nearly every manifest is written, or printed by a program, in so small a part of YAML that each line says by itself what
it is: so many dashes, a key, a scalar or a collection in braces. The same lines come again and again (``- port: 443``,
``podSelector:``), so what one says is worked out once, and kept; reading is then three times as fast as following
libyaml's events.

`read_plain` takes that part of YAML and nothing else. Where anything is out of the ordinary (a tag, an anchor, a block
of text, a tab, a character beyond ASCII, a key given twice, a column where nothing began, and every mistake) it gives
None, and `outgate.cluster.yamlbuild` reads the same text with libyaml, which knows all of YAML and has the words for
what is wrong. `plain_lines` says on which lines the values of such a text stand. Tests hold the two modules together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from outgate.cluster.yamlscalar import is_finite, resolve
from outgate.model.place import Path

__all__ = ["plain_lines", "read_plain"]

# A word of a plain scalar: no sign that means something in YAML, and no colon at its end.
_WORD = "[A-Za-z0-9_./@=+%:-]*[A-Za-z0-9_./@=+%-]"
_PLAIN = f"[A-Za-z0-9_/](?:{_WORD})?(?: {_WORD})*"
_QUOTED = r""""[^"\\\n]*"|'[^'\n]*'"""
_ELEMENT = "[A-Za-z0-9_/][A-Za-z0-9_./-]*"
_BRACES = rf"[{{\[](?:[A-Za-z0-9_./:, {{}}\[\]-]|{_QUOTED})*[}}\]]"
_SCALAR = rf"{_PLAIN}|{_QUOTED}|{_BRACES}"
_KEY = "[A-Za-z_][A-Za-z0-9_./-]{0,200}"
# Within braces: a key where there is one, and a scalar, or else a collection that begins.
_ENTRY = re.compile(rf"(?:({_KEY}): )?(?:({_QUOTED}|{_ELEMENT})|(?=[{{\[]))").match
_LINE = re.compile(f"( *)(?:((?:- )*)(?:({_KEY}):(?: +({_SCALAR}))?|({_SCALAR}))(?: +#.*)?|#.*)? *").fullmatch
_PRINTABLE = bytes([*range(0x20, 0x7F), 0x0A])
_MARKER = b"---\n"
_MAX_COLUMN = 100
_MAX_BRACES = 20
_KEPT = 1 << 14

_Value = dict[str, Any] | list[Any]


class _NotPlainError(Exception):
    """The text has something that is left to the whole reader."""


# What a line leaves to the next one, and what must be done with its value.
_OPEN = 0  # a key without a value: the lines below may be it
_GIVEN = 1  # a scalar
_OWN = 2  # a collection, of which each document must have its own
_EMPTY = 3  # a comment, or nothing at all

# The column, how many columns the dashes take, the key or nothing, the value, and one of the four above.
_Line = tuple[int, int, str, Any, int]


class _Lines(dict[str, _Line]):
    """What each line says, worked out when it is first met."""

    def __missing__(self, line: str) -> _Line:
        if len(self) >= _KEPT:
            self.clear()
        self[line] = found = _line(line)
        return found


_known = _Lines()


def read_plain(text: bytes) -> dict[str, Any] | list[Any] | None:
    """The value of one document, or None where the text is not as plain as that, or empty."""
    if text.translate(None, _PRINTABLE):
        return None
    words = (text.removeprefix(_MARKER)).decode("ascii")
    try:
        return _value(words.split("\n"))
    except _NotPlainError:
        return None


def plain_lines(text: bytes) -> dict[Path, int]:
    """The line of every value of a text that `read_plain` has taken, as `outgate.cluster.yamlbuild.find_lines` has it.

    In such a text columns and dashes alone say where each line belongs.
    """
    lines: dict[Path, int] = {}
    stack: list[tuple[int, bool, Path]] = []  # of the open collections the column, whether it is a list, and the path
    counts: dict[Path, int] = {}  # the items that the open lists have had
    holder: Path = ()  # what the lines below may be the value of
    for number, line in enumerate(text.decode("ascii").split("\n")):
        if number == 0 and text.startswith(_MARKER):
            continue
        column, width, name, value, sort = _known[line]
        if sort == _EMPTY:
            continue
        # A list may stand in the column of the mapping around it, and a key there ends the list.
        while stack and (stack[-1][0] > column or (stack[-1][0] == column and stack[-1][1] and not width)):
            stack.pop()
        if not stack or stack[-1][:2] != (column, width > 0):
            stack.append((column, width > 0, holder))
            lines.setdefault(holder, number)
            counts[holder] = 0
        path = stack[-1][2]
        for inner in range(column, column + width, 2):
            if inner > column:
                stack.append((inner, True, path))
                counts[path] = 0
            counts[path] += 1
            path = (*path, counts[path] - 1)
            lines[path] = number
        if name:
            if width:
                stack.append((column + width, False, path))
            path = (*path, name)
            lines[path] = number
        if sort == _OPEN:
            holder = path
        elif sort == _OWN:
            lines.update((inner, number) for inner in _paths(path, value))
    return lines


def _paths(path: Path, value: _Value) -> Iterator[Path]:
    """The paths of everything in a collection."""
    for step, one in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, step)
        if isinstance(one, dict | list):
            yield from _paths((*path, step), one)


def _value(lines: list[str]) -> _Value | None:
    stack: list[tuple[int, Any]] = [(-1, None)]  # the open collections with their columns, the innermost last
    root: dict[str, Any] = {}  # the key "" of this one is the document
    # The mapping whose last key may have its value in the lines below, that key, and the mapping's column.
    holder: Any = root
    key, floor = "", -1
    for begin, width, name, value, sort in map(_known.__getitem__, lines):
        if sort == _EMPTY:
            continue
        column, kind = begin, list if width else dict
        at, here = stack[-1]
        if at != column or type(here) is not kind:
            # A list may begin in the column of the mapping around it, a mapping only beyond it.
            if holder is not None and (column > floor or (width and column == floor)):
                holder[key] = here = kind()
                stack.append((column, here))
            else:
                here = _continued(stack, column, kind)
        own = _copied(value) if sort == _OWN else value
        if width:
            for inner in range(column + 2, column + width, 2):
                here.append([])
                here = here[-1]
                stack.append((inner, here))
            if not name:
                here.append(own)
                holder = None
                continue
            column += width
            new: dict[str, Any] = {}
            here.append(new)
            stack.append((column, new))
            here = new
        elif name in here:
            raise _NotPlainError
        here[name] = own
        if sort:
            holder = None
        else:
            holder, key, floor = here, name, column
    return root.get("")


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def _continued(stack: list[tuple[int, Any]], column: int, kind: type) -> Any:
    """The collection that goes on in a column; what began to the right of it, or in it within it, has ended."""
    while True:
        at, here = stack[-1]
        if at == column and type(here) is kind:
            return here
        if at < column:
            raise _NotPlainError
        stack.pop()


def _line(line: str) -> _Line:
    found = _LINE(line)
    if found is None:
        raise _NotPlainError
    indent, dashes, key, scalar, alone = found.groups()
    if dashes is None:
        return (0, 0, "", None, _EMPTY)
    if (key is None and not dashes) or (key is not None and type(resolve(key)) is not str):
        raise _NotPlainError
    # Nothing nests deeper than this, so nobody has to count.
    if len(indent) + len(dashes) > _MAX_COLUMN:
        raise _NotPlainError
    text = scalar if key is not None else alone
    value = _scalar(text) if text is not None else None
    sort = _OPEN if text is None else _OWN if isinstance(value, dict | list) else _GIVEN
    return (len(indent), len(dashes), key or "", value, sort)


def _scalar(text: str) -> Any:
    first = text[0]
    if first in "\"'":
        return text[1:-1]
    if first in "{[":
        return _braces(text)
    value = resolve(text)
    if type(value) is float and not is_finite(value):
        raise _NotPlainError
    return value


def _braces(text: str) -> _Value:
    """A collection in braces or brackets, with one blank behind each comma and colon and none elsewhere."""
    value, end = _collection(text, 0, 0)
    if end != len(text):
        raise _NotPlainError
    return value


def _collection(text: str, at: int, depth: int) -> tuple[_Value, int]:
    """The collection that begins at a place, and where it ends."""
    if depth > _MAX_BRACES:
        raise _NotPlainError
    items: list[Any] = []
    keys: list[str] = []
    close = "}" if text[at] == "{" else "]"
    at += 1
    while text[at : at + 1] != close or items:
        entry = _ENTRY(text, at)
        if entry is None or (entry[1] is None) is (close == "}"):
            raise _NotPlainError
        key, scalar = entry.groups()
        at = entry.end()
        if scalar is None:
            value, at = _collection(text, at, depth + 1)
        else:
            value = _scalar(scalar)
        items.append(value)
        if key is not None:
            keys.append(key)
        if text[at : at + 1] == close:
            break
        if not text.startswith(", ", at):
            raise _NotPlainError
        at += 2
    if close == "]":
        return items, at + 1
    if len(set(keys)) < len(keys) or any(type(resolve(key)) is not str for key in keys):
        raise _NotPlainError
    return dict(zip(keys, items, strict=True)), at + 1
