"""Which network plugin a cluster has, and whether it enforces NetworkPolicy, as far as objects tell.

"NetworkPolicies are implemented by the network plugin. [...] Creating a NetworkPolicy resource without a controller
that implements it will have no effect." Nor does anything warn. Plugins are known by the DaemonSet that they run on
each node, by name and label, in the namespaces where their own manifests put it. That is enough for those that always
enforce. For the others a switch decides, in an argument, a ConfigMap or an image's version, and a daemon's name says
nothing about it: where the switch is not in the input, the answer is that it is not known.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from outgate.analysis.doctor_facts import Facts, plain
from outgate.model import Container, Node, Pod, Snapshot
from outgate.records import dataclass

__all__ = ["PLUGINS", "Daemon", "Enforces", "Network", "Plugin", "Switch", "daemons", "flag", "networks", "unmanaged"]


class Enforces(enum.Enum):
    """Whether NetworkPolicies have an effect."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Switch(enum.Enum):
    """How the switch stands on which it hangs, where there is one."""

    ON = "on"
    OFF = "off"
    UNSEEN = "not seen"


@dataclass(frozen=True, slots=True)
class Daemon:
    """A DaemonSet, or what its pods tell of one. `containers` is None where nothing is known of how it is started."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    containers: tuple[Container, ...] | None
    pods: tuple[Pod, ...]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def asked(self) -> str:
        """What shows it, behind kubectl."""
        return f"-n {plain(self.namespace)} get daemonset {plain(self.name)}"

    def flag(self, name: str) -> str | None:
        """The value of an argument of its containers, the last one given; None where there is none."""
        return flag(self.containers or (), name)


@dataclass(frozen=True, slots=True)
class Network:
    """A plugin that is in the cluster. `look`: a command that shows the switch."""

    plugin: str
    daemon: Daemon | None
    enforces: Enforces
    why: str
    switch: Switch | None = None
    look: str = ""
    ready_on: tuple[str, ...] = ()
    missing_on: tuple[str, ...] | None = None
    """Nodes on which no pod of the daemon is ready; None where the input does not say."""


Judge = Callable[[Facts, Daemon], Network]


@dataclass(frozen=True, slots=True)
class Plugin:
    """How a plugin is known. `labels` are those of its pods; any one of them is enough in its namespaces."""

    name: str
    daemons: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    judge: Judge
    namespaces: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """API groups that it brings, as suffixes."""

    def has(self, daemon: Daemon) -> int:
        """How well a daemon fits: 2 by its name, 1 by a label, 0 not at all.

        Elsewhere than where the plugin's own manifests put it, both are asked for: anybody may take a name.
        """
        named = daemon.name in self.daemons
        labelled = any(daemon.labels.get(key) == value for key, value in self.labels)
        if daemon.namespace not in ("kube-system", *self.namespaces) and not (named and labelled):
            return 0
        return 2 if named else int(labelled)


def flag(containers: tuple[Container, ...], name: str) -> str | None:
    """The value of an argument, as the last of the containers that have it gives it."""
    found = None
    for one in containers:
        for switch in one.switches:
            key, _, value = switch.removeprefix("--").partition("=")
            found = value if key == name else found
    return found


# ---- the switches ----------------------------------------------------------------------------------------------------


def _always(name: str, why: str = "it enforces wherever it runs") -> Judge:
    return lambda _, daemon: Network(name, daemon, Enforces.YES, why)


def _switched(name: str, daemon: Daemon, on: bool | None, why: str, look: str) -> Network:
    if on is None:
        return Network(name, daemon, Enforces.UNKNOWN, why, Switch.UNSEEN, look)
    state, enforces = (Switch.ON, Enforces.YES) if on else (Switch.OFF, Enforces.NO)
    return Network(name, daemon, enforces, why, state, look)


def _cilium(facts: Facts, daemon: Daemon) -> Network:
    mode = facts.setting(daemon.namespace, "cilium-config", "enable-policy")
    reads = facts.setting(daemon.namespace, "cilium-config", "enable-k8s-networkpolicy")
    look = f"{facts.kubectl} -n {plain(daemon.namespace)} get configmap cilium-config -o yaml | grep enable"
    if reads == "false":
        why = "enable-k8s-networkpolicy is false in ConfigMap cilium-config"
        return _switched("Cilium", daemon, False, why, look)
    if not mode:
        why = "enable-policy of ConfigMap cilium-config decides, and it is not in the input"
        return _switched("Cilium", daemon, None, why, look)
    return _switched("Cilium", daemon, mode != "never", f"enable-policy is {mode} in ConfigMap cilium-config", look)


def _aws(facts: Facts, daemon: Daemon) -> Network:
    name = "AWS VPC CNI"
    look = f"{facts.kubectl} {daemon.asked} -o yaml | grep enable-network-policy"
    if daemon.containers is None:
        why = "it enforces only with --enable-network-policy=true, and its arguments are not in the input"
        return _switched(name, daemon, None, why, look)
    if not any(one.name == "aws-eks-nodeagent" for one in daemon.containers):
        return _switched(name, daemon, False, "it has no container aws-eks-nodeagent", look)
    if daemon.flag("enable-network-policy") != "true":
        return _switched(name, daemon, False, "aws-eks-nodeagent runs without --enable-network-policy=true", look)
    controller = facts.setting("kube-system", "amazon-vpc-cni", "enable-network-policy-controller")
    if controller == "false":
        why = "enable-network-policy-controller is false in ConfigMap amazon-vpc-cni"
        return _switched(name, daemon, False, why, look)
    return _switched(name, daemon, True, "aws-eks-nodeagent runs with --enable-network-policy=true", look)


def _kube_router(facts: Facts, daemon: Daemon) -> Network:
    look = f"{facts.kubectl} {daemon.asked} -o yaml | grep run-firewall"
    if daemon.containers is None:
        why = "--run-firewall decides, and its arguments are not in the input"
        return _switched("kube-router", daemon, None, why, look)
    off = daemon.flag("run-firewall") == "false"
    why = "it runs with --run-firewall=false" if off else "it runs with its firewall"
    return _switched("kube-router", daemon, not off, why, look)


def _kube_ovn(facts: Facts, daemon: Daemon) -> Network:
    look = f"{facts.kubectl} -n {plain(daemon.namespace)} get deployment kube-ovn-controller -o yaml | grep enable-np"
    found = [
        one.containers
        for one in facts.snapshot.workloads
        if one.name == "kube-ovn-controller" and one.namespace == daemon.namespace and one.containers is not None
    ]
    if not found:
        why = "--enable-np of kube-ovn-controller decides, and its arguments are not in the input"
        return _switched("Kube-OVN", daemon, None, why, look)
    off = flag(found[0], "enable-np") == "false"
    why = f"kube-ovn-controller runs {'with --enable-np=false' if off else 'with network policies'}"
    return _switched("Kube-OVN", daemon, not off, why, look)


def _weave(facts: Facts, daemon: Daemon) -> Network:
    look = f"{facts.kubectl} {daemon.asked} -o yaml | grep weave-npc"
    if daemon.containers is None:
        why = "its container weave-npc decides, and its containers are not in the input"
        return _switched("Weave Net", daemon, None, why, look)
    on = any(one.name == "weave-npc" for one in daemon.containers)
    return _switched("Weave Net", daemon, on, f"it has {'its' if on else 'no'} container weave-npc", look)


def _terway(facts: Facts, daemon: Daemon) -> Network:
    look = (
        f"{facts.kubectl} -n {plain(daemon.namespace)} get configmap eni-config -o yaml | grep disable_network_policy"
    )
    off = facts.setting(daemon.namespace, "eni-config", "disable_network_policy")
    if not off:
        why = "disable_network_policy of ConfigMap eni-config decides, and it is not in the input"
        return _switched("Terway", daemon, None, why, look)
    why = f"disable_network_policy is {off} in ConfigMap eni-config"
    return _switched("Terway", daemon, off == "false", why, look)


_KINDNET_SINCE = "20240723"
"""The date from which on the images of kindnet enforce: kind 0.24 was the first release with one."""


def _kindnet(facts: Facts, daemon: Daemon) -> Network:
    look = f"{facts.kubectl} {daemon.asked} -o yaml | grep image:"
    for one in daemon.containers or ():
        dated = re.fullmatch(r"kindnetd:v(\d{8})-.*", one.image)
        if dated is not None:
            why = f"its image is of {dated[1][:4]}-{dated[1][4:6]}-{dated[1][6:]}; those since 2024-07-23 enforce"
            return _switched("kindnet", daemon, dated[1] >= _KINDNET_SINCE, why, look)
    why = "its version decides (kind 0.24 was the first to enforce), and no date of its image is in the input"
    return _switched("kindnet", daemon, None, why, look)


def _flannel(facts: Facts, daemon: Daemon) -> Network:
    look = f"{facts.kubectl} {daemon.asked} -o yaml | grep kube-network-policies"
    if daemon.containers is None:
        why = "kube-network-policies within it would enforce, and its containers are not in the input"
        return _switched("Flannel", daemon, None, why, look)
    on = any(one.image.startswith("kube-network-policies:") for one in daemon.containers)
    return _switched("Flannel", daemon, on, f"kube-network-policies {'runs' if on else 'does not run'} in it", look)


PLUGINS: tuple[Plugin, ...] = (
    Plugin("Canal", ("canal", "rke2-canal"), (("k8s-app", "canal"),), _always("Canal", "Calico's policies on Flannel")),
    Plugin(
        "Calico",
        ("calico-node",),
        (("k8s-app", "calico-node"),),
        _always("Calico"),
        ("calico-system",),
        ("crd.projectcalico.org", "projectcalico.org"),
    ),
    Plugin(
        "GKE Dataplane V2",
        ("anetd",),
        (),
        _always("GKE Dataplane V2"),
    ),
    Plugin("Cilium", ("cilium",), (("k8s-app", "cilium"),), _cilium, ("cilium",), ("cilium.io",)),
    Plugin("Antrea", ("antrea-agent",), (("component", "antrea-agent"),), _always("Antrea"), groups=("crd.antrea.io",)),
    Plugin(
        "OVN-Kubernetes",
        ("ovnkube-node",),
        (("app", "ovnkube-node"),),
        _always("OVN-Kubernetes"),
        ("openshift-ovn-kubernetes", "ovn-kubernetes"),
        ("k8s.ovn.org",),
    ),
    Plugin("Kube-OVN", ("kube-ovn-cni",), (("app", "kube-ovn-cni"),), _kube_ovn, groups=("kubeovn.io",)),
    Plugin("kube-router", ("kube-router",), (("k8s-app", "kube-router"),), _kube_router),
    Plugin("Weave Net", ("weave-net",), (("name", "weave-net"),), _weave, ("weave",)),
    Plugin("AWS VPC CNI", ("aws-node",), (("k8s-app", "aws-node"),), _aws),
    Plugin("Azure NPM", ("azure-npm",), (("k8s-app", "azure-npm"),), _always("Azure NPM")),
    Plugin("Terway", ("terway-eniip", "terway"), (("app", "terway-eniip"),), _terway),
    Plugin("kindnet", ("kindnet",), (("k8s-app", "kindnet"), ("app", "kindnet")), _kindnet),
    Plugin(
        "kube-network-policies",
        ("kube-network-policies",),
        (("app", "kube-network-policies"), ("k8s-app", "kube-network-policies")),
        _always("kube-network-policies", "it enforces beside any network"),
    ),
    Plugin(
        "Flannel",
        ("kube-flannel-ds", "kube-flannel"),
        (("app", "flannel"), ("k8s-app", "flannel")),
        _flannel,
        ("kube-flannel",),
    ),
)
"""The plugins that are known, in the order in which a label that several have is given to one."""


# ---- the cluster -----------------------------------------------------------------------------------------------------


def daemons(snapshot: Snapshot) -> tuple[Daemon, ...]:
    """The DaemonSets of the input: of objects, and of pods that belong to one."""
    pods: dict[tuple[str, str], list[Pod]] = {}
    for pod in snapshot.endpoints:
        if pod.owner is not None and pod.owner.kind == "DaemonSet" and not pod.assumed:
            pods.setdefault((pod.namespace, pod.owner.name), []).append(pod)
    found = {
        (one.namespace, one.name): Daemon(one.namespace, one.name, one.labels, one.containers, ())
        for one in snapshot.workloads
        if one.kind == "DaemonSet"
    }
    for (namespace, name), mine in pods.items():
        known = found.get((namespace, name)) or Daemon(namespace, name, mine[0].labels, None, ())
        found[namespace, name] = replace(known, pods=tuple(mine))
    return tuple(one for _, one in sorted(found.items()))


def unmanaged(node: Node) -> str:
    """Why no daemon of Linux runs on a node; empty where one may."""
    if node.labels.get("eks.amazonaws.com/compute-type") == "fargate":
        return "Fargate"
    if node.labels.get("type") == "virtual-kubelet" or node.labels.get("kubernetes.azure.com/mode") == "virtual":
        return "virtual kubelet"
    return "Windows" if "windows" in (node.system, node.labels.get("kubernetes.io/os")) else ""


def networks(facts: Facts) -> tuple[Network, ...]:
    """The plugins that the input shows; what stands for all is said by `doctor_enforcement`."""
    found = [
        _covered(facts.snapshot, plugin.judge(facts, daemon))
        for daemon in daemons(facts.snapshot)
        for plugin in _plugin_of(daemon)
    ]
    found += _of_nodes(facts, tuple(found))
    return tuple(found)


def _plugin_of(daemon: Daemon) -> Iterator[Plugin]:
    fits = [(plugin.has(daemon), plugin) for plugin in PLUGINS]
    best = max(fit for fit, _ in fits)
    if best:
        yield next(plugin for fit, plugin in fits if fit == best)


def _covered(snapshot: Snapshot, network: Network) -> Network:
    """With the nodes on which it is ready, where the input has nodes, and pods of the daemon's namespace."""
    if network.daemon is None:
        return network
    wanted = [name for name, node in snapshot.nodes.items() if not unmanaged(node)]
    beside = snapshot.pods_by_namespace.get(network.daemon.namespace, ())
    if not wanted or all(pod.assumed for pod in beside):
        # An input of one namespace's pods says nothing about those of another.
        return network
    pods = network.daemon.pods
    ready = {pod.node for pod in pods if pod.ready}
    return replace(
        network,
        ready_on=tuple(name for name in wanted if name in ready),
        missing_on=tuple(name for name in wanted if name not in ready),
    )


