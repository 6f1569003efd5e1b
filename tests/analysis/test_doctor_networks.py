"""Each plugin is known by what its own manifests put into a cluster, and believed only as far as its switch is seen."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.analysis.doctor_facts import Served
from outgate.analysis.doctor_networks import PLUGINS, Enforces, Switch, daemons, networks, unmanaged
from outgate.model import Node
from outgate.testing import Manifest, pod
from tests.analysis.clinic import config, daemon, facts_of, network_of, nodes, pods_of

YES, NO, UNKNOWN = Enforces.YES, Enforces.NO, Enforces.UNKNOWN
ON, OFF, UNSEEN = Switch.ON, Switch.OFF, Switch.UNSEEN


def key(name: str) -> dict[str, str]:
    """The label that most have."""
    return {"k8s-app": name}


def agent(*arguments: str, name: str = "aws-eks-nodeagent") -> Manifest:
    """AWS VPC CNI with a second container."""
    return daemon("kube-system/aws-node", key("aws-node"), {}, {"name": name, "args": list(arguments)})


AWS_ON = agent("--metrics=x", "--enable-network-policy=true")
CILIUM = daemon("kube-system/cilium", key("cilium"))
ROUTER = "kube-system/kube-router"
FLANNEL = ("kube-flannel/kube-flannel-ds", {"app": "flannel"})
NETPOL = {"name": "kube-network-policies", "image": "example/networking/kube-network-policies:v0.7.0"}
OVN = daemon("kube-system/kube-ovn-cni", {"app": "kube-ovn-cni"})
TERWAY = daemon("kube-system/terway-eniip", {"app": "terway-eniip"})
WEAVE = ("kube-system/weave-net", {"name": "weave-net"})


def ovn_controller(*arguments: str) -> Manifest:
    """The Deployment on which the switch of Kube-OVN is."""
    one = {"args": list(arguments)}
    return daemon("kube-system/kube-ovn-controller", {"app": "kube-ovn-controller"}, one, kind="Deployment")


def kindnet(tag: str) -> Manifest:
    """The network of kind."""
    return daemon("kube-system/kindnet", {"app": "kindnet", **key("kindnet")}, {"image": f"example/kindnetd:{tag}"})


@pytest.mark.parametrize(
    ("name", "manifests", "enforces", "switch"),
    [
        ("Calico", [daemon("kube-system/calico-node", key("calico-node"))], YES, None),
        ("Calico", [daemon("calico-system/calico-node", key("calico-node"))], YES, None),
        ("Calico", [daemon("kube-system/mine", key("calico-node"))], YES, None),
        ("Canal", [daemon("kube-system/canal", key("canal"))], YES, None),
        ("Canal", [daemon("kube-system/rke2-canal", key("canal"))], YES, None),
        ("GKE Dataplane V2", [daemon("kube-system/anetd", key("cilium"))], YES, None),
        ("Antrea", [daemon("kube-system/antrea-agent", {"component": "antrea-agent"})], YES, None),
        ("OVN-Kubernetes", [daemon("openshift-ovn-kubernetes/ovnkube-node", {"app": "ovnkube-node"})], YES, None),
        ("OVN-Kubernetes", [daemon("ovn-kubernetes/ovnkube-node", {"app": "ovnkube-node"})], YES, None),
        ("Azure NPM", [daemon("kube-system/azure-npm", key("azure-npm"))], YES, None),
        ("kube-network-policies", [daemon("kube-system/kube-network-policies", {"app": "x"})], YES, None),
        ("Cilium", [CILIUM, config("cilium-config", {"enable-policy": "default"})], YES, ON),
        ("Cilium", [CILIUM, config("cilium-config", {"enable-policy": "always"})], YES, ON),
        ("Cilium", [CILIUM, config("cilium-config", {"enable-policy": "never"})], NO, OFF),
        ("Cilium", [CILIUM, config("cilium-config", {"enable-k8s-networkpolicy": "false"})], NO, OFF),
        ("Cilium", [CILIUM, config("cilium-config", {})], UNKNOWN, UNSEEN),
        ("Cilium", [CILIUM], UNKNOWN, UNSEEN),
        ("AWS VPC CNI", [AWS_ON], YES, ON),
        ("AWS VPC CNI", [AWS_ON, config("amazon-vpc-cni", {"enable-network-policy-controller": "true"})], YES, ON),
        ("AWS VPC CNI", [AWS_ON, config("amazon-vpc-cni", {"enable-network-policy-controller": "false"})], NO, OFF),
        ("AWS VPC CNI", [agent("--enable-network-policy=false")], NO, OFF),
        ("AWS VPC CNI", [agent()], NO, OFF),
        ("AWS VPC CNI", [agent("--enable-ipv6=true", name="other")], NO, OFF),
        ("AWS VPC CNI", [daemon("kube-system/aws-node", key("aws-node"), bare=True)], UNKNOWN, UNSEEN),
        ("kube-router", [daemon(ROUTER, key("kube-router"), {"args": ["--run-router=true"]})], YES, ON),
        ("kube-router", [daemon(ROUTER, key("kube-router"), {"args": ["--run-firewall=true"]})], YES, ON),
        ("kube-router", [daemon(ROUTER, key("kube-router"), {"args": ["--run-firewall=false"]})], NO, OFF),
        ("kube-router", [daemon(ROUTER, key("kube-router"), bare=True)], UNKNOWN, UNSEEN),
        ("Kube-OVN", [OVN, ovn_controller("--enable-lb=true")], YES, ON),
        ("Kube-OVN", [OVN, ovn_controller("--enable-np=false")], NO, OFF),
        ("Kube-OVN", [OVN], UNKNOWN, UNSEEN),
        ("Weave Net", [daemon(*WEAVE, {"name": "weave"}, {"name": "weave-npc"})], YES, ON),
        ("Weave Net", [daemon(*WEAVE, {"name": "weave"})], NO, OFF),
        ("Weave Net", [daemon(*WEAVE, bare=True)], UNKNOWN, UNSEEN),
        ("Terway", [TERWAY], UNKNOWN, UNSEEN),
        ("kindnet", [kindnet("v20240813-c6f155d6")], YES, ON),
        ("kindnet", [kindnet("v20240723-00000000")], YES, ON),
        ("kindnet", [kindnet("v20240202-8f1494ea")], NO, OFF),
        ("kindnet", [kindnet("latest")], UNKNOWN, UNSEEN),
        ("kindnet", [daemon("kube-system/kindnet", {}, bare=True)], UNKNOWN, UNSEEN),
        ("Flannel", [daemon(*FLANNEL, {"name": "kube-flannel"})], NO, OFF),
        ("Flannel", [daemon(*FLANNEL, {"name": "kube-flannel"}, NETPOL)], YES, ON),
        ("Flannel", [daemon(*FLANNEL, bare=True)], UNKNOWN, UNSEEN),
        ("k3s", nodes("a", info={"kubeletVersion": "v1.31.2+k3s1"}), UNKNOWN, UNSEEN),
    ],
)
def test_each_plugin(name: str, manifests: list[Manifest], enforces: Enforces, switch: Switch | None) -> None:
    """On, off, and not in the input: a daemon's name alone never decides where a switch does."""
    found = network_of(*manifests)
    assert (found.plugin, found.enforces, found.switch) == (name, enforces, switch)
    assert found.why
    # Whoever does not see the switch is told where to look.
    assert bool(found.look) is (switch is not None)


