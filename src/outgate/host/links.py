"""Links, addresses and routes, by iproute2 in batches.

One process for each network namespace reads all lines from standard input: fifty pods are a few
dozen processes, not thousands. A line that fails is named in the error, as typed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable

from outgate.errors import KernelError, NotPermitted
from outgate.host import process
from outgate.host.namespaces import NetworkNamespace

__all__ = ["batch"]

_FAILED_LINE = re.compile(r"^Command failed -:(\d+)\s*$", re.MULTILINE)


def batch(lines: Iterable[str], *, inside: NetworkNamespace | None = None) -> None:
    """Runs lines of ``ip -batch`` in a network namespace, or where the calling thread is.

    The thread itself enters, and not ``ip -n``: that mounts a sysfs as well (iproute2, `netns_switch`), which
    costs time and is refused to a user namespace inside a container.

    The first line that fails ends the batch; the lines before it have been done.

    Raises:
        NotPermitted: the kernel reports EPERM.
        KernelError: a line failed, with the line and what iproute2 said; or iproute2 is not installed.
    """
    typed = tuple(lines)
    if not typed:
        return
    with inside.enter() if inside else contextlib.nullcontext():
        done = process.run(("ip", "-batch", "-"), input="\n".join(typed) + "\n", check=False)
    if done.code == 0:
        return
    failed = _FAILED_LINE.search(done.stderr)
    line = typed[int(failed[1]) - 1] if failed and 0 < int(failed[1]) <= len(typed) else "a batch"
    said = _FAILED_LINE.sub("", done.stderr).strip() or f"code {done.code}"
    where = f" in the network namespace {inside.name}" if inside else ""
    kind = NotPermitted if "Operation not permitted" in said else KernelError
    raise kind(f"ip {line}{where}: {said}")
