"""The way of marked packets to the proxy: a routing rule for the mark, and a table in which everything is local.

A packet that TPROXY has given to a socket of this node still has the address of somebody else, and would be forwarded.
What has the mark is looked up here before anything else (docs/decisions/0017). Both families have their own; a node
without IPv6 has one.
"""

from __future__ import annotations

import contextlib

from outgate.errors import KernelError
from outgate.host import process

__all__ = ["PRIORITY", "TABLE", "ensure", "remove"]

TABLE = 28519
"""The routing table."""
PRIORITY = 150
"""Of the rule: before the main table (32766), behind that of the node's own addresses (0)."""


def ensure(mark: int) -> None:
    """Make rule and table for a bit of the packet's mark; where they are there, nothing changes.

    Raises:
        KernelError: they cannot be made for IPv4.
    """
    for family in ("-4", "-6"):
        try:
            process.run(("ip", family, "route", "replace", "local", "default", "dev", "lo", "table", str(TABLE)))
            if not process.run(("ip", family, "rule", "list", "pref", str(PRIORITY))).stdout.strip():
                process.run(("ip", family, "rule", "add", *_rule(mark)))
        except KernelError:
            if family == "-4":
                raise


def remove(mark: int) -> None:
    """Take rule and table away, as far as they are there."""
    for family in ("-4", "-6"):
        for words in (("rule", "del", *_rule(mark)), ("route", "flush", "table", str(TABLE))):
            with contextlib.suppress(KernelError):
                process.run(("ip", family, *words))


def _rule(mark: int) -> tuple[str, ...]:
    return "pref", str(PRIORITY), "fwmark", f"{mark:#x}/{mark:#x}", "lookup", str(TABLE)
