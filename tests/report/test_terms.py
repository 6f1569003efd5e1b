"""The words that several documents share."""

from __future__ import annotations

import pytest

from outgate.analysis.lookup import Lookup
from outgate.analysis.targets import parse
from outgate.model import Direction
from outgate.packets import Protocol, TransportSet
from outgate.policy import Endpoint
from outgate.policy.rules import origin_of
from outgate.report.terms import end_json, origin_json, place_text, target_json, transports_json, without_empty
from tests.analysis.shop import EGRESS_TO_DB, snapshot

SNAPSHOT = snapshot(EGRESS_TO_DB)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop/web-1", {"kind": "Pod", "namespace": "shop", "name": "web-1"}),
        ("shop/rs/web", {"kind": "ReplicaSet", "namespace": "shop", "name": "web"}),
        ("svc/data/db", {"kind": "Service", "namespace": "data", "name": "db"}),
        ("node/node-a", {"kind": "Node", "name": "node-a"}),
        ("10.0.0.0/8", {"kind": "External", "cidrs": ["10.0.0.0/8"]}),
        ("2001:db8::1", {"kind": "External", "cidrs": ["2001:db8::1/128"]}),
    ],
)
def test_targets(text: str, expected: dict[str, object]) -> None:
    """Tools that read the document tell ends apart by these fields."""
    assert target_json(Lookup(SNAPSHOT).find(parse(text))) == expected


def test_ends() -> None:
    """An address is named after whoever holds it."""
    lookup = {str(address): Endpoint.at(SNAPSHOT, address) for address in SNAPSHOT.pods[1].addresses}
    assert [end_json(one)["name"] for one in lookup.values()] == ["db", "db"]
    node = Endpoint.at(SNAPSHOT, SNAPSHOT.nodes["node-a"].addresses[0])
    assert end_json(node) == {"kind": "Node", "name": "node-a"}


def test_origins() -> None:
    """Policy and rule, by the index that the API's own paths use."""
    (policy,) = SNAPSHOT.policies
    document = origin_json(origin_of(policy, Direction.EGRESS, 1))
    assert document == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "namespace": "shop",
        "name": "to-db",
        "rule": 1,
        "file": "test.yaml",
        "line": None,
    }
    assert origin_json(None) is None
    assert place_text(None) == ""
    assert place_text(origin_of(policy, Direction.EGRESS)) == "test.yaml"


def test_transports() -> None:
    """`all` is about TCP, UDP and SCTP: the protocols that the API governs."""
    assert transports_json(TransportSet.any())["all"] is True
    assert transports_json(TransportSet.governed())["all"] is True
    some = TransportSet.ports(Protocol.UDP, 53) | TransportSet.ports(Protocol.TCP, 80, 90) | TransportSet.protocol(1)
    assert transports_json(some) == {
        "all": False,
        "allowed": [{"protocol": "TCP", "ports": [[80, 90]]}, {"protocol": "UDP", "ports": [[53, 53]]}],
    }


def test_only_what_says_nothing_is_left_out() -> None:
    """0 and false say something."""
    assert without_empty({"a": 0, "b": False, "c": None, "d": [], "e": "", "f": {}, "g": [0]}) == {
        "a": 0,
        "b": False,
        "g": [0],
    }
