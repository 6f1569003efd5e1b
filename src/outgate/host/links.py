"""Links, addresses and routes, by iproute2 in batches.

One process for each network namespace reads all lines from standard input: fifty pods are a few
dozen processes, not thousands. A line that fails is named in the error, as typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from outgate.errors import KernelError, NotPermitted
from outgate.host import process

__all__ = ["batch"]

_FAILED_LINE = re.compile(r"^Command failed -:(\d+)\s*$", re.MULTILINE)


def batch(lines: Iterable[str], *, namespace: str = "") -> None:
    """Runs lines of ``ip -batch`` in a named network namespace, or in the thread's own without a name.

    The first line that fails ends the batch; the lines before it have been done.

    Raises:
        NotPermitted: the kernel reports EPERM.
        KernelError: a line failed, with the line and what iproute2 said; or iproute2 is not installed.
    """
    typed = tuple(lines)
    if not typed:
        return
    place = ("-n", namespace) if namespace else ()
    done = process.run(("ip", *place, "-batch", "-"), input="\n".join(typed) + "\n", check=False)
    if done.code == 0:
        return
    failed = _FAILED_LINE.search(done.stderr)
    line = typed[int(failed[1]) - 1] if failed and 0 < int(failed[1]) <= len(typed) else "a batch"
    said = _FAILED_LINE.sub("", done.stderr).strip() or f"code {done.code}"
    where = f" in the network namespace {namespace}" if namespace else ""
    kind = NotPermitted if "Operation not permitted" in said else KernelError
    raise kind(f"ip {line}{where}: {said}")
