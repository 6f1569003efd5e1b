"""A function run in a network namespace of its own, which ends with it.

The child is one process that starts others (`nft`), so it takes no process namespace; what it starts inherits the
network namespace. Its result, or what it raised, comes back over a pipe.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from outgate.host import process
from outgate.host.namespaces import die_with_parent

__all__ = ["Failed", "alone", "drop_rights"]

CLONE_NEWUSER = 0x1000_0000
CLONE_NEWNET = 0x4000_0000

Result = TypeVar("Result")


class Failed(AssertionError):
    """What the function raised in its namespace, as text."""


def alone(function: Callable[[], Result], *, rootless: bool = False) -> Result:
    """Call the function in a new network namespace and return what it returns, which must be picklable.

    With `rootless`, or where this is no root, it runs as root of a new user namespace.
    """
    reading, writing = os.pipe()

    def child() -> int:
        os.close(reading)
        answer: tuple[bool, object]
        try:
            _unshare(rootless=rootless or os.geteuid() != 0)
            answer = (True, function())
        except BaseException:  # noqa: BLE001 -- whatever it is, the parent is to see it
            answer = (False, traceback.format_exc())
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(answer))
        return 0

    pid = process.fork(child)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    good, result = pickle.loads(answer)
    if not good:
        raise Failed(f"in its namespace:\n{result}")
    return result  # type: ignore[no-any-return] # pickle does not know


def _unshare(*, rootless: bool) -> None:
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET | (CLONE_NEWUSER if rootless else 0)) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if rootless:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    die_with_parent()


def drop_rights() -> None:
    """Become a user without any right over this namespace, for as long as this process lives."""
    libc = ctypes.CDLL(None, use_errno=True)
    # A user namespace of one's own gives rights over what is made in it, and none over what was there before.
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
