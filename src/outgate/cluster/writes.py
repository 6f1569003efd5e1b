"""The writes of Outgate to an API server: an object is created, replaced whole, or removed by name. No others.

Two write: a probe that was asked for (`outgate.cluster.canary`), into a namespace of its own, and an agent's Events,
each under a name that nobody else has. So a write whose answer was lost may be sent again: that an object of this name
is there already (409) means that the first one did arrive, and that it is gone already (404) is what was wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from outgate.cluster.client import Answer, Client

__all__ = ["create", "remove", "replace"]


def create(client: Client, path: str, value: Mapping[str, Any]) -> Answer:
    """Make an object in a list; 409 where one of its name is there.

    Raises:
        ClusterError: the server gives no answer.
    """
    return client.send("POST", path, msgspec.json.encode(value))


def replace(client: Client, path: str, value: Mapping[str, Any]) -> Answer:
    """Put an object in the place of the one at a path; 404 where none is there.

    Raises:
        ClusterError: the server gives no answer.
    """
    return client.send("PUT", path, msgspec.json.encode(value))


def remove(client: Client, path: str, *, uid: str = "", at_once: bool = False) -> Answer:
    """Remove the object at a path: the one with that `uid`, where one is given, and no other (409).

    Raises:
        ClusterError: the server gives no answer.
    """
    options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    if uid:
        options["preconditions"] = {"uid": uid}
    if at_once:
        options["gracePeriodSeconds"] = 0
    return client.send("DELETE", path, msgspec.json.encode(options))
