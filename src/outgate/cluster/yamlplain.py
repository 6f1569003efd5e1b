"""Plain YAML at speed: mappings and lists in blocks, with scalars of one line.

Nearly every manifest is written, or printed by a program, in so small a part of YAML that each line says by itself what
it is: so many dashes, a key, a scalar. The same lines come again and again (``- port: 443``, ``podSelector:``), so what
one says is worked out once, and kept; reading is then three times as fast as following libyaml's events.

`read_plain` takes that part of YAML and nothing else. Where anything is out of the ordinary (a tag, an anchor, a block
of text, a tab, a character beyond ASCII, a key given twice, a column where nothing began, and every mistake) it gives
None, and `outgate.cluster.yamlbuild` reads the same text with libyaml, which knows all of YAML and has the words for
what is wrong. Tests hold the two together.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

from outgate.cluster.yamlscalar import is_finite, resolve

__all__ = ["read_plain"]

# A word of a plain scalar: no sign that means something in YAML, and no colon at its end.
_WORD = "[A-Za-z0-9_./@=+%:-]*[A-Za-z0-9_./@=+%-]"
_PLAIN = f"[A-Za-z0-9_/](?:{_WORD})?(?: {_WORD})*"
_QUOTED = r""""[^"\\\n]*"|'[^'\n]*'"""
_ELEMENT = "[A-Za-z0-9_/][A-Za-z0-9_./-]*"
_SCALAR = rf"{_PLAIN}|{_QUOTED}|\{{\}}|\[\]|\[{_ELEMENT}(?:, {_ELEMENT})*\]"
_KEY = "[A-Za-z_][A-Za-z0-9_./-]{0,200}"
_LINE = re.compile(f"(?:((?:- )*)(?:({_KEY}):(?: +({_SCALAR}))?|({_SCALAR}))(?: +#.*)?|#.*)? *").fullmatch
_PRINTABLE = bytes([*range(0x20, 0x7F), 0x0A])
_MARKER = b"---\n"
_MAX_DEPTH = 100

_Value = dict[str, Any] | list[Any]


class _NotPlainError(Exception):
    """The text has something that is left to the whole reader."""


class _Line(NamedTuple):
    """What a line says, without its indentation. An empty one, or a comment, has no dash and no key."""

    width: int
    """Of the dashes, with the blank behind each."""
    key: str
    value: Any
    """The scalar, or what an empty mapping or a list in brackets holds; None where there is nothing."""
    given: bool
    """Whether there is a value. Where there is none and a key, the lines below may be its value."""
    fresh: bool
    """Whether the value is a collection, of which each document must have its own."""


def read_plain(text: bytes) -> dict[str, Any] | list[Any] | None:
    """The value of one document, or None where the text is not as plain as that, or empty."""
    if text.translate(None, _PRINTABLE):
        return None
    words = (text.removeprefix(_MARKER)).decode("ascii")
    try:
        return _value(words.split("\n"))
    except _NotPlainError:
        return None


def _value(lines: list[str]) -> _Value | None:
    stack: list[tuple[int, Any]] = [(-1, None)]  # the open collections with their columns, the innermost last
    root: dict[str, Any] = {}  # the key "" of this one is the document
    # The mapping whose last key may have its value in the lines below, that key, and the mapping's column.
    holder: Any = root
    key, floor = "", -1
    for line in lines:
        content = line.lstrip(" ")
        width, name, value, given, fresh = _line(content)
        if not name and not width:
            continue
        column = len(line) - len(content)
        kind = list if width else dict
        at, here = stack[-1]
        if at != column or type(here) is not kind:
            # A list may begin in the column of the mapping around it, a mapping only beyond it.
            if holder is not None and (column > floor or (width and column == floor)):
                holder[key] = here = _begun(stack, column, kind())
            else:
                here = _continued(stack, column, kind)
        if fresh:
            value = value.copy()
        if width:
            for _ in range(2, width, 2):
                column += 2
                here.append(_begun(stack, column, []))
                here = here[-1]
            if not name:
                here.append(value)
                holder = None
                continue
            column += 2
            here.append(_begun(stack, column, {}))
            here = here[-1]
        elif name in here:
            raise _NotPlainError
        here[name] = value
        if given:
            holder = None
        else:
            holder, key, floor = here, name, column
    return root.get("")


def _continued(stack: list[tuple[int, Any]], column: int, kind: type) -> Any:
    """The collection that goes on in a column; what began to the right of it, or in it within it, has ended."""
    while True:
        at, here = stack[-1]
        if at == column and type(here) is kind:
            return here
        if at < column:
            raise _NotPlainError
        stack.pop()


def _begun(stack: list[tuple[int, Any]], column: int, new: _Value) -> _Value:
    """A collection that begins in a column."""
    if len(stack) > _MAX_DEPTH:
        raise _NotPlainError
    stack.append((column, new))
    return new


@functools.lru_cache(maxsize=1 << 14)
def _line(content: str) -> _Line:
    found = _LINE(content)
    if found is None:
        raise _NotPlainError
    dashes, key, scalar, alone = found.groups()
    if dashes is None:
        return _Line(0, "", None, given=False, fresh=False)
    if (key is None and not dashes) or (key is not None and type(resolve(key)) is not str):
        raise _NotPlainError
    text = scalar if key is not None else alone
    value = _scalar(text) if text is not None else None
    return _Line(len(dashes), key or "", value, text is not None, isinstance(value, dict | list))


def _scalar(text: str) -> Any:
    first = text[0]
    if first in "\"'":
        return text[1:-1]
    if first == "{":
        return {}
    if first == "[":
        return [_scalar(one) for one in text[1:-1].split(", ")] if len(text) > 2 else []
    value = resolve(text)
    if type(value) is float and not is_finite(value):
        raise _NotPlainError
    return value
