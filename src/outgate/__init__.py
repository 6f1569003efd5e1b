"""Egress control for Kubernetes.

Outgate answers three questions, each exactly: what may leave this pod (analysis), what really leaves it (enforcement
and real probes), and what should be allowed to leave (checks, scaffolds, recommendations). One model of policy stands
behind all three, and the kernel is held to it.

    from outgate import can_reach, connections, load

The names of the library (`outgate.api`) are loaded when they are used, so that every room can be used alone and the
command line answers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgate.version import __version__

if TYPE_CHECKING:
    from outgate.api import (
        PROFILES,
        Connection,
        ConnectionDiff,
        Connections,
        ExposureReport,
        InvalidInput,
        Profile,
        Reachability,
        Snapshot,
        can_reach,
        connections,
        diff,
        exposure,
        load,
    )

__all__ = [
    "PROFILES",
    "Connection",
    "ConnectionDiff",
    "Connections",
    "ExposureReport",
    "InvalidInput",
    "Profile",
    "Reachability",
    "Snapshot",
    "__version__",
    "can_reach",
    "connections",
    "diff",
    "exposure",
    "load",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        from outgate import api  # noqa: PLC0415 - see above

        return getattr(api, name)
    raise AttributeError(f"module 'outgate' has no attribute '{name}'")
