"""Versions, other kinds of policy, and what Outgate's own agent could do on the nodes.

The agent needs Linux, and a kernel with sets of concatenated intervals in nftables (5.6). Nothing enforces on a
Windows or a Fargate node, whatever the plugin does elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from outgate.analysis.doctor_facts import Facts, Line, Mark, few, many
from outgate.analysis.doctor_networks import daemons, unmanaged
from outgate.records import dataclass

__all__ = [
    "KERNEL_NEEDED",
    "Nodes",
    "agent_lines",
    "find_nodes",
    "others_line",
    "proxy_mode",
    "version_pair",
    "versions_line",
]

KERNEL_NEEDED = (5, 6)
"""The first kernel whose nftables has sets of concatenated intervals."""
_SKEW = 3
"""Minor versions that a kubelet may be behind: "up to three minor versions older than kube-apiserver"."""


def version_pair(text: str) -> tuple[int, int] | None:
    """``v1.31.2+k3s1`` or ``6.1.0-13-amd64`` as (1, 31) or (6, 1); None for what is no version."""
    found = re.match(r"v?(\d{1,6})\.(\d{1,6})", text)
    return None if found is None else (int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Nodes:
    """What the nodes say of themselves, counted. `unmanaged` maps the reason to the names."""

    total: int
    kubelets: dict[str, int]
    kernels: dict[str, int]
    unmanaged: dict[str, tuple[str, ...]]
    old: tuple[str, ...]
    """Nodes whose kernel is too old for the agent."""
    unsaid: tuple[str, ...]
    """Nodes that do not say their kernel."""


def find_nodes(facts: Facts) -> Nodes:
    """The nodes of the input."""
    nodes = facts.snapshot.nodes.values()
    held: dict[str, list[str]] = {}
    old, unsaid = [], []
    for node in nodes:
        why = unmanaged(node)
        kernel = version_pair(node.kernel)
        if why:
            held.setdefault(why, []).append(node.name)
        elif kernel is None:
            unsaid.append(node.name)
        elif kernel < KERNEL_NEEDED:
            old.append(node.name)
    return Nodes(
        len(facts.snapshot.nodes),
        _counted(node.kubelet for node in nodes),
        _counted(node.kernel for node in nodes if not unmanaged(node)),
        {why: tuple(names) for why, names in sorted(held.items())},
        tuple(old),
        tuple(unsaid),
    )


def _counted(texts: Iterable[str]) -> dict[str, int]:
    counted = Counter(text for text in texts if text)
    return dict(sorted(counted.items(), key=lambda pair: (version_pair(pair[0]) or (0, 0), pair[0])))


def _shown(counted: dict[str, int], most: int = 4) -> str:
    return few((f"{text} ({count})" for text, count in counted.items()), most)


def versions_line(facts: Facts, nodes: Nodes) -> Line:
    """The versions of the server and of the kubelets, and whether they may be together."""
    server = facts.served.version if facts.served is not None else ""
    look = (f"{facts.kubectl} version; {facts.kubectl} get nodes -o wide",)
    if not server and not nodes.kubelets:
        return Line("versions", Mark.UNKNOWN, "neither the server nor a node says its version", (), look)
    words = "; ".join(
        part
        for part in (
            f"server {server}" if server else "",
            f"kubelets {_shown(nodes.kubelets)}" if nodes.kubelets else "no kubelet says its version",
        )
        if part
    )
    complaints = tuple(_skew(server, nodes))
    return Line("versions", Mark.ATTENTION if complaints else Mark.OK, words, complaints, look if complaints else ())


def _skew(server: str, nodes: Nodes) -> Iterator[str]:
    known = [pair for pair in map(version_pair, nodes.kubelets) if pair is not None]
    there = version_pair(server)
    if not known:
        return
    # Where the server does not say, the newest kubelet is not newer than it.
    top = there or max(known)
    if there is not None and max(known) > there:
        yield f"a kubelet of {_pair(max(known))} is newer than the server, which nobody supports"
    if min(known)[0] == top[0] and top[1] - min(known)[1] > _SKEW:
        yield f"a kubelet of {_pair(min(known))} is more than {_SKEW} minor versions behind {_pair(top)}"


def _pair(pair: tuple[int, int]) -> str:
    return f"{pair[0]}.{pair[1]}"


def others_line(facts: Facts) -> Line:
    """Kinds of policy that are there and not read: they may deny what NetworkPolicies allow, and the reverse."""
    if not facts.others:
        if facts.served is not None and facts.served.groups is None:
            words = "the server does not say which other kinds of policy it has"
            return Line("other policies", Mark.UNKNOWN, words, (), (f"{facts.kubectl} get --raw /apis",))
        where = "in the input" if facts.served is None else "in the cluster, of those that are known"
        return Line("other policies", Mark.OK, f"none {where}")
    certain = [one for one in facts.others if one.certain]
    words = f"{many(len(facts.others), 'other kind')} of policy that Outgate does not read: its answers leave them out"
    if not certain:
        words = f"{many(len(facts.others), 'other kind')} of policy may be there; the server does not show them to us"
    details = tuple(
        f"{one.name}{f' ({one.count})' if one.count is not None else ''}{'' if one.certain else ' (not shown)'}"
        for one in facts.others
    )
    steps = tuple(f"{facts.kubectl} get {one.name} -A" for one in facts.others if " " not in one.name)
    return Line("other policies", Mark.ATTENTION if certain else Mark.UNKNOWN, words, details, steps)


def proxy_mode(facts: Facts) -> str:
    """How Services are translated: kube-proxy's mode, ``replaced``, or empty where the input does not say."""
    replaced = facts.setting("kube-system", "cilium-config", "kube-proxy-replacement")
    found = {one.name: one for one in daemons(facts.snapshot) if one.namespace == "kube-system"}
    if replaced in ("true", "strict"):
        return "replaced by Cilium"
    for one in found.values():
        mode = one.flag("proxy-mode")
        if one.name == "kube-proxy" and mode:
            return mode
        if one.name == "kube-router" and one.flag("run-service-proxy") == "true":
            return "replaced by kube-router"
    said = re.search(r'"(\w*)"', facts.setting("kube-system", "kube-proxy", "config.conf") or "")
    if said is None:
        return ""
    # "iptables" is what kube-proxy takes on Linux where the mode is empty.
    return said[1] or "iptables"


