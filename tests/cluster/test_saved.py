"""A saved cluster reads back as the cluster that it was, and holds nothing that nobody asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.checks import Survey
from outgate.checks import load as load_check
from outgate.checks.registry import GROUPS
from outgate.cluster import Loaded, Text, load
from outgate.cluster.saved import Saved
from outgate.policy import PROFILES
from outgate.testing import cluster_policy, clusters, namespace, pod, policy, service
from outgate.testing_cilium import cidr_group, cilium_policy, random_cilium_policies
from tests.model.test_validate_cluster_policy import old

Manifest = dict[str, Any]


def saved(manifests: Sequence[Manifest], **options: Any) -> tuple[Loaded, str]:
    """What was read of these objects, and the file that was made of it."""
    keeping = Saved()
    data = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}).encode()
    loaded = load([Text("in.json", data)], stored=None, keep=keeping.keep, **options)
    return loaded, "\n".join(keeping.lines())


def again(text: str) -> Loaded:
    """The file, read."""
    return load([Text("cluster.json", text.encode())], stored=None)


def workload(kind: str, name: str, **more: Any) -> Manifest:
    """A workload with a template."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"ports": [{"containerPort": 80}]}]}}
    spec: Manifest = {"template": template}
    if kind == "CronJob":
        spec = {"jobTemplate": {"spec": spec}}
    version = "v1" if kind == "ReplicationController" else "batch/v1" if kind.endswith("Job") else "apps/v1"
    metadata = {"name": name, "namespace": "alpha", **more}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def owned(kind: str, name: str) -> Manifest:
    """A controlling owner."""
    return {"ownerReferences": [{"kind": kind, "name": name, "controller": True, "apiVersion": "x/v1", "uid": "u"}]}


SLOPPY = {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "010.0.0.1/8"}}]}], "unknown": 1}
STORED = ({"uid": "u"}, {"resourceVersion": "5"}, {"uid": "u", "resourceVersion": "5"})
SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "addressType": "IPv4",
    "metadata": {"name": "web", "namespace": "alpha", "labels": {"kubernetes.io/service-name": "other"}},
    "endpoints": [{"addresses": ["10.1.0.10"], "targetRef": {"kind": "Pod", "name": "web"}}],
    "ports": [{"port": 80}],
}
ENDPOINTS = {
    "apiVersion": "v1",
    "kind": "Endpoints",
    "metadata": {"name": "web", "namespace": "alpha"},
    "subsets": [{"addresses": [{"ip": "10.9.0.2"}]}, {"notReadyAddresses": [{"ip": "10.9.0.1"}], "ports": None}],
}
NEWER = cluster_policy("newer", egress=[{"action": "Deny", "to": [{"template": {"containers": [5]}}, {"pods": {}}]}])
NEWER["spec"]["template"] = 5
STRANGE = [
    *(workload(kind, "web") for kind in ("StatefulSet", "Deployment", "DaemonSet", "CronJob", "Job")),
    workload("ReplicaSet", "web-5d", **owned("Deployment", "web")),
    workload("Job", "nightly-1", **owned("CronJob", "web")),
    workload("ReplicationController", "old"),
    {**pod("alpha/w", []), "metadata": {"name": "w", "labels": {"pod-template-hash": "5d"}}},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "made-"}, "spec": {"nodeName": "node-a"}},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "made-", "deletionTimestamp": "now"}},
    SLICE,
    ENDPOINTS,
    service("alpha/web", "None", [{"port": 80, "targetPort": "http"}], app="web"),
    {**service("alpha/db", "", []), "spec": {"type": "ExternalName", "externalName": "db.example.com"}},
    *({**policy("alpha/old", SLOPPY), "metadata": {"name": f"old-{n}", **one}} for n, one in enumerate(STORED)),
    *({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"Bad_{n}", **one}} for n, one in enumerate(STORED)),
    {**policy("alpha/noted", {}), "metadata": {"name": "noted", "annotations": {"why": "é\n\u2028"}}},
    policy("alpha/broken", {"egress": [{"to": [{}]}]}),
    cluster_policy("c", egress=[{"action": "Accept", "to": [{"domainNames": ["a.b"]}], "protocols": None}]),
    *({**NEWER, "metadata": {"name": f"newer-{n}", **one}} for n, one in enumerate(STORED)),
    NEWER,
    old("BaselineAdminNetworkPolicy", "default", rule={"ports": [{"portNumber": {"port": 53}}]}),
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}},
    namespace("alpha", team="red"),
]


@given(clusters(), st.lists(st.sampled_from(STRANGE), max_size=8), st.randoms(use_true_random=False))
def test_what_is_saved_reads_back_equal(cluster: list[Manifest], strange: list[Manifest], chance: Any) -> None:
    """Objects of every sort, some twice, in any order; and the saved one saves to the same text again."""
    manifests = [*cluster, *strange]
    chance.shuffle(manifests)
    loaded, text = saved(manifests)
    read = again(text)
    assert read.snapshot == loaded.snapshot
    assert (read.errors, read.warnings, dict(read.skipped)) == ((), tuple(read.warnings), {})
    assert saved(json.loads(text)["items"])[1] == text


@given(st.permutations([one for one in STRANGE if "generateName" not in one["metadata"]]))
def test_the_order_of_the_objects_does_not_matter(manifests: list[Manifest]) -> None:
    """Two inputs with the same objects make the same file and the same cluster; only names made up count upwards."""
    loaded, text = saved(manifests)
    other, same = saved(manifests[::-1])
    assert (other.snapshot, same) == (loaded.snapshot, text)


