"""From the text of YAML to documents.

A file is cut at its document markers first and each piece is read alone, so that an error in one does not take the
others down. The values are built from libyaml's events, by a loop and without recursion: a file that nests a hundred
thousand brackets is an error with a line, not a crash. Lines are found by reading the piece once more when asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.reader import ReaderError

from outgate.cluster.lines import Lines
from outgate.cluster.report import Unreadable
from outgate.cluster.yamlscalar import MERGE, key_text, resolve, tagged
from outgate.errors import InputError
from outgate.model.place import Document, Path

__all__ = ["MAX_ALIASED", "MAX_DEPTH", "read_yaml"]

MAX_DEPTH = 500
"""Collections within collections. A manifest has a dozen; the API server itself stops at 10 000."""

MAX_ALIASED = 400_000
"""Values that aliases (``*name``) may add to one document, so that a kilobyte cannot stand for a gigabyte."""

_MARKER = re.compile(rb"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_ONLY_DIRECTIVES = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\r?\n|%[^\n]*\n)*")
_EMPTY = re.compile(rb"(?:---)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*(?:#[^\n]*)?")
_HEAD = re.compile(rb"(?:---)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*")
_TAIL = re.compile(rb"(?:\n[ \t]*#[^\n]*)+\s*\Z")
_SOURCE = re.compile(rb"#[ \t]*Source:[ \t]*(\S+)")


class _SyntaxError(Exception):
    """The piece is no YAML, or more of it than is good; `line` counts from 0 within the piece."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def read_yaml(data: bytes, file: str, unreadable: Unreadable) -> Iterator[Document]:
    """The documents of a text in UTF-8; empty ones are passed over, and what cannot be read is reported."""
    inherited = ""
    for start, end in _pieces(data):
        piece = data[start:end]
        if _EMPTY.fullmatch(piece):
            inherited = _source(piece) or inherited
            continue
        lines = Lines(data, start, end, _positions)
        try:
            value, repeated, rest = _build(piece)
        except _SyntaxError as error:
            line = 1 + data.count(b"\n", 0, start) + error.line
            unreadable.errors.append(InputError(file, line, "", _advise(data, line, error.message)))
            continue
        first = data.count(b"\n", 0, start) + 1 if repeated or rest is not None else 0
        if rest is not None:
            words = "kubectl does not read on after this end of a document (...): begin the next one with ---"
            unreadable.warnings.append(InputError(file, first + rest, "", words))
        template = _source(_HEAD.match(piece)) or inherited
        yield Document(file, value, lines, template, {path: first + line for path, line in repeated.items()})
        inherited = _source(_TAIL.search(piece))


def _pieces(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each document begins and ends. Directives (``%YAML 1.1``) belong to the document below them."""
    start = 0
    for marker in _MARKER.finditer(data):
        if marker.start() > start:
            if data.find(b"%", start, marker.start()) >= 0 and _ONLY_DIRECTIVES.fullmatch(data, start, marker.start()):
                continue
            yield start, marker.start()
        start = marker.start()
    if start < len(data):
        yield start, len(data)


def _source(text: re.Match[bytes] | bytes | None) -> str:
    """The template that Helm names in a comment, or nothing."""
    if text is None:
        return ""
    found = _SOURCE.search(text if isinstance(text, bytes) else text.group())
    return found.group(1).decode("utf-8", "replace") if found else ""


def _advise(data: bytes, line: int, message: str) -> str:
    """The message of the parser, and what to do about it where the line tells."""
    text = data.split(b"\n", line)[line - 1] if line else b""
    if b"{{" in text:
        return f"{message}: this looks like a template, which must be rendered first (helm template)"
    if re.match(rb"[ ]*\t", text):
        return f"{message}: YAML is not indented with tabs; use spaces"
    return message


class _Events:
    """The events of one piece, with errors turned into ours."""

    __slots__ = ("_next",)

    def __init__(self, piece: bytes) -> None:
        self._next = CParser(piece).get_event

    def __call__(self) -> Any:
        try:
            return self._next()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            words = ", ".join(part for part in (error.context, error.problem) if part)
            raise _SyntaxError(mark.line if mark else 0, words) from error
        except yaml.YAMLError as error:
            raise _SyntaxError(0, str(error)) from error


def _build(piece: bytes) -> tuple[object, dict[Path, int], int | None]:
    """The value, the keys given more than once, and the line of what follows the document's end."""
    builder = _Builder(piece)
    return builder.build(), builder.repeated, builder.rest


class _Builder:
    """Builds one value from events, with a stack of its own."""

    def __init__(self, piece: bytes) -> None:
        self.piece = piece
        self.stack: list[tuple[Any, Any, str | None, int]] = []
        self.repeated: dict[Path, int] = {}
        self.rest: int | None = None
        self.anchors: dict[str, tuple[object, int]] = {}
        self.open: set[str] = set()
        self.count = 0
        self.aliased = 0
"""(stop here)"""
