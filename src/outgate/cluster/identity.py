"""The credentials that are in use, for any number of threads, and when to ask for others.

A token file is written anew every hour, well before the old token runs out; it is looked at before each request, and
read when it is another one. Where it cannot be read at that moment (it is being replaced, the disk is ill) the token
that was good a moment ago is sent: it may still be good, and the server says so if it is not.
"""

from __future__ import annotations

import threading

from outgate.cluster.access import Access, Credentials
from outgate.errors import OutgateError

__all__ = ["Identity"]


class Identity:
    """Who we are, asked for when it is needed, and once for all who need it: a plugin takes seconds."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._known: Credentials | None = None
        self._stamp: object = None

    def credentials(self) -> Credentials:
        """Those to send with the next request; the same object until there are others.

        Raises:
            ClusterError, InvalidInput: there are none.
        """
        with self._lock:
            stamp = self._access.stamp()
            if self._known is not None and (stamp is None or stamp == self._stamp):
                return self._known
            try:
                found = self._access.identify()
            except OutgateError:
                if self._known is None:
                    raise
                return self._known
            # The stamp was taken before the file was read: one that changed in between is read once more.
            self._stamp = stamp
            self._known = found
            return found

    def forget(self) -> None:
        """The server does not take them any more."""
        with self._lock:
            self._known = None
