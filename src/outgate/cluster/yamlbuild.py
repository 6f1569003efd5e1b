"""One YAML document built from libyaml's events, by loops and without recursion.

A text that nests a hundred thousand brackets, or whose aliases stand for a billion values, is an error with a line
here and not a crash. `build` is the fast way through a text and keeps no positions; `find_lines` is the slow one.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from outgate.cluster.yamlscalar import MERGE, is_finite, key_text, resolve, tagged
from outgate.model.place import Path

__all__ = ["MAX_ALIASED", "MAX_DEPTH", "BadYamlError", "build", "find_lines"]

MAX_DEPTH = 500
"""Collections within collections. A manifest has a dozen; the API server itself stops at 10 000."""

MAX_ALIASED = 400_000
"""Values that aliases (``*name``) may add to one document, so that a kilobyte cannot stand for a gigabyte."""

_NO_KEY: Any = object()
_MERGING: Any = object()


class BadYamlError(Exception):
    """The text is no YAML, or is too much of it; `line` counts from 0 within the text."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def build(text: bytes) -> tuple[object, dict[Path, int], int | None]:
    """The value of a text; the keys given more than once, with lines; and the line of what follows its end.

    Lines count from 0. Raises BadYamlError.
    """
    builder = _Builder()
    try:
        parser = CParser(text)
        value = builder.value(parser)
        return value, builder.repeated, None if builder.empty else _rest(parser, text)
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark
        words = ", ".join(part for part in (error.context, error.problem) if part)
        raise BadYamlError(0 if mark is None else mark.line, words) from error
    except yaml.reader.ReaderError as error:
        where = error.position if isinstance(error.position, int) else 0
        raise BadYamlError(_line_of_character(text, where), _unreadable_character(error)) from error


def _rest(parser: Any, text: bytes) -> int | None:
    """The line of what stands below the document in the same text; None as a rule.

    Below ``...`` anything may stand, and kubectl does not read on; elsewhere it is a syntax error.
    """
    try:
        parser.get_event()  # the end of the document
        event = parser.get_event()
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark
        if b"\n..." not in text or mark is None:
            raise
        return int(mark.line)
    return None if type(event) is StreamEndEvent else int(event.start_mark.line)


def _unreadable_character(error: yaml.reader.ReaderError) -> str:
    code = error.character if isinstance(error.character, int) else -1
    if code == 0:
        return "a NUL character: this is no text"
    if "control" in str(error.reason):
        return f"{error.reason} (#x{code:02x}): this is no text, or not in UTF-8"
    return f"{error.reason}: the text must be in UTF-8"


def _line_of_character(text: bytes, position: int) -> int:
    """Where a position is: libyaml counts characters, or bytes where the bytes are no characters."""
    if text.isascii():
        return text.count(b"\n", 0, position)
    return text.decode("utf-8", "replace").count("\n", 0, position)


