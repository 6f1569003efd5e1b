"""From decoded objects of the other kinds to the model: what they say about traffic, and nothing else.

These kinds are read and not validated: whether the server would accept a Deployment is not our business, but an
address that is none, or a name that is missing, would make every later answer wrong and is refused.

Which container ports count: those of ``containers``, and of ``initContainers`` that are sidecars
(``restartPolicy: Always``), since these run as long as the pod does. The ports of ordinary init containers do not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from outgate.model.hints import hints_of
from outgate.model.objects import (
    OWN_PREFIX,
    Address,
    Binding,
    Callout,
    Container,
    ContainerPort,
    EndpointSlice,
    Ingress,
    Namespace,
    Network,
    Node,
    Owner,
    Pod,
    Service,
    ServiceAccount,
    ServicePort,
    SliceEndpoint,
    SlicePort,
    Workload,
)
from outgate.model.parse_access import ACCESS_READERS
from outgate.model.parse_decode import Flaw
from outgate.model.place import Path, Place
from outgate.model.switches import container_of, node_switches
from outgate.model.validate_cidr import NOT_A_CIDR, read_address, read_cidr
from outgate.model.validate_text import port_name, port_number, quote

__all__ = ["PORT_PROTOCOLS", "READERS", "HostPod", "Made", "Troubles", "replica_set_of", "top_owner"]

_HASH_LABEL = "pod-template-hash"
PORT_PROTOCOLS = frozenset({"TCP", "UDP", "SCTP"})
"""What a port may be of (core/v1 Protocol)."""

_SERVICE_LABEL = "kubernetes.io/service-name"


@dataclasses.dataclass(frozen=True, slots=True)
class HostPod:
    """A pod on the network of a node whose addresses its status does not tell: the node's are to be filled in."""

    pod: Pod


Made = (
    Namespace | Pod | HostPod | Workload | Node | Service | EndpointSlice | Ingress | ServiceAccount | Binding | Callout
)


