"""Whether what a flow is about meets the conditions of rules."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.model import Direction
from outgate.policy import Endpoint, Flow, Judge, Policies
from outgate.policy.meeting import UNSEEN, About
from outgate.policy.requests import Request
from outgate.testing import namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy


def verdict(about: About | None, *entries: dict[str, Any]) -> tuple[bool, int]:
    """Whether web reaches api on port 80, and how many conditions are left."""
    ports = [{"ports": [{"port": "80", "protocol": "TCP"}], **entry} for entry in entries]
    spec = {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [{"toEntities": ["all"], "toPorts": ports}]}
    pods = [pod("shop/web", ["10.0.0.1"], app="web"), pod("shop/api", ["10.0.0.2"])]
    snapshot = snapshot_of([namespace("shop"), *pods, cilium_policy("shop/p", spec)])
    web, api = snapshot.pod("shop", "web"), snapshot.pod("shop", "api")
    assert web is not None
    assert api is not None
    flow = Flow(Endpoint(web.addresses[0], web), Endpoint(api.addresses[0], api), 6, 80, about=about)
    trace = Judge(Policies(snapshot)).judge(flow)
    assert trace.egress.direction is Direction.EGRESS
    return trace.verdict.allows, len(trace.egress.conditional)


GET: dict[str, Any] = {"rules": {"http": [{"method": "GET"}]}}
PUT: dict[str, Any] = {"rules": {"http": [{"method": "PUT"}]}}
DNS: dict[str, Any] = {"rules": {"dns": [{"matchPattern": "*.a.b"}]}}
TLS: dict[str, Any] = {"serverNames": ["*.a.b"]}


@pytest.mark.parametrize(
    ("about", "entries", "allowed", "left"),
    [
        (None, (GET,), True, 1),
        (None, (GET, PUT), True, 2),
        (None, (GET, {}), True, 0),
        (About(Request("GET", "/", "x")), (GET,), True, 0),
        (About(Request("PUT", "/", "x")), (GET,), False, 1),
        (About(Request("PUT", "/", "x")), (GET, PUT), True, 0),
        (About(Request("PUT", "/", "x")), (GET, {}), True, 0),
        (About(Request("GET", "/", "x")), (TLS,), False, 1),
        (About(server_name="x.a.b"), (TLS,), True, 0),
        (About(server_name=""), (TLS,), False, 1),
        (About(server_name="x.a.b"), (GET,), False, 1),
        (About(question="x.A.b"), (DNS,), True, 0),
        (About(question="a.b"), (DNS,), False, 1),
        (About(question="x.a.b"), (GET,), False, 1),
        (UNSEEN, (GET,), False, 1),
        (UNSEEN, (TLS,), False, 1),
        (UNSEEN, (DNS,), True, 0),
        (UNSEEN, (GET, {}), True, 0),
    ],
)
def test_one_of_the_rules_is_met(
    about: About | None, entries: tuple[dict[str, Any], ...], allowed: bool, left: int
) -> None:
    """Or none, and then it is denied; a rule without a condition asks nothing."""
    assert verdict(about, *entries) == (allowed, left)


@pytest.mark.parametrize(
    ("about", "words"),
    [
        (About(Request("GET", "/a", "x")), "HTTP GET /a"),
        (About(Request("CONNECT", None, "x:1")), "HTTP CONNECT x:1"),
        (About(server_name=""), "TLS for no name"),
        (About(question="a.b"), "DNS for a.b"),
        (UNSEEN, "what nobody looks into"),
    ],
)
def test_in_words(about: About, words: str) -> None:
    """As a denial says it."""
    assert str(about) == words
