"""From a written end to the things of the snapshot that it means.

Names are looked up in this order: names given with an address, pods and workloads, Services, cluster DNS. What is
not found is never guessed: the error names the nearest names that the input has. Cluster DNS is answered as the
"Kubernetes DNS-Based Service Discovery" specification says: ``service.namespace.svc`` and, behind a headless
Service, ``hostname.service.namespace.svc``; ``a-b-c-d.namespace.pod`` for pods.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from outgate.analysis.targets import Named, Noun, Written, kind_of
from outgate.errors import UnknownName, UsageError
from outgate.model import Node, Pod, Service, Snapshot, Workload
from outgate.model.objects import CLUSTER_DOMAIN
from outgate.model.services import endpoints
from outgate.packets import Address
from outgate.packets.addresses import Network
from outgate.policy.names import Pattern, not_a_name

__all__ = [
    "AddressTarget",
    "BlockTarget",
    "Lookup",
    "NameTarget",
    "NodeTarget",
    "PodsTarget",
    "ServiceTarget",
    "Target",
    "known_namespace",
]

_ALIASES = 8
"""How many ExternalName Services may stand behind each other; resolvers give up after about as many."""


@dataclass(frozen=True, slots=True)
class PodsTarget:
    """A pod, or the pods of a workload: `kind` is Pod or the workload's."""

    kind: str
    namespace: str
    name: str
    pods: tuple[Pod, ...]
    part: tuple[str, ...] = ()
    """Labels or names that chose these pods among all of the workload; empty where all are meant."""
    asked: str = ""
    """The name of cluster DNS under which they were found; empty where they were found as pods."""

    def __str__(self) -> str:
        whole = f"{self.namespace}/{self.name}" if self.kind == "Pod" else f"{self.namespace}/{self.kind}/{self.name}"
        return f"{whole}[{','.join(self.part)}]" if self.part else whole


@dataclass(frozen=True, slots=True)
class AddressTarget:
    """Addresses: one that was written, or those that a name stands for."""

    addresses: tuple[Address, ...]
    name: str = ""
    """The name that is asked for, which rules about names are about."""
    alias_of: str = ""
    """The name outside of the cluster that an ExternalName Service gives it; empty where there is none between."""

    def __str__(self) -> str:
        return self.name or ", ".join(map(str, self.addresses))


@dataclass(frozen=True, slots=True)
class BlockTarget:
    """All addresses of a CIDR."""

    network: Network

    def __str__(self) -> str:
        return str(self.network)


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """A Service: what is dialled is its address and port, what is judged are the endpoints behind it."""

    service: Service
    asked: str = ""
    """The name of cluster DNS by which it was asked for, be it that of an ExternalName Service; empty where by none."""

    @property
    def name(self) -> str:
        """The name of cluster DNS that is asked for."""
        return self.asked or self.service.dns_name

    def __str__(self) -> str:
        return f"svc/{self.service}"


@dataclass(frozen=True, slots=True)
class NodeTarget:
    """A node, by its addresses."""

    node: Node

    def __str__(self) -> str:
        return f"node/{self.node.name}"


@dataclass(frozen=True, slots=True)
class NameTarget:
    """A DNS name of something outside of the cluster, that nobody gave an address for."""

    name: str
    alias_of: str = ""
    """As that of an `AddressTarget`."""

    def __str__(self) -> str:
        return self.name


Target = PodsTarget | AddressTarget | BlockTarget | ServiceTarget | NodeTarget | NameTarget


