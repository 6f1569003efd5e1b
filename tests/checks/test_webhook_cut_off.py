"""Webhooks that nobody can call: proved with packets where the API server is known, and else only what is sure."""

from __future__ import annotations

from typing import Any

from outgate.checks import Severity
from outgate.testing import Manifest, pod, policy, service
from tests.checks.asking import ask, block, deny, one, pods, within, words
from tests.checks.needs import API, callout

RULE = "webhook-cut-off"
HOOK = callout("hooks/webhook")
SERVICE = service("hooks/webhook", "10.96.4.4", [{"port": 443, "targetPort": 9443}], app="hook")
POD = pod("hooks/hook", ["10.244.2.1"], app="hook")


def ingress(*rules: dict[str, Any], path: str = "hooks/p") -> Manifest:
    """An ingress policy for every pod of its namespace."""
    return policy(path, {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": list(rules)})


def rule(*peers: dict[str, Any], port: object = 9443) -> dict[str, Any]:
    """An ingress rule for one port."""
    return {"from": list(peers), "ports": [{"protocol": "TCP", "port": port}]}


def found(*cluster: Manifest) -> list[str]:
    """What is found about one webhook."""
    return words(RULE, HOOK, SERVICE, POD, *cluster)


def test_a_packet_from_the_api_server_shows_it() -> None:
    """To the pod, on its own port."""
    finding = one(RULE, *API, HOOK, SERVICE, POD, ingress())
    assert str(finding.witness) == "192.0.2.10 -> hooks/hook:9443/TCP is dropped"
    assert (
        "hooks/p isolates hooks/hook for ingress, and no policy lets the API server in on port 9443" in finding.message
    )
    assert finding.related[0].words == "ValidatingWebhookConfiguration hooks makes the API server call it"
    assert finding.related[0].place.path == "webhooks[0]"
    assert finding.place.path == "spec.ingress"


def test_what_lets_the_api_server_in() -> None:
    """Its address, on the port of the pod; of two endpoints one is enough."""
    for one_rule, closed in (
        (rule(block("192.0.2.0/24")), False),
        (rule(block("192.0.2.11/32")), False),
        (rule(block("192.0.2.0/24"), port=443), True),
        (rule(block("198.51.100.0/24")), True),
        (rule(pods(app="hook"), within("kube-system")), True),
        ({}, False),
        ({"from": []}, False),
    ):
        assert bool(found(*API, ingress(one_rule))) is closed, one_rule


def test_a_tunnel_calls_from_a_pod() -> None:
    """Where konnectivity agents are in the input, what they may call is open."""
    labels = {"k8s-app": "konnectivity-agent"}
    agent = pod("kube-system/agent", ["10.244.9.9"], labels=labels)
    through = ingress(rule(within("kube-system", **labels)))
    assert found(*API, through)
    assert not found(*API, agent, through)
    assert not found(agent, through)
    assert found(*API, agent, ingress())


def test_without_the_api_server_only_what_is_sure() -> None:
    """Any address outside may be its, and kube-system may be the end of a tunnel; pods of other namespaces are not."""
    for one_rule, closed in (
        (rule(block("198.51.100.0/24")), False),
        (rule(within("kube-system")), False),
        (rule({"namespaceSelector": {"matchLabels": {"team": "x"}}}), False),
        (rule({"namespaceSelector": {}}), False),
        ({}, False),
        (rule(within("shop")), True),
        (rule(pods(app="hook")), True),
        (rule(block("198.51.100.0/24"), port=443), True),
    ):
        assert bool(found(ingress(one_rule))) is closed, one_rule
    assert one(RULE, HOOK, SERVICE, POD, ingress()).witness is None


def test_a_webhook_that_may_fail_is_a_warning() -> None:
    """Nothing is refused, and every request waits."""
    finding = one(RULE, callout("hooks/webhook", policy="Ignore"), SERVICE, POD, ingress())
    assert finding.severity is Severity.WARNING
    assert "each question waits for its timeout" in finding.message
    assert one(RULE, HOOK, SERVICE, POD, ingress()).severity is Severity.ERROR


def test_an_api_service() -> None:
    """Metrics, most often: the same question."""
    api = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.metrics.example.com"},
        "spec": {"service": {"namespace": "hooks", "name": "webhook"}},
    }
    assert "where Service hooks/webhook serves an API" in one(RULE, api, SERVICE, POD, ingress()).message


def test_what_is_not_called_or_not_isolated() -> None:
    """Another port of the Service, another Service, none, a headless one, egress alone, a host-network pod."""
    headless = service("hooks/webhook", "None", [{"port": 443, "targetPort": 9443}], app="hook")
    assert not ask(RULE, HOOK, headless, POD, ingress())
    other = service("hooks/other", "10.96.4.5", [{"port": 443}], app="hook")
    assert not ask(RULE, SERVICE, POD, ingress())
    assert not ask(RULE, callout("hooks/gone"), SERVICE, POD, ingress())
    assert not ask(RULE, HOOK, other, POD, ingress())
    assert not ask(RULE, HOOK, service("hooks/webhook", "10.96.4.4", [{"port": 8443}], app="hook"), POD, ingress())
    assert not found(deny("hooks/default-deny"))
    assert not found(ingress(path="shop/p"))
    host = pod("hooks/hook", ["192.0.2.50"], host_network=True, app="hook")
    assert not ask(RULE, HOOK, SERVICE, host, ingress())
