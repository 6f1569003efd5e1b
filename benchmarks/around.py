"""What stands around the pods of a cluster, at the size of real objects: Services, slices, Nodes, other policies.

`around` makes them for the cluster of `benchmarks.manifests`, whose own are replaced:

    Node                       15 kB: images, conditions, and who manages which field; as many as are asked for
    Service, EndpointSlice     one with a selector for each application; for every eighth, one more without
    policies of Cilium's       for every fourth application: to Services, the API server, groups, ServiceAccounts
    CiliumCIDRGroup            a hundred blocks each, for every tenth application
    of the whole cluster       twenty of each kind

So the slices of Services with selectors, which change with every pod, are there, and an agent does not ask for them.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from typing import Any

from benchmarks.cluster import Shape
from benchmarks.manifests import manifests
from outgate.testing import cluster_policy
from outgate.testing_cilium import cidr_group, cilium_policy

__all__ = ["around", "heartbeat"]

Manifest = dict[str, Any]

_OF_CLUSTER = 20
_BLOCKS = 100
_FIRST_BLOCK = int(ipaddress.IPv4Address("100.64.0.0"))
_OUTSIDE = int(ipaddress.IPv4Address("203.0.112.0"))
_ACCOUNT = "io.cilium.k8s.policy.serviceaccount"
_NAMESPACE = "io.kubernetes.pod.namespace"
_CONDITIONS = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready", "NetworkUnavailable")


def around(shape: Shape, *, nodes: int = 0) -> Iterator[Manifest]:
    """The whole cluster, with so many nodes; 0: as many as its pods need."""
    found = 0
    for one in manifests(shape, slices=True):
        if one["kind"] == "Node":
            found += 1
            yield _machine(one)
        elif one["kind"] in {"Service", "EndpointSlice"}:
            yield _managed(one)
        else:
            yield one
    for number in range(found, nodes):
        yield _machine(_node(number))
    yield _slice("default", "kubernetes", "192.168.255.1", "192.168.255.2", "192.168.255.3")
    for kind in range(shape.kinds):
        yield from _of_application(shape, kind)
    for number in range(_OF_CLUSTER):
        yield from _of_the_cluster(number)


def heartbeat(node: Manifest, number: int) -> Manifest:
    """The same Node, as it says five minutes later that it is well."""
    beaten = [
        {**one, "lastHeartbeatTime": f"2026-11-22T18:{number % 60:02}:44Z"} for one in node["status"]["conditions"]
    ]
    return {**node, "status": {**node["status"], "conditions": beaten}}


def _node(number: int) -> Manifest:
    name = f"node-{number}"
    status = {"addresses": [{"address": str(ipaddress.IPv4Address("192.168.0.1") + number), "type": "InternalIP"}]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}, "status": status}


def _machine(node: Manifest) -> Manifest:
    """A Node with what a kubelet says of its machine."""
    images = [
        {"names": [f"registry.example/team/image-{at}@sha256:{at:064x}", f"registry.example/team/image-{at}:1.{at}.0"]}
        for at in range(50)
    ]
    conditions = [
        {
            "type": kind,
            "status": "True" if kind == "Ready" else "False",
            "lastHeartbeatTime": "2026-11-22T18:31:44Z",
            "lastTransitionTime": "2026-11-02T08:11:04Z",
            "reason": f"KubeletHas{kind}",
            "message": f"kubelet has said of {kind} what there is to say",
        }
        for kind in _CONDITIONS
    ]
    system = {"kubeletVersion": "v1.34.2", "kernelVersion": "6.12.0", "operatingSystem": "linux"}
    said = {"images": [{**one, "sizeBytes": 123_456_789} for one in images], "conditions": conditions}
    return _managed({**node, "status": {**node["status"], **said, "nodeInfo": system}})


def _managed(one: Manifest) -> Manifest:
    """With who manages which field, which is about as much again as the object says itself, up to 2 kB."""
    size = min(len(json.dumps(one)), 2000)
    fields: Manifest = {f"f:field-{number:02}": {".": {}, "f:inner": {}} for number in range(size // 45)}
    managed = {"manager": "kubectl", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields}
    return {**one, "metadata": {**one["metadata"], "managedFields": [managed]}}


def _slice(namespace: str, service: str, *addresses: str) -> Manifest:
    metadata = {"name": f"{service}-x", "namespace": namespace, "labels": {"kubernetes.io/service-name": service}}
    ends = [{"addresses": [one], "conditions": {"ready": True}} for one in addresses]
    more = {"addressType": "IPv4", "endpoints": ends, "ports": [{"port": 443, "protocol": "TCP"}]}
    return _managed({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, **more})


def _of_application(shape: Shape, kind: int) -> Iterator[Manifest]:
    space, name = f"team-{kind % shape.namespaces:03}", f"app-{kind}"
    if kind % 8 == 0:
        spec: Manifest = {"ports": [{"port": 443, "protocol": "TCP"}], "type": "ClusterIP"}
        metadata = {"name": f"outside-{kind}", "namespace": space}
        yield _managed({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
        yield _slice(space, f"outside-{kind}", str(ipaddress.IPv4Address(_OUTSIDE + kind)))
    if kind % 10 == 0:
        first = _FIRST_BLOCK + (kind << 10)
        yield _managed(
            cidr_group(f"group-{kind}", *(f"{ipaddress.IPv4Address(first + 8 * at)}/29" for at in range(_BLOCKS)))
        )
    if kind % 4 == 0:
        other = f"team-{(kind + 1) % shape.namespaces:03}"
        rules: list[Manifest] = [
            {"toServices": [{"k8sService": {"serviceName": f"outside-{kind // 8 * 8}", "namespace": space}}]},
            {"toServices": [{"k8sService": {"serviceName": f"app-{(kind + 1) % shape.kinds}", "namespace": other}}]},
            {"toEntities": ["kube-apiserver"]},
            {"toCIDRSet": [{"cidrGroupRef": f"group-{kind // 10 * 10}"}], "toPorts": [{"ports": [{"port": "443"}]}]},
            {"toEndpoints": [{"matchLabels": {_NAMESPACE: other, _ACCOUNT: "default"}}]},
        ]
        spec = {"endpointSelector": {"matchLabels": {"app": name}}, "egress": rules}
        yield _managed(cilium_policy(f"{space}/around-{kind}", spec))


def _of_the_cluster(number: int) -> Iterator[Manifest]:
    block = f"{ipaddress.IPv4Address(_OUTSIDE + 0x100 + number)}/32"
    closed: Manifest = {"endpointSelector": {}, "enableDefaultDeny": {"egress": False}}
    closed["egressDeny"] = [{"toCIDR": [block]}]
    yield _managed(cilium_policy(f"never-{number}", closed))
    team = {"namespaces": {"matchLabels": {"team": f"t{number % 10}"}}}
    rules: list[Manifest] = [
        {"action": "Deny", "to": [{"networks": [block]}]},
        {"action": "Pass", "to": [{"namespaces": {}}]},
    ]
    yield _managed(cluster_policy(f"first-{number}", priority=number, subject=team, egress=rules))
