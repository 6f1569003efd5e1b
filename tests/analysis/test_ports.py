"""The set of ports that passes between two ends, against asking for each port by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.ports import open_points, pair_ports
from outgate.model import Direction
from outgate.packets import Protocol, TransportSet
from outgate.policy import Endpoint, Flow, Judge, Policies, Verdict
from outgate.testing import Manifest, clusters, points, snapshot_of
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, judge_of

OUTSIDE = ("203.0.113.20", "198.51.100.7", "2001:db8:1::20")


def ends_of(judge: Judge) -> list[Endpoint]:
    """Every pod by every address, every node, and some addresses outside."""
    from ipaddress import ip_address

    snapshot = judge.policies.snapshot
    pods = [Endpoint(address, pod) for pod in snapshot.endpoints for address in pod.addresses]
    nodes = [Endpoint(address, None, node) for node in snapshot.nodes.values() for address in node.addresses]
    return [*pods, *nodes, *(Endpoint.at(snapshot, ip_address(one)) for one in OUTSIDE)]


@given(clusters(), st.data())
def test_a_port_is_in_the_set_exactly_if_it_is_allowed(manifests: list[Manifest], data: st.DataObject) -> None:
    """A port too many is a hole that nobody is told of; a port too few an outage that the tool predicted wrongly."""
    judge = Judge(Policies(snapshot_of(manifests)))
    ends = ends_of(judge)
    for _ in range(6):
        source = data.draw(st.sampled_from(ends))
        same = [one for one in ends if one.address.version == source.address.version]
        destination = data.draw(st.sampled_from(same))
        pair = pair_ports(judge, source, destination)
        for _ in range(6):
            protocol, coordinate = data.draw(points())
            trace = judge.judge(Flow(source, destination, protocol, coordinate))
            assert pair.side(Direction.EGRESS).contains(protocol, coordinate) is trace.egress.verdict.allows
            assert pair.side(Direction.INGRESS).contains(protocol, coordinate) is trace.ingress.verdict.allows
            assert pair.allowed.contains(protocol, coordinate) is trace.verdict.allows


@given(clusters(), st.data())
def test_open_points_of_all_ports_are_those_of_each(manifests: list[Manifest], data: st.DataObject) -> None:
    """A port whose verdict the API leaves open must be found without asking for all 65 536."""
    judge = Judge(Policies(snapshot_of(manifests)))
    ends = ends_of(judge)
    source = data.draw(st.sampled_from(ends))
    destination = data.draw(st.sampled_from([one for one in ends if one.address.version == source.address.version]))
    pair = pair_ports(judge, source, destination)
    found = set(open_points(judge, pair, TransportSet.governed()))
    for _ in range(12):
        protocol, coordinate = data.draw(points())
        if protocol in (Protocol.TCP, Protocol.UDP, Protocol.SCTP):
            flow = Flow(source, destination, protocol, coordinate)
            assert set(judge.judge(flow).open_points) <= found


def test_shares_name_the_rule_of_each_port() -> None:
    """A share laid to the wrong rule sends the reader to the wrong line."""
    judge = judge_of(EGRESS_TO_DB, INGRESS_OF_DB)
    snapshot = judge.policies.snapshot
    web, db = snapshot.pod("shop", "web-1"), snapshot.pod("data", "db")
    assert web is not None
    assert db is not None
    pair = pair_ports(judge, Endpoint(web.addresses[0], web), Endpoint(db.addresses[0], db))
    wide = TransportSet.ports(Protocol.TCP, 5432) | TransportSet.ports(Protocol.TCP, 8000, 8100)
    assert [(str(one.origin), one.transports) for one in pair.egress] == [("shop/to-db egress[0]", wide)]
    assert [str(one.origin) for one in pair.ingress] == ["data/db-in ingress[0]"]
    assert pair.allowed == TransportSet.ports(Protocol.TCP, 5432) | TransportSet.ports(Protocol.TCP, 8050, 8100)


def test_an_end_without_policies_lets_everything_pass() -> None:
    """An empty set would say that nothing passes where nobody forbids anything."""
    judge = judge_of(INGRESS_OF_DB)
    lone = judge.policies.snapshot.pod("data", "lone")
    assert lone is not None
    end = Endpoint(lone.addresses[0], lone)
    pair = pair_ports(judge, end, end)
    assert pair.allowed == TransportSet.any()
    assert pair.trace.verdict is Verdict.ALLOW
