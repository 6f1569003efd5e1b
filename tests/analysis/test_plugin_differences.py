"""What hangs on the plugin: each known divergence found, with its reason, and nothing found that is none."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis import plugin_differences as module
from outgate.analysis.groups import Group
from outgate.analysis.plugin_differences import Depends, plugin_differences
from outgate.analysis.spelling import spell_transports
from outgate.errors import TooComplex
from outgate.packets import Protocol
from outgate.policy import PROFILES, Endpoint, Flow, Judge, Policies
from outgate.policy.profile import REASONS
from outgate.testing import Manifest, node, pod, policy, random_cluster, service, snapshot_of
from tests.analysis.shop import owned as owned_by
from tests.laws.test_connections import owned, pairs

EGRESS: Manifest = {"policyTypes": ["Egress"], "podSelector": {"matchLabels": {"app": "a"}}}
A = pod("n/a", ["10.0.0.1"], on="node-a", app="a")
B = pod("n/b", ["10.0.0.2"], on="node-b", app="b")
NODES = [node("node-a", ["192.168.50.11"]), node("node-b", ["192.168.50.12"])]


def found(*cluster: Manifest, focus: Iterable[tuple[str, str]] = ()) -> list[Depends]:
    """What hangs on the plugin in a cluster."""
    return list(plugin_differences(snapshot_of(cluster), focus))


def words(many: Iterable[Depends]) -> list[str]:
    """In words, by the profiles that stand alone on one side."""
    shown = []
    for one in many:
        few, verb = min((one.allowed_by, "allowed"), (one.denied_by, "denied"), key=lambda side: len(side[0]))
        shown.append(f"{one.source} → {one.destination} {spell_transports(one.transports)}: {verb} by {', '.join(few)}")
    return shown


def block(cidr: str, **more: object) -> Manifest:
    """An egress policy of pod a with one block."""
    return policy("n/p", EGRESS | {"egress": [{"to": [{"ipBlock": {"cidr": cidr}}], **more}]})


def test_without_policies_nothing_differs() -> None:
    """Where everything is allowed there is no point to read one way or the other."""
    assert found(A, B, *NODES, service("n/s", "10.96.0.1", [{"port": 80}], app="b")) == []


def test_blocks_and_pods() -> None:
    """Cilium knows pods by identity: no block covers one."""
    many = found(A, B, block("10.0.0.0/24", ports=[{"port": 80}]))
    assert words(many) == ["n/a → n/b TCP 80: denied by cilium"]
    assert many[0].reasons == (REASONS["blocks_match_pods"],)


def test_blocks_and_nodes() -> None:
    """Nor a node; and on AWS a pod's own node is always open."""
    many = found(A, B, *NODES, block("192.168.50.12/32", ports=[{"port": 10250}]))
    assert words(many) == [
        "n/a → node/node-a every port of TCP, UDP and SCTP: allowed by aws-vpc-cni",
        "n/a → node/node-b TCP 10250: denied by cilium",
    ]
    assert [one.own_node for one in many] == [True, False]
    assert [one.reasons for one in many] == [(REASONS["own_node_exempt"],), (REASONS["blocks_match_nodes"],)]


def test_before_and_after_translation() -> None:
    """A block of Service addresses opens them on AWS alone; a selector that the Service lacks opens pods alone."""
    shop = service("n/s", "10.96.0.1", [{"port": 80, "targetPort": 8080}], app="b")
    assert words(found(A, B, shop, block("10.96.0.0/12"))) == ["n/a → svc/n/s TCP 80: allowed by aws-vpc-cni"]
    tiered = pod("n/b", ["10.0.0.2"], app="b", tier="db")
    rule = {"to": [{"podSelector": {"matchLabels": {"tier": "db"}}}]}
    many = found(A, tiered, shop, policy("n/p", EGRESS | {"egress": [rule]}))
    assert words(many) == ["n/a → svc/n/s TCP 80: denied by aws-vpc-cni"]
    assert many[0].reasons == (REASONS["before_translation"],)


def test_hidden_labels() -> None:
    """A selector on a label that is no part of an identity matches nobody on Cilium."""
    named = pod("n/b", ["10.0.0.2"], labels={"statefulset.kubernetes.io/pod-name": "b-0"})
    rule = {"to": [{"podSelector": {"matchLabels": {"statefulset.kubernetes.io/pod-name": "b-0"}}}]}
    many = found(A, named, policy("n/p", EGRESS | {"egress": [rule]}))
    assert words(many) == ["n/a → n/b every port of TCP, UDP and SCTP: denied by cilium"]
    assert many[0].reasons == (REASONS["hidden_labels"],)


def test_a_pod_and_itself_through_a_service() -> None:
    """Only the pod that may be its own endpoint is asked about that."""
    many = found(A, B, service("n/s", "10.96.0.1", [{"port": 80}], app="a"), policy("n/p", EGRESS))
    assert "n/a → svc/n/s TCP 80: allowed by cilium" in words(many)
    assert not [one for one in words(many) if one.startswith("n/b → svc")]


HTTP = [{"name": "http", "containerPort": 80}]


def test_pods_of_a_group_that_one_profile_tells_apart() -> None:
    """On AWS a port name beside a block means nothing: of two pods that we treat alike it is open on one."""
    both = [
        owned_by(pod(f"n/t-{one}", [f"10.0.1.{one}"], ports=HTTP, tier=str(one)), "Deployment", "t") for one in (1, 2)
    ]
    peers = [{"ipBlock": {"cidr": "10.0.1.1/32"}}, {"podSelector": {"matchLabels": {"tier": "2"}}}]
    many = found(A, *both, policy("n/p", EGRESS | {"egress": [{"to": peers, "ports": [{"port": "http"}]}]}))
    assert words(many) == ["n/a → n/Deployment/t[t-1] TCP 80: denied by cilium, aws-vpc-cni"]


