"""Least privilege, as literals: whoever wants the agent to have more has to change this file, and say why."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate import load
from outgate.agent.around import ON_DEMAND
from outgate.agent.step import NEEDED
from outgate.cluster.watch_decode import KINDS
from outgate.nft.compile import compile_node
from outgate.nft.options import Options
from outgate.nft.text import ruleset_text
from outgate.policy import Policies
from tests.deploy.chart import CASES, containers, render, rendered
from tests.house.sources import ROOT
from tests.lab.alone import alone

WATCHED = [
    {"apiGroups": [""], "resources": ["namespaces", "nodes", "pods"], "verbs": ["list", "watch"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]},
    {
        "apiGroups": ["policy.networking.k8s.io"],
        "resources": ["clusternetworkpolicies", "adminnetworkpolicies", "baselineadminnetworkpolicies"],
        "verbs": ["list", "watch"],
    },
    {
        "apiGroups": ["cilium.io"],
        "resources": ["ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies", "ciliumcidrgroups"],
        "verbs": ["list", "watch"],
    },
    {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
]
EVENTS = [{"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "update"]}]

CONFINED = {
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
NET_ADMIN = {**CONFINED, "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}

# Container: what it may do, and what of the node it sees and may write.
MAY = {
    "agent": (NET_ADMIN, {"/var/lib/outgate": "rw", "/run/outgate": "rw"}),
    "names": (NET_ADMIN, {"/var/lib/outgate": "rw", "/run/outgate": "rw"}),
    "envoy": (NET_ADMIN, {}),
    "envoy-folder": (CONFINED, {}),
    "boot": (NET_ADMIN, {"/var/lib/outgate": "rw"}),
    "uninstall": (NET_ADMIN, {"/var/lib/outgate": "rw", "/run/outgate": "rw"}),
    "boot-unit": (CONFINED, {"/etc/systemd/system": "rw"}),
    "remove-boot-unit": (CONFINED, {"/etc/systemd/system": "rw"}),
    "cni-plugin": (CONFINED, {"/opt/cni/bin": "rw"}),
    "removed": (CONFINED, {}),
    "status": (CONFINED, {"/run/outgate": "ro"}),
}

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def host_paths(pod: dict[str, Any], container: dict[str, Any]) -> dict[str, str]:
    """The folders of the node that a container sees."""
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
    return {
        paths[mount["name"]]: "ro" if mount.get("readOnly") else "rw"
        for mount in container.get("volumeMounts", [])
        if mount["name"] in paths
    }


def has_token(pod: dict[str, Any], container: dict[str, Any]) -> bool:
    """Say if a container can speak to the API server in the agent's name."""
    projected = {volume["name"] for volume in pod["volumes"] if "projected" in volume}
    return any(mount["name"] in projected for mount in container.get("volumeMounts", []))


@pytest.mark.parametrize("case", CASES)
def test_the_api_rights_are_exactly_these(case: str) -> None:
    """List and watch, and events where they are wanted. No get, no secrets, no write to anything else."""
    roles = [item for item in rendered(case).objects if item["kind"] in {"ClusterRole", "Role"}]
    if CASES[case].get("rbac", {}).get("create") is False:
        assert roles == []
        return
    (role,) = roles
    events = CASES[case].get("events", {}).get("enabled", True)
    assert role["rules"] == WATCHED + (EVENTS if events else [])


def test_what_may_be_watched_is_what_the_agent_watches() -> None:
    """A right that nothing uses is one too many; a kind without its right keeps the agent from being ready."""
    granted = {(group, plural) for rule in WATCHED for group in rule["apiGroups"] for plural in rule["resources"]}
    wanted = {(KINDS[one].api_version.rpartition("/")[0], KINDS[one].plural) for one in NEEDED | ON_DEMAND}
    assert granted == wanted


@pytest.mark.parametrize("case", CASES)
def test_the_containers_may_exactly_this(case: str) -> None:
    """One capability for what speaks to nf_tables, none for the rest, and a root file system that nobody writes."""
    places = {"/var/lib/rancher/k3s/data/cni": "/opt/cni/bin"}
    for pod in rendered(case).pods():
        for container in containers(pod):
            allowed, paths = MAY[container["name"]]
            assert container["securityContext"] == allowed
            seen = {places.get(path, path): how for path, how in host_paths(pod, container).items()}
            assert seen == paths


