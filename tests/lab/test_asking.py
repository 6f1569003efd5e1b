"""Requests through a real Envoy in a lab, and labs in which something is broken on purpose."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outgate.lab import asking, proxy
from outgate.lab.asking import written
from outgate.lab.build import Stage
from outgate.lab.moving import NamePlan
from outgate.lab.run import Wishes
from outgate.lab.tls import Authority
from outgate.policy.requests import Request
from outgate.proxy.redirecting import redirects_of
from tests.lab.clusters import DNS, SHOP, outcome, planned
from tests.lab.proxied import needs_envoy
from tests.lab.test_requests import http, policy

RULES = policy(
    http({"method": "GET", "path": "/v1/.*"}),
    {"ports": [{"port": "443", "protocol": "TCP"}], "serverNames": ["*.example.com"]},
)


NAME = "api.example.com"
ASKING = """
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: dns, namespace: shop}
spec:
  endpointSelector: {}
  egress:
  - toEndpoints: [{matchLabels: {"k8s:io.kubernetes.pod.namespace": kube-system, k8s-app: kube-dns}}]
    toPorts: [{ports: [{port: "53", protocol: ANY}], rules: {dns: [{matchPattern: "*"}]}}]
---
"""


def test_a_request_in_bytes() -> None:
    """As RFC 9112 has it."""
    request = Request("PUT", "/x?y", "items.shop", (("X-Team", "a"),))
    assert written(request) == (b"PUT /x?y HTTP/1.1\r\nHost: items.shop\r\nX-Team: a\r\nConnection: close\r\n\r\n")


def seen(report: dict[str, Any]) -> set[tuple[str, str, int | None, bool]]:
    """What was asked, what came, and whether that was wrong."""
    return {(one["asked"], one["observed"], one.get("status"), one["disagreement"]) for one in report["requests"]}


@pytest.mark.kernel
@needs_envoy
def test_allowed_and_refused() -> None:
    """By the method, and by the name that a client of TLS asks for; nothing else of the plan is disturbed."""
    report = outcome(planned(SHOP + RULES))
    assert seen(report) == {
        ("GET /v1/", "Allow", 200, False),
        ("DELETE /v1/", "Deny", 403, False),
        ("TLS for a.example.com", "Allow", None, False),
        ("TLS for other.nobody.invalid", "Deny", None, False),
    }
    assert len(report["requests"]) == 8, "both families"
    assert report["disagreements"] == 0
    evidence = [one["evidence"] for one in report["requests"] if one["observed"] == "Allow"]
    assert all(one.startswith("shop/db answers") for one in evidence)
    assert {one["evidence"].rpartition("; ")[2] for one in report["requests"] if "TLS for a." in one["asked"]} == {
        "over TLSv1.3"
    }
    assert all(
        one["evidence"].startswith("no handshake: ") for one in report["requests"] if "TLS for other." in one["asked"]
    )


@pytest.mark.kernel
@needs_envoy
def test_names_and_requests_together() -> None:
    """A rule about requests to a name is one about the addresses that the pod was told."""
    text = SHOP + DNS + ASKING + policy(http({"method": "GET"}, port=80), peers={"toFQDNs": [{"matchName": NAME}]})
    prepared = planned(text, Wishes(names={NAME: (ipaddress.ip_address("203.0.113.10"),)}))
    # Names that move have tests of their own (`test_rounds`).
    report = outcome(replace(prepared, moving=NamePlan()))
    assert seen(report) == {("GET /", "Allow", 200, False), ("DELETE /", "Deny", 403, False)}
    assert {one["address"] for one in report["requests"]} == {"203.0.113.10"}
    assert report["disagreements"] == 0


@pytest.mark.kernel
@needs_envoy
def test_a_kernel_that_catches_nothing() -> None:
    """What nobody looks into passes: the lab must see it."""

    def without_rules(stage: Stage) -> None:
        for box in stage.nodes.values():
            stage.run(box, ("nft", "flush", "ruleset"))

    report = outcome(planned(SHOP + RULES), without_rules)
    assert ("DELETE /v1/", "Allow", 200, True) in seen(report)
    assert ("TLS for other.nobody.invalid", "Allow", None, True) in seen(report)
    assert report["disagreements"] >= 4


@pytest.mark.kernel
@needs_envoy
def test_a_proxy_that_was_told_other_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses what the policies allow: a status of 403 is no answer of the pod."""
    rules = planned(SHOP + policy(http({"method": "PUT"})))
    other = redirects_of(rules.policies, rules.snapshot.endpoints)
    monkeypatch.setattr(proxy, "redirects_of", lambda *_: other)
    report = outcome(planned(SHOP + RULES))
    assert ("GET /v1/", "Deny", 403, True) in seen(report)


@pytest.mark.kernel
@needs_envoy
def test_a_server_that_has_another_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ends TLS on the way is no answer of the party that was meant, also where nothing should have passed."""
    real = asking._secured

    def secured(client: socket.socket, _: Authority, name: str) -> object:
        return real(client, Authority(Path("/run/another")), name)

    monkeypatch.setattr(asking, "_secured", secured)
    found = seen(outcome(planned(SHOP + RULES)))
    assert ("TLS for a.example.com", "Deny", None, True) in found
    assert ("TLS for other.nobody.invalid", "Deny", None, False) in found
