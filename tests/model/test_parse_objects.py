"""What the other kinds say about traffic, read from live objects and from manifests alike."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from outgate.model import Container, ContainerPort, Ingress, Owner, Pod, Service, ServicePort
from outgate.model.objects import SliceEndpoint, SlicePort
from outgate.model.parse_objects import READERS, HostPod, Troubles, replica_set_of
from outgate.model.parse_shapes import OBJECTS, POLICIES
from outgate.model.place import NOWHERE
from tests.model.documents import parsed, refusals

Object = dict[str, Any]


def ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address."""
    return ipaddress.ip_address(text)


def thing(kind: str, api_version: str = "v1", name: str = "x", **fields: Any) -> Object:
    """An object of a kind in the namespace `shop`."""
    metadata = {"name": name, "namespace": "shop", **fields.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def pod(*others: Object, **fields: Any) -> Pod:
    """The pod that is made of these fields, beside other objects."""
    (made,) = parsed(thing("Pod", **fields), *others).snapshot.pods
    return made


def service(**fields: Any) -> Service:
    """The Service that is made of these fields."""
    (made,) = parsed(thing("Service", **fields)).snapshot.services
    return made


def test_every_kind_has_a_reader() -> None:
    """A kind that has a shape and no reader would be looked at and lost."""
    assert {kind for _, kind in OBJECTS} == {*READERS, *(shape.name for shape in POLICIES)}


def test_pod_of_a_live_cluster() -> None:
    """Each field that decides about traffic comes from where the API keeps it."""
    made = pod(
        metadata={"labels": {"app": "web"}, "uid": "u-1"},
        spec={
            "nodeName": "n1",
            "hostname": "h",
            "subdomain": "s",
            "containers": [
                {"ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}]},
                {"ports": None},
            ],
        },
        status={"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
    )
    assert made == Pod(
        namespace="shop",
        name="x",
        labels={"app": "web"},
        addresses=(ip("10.0.0.1"), ip("fd00::1")),
        node="n1",
        ports=(ContainerPort(8080, "TCP", "http"), ContainerPort(53, "UDP")),
        uid="u-1",
        hostname="h",
        subdomain="s",
    )


def test_ports_of_sidecars_count_and_those_of_init_containers_do_not() -> None:
    """An init container with restartPolicy Always runs as long as the pod does; any other is gone by then."""
    made = pod(
        spec={
            "containers": [{"ports": [{"containerPort": 1}]}],
            "initContainers": [
                {"restartPolicy": "Always", "ports": [{"containerPort": 2, "name": "proxy"}]},
                {"ports": [{"containerPort": 3}]},
            ],
        }
    )
    assert [port.port for port in made.ports] == [1, 2]


@pytest.mark.parametrize(
    ("status", "addresses"),
    [
        ({"podIP": "10.0.0.1"}, ["10.0.0.1"]),
        ({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}, {"ip": ""}]}, ["10.0.0.1"]),
        ({"podIP": "", "podIPs": []}, None),
        ({"hostIP": "192.168.0.1"}, None),
    ],
)
def test_addresses_of_a_pod(status: Object, addresses: list[str] | None) -> None:
    """A pod has the addresses that its status says, each once, and never its host's."""
    made = pod(status=status)
    assert made.addressed is (addresses is not None)
    assert addresses is None or [str(one) for one in made.addresses] == addresses


def test_addresses_on_a_host_network() -> None:
    """A pod on the host's network has the host's addresses, from its own status or from the Node."""
    node = thing("Node", name="n1", status={"addresses": [{"type": "InternalIP", "address": "192.168.0.1"}]})
    spec = {"hostNetwork": True, "nodeName": "n1"}
    told = pod(spec=spec, status={"hostIPs": [{"ip": "192.168.0.7"}]})
    known = pod(node, spec=spec)
    lost = pod(spec=spec)
    assert [(one.addresses, one.addressed) for one in (told, known)] == [
        ((ip("192.168.0.7"),), True),
        ((ip("192.168.0.1"),), True),
    ]
    assert (lost.host_network, lost.addressed) == (True, False)
    assert isinstance(HostPod(lost), HostPod)


@pytest.mark.parametrize(
    ("metadata", "status", "ready", "finished"),
    [
        ({}, {}, True, False),
        ({}, {"conditions": [{"type": "Ready", "status": "True"}]}, True, False),
        ({}, {"conditions": [{"type": "Ready", "status": "False"}]}, False, False),
        ({}, {"conditions": [{"type": "Initialized", "status": "True"}]}, False, False),
        ({"deletionTimestamp": "2024-01-01T00:00:00Z"}, {}, False, False),
        ({}, {"phase": "Succeeded"}, True, True),
        ({}, {"phase": "Failed"}, True, True),
    ],
)
def test_readiness_and_end(metadata: Object, status: Object, ready: bool, finished: bool) -> None:
    """A Service sends to ready pods only, and a finished pod's address may be somebody else's by now."""
    made = pod(metadata=metadata, status=status)
    assert (made.ready, made.finished) == (ready, finished)


def owned(kind: str, name: str, **labels: str) -> Object:
    """Metadata with a controlling owner; an owner that does not control comes before it."""
    other = {"kind": "Other", "name": "other"}
    return {"ownerReferences": [other, {"kind": kind, "name": name, "controller": True}], "labels": labels}


def test_owner_is_followed_through_the_name_of_a_replica_set() -> None:
    """Without its ReplicaSet in the input a pod's Deployment is still known, from the hash in both names."""
    hashed = {"pod-template-hash": "6d4cf56db6"}
    assert pod(metadata=owned("ReplicaSet", "web-6d4cf56db6", **hashed)).owner == Owner("Deployment", "web")
    assert pod(metadata=owned("ReplicaSet", "web-other", **hashed)).owner == Owner("ReplicaSet", "web-other")
    assert pod(metadata=owned("ReplicaSet", "web-6d4cf56db6")).owner == Owner("ReplicaSet", "web-6d4cf56db6")
    assert pod(metadata=owned("ReplicaSet", "-6d4cf56db6", **hashed)).owner == Owner("ReplicaSet", "-6d4cf56db6")
    assert pod(metadata=owned("Job", "backup-28000000")).owner == Owner("Job", "backup-28000000")
    assert pod(metadata=owned("StatefulSet", "db", **hashed)).owner == Owner("StatefulSet", "db")
    assert pod(metadata={"ownerReferences": [{"kind": "X", "name": "y"}]}).owner is None


def test_a_replica_set_in_the_input_knows_better_than_its_name() -> None:
    """A ReplicaSet of a Rollout has the same kind of name, and its pods are no Deployment's."""
    template: Object = {"spec": {"template": {"metadata": {"labels": {}}, "spec": {}}}}
    metadata = owned("ReplicaSet", "web-abc", **{"pod-template-hash": "abc"})

    def made(**about: Any) -> Pod:
        several = parsed(
            thing("Pod", metadata=metadata), thing("ReplicaSet", "apps/v1", "web-abc", **template, **about)
        )
        return next(one for one in several.snapshot.pods if one.name == "x")

    assert made(metadata=owned("Rollout", "web")).owner == Owner("Rollout", "web")
    assert made(metadata=owned("Deployment", "web")).owner == Owner("Deployment", "web")
    assert made().owner == Owner("ReplicaSet", "web-abc")
    assert replica_set_of(made(metadata=owned("Deployment", "web"))) == "web-abc"
    assert replica_set_of(made()) == ""


@pytest.mark.parametrize(
    ("kind", "api_version", "spec"),
    [
        ("Deployment", "apps/v1", {"replicas": 3}),
        ("StatefulSet", "apps/v1", {}),
        ("DaemonSet", "apps/v1", {}),
        ("ReplicaSet", "apps/v1", {}),
        ("ReplicationController", "v1", {}),
        ("Job", "batch/v1", {}),
        ("CronJob", "batch/v1", {}),
    ],
)
def test_workloads_stand_for_the_pods_of_their_template(kind: str, api_version: str, spec: Object) -> None:
    """A folder of manifests has no pods; each workload must appear as the pod that it would make."""
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "hostNetwork": True, "containers": [{"ports": [{"containerPort": 80}]}]},
    }
    inner = {"jobTemplate": {"spec": {"template": template}}} if kind == "CronJob" else {"template": template}
    result = parsed(thing(kind, api_version, spec=spec | inner))
    (workload,), (made,) = result.snapshot.workloads, result.snapshot.pods
    assert (workload.kind, workload.replicas, workload.node) == (kind, spec.get("replicas", 1), "n1")
    assert (made.labels, made.ports, made.assumed) == ({"app": "web"}, (ContainerPort(80),), True)
    assert (made.owner, made.host_network) == (Owner(kind, "x"), True)


