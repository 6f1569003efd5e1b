"""From the text of YAML to documents.

A file is cut at its document markers first and each piece is read alone, so that an error in one does not take the
others down. The values are built by `outgate.cluster.yamlplain`, or by `outgate.cluster.yamlbuild` where a text is not
as plain as that; the lines are found by reading the piece once more, when somebody asks for one. PyYAML takes longer to
import than a file of a person takes to be read, so it is imported where it is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from outgate.cluster.reading import Lines, Newlines, Unreadable
from outgate.cluster.yamlplain import plain_lines, read_plain
from outgate.errors import InputError
from outgate.model.place import Document, Path

__all__ = ["pieces", "read_yaml"]

_NONE_REPEATED: dict[Path, int] = {}
_MARKER = re.compile(rb"---(?=[ \t\r\n]|\Z)")
_ONLY_DIRECTIVES = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\r?\n|%[^\n]*\n)*")
_EMPTY = re.compile(rb"(?:---)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*(?:#[^\n]*)?")
_HEAD = re.compile(rb"(?:---)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*")
_SOURCE = re.compile(rb"#[ \t]*Source:[ \t]*(\S+)")


def read_yaml(data: bytes, file: str, unreadable: Unreadable) -> Iterator[Document]:
    """The documents of a text in UTF-8; empty ones are passed over, and what cannot be read is reported."""
    inherited, newlines = "", Newlines(data)
    for start, end in pieces(data):
        piece = data[start:end]
        if _EMPTY.fullmatch(piece):
            inherited = _source(piece) or inherited
            continue
        value: object = read_plain(piece)
        repeated, rest, find = _NONE_REPEATED, None, plain_lines
        if value is None:
            find = _find_lines
            built = _build(newlines.line, start, piece, file, unreadable)
            if built is None:
                continue
            value, repeated, rest = built
        first = newlines.line(start) if repeated or rest is not None else 0
        if rest is not None:
            words = "kubectl does not read on after this end of a document (...): begin the next one with ---"
            unreadable.warnings.append(InputError(file, first + rest, "", words))
        template = _source(_HEAD.match(piece)) or inherited
        lines = Lines(newlines, start, end, find, _read)
        placed = {path: first + line for path, line in repeated.items()}
        yield Document(file, value, lines, template, placed, text=lines.text, again=lines.value)
        inherited = _source(_tail(piece))


def _build(
    line_of: Callable[[int], int], start: int, piece: bytes, file: str, unreadable: Unreadable
) -> tuple[object, dict[Path, int], int | None] | None:
    """What libyaml makes of a piece; None, and an error, where it cannot be read."""
    from outgate.cluster.yamlbuild import BadYamlError, build  # noqa: PLC0415 - only when needed

    try:
        return build(piece)
    except BadYamlError as error:
        # An end of the text that comes too soon is at the last line, not below it.
        line = min(error.line, piece.rstrip().count(b"\n"))
        unreadable.errors.append(InputError(file, line_of(start) + line, "", _advise(piece, line, error.message)))
        return None


def _find_lines(text: bytes) -> dict[Path, int]:
    from outgate.cluster.yamlbuild import find_lines  # noqa: PLC0415 - only when needed

    return find_lines(text)


def _read(text: bytes) -> object:
    from outgate.cluster.yamlbuild import build  # noqa: PLC0415 - only when needed

    value: object = read_plain(text)
    return build(text)[0] if value is None else value


def pieces(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each document begins and ends. Directives (``%YAML 1.1``) belong to the document below them."""
    start = 0
    for marker in _markers(data):
        if marker > start:
            if data.find(b"%", start, marker) >= 0 and _ONLY_DIRECTIVES.fullmatch(data, start, marker):
                continue
            yield start, marker
        start = marker
    if start < len(data):
        yield start, len(data)


def _markers(data: bytes) -> Iterator[int]:
    """Where a line begins that is a document marker; of all lines only those with dashes are looked at."""
    at = 0 if data.startswith(b"---") else data.find(b"\n---") + 1
    while at or data.startswith(b"---"):
        if _MARKER.match(data, at):
            yield at
        at = data.find(b"\n---", at) + 1
        if not at:
            return


def _tail(piece: bytes) -> bytes:
    """The comments and empty lines at the end of a piece, searched from the end."""
    start = len(piece)
    while start > 0:
        begin = piece.rfind(b"\n", 0, start - 1) + 1
        # What is indented may belong to a block of text, and is no comment of ours then.
        line = piece[begin:start].rstrip()
        if line and not line.startswith(b"#"):
            break
        start = begin
    return piece[start:]


def _source(text: re.Match[bytes] | bytes | None) -> str:
    """The template that Helm names in a comment, or nothing."""
    if text is None:
        return ""
    found = _SOURCE.search(text if isinstance(text, bytes) else text.group())
    return found.group(1).decode("utf-8", "replace") if found else ""


def _advise(piece: bytes, line: int, message: str) -> str:
    """The message of the parser, and what to do about it where the line, counted from 0 in its piece, tells."""
    text = piece.split(b"\n", line + 1)[line]
    if b"{{" in text:
        return f"{message}: this looks like a template, which must be rendered first (helm template)"
    if re.match(rb"[ ]*\t", text):
        return f"{message}: YAML is not indented with tabs; use spaces"
    return message