def test_every_plugin_of_the_table_is_tried() -> None:
    """A row of the table that no test has met may be mistyped."""
    (mark,) = (one for one in test_each_plugin.pytestmark if one.name == "parametrize")  # type: ignore[attr-defined]
    assert {row[0] for row in mark.args[1]} >= {one.name for one in PLUGINS}


@pytest.mark.parametrize(("value", "enforces"), [("false", YES), ("true", NO)])
def test_the_switch_of_terway(value: str, enforces: Enforces) -> None:
    """It says what is off, unlike most others."""
    settings = config("eni-config", {"disable_network_policy": value})
    assert network_of(TERWAY, settings).enforces is enforces


@pytest.mark.parametrize(
    "manifests",
    [
        [daemon("shop/web", {"app": "web"})],
        # Anybody may take a name in a namespace of their own, and give a label.
        [daemon("shop/cilium", {"app": "x"})],
        [daemon("shop/x", key("cilium"))],
        [daemon("kube-system/kube-proxy", key("kube-proxy"))],
        [pod("kube-system/cilium-x", [], labels=key("cilium"))],
        [daemon("kube-system/cilium", key("cilium"), kind="Deployment")],
    ],
)
def test_what_is_none(manifests: list[Manifest]) -> None:
    """A name is no plugin."""
    assert networks(facts_of(manifests)) == ()


def test_a_plugin_elsewhere_has_both_its_name_and_its_label() -> None:
    """People install where they like."""
    assert network_of(daemon("net/calico-node", key("calico-node"))).plugin == "Calico"


