"""Writing a file anew, so that a reader sees the old text or the new one and never half of one."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from outgate.errors import InputError, InvalidInput, unusable

__all__ = ["put", "rewrite"]


def rewrite(file: str, before: bytes, after: bytes) -> None:
    """Replace what a file holds; its permissions and, where it is a link, the link stay.

    Raises:
        InvalidInput: the file is not what it was when it was read, or cannot be written.
    """
    target = os.path.realpath(file)
    try:
        with open(target, "rb") as opened:
            if opened.read() != before:
                raise InvalidInput([InputError(file, 0, "", "has changed since it was read: not written")])
        mode = stat.S_IMODE(os.stat(target).st_mode)
        handle, beside = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".outgate-")
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(after)
            os.chmod(beside, mode)
            os.replace(beside, target)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise InvalidInput([unusable(file, "written", error)]) from error


def put(file: Path, data: bytes, *, mode: int | None = None) -> None:
    """Put data into a file that is ours, whatever was there; with these permissions, where they are given.

    What is half written has a name with a dot before and ``.new`` behind it, which no reader of folders takes up.

    Raises:
        OSError: it cannot be written. The file is then what it was.
    """
    beside = file.with_name(f".{file.name}.new")
    try:
        beside.write_bytes(data)
        if mode is not None:
            beside.chmod(mode)
        os.replace(beside, file)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
