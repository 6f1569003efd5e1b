"""Edits in the text of YAML and JSON: a few characters change, and every other stays as it is.

A library that reads a document and writes it again sets indentation, quotes and long lines anew, and a diff that shows
more than the mending is not read. So the text is only asked where things stand (PyYAML's nodes carry their marks), and
new values are written in the style around them: in blocks or in braces, with the dashes of lists where this document
puts them. Whoever edits reads the result again and compares it with what was wanted (`outgate.cluster.edits`), so a
text that is odder than this module thinks is refused and not spoilt.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import yaml

from outgate.checks.edit import Action
from outgate.cluster.yamlscalar import resolve
from outgate.model.place import Path
from outgate.records import dataclass

__all__ = ["CannotEditError", "Change", "splice"]

_PLAIN = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_./@+-]*")


class CannotEditError(Exception):
    """The text has a shape that is not edited."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change in one document. `at` is the path of the value; of the collection, where something is added."""

    action: Action
    at: Path
    key: str = ""
    value: Any = None


@dataclass(frozen=True, slots=True)
class _Splice:
    start: int
    end: int
    text: str


def splice(text: str, changes: list[Change]) -> str:
    """The text of one document with these changes.

    Raises:
        CannotEditError: a path that is not there, or changes that meet in one place.
    """
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    if root is None:
        raise CannotEditError("the document is empty")
    editor = _Editor(text, root)
    made = sorted((editor.written(one) for one in changes), key=lambda one: (one.start, one.end))
    for before, after in itertools.pairwise(made):
        if after.start < before.end:
            raise CannotEditError("two changes meet in one place")
    for one in reversed(made):
        text = text[: one.start] + one.text + text[one.end :]
    return text


