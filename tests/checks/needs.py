"""What workloads need, as manifests: an API server, accounts, environments, and fixes performed on text."""

from __future__ import annotations

from typing import Any

import yaml

from outgate.checks import Finding, Survey, load
from outgate.cluster import Text
from outgate.cluster import load as read
from outgate.cluster.edits import mend
from outgate.policy.profile import OUTGATE, Profile
from outgate.testing import Manifest, pod, service

__all__ = ["API", "VIP", "account", "bound", "callout", "endpoints", "mended", "running", "template"]

VIP = "10.96.0.1"
"""The address of Service default/kubernetes."""


def endpoints(path: str, addresses: list[str], port: int, name: str = "https") -> Manifest:
    """An EndpointSlice of a Service."""
    space, _, of = path.partition("/")
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": of, "namespace": space, "labels": {"kubernetes.io/service-name": of}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [one]} for one in addresses],
        "ports": [{"name": name, "port": port, "protocol": "TCP"}],
    }


API: tuple[Manifest, ...] = (
    service("default/kubernetes", VIP, [{"name": "https", "port": 443, "targetPort": 6443}]),
    endpoints("default/kubernetes", ["192.0.2.10", "192.0.2.11"], 6443),
)
"""An API server with two endpoints, behind its Service."""


def account(path: str, annotations: dict[str, str] | None = None, *, token: bool | None = None) -> Manifest:
    """A ServiceAccount."""
    space, _, name = path.partition("/")
    made: Manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": space, "annotations": annotations or {}},
    }
    return made if token is None else made | {"automountServiceAccountToken": token}


def bound(path: str) -> Manifest:
    """A ClusterRoleBinding of an account."""
    space, _, name = path.partition("/")
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{space}:{name}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "namespace": space, "name": name}],
    }


def running(path: str, address: str = "10.244.1.1", *, labels: dict[str, str] | None = None, **spec: Any) -> Manifest:
    """A pod of which more is said: ``env`` of its container, ``annotations``, or fields of its ``spec``."""
    name = path.rpartition("/")[2]
    made = pod(path, [address], labels=labels or {"app": name})
    made["spec"]["containers"][0]["env"] = [{"name": key, "value": value} for key, value in spec.pop("env", {}).items()]
    made["metadata"]["annotations"] = spec.pop("annotations", {})
    made["spec"]["containers"] += [{"name": one} for one in spec.pop("also", ())]
    made["spec"] |= spec
    return made


def template(kind: str, path: str, *, annotations: dict[str, str] | None = None, **spec: Any) -> Manifest:
    """A workload without pods."""
    space, _, name = path.partition("/")
    version = "batch/v1" if kind.endswith("Job") else "apps/v1"
    metadata = {"labels": {"app": name} | spec.pop("labels", {}), "annotations": annotations or {}}
    inner: Manifest = {"template": {"metadata": metadata, "spec": {"containers": [{"name": "main"}], **spec}}}
    if kind == "CronJob":
        inner = {"jobTemplate": {"spec": inner}}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": space}, "spec": inner}


def callout(path: str, *, policy: str = "Fail", kind: str = "ValidatingWebhookConfiguration") -> Manifest:
    """A webhook configuration that names one Service."""
    space, _, name = path.partition("/")
    hook = {"name": "a.example.com", "clientConfig": {"service": {"namespace": space, "name": name}}}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "hooks"},
        "webhooks": [{**hook, "failurePolicy": policy}],
    }


def mended(rule: str, *cluster: Manifest, profile: Profile = OUTGATE) -> tuple[list[Finding], list[Manifest]]:
    """What a check finds once its own fixes are performed on the text, and that text."""
    data = yaml.safe_dump_all(cluster, sort_keys=False).encode()
    found = load(rule).find(Survey(read([Text("in.yaml", data)]).snapshot, profile))
    done = mend("in.yaml", data, [edit for one in found for edit in one.fix])
    assert not done.refused
    assert done.after != data
    after = read([Text("in.yaml", done.after)])
    assert after.errors == ()
    return list(load(rule).find(Survey(after.snapshot, profile))), list(yaml.safe_load_all(done.after))