def test_workload_without_a_template_is_refused() -> None:
    """A workload that makes no pods says nothing, and is most likely cut off by mistake."""
    assert refusals(thing("Deployment", "apps/v1", spec={})) == [
        "spec.template: Required value: there is nothing to make pods from"
    ]
    assert refusals(thing("CronJob", "batch/v1")) == [
        "spec.jobTemplate.spec.template: Required value: there is nothing to make pods from"
    ]


def test_labels_of_a_template_are_held_to_the_servers_rules() -> None:
    """The server refuses bad labels of the pods to come, under a path of its own."""
    template = {"metadata": {"labels": {"app": "-"}}, "spec": {}}
    (words,) = refusals(thing("Deployment", "apps/v1", spec={"template": template}))
    assert words.startswith('spec.template.labels: Invalid value: "-": a valid label must be')


def test_service() -> None:
    """A Service's addresses, selector and ports, with the target that a port has when it names none."""
    made = service(
        spec={
            "clusterIP": "10.96.0.1",
            "clusterIPs": ["10.96.0.1", "fd00::1"],
            "selector": {"app": "web"},
            "externalIPs": ["192.0.2.1"],
            "publishNotReadyAddresses": True,
            "ports": [
                {"port": 80, "name": "a"},
                {"port": 81, "targetPort": "http", "protocol": "UDP"},
                {"port": 82, "targetPort": 8082, "nodePort": 30082},
            ],
        },
        status={"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}, {"hostname": "lb.example.com"}]}},
    )
    assert made == Service(
        namespace="shop",
        name="x",
        cluster_ips=(ip("10.96.0.1"), ip("fd00::1")),
        selector={"app": "web"},
        ports=(
            ServicePort(80, "TCP", 80, "a"),
            ServicePort(81, "UDP", "http"),
            ServicePort(82, "TCP", 8082, "", 30082),
        ),
        external_ips=(ip("192.0.2.1"), ip("192.0.2.2")),
        publish_not_ready=True,
    )


@pytest.mark.parametrize(
    ("spec", "headless", "name"),
    [
        ({"clusterIP": "None"}, True, ""),
        ({"clusterIPs": ["None"]}, True, ""),
        ({}, False, ""),
        ({"clusterIP": ""}, False, ""),
        ({"type": "ExternalName", "externalName": "db.example.com"}, False, "db.example.com"),
    ],
)
def test_services_without_addresses(spec: Object, headless: bool, name: str) -> None:
    """None, not yet any, and somebody else's name are three different things."""
    made = service(spec=spec)
    assert (made.cluster_ips, made.headless, made.external_name) == ((), headless, name)


def test_an_empty_selector_of_a_service_selects_nobody() -> None:
    """Unlike a policy's, an empty selector of a Service means that somebody else keeps its endpoints."""
    assert service(spec={"selector": {}}).selector is None
    assert service(spec={}).selector is None


def test_endpoint_slice() -> None:
    """Unknown readiness counts as ready, a port without a number means all, and names are no addresses."""
    labels = {"labels": {"kubernetes.io/service-name": "web"}}
    endpoints = [
        {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "p"}, "hostname": "h"},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": False}, "targetRef": {"kind": "VM", "name": "v"}},
    ]
    value = thing("EndpointSlice", "discovery.k8s.io/v1", metadata=labels, endpoints=endpoints, ports=[{"name": "a"}])
    (made,) = parsed(value).snapshot.slices
    assert made.service == "web"
    assert made.endpoints == (
        SliceEndpoint((ip("10.0.0.1"),), True, ("shop", "p"), "h"),
        SliceEndpoint((ip("10.0.0.2"),), False),
    )
    assert made.ports == (SlicePort(None, "TCP", "a"),)
    named = thing("EndpointSlice", "discovery.k8s.io/v1", addressType="FQDN", endpoints=[{"addresses": ["a.example"]}])
    assert parsed(named).snapshot.slices[0].endpoints == (SliceEndpoint(()),)


