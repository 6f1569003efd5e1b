"""How many files and sockets this process may have open."""

from __future__ import annotations

import resource

__all__ = ["raise_descriptor_limit"]


def raise_descriptor_limit() -> int:
    """Allow this process as many open files as it may have, and say how many that is.

    The soft limit is 1024 nearly everywhere, for programs that call select(2); none that uses epoll needs it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20