@dataclass(frozen=True)
class Lookup:
    """Finds ends in one snapshot.

    `namespace` is the one for names given without any; None: all are searched, and a name that several have is
    refused. `names` are DNS names that the user resolved. `patterns` are those that rules speak of: where there are
    some, a name outside of the cluster is found without an address, be it meant by them or not.
    """

    snapshot: Snapshot
    namespace: str | None = None
    names: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()

    def find(self, written: Written) -> Target:
        """What a written end means. Raises UnknownName, or UsageError where it means several things."""
        if isinstance(written, Network):
            return BlockTarget(written)
        if isinstance(written, Address):
            return AddressTarget((written,))
        return _part_of(self._named(written), written.part)

    def _named(self, written: Named) -> Target:
        match written.noun:
            case Noun.NODE:
                return self._node(written.name)
            case Noun.SERVICE:
                return self._service(written.name, written.namespace)
            case Noun.WORKLOAD:
                return self._workload(written)
            case Noun.ANYTHING:
                return self._anything(written.name)

    def _node(self, name: str) -> Target:
        node = self.snapshot.nodes.get(name)
        if node is None:
            on_it = any(pod.node == name for pod in self.snapshot.pods)
            why = ": pods name it, but its Node object is missing, and with it its addresses" if on_it else ""
            raise UnknownName(f"no node {name} in the input{why}", hint=_nearest(name, self.snapshot.nodes))
        if not node.addresses:
            raise UnknownName(f"node {name} has no address in the input")
        return NodeTarget(node)

    def _service(self, name: str, namespace: str | None) -> Target:
        wanted = namespace or self.namespace
        found = [one for one in self.snapshot.services if one.name == name and wanted in (None, one.namespace)]
        if not found:
            where = f"{wanted}/{name}" if wanted else name
            known = {f"svc/{one}": one.name for one in self.snapshot.services}
            raise UnknownName(f"no Service {where} in the input", hint=_nearest(f"svc/{where}", known))
        _refuse_several(name, [f"svc/{one}" for one in found])
        return self._behind(found[0], (found[0].dns_name,))

    def _workload(self, written: Named) -> Target:
        first, name = written.namespace or "", written.name
        if written.kind:
            return self._of_kind(kind_of(written.kind) or written.kind, first, name)
        shorthand = kind_of(first)
        if shorthand is not None and first not in self.snapshot.namespaces:
            return self._of_kind(shorthand, self.namespace, name)
        pod = self.snapshot.pod(first, name)
        if pod is not None and not pod.assumed:
            return self._only([_of_pod(pod)], str(pod), "Pod")
        # `namespace/name` where only a workload has that name: its pods are meant, and there is no other reading.
        found = [one for one in self._everybody if (one.namespace, one.name) == (first, name)]
        return self._only(found, f"{first}/{name}", "pod or workload")

    def _of_kind(self, kind: str, namespace: str | None, name: str) -> Target:
        found = [
            one
            for one in self._everybody
            if one.name == name and one.kind.lower() == kind.lower() and namespace in (None, one.namespace)
        ]
        return self._only(found, name if namespace is None else f"{namespace}/{name}", kind)

    def _anything(self, name: str) -> Target:
        given = self._given(name)
        if given is not None:
            return given
        found = [one for one in self._everybody if one.name == name and self.namespace in (None, one.namespace)]
        if found:
            # Where a pod and a workload share the name, the pod is meant, as in `namespace/pod`.
            pods = [one for one in found if one.kind == "Pod"]
            return self._only(pods if len({one.namespace for one in found}) == len(pods) else found, name, "")
        if "." not in name:
            services = [s for s in self.snapshot.services if s.name == name and self.namespace in (None, s.namespace)]
            if services:
                return self._service(name, None)
        return self._dns(name, ())

    def _only(self, found: list[PodsTarget], name: str, kind: str) -> Target:
        if not found:
            known = [*map(str, self._everybody), *(f"svc/{one}" for one in self.snapshot.services)]
            raise UnknownName(f"no {kind} {name} in the input", hint=_nearest(name, known))
        _refuse_several(name, [f"{one.namespace}/{one.kind.lower()}/{one.name}" for one in found])
        if not found[0].pods:
            raise UnknownName(f"{found[0]} has finished: it has no address and sends nothing")
        return found[0]

    @cached_property
    def _everybody(self) -> list[PodsTarget]:
        """Every pod, and every workload with its pods."""
        everybody: dict[tuple[str, str, str], list[Pod]] = {
            ("Pod", *pod.key): [] if pod.finished else [pod] for pod in self.snapshot.pods if not pod.assumed
        }
        for pod in self.snapshot.pods:
            if pod.owner is not None:
                members = everybody.setdefault((pod.owner.kind, pod.namespace, pod.owner.name), [])
                members.extend([] if pod.finished else [pod])
        for one in self.snapshot.workloads:
            everybody.setdefault((one.kind, one.namespace, one.name), list(self._beneath(one)))
        return [PodsTarget(*key, tuple(pods)) for key, pods in everybody.items()]

    def _beneath(self, workload: Workload) -> Iterable[Pod]:
        """The pods of a ReplicaSet or a Job, which the snapshot counts to the workload above it.

        The template of a ReplicaSet has the label pod-template-hash, which tells its pods from its brothers'.
        """
        if workload.owner is None:
            return ()
        pods = self.snapshot.pods_of(workload.namespace, workload.owner)
        return (pod for pod in pods if workload.labels.items() <= pod.labels.items())

    # --- names -----------------------------------------------------------------------------------

    def _given(self, name: str) -> AddressTarget | None:
        bare = _bare(name)
        addresses = self.names.get(bare)
        return AddressTarget(addresses, bare) if addresses else None

    def _dns(self, name: str, through: tuple[str, ...]) -> Target:
        if len(through) > _ALIASES or name in through:
            raise UnknownName(f"{name} is an alias of itself: {' → '.join((*through, name))}")
        target = self._given(name) or self._in_cluster(_bare(name), (*through, name))
        if target is None and not through and "." not in _bare(name):
            where = "in the input" if self.namespace is None else f"in namespace {self.namespace}"
            raise UnknownName(f"no pod, workload or Service {name} {where}", hint=_nearest(name, self._known_names()))
        return self._without_address(name) if target is None else target

    def _without_address(self, name: str) -> NameTarget:
        problem = not_a_name(name)
        if problem:
            raise UnknownName(f"{name}: {problem}")
        bare = _bare(name)
        meant = any(pattern.matches(bare) for pattern in self.patterns)
        if meant or (self.patterns and not self._may_be_in_cluster(bare)):
            return NameTarget(bare)
        raise UnknownName(
            f"{name} cannot be resolved from the input; give --dns-name {bare}=ADDRESS",
            hint=_nearest(name, self._known_names()),
        )

    def _may_be_in_cluster(self, name: str) -> bool:
        """Whether a name that cluster DNS does not know was likely meant for one that it does: nothing is guessed."""
        last = name.rpartition(".")[2]
        return last in {"svc", "pod", "local"} or last in self.snapshot.namespaces

    def _in_cluster(self, name: str, through: tuple[str, ...]) -> Target | None:
        """A name under the cluster domain, or one that the search path of a pod's resolver completes to one."""
        labels = name.removesuffix(f".{CLUSTER_DOMAIN}").split(".")
        match labels:
            case [*host, service, namespace, "svc"] if len(host) <= 1:
                return self._service_name(host, service, namespace, through)
            case [dashed, namespace, "pod"]:
                return self._pod_name(dashed, namespace)
            case [service, namespace] if namespace in self.snapshot.namespaces:
                return self._service_name([], service, namespace, through)
        return None

    def _service_name(self, host: list[str], name: str, namespace: str, through: tuple[str, ...]) -> Target | None:
        service = self.snapshot.service(namespace, name)
        if service is None:
            return None
        asked = ".".join((*host, service.dns_name))
        if not host:
            found = self._behind(service, (*through, asked))
            return found if service.external_name else _called(found, asked)
        for end in endpoints(self.snapshot, service):
            pod = self.snapshot.pod(*end.pod) if end.pod else None
            if (end.hostname or (pod.hostname or pod.name if pod is not None else "")) == host[0]:
                return _called(_of_pod(pod) if pod is not None else AddressTarget(end.addresses), asked)
        return None

    def _behind(self, service: Service, through: tuple[str, ...]) -> Target:
        if not service.external_name:
            return ServiceTarget(service)
        # What a pod asks for is the Service's name, and an answer opens what it does for the name that was asked.
        return _called(self._dns(service.external_name, through), service.dns_name)

    def _pod_name(self, dashed: str, namespace: str) -> Target | None:
        for pod in self.snapshot.pods_by_namespace.get(namespace, ()):
            if any(str(address).replace(".", "-").replace(":", "-") == dashed for address in pod.addresses):
                return _of_pod(pod)
        return None

    def _known_names(self) -> list[str]:
        services = (f"{one.name}.{one.namespace}.svc" for one in self.snapshot.services)
        return [*self.names, *services, *(str(one) for one in self._everybody)]


