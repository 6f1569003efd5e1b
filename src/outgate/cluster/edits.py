"""Mending manifests: the edits of findings, performed in the files that they were read from.

Each document that is to change is found again by its line, edited as text, read again, and held against what the edits
say: if the two are not the same value, or any other document of the file has changed, the file is left as it is, and
that is said. Nothing is half done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from outgate.checks.edit import Action, Edit
from outgate.cluster.yamlsplice import CannotEditError, Change, splice
from outgate.errors import InputError
from outgate.model import Document, Place
from outgate.model.place import Path, complaint
from outgate.records import dataclass

__all__ = ["Mended", "mend"]


@dataclass(frozen=True, slots=True)
class Mended:
    """One file: what it was, what it is to be, and which of its documents could not be edited."""

    file: str
    before: bytes
    after: bytes
    refused: tuple[InputError, ...] = ()


def mend(file: str, data: bytes, edits: Iterable[Edit]) -> Mended:
    """The bytes of a file with these edits of its documents; those that cannot be performed are left out and said."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return Mended(file, data, data, (InputError(file, 0, "", "only a text in UTF-8 is edited"),))
    pieces = list(_pieces(data))
    wanted: dict[int, list[tuple[Path, Edit]]] = {}
    refused: list[InputError] = []
    for edit in edits:
        number, above = _piece_of(pieces, edit.place)
        if number < 0:
            refused.append(complaint(edit.place, "the text has changed, or is no plain document: not mended"))
        else:
            wanted.setdefault(number, []).append((above, edit))
    made = [piece.text for piece in pieces]
    for number, many in wanted.items():
        try:
            made[number] = _edited(pieces[number], many)
        except CannotEditError as error:
            refused.append(complaint(many[0][1].place, f"not mended: {error}"))
    return Mended(file, data, "".join(made).encode(), tuple(refused))


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    first: int
    """The line on which it begins."""
    value: Any


def _pieces(data: bytes) -> Iterator[_Piece]:
    """The documents of a text, which together are all of it; with None for what cannot be read."""
    from outgate.cluster.yamltext import pieces  # noqa: PLC0415 - only where something is mended

    for start, end in pieces(data):
        piece = data[start:end]
        yield _Piece(piece.decode(), 1 + data.count(b"\n", 0, start), _value(piece))


def _value(piece: bytes) -> Any:
    """What one document says; None where it cannot be read, or is not one."""
    from outgate.cluster.yamlbuild import BadYamlError, build  # noqa: PLC0415 - only where something is mended

    try:
        return msgspec.json.decode(piece)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    try:
        value, _, rest = build(piece)
    except BadYamlError:
        return None
    return value if rest is None else None


def _piece_of(pieces: list[_Piece], place: Place) -> tuple[int, Path]:
    """Which piece has the document of a place, and where in it (an item of a list is deeper); -1 where none has."""
    line = place.document.locate(())
    for number, piece in enumerate(pieces):
        last = piece.first + piece.text.count("\n")
        if piece.first <= line <= last:
            for above, value in _objects(piece.value):
                if _same(value, place.document):
                    return number, above
    return -1, ()


def _objects(value: Any) -> Iterator[tuple[Path, Any]]:
    yield (), value
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        yield from ((("items", number), one) for number, one in enumerate(value["items"]))


def _same(value: Any, document: Document) -> bool:
    said = document.value
    if not isinstance(value, dict) or not isinstance(said, dict):
        return False
    # A list may have implied the type of its items.
    return value == said or {"apiVersion": said.get("apiVersion"), "kind": said.get("kind"), **value} == said


def _edited(piece: _Piece, many: list[tuple[Path, Edit]]) -> str:
    changes = [Change(edit.action, (*above, *edit.place.at), edit.key, edit.value) for above, edit in many]
    text = splice(piece.text, changes)
    # Through JSON, so that what an alias stands for is no longer one value in two places.
    wanted = msgspec.json.decode(msgspec.json.encode(piece.value))
    for change in _innermost_first(changes):
        _perform(wanted, change)
    if _value(text.encode()) != wanted:
        raise CannotEditError("the text is too unusual to be edited; do it by hand")
    return text


def _innermost_first(changes: list[Change]) -> list[Change]:
    """Items go from the end of a list, so that the numbers of the others hold."""
    removals = [one for one in changes if one.action is Action.REMOVE]
    others = [one for one in changes if one.action is not Action.REMOVE]
    return [*others, *sorted(removals, key=lambda one: str(one.at), reverse=True)]


def _perform(value: Any, change: Change) -> None:
    """The same change of the value."""
    parent = value
    for step in change.at[:-1]:
        parent = parent[step]
    last = change.at[-1] if change.at else None
    match change.action:
        case Action.ADD_KEY:
            (parent if last is None else parent[last])[change.key] = change.value
        case Action.ADD_ITEM:
            parent[last].append(change.value)
        case Action.REPLACE:
            parent[last] = change.value
        case Action.RENAME:
            parent[change.key] = parent.pop(last)
        case Action.REMOVE:
            del parent[last]
