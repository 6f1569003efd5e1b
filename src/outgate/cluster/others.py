"""Policies that no answer is made of, so that nobody takes an answer for the whole.

An answer from NetworkPolicies alone is wrong where Cilium or Calico has denied the connection by a policy of its own.
Files say what is in them: a kind that is not read is counted there, and said if it is a kind of policy. Of a live
cluster only the kinds that are asked for come back, so the groups of the known products are looked for, and one object
of each kind is asked for.

Policies of Cilium's are judged as any other. What Outgate does not do of what they ask for is closed, and said here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from outgate.errors import InputError
from outgate.model.cluster_policy_schemas import DEFINITIONS, GROUP
from outgate.model.parse_shapes import OBJECTS

if TYPE_CHECKING:  # a verb that reads files needs no HTTP
    from outgate.cluster.client import Client
    from outgate.model.snapshot import Snapshot

__all__ = [
    "api_groups",
    "kinds_passed_over",
    "not_enforced",
    "passed_over",
    "unread_kinds",
    "unread_policies",
]

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

_OURS = {kind: f"{kind} of {version}" for version, kind in DEFINITIONS}
"""Kinds of ours whose name others have too: EKS and Antrea have a ClusterNetworkPolicy of their own."""
_NAMES = {"NetworkPolicy", *_OURS}
"""What is a policy by its name, whoever may have made up its group."""


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
    for kind, version, count in kinds_passed_over(skipped):
        what = f"1 {kind} of {version} is" if count == 1 else f"{count} objects {kind} of {version} are"
        other = f"; this is not the {_OURS[kind]}" if kind in _OURS and not version.startswith(f"{GROUP}/") else ""
        yield f"{what} not read and not part of the answer{other}"


def kinds_passed_over(skipped: Mapping[str, int]) -> Iterator[tuple[str, str, int]]:
    """The kinds of policy among objects that were passed over: kind, apiVersion, and how many."""
    for name, count in skipped.items():
        version, _, kind = name.rpartition("/")
        if kind in _NAMES or kind in _KINDS.get(version.rpartition("/")[0], {}).values():
            yield kind, version, count


def not_enforced(snapshot: Snapshot) -> Iterator[InputError]:
    """A warning for each rule of Cilium's policies that asks for what Outgate does not do, and is closed."""
    for policy in snapshot.cilium_policies:
        for one in policy.not_enforced():
            what = "a rule that allows with it allows nothing, and one that denies denies all"
            words = f"{policy.kind} {policy}: {one.said}; {what}"
            yield InputError(one.place.file, one.place.line, one.place.path, words)


def unread_policies(client: Client) -> Iterator[str]:
    """A note for each kind of policy that the cluster has and Outgate does not read.

    Raises:
        ClusterError: the server gives no answer at all.
    """
    name = client.access.name
    groups = api_groups(client)
    if not groups:
        yield f"{name} does not say which other kinds of policy it has; they would not be part of the answer"
    for full, certain in unread_kinds(client, groups):
        what = f"{name} {'has' if certain else 'may have'} {full}"
        yield f"{what}, which Outgate does not read: they are not part of the answer"


def api_groups(client: Client) -> dict[str, list[str]]:
    """The API groups of a server, each with its versions; empty where it does not say.

    Raises:
        ClusterError: the server gives no answer at all.
    """
    try:
        groups = msgspec.json.decode(client.get("/apis").body, type=_Groups).groups
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        groups = []
    return {group.name: [one.version for one in group.versions] for group in groups}


def unread_kinds(client: Client, groups: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, bool]]:
    """The kinds of policy of these groups that have an object and are not read, as kubectl names them.

    False beside it where the server does not show whether there is one.
    """
    for group, versions in groups.items():
        for plural, kind in _KINDS.get(group, {}).items():
            if any((f"{group}/{version}", kind) in OBJECTS for version in versions):
                continue
            found = next(filter(None, (_said(client, group, version, plural) for version in versions)), "")
            if found:
                yield f"{plural}.{group}", found == "has"


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
