"""The picture of a pod's egress: every other workload once, the addresses in their coarsest parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis import edges as edges_module
from outgate.analysis.edges import METADATA, EgressGraph, Outside, egress_graph
from outgate.analysis.lookup import Lookup, PodsTarget
from outgate.analysis.opened import Named
from outgate.analysis.spelling import spell_addresses, spell_transports
from outgate.analysis.targets import parse
from outgate.errors import TooComplex
from outgate.model import Direction
from outgate.packets import AddressSet, Protocol
from outgate.policy import Endpoint, Flow, Judge, Policies
from outgate.testing import Manifest, addresses, clusters, pod, points, policy, snapshot_of
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, judge_of


def drawn(judge: Judge, subject: str) -> EgressGraph:
    """The graph of a pod or workload."""
    target = Lookup(judge.policies.snapshot).find(parse(subject))
    assert isinstance(target, PodsTarget)
    return egress_graph(judge, target)


def words(graph: EgressGraph) -> list[str]:
    """The edges in words."""
    return [
        f"{one.destination if isinstance(one.destination, PodsTarget) else _outside(one.destination)}: "
        + (spell_transports(one.transports) if one.allowed else f"denied {one.denied_at and one.denied_at.value}")
        for one in graph.edges
    ]


def _outside(one: Outside | Named) -> str:
    if isinstance(one, Named):
        return str(one)
    return one.name or ("the rest" if one.rest else spell_addresses(one.addresses))


def test_edges_of_an_isolated_pod() -> None:
    """Each workload once and not each pod; what no policy tells apart is one part of the addresses."""
    graph = drawn(judge_of(EGRESS_TO_DB, INGRESS_OF_DB), "shop/web-1")
    assert graph.isolated
    assert words(graph) == [
        "data/db: TCP 5432, TCP 8050-8100",
        "data/lone: TCP 5432, TCP 8000-8100",
        "203.0.113.0/25: TCP 443",
        "data/agent: denied Egress",
        "shop/Deployment/planned: denied Egress",
        "shop/ReplicaSet/web: denied Egress",
        "metadata service: denied Egress",
        "the rest: denied Egress",
    ]


def test_edges_of_a_workload_are_those_of_all_its_pods() -> None:
    """Pods of the workload are not its own destinations, and an edge holds for each of them."""
    graph = drawn(judge_of(), "shop/rs/web")
    assert not graph.isolated
    assert words(graph) == [
        *(f"{who}: every port of every protocol" for who in ("data/agent", "data/db", "data/lone")),
        "shop/Deployment/planned: every port of every protocol",
        "the rest: every port of every protocol",
    ]


def test_ingress_of_the_other_end_is_said() -> None:
    """An edge that egress allows and ingress closes must not be drawn as open, nor laid to egress."""
    graph = drawn(judge_of(INGRESS_OF_DB), "data/lone")
    (edge,) = [one for one in graph.edges if str(one.destination) == "data/db"]
    assert (edge.allowed, edge.denied_at) == (False, Direction.INGRESS)


def test_metadata_that_a_wide_block_opens_is_drawn_open() -> None:
    """The edge people look for must not be hidden in a wider one, nor shown as closed."""
    wide = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "169.254.0.0/16"}}]}]}
    graph = drawn(judge_of(policy("shop/wide", wide)), "shop/web-1")
    (edge,) = [one for one in graph.edges if isinstance(one.destination, Outside) and one.destination.name]
    assert edge.allowed
    assert spell_transports(edge.transports) == "every port of TCP, UDP and SCTP"


def test_many_denied_workloads_are_counted_and_dns_is_not_among_them() -> None:
    """A picture of a hundred dotted lines shows nothing; the line to DNS is the one that matters."""
    closed = policy("shop/closed", {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]})
    many = [pod(f"data/many-{n}", [f"10.2.0.{n + 1}"]) for n in range(20)]
    dns = pod("zz/dns", ["10.3.0.1"], labels={"k8s-app": "kube-dns"})
    graph = drawn(judge_of(closed, dns, *many), "shop/web-1")
    denied = [one for one in graph.edges if not one.allowed and isinstance(one.destination, PodsTarget)]
    assert len(denied) == edges_module.MOST_DENIED
    assert str(denied[0].destination) == "zz/dns"
    assert graph.left_out == 26 - edges_module.MOST_DENIED


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the cap there is no picture rather than a wrong one."""
    monkeypatch.setattr(edges_module, "MOST_PAIRS", 1)
    with pytest.raises(TooComplex):
        drawn(judge_of(), "shop/web-1")


@given(clusters(), st.data())
def test_outside_edges_cover_every_address_and_tell_the_truth(manifests: list[Manifest], data: st.DataObject) -> None:
    """An address that belongs to nobody must lie in an edge, and may be reached on exactly the ports of that edge."""
    judge = Judge(Policies(snapshot_of(manifests)))
    snapshot = judge.policies.snapshot
    subjects = [one for one in snapshot.endpoints if not one.assumed]
    if not subjects:
        return
    subject = data.draw(st.sampled_from(subjects))
    graph = egress_graph(judge, PodsTarget("Pod", *subject.key, (subject,)))
    outside = [(one.destination, one) for one in graph.edges if isinstance(one.destination, Outside)]
    unnamed = [(there.addresses, one) for there, one in outside if not there.name]
    metadata = AddressSet.of([METADATA]) if any(there.name for there, _ in outside) else AddressSet()
    assert AddressSet.union_of(mine for mine, _ in unnamed) | metadata == AddressSet.any()
    for _ in range(6):
        address = data.draw(addresses())
        there = Endpoint.at(snapshot, address)
        if there.pod is not None or there.node is not None or address.is_loopback:
            continue
        protocol, coordinate = data.draw(points())
        if protocol not in (Protocol.TCP, Protocol.UDP, Protocol.SCTP):
            continue
        (edge,) = [one for mine, one in unnamed if address in mine] or [one for there, one in outside if there.name]
        flow = Flow(Endpoint(subject.addresses[0], subject), there, protocol, coordinate)
        assert edge.transports.contains(protocol, coordinate) is judge.judge(flow).verdict.allows
