"""Input at the size of a cluster, from a fixed seed, as a file that a reader would be given.

    python -m benchmarks.manifests --pods 10000 --policies 1000 --namespaces 50 --kinds 400 cluster.json
    python -m benchmarks.manifests --pods 0 --policies 15000 --namespaces 500 --kinds 2250 --yaml folder.yaml

JSON is what ``kubectl get -A -o json`` prints: one List, keys in their order, four blanks for each level. YAML is one
document for each object. Without pods there are no ReplicaSets and no nodes either: what people keep in a folder.

Shape (the numbers are those of `benchmarks.cluster.Shape`): an application is a kind of pod, a Deployment with its
ReplicaSet, its pods and its Service. One namespace in eight has no policy at all; the others deny by default and allow
DNS, and their applications have rules to applications of all namespaces, by label and by named port, to ranges of
ports, and to address blocks with exceptions.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import ipaddress
import random
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import msgspec

from benchmarks.cluster import Shape

__all__ = ["manifests", "write_json", "write_yaml"]

Manifest = dict[str, Any]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9./-]*|[0-9]+(?:\.[0-9]+){3}(?:/[0-9]+)?")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))

_TIERS = ("web", "api", "db")
_EPOCH = "2025-03-04T05:06:07Z"
_V4 = int(ipaddress.IPv4Address("10.0.0.0"))
_V6 = int(ipaddress.IPv6Address("fd00:10::"))
_SERVICES = int(ipaddress.IPv4Address("172.16.0.0"))
_NODES = int(ipaddress.IPv4Address("192.168.0.0"))


def manifests(shape: Shape, *, slices: bool = False) -> Iterator[Manifest]:
    """The objects of a cluster of that shape, the same for the same shape, kind after kind as kubectl prints them."""
    yield from (_namespace(shape, i) for i in range(shape.namespaces))
    yield _object("v1", "Namespace", "kube-system")
    if shape.pods:
        yield from (_node(i) for i in range(-(-shape.pods // shape.local)))
    applications = [_Application(shape, kind) for kind in range(shape.kinds)]
    for number in range(shape.pods):
        yield applications[number % shape.kinds].pod(number)
    for one in applications:
        yield one.deployment()
        if shape.pods:
            yield one.replica_set()
        yield one.service()
        if slices:
            yield one.endpoint_slice()
    if shape.pods:
        yield from _dns()
    yield from _policies(shape)


def write_json(objects: Iterable[Manifest], file: BinaryIO) -> None:
    """One List, as kubectl prints it. Only one object is in memory at a time."""
    file.write(b'{\n    "apiVersion": "v1",\n    "items": [')
    for number, one in enumerate(objects):
        text = msgspec.json.format(msgspec.json.encode(one, order="sorted"), indent=4)
        file.write((b",\n" if number else b"\n") + b"        " + text.replace(b"\n", b"\n        "))
    file.write(b'\n    ],\n    "kind": "List",\n    "metadata": {\n        "resourceVersion": ""\n    }\n}\n')


def write_yaml(objects: Iterable[Manifest], file: BinaryIO) -> None:
    """One document for each object, in the block style of kubectl."""
    for one in objects:
        lines = ["---"]
        _block(one, "", lines)
        file.write("\n".join([*lines, ""]).encode())


def _block(value: Manifest, indent: str, lines: list[str]) -> None:
    """The lines of a mapping. PyYAML's own writer takes minutes for what this writes in a second."""
    for key, one in sorted(value.items()):
        if isinstance(one, dict) and one:
            lines.append(f"{indent}{key}:")
            _block(one, f"{indent}  ", lines)
        elif isinstance(one, list) and one:
            lines.append(f"{indent}{key}:")
            for element in one:
                begin = len(lines)
                if isinstance(element, dict) and element:
                    _block(element, f"{indent}  ", lines)
                    lines[begin] = f"{indent}- {lines[begin].lstrip()}"
                else:
                    lines.append(f"{indent}- {_scalar(element)}")
        else:
            lines.append(f"{indent}{key}: {_scalar(one)}")