def test_host_network_pods_of_a_group_on_several_nodes() -> None:
    """A DaemonSet: on AWS its pod is meant where it shares the node with a pod that is selected, and not elsewhere."""
    agents = [
        owned_by(pod(f"m/d-{one}", [address], on=f"node-{one}", host_network=True), "DaemonSet", "d")
        for one, address in (("b", "192.168.50.12"), ("c", "192.168.50.13"))
    ]
    etcd = pod("m/etcd", ["192.168.50.13"], on="node-c", host_network=True, app="etcd")
    rule = {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "etcd"}}}]}
    many = found(A, *agents, etcd, policy("n/p", EGRESS | {"egress": [rule]}))
    every = "every port of TCP, UDP and SCTP: allowed by aws-vpc-cni"
    assert words(many) == [f"n/a → m/DaemonSet/d[d-c] {every}", f"n/a → m/etcd {every}"]


def test_another_node_of_the_own_kind() -> None:
    """Each pod is asked about a node that is not its own, also where its own would stand for all nodes."""
    rule = {"from": [{"ipBlock": {"cidr": "192.168.50.0/24"}}], "ports": [{"port": 80}]}
    many = found(A, B, *NODES, policy("n/p", {"policyTypes": ["Ingress"], "ingress": [rule]}))
    assert words(many) == ["node/node-b → n/a TCP 80: denied by cilium", "node/node-a → n/b TCP 80: denied by cilium"]


@pytest.mark.parametrize("address", ["198.51.100.7", "fd00:50::12"])
def test_another_address_of_a_node(address: str) -> None:
    """An external one, or one of the other family: the first of a node does not stand for what blocks tell apart."""
    there = node("node-b", ["192.168.50.12", address])
    here = pod("n/a", ["10.0.0.1", "fd00::1"], on="node-a", app="a")
    many = found(here, there, block(f"{address}/32" if "." in address else f"{address}/128"))
    assert words(many) == ["n/a → node/node-b every port of TCP, UDP and SCTP: denied by cilium"]


def test_pods_alike_of_which_one_is_behind_the_service() -> None:
    """No policy tells them apart, and one of them talks to itself."""
    pods = [pod(f"n/{name}", [f"10.0.0.{n}"], app="a", own=name) for n, name in enumerate(("first", "second"), 1)]
    many = found(*pods, service("n/s", "10.96.0.1", [{"port": 80}], own="second"), policy("n/p", EGRESS))
    assert [one for one in words(many) if "svc" in one] == ["n/second → svc/n/s TCP 80: allowed by cilium"]


def test_a_service_is_reached_if_each_pod_behind_it_is() -> None:
    """One of two is not the Service, under whichever profile."""
    behind = [pod(f"n/b-{n}", [f"10.0.0.{n}"], app="b") for n in (2, 3)]
    many = found(A, *behind, service("n/s", "10.96.0.1", [{"port": 80}], app="b"), block("10.0.0.2/32"))
    assert not [one for one in words(many) if "svc" in one]


def test_focus() -> None:
    """Only what has an end there."""
    cluster = [A, B, pod("n/c", ["10.0.0.3"], app="c"), block("10.0.0.0/24")]
    assert len(found(*cluster)) == 2
    assert words(found(*cluster, focus=[("n", "c")])) == ["n/a → n/c every port of TCP, UDP and SCTP: denied by cilium"]


def test_too_many_flows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an answer would look like a whole one."""
    monkeypatch.setattr(module, "MOST_FLOWS", 5)
    with pytest.raises(TooComplex) as caught:
        found(A, B, service("n/s", "10.96.0.1", [{"port": 80}], app="b"))
    assert "--focus" in caught.value.hint


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_pairs_are_what_each_profile_judges(seed: int) -> None:
    """For two workloads: exactly the ports on which the profiles, asked one flow at a time, do not agree."""
    snapshot = owned(snapshot_of(random_cluster(seed, crowded=seed % 2 == 1)), seed)
    judges = {name: Judge(Policies(snapshot, profile)) for name, profile in PROFILES.items()}
    told = [one for one in plugin_differences(snapshot) if isinstance(one.source, Group)]
    seen = {one: [each for each in told if each.source is one] for one in {each.source for each in told}}
    from outgate.analysis.connections import connections  # beside its neighbours it would look like the tested thing

    for _, _, one, other in pairs(connections(snapshot, lens=None)):
        if other.host_network and other.node and other.node == one.node:
            continue
        families = [
            (start, end)
            for family in (4, 6)
            if (start := Endpoint.of_pod(one, family)) and (end := Endpoint.of_pod(other, family))
        ]
        if any(start.address == end.address for start, end in families):
            continue
        mine = [
            each
            for group, many in seen.items()
            if isinstance(group, Group) and one in group.pods
            for each in many
            if isinstance(each.destination, Group) and other in each.destination.pods
        ]
        for protocol, port in ((Protocol.TCP, 80), (Protocol.TCP, 8080), (Protocol.UDP, 53)):
            allowed = {
                name
                for name, judge in judges.items()
                if any(judge.judge(Flow(start, end, int(protocol), port)).verdict.allows for start, end in families)
            }
            cases = [each for each in mine if each.transports.contains(protocol, port)]
            if 0 < len(allowed) < len(PROFILES):
                assert [set(each.allowed_by) for each in cases] == [allowed]
            else:
                assert cases == []
