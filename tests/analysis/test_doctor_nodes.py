"""Versions, other kinds of policy, and what the agent could do."""

from __future__ import annotations

import pytest

from outgate.analysis.doctor_facts import Line, Mark, OtherPolicy, Served
from outgate.analysis.doctor_nodes import (
    KERNEL_NEEDED,
    agent_lines,
    find_nodes,
    others_line,
    proxy_mode,
    version_pair,
    versions_line,
)
from outgate.testing import Manifest
from tests.analysis.clinic import config, daemon, facts_of, line_of, nodes


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("v1.31.2", (1, 31)),
        ("v1.30.4-eks-a737599", (1, 30)),
        ("v1.31.2+k3s1", (1, 31)),
        ("6.1.0-13-amd64", (6, 1)),
        ("5.15.167.4-microsoft-standard-WSL2", (5, 15)),
        ("10.0.20348.2762", (10, 0)),
        ("", None),
        ("x", None),
        ("v1", None),
        ("9" * 5000 + ".1", None),
    ],
)
def test_versions_are_read(text: str, pair: tuple[int, int] | None) -> None:
    """As clouds and distributions decorate them."""
    assert version_pair(text) == pair


def versions(server: str, *kubelets: str) -> Line:
    """What is said of a server and its nodes."""
    some = [one for i, text in enumerate(kubelets) for one in nodes(f"n{i}", info={"kubeletVersion": text})]
    facts = facts_of(some, live=Served(server) if server else None)
    return versions_line(facts, find_nodes(facts))


@pytest.mark.parametrize(
    ("server", "kubelets", "mark", "words"),
    [
        ("v1.31.2", ["v1.31.2", "v1.31.2"], Mark.OK, "server v1.31.2; kubelets v1.31.2 (2)"),
        ("v1.31.2", ["v1.28.0"], Mark.OK, "server v1.31.2; kubelets v1.28.0 (1)"),
        ("v1.31.2", ["v1.27.9"], Mark.ATTENTION, "server v1.31.2; kubelets v1.27.9 (1)"),
        ("v1.31.2", ["v1.32.0"], Mark.ATTENTION, "server v1.31.2; kubelets v1.32.0 (1)"),
        ("", ["v1.9.0", "v1.13.0"], Mark.ATTENTION, "kubelets v1.9.0 (1), v1.13.0 (1)"),
        ("", ["v1.10.0", "v1.9.0"], Mark.OK, "kubelets v1.9.0 (1), v1.10.0 (1)"),
        ("v1.31.2", [], Mark.OK, "server v1.31.2; no kubelet says its version"),
        ("v1.31.2", [""], Mark.OK, "server v1.31.2; no kubelet says its version"),
        ("odd", ["v1.31.2"], Mark.OK, "server odd; kubelets v1.31.2 (1)"),
        ("", [], Mark.UNKNOWN, "neither the server nor a node says its version"),
    ],
)
def test_versions_together(server: str, kubelets: list[str], mark: Mark, words: str) -> None:
    """A kubelet may be three minor versions behind, and never ahead."""
    line = versions(server, *kubelets)
    assert (line.mark, line.words) == (mark, words)
    assert bool(line.next_steps) is (mark is not Mark.OK)
    assert bool(line.details) is (mark is Mark.ATTENTION)


def others(*found: OtherPolicy, live: Served | None = None) -> Line:
    """What is said of these kinds."""
    return others_line(facts_of([], live=live, others=found))


def test_other_kinds_of_policy() -> None:
    """There, perhaps there, not there, not known."""
    line = others(OtherPolicy("egressfirewalls.k8s.ovn.org"), OtherPolicy("CiliumNetworkPolicy of cilium.io/v2", 3))
    assert (line.mark, line.details) == (
        Mark.ATTENTION,
        ("egressfirewalls.k8s.ovn.org", "CiliumNetworkPolicy of cilium.io/v2 (3)"),
    )
    assert line.next_steps == ("kubectl get egressfirewalls.k8s.ovn.org -A",)
    line = others(OtherPolicy("a.b", certain=False))
    assert (line.mark, line.details) == (Mark.UNKNOWN, ("a.b (not shown)",))
    assert others().words == "none in the input"
    assert others(live=Served(groups=frozenset({"apps"}))).words == "none in the cluster, of those that are known"
    assert others(live=Served()).mark is Mark.UNKNOWN