def _called(target: Target, asked: str) -> Target:
    """The same thing, found under a name of cluster DNS."""
    match target:
        case PodsTarget() | ServiceTarget():
            return replace(target, asked=asked)
        case AddressTarget() | NameTarget():
            return replace(target, name=asked, alias_of=target.alias_of or target.name)
    return target


def _of_pod(pod: Pod) -> PodsTarget:
    return PodsTarget("Pod", *pod.key, () if pod.finished else (pod,))


def _part_of(target: Target, part: tuple[str, ...]) -> Target:
    """The pods of a workload that have all of these labels; where names are written, those of these names."""
    if not part:
        return target
    if not isinstance(target, PodsTarget):
        raise UsageError(f"{target} has no pods to choose among: [{','.join(part)}] means nothing there")
    labels = dict(one.split("=", 1) for one in part if "=" in one)
    names = {one for one in part if "=" not in one}
    unknown = sorted(names - {pod.name for pod in target.pods})
    if unknown:
        raise UnknownName(f"no pod of {target} is called {unknown[0]}", hint=_nearest(unknown[0], _names(target)))
    found = tuple(
        pod for pod in target.pods if labels.items() <= pod.labels.items() and (not names or pod.name in names)
    )
    if not found:
        values = {f"{key}={pod.labels[key]}" for pod in target.pods for key in labels if key in pod.labels}
        hint = f"they have {', '.join(sorted(values)[:6])}" if values else ""
        raise UnknownName(f"no pod of {target} has {', '.join(part)}", hint=hint)
    return replace(target, pods=found, part=part)


