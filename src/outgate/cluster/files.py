"""Manifests from files, folders and standard input.

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
from dataclasses import dataclass, field

from outgate.cluster.reading import Unreadable
from outgate.errors import InputError, InvalidInput
from outgate.model.parse import Parsed, Refused, parse
from outgate.model.place import Document
from outgate.model.snapshot import Snapshot

__all__ = ["Loaded", "documents_of", "load", "read_documents"]

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


def load(filenames: Sequence[str], *, strict: bool = False, namespace: str = "default", stored: bool = False) -> Loaded:
    """Read manifests: files, folders, and ``-`` for standard input.

    `namespace` is for namespaced objects that name none. With `stored` the files are what a server held (see
    `outgate.model.parse.parse`). With `strict` any error is raised, all of them in one InvalidInput. What cannot be
    opened is raised always.
    """
    files = _files(filenames)
    unreadable = Unreadable()
    # Hundreds of thousands of objects are made and none of them is garbage: the collector would only look for it.
    collecting = gc.isenabled()
    gc.disable()
    try:
        parsed = parse(_documents(files, unreadable), default_namespace=namespace, stored=stored)
    finally:
        if collecting:
            gc.enable()
    loaded = _loaded(parsed, unreadable, files)
    if strict and loaded.errors:
        raise InvalidInput(loaded.errors)
    return loaded


def _loaded(parsed: Parsed, unreadable: Unreadable, files: Sequence[str]) -> Loaded:
    """In the order of the files and lines; the errors of one object stay together, in the server's order."""
    order = {file: number for number, file in enumerate(files)}

    def place(errors: Sequence[InputError]) -> tuple[int, int]:
        return order.get(errors[0].file, 0), min(error.line for error in errors)

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
    found = list(_documents(_files(filenames), unreadable, whole=True))
    if unreadable.errors:
        raise InvalidInput(unreadable.errors)
    return found


def documents_of(data: bytes, file: str, unreadable: Unreadable, *, whole: bool = False) -> Iterator[Document]:
    """The documents of the bytes of one file, YAML or JSON; what cannot be read is reported.

    `whole`: with everything in them, also where they are of no kind that `outgate.model.parse` looks at.
    """
    text = _in_utf8(data, file, unreadable)
    if text is None:
        return
    named_json = file.endswith(".json")
    if named_json or text.lstrip()[:1] in (b"{", b"["):
        from outgate.cluster.jsontext import BadJsonError, read_json  # noqa: PLC0415 - only where there is JSON

        try:
            yield from read_json(text, file, unreadable, whole=whole)
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


def _documents(files: Sequence[str], unreadable: Unreadable, *, whole: bool = False) -> Iterator[Document]:
    for file in files:
        try:
            data = _read(file)
        except OSError as error:
            raise InvalidInput([_cannot(file, error)]) from error
        yield from documents_of(data, file, unreadable, whole=whole)


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    with open(file, "rb") as opened:
        return opened.read()


def _cannot(file: str, error: OSError) -> InputError:
    words = (error.strerror or str(error)).lower()
    return InputError(file, 0, "", f"cannot be read: {words}")


def _files(filenames: Sequence[str]) -> list[str]:
    """The files to read, each once. Raises InvalidInput with all that is not there or cannot be opened."""
    found: dict[str, None] = {}
    errors: list[InputError] = []
    for name in filenames:
        if name == "-":
            found[name] = None
        elif os.path.isdir(name):
            below = list(_below(name, errors))
            if not below and not errors:
                errors.append(InputError(name, 0, "", f"this folder has no file that ends in {', '.join(_ENDINGS)}"))
            found.update(dict.fromkeys(below))
        else:
            found[name] = None
    errors += [problem for file in found if (problem := _problem(file)) is not None]
    if errors:
        raise InvalidInput(errors, hint="give a file, a folder, or - for standard input")
    return list(found)


def _below(folder: str, errors: list[InputError]) -> Iterator[str]:
    def failed(error: OSError) -> None:
        errors.append(_cannot(str(error.filename or folder), error))

    for place, folders, names in os.walk(folder, onerror=failed):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            path = os.path.join(place, name)
            # A pipe or a socket that lies about is not asked for by name, and would be waited on for ever.
            if name.endswith(_ENDINGS) and not name.startswith(".") and not _is_special(path):
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
        return _cannot(file, error)
    except ValueError:
        return InputError(file.replace("\0", "\\0"), 0, "", "cannot be read: this is no file name")
    return None