def _scalar(value: object) -> str:
    """Plain where no reader could take it for anything but this text; JSON, which is YAML, everywhere else."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return msgspec.json.encode(value).decode()


def _uid(*parts: object) -> str:
    """A name that looks like the server's, and is the same in every run."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"


def _letters(*parts: object, length: int) -> str:
    """The random end of a name, in the letters that Kubernetes draws from (no vowels, no words)."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return "".join("bcdfghjklmnpqrstvwxz2456789"[byte % 27] for byte in digest[:length])


def _object(version: str, kind: str, name: str, namespace: str = "", **more: object) -> Manifest:
    """An object with the metadata that a server gives it; what is in `more` stands beside them."""
    metadata: Manifest = {
        "creationTimestamp": _EPOCH,
        "name": name,
        "resourceVersion": str(int(_uid(kind, namespace, name)[:6], 16)),
        "uid": _uid(kind, namespace, name),
    }
    if namespace:
        metadata["namespace"] = namespace
    metadata |= more.pop("metadata", {})  # type: ignore[call-overload]  # it is a mapping where it is given
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def _namespace(shape: Shape, number: int) -> Manifest:
    labels = {"team": f"t{number % 10}", "env": ("prod", "dev")[number % 2]}
    name = _namespace_of(shape, number)
    labels["kubernetes.io/metadata.name"] = name
    return _object("v1", "Namespace", name, metadata={"labels": labels}, status={"phase": "Active"})


def _namespace_of(shape: Shape, kind: int) -> str:
    return f"team-{kind % shape.namespaces:03}"


def _node(number: int) -> Manifest:
    address = {"address": str(ipaddress.IPv4Address(_NODES + number + 1)), "type": "InternalIP"}
    name = f"node-{number}"
    status = {"addresses": [address, {"address": name, "type": "Hostname"}]}
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{number % 3}"}
    return _object("v1", "Node", name, metadata={"labels": labels}, spec={}, status=status)


class _Application:
    """One kind of pod, and everything that stands around it."""

    def __init__(self, shape: Shape, kind: int) -> None:
        self.shape = shape
        self.kind = kind
        self.name = f"app-{kind}"
        self.namespace = _namespace_of(shape, kind)
        self.hash = _letters("hash", kind, length=10)
        self.labels = {"app": self.name, "tier": _TIERS[kind % 3]}
        self.port = 8000 + kind % 20
        self.replicas = max(1, len(range(kind, shape.pods, shape.kinds)))

    def deployment(self) -> Manifest:
        """The Deployment, whose template has everything that its pods begin with."""
        return self._workload("Deployment", self.name, self.labels, {})

    def replica_set(self) -> Manifest:
        """The ReplicaSet between the Deployment and the pods."""
        labels = {**self.labels, "pod-template-hash": self.hash}
        owner = self._owner("Deployment", self.name)
        return self._workload("ReplicaSet", f"{self.name}-{self.hash}", labels, {"ownerReferences": [owner]})

    def service(self) -> Manifest:
        """The Service; it names the port by its name, as most do."""
        address = str(ipaddress.IPv4Address(_SERVICES + self.kind + 1))
        spec = {
            "clusterIP": address,
            "clusterIPs": [address],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
            "selector": {"app": self.name},
            "type": "ClusterIP",
        }
        return _object("v1", "Service", self.name, self.namespace, spec=spec, status={"loadBalancer": {}})

    def endpoint_slice(self) -> Manifest:
        """The slice that the endpoint controller would keep for the Service."""
        endpoints = [
            {
                "addresses": [str(ipaddress.IPv4Address(_V4 + number + 1))],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": f"node-{number // self.shape.local}",
                "targetRef": {"kind": "Pod", "name": self._pod_name(number), "namespace": self.namespace},
            }
            for number in range(self.kind, self.shape.pods, self.shape.kinds)
        ]
        more = {"addressType": "IPv4", "endpoints": endpoints}
        more["ports"] = [{"name": "http", "port": self.port, "protocol": "TCP"}]
        metadata = {"labels": {"kubernetes.io/service-name": self.name}}
        name = f"{self.name}-{_letters('slice', self.kind, length=5)}"
        return _object("discovery.k8s.io/v1", "EndpointSlice", name, self.namespace, metadata=metadata, **more)

    def pod(self, number: int) -> Manifest:
        """The pod of that number, running."""
        v4, v6 = str(ipaddress.IPv4Address(_V4 + number + 1)), str(ipaddress.IPv6Address(_V6 + number + 1))
        node = number // self.shape.local
        host = str(ipaddress.IPv4Address(_NODES + node + 1))
        metadata = {
            "generateName": f"{self.name}-{self.hash}-",
            "labels": {**self.labels, "pod-template-hash": self.hash},
            "ownerReferences": [self._owner("ReplicaSet", f"{self.name}-{self.hash}")],
        }
        spec = {**self._pod_spec(), "nodeName": f"node-{node}"}
        status = {
            "conditions": [
                {"lastTransitionTime": _EPOCH, "status": "True", "type": kind} for kind in ("Ready", "PodScheduled")
            ],
            "containerStatuses": [
                {
                    "image": f"registry.example/{self.name}:1.4.2",
                    "name": "main",
                    "ready": True,
                    "restartCount": number % 3,
                    "state": {"running": {"startedAt": _EPOCH}},
                }
            ],
            "hostIP": host,
            "phase": "Running",
            "podIP": v4,
            "podIPs": [{"ip": v4}, {"ip": v6}],
            "qosClass": "Burstable",
        }
        return _object("v1", "Pod", self._pod_name(number), self.namespace, metadata=metadata, spec=spec, status=status)

    def _pod_name(self, number: int) -> str:
        return f"{self.name}-{self.hash}-{_letters('pod', number, length=5)}"

    def _owner(self, kind: str, name: str) -> Manifest:
        return {
            "apiVersion": "apps/v1",
            "blockOwnerDeletion": True,
            "controller": True,
            "kind": kind,
            "name": name,
            "uid": _uid(kind, self.namespace, name),
        }

    def _pod_spec(self) -> Manifest:
        container = {
            "image": f"registry.example/{self.name}:1.4.2",
            "name": "main",
            "ports": [{"containerPort": self.port, "name": "http", "protocol": "TCP"}],
            "volumeMounts": [{"mountPath": "/etc/app", "name": "settings"}],
        }
        volume = {"configMap": {"name": self.name}, "name": "settings"}
        return {"containers": [container], "restartPolicy": "Always", "volumes": [volume]}

    def _workload(self, kind: str, name: str, labels: dict[str, str], metadata: Manifest) -> Manifest:
        spec = {
            "replicas": self.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": self._pod_spec()},
        }
        return _object("apps/v1", kind, name, self.namespace, metadata={"labels": labels, **metadata}, spec=spec)


def _dns() -> Iterator[Manifest]:
    """The resolver that all the policies for DNS mean."""
    for number in range(2):
        address = str(ipaddress.IPv4Address("10.200.0.2") + number)
        ports = [{"containerPort": 53, "name": "dns", "protocol": "UDP"}]
        yield _object(
            "v1",
            "Pod",
            f"coredns-{number}",
            "kube-system",
            metadata={"labels": {"k8s-app": "kube-dns"}},
            spec={"containers": [{"name": "coredns", "ports": ports}], "nodeName": f"node-{number}"},
            status={"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
        )


def _policies(shape: Shape) -> Iterator[Manifest]:
    dice = random.Random(shape.seed)  # noqa: S311 - a fixed seed is the point
    made = 0
    held = [number for number in range(shape.namespaces) if number % 8 != 7]
    for number in held[: shape.policies // 2]:
        name = _namespace_of(shape, number)
        yield _policy(name, "default-deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
        yield _policy(name, "allow-dns", {"egress": [_dns_rule()], "podSelector": {}, "policyTypes": ["Egress"]})
        made += 2
    kinds = [kind for kind in range(shape.kinds) if kind % shape.namespaces % 8 != 7]
    for number in range(shape.policies - made):
        kind = kinds[number % len(kinds)]
        spec = {
            "egress": [_rule(shape, dice, "to") for _ in range(dice.randint(1, 3))],
            "ingress": [_rule(shape, dice, "from") for _ in range(dice.randint(1, 2))],
            "podSelector": {"matchLabels": {"app": f"app-{kind}"}},
            "policyTypes": ["Ingress", "Egress"],
        }
        yield _policy(_namespace_of(shape, kind), f"app-{kind}-{number}", spec)


def _policy(namespace: str, name: str, spec: Manifest) -> Manifest:
    metadata = {"generation": 1}
    return _object("networking.k8s.io/v1", "NetworkPolicy", name, namespace, metadata=metadata, spec=spec)


def _dns_rule() -> Manifest:
    peer = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    return {"ports": [{"port": 53, "protocol": name} for name in ("UDP", "TCP")], "to": [peer]}


def _rule(shape: Shape, dice: random.Random, peers: str) -> Manifest:
    kind = dice.randrange(shape.kinds)
    choice = dice.random()
    if choice < 0.4:
        of = {"kubernetes.io/metadata.name": _namespace_of(shape, kind)}
        peer = {"namespaceSelector": {"matchLabels": of}, "podSelector": {"matchLabels": {"app": f"app-{kind}"}}}
        return {"ports": [{"port": "http", "protocol": "TCP"}], peers: [peer]}
    if choice < 0.55:
        expression = {"key": "tier", "operator": "In", "values": ["api", "web"]}
        return {
            "ports": [{"port": 8000 + kind % 20, "protocol": "TCP"}],
            peers: [{"podSelector": {"matchExpressions": [expression]}}],
        }
    if choice < 0.75:
        team = {"matchLabels": {"team": f"t{kind % 10}"}}
        peer = {"namespaceSelector": team, "podSelector": {"matchLabels": {"tier": "api"}}}
        return {"ports": [{"endPort": 8019, "port": 8000, "protocol": "TCP"}], peers: [peer]}
    block = ipaddress.IPv4Network((int(ipaddress.IPv4Address("198.18.0.0")) + (kind << 8), 24))
    hole = next(block.subnets(new_prefix=28))
    ports = [{"port": 443, "protocol": "TCP"}, {"endPort": 8100, "port": 8000, "protocol": "TCP"}]
    return {"ports": ports, peers: [{"ipBlock": {"cidr": str(block), "except": [str(hole)]}}]}


def main(arguments: list[str] | None = None) -> int:
    """Parse the few options, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.manifests", description=__doc__)
    default = Shape()
    for name in ("pods", "policies", "namespaces", "kinds", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(default, name), help="default: %(default)s")
    parser.add_argument("--slices", action="store_true", help="EndpointSlices as well")
    parser.add_argument("--yaml", action="store_true", help="YAML of many documents and not JSON")
    parser.add_argument("output", metavar="OUT", help="the file to write, or - for standard output")
    chosen = parser.parse_args(arguments)
    shape = Shape(chosen.pods, chosen.policies, chosen.namespaces, chosen.kinds, seed=chosen.seed)
    write = write_yaml if chosen.yaml else write_json
    with contextlib.ExitStack() as closing:
        file = sys.stdout.buffer if chosen.output == "-" else closing.enter_context(open(chosen.output, "wb"))
        write(manifests(shape, slices=chosen.slices), file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
