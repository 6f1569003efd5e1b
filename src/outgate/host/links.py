"""Links, addresses and routes, by iproute2 in batches.

One process for each network namespace reads all lines from standard input: fifty pods are a few
dozen processes, not thousands. A line that fails is named in the error, as typed. What a batch has added can be used
when it returns; of IPv6 addresses that is not iproute2's doing, and is waited for (`ready`).
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterable, Iterator

from outgate.errors import KernelError, NotPermitted
from outgate.host import process, ready
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
        KernelError: a line failed, with the line and what iproute2 said; or iproute2 is not installed; or an
            IPv6 address that was added to an interface that is up did not become local.
    """
    typed = tuple(lines)
    if not typed:
        return
    with inside.enter() if inside else contextlib.nullcontext():
        done = process.run(("ip", "-batch", "-"), input="\n".join(typed) + "\n", check=False)
        if done.code == 0:
            ready.await_local(_added(typed))
            return
    failed = _FAILED_LINE.search(done.stderr)
    line = typed[int(failed[1]) - 1] if failed and 0 < int(failed[1]) <= len(typed) else "a batch"
    said = _FAILED_LINE.sub("", done.stderr).strip() or f"code {done.code}"
    where = f" in the network namespace {inside.name}" if inside else ""
    kind = NotPermitted if "Operation not permitted" in said else KernelError
    raise kind(f"ip {line}{where}: {said}")


def _added(lines: Iterable[str]) -> Iterator[tuple[ipaddress.IPv6Address, str]]:
    """The IPv6 addresses that lines like ``addr add fd00::2/128 dev lo nodad`` add, with their interfaces."""
    for line in lines:
        # iproute2 takes any beginning of its words (ip-address(8): ``ip address add``, ``ip a a``).
        match line.split():
            case [thing, verb, *rest] if rest and "address".startswith(thing) and _adds(verb) and "dev" in rest[:-1]:
                written = next((word for word in rest if ":" in word), "")
                with contextlib.suppress(ValueError):
                    yield ipaddress.IPv6Interface(written).ip, rest[rest.index("dev") + 1]


def _adds(verb: str) -> bool:
    return any(whole.startswith(verb) for whole in ("add", "change", "replace"))
