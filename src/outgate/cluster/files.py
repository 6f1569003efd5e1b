"""Manifests from files, folders and standard input, and from whoever else has them.

A folder stands for everything below it whose name ends in .yaml, .yml or .json, in the order of the names; what is
hidden (a name that begins with a dot) is left alone. A file that is named is read whatever it is called, a pipe
included. What cannot be opened is the caller's mistake and stops everything, all such mistakes at once; what can be
opened and not understood is an error in the input, beside the rest.
"""

from __future__ import annotations

import codecs
import gc
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from outgate.cluster.reading import Unreadable
from outgate.cluster.sources import Objects, Source, Text
from outgate.errors import InputError, InvalidInput, unusable
from outgate.model.parse import Keep, Parsed, Refused, parse
from outgate.model.place import Document
from outgate.model.snapshot import Snapshot
from outgate.records import dataclass

if TYPE_CHECKING:
    from outgate.model.parse_pods import TypedPod

__all__ = ["Loaded", "documents_of", "is_manifest", "load", "open_file", "read_documents"]

_ENDINGS = (".yaml", ".yml", ".json")

# The longer mark of UTF-32 begins like the one of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the input holds. Objects among the `errors` are not in the snapshot."""

    snapshot: Snapshot
    errors: tuple[InputError, ...] = ()
    warnings: tuple[InputError, ...] = ()
    objects: int = 0
    """All objects that were read: the refused ones and the skipped kinds included, the items of lists one by one."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """What is not for us, by apiVersion/kind."""
    refused: tuple[Refused, ...] = ()
    """The objects behind the errors. Errors beyond theirs are texts that could not be read as objects at all."""
    unreadable: tuple[InputError, ...] = ()
    """Those errors: documents that are no YAML or JSON."""


def load(
    inputs: Sequence[str | Source],
    *,
    strict: bool = False,
    namespace: str = "default",
    stored: bool | None = False,
    keep: Keep | None = None,
) -> Loaded:
    """Read manifests: files, folders, ``-`` for standard input, and sources that somebody else has opened.

    `namespace` is for namespaced objects that name none. For `stored` and `keep` see `outgate.model.parse.parse`. With
    `strict` any error is raised, all of them in one InvalidInput. What cannot be opened is raised always.
    """
    opened = _opened(inputs)
    unreadable = Unreadable()
    # Hundreds of thousands of objects are made and none of them is garbage: the collector would only look for it.
    collecting = gc.isenabled()
    gc.disable()
    try:
        parsed = parse(_documents(opened, unreadable), default_namespace=namespace, stored=stored, keep=keep)
    finally:
        if collecting:
            _let_grow_old()
            gc.enable()
    loaded = _loaded(parsed, unreadable, [one if isinstance(one, str) else one.name for one in opened])
    if strict and loaded.errors:
        raise InvalidInput(loaded.errors)
    return loaded


def is_manifest(steps: Sequence[str]) -> bool:
    """Say if a file below a folder is read, by the steps of its path from there: by its ending, and not hidden."""
    return steps[-1].endswith(_ENDINGS) and not any(step.startswith(".") for step in steps)


def _let_grow_old() -> None:
    """Count everything that lives as old, so that the collector does not walk over all of it when it comes back."""
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()


def _loaded(parsed: Parsed, unreadable: Unreadable, files: Sequence[str]) -> Loaded:
    """In the order of the files and lines; the errors of one object stay together, in the server's order."""
    order = {file: number for number, file in enumerate(files)}

    def place(errors: Sequence[InputError]) -> tuple[int, int]:
        # The objects of a cluster are in no file of the list, and stay in the order in which they came.
        return order.get(errors[0].file, -1), min(error.line for error in errors)

    groups = [*((error,) for error in unreadable.errors), *(one.errors for one in parsed.refused)]
    warnings = [(warning,) for warning in (*unreadable.warnings, *parsed.warnings)]
    return Loaded(
        parsed.snapshot,
        tuple(error for group in sorted(groups, key=place) for error in group),
        tuple(warning for group in sorted(warnings, key=place) for warning in group),
        parsed.objects,
        parsed.skipped,
        parsed.refused,
        tuple(unreadable.errors),
    )


def read_documents(filenames: Sequence[str]) -> list[Document]:
    """The documents of files and folders, whatever their kind: for files that are no manifests.

    Raises InvalidInput with all that cannot be opened or read.
    """
    unreadable = Unreadable()
    opened = (open_file(file) for file in _opened(filenames) if isinstance(file, str))
    found = [one for file, data in opened for one in documents_of(data, file, unreadable, whole=True)]
    if unreadable.errors:
        raise InvalidInput(unreadable.errors)
    return found


