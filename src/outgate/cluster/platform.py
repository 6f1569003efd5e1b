"""What a live cluster says of itself beside the objects that decide about traffic.

    told = platform(client)
    told.served       its version, its API groups
    told.settings     the ConfigMaps by which network plugins are set, as documents
    told.unread       kinds of policy that are there and not read

All of it makes an answer richer and none of it is needed: what is refused is left out, and is not known afterwards.
"""

from __future__ import annotations

from typing import Any

import msgspec

from outgate.analysis.doctor_facts import OtherPolicy, Served
from outgate.cluster.client import Answer, Client
from outgate.cluster.others import api_groups, unread_kinds
from outgate.model.place import Document
from outgate.model.switches import SETTINGS
from outgate.records import dataclass

__all__ = ["Platform", "platform", "settings_of"]

_NAMESPACE = "kube-system"


@dataclass(frozen=True, slots=True)
class Platform:
    """What was said."""

    served: Served
    settings: tuple[Document, ...]
    unread: tuple[OtherPolicy, ...]


class _Version(msgspec.Struct):
    """version.Info."""

    gitVersion: str = ""  # noqa: N815 - the name in the text


def platform(client: Client) -> Platform:
    """Ask for all of it.

    Raises:
        ClusterError: the server gives no answer at all.
    """
    groups = api_groups(client)
    settings, absent = settings_of(client)
    served = Served(_version(client.get("/version")), frozenset(groups) if groups else None, absent)
    unread = tuple(OtherPolicy(name, certain=certain) for name, certain in unread_kinds(client, groups))
    return Platform(served, settings, unread)


def settings_of(client: Client) -> tuple[tuple[Document, ...], frozenset[tuple[str, str]]]:
    """The ConfigMaps that say how the network is set, and those that do not exist, by namespace and name."""
    found: list[Document] = []
    absent: set[tuple[str, str]] = set()
    for name in SETTINGS:
        answer = client.get(f"/api/v1/namespaces/{_NAMESPACE}/configmaps/{name}")
        if answer.status == 404:
            absent.add((_NAMESPACE, name))
        value = _object(answer)
        if value is not None:
            file = f"{client.access.name}/configmaps/{_NAMESPACE}/{name}"
            metadata = {"name": name, "namespace": _NAMESPACE}
            whole = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": value.get("data")}
            found.append(Document(file, whole, stored=True))
    return tuple(found), frozenset(absent)


def _object(answer: Answer) -> dict[str, Any] | None:
    if answer.status != 200:
        return None
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _version(answer: Answer) -> str:
    try:
        return msgspec.json.decode(answer.body, type=_Version).gitVersion if answer.status == 200 else ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
