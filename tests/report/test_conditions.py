"""Conditions in words and in JSON."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.analysis.on_condition import Conditional
from outgate.model import Direction
from outgate.packets import Protocol, TransportSet
from outgate.policy import Policies, Rule
from outgate.report.conditions import conditions_json, conditions_text, entries_json
from outgate.testing import namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy


def rule(port: str, **entry: Any) -> Rule:
    """The rule that an entry of ports with conditions makes."""
    ports = {"ports": [{"port": port, "protocol": "TCP"}], **entry}
    policy = cilium_policy("shop/p", {"endpointSelector": {}, "egress": [{"toPorts": [ports]}]})
    snapshot = snapshot_of([namespace("shop"), pod("shop/web", ["10.0.0.1"]), policy])
    web = snapshot.pod("shop", "web")
    assert web is not None
    (made,) = Policies(snapshot).isolation(web, Direction.EGRESS).rules
    return made


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"rules": {"http": [{"method": "GET", "path": "/v1/.*"}]}}, "requests of HTTP GET /v1/.*"),
        ({"rules": {"http": [{}]}}, "requests of HTTP * *"),
        ({"rules": {"http": [{"host": "a.b", "headers": ["X-A b", "X-C"]}]}},
         "requests of HTTP * * to host a.b with X-A: b with X-C"),
        ({"rules": {"dns": [{"matchName": "a.b"}, {"matchPattern": "*.c"}]}}, "questions of DNS for a.b, *.c"),
        ({"serverNames": ["a.b", "*.c.d"]}, "TLS to a server named a.b, *.c.d"),
    ],
    ids=str,
)  # fmt: skip
def test_in_words(entry: dict[str, Any], words: str) -> None:
    """As a person says it."""
    assert [text for _, text in conditions_text([rule("80", **entry)])] == [words]


def test_in_json() -> None:
    """What is empty is left out."""
    (found,) = conditions_json([rule("80", rules={"http": [{"method": "GET"}, {}]})])
    assert found["http"] == [{"method": "GET"}, {}]
    assert set(found) == {"rule", "http"}
    (named,) = conditions_json([rule("443", serverNames=["a.b"])])
    assert named["serverNames"] == ["a.b"]
    (asking,) = conditions_json([rule("53", rules={"dns": [{"matchName": "a.b"}]})])
    assert asking["dns"] == ["a.b"]


def test_entries_of_ports() -> None:
    """By protocol and port, each with its own; alternatives are together, and the sender's words come first."""
    get, post = (rule("80", rules={"http": [one]}) for one in ({"method": "GET"}, {}))
    tls = rule("443", serverNames=["a.b"])
    web, other = TransportSet.ports(Protocol.TCP, 80), TransportSet.ports(Protocol.TCP, 443)
    rest = TransportSet.ports(Protocol.TCP, 22) | TransportSet.ports(Protocol.UDP, 53)
    asked = [
        Conditional(Direction.INGRESS, web | other, (tls,)),
        Conditional(Direction.EGRESS, web, (get, post, get)),
        Conditional(Direction.EGRESS, TransportSet.ports(Protocol.TCP, 8080), (tls,)),
    ]
    assert entries_json(web | other | rest, asked) == [
        {"protocol": "TCP", "ports": [[22, 22]]},
        {"protocol": "TCP", "ports": [[80, 80]], "http": [{"method": "GET"}, {}]},
        {"protocol": "TCP", "ports": [[443, 443]], "serverNames": ["a.b"]},
        {"protocol": "UDP", "ports": [[53, 53]]},
    ]
