"""Lists of an API server: all objects of a kind, page by page, as documents.

A page says where the next one begins (``continue``). The server keeps that place for some minutes only; a list that
takes longer is answered with 410 and begun again, and after a few times asked for in one piece.

The objects are decoded page by page and only as far as `outgate.model.parse` looks, so that a hundred thousand pods
are never here as the server prints them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import msgspec

from outgate.cluster.client import Answer, Client
from outgate.errors import ClusterError
from outgate.model.cluster_policy_schemas import V1ALPHA1, V1ALPHA2, V1BETA1
from outgate.model.hints import trimmed
from outgate.model.parse_decode import plain_type
from outgate.model.parse_shapes import OBJECTS, POLICIES
from outgate.model.place import Document
from outgate.records import dataclass

__all__ = ["RESOURCES", "RefusedError", "Resource", "discovery", "is_missing", "listed"]

PAGE = 500
RESTARTS = 3
"""How often a list is begun again before it is asked for in one piece."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind, and where its objects are listed."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True
    needed: bool = False
    """Without it there is no answer at all."""
    checked: bool = False
    """Only checks look at it, so that other verbs need not ask for it."""
    custom: bool = False
    """Of a CustomResourceDefinition, which a cluster need not have: its absence says that there are no such objects."""
    elsewhere: tuple[str, ...] = ()
    """Other versions, one of which a server may have instead: if it has several, each gives the same objects."""

    @property
    def versions(self) -> tuple[Resource, ...]:
        """The same in every version, in the order in which a server is asked for them."""
        return (self, *(dataclasses.replace(self, api_version=one, elsewhere=()) for one in self.elsewhere))

    @property
    def path(self) -> str:
        """The path of the list of all namespaces."""
        root = "apis" if "/" in self.api_version else "api"
        return f"/{root}/{self.api_version}/{self.plural}"

    @property
    def full(self) -> str:
        """The name that kubectl takes without a doubt: ``deployments.apps``."""
        group = self.api_version.rpartition("/")[0]
        return f"{self.plural}.{group}" if group else self.plural

    def place(self, cluster: str, metadata: Mapping[str, Any]) -> str:
        """What stands where a file name would: ``cluster:prod/networkpolicies/shop/web``."""
        steps = (cluster, self.plural, metadata.get("namespace"), metadata.get("name"))
        return "/".join(step for step in steps if isinstance(step, str) and step)


_CILIUM = "cilium.io/v2"
_HOOKS = "admissionregistration.k8s.io/v1"
_KNOWN = (
    # What others refer to comes first.
    Resource("v1", "Namespace", "namespaces", namespaced=False, needed=True),
    Resource("v1", "Node", "nodes", namespaced=False),
    Resource("apps/v1", "Deployment", "deployments"),
    Resource("apps/v1", "StatefulSet", "statefulsets"),
    Resource("apps/v1", "DaemonSet", "daemonsets"),
    Resource("apps/v1", "ReplicaSet", "replicasets"),
    Resource("v1", "ReplicationController", "replicationcontrollers"),
    Resource("batch/v1", "CronJob", "cronjobs"),
    Resource("batch/v1", "Job", "jobs"),
    Resource("v1", "Pod", "pods", needed=True),
    Resource("v1", "Service", "services"),
    Resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    Resource("networking.k8s.io/v1", "Ingress", "ingresses"),
    Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", needed=True),
    Resource(
        V1ALPHA2,
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
        namespaced=False,
        custom=True,
        elsewhere=(V1BETA1,),
    ),
    Resource(V1ALPHA1, "AdminNetworkPolicy", "adminnetworkpolicies", namespaced=False, custom=True),
    Resource(V1ALPHA1, "BaselineAdminNetworkPolicy", "baselineadminnetworkpolicies", namespaced=False, custom=True),
    Resource(_CILIUM, "CiliumNetworkPolicy", "ciliumnetworkpolicies", custom=True),
    Resource(
        _CILIUM, "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", namespaced=False, custom=True
    ),
    Resource(
        _CILIUM,
        "CiliumCIDRGroup",
        "ciliumcidrgroups",
        namespaced=False,
        custom=True,
        elsewhere=(f"{_CILIUM}alpha1",),
    ),
    Resource("v1", "ServiceAccount", "serviceaccounts", checked=True),
    Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", checked=True),
    Resource(
        "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False, checked=True
    ),
    Resource(
        _HOOKS, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=False, checked=True
    ),
    Resource(_HOOKS, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False, checked=True),
    Resource("apiregistration.k8s.io/v1", "APIService", "apiservices", namespaced=False, checked=True),
)

RESOURCES = tuple(one for one in _KNOWN if (one.api_version, one.kind) in OBJECTS)
"""What is asked for, in this order: all that the model reads. Endpoints say once more what the slices say."""


