"""Policies that Outgate does not read, so that nobody takes an answer for the whole.

An answer from NetworkPolicies alone is wrong where Cilium or Calico has denied the connection by a policy of its own.
Files say what is in them: a kind that is not read is counted there, and said if it is a kind of policy. Of a live
cluster only the kinds that are asked for come back, so the groups of the known products are looked for, and one object
of each kind is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from outgate.model.parse_shapes import OBJECTS

if TYPE_CHECKING:  # a verb that reads files needs no HTTP
    from outgate.cluster.client import Client

__all__ = ["passed_over", "unread_policies"]

_KINDS: Mapping[str, Mapping[str, str]] = {
    "policy.networking.k8s.io": {
        "clusternetworkpolicies": "ClusterNetworkPolicy",
        "adminnetworkpolicies": "AdminNetworkPolicy",
        "baselineadminnetworkpolicies": "BaselineAdminNetworkPolicy",
    },
    "cilium.io": {
        "ciliumnetworkpolicies": "CiliumNetworkPolicy",
        "ciliumclusterwidenetworkpolicies": "CiliumClusterwideNetworkPolicy",
    },
    "crd.projectcalico.org": {"networkpolicies": "NetworkPolicy", "globalnetworkpolicies": "GlobalNetworkPolicy"},
    "projectcalico.org": {"networkpolicies": "NetworkPolicy", "globalnetworkpolicies": "GlobalNetworkPolicy"},
    "crd.antrea.io": {"networkpolicies": "NetworkPolicy", "clusternetworkpolicies": "ClusterNetworkPolicy"},
    "k8s.ovn.org": {"egressfirewalls": "EgressFirewall"},
    "networking.k8s.aws": {
        "applicationnetworkpolicies": "ApplicationNetworkPolicy",
        "clusternetworkpolicies": "ClusterNetworkPolicy",
    },
    "networking.gke.io": {"fqdnnetworkpolicies": "FQDNNetworkPolicy"},
    "k8s.cni.cncf.io": {"multi-networkpolicies": "MultiNetworkPolicy"},
}


class _Version(msgspec.Struct):
    version: str


class _Group(msgspec.Struct):
    name: str
    versions: list[_Version] = []


class _Groups(msgspec.Struct):
    """metav1.APIGroupList."""

    groups: list[_Group] = []


class _Some(msgspec.Struct):
    """A list of which it matters only if it has anything."""

    items: list[Any] | None = None


def passed_over(skipped: Mapping[str, int]) -> Iterator[str]:
    """A note for each kind of policy among objects that were passed over: `skipped` counts them by apiVersion/kind."""
    for name, count in skipped.items():
        version, _, kind = name.rpartition("/")
        if kind in _KINDS.get(version.rpartition("/")[0], {}).values():
            what = f"1 {kind} of {version} is" if count == 1 else f"{count} objects {kind} of {version} are"
            yield f"{what} not read and not part of the answer"


def unread_policies(client: Client) -> Iterator[str]:
    """A note for each kind of policy that the cluster has and Outgate does not read.

    Raises:
        ClusterError: the server gives no answer at all.
    """
    name = client.access.name
    try:
        groups = msgspec.json.decode(client.get("/apis").body, type=_Groups).groups
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        groups = []
    if not groups:
        yield f"{name} does not say which other kinds of policy it has; they would not be part of the answer"
    for group in groups:
        for plural, kind in _KINDS.get(group.name, {}).items():
            versions = [one.version for one in group.versions]
            if any((f"{group.name}/{version}", kind) in OBJECTS for version in versions):
                continue
            found = next(filter(None, (_said(client, group.name, version, plural) for version in versions)), "")
            if found:
                what = f"{name} {found} {plural}.{group.name}"
                yield f"{what}, which Outgate does not read: they are not part of the answer"


def _said(client: Client, group: str, version: str, plural: str) -> str:
    """Whether there is an object of a kind, in a word; empty where there is none."""
    answer = client.get(f"/apis/{group}/{version}/{plural}", {"limit": "1"})
    if answer.status == 404:
        return ""
    try:
        items = msgspec.json.decode(answer.body, type=_Some).items
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        items = None
    if answer.status != 200:
        return "may have"
    return "has" if items else ""