class _Builder:
    """Builds one value, with a stack of its own."""

    __slots__ = ("aliased", "anchors", "empty", "open", "repeated", "sizes", "stack")

    def __init__(self) -> None:
        self.stack: list[tuple[Any, Any, str | None]] = []
        self.repeated: dict[Path, int] = {}
        self.anchors: dict[str, tuple[object, int]] = {}
        self.open: set[str] = set()
        self.sizes: dict[int, int] = {}  # by identity: everything in the document lives as long as this
        self.aliased = 0
        self.empty = False

    def value(self, parser: Any) -> object:
        """The value of the next document; None for an empty one."""
        next_event, stack = parser.get_event, self.stack
        here: Any = None  # the collection that is being filled
        key: Any = _NO_KEY  # the key whose value comes next, in a mapping
        while True:
            event = next_event()
            kind = type(event)
            if kind is ScalarEvent:
                # The style of a plain scalar is empty; only those are looked into.
                if event.tag is None:
                    value = event.value if event.style else resolve(event.value)
                else:
                    value = self._tagged(event)
                if event.anchor is not None:
                    self.anchors[event.anchor] = (value, 1)
                if key is _NO_KEY and type(here) is dict:
                    key = value if type(value) is str and value != MERGE else self._key(event, value)
                    if key in here:
                        self._repeat(event, key)
                    continue
                if type(value) is float and not is_finite(value):
                    raise BadYamlError(event.start_mark.line, f"JSON has no number {event.value}: quote it")
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                if event.anchor is not None or len(stack) >= MAX_DEPTH or (key is _NO_KEY and type(here) is dict):
                    self._open(event, here, key)
                stack.append((here, key, event.anchor))
                here, key = ({} if kind is MappingStartEvent else []), _NO_KEY
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value = here
                here, key, anchor = stack.pop()
                if anchor is not None:
                    self._close(anchor, value)
            elif kind is AliasEvent:
                value = self._alias(event)
                if key is _NO_KEY and type(here) is dict:
                    key = self._key(event, value)
                    if key in here:
                        self._repeat(event, key)
                    continue
            elif kind is StreamEndEvent:
                self.empty = True
                return None
            else:
                continue
            if here is None:
                return value
            if type(here) is list:
                here.append(value)
                continue
            if key is _MERGING:
                self._merge(event, here, value)
            else:
                here[key] = value
            key = _NO_KEY

    def _tagged(self, event: Any) -> Any:
        try:
            return tagged(event.tag, event.value, plain=not event.style)
        except ValueError as error:
            raise BadYamlError(event.start_mark.line, str(error)) from error

    def _key(self, event: Any, value: Any) -> Any:
        if value == MERGE and type(event) is ScalarEvent and not event.style:
            return _MERGING
        if type(value) is str:
            return value
        try:
            return key_text(value)
        except (TypeError, ValueError) as error:
            raise BadYamlError(event.start_mark.line, str(error)) from error

    def _open(self, event: Any, here: Any, key: Any) -> None:
        """A collection begins that has an anchor, or should not begin."""
        if key is _NO_KEY and type(here) is dict:
            raise BadYamlError(event.start_mark.line, "a mapping or a list cannot be a key")
        if len(self.stack) >= MAX_DEPTH:
            raise BadYamlError(event.start_mark.line, f"nested more than {MAX_DEPTH} levels deep")
        self.open.add(event.anchor)

    def _close(self, anchor: str, value: object) -> None:
        """A collection with an anchor ends; its size is what each alias of it will count for."""
        self.open.discard(anchor)
        self.anchors[anchor] = (value, self._size(value))

    def _size(self, value: object) -> int:
        """How many values a value holds, aliases within it counted as if they were copied.

        A collection that is shared already knows its size, so nothing is ever counted twice.
        """
        size, waiting = 0, [value]
        while waiting:
            one = waiting.pop()
            known = self.sizes.get(id(one))
            if known is not None:
                size += known
                continue
            size += 1
            if isinstance(one, dict):
                waiting.extend(one.values())
            elif isinstance(one, list):
                waiting.extend(one)
        self.sizes[id(value)] = size
        return size

    def _alias(self, event: Any) -> object:
        """The value of an anchor. It is shared, not copied; what it counts for is what copying would cost."""
        name, line = event.anchor, event.start_mark.line
        if name in self.open:
            raise BadYamlError(line, f"anchor '{name}' value contains itself")
        if name not in self.anchors:
            raise BadYamlError(line, f"unknown anchor '{name}' referenced")
        value, size = self.anchors[name]
        self.aliased += size
        if self.aliased > MAX_ALIASED:
            raise BadYamlError(line, "document contains excessive aliasing")
        return value

    def _merge(self, event: Any, here: dict[str, Any], value: object) -> None:
        """``<<``: the keys of a mapping, or of several of which the earlier ones win.

        go-yaml 2 merges where the ``<<`` stands: keys below it win over it, and it wins over keys above.
        """
        several = value if isinstance(value, list) else [value]
        for one in reversed(several):
            if not isinstance(one, dict):
                words = "map merge requires map or sequence of maps as the value"
                raise BadYamlError(event.start_mark.line, words)
            here.update(one)

    def _repeat(self, event: Any, key: str) -> None:
        """A key comes again; `event` is the key's, since a block's last event stands below the block."""
        path: list[str | int] = [len(outer) if type(outer) is list else at for outer, at, _ in self.stack[1:]]
        self.repeated[(*path, key)] = event.start_mark.line


def find_lines(text: bytes) -> dict[Path, int]:
    """The line of every value of a text that `build` has read, counted from 0.

    A collection under a key has the key's line, everything else the line on which it begins.
    """
    lines: dict[Path, int] = {}
    stack: list[tuple[Path, int]] = []  # for each open collection its path, and the next index or -1 for a mapping
    key: str | None = None
    key_line = 0
    parser: Any = CParser(text)
    while True:
        event = parser.get_event()
        kind = type(event)
        if kind is StreamEndEvent:
            return lines
        if kind is MappingEndEvent or kind is SequenceEndEvent:
            stack.pop()
            if not stack:
                return lines
            continue
        opens = kind is MappingStartEvent or kind is SequenceStartEvent
        if not opens and kind is not ScalarEvent and kind is not AliasEvent:
            continue
        line = event.start_mark.line
        if not stack:
            path: Path = ()
        elif stack[-1][1] >= 0:
            parent, index = stack[-1]
            stack[-1] = (parent, index + 1)
            path = (*parent, index)
        elif key is None:
            key, key_line = _key_of(event), line
            continue
        else:
            path, line = (*stack[-1][0], key), key_line if opens else line
            key = None
        lines[path] = line
        if opens:
            stack.append((path, 0 if kind is SequenceStartEvent else -1))
        elif not stack:
            return lines


def _key_of(event: Any) -> str:
    """The key of an event; an alias as a key is so rare that its line is not looked for."""
    if type(event) is not ScalarEvent:
        return ""
    if event.style or event.tag is not None:
        return str(event.value)
    value = resolve(event.value)
    return value if isinstance(value, str) else key_text(value)