def test_endpoints_are_slices_unless_slices_are_there() -> None:
    """The control plane mirrors one to the other; counting both would double every backend."""
    subset = {"addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "10.0.0.2"}], "ports": [{"port": 80}]}
    endpoints = thing("Endpoints", name="web", subsets=[subset, subset])
    alone = parsed(endpoints).snapshot.slices
    assert [one.service for one in alone] == ["web", "web"]
    assert [end.ready for end in alone[0].endpoints] == [True, False]
    labels = {"labels": {"kubernetes.io/service-name": "web"}}
    proper = thing("EndpointSlice", "discovery.k8s.io/v1", "web-1", metadata=labels)
    assert [one.name for one in parsed(endpoints, proper).snapshot.slices] == ["web-1"]


def test_node() -> None:
    """Only the addresses that packets bear count: a hostname is none."""
    addresses = [
        {"type": "InternalIP", "address": "192.168.0.1"},
        {"type": "Hostname", "address": "n1"},
        {"type": "ExternalIP", "address": "192.0.2.1"},
    ]
    value = thing(
        "Node", status={"addresses": addresses}, spec={"podCIDR": "10.0.0.0/24"}, metadata={"labels": {"a": ""}}
    )
    made = parsed(value).snapshot.nodes["x"]
    assert made.addresses == (ip("192.168.0.1"), ip("192.0.2.1"))
    assert made.pod_cidrs == (ipaddress.ip_network("10.0.0.0/24"),)
    assert made.labels == {"a": ""}
    assert (made.kubelet, made.kernel, made.system, made.switches) == ("", "", "", None)


def test_what_a_node_runs() -> None:
    """Its versions, and how a server of k3s was started."""
    told = {"kubeletVersion": "v1.31.2+k3s1", "kernelVersion": "6.1.0", "operatingSystem": "linux", "bootID": "x"}
    annotations = {"k3s.io/node-args": '["server","--disable-network-policy","--token","x"]'}
    value = thing("Node", status={"nodeInfo": told}, metadata={"annotations": annotations})
    made = parsed(value).snapshot.nodes["x"]
    assert (made.kubelet, made.kernel, made.system) == ("v1.31.2+k3s1", "6.1.0", "linux")
    assert made.switches == ("--disable-network-policy=true",)


@pytest.mark.parametrize("kind", ["DaemonSet", "Deployment"])
def test_how_the_network_is_started(kind: str) -> None:
    """Known by name; of other containers it is known that they say nothing, where the input has them at all."""

    def containers(*several: Object) -> tuple[Container, ...] | None:
        template = {"spec": {"containers": list(several)}}
        (made,) = parsed(thing(kind, "apps/v1", spec={"template": template})).snapshot.workloads
        return made.containers

    router = {"name": "router", "image": "x/kube-router:v2", "command": ["run"], "args": ["--run-firewall=false"]}
    assert containers(router, {"image": "x/other"}) == (Container(switches=("--run-firewall=false",)),)
    assert containers({"image": "x/other", "args": ["--password=x"]}) == ()
    assert containers({"args": []}) == ()
    assert containers({"image": "x", "command": None, "args": None, "name": None}) == ()
    assert containers({"ports": []}) is None
    assert containers() is None


def test_other_workloads_are_not_asked() -> None:
    """What they run is nobody's business."""
    template = {"spec": {"containers": [{"image": "x", "args": ["--run-firewall=false"]}]}}
    (made,) = parsed(thing("StatefulSet", "apps/v1", spec={"template": template})).snapshot.workloads
    assert made.containers is None


def test_how_the_network_is_set() -> None:
    """In ConfigMaps that are known by name; others are passed over as ever."""
    data = {"enable-policy": "never", "token": "x"}
    known = thing("ConfigMap", name="cilium-config", data=data)
    result = parsed(known, thing("ConfigMap", name="other", data=data), thing("ConfigMap", name="eni-config"))
    assert result.snapshot.settings == {
        ("shop", "cilium-config"): {"enable-policy": "never"},
        ("shop", "eni-config"): {},
    }
    assert (result.objects, result.skipped) == (3, {"v1/ConfigMap": 1})


def ingress(**spec: Any) -> Object:
    """An Ingress of these fields."""
    return thing("Ingress", "networking.k8s.io/v1", spec=spec)


def backend(service_name: str = "web", /, **port: Any) -> Object:
    """A backend: a Service and one of its ports."""
    return {"service": {"name": service_name, "port": port}}


def path(there: object) -> Object:
    """A rule with one path that leads there."""
    return {"host": "shop.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": there}]}}


