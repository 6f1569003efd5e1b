"""A live cluster as input: who answers for it, and all that it says.

    access = find_access(None, None, environment, run)
    fetched = fetch(Client(access))
    fetched.documents    every object that was given
    fetched.notes        what was not: kinds that the server does not have, or does not show to us, or that are not read

A kind that is missing makes the answer poorer and is said; of the policies for a whole cluster, which most clusters do
not have, that there are none of any version. Without namespaces, pods or network policies the answer
would be another one, so a refusal of these ends the work and names the permission.
"""

from __future__ import annotations

from collections.abc import Mapping

from outgate.cluster.access import Access, Runner, from_context, from_pod
from outgate.cluster.client import Client
from outgate.cluster.kubeconfig import kubeconfig_files, read_kubeconfig
from outgate.cluster.lists import RESOURCES, RefusedError, discovery, is_missing, listed
from outgate.cluster.others import unread_policies
from outgate.errors import ClusterError, UsageError
from outgate.model.cluster_policy_schemas import DEFINITIONS
from outgate.model.place import Document
from outgate.records import dataclass

__all__ = ["Fetched", "fetch", "find_access"]

_HELP = "give a context with --context, a file with --kubeconfig or KUBECONFIG, or run in a pod with a service account"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a cluster said."""

    documents: tuple[Document, ...]
    notes: tuple[str, ...] = ()


def find_access(context: str | None, kubeconfig: str | None, environment: Mapping[str, str], run: Runner) -> Access:
    """The cluster that is meant: the context that is named, else the current one, else that of the pod around us.

    `run` starts credential plugins.

    Raises:
        InvalidInput: a kubeconfig is broken, or has no such context.
        ClusterError: nothing says where there is a cluster.
    """
    files = kubeconfig_files(kubeconfig, environment)
    config = read_kubeconfig(files, needed=bool(kubeconfig))
    name = context or config.current
    if name:
        return from_context(config, name, run, kubeconfig=kubeconfig or "")
    if not kubeconfig:
        inside = from_pod(environment)
        if inside is not None:
            return inside
    if config.contexts:
        names = ", ".join(list(config.contexts)[:12])
        raise UsageError(
            f"{' and '.join(config.files)} has no current-context", hint=f"choose one with --context: {names}"
        )
    looked = " or ".join(files) or "KUBECONFIG and HOME are not set"
    raise ClusterError(f"there is no cluster to ask: no context in {looked}, and this is no pod", hint=_HELP)


def fetch(client: Client, *, checks: bool = False) -> Fetched:
    """All objects of the cluster that matter for traffic; for `checks`, those too that only these look at.

    Raises:
        ClusterError: the server cannot be reached, or refuses what there is no answer without.
    """
    documents: list[Document] = []
    notes: list[str] = []
    installed = False
    for resource in RESOURCES:
        if resource.checked and not checks:
            continue
        for one in resource.versions:
            try:
                documents += listed(client, one)
            except RefusedError as refused:
                if one.needed:
                    raise _without(client.access, refused) from refused
                if one.custom and _is_absent(client, refused):
                    continue
                notes.append(_left_out(client.access, refused))
            installed = installed or (one.api_version, one.kind) in DEFINITIONS
            break
    if not installed:
        notes.append(f"no ClusterNetworkPolicy is installed in this cluster ({client.access.name})")
    notes += unread_policies(client)
    return Fetched(tuple(documents), tuple(notes))


def _is_absent(client: Client, refused: RefusedError) -> bool:
    """Whether a kind that is refused is not installed at all."""
    if refused.answer.status == 404:
        return True
    return is_missing(client.get(discovery(refused.resource)), refused.resource)


def _check(access: Access, refused: RefusedError) -> str:
    namespaces = " -A" if refused.resource.namespaced else ""
    return f"{access.kubectl} auth can-i list {refused.resource.full}{namespaces}"


def _without(access: Access, refused: RefusedError) -> ClusterError:
    resource, answer = refused.resource, refused.answer
    if answer.status == 404:
        words = f"{access.name}: the server has no {resource.full}: {answer.words}"
        return ClusterError(words, hint="is this the address of a Kubernetes API server?")
    scope = " in all namespaces" if resource.namespaced else ""
    words = f"{access.name}: these credentials may not list {resource.full}{scope} (403): {answer.words}"
    hint = (
        f"a ClusterRole with the verb list on {resource.full} is missing; check with: {_check(access, refused)}; "
        "without rights for the whole cluster, save your namespaces with kubectl get -o yaml and give the file with -f"
    )
    return ClusterError(words, hint=hint)


def _left_out(access: Access, refused: RefusedError) -> str:
    resource = refused.resource
    if refused.answer.status == 404:
        return f"{access.name} has no {resource.full}; they are not part of the answer"
    return (
        f"{access.name} does not let these credentials list {resource.full}; they are not part of the answer "
        f"(check with: {_check(access, refused)})"
    )