@pytest.mark.parametrize("case", CASES)
def test_the_pods_share_nothing_else_with_the_node(case: str) -> None:
    """Its network, and no processes, no IPC, no users."""
    for pod in rendered(case).pods():
        assert not {"hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"} & set(pod)
        context = {"runAsUser": 0, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}}
        assert pod["securityContext"] == context
        assert {container.get("lifecycle") for container in containers(pod)} == {None}
    assert rendered(case).daemonset()["hostNetwork"] is True


@pytest.mark.parametrize("case", CASES)
def test_only_the_agent_has_a_token(case: str) -> None:
    """What writes files onto the node has no business with the API server."""
    release = rendered(case)
    for pod in release.pods():
        assert pod["automountServiceAccountToken"] is False
        assert {one["name"] for one in containers(pod) if has_token(pod, one)} <= {"agent"}
    for pod in release.pods():
        for container in containers(pod):
            if container["name"] == "agent":
                assert TOKEN in {mount["mountPath"] for mount in container["volumeMounts"]}
    accounts = [item for item in release.objects if item["kind"] == "ServiceAccount"]
    assert {account["automountServiceAccountToken"] for account in accounts} <= {False}


@settings(max_examples=30)
@given(st.fixed_dictionaries({}, optional={name: st.sampled_from(list(CASES.values())) for name in "abc"}))
def test_no_combination_of_values_gives_more(parts: dict[str, dict[str, Any]]) -> None:
    """Values are merged in whatever order, and what comes out stays within the table."""
    values: dict[str, Any] = {}
    for part in parts.values():
        values |= part
    if values.get("serviceMonitor", {}).get("enabled"):
        values["listen"] = "[::]:9999"
    for pod in render(values).pods():
        assert {one["name"] for one in containers(pod)} <= set(MAY)
        for container in containers(pod):
            assert container["securityContext"] == MAY[container["name"]][0]


def test_the_plain_manifests_give_no_more() -> None:
    """The same literals for install.yaml, without any engine."""
    items = list(yaml.safe_load_all((ROOT / "deploy" / "kustomize" / "install.yaml").read_text(encoding="utf-8")))
    (role,) = [item for item in items if item["kind"] == "ClusterRole"]
    assert role["rules"] == WATCHED + EVENTS
    (pod,) = [item["spec"]["template"]["spec"] for item in items if item["kind"] == "DaemonSet"]
    assert [container["name"] for container in containers(pod)] == ["boot", "agent"]
    assert [(c["securityContext"], host_paths(pod, c)) for c in containers(pod)] == [MAY["boot"], MAY["agent"]]


def load_with(capabilities: list[str], ruleset: str) -> tuple[int, str]:
    """Load a ruleset, list it and take it away, in a new network namespace, with these capabilities and no other."""
    given_rights = ",".join(["-all", *(f"+{name.lower()}" for name in capabilities)])
    confined = ["setpriv", "--bounding-set", given_rights, "--inh-caps", "-all", "--no-new-privs"]

    def body() -> tuple[int, str]:
        loading = subprocess.run(
            [*confined, "nft", "-f", "-"], input=ruleset, capture_output=True, text=True, check=False, timeout=60
        )
        if loading.returncode != 0:
            return loading.returncode, loading.stderr
        listing = subprocess.run([*confined, "nft", "list", "tables"], capture_output=True, text=True, check=True)
        subprocess.run([*confined, "nft", "delete", "table", "inet", "outgate"], check=True)
        return 0, listing.stdout

    return alone(body)


@pytest.mark.kernel
def test_the_kernel_asks_for_no_other_capability() -> None:
    """Root of a container with what the manifests give can load a real ruleset; with none it cannot."""
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv of util-linux")
    (capabilities,) = [one["add"] for one in [NET_ADMIN["capabilities"]] if isinstance(one, dict)]
    snapshot = load(ROOT / "examples" / "recipes")
    compiled = compile_node(Policies(snapshot), "node-a", Options(log_group=5))
    ruleset = ruleset_text(compiled.ruleset)
    assert load_with(list(capabilities), ruleset) == (0, "table inet outgate\n")
    refused, words = load_with([], ruleset)
    assert refused != 0
    assert "not permitted" in words
