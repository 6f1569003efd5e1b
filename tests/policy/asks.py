"""Entries of `rules.http` for tests, in the order in which one says them: method, path, host, headers."""

from __future__ import annotations

from collections.abc import Iterable

from outgate.model.cilium import HeaderMatch, HttpMatch

__all__ = ["asks"]


def asks(method: str = "", path: str = "", host: str = "", headers: Iterable[str] = ()) -> HttpMatch:
    """An entry; headers are ``Name value``, or ``Name`` for any value."""
    parts = (one.partition(" ") for one in headers)
    wanted = tuple(HeaderMatch(name, value if blank else None) for name, blank, value in parts)
    return HttpMatch(path, method, host, wanted)