def _of_nodes(facts: Facts, found: tuple[Network, ...]) -> Iterator[Network]:
    """What is no DaemonSet and is known by the nodes."""
    nodes = facts.snapshot.nodes.values()
    if any("+k3s" in node.kubelet for node in nodes):
        yield _k3s(facts)
    if any(node.labels.get("eks.amazonaws.com/compute-type") == "auto" for node in nodes):
        yield _auto_mode(facts)
    if not found and any(one.namespace == "kube-system" for one in daemons(facts.snapshot)):
        # That none is there is known only where those would be that are.
        for label, cloud, how in (
            ("kubernetes.azure.com/cluster", "AKS", "made without --network-policy"),
            ("cloud.google.com/gke-nodepool", "GKE", "made without network policy and without Dataplane V2"),
        ):
            if any(label in node.labels for node in nodes):
                why = f"none of the DaemonSets that enforce is there, as in a cluster {how}"
                yield Network(f"{cloud} without a policy engine", None, Enforces.NO, why)


def _k3s(facts: Facts) -> Network:
    name = "k3s"
    look = f"{facts.kubectl} get nodes -o yaml | grep k3s.io/node-args"
    known = [node.switches for node in facts.snapshot.nodes.values() if node.switches is not None]
    if not known:
        why = "kube-router's code in the server enforces unless --disable-network-policy, which is not in the input"
        return Network(name, None, Enforces.UNKNOWN, why, Switch.UNSEEN, look)
    off = any(one == "--disable-network-policy=true" for several in known for one in several)
    why = f"the server runs {'with' if off else 'without'} --disable-network-policy"
    if off:
        return Network(name, None, Enforces.NO, why, Switch.OFF, look)
    return Network(name, None, Enforces.YES, why, Switch.ON, look)


def _auto_mode(facts: Facts) -> Network:
    name = "EKS Auto Mode"
    look = f"{facts.kubectl} -n kube-system get configmap amazon-vpc-cni -o yaml"
    value = facts.setting("kube-system", "amazon-vpc-cni", "enable-network-policy-controller")
    if value is None:
        why = "enable-network-policy-controller of ConfigMap amazon-vpc-cni decides, and it is not in the input"
        return Network(name, None, Enforces.UNKNOWN, why, Switch.UNSEEN, look)
    if value != "true":
        why = "enable-network-policy-controller is not true in ConfigMap amazon-vpc-cni"
        return Network(name, None, Enforces.NO, why, Switch.OFF, look)
    # What the NodeClass says (networkPolicy) is not among the objects that are read.
    why = "the controller is on in ConfigMap amazon-vpc-cni; the NodeClass, which is not read, decides the rest"
    return Network(name, None, Enforces.UNKNOWN, why, Switch.ON, look)