def documents_of(data: bytes, file: str, unreadable: Unreadable, *, whole: bool = False) -> Iterator[Document]:
    """The documents of the bytes of one file, YAML or JSON; what cannot be read is reported.

    `whole`: with everything in them, also where they are of no kind that `outgate.model.parse` looks at.
    """
    for one in _objects_of(data, file, unreadable, whole=whole):
        if isinstance(one, Document):
            yield one
        else:
            yield from one.whole()


def _objects_of(
    data: bytes, file: str, unreadable: Unreadable, *, whole: bool = False
) -> Iterator[Document | TypedPod]:
    """The same, the pods of JSON in their type."""
    text = _in_utf8(data, file, unreadable)
    if text is None:
        return
    named_json = file.endswith(".json")
    if named_json or text.lstrip()[:1] in (b"{", b"["):
        from outgate.cluster.jsontext import BadJsonError, read_typed  # noqa: PLC0415 - only where there is JSON

        try:
            yield from read_typed(text, file, unreadable, whole=whole)
            return
        except BadJsonError as error:
            # Braces begin YAML as well, and then its own reader gives the better answer.
            if named_json:
                unreadable.errors.append(InputError(file, error.line, "", error.message))
                return
    from outgate.cluster.yamltext import read_yaml  # noqa: PLC0415 - only where there is YAML

    yield from read_yaml(text, file, unreadable)


def _in_utf8(data: bytes, file: str, unreadable: Unreadable) -> bytes | None:
    """The text without its byte-order mark; None, and an error, where the bytes are not what the mark says."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            rest = data[len(mark) :]
            if encoding == "utf-8":
                return rest
            try:
                return rest.decode(encoding).encode()
            except UnicodeError as error:
                words = f"this is not the {encoding.upper()[:6]} that its first bytes announce: {error}"
                unreadable.errors.append(InputError(file, 1, "", words))
                return None
    return data


def _documents(opened: Sequence[str | Source], unreadable: Unreadable) -> Iterator[Document | TypedPod]:
    for one in opened:
        match one:
            case Objects():
                yield from one.documents
            case Text():
                yield from _objects_of(one.data, one.name, unreadable)
            case str():
                file, data = open_file(one)
                yield from _objects_of(data, file, unreadable)


def open_file(file: str) -> tuple[str, bytes]:
    """A file's name and its bytes. Raises InvalidInput where it cannot be read."""
    try:
        return file, _read(file)
    except OSError as error:
        raise InvalidInput([unusable(file, "read", error)]) from error


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    with open(file, "rb") as opened:
        return opened.read()


def _opened(inputs: Sequence[str | Source]) -> list[str | Source]:
    """What to read, folders as their files, each once. Raises InvalidInput with all that cannot be opened."""
    found: dict[str, str | Source] = {}
    errors: list[InputError] = []
    for name in inputs:
        if not isinstance(name, str):
            found[name.name] = name
        elif name == "-":
            found[name] = name
        elif os.path.isdir(name):
            below = list(_below(name, errors))
            if not below and not errors:
                errors.append(InputError(name, 0, "", f"this folder has no file that ends in {', '.join(_ENDINGS)}"))
            found.update((file, file) for file in below)
        else:
            found[name] = name
    files = [one for one in found.values() if isinstance(one, str)]
    errors += [problem for file in files if (problem := _problem(file)) is not None]
    if errors:
        raise InvalidInput(errors, hint="give a file, a folder, or - for standard input")
    return list(found.values())


def _below(folder: str, errors: list[InputError]) -> Iterator[str]:
    def failed(error: OSError) -> None:
        errors.append(unusable(str(error.filename or folder), "read", error))

    for place, folders, names in os.walk(folder, onerror=failed):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            path = os.path.join(place, name)
            # A pipe or a socket that lies about is not asked for by name, and would be waited on for ever.
            if is_manifest([name]) and not _is_special(path):
                yield path


def _is_special(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _problem(file: str) -> InputError | None:
    """Why a file cannot be opened; None where it can. A pipe is not tried: opening it would take from it."""
    if file == "-":
        return None
    try:
        if stat.S_ISREG(os.stat(file).st_mode):
            with open(file, "rb"):
                return None
    except OSError as error:
        return unusable(file, "read", error)
    except ValueError:
        return InputError(file.replace("\0", "\\0"), 0, "", "cannot be read: this is no file name")
    return None
