"""Requests that are asked for where TLS is spoken."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.checks import Finding
from outgate.testing import Manifest, pod
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import ask, one

RULE = "l7-on-tls"
API = {"toEndpoints": [{"matchLabels": {"app": "api"}}]}


def asking(port: str, *requests: dict[str, str], end: int = 0, **more: Any) -> dict[str, Any]:
    """Ports of an entry, with requests that are asked for."""
    ports = [{"port": port, "protocol": "TCP"} | ({"endPort": end} if end else {})]
    return {"toPorts": [{"ports": ports, "rules": {"http": list(requests) or [{}]}} | more]}


def made(rule: dict[str, Any], section: str = "egress") -> Manifest:
    """A policy for the web."""
    return cilium_policy("shop/p", {"endpointSelector": {"matchLabels": {"app": "web"}}, section: [rule]})


def server(number: int, name: str, app: str = "api") -> Manifest:
    """A pod that listens."""
    return pod(f"shop/{app}", ["10.0.0.2"], ports=[{"name": name, "containerPort": number}], app=app)


def find(*cluster: Manifest) -> list[Finding]:
    """What is found."""
    return ask(RULE, *cluster)


@pytest.mark.parametrize("port", ["443", "8443", "https"])
def test_ports_of_tls(port: str) -> None:
    """By number and by name, whoever the peer is."""
    found = one(RULE, made({"toEntities": ["world"]} | asking(port)))
    assert found.message == (
        f"shop/p egress[0] asks for requests on port {port}, where TLS is spoken: none of them can be read, so all are "
        "refused"
    )
    assert found.place.path == "spec.egress[0].toPorts[0].ports[0]"
    assert found.help.startswith("ask for the name of the server in their place, serverNames, or")


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        (("api.example.com",), "serverNames: [api.example.com],"),
        (("api\\.example\\.com", "b.example"), "serverNames: [api.example.com, b.example],"),
        ((".*\\.example\\.com",), "serverNames,"),
        (("api.example.com", ""), "serverNames,"),
    ],
)
def test_the_names_that_could_be_asked_for(hosts: tuple[str, ...], said: str) -> None:
    """Where every request is for a host that is written as a name."""
    rule = {"toEntities": ["world"]} | asking("443", *({"host": host} for host in hosts))
    assert said in one(RULE, made(rule)).help


@pytest.mark.parametrize(
    "rule",
    [
        asking("80"),
        asking("400", end=500),
        {"toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}], "serverNames": ["a.example"]}]},
        {"toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}], "rules": {"http": []}}]},
        {"toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]},
    ],
    ids=["another port", "a range", "names", "no requests", "no condition"],
)
def test_rules_that_are_right(rule: dict[str, Any]) -> None:
    """They ask elsewhere, or for nothing within the connection."""
    assert not find(made({"toEntities": ["world"]} | rule))


def test_a_connection_that_is_opened() -> None:
    """By Cilium, with certificates of its own: that entry alone."""
    secret = {"secret": {"namespace": "shop", "name": "tls"}}
    opened = asking("443", terminatingTLS=secret, originatingTLS=secret)
    assert not find(made({"toEntities": ["world"]} | opened))
    both = {"toPorts": [*opened["toPorts"], *asking("8443")["toPorts"]]}
    assert "port 8443" in one(RULE, made({"toEntities": ["world"]} | both)).message


def test_what_the_pods_call_the_port() -> None:
    """Who calls it http speaks no TLS there, and who calls it https does, whatever the number."""
    assert not find(made(API | asking("8443")), server(8443, "http"))
    assert len(find(made(API | asking("8443")), server(8443, "metrics"))) == 1
    assert len(find(made(API | asking("9000")), server(9000, "https-api"))) == 1
    assert not find(made(API | asking("9000")), server(9000, "http-api"))
    assert not find(made(API | asking("9000")), server(9000, "https", app="other"))


def test_what_is_sent_to_the_pods_themselves() -> None:
    """On ingress the ports are their own."""
    rule = {"fromEndpoints": [{}]} | asking("9443")
    assert len(find(made(rule, "ingress"), server(9443, "https", app="web"))) == 1
    assert not find(made(rule, "ingress"), server(9443, "http", app="web"))