class RefusedError(Exception):
    """The server does not have a list, or does not give it to us; `answer` says which."""

    def __init__(self, resource: Resource, answer: Answer) -> None:
        super().__init__(f"{resource.full}: {answer.status}")
        self.resource = resource
        self.answer = answer


class _ListMeta(msgspec.Struct):
    """What a list says of itself. `resourceVersion` is where a watch would go on."""

    resourceVersion: str = ""  # noqa: N815 - the name in the text
    continue_: str = msgspec.field(default="", name="continue")


@dataclass(frozen=True, slots=True)
class _Page:
    metadata: _ListMeta
    items: list[Any]


class _Discovered(msgspec.Struct):
    name: str


class _Discovery(msgspec.Struct):
    """metav1.APIResourceList."""

    resources: list[_Discovered] = []


def discovery(resource: Resource) -> str:
    """The path at which a server says which kinds it has of a version. Whoever it knows at all may ask."""
    return f"/apis/{resource.api_version}"


def is_missing(answer: Answer, resource: Resource) -> bool:
    """Whether an answer of `discovery` says that the kind is not there.

    Rights come before paths: who may not list a kind is told 403 where there is none, too.
    """
    if answer.status == 404:
        return True
    try:
        told = msgspec.json.decode(answer.body, type=_Discovery).resources if answer.status == 200 else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = None
    return told is not None and all(one.name != resource.plural for one in told)


def listed(client: Client, resource: Resource) -> list[Document]:
    """All objects of a kind, each with its place.

    Raises:
        RefusedError: 403 or 404.
        ClusterError: no list comes about.
    """
    for _ in range(RESTARTS):
        values = _pages(client, resource, {"limit": str(PAGE)})
        if values is not None:
            break
    else:
        values = _pages(client, resource, {})
    if values is None:
        raise ClusterError(f"{client.access.name}: the list of {resource.full} expires again and again (410)")
    return [_document(client.access.name, resource, value) for value in values]


def _pages(client: Client, resource: Resource, query: Mapping[str, str]) -> list[Any] | None:
    """The items of all pages; None where the server has forgotten how to go on."""
    values: list[Any] = []
    token = ""
    while True:
        answer = client.get(resource.path, {**query, "continue": token} if token else query)
        if answer.status == 410:
            return None
        page = _page(client, resource, answer)
        values += page.items
        if not page.metadata.continue_:
            return values
        if page.metadata.continue_ == token:
            raise ClusterError(f"{client.access.name}: the list of {resource.full} goes round in a circle")
        token = page.metadata.continue_


def _page(client: Client, resource: Resource, answer: Answer) -> _Page:
    if answer.status in {403, 404}:
        raise RefusedError(resource, answer)
    what = f"{client.access.name}: the list of {resource.full}"
    if answer.status != 200:
        raise ClusterError(f"{what} is answered with {answer.status}: {answer.words}", hint=_advice(answer.status))
    try:
        found = _decoder(resource).decode(answer.body)
    except msgspec.ValidationError:
        # A value of a type that we do not know: read whole, so that the one object is set apart with the right words.
        found = _whole(what, answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _no_list(what) from error
    else:
        # Whole environments of a hundred thousand pods are not kept until the last page is here.
        if OBJECTS[resource.api_version, resource.kind] not in POLICIES:
            found.items = [trimmed(one) for one in found.items or ()]
    return _Page(found.metadata or _ListMeta(), found.items or [])


def _whole(what: str, answer: Answer) -> Any:
    try:
        return _page_decoder(dict[str, Any]).decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _no_list(what) from error


def _no_list(what: str) -> ClusterError:
    return ClusterError(f"{what} is answered with something that is no list", hint="is this an API server?")


def _advice(status: int) -> str:
    if 300 <= status < 400:
        return "the address leads elsewhere: give the kubeconfig the address of the API server itself"
    return "the API server is overloaded or ill; try again later" if status == 429 or status >= 500 else ""


@functools.cache
def _decoder(resource: Resource) -> msgspec.json.Decoder[Any]:
    """The decoder of a page; of a policy everything is kept, because it is read field by field and explained."""
    shape = OBJECTS[resource.api_version, resource.kind]
    return _page_decoder(dict[str, Any] if shape in POLICIES else plain_type(shape))


def _page_decoder(item: Any) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = [("items", list[item] | None), ("metadata", _ListMeta | None, None)]
    return msgspec.json.Decoder(msgspec.defstruct("Page", fields))


def _document(cluster: str, resource: Resource, value: dict[str, Any]) -> Document:
    """An object of a list; its items leave out what all of them are."""
    metadata = value.get("metadata")
    place = resource.place(cluster, metadata if isinstance(metadata, dict) else {})
    value["apiVersion"], value["kind"] = resource.api_version, resource.kind
    return Document(place, value, stored=True)
