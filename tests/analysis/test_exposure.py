"""How exposed a workload is: findings, their order, nodes, and what follows where nothing is known."""

from __future__ import annotations

import dataclasses

import pytest

from outgate.analysis.exposure import KUBELET_PORT, Exposure, Finding, exposure
from outgate.analysis.exposure_places import Found, Reach
from outgate.cli.exposure import FAIL_ON
from outgate.model import Direction, Snapshot
from outgate.packets import Protocol
from outgate.policy import OUTGATE, Endpoint, Flow, Judge, Policies
from outgate.policy.grid import Grid
from outgate.testing import namespace, node, pod, policy, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.analysis.estate import WEB, allow, estate, report_of, standing_of
from tests.analysis.shop import deployment

EVERYWHERE = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}
NAMES = {"ports": [{"protocol": "UDP", "port": 53}]}


def findings(*more: dict[str, object]) -> set[str]:
    """The findings about the web workload."""
    return {one.value for one in standing_of(*more).findings}


def test_a_workload_that_nothing_isolates_has_every_finding_but_a_part_for_the_whole() -> None:
    """Nothing stands between it and anything."""
    assert findings() == {one.value for one in Finding}


def test_a_workload_that_may_send_nothing_has_none_of_egress() -> None:
    """Deny all: what is left is what others may do to it."""
    assert findings(allow()) == {"open-ingress"}
    deny = policy("shop/in", {"podSelector": {}, "policyTypes": ["Ingress"]})
    assert findings(allow(), deny) == set()


def test_port_53_is_a_matter_of_dns_and_not_of_the_internet() -> None:
    """Whoever opened DNS to everybody did not open the internet, and yet opened a way out."""
    found = findings(allow(EVERYWHERE | NAMES))
    assert "dns" in found
    assert not found & {"internet", "internet-part", "metadata", "unisolated"}
    assert "internet" in findings(allow(EVERYWHERE | {"ports": [{"port": 443}]}))


def test_a_hole_in_the_internet_does_not_hide_the_rest() -> None:
    """`except` one address must not turn the finding off: more than half is as good as all."""
    holes = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["8.8.8.8/32"]}}]}
    small = {"to": [{"ipBlock": {"cidr": "8.8.8.0/24"}}]}
    assert {"internet", "internet-part", "dns"} <= findings(allow(holes))
    found = findings(allow(small))
    assert "internet-part" in found
    assert not found & {"internet", "dns"}


def test_the_worst_come_first_and_equals_by_name() -> None:
    """Metadata before the internet, the internet by a rule after none that isolates, names where nothing differs."""
    internet = allow({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]}, where="data")
    names = [str(one.group) for one in report_of(allow(), internet).workloads]
    # The database reaches metadata too: those that lie in public and shared ranges.
    assert names == ["data/agent", "kube-system/dns-1", "kube-system/dns-2", "data/db", WEB]


def test_a_host_network_pod_is_its_node() -> None:
    """No policy isolates it, whatever is selected, and that is said of it."""
    standing = standing_of(allow(where="data"), workload="data/agent")
    assert standing.host_network
    assert standing.isolated == dict.fromkeys(Direction, ())
    assert Finding.UNISOLATED in standing.findings


def test_the_policies_that_isolate_are_named_the_narrowest_first() -> None:
    """As in the answer of can-reach: the default deny is the one to look at."""
    standing = standing_of(allow({}, {}, name="a"), allow(name="b"))
    assert [one.name for one in standing.isolated[Direction.EGRESS]] == ["b", "a"]
    assert [one.rule for one in standing.isolated[Direction.EGRESS]] == [None, None]


# ---- nodes -----------------------------------------------------------------------------------------------------------


def test_nodes_by_a_block_and_the_kubelet_by_its_port() -> None:
    """Each node by itself: a block that covers one does not cover the other."""
    rule = {"to": [{"ipBlock": {"cidr": "192.168.50.1/32"}}], "ports": [{"port": KUBELET_PORT}]}
    nodes = standing_of(allow(rule)).outside.nodes
    assert (nodes.reach, nodes.names, nodes.kubelet) == (Reach.YES, ("control",), True)
    assert [(one.name, one.rule) for one in nodes.origins] == [("out", 0)]
    other = {"to": [{"ipBlock": {"cidr": "fd00:50::/64"}}], "ports": [{"port": 22}]}
    nodes = standing_of(allow(other)).outside.nodes
    assert (nodes.names, nodes.kubelet) == (("worker",), False)


def test_selectors_never_reach_nodes() -> None:
    """A host-network pod has the node's address, but selectors do not match it (concept page: undefined)."""
    nodes = standing_of(allow({"to": [{"namespaceSelector": {}}]})).outside.nodes
    assert (nodes.reach, nodes.names) == (Reach.NO, ())