PROXY = {"config.conf": 'kind: KubeProxyConfiguration\nmode: "ipvs"\n'}


@pytest.mark.parametrize(
    ("manifests", "mode"),
    [
        ([], ""),
        ([config("kube-proxy", PROXY)], "ipvs"),
        ([config("kube-proxy", {"config.conf": 'mode: ""'})], "iptables"),
        ([config("kube-proxy", {"config.conf": "x: y"})], ""),
        ([daemon("kube-system/kube-proxy", {}, {"args": ["--proxy-mode=nftables"]})], "nftables"),
        ([daemon("other/kube-proxy", {}, {"args": ["--proxy-mode=nftables"]})], ""),
        (
            [config("cilium-config", {"kube-proxy-replacement": "true"}), config("kube-proxy", PROXY)],
            "replaced by Cilium",
        ),
        ([config("cilium-config", {"kube-proxy-replacement": "false"}), config("kube-proxy", PROXY)], "ipvs"),
        ([daemon("kube-system/kube-router", {}, {"args": ["--run-service-proxy=true"]})], "replaced by kube-router"),
    ],
)
def test_how_services_are_translated(manifests: list[Manifest], mode: str) -> None:
    """As far as it is visible: in a ConfigMap, or in arguments."""
    assert proxy_mode(facts_of(manifests)) == mode


def agent(*manifests: Manifest) -> list[Line]:
    """What is said of the nodes."""
    facts = facts_of(manifests)
    return list(agent_lines(facts, find_nodes(facts)))


def test_nodes_that_the_agent_could_run_on() -> None:
    """Linux with a kernel that is new enough."""
    (line,) = agent(*nodes("a", "b"), config("kube-proxy", PROXY))
    assert line.mark is Mark.OK
    assert line.words == ("Outgate's agent could run on 2 of 2 nodes (Linux 5.6 or newer); kernels 6.1.0-13-amd64 (2)")
    assert line.details == ("Services are translated by kube-proxy (ipvs)",)


def test_nodes_that_it_could_not_run_on() -> None:
    """Old ones, and those that do not say."""
    assert KERNEL_NEEDED == (5, 6)
    edge = [*nodes("a", info={"kernelVersion": "5.5.19"}), *nodes("b", info={"kernelVersion": "5.6.0"})]
    (line,) = agent(*edge, *nodes("c", info={"kernelVersion": ""}))
    assert (line.mark, "on 1 of 3 nodes" in line.words) == (Mark.ATTENTION, True)
    assert line.details[1:] == ("the kernel is too old on a", "the kernel is not known of c")
    (line,) = agent(*nodes("c", info={"kernelVersion": ""}))
    assert line.mark is Mark.UNKNOWN
    (line,) = agent()
    assert line.mark is Mark.UNKNOWN


def test_nodes_where_nothing_enforces() -> None:
    """Whatever the plugin does elsewhere."""
    fargate = nodes("f", labels={"eks.amazonaws.com/compute-type": "fargate"})
    windows = nodes("w", info={"operatingSystem": "windows", "kernelVersion": "10.0.20348.2762"})
    lines = agent(*nodes("a"), *fargate, *windows)
    assert [line.words for line in lines if line.topic == "nodes"] == [
        "no NetworkPolicy is enforced on 1 Fargate node: f",
        "no NetworkPolicy is enforced on 1 Windows node: w",
    ]
    line = line_of(lines, "agent")
    assert line.words == ("Outgate's agent could run on 1 of 3 nodes (Linux 5.6 or newer); kernels 6.1.0-13-amd64 (1)")


def test_a_proxy_that_is_replaced() -> None:
    """The agent judges after a translation that it would not see."""
    (line,) = agent(*nodes("a"), config("cilium-config", {"kube-proxy-replacement": "true"}))
    assert line.mark is Mark.ATTENTION
    assert "replaced by Cilium" in line.details[0]