def test_secrets_are_not_saved() -> None:
    """What containers run, mount and are told is nobody's business, nor is who changed what when."""
    secret = "s3cret"
    container = {
        "name": secret, "image": secret, "command": [secret], "args": [secret],
        "env": [
            {"name": "PASSWORD", "value": secret},
            {"name": "HTTPS_PROXY", "value": f"http://me:{secret}@proxy:3128/{secret}"},
            {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": secret},
            {"name": "NO_PROXY", "valueFrom": {"secretKeyRef": {"name": secret}}},
        ], "envFrom": [{"secretRef": {"name": secret}}],
        "ports": [{"containerPort": 80, "name": "http", "hostIP": secret}],
        "livenessProbe": {"httpGet": {"httpHeaders": [{"name": "A", "value": secret}]}},
    }  # fmt: skip
    spec = {"containers": [container], "volumes": [{"secret": {"secretName": secret}}]}
    more = {"annotations": {"a": secret}, "managedFields": [{"manager": secret}], "finalizers": [f"x/{secret}"]}
    one = pod("shop/web", ["10.1.0.10"], app="web")
    one["metadata"] |= more
    one["spec"] |= spec
    manifests = [
        one,
        {**workload("Deployment", "web"), "spec": {"template": {"metadata": more, "spec": spec}}},
        {**namespace("shop"), "metadata": {"name": "shop", **more}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": {"a": secret}},
        {
            **policy("shop/p", {}),
            "metadata": {"name": "p", "namespace": "shop", "managedFields": more["managedFields"]},
        },
    ]
    loaded, text = saved(manifests)
    assert len(loaded.snapshot.pods) == 2
    assert loaded.errors == ()
    assert secret not in text
    assert loaded.snapshot.pod("shop", "web").hints.variables[1] == ("HTTPS_PROXY", "http://proxy:3128")  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [*GROUPS["What must be reached"], *GROUPS["The network plugin"]])
def test_checks_find_the_same_in_what_is_saved(name: str) -> None:
    """What tells whom a pod will talk to is saved with it."""
    check = load_check(name)
    keeping = Saved()
    text = check.documentation.sections["Example"].encode()
    before = load([Text("in.yaml", text)], stored=None, keep=keeping.keep).snapshot
    profile = PROFILES[(check.profiles or ("outgate",))[0]]
    said = [
        [finding.message for finding in check.find(Survey(snapshot, profile))]
        for snapshot in (before, again("\n".join(keeping.lines())).snapshot)
    ]
    assert said[0] == said[1] != []


def test_how_the_network_is_switched_is_saved() -> None:
    """And nothing beside it: what is known by name reads back, from files and from servers, and the rest is gone."""
    secret = "s3cret"
    container = {
        "name": "aws-eks-nodeagent", "image": f"registry.example/{secret}:1", "ports": [{"containerPort": 80}],
        "args": ["--enable-network-policy=true", f"--password={secret}"], "command": [secret],
    }  # fmt: skip
    annotations = {"k3s.io/node-args": f'["server","--token","{secret}"]', "a": secret}
    data = {"enable-policy": "never", "token": secret}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container, {"image": secret}]}}
    manifests = [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "annotations": annotations}},
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "b", "annotations": {"a": secret}}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cilium-config"}, "data": data},
        *({**workload(kind, "web"), "spec": {"template": template}} for kind in ("DaemonSet", "Deployment")),
    ]
    loaded, text = saved(manifests)
    assert secret not in text
    assert again(text).snapshot == loaded.snapshot
    assert loaded.snapshot.settings == {("default", "cilium-config"): {"enable-policy": "never"}}
    assert all(len(one.containers or ()) == 1 for one in loaded.snapshot.workloads)
    kinds = [json.loads(line.rstrip(","))["kind"] for line in text.splitlines()[1:-1]]
    assert kinds == ["Node", "Node", "ConfigMap", "Deployment", "DaemonSet"]


def test_the_file_is_a_list_with_an_object_a_line() -> None:
    """In the order in which they can be applied, each on its line, so that `diff` shows which one has changed."""
    _, text = saved([policy("b/p", {}), pod("b/z", []), pod("b/a", []), namespace("b"), workload("Deployment", "d")])
    lines = text.splitlines()
    assert (lines[0], lines[-1]) == ('{"apiVersion":"v1","kind":"List","items":[', "]}")
    kinds = [json.loads(line.rstrip(","))["kind"] for line in lines[1:-1]]
    assert kinds == ["Namespace", "Deployment", "Pod", "Pod", "NetworkPolicy"]
    assert '"name":"a"' in lines[3]
    assert again(text).snapshot.policies[0].place.line == 6
    assert again("\n".join(Saved().lines())).objects == 0


def test_the_namespace_of_what_named_none_is_written_down() -> None:
    """Whoever reads the file need not know which `-n` it was made with."""
    loaded, text = saved([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}], namespace="shop")
    assert again(text).snapshot == loaded.snapshot
    assert str(again(text).snapshot.pods[0]) == "shop/web"


def test_policies_of_cilium_are_kept_whole() -> None:
    """What is read of the file is what it was made from: lists that are empty, and groups with their labels."""
    spec = {"endpointSelector": {}, "egress": [{"toEndpoints": []}, {"toCIDRSet": [{"cidrGroupRef": "g"}]}, {}]}
    manifests = [cilium_policy("shop/p", spec), *random_cilium_policies(6, 20), cidr_group("g", "10.0.0.0/8", a="b")]
    loaded, text = saved(manifests)
    before, after = loaded.snapshot, again(text).snapshot
    assert before.cilium_policies
    assert (after.cilium_policies, after.cidr_groups) == (before.cilium_policies, before.cidr_groups)