def test_ingress() -> None:
    """Its class, and each Service port that it leads to once; hosts, paths and TLS decide nothing here."""
    several = {"http": {"paths": [{"backend": backend("api", name="http")}, {"backend": backend(number=80)}]}}
    result = parsed(
        ingress(
            ingressClassName="nginx",
            tls=[{"hosts": ["shop.example.com"], "secretName": "cert"}],
            defaultBackend=backend("fallback", number=8080),
            rules=[path(backend(number=80)), {"host": "nowhere.example.com"}, several, path(backend(number=443))],
        )
    )
    assert result.snapshot.ingresses == (
        Ingress("shop", "x", "nginx", (("fallback", 8080), ("web", 80), ("api", "http"), ("web", 443))),
    )
    assert (result.warnings, result.skipped, result.objects) == ((), {}, 1)
    assert parsed(ingress(rules=None)).snapshot.ingresses == (Ingress("shop", "x"),)


def test_ingress_to_something_else_is_said_and_not_followed() -> None:
    """A bucket is no pod; the Services beside it count all the same."""
    bucket = {"resource": {"apiGroup": "example.com", "kind": "Bucket", "name": "icons"}}
    result = parsed(ingress(defaultBackend=bucket, rules=[path(backend(number=80)), path({"resource": {}})]))
    assert [one.backends for one in result.snapshot.ingresses] == [(("web", 80),)]
    assert [(one.path, one.message) for one in result.warnings] == [
        ("spec.defaultBackend.resource", 'the backend "Bucket icons" is no Service and is not followed'),
        ("spec.rules[1].http.paths[0].backend.resource", 'the backend "" is no Service and is not followed'),
    ]
    assert result.errors == ()