class Troubles:
    """Collects what is wrong with one object while it is read; `warnings` are no reason to refuse it."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self.warnings: list[Flaw] = []

    def address(self, text: str, at: Path) -> Iterator[Address]:
        """The address, or nothing and a flaw."""
        address = read_address(text)
        if address is None:
            words = f"Invalid value: {quote(text)}: must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            self.flaws.append(Flaw(at, words, at))
        else:
            yield address

    def addresses(self, texts: Iterable[str], at: Path) -> tuple[Address, ...]:
        """All of a list, each once."""
        found: dict[Address, None] = {}
        for i, text in enumerate(texts):
            address = read_address(text)
            if address is not None:
                found[address] = None
            elif text:
                tuple(self.address(text, (*at, i)))
        return tuple(found)

    def protocol(self, port: Mapping[str, Any], at: Path) -> str:
        """The protocol of a port, TCP where none is given; a flaw where no port has it (ValidateProtocol)."""
        text: str = port.get("protocol") or "TCP"
        if text not in PORT_PROTOCOLS:
            place = (*at, "protocol")
            known = ", ".join(map(quote, sorted(PORT_PROTOCOLS)))
            self.flaws.append(Flaw(place, f"Unsupported value: {quote(text)}: supported values: {known}", place))
            return "TCP"
        return text

    def number(self, number: int, at: Path) -> int:
        """A number as a port, with a flaw where it is none."""
        for words in port_number(number):
            self.flaws.append(Flaw(at, f"Invalid value: {number}: {words}", at))
        return number

    def network(self, text: str, at: Path) -> Iterator[Network]:
        """The block, or nothing and a flaw."""
        network = read_cidr(text)
        if network is None:
            self.flaws.append(Flaw(at, f"Invalid value: {quote(text)}: {NOT_A_CIDR}", at))
        else:
            yield network


Reader = Callable[[Mapping[str, Any], Place, Troubles], Iterable[Made]]


def _namespace(value: Mapping[str, Any], place: Place, _: Troubles) -> Iterator[Made]:
    metadata = value["metadata"]
    said = metadata.get("annotations", {})
    ours = {key: text for key, text in said.items() if key.startswith(OWN_PREFIX) and isinstance(text, str)}
    yield Namespace(metadata["name"], metadata.get("labels", {}), annotations=ours, place=place)


def _pod(value: Mapping[str, Any], place: Place, troubles: Troubles) -> Iterator[Made]:
    metadata, spec, status = value["metadata"], value.get("spec", {}), value.get("status", {})
    host = spec.get("hostNetwork", False)
    addresses = _pod_addresses(status, troubles, host=host)
    labels = metadata.get("labels", {})
    pod = Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        labels=labels,
        addresses=addresses,
        node=spec.get("nodeName", ""),
        ports=_container_ports(spec, ("spec",), troubles),
        host_network=host,
        finished=status.get("phase") in ("Succeeded", "Failed"),
        ready=_is_ready(metadata, status),
        owner=top_owner(metadata),
        uid=metadata.get("uid", ""),
        hostname=spec.get("hostname", ""),
        subdomain=spec.get("subdomain", ""),
        hints=hints_of(metadata, spec),
        place=place,
    )
    yield HostPod(pod) if host and not addresses else pod


def _pod_addresses(status: Mapping[str, Any], troubles: Troubles, *, host: bool) -> tuple[Address, ...]:
    """``podIPs``, of which ``podIP`` is the first; on a host network those of the host do as well."""
    for one, many in (("podIP", "podIPs"), ("hostIP", "hostIPs")) if host else (("podIP", "podIPs"),):
        found = troubles.addresses([entry.get("ip", "") for entry in status.get(many, ())], ("status", many))
        if not found and status.get(one):
            found = tuple(troubles.address(status[one], ("status", one)))
        if found:
            return found
    return ()


def _is_ready(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """The condition Ready; a pod of a manifest has none and is taken for ready, one that is ending is not."""
    if "deletionTimestamp" in metadata:
        return False
    said = [one.get("status") for one in status.get("conditions", ()) if one.get("type") == "Ready"]
    return said[0] == "True" if said else not status.get("conditions")


def _owner(metadata: Mapping[str, Any]) -> Owner | None:
    for one in metadata.get("ownerReferences", ()):
        if one.get("controller") and one.get("name"):
            return Owner(one.get("kind", ""), one["name"])
    return None


def top_owner(metadata: Mapping[str, Any]) -> Owner | None:
    """The controlling owner; for a ReplicaSet, the Deployment that its name tells of.

    The deployment controller names a ReplicaSet after the Deployment and the hash that it puts on the pods as
    ``pod-template-hash``; where the two agree, the rest of the name is the Deployment's.
    """
    owner = _owner(metadata)
    if owner is None:
        return None
    suffix = metadata.get("labels", {}).get(_HASH_LABEL)
    if owner.kind != "ReplicaSet" or not suffix or not owner.name.endswith(f"-{suffix}"):
        return owner
    name = owner.name[: -len(suffix) - 1]
    return Owner("Deployment", name) if name else owner


def replica_set_of(pod: Pod) -> str:
    """The name of the ReplicaSet of a pod whose owner was told by that name; empty for other pods."""
    suffix = pod.labels.get(_HASH_LABEL)
    return f"{pod.owner.name}-{suffix}" if suffix and pod.owner is not None and pod.owner.kind == "Deployment" else ""


def _container_ports(spec: Mapping[str, Any], at: Path, troubles: Troubles) -> tuple[ContainerPort, ...]:
    found = []
    for field in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(field, ())):
            if field == "initContainers" and container.get("restartPolicy") != "Always":
                continue
            for k, port in enumerate(container.get("ports", ())):
                if "containerPort" in port:
                    place = (*at, field, i, "ports", k)
                    number = troubles.number(port["containerPort"], (*place, "containerPort"))
                    found.append(ContainerPort(number, troubles.protocol(port, place), port.get("name", "")))
    return tuple(found)


def _workload_reader(kind: str, *steps: str) -> Reader:
    """The reader of one kind; `steps` lead from ``spec`` to the pod template."""

    def read(value: Mapping[str, Any], place: Place, troubles: Troubles) -> Iterator[Made]:
        metadata, spec = value["metadata"], value.get("spec", {})
        holder = spec
        for step in steps:
            holder = holder.get(step, {})
        template = holder.get("template")
        if template is None:
            at: Path = ("spec", *steps, "template")
            troubles.flaws.append(Flaw(at, "Required value: there is nothing to make pods from", at))
            return
        inner = template.get("spec", {})
        yield Workload(
            kind=kind,
            namespace=metadata["namespace"],
            name=metadata["name"],
            labels=template.get("metadata", {}).get("labels", {}),
            ports=_container_ports(inner, ("spec", *steps, "template", "spec"), troubles),
            host_network=inner.get("hostNetwork", False),
            replicas=spec.get("replicas", 1),
            owner=_owner(metadata),
            node=inner.get("nodeName", ""),
            hints=hints_of(template.get("metadata", {}), inner),
            containers=_started(inner) if kind in _STARTED else None,
            place=place,
        )

    return read


_STARTED = ("DaemonSet", "Deployment")


def _started(spec: Mapping[str, Any]) -> tuple[Container, ...] | None:
    """The containers that are known, where the input says how they are started: it may come from who does not know."""
    containers = spec.get("containers", ())
    if not any("image" in one or "args" in one for one in containers):
        return None
    known = (Container(*container_of(one)) for one in containers)
    return tuple(one for one in known if one != Container())


def _service(value: Mapping[str, Any], place: Place, troubles: Troubles) -> Iterator[Made]:
    metadata, spec = value["metadata"], value.get("spec", {})
    external = spec.get("type") == "ExternalName"
    texts = spec.get("clusterIPs") or [spec.get("clusterIP", "")]
    headless = "None" in texts
    balancers = value.get("status", {}).get("loadBalancer", {}).get("ingress", ())
    yield Service(
        namespace=metadata["namespace"],
        name=metadata["name"],
        cluster_ips=() if headless or external else troubles.addresses(texts, ("spec", "clusterIPs")),
        selector=spec.get("selector") or None,
        ports=tuple(
            _service_port(port, ("spec", "ports", i), troubles) for i, port in enumerate(spec.get("ports", ()))
        ),
        headless=headless and not external,
        external_name=spec.get("externalName", "") if external else "",
        external_ips=(
            *troubles.addresses(spec.get("externalIPs", ()), ("spec", "externalIPs")),
            *troubles.addresses((one.get("ip", "") for one in balancers), ("status", "loadBalancer", "ingress")),
        ),
        publish_not_ready=spec.get("publishNotReadyAddresses", False),
        labels=metadata.get("labels", {}),
        place=place,
    )


def _service_port(port: Mapping[str, Any], at: Path, troubles: Troubles) -> ServicePort:
    number = port.get("port", 0)
    if "port" in port:
        troubles.number(number, (*at, "port"))
    target = port.get("targetPort") or number
    if isinstance(target, int) and port.get("targetPort"):
        troubles.number(target, (*at, "targetPort"))
    return ServicePort(
        number,
        troubles.protocol(port, at),
        target,
        port.get("name", ""),
        port.get("nodePort", 0),
    )


def _endpoint_slice(value: Mapping[str, Any], place: Place, troubles: Troubles) -> Iterator[Made]:
    metadata = value["metadata"]
    endpoints = []
    for i, one in enumerate(value.get("endpoints", ())):
        # The addresses of a slice of type FQDN are names, which no packet carries.
        texts = one.get("addresses", ()) if value.get("addressType") != "FQDN" else ()
        endpoints.append(
            SliceEndpoint(
                troubles.addresses(texts, ("endpoints", i, "addresses")),
                # "A nil value should be interpreted as true" (EndpointConditions.ready).
                one.get("conditions", {}).get("ready", True),
                _target(one, metadata["namespace"]),
                one.get("hostname", ""),
            )
        )
    yield EndpointSlice(
        metadata["namespace"],
        metadata["name"],
        metadata.get("labels", {}).get(_SERVICE_LABEL, ""),
        tuple(endpoints),
        tuple(_slice_port(one, ("ports", i), troubles) for i, one in enumerate(value.get("ports", ()))),
        place,
    )


def _endpoints(value: Mapping[str, Any], place: Place, troubles: Troubles) -> Iterator[Made]:
    """Each subset of an Endpoints object as a slice."""
    metadata = value["metadata"]
    for i, subset in enumerate(value.get("subsets", ())):
        endpoints = []
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for k, one in enumerate(subset.get(field, ())):
                address = tuple(troubles.address(one.get("ip", ""), ("subsets", i, field, k, "ip")))
                target = _target(one, metadata["namespace"])
                endpoints.append(SliceEndpoint(address, ready, target, one.get("hostname", "")))
        at: Path = ("subsets", i, "ports")
        ports = tuple(_slice_port(one, (*at, k), troubles) for k, one in enumerate(subset.get("ports", ())))
        yield EndpointSlice(
            metadata["namespace"], metadata["name"], metadata["name"], tuple(endpoints), ports, place / "subsets" / i
        )


def _target(endpoint: Mapping[str, Any], namespace: str) -> tuple[str, str] | None:
    target = endpoint.get("targetRef", {})
    return (target.get("namespace") or namespace, target.get("name", "")) if target.get("kind") == "Pod" else None


def _slice_port(port: Mapping[str, Any], at: Path, troubles: Troubles) -> SlicePort:
    number = port.get("port")
    if number:
        troubles.number(number, (*at, "port"))
    return SlicePort(number, troubles.protocol(port, at), port.get("name", ""))


def _node(value: Mapping[str, Any], place: Place, troubles: Troubles) -> Iterator[Made]:
    metadata, spec = value["metadata"], value.get("spec", {})
    said = value.get("status", {}).get("addresses", ())
    addresses = [
        address
        for i, one in enumerate(said)
        if one.get("type") in ("InternalIP", "ExternalIP")
        for address in troubles.address(one.get("address", ""), ("status", "addresses", i, "address"))
    ]
    blocks = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    told = value.get("status", {}).get("nodeInfo", {})
    yield Node(
        metadata["name"],
        metadata.get("labels", {}),
        tuple(dict.fromkeys(addresses)),
        tuple(block for i, text in enumerate(blocks) for block in troubles.network(text, ("spec", "podCIDRs", i))),
        place,
        told.get("kubeletVersion", ""),
        told.get("kernelVersion", ""),
        told.get("operatingSystem", ""),
        node_switches(metadata.get("annotations", {})),
    )


def _ingress(value: Mapping[str, Any], place: Place, troubles: Troubles) -> Iterator[Made]:
    metadata, spec = value["metadata"], value.get("spec", {})
    backends: dict[tuple[str, int | str], None] = {}
    for backend, at in _ingress_backends(spec):
        if "resource" in backend and "service" not in backend:
            # What another kind of object leads to, its controller alone knows.
            shown = " ".join(backend["resource"].get(name, "") for name in ("kind", "name"))
            words = f"the backend {quote(shown.strip())} is no Service and is not followed"
            troubles.warnings.append(Flaw((*at, "resource"), words, (*at, "resource")))
            continue
        flaw = _backend_flaw(backend, at)
        if flaw is not None:
            troubles.flaws.append(flaw)
            continue
        service = backend["service"]
        port = service["port"]
        backends[service["name"], port.get("name") or port["number"]] = None
    yield Ingress(metadata["namespace"], metadata["name"], spec.get("ingressClassName", ""), tuple(backends), place)


def _ingress_backends(spec: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """Every backend with its path; tls and hosts say nothing about where requests go."""
    if "defaultBackend" in spec:
        yield spec["defaultBackend"], ("spec", "defaultBackend")
    for i, rule in enumerate(spec.get("rules", ())):
        for k, one in enumerate(rule.get("http", {}).get("paths", ())):
            yield one.get("backend", {}), ("spec", "rules", i, "http", "paths", k, "backend")


def _backend_flaw(backend: Mapping[str, Any], at: Path) -> Flaw | None:
    """Why nobody can say where a backend leads, in the server's words (validateIngressBackend)."""
    service = backend.get("service")
    if service is None:
        return Flaw(at, 'Invalid value: "": resource or service backend is required', at)
    if "resource" in backend:
        return Flaw(at, 'Invalid value: "": cannot set both resource and service backends', at)
    where: Path = (*at, "service")
    if not service.get("name"):
        return Flaw((*where, "name"), "Required value", (*where, "name"))
    name, number = service.get("port", {}).get("name", ""), service.get("port", {}).get("number", 0)
    if name and number:
        return Flaw(at, 'Invalid value: "": cannot set both port name & port number', (*where, "port"))
    if not name and not number:
        return Flaw(at, "Required value: port name or number is required", (*where, "port"))
    field, shown = ("name", quote(name)) if name else ("number", str(number))
    for words in port_name(name) if name else port_number(number):
        path = (*where, "port", field)
        return Flaw(path, f"Invalid value: {shown}: {words}", path)
    return None


READERS: Mapping[str, Reader] = {
    "Namespace": _namespace,
    "Pod": _pod,
    "Service": _service,
    "Endpoints": _endpoints,
    "EndpointSlice": _endpoint_slice,
    "Node": _node,
    "Ingress": _ingress,
    **ACCESS_READERS,
    "CronJob": _workload_reader("CronJob", "jobTemplate", "spec"),
    **{
        kind: _workload_reader(kind)
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job")
    },
}
"""What makes the model's objects of a kind. An Endpoints object makes as many slices as it has subsets."""