def _names(target: PodsTarget) -> list[str]:
    return [pod.name for pod in target.pods]


def _bare(name: str) -> str:
    """DNS compares without case, and a last dot only says that the name is complete (RFC 1034, 3.1)."""
    return name.lower().removesuffix(".")


def _refuse_several(name: str, found: list[str]) -> None:
    if len(found) > 1:
        shown = ", ".join(found[:6]) + (f" and {len(found) - 6} more" if len(found) > 6 else "")
        raise UsageError(f"{name} could be any of {shown}", hint="write one of them, or give -n NAMESPACE")


def known_namespace(name: str, *snapshots: Snapshot) -> None:
    """Nothing, where one of the inputs has the namespace. Raises UnknownName: an answer about nothing is no answer."""
    known = dict.fromkeys(one for snapshot in snapshots for one in snapshot.namespaces)
    if name not in known:
        raise UnknownName(f"namespace {name} is not in the input", hint=_nearest(name, known))


def _nearest(name: str, known: Iterable[str]) -> str:
    """The nearest names, as advice; empty where nothing is near."""
    candidates = list(known)
    # The user may have the name right and the namespace wrong: those come first.
    last = name.rpartition("/")[2]
    same = [one for one in candidates if "/" in one and one.rpartition("/")[2] == last]
    # A kind in the middle is as good as none: `shop/wbe` is next to `shop/Deployment/web`.
    short: dict[str, list[str]] = {}
    for one in candidates:
        short.setdefault(_without_kind(one), []).append(one)
    close = difflib.get_close_matches(_without_kind(name), short, n=3, cutoff=0.6)
    close = [one for one in close if _alike(one.rpartition("/")[2], last)]
    near = list(dict.fromkeys((*same, *(one for each in close for one in short[each]))))[:3]
    return f"did you mean {' or '.join(near)}?" if near else ""


def _without_kind(name: str) -> str:
    """``namespace/name`` of whatever kind."""
    parts = name.removeprefix("svc/").split("/")
    return f"{parts[0]}/{parts[-1]}" if len(parts) > 1 else parts[0]


def _alike(name: str, other: str) -> bool:
    """Whether names without their namespace are near: half of the letters, in order."""
    return difflib.SequenceMatcher(None, name, other).ratio() >= 0.5