def test_later_ingress_replaces_the_earlier() -> None:
    """As kubectl would leave it."""
    result = parsed(ingress(defaultBackend=backend(number=80)), ingress(defaultBackend=backend(number=81)))
    assert [one.backends for one in result.snapshot.ingresses] == [(("web", 81),)]
    assert len(result.warnings) == 1


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({}, ': Invalid value: "": resource or service backend is required'),
        (None, ': Invalid value: "": resource or service backend is required'),
        ({"service": None}, ': Invalid value: "": resource or service backend is required'),
        ({**backend(number=80), "resource": {}}, ': Invalid value: "": cannot set both resource and service backends'),
        ({"service": {"port": {"number": 80}}}, ".service.name: Required value"),
        (backend("", number=80), ".service.name: Required value"),
        ({"service": {"name": "web"}}, ": Required value: port name or number is required"),
        (backend(), ": Required value: port name or number is required"),
        (backend(number=0), ": Required value: port name or number is required"),
        (backend(name="http", number=80), ': Invalid value: "": cannot set both port name & port number'),
        (backend(number=65536), ".service.port.number: Invalid value: 65536: must be between 1 and 65535, inclusive"),
        (backend(number=-1), ".service.port.number: Invalid value: -1: must be between 1 and 65535, inclusive"),
        (backend(name="n" * 16), f'.service.port.name: Invalid value: "{"n" * 16}": must be no more than 15 bytes'),
    ],
)  # fmt: skip
def test_backends_that_lead_nowhere_are_refused(there: object, words: str) -> None:
    """A backend that nobody can find would be missing from every answer, in the server's words and place."""
    at = "spec.rules[0].http.paths[0].backend"
    assert refusals(ingress(rules=[path(there)])) == [f"{at}{words}"]
    assert parsed(ingress(rules=[path(there)])).snapshot.ingresses == ()