class _Editor:
    """Turns changes of one text into splices."""

    def __init__(self, text: str, root: yaml.Node) -> None:
        self.text = text
        self.root = root
        self.dash = _dash_offset(root)
        self.quoted = text.lstrip().startswith(("{", "["))
        self.newline = "\r\n" if "\r\n" in text else "\n"

    def written(self, change: Change) -> _Splice:
        """Where and what, with the line ends of this text."""
        found = self._splice(change)
        return _Splice(found.start, found.end, found.text.replace("\n", self.newline))

    def _splice(self, change: Change) -> _Splice:
        match change.action:
            case Action.ADD_KEY | Action.ADD_ITEM:
                return self._add(self._node(change.at), change)
            case Action.REPLACE:
                return self._replace(change.at, change.value)
            case Action.RENAME:
                key, _ = self._pair(change.at)
                return _Splice(key.start_mark.index, key.end_mark.index, self._scalar(change.key))
            case Action.REMOVE:
                return self._remove(change.at)

    # ---- finding -----------------------------------------------------------------------------------------------------

    def _node(self, at: Path) -> yaml.Node:
        node = self.root
        for step in at:
            if isinstance(node, yaml.MappingNode) and isinstance(step, str):
                node = _value_of(node, step)
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
            else:
                raise CannotEditError(f"there is no {step} here")
        return node

    def _pair(self, at: Path) -> tuple[yaml.Node, yaml.Node]:
        parent = self._node(at[:-1])
        if isinstance(parent, yaml.MappingNode):
            for key, value in parent.value:
                if key.value == at[-1]:
                    return key, value
        raise CannotEditError(f"there is no key {at[-1]} here")

    def _end(self, node: yaml.Node) -> int:
        """Where a value really ends: the marks of collections in blocks lie behind the comments below them."""
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            if isinstance(last, tuple):
                key, value = last
                return max(self._end(value), int(key.end_mark.index) + 1)
            return self._end(last)
        end: int = node.end_mark.index
        # A block of text takes the line break with it.
        return len(self.text[:end].rstrip("\r\n")) if isinstance(node, yaml.ScalarNode) and node.style in "|>" else end

    def _line_end(self, at: int) -> int:
        found = self.text.find(self.newline, at)
        return len(self.text) if found < 0 else found

    def _column(self, at: int) -> int:
        return at - (self.text.rfind("\n", 0, at) + 1)

    # ---- adding ------------------------------------------------------------------------------------------------------

    def _add(self, node: yaml.Node, change: Change) -> _Splice:
        if change.action is Action.ADD_KEY and not isinstance(node, yaml.MappingNode):
            raise CannotEditError("this is no mapping")
        if change.action is Action.ADD_ITEM and not isinstance(node, yaml.SequenceNode):
            raise CannotEditError("this is no list")
        assert isinstance(node, yaml.CollectionNode)
        if node.flow_style or not node.value:
            return self._add_in_braces(node, change)
        first = node.value[0]
        column = node.start_mark.column if change.action is Action.ADD_ITEM else first[0].start_mark.column
        lines = (
            self._item(change.value, column)
            if change.action is Action.ADD_ITEM
            else self._entry(change.key, change.value, column)
        )
        at = self._line_end(self._end(node))
        return _Splice(at, at, "\n" + "\n".join(lines))

    def _add_in_braces(self, node: yaml.CollectionNode, change: Change) -> _Splice:
        closing = node.end_mark.index - 1
        if self.text[closing : closing + 1] not in ("}", "]"):
            raise CannotEditError("this collection has no brace to write in front of")
        inside = self._flow(change.value)
        if change.action is Action.ADD_KEY:
            inside = f"{self._scalar(change.key)}: {inside}"
        before = len(self.text[:closing].rstrip())
        comma = "" if not node.value or self.text[before - 1] == "," else ","
        space = " " if node.value else ""
        return _Splice(before, before, f"{comma}{space}{inside}")

    # ---- replacing and removing --------------------------------------------------------------------------------------

    def _replace(self, at: Path, value: Any) -> _Splice:
        node = self._node(at)
        if not isinstance(value, dict | list) or not value:
            return _Splice(node.start_mark.index, self._end(node), self._flow(value))
        parent = self._node(at[:-1])
        assert isinstance(parent, yaml.CollectionNode)
        if parent.flow_style:
            return _Splice(node.start_mark.index, self._end(node), self._flow(value))
        if isinstance(parent, yaml.MappingNode):
            key, _ = self._pair(at)
            lines = self._entry(str(key.value), value, key.start_mark.column)
            start = key.end_mark.index
            first = lines[0].lstrip()[len(self._scalar(str(key.value))) :]
            return _Splice(start, self._end(node), "\n".join([first, *lines[1:]]))
        column = parent.start_mark.column
        return _Splice(node.start_mark.index, self._end(node), "\n".join(self._item(value, column)).lstrip()[2:])

    def _remove(self, at: Path) -> _Splice:
        parent = self._node(at[:-1])
        assert isinstance(parent, yaml.CollectionNode)
        if len(parent.value) < 2:
            raise CannotEditError("nothing would be left here")
        if isinstance(parent, yaml.MappingNode):
            number = next(i for i, (key, _) in enumerate(parent.value) if key.value == at[-1])
            starts = [key.start_mark.index for key, _ in parent.value]
            ends = [max(self._end(value), key.end_mark.index) for key, value in parent.value]
        else:
            assert isinstance(at[-1], int)
            number = at[-1]
            starts, ends = [one.start_mark.index for one in parent.value], [self._end(one) for one in parent.value]
        if parent.flow_style:
            if number + 1 < len(parent.value):
                return _Splice(starts[number], starts[number + 1], "")
            return _Splice(ends[number - 1], ends[number], "")
        if number == 0:
            # What stands before it on its line (the dash of the item that this is in) stays for the next.
            return _Splice(starts[0], starts[1], "")
        return _Splice(self._line_end(ends[number - 1]), self._line_end(ends[number]), "")

    # ---- writing -----------------------------------------------------------------------------------------------------

    def _entry(self, key: str, value: Any, column: int) -> list[str]:
        name = f"{' ' * column}{self._scalar(key)}:"
        if isinstance(value, dict) and value:
            return [name, *self._block(value, column + 2)]
        if isinstance(value, list) and value:
            return [name, *self._block(value, column + self.dash)]
        return [f"{name} {self._flow(value)}"]

    def _block(self, value: Any, column: int) -> list[str]:
        if isinstance(value, dict):
            return [line for key, one in value.items() for line in self._entry(key, one, column)]
        return [line for one in value for line in self._item(one, column)]

    def _item(self, value: Any, column: int) -> list[str]:
        dash = f"{' ' * column}- "
        if isinstance(value, dict | list) and value:
            lines = self._block(value, column + 2)
            return [dash + lines[0].lstrip(), *lines[1:]]
        return [dash + self._flow(value)]

    def _flow(self, value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self._scalar(key)}: {self._flow(one)}" for key, one in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self._flow, value)) + "]"
        return self._scalar(value) if isinstance(value, str) else json.dumps(value)

    def _scalar(self, text: str) -> str:
        plain = not self.quoted and _PLAIN.fullmatch(text) and resolve(text) == text
        return text if plain else json.dumps(text)


def _value_of(node: yaml.MappingNode, name: str) -> yaml.Node:
    found: yaml.Node | None = None
    for key, value in node.value:
        if key.value == name:
            found = value
    if found is None:
        raise CannotEditError(f"there is no key {name} here")
    return found


def _dash_offset(root: yaml.Node) -> int:
    """How far the dashes of lists stand to the right of their keys here; 2 where the document has no list in blocks."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
                    return int(min(max(value.start_mark.column - key.start_mark.column, 0), 8))
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
    return 2