def agent_lines(facts: Facts, nodes: Nodes) -> Iterator[Line]:
    """Where nothing enforces, and where Outgate's agent could."""
    look = (f"{facts.kubectl} get nodes -o wide",)
    for why, names in nodes.unmanaged.items():
        words = f"no NetworkPolicy is enforced on {many(len(names), f'{why} node')}: {few(names)}"
        steps = (f"keep workloads that need a policy off {why} nodes (nodeSelector kubernetes.io/os, taints)",)
        yield Line("nodes", Mark.ATTENTION, words, (), steps)
    mode = proxy_mode(facts)
    proxy = (f"Services are translated by kube-proxy ({mode})" if mode else "how kube-proxy translates is not seen",)
    if mode.startswith("replaced"):
        proxy = (f"kube-proxy is {mode}: an agent that judges after translation does not see where it leads",)
    needed = f"{_pair(KERNEL_NEEDED)}"
    able = nodes.total - len(nodes.old) - len(nodes.unsaid) - sum(map(len, nodes.unmanaged.values()))
    if not nodes.total:
        yield Line("agent", Mark.UNKNOWN, "no node is in the input", proxy, look)
        return
    words = f"Outgate's agent could run on {able} of {many(nodes.total, 'node')} (Linux {needed} or newer)"
    if nodes.kernels:
        words = f"{words}; kernels {_shown(nodes.kernels)}"
    details = list(proxy)
    if nodes.old:
        details.append(f"the kernel is too old on {few(nodes.old)}")
    if nodes.unsaid:
        details.append(f"the kernel is not known of {few(nodes.unsaid)}")
    mark = Mark.UNKNOWN if not able and nodes.unsaid else Mark.ATTENTION if nodes.old or nodes.unsaid else Mark.OK
    if mode.startswith("replaced"):
        mark = Mark.ATTENTION
    yield Line("agent", mark, words, tuple(details), look if mark is not Mark.OK else ())
