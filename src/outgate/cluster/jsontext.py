"""From the text of JSON to documents.

msgspec reads the values, at a speed that makes a hundred thousand pods a matter of seconds. It keeps no positions and
does not see a key given twice, so a scanner of our own reads a single object again where a line is asked for, and
a NetworkPolicy whose keys are too many, since the API server refuses repeated fields there. The items of a list are
decoded one at a time, and what the caller has done with one is free before the next. Pods, which are most of what there
is, are decoded into their type (`outgate.model.parse_pods`), for callers that take them so.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from outgate.cluster.reading import Lines, Newlines, Unreadable
from outgate.errors import InputError
from outgate.model.parse_decode import plain_type
from outgate.model.parse_lists import implied_by_list
from outgate.model.parse_pods import PodText, TypedPod
from outgate.model.parse_shapes import OBJECTS, POLICIES
from outgate.model.parse_types import Struct
from outgate.model.place import Document, Path

__all__ = ["BadJsonError", "find_lines", "read_json", "read_typed"]

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s{}\[\],:"]+', re.DOTALL)
_WHERE = re.compile(r" \(byte ([0-9]+)\)")
_SPACE = b" \t\r\n"
_GAP = re.compile(rb"[ \t\r\n,]*")
_OPENING = re.compile(rb'"items"[ \t\r\n]*:[ \t\r\n]*\[[ \t\r\n]*')
_BEGINS_AS_POD = re.compile(
    rb'\{[ \t\r\n]*"apiVersion"[ \t\r\n]*:[ \t\r\n]*"v1"[ \t\r\n]*,[ \t\r\n]*"kind"[ \t\r\n]*:[ \t\r\n]*"Pod"'
    rb'|\{[ \t\r\n]*"kind"[ \t\r\n]*:[ \t\r\n]*"Pod"'
)
_POLICY_KINDS = tuple(shape.name for shape in POLICIES)
_NONE_REPEATED: Mapping[Path, int] = {}


class BadJsonError(Exception):
    """The text is no JSON; `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class _List(msgspec.Struct):
    """A list of objects, its items left as text."""

    kind: str
    items: list[msgspec.Raw]
    apiVersion: str | None = None  # noqa: N815 - the name in the text


class _Header(msgspec.Struct):
    """What an object is."""

    kind: str | None = None
    apiVersion: str | None = None  # noqa: N815 - the name in the text


_HEADER = msgspec.json.Decoder(_Header)
_LIST = msgspec.json.Decoder(_List)
_POD = msgspec.json.Decoder(PodText)


def read_json(data: bytes, file: str, unreadable: Unreadable, *, whole: bool = False) -> Iterator[Document]:
    """The documents of a text in UTF-8: one value, or several one after the other. `whole`: with all that is in them.

    Raises BadJsonError before the first document where the text as a whole is no JSON; an item of a list that cannot be
    read is reported, and the others go on.
    """
    for one in read_typed(data, file, unreadable, whole=whole):
        if isinstance(one, TypedPod):
            yield from one.whole()
        else:
            yield one


def read_typed(data: bytes, file: str, unreadable: Unreadable, *, whole: bool = False) -> Iterator[Document | TypedPod]:
    """The same, but pods come in their type where they have it; never where the `whole` is wanted."""
    newlines = Newlines(data)
    for start, end, implied in list(_slices(data)):
        text = data[start:end]
        lines = Lines(newlines, start, end, find_lines, msgspec.json.decode)
        pod = None if whole else _pod(text, implied)
        document = functools.partial(_document, text, implied, file, lines, unreadable, whole=whole)
        if pod is None:
            yield from document()
        else:
            bare = Document(file, None, lines, "", _NONE_REPEATED, text=lines.text, again=lines.value)
            yield TypedPod(pod, bare, document)


def _document(
    text: bytes, implied: Mapping[str, object], file: str, lines: Lines, unreadable: Unreadable, *, whole: bool
) -> Iterator[Document]:
    """The document of one object; nothing, and an error, where it cannot be read."""
    try:
        value = msgspec.json.decode(text) if whole else _value(text, implied)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        problem = _explain(text, 0, error)
        unreadable.errors.append(InputError(file, lines.first + problem.line - 1, "", problem.message))
        return
    repeated: Mapping[Path, int] = _NONE_REPEATED
    policy = isinstance(value, dict) and value.get("kind") in _POLICY_KINDS
    if whole or (policy and _may_repeat(text, value)):
        repeated = {path: lines.first + line for path, line in _repeated(text).items()}
    yield Document(file, value, lines, "", repeated, text=lines.text, again=lines.value)


def _pod(text: bytes, implied: Mapping[str, object]) -> PodText | None:
    """The pod, where the text begins like one and is one of the right type."""
    if not (_BEGINS_AS_POD.match(text) or implied.get("kind") == "Pod"):
        return None
    try:
        pod = _POD.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    # Whatever stands at the beginning, the last kind that is given counts.
    named = (pod.apiVersion or implied.get("apiVersion"), pod.kind or implied.get("kind"))
    return pod if named == ("v1", "Pod") else None


def _value(text: bytes, implied: Mapping[str, object]) -> Any:
    """The value of one object, of kinds that are known only as much as `outgate.model.parse` looks at."""
    with contextlib.suppress(msgspec.ValidationError):
        header = _HEADER.decode(text)
        kind, version = header.kind or implied.get("kind"), header.apiVersion or implied.get("apiVersion")
        if isinstance(kind, str) and isinstance(version, str) and not kind.endswith("List"):
            named = {"apiVersion": version, "kind": kind}
            shape = OBJECTS.get((version, kind))
            if shape is None:
                return named
            if shape not in POLICIES:
                # What is not of this type is read in full below, and refused with the right words later.
                return {**_decoder(shape).decode(text), **named}
    value = msgspec.json.decode(text)
    return {**implied, **value} if implied and isinstance(value, dict) else value


@functools.cache
def _decoder(shape: Struct) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(plain_type(shape))


def _slices(data: bytes) -> Iterator[tuple[int, int, Mapping[str, object]]]:
    """Where each object begins and ends, and what the list around it implies."""
    # Nearly always the whole text is one list, and what can be read as one is JSON.
    whole = _list(data)
    if whole is not None:
        yield from _items(data, 0, whole)
        return
    for start, end in _values(data):
        found = _list(data[start:end])
        if found is None:
            yield start, end, {}
        else:
            yield from _items(data, start, found)


def _list(text: bytes) -> _List | None:
    try:
        found = _LIST.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return found if found.kind.endswith("List") else None


def _items(data: bytes, start: int, found: _List) -> Iterator[tuple[int, int, Mapping[str, object]]]:
    implied = implied_by_list(found.kind, found.apiVersion)
    at = start
    for number, item in enumerate(found.items):
        text = bytes(item)
        at = _first_item(data, at, text) if number == 0 else _end_of(_GAP, data, at)
        # The items stand in their order with next to nothing between them.
        if not data.startswith(text, at):
            at = data.index(text, at)
        yield at, at + len(text), implied
        at += len(text)


def _first_item(data: bytes, start: int, text: bytes) -> int:
    """Where the first item stands: what looks like it may stand in front of the list as well."""
    for opening in _OPENING.finditer(data, start):
        if data.startswith(text, opening.end()):
            return opening.end()
    return start


def _end_of(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    found = pattern.match(data, at)
    return at if found is None else found.end()


def _values(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each top value begins and ends; nearly always there is one, and msgspec has to agree that it is JSON."""
    start = len(data) - len(data.lstrip(_SPACE))
    while start < len(data):
        try:
            msgspec.json.decode(data[start:], type=msgspec.Raw)
            yield start, len(data)
            return
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            if "trailing characters" not in str(error):
                raise _explain(data, start, error) from error
            # msgspec names the byte behind the first one that is too many.
            end = start + int(_WHERE.search(str(error))[1]) - 1  # type: ignore[index]  # msgspec says where
            yield start, end
            start = end
            while start < len(data) and data[start] in _SPACE:
                start += 1


def _explain(data: bytes, start: int, error: Exception) -> BadJsonError:
    if isinstance(error, RecursionError):
        return BadJsonError(1 + data.count(b"\n", 0, start), "nested too deep")
    if isinstance(error, UnicodeDecodeError):
        return BadJsonError(1 + data.count(b"\n", 0, _first_bad_byte(data, start)), "this is not in UTF-8")
    words = str(error).removeprefix("JSON is malformed: ")
    found = _WHERE.search(words)
    at = start + int(found[1]) if found else len(data.rstrip(_SPACE))
    return BadJsonError(1 + data.count(b"\n", 0, at), f"this is no JSON: {_WHERE.sub('', words)}")


def _first_bad_byte(data: bytes, start: int) -> int:
    """Msgspec counts from the beginning of the string that it was reading."""
    try:
        data[start:].decode()
    except UnicodeDecodeError as error:
        return start + error.start
    return start


def find_lines(text: bytes) -> dict[Path, int]:
    """The line of every value, counted from 0; a collection under a key has the key's line."""
    lines, _ = _scan(text)
    return lines


def _may_repeat(text: bytes, value: object) -> bool:
    """Whether the text has more keys than the value, or is too odd to tell."""
    # A quote with a colon behind it ends a key; within a string the quote has a backslash before it. So counting the
    # one and not the other is counting keys, unless a string ends with a backslash.
    compact = text.translate(None, _SPACE)
    return b'\\\\"' in compact or _keys(compact) != _keys(msgspec.json.encode(value))


def _keys(text: bytes) -> int:
    return text.count(b'":') - text.count(b'\\":')


def _repeated(text: bytes) -> Mapping[Path, int]:
    """The keys given more than once, with lines counted from 0."""
    # The standard library shows each object's pairs, and our own scanner need not look where none is repeated.
    clean = True

    def look(pairs: list[tuple[str, object]]) -> None:
        nonlocal clean
        clean = clean and len(dict(pairs)) == len(pairs)

    try:
        json.loads(text, object_pairs_hook=look)
    except RecursionError:
        clean = False
    return {} if clean else _scan(text)[1]


def _scan(text: bytes) -> tuple[dict[Path, int], dict[Path, int]]:
    """The lines of all values, and those of the keys that a mapping holds once more. The text is known to be JSON."""
    lines: dict[Path, int] = {}
    repeated: dict[Path, int] = {}
    stack: list[tuple[Path, int]] = []  # for each open collection its path, and the next index or -1 for a mapping
    key: str | None = None
    line = key_line = seen = 0
    for token in _TOKEN.finditer(text):
        line += text.count(b"\n", seen, token.start())
        seen = token.start()
        word = token.group()
        if word in (b"}", b"]"):
            stack.pop()
            continue
        opens = word in (b"{", b"[")
        if not stack:
            path: Path = ()
        elif stack[-1][1] >= 0:
            parent, index = stack[-1]
            stack[-1] = (parent, index + 1)
            path = (*parent, index)
        elif key is None:
            key, key_line = _text_of(word), line
            continue
        else:
            path = (*stack[-1][0], key)
            key = None
            if path in lines:
                repeated[path] = key_line
        lines[path] = key_line if opens and path and isinstance(path[-1], str) else line
        if opens:
            stack.append((path, -1 if word == b"{" else 0))
    return lines, repeated


def _text_of(token: bytes) -> str:
    text: Any = msgspec.json.decode(token)
    return str(text)