def test_pods_tell_of_a_daemon_whose_object_is_missing() -> None:
    """As in an input of pods and policies alone; what it was started with is then not known."""
    found = network_of(*pods_of("kube-system/aws-node", key("aws-node"), "a"))
    assert (found.plugin, found.enforces) == ("AWS VPC CNI", UNKNOWN)
    (one,) = daemons(facts_of(pods_of("kube-system/aws-node", key("aws-node"), "a")).snapshot)
    assert str(one) == "kube-system/aws-node"
    assert len(one.pods) == 1


def k3s(arguments: str) -> Manifest:
    """A node of k3s that says how it was started."""
    (one,) = nodes("a", info={"kubeletVersion": "v1.31.2+k3s1"})
    one["metadata"]["annotations"] = {"k3s.io/node-args": arguments}
    return one


@pytest.mark.parametrize(
    ("arguments", "enforces", "switch"),
    [
        ('["server"]', YES, ON),
        ('["server","--disable-network-policy"]', NO, OFF),
        ('["server","--disable-network-policy=false"]', YES, ON),
        ('["agent"]', UNKNOWN, UNSEEN),
    ],
)
def test_k3s(arguments: str, enforces: Enforces, switch: Switch) -> None:
    """Its policy engine is in the server and no DaemonSet."""
    found = network_of(k3s(arguments))
    assert (found.enforces, found.switch, found.daemon) == (enforces, switch, None)


@pytest.mark.parametrize(
    ("settings", "live", "enforces", "switch"),
    [
        ({"enable-network-policy-controller": "true"}, None, UNKNOWN, ON),
        ({"enable-network-policy-controller": "false"}, None, NO, OFF),
        ({}, None, NO, OFF),
        (None, None, UNKNOWN, UNSEEN),
        (None, Served(absent=frozenset({("kube-system", "amazon-vpc-cni")})), NO, OFF),
        (None, Served(), UNKNOWN, UNSEEN),
    ],
)
def test_eks_auto_mode(settings: dict[str, str] | None, live: Any, enforces: Enforces, switch: Switch) -> None:
    """Without a DaemonSet; that a ConfigMap does not exist is known of a live cluster alone."""
    told = [] if settings is None else [config("amazon-vpc-cni", settings)]
    found = network_of(*nodes("a", labels={"eks.amazonaws.com/compute-type": "auto"}), *told, live=live)
    assert (found.plugin, found.enforces, found.switch) == ("EKS Auto Mode", enforces, switch)


@pytest.mark.parametrize("label", ["kubernetes.azure.com/cluster", "cloud.google.com/gke-nodepool"])
def test_clouds_whose_clusters_may_have_no_engine(label: str) -> None:
    """What is missing is known only where what is there is in the input."""
    some = nodes("a", labels={label: "x"})
    proxy = daemon("kube-system/kube-proxy", key("kube-proxy"))
    assert network_of(*some, proxy).enforces is NO
    assert networks(facts_of(some)) == ()
    assert network_of(*some, proxy, daemon("kube-system/azure-npm", key("azure-npm"))).enforces is YES


def test_where_a_plugin_is_ready() -> None:
    """A node without it is open, and nobody is told."""
    there = pods_of("kube-system/calico-node", key("calico-node"), "a", "b")
    there[1]["status"]["conditions"][0]["status"] = "False"
    windows = nodes("w", info={"operatingSystem": "windows"})
    found = network_of(*nodes("a", "b", "c"), *windows, *there)
    assert (found.ready_on, found.missing_on) == (("a",), ("b", "c"))
    # Without pods, or without nodes, nobody knows.
    assert network_of(*nodes("a"), daemon("kube-system/calico-node", key("calico-node"))).missing_on is None
    assert network_of(*there).missing_on is None
    # The pods of another namespace are none of this one's.
    other = daemon("calico-system/calico-node", key("calico-node"))
    assert network_of(*nodes("a"), other, pod("shop/web", [])).missing_on is None


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (Node("a", {"eks.amazonaws.com/compute-type": "fargate"}), "Fargate"),
        (Node("a", {"type": "virtual-kubelet"}), "virtual kubelet"),
        (Node("a", {"kubernetes.io/os": "windows"}), "Windows"),
        (Node("a", system="windows"), "Windows"),
        (Node("a", {"kubernetes.io/os": "linux"}, system="linux"), ""),
        (Node("a"), ""),
    ],
)
def test_nodes_without_daemons(node: Node, why: str) -> None:
    """No plugin enforces there."""
    assert unmanaged(node) == why