def test_every_bad_backend_is_told() -> None:
    """All at once, each with its own path."""
    bad = ingress(defaultBackend={}, rules=[path(backend(number=80)), path({}), path(backend("", number=1))])
    assert [words.split(": ")[0] for words in refusals(bad)] == [
        "spec.defaultBackend",
        "spec.rules[1].http.paths[0].backend",
        "spec.rules[2].http.paths[0].backend.service.name",
    ]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (thing("Ingress", "networking.k8s.io/v1", spec={"rules": [{"http": {"paths": [{"backend": "web"}]}}]}),
         "spec.rules[0].http.paths[0].backend"),
        (thing("Ingress", "networking.k8s.io/v1", spec={"defaultBackend": {"service": {"name": "w", "port": 80}}}),
         "spec.defaultBackend.service.port"),
        (thing("Ingress", "networking.k8s.io/v1", name="A"), "metadata.name"),
        (thing("Pod", status={"podIPs": [{"ip": "10.0.0.1"}, {"ip": "x"}]}), "status.podIPs[1]"),
        (thing("Pod", status={"podIP": "10.0.0.256"}), "status.podIP"),
        (thing("Service", spec={"clusterIPs": ["x"]}), "spec.clusterIPs[0]"),
        (thing("Endpoints", subsets=[{"addresses": [{"ip": "x"}]}]), "subsets[0].addresses[0].ip"),
        (thing("EndpointSlice", "discovery.k8s.io/v1", endpoints=[{"addresses": ["x"]}]), "endpoints[0].addresses[0]"),
        (thing("Node", status={"addresses": [{"type": "InternalIP", "address": "x"}]}), "status.addresses[0].address"),
        (thing("Node", spec={"podCIDRs": ["10.0.0.0/33"]}), "spec.podCIDRs[0]"),
        (thing("Pod", metadata={"labels": {"a": 1}}), "metadata.labels.a"),
        (thing("Pod", metadata={"labels": {"a b": ""}}), "metadata.labels"),
        (thing("Pod", name="A"), "metadata.name"),
        (thing("Pod", spec={"containers": [{"ports": [{"containerPort": "http"}]}]}),
         "spec.containers[0].ports[0].containerPort"),
    ],
)  # fmt: skip
def test_what_would_make_answers_wrong_is_refused(value: Object, path: str) -> None:
    """An address that is none cannot be passed over: the pod would be thought to be somewhere else."""
    (words,) = refusals(value)
    assert words.startswith(f"{path}: ")


def test_a_reader_collects_all_its_troubles() -> None:
    """Two bad addresses are two errors, told at once."""
    troubles = Troubles()
    value = {"metadata": {"name": "x", "namespace": "n"}, "spec": {"clusterIPs": ["a", "b"]}}
    list(READERS["Service"](value, NOWHERE, troubles))
    assert [flaw.path for flaw in troubles.flaws] == [("spec", "clusterIPs", 0), ("spec", "clusterIPs", 1)]