@pytest.mark.parametrize(
    "rules",
    [
        {"egress": [{"toCIDR": ["0.0.0.0/0"]}]},
        {"egress": [{"toEntities": ["world"]}]},
        {"egress": [{"toEntities": ["remote-node"], "toPorts": [{"ports": [{"port": "22", "protocol": "TCP"}]}]}]},
        {"egress": [{"toEntities": ["all"]}]},
        {"egress": [{"toEntities": ["all"]}], "egressDeny": [{"toCIDR": ["0.0.0.0/0"]}]},
        {"egress": [{"toEntities": ["all"]}], "egressDeny": [{"toEntities": ["remote-node"]}]},
        {"egress": [{"toEntities": ["cluster"]}, {"toCIDR": ["0.0.0.0/0"]}]},
    ],
    ids=str,
)
def test_nodes_are_those_of_single_flows(rules: dict[str, object]) -> None:
    """A block of Cilium's is outside of the cluster: to deny or to allow every address says nothing of nodes."""
    snapshot = snapshot_of(
        [
            namespace("shop"),
            node("one", ["192.168.0.1"]),
            pod("shop/web", ["10.1.0.1"]),
            cilium_policy("shop/p", {"endpointSelector": {}, **rules}),
        ]
    )
    (one,) = exposure(snapshot).workloads
    (web,) = snapshot.pods
    judge, nodes = Judge(Policies(snapshot)), one.standing.outside.nodes
    source, there = Endpoint.of_pod(web, 4), Endpoint.at(snapshot, snapshot.nodes["one"].addresses[0])
    assert source is not None
    for port in (22, 80):
        flow = Flow(source, there, int(Protocol.TCP), port)
        assert judge.judge(flow).verdict.allows == nodes.transports.contains(Protocol.TCP, port)
    assert nodes.names == (("one",) if nodes.transports else ())
    assert bool(nodes.origins) == bool(nodes.transports)


def test_unknown_nodes_are_reached_by_whom_nothing_holds_and_by_nobody_who_may_send_nothing() -> None:
    """In between, nobody can say, and "no" would be a guess."""
    cluster = [namespace("shop"), pod("shop/web", ["10.1.0.1"])]
    some = allow({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]})
    for policies, expected in (([], Reach.YES), ([some], Reach.UNKNOWN), ([allow()], Reach.NO)):
        (one,) = exposure(snapshot_of([*cluster, *policies])).workloads
        assert one.standing.outside.nodes.reach is expected
        assert one.standing.api_server.reach is expected
        assert one.standing.dns.reach is expected
        assert (Finding.NODES in one.standing.findings) == (expected is Reach.YES)


# ---- what the input leaves out ---------------------------------------------------------------------------------------


def test_empty_input() -> None:
    """Nothing is not an error."""
    report = exposure(Snapshot.of())
    assert report.workloads == ()
    assert report.api_server.found is Found.UNKNOWN
    assert [report.having(finding) for finding in Finding] == [0] * len(Finding)


def test_a_pod_of_one_family_has_no_exposure_in_the_other() -> None:
    """An address that it does not have cannot send; the policies may say what they like."""
    only6 = snapshot_of([namespace("shop"), pod("shop/web", ["fd00:1::1"])])
    (one,) = exposure(only6).workloads
    assert one.standing.families == (6,)
    assert {each.range.family for each in one.standing.outside.ranges} == {6}
    assert {each.place.address.version for each in one.standing.outside.clouds} == {6}
    assert {Finding.METADATA, Finding.INTERNET} <= set(one.standing.findings)


def test_a_workload_without_pods_counts_through_its_template_with_both_families() -> None:
    """Which addresses its pods will have is not known, so neither is left out."""
    (one,) = exposure(snapshot_of([namespace("shop"), deployment("shop/web", app="web")])).workloads
    assert (str(one.group), one.standing.families) == ("shop/Deployment/web", (4, 6))


def test_namespaces_that_are_only_mentioned_are_named() -> None:
    """Their labels are not known, and selectors of namespaces may match otherwise."""
    assert exposure(snapshot_of([pod("shop/web", ["10.1.0.1"])])).undeclared == ("shop",)


# ---- one core --------------------------------------------------------------------------------------------------------


def test_pods_of_one_kind_share_one_answer() -> None:
    """Cost follows kinds: if each pod were asked about by itself, ten thousand of them would show."""
    many = [pod(f"shop/lone-{n}", [f"10.2.0.{n}"], app="lone") for n in range(1, 40)]
    report = report_of(*many)
    lone = [one.standing for one in report.workloads if one.group.name.startswith("lone-")]
    assert len(lone) == 39
    assert len({id(one) for one in lone}) == 1


def test_a_grid_that_is_there_is_used() -> None:
    """The list and the exposure of one snapshot need one grid."""
    snapshot = snapshot_of(estate(allow(EVERYWHERE)))
    grid = Grid(Policies(snapshot, dataclasses.replace(OUTGATE, name="other")))
    report = exposure(snapshot, grid=grid)
    assert report.profile.name == "other"
    assert list(map(_values, report.workloads)) == list(map(_values, exposure(snapshot).workloads))


def _values(one: Exposure) -> tuple[object, ...]:
    return str(one.group), one.standing.findings, one.standing.outside, one.standing.openings


@pytest.mark.parametrize("finding", list(Finding))
def test_every_finding_can_be_failed_on(finding: Finding) -> None:
    """The command names them without loading the analysis; a name that is missing there cannot be asked for."""
    assert finding.value in FAIL_ON
    assert len(FAIL_ON) == len(Finding)
