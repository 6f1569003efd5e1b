"""A selector that matches nothing."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.checks import Severity
from outgate.testing import Manifest, cluster_policy, namespace, pod
from outgate.testing_cilium import cilium_policy
from tests.analysis.shop import deployment
from tests.checks.asking import ask, deny, egress, one, pods, to, within, words

RULE = "selector-matches-nothing"
API = pod("shop/api", ["10.1.0.1"], app="api")


def test_subjects_and_what_comes_near() -> None:
    """The nearest label is named."""
    found = one(RULE, egress("shop/p", app="apj"), API)
    assert found.message == "shop/p selects no pod: none of the 1 of shop has app=apj"
    assert found.help == "there is app=api"


def test_templates_are_pods() -> None:
    """A workload without running pods is somebody."""
    assert not ask(RULE, egress("shop/p", app="web"), deployment("shop/web", app="web"))


def test_a_namespace_without_pods_is_not_judged() -> None:
    """The pods may be in another file."""
    assert not ask(RULE, deny("empty/p"), egress("empty/q", app="x"), API)
    assert not ask(RULE, egress("shop/p", to(within("data", app="db"))), API)


def test_peers_by_pod() -> None:
    """Of the namespaces that the peer selects."""
    assert words(RULE, egress("shop/p", to(pods(app="ipa"))), API) == [
        "shop/p egress[0] has a peer that selects nobody: none of the 1 pods of shop has app=ipa"
    ]
    assert len(ask(RULE, egress("shop/p", to(within("data", app="db"))), API, pod("data/x", app="y"))) == 1
    assert not ask(RULE, egress("shop/p", to(within("data", app="db"))), API, pod("data/x", app="db"))


def test_peers_by_namespace() -> None:
    """Where all labels are known: the value is wrong; a key that nobody has is another finding."""
    peer = {"namespaceSelector": {"matchLabels": {"team": "bleu"}}}
    cluster = (egress("shop/p", to(peer)), API, namespace("shop"), namespace("data", team="blue"))
    assert "no namespace has team=bleu" in one(RULE, *cluster).message
    assert one(RULE, *cluster).help == "there is team=blue"
    assert not ask(RULE, *cluster[:2], namespace("data", team="blue")), "shop is not declared"
    other = {"namespaceSelector": {"matchLabels": {"squad": "x"}}}
    assert not ask(RULE, egress("shop/p", to(other)), API, namespace("shop"), namespace("data"))


def test_pods_on_the_host_network_are_another_matter() -> None:
    """They have the labels; hostnetwork-peer says why nothing matches."""
    host = pod("shop/agent", ["192.168.50.11"], host_network=True, app="agent")
    assert not ask(RULE, egress("shop/p", to(pods(app="agent"))), API, host)


def test_rules_that_do_not_count_are_passed_over() -> None:
    """A peer of a rule without effect selects nobody anyway."""
    made = egress("shop/p", to(pods(app="nobody")))
    made["spec"]["policyTypes"] = ["Ingress"]
    assert not ask(RULE, made, API)


def of_cilium(subject: dict[str, Any], *peers: dict[str, Any], path: str = "shop/p", deny: bool = False) -> Manifest:
    """A policy of Cilium's for some pods, about some endpoints."""
    rules = [{"toEndpoints": list(peers)}] if peers else [{"toEntities": ["all"]}]
    return cilium_policy(path, {"endpointSelector": subject, "egressDeny" if deny else "egress": rules})


def labels(**wanted: str) -> dict[str, Any]:
    """A selector."""
    return {"matchLabels": wanted}


def test_subjects_of_cilium() -> None:
    """Of the own namespace; where it has no pods in the input, nothing is known."""
    found = one(RULE, of_cilium(labels(app="apj")), API)
    assert found.message == "shop/p selects no pod: none of the 1 pods of shop has app=apj"
    assert (found.help, found.place.path) == ("there is app=api", "spec.endpointSelector")
    assert not ask(RULE, of_cilium(labels(app="api")), API)
    assert not ask(RULE, of_cilium(labels(app="apj"), path="empty/p"), API)
    host = pod("shop/agent", ["192.168.50.11"], host_network=True, app="agent")
    assert not ask(RULE, of_cilium(labels(app="agent")), API, host)
    assert not ask(RULE, of_cilium(labels(app="web")), deployment("shop/web", app="web"))


def test_labels_that_take_no_part_in_an_identity() -> None:
    """The pod has the label, and Cilium does not see it."""
    hashed = pod("shop/api", ["10.1.0.1"], app="api") | {}
    hashed["metadata"]["labels"]["pod-template-hash"] = "abc"
    wanted = {"matchLabels": {"pod-template-hash": "abc"}}
    assert "takes no part in an identity" in one(RULE, of_cilium(wanted), hashed).message
    assert "takes no part in an identity" in one(RULE, of_cilium(labels(app="api"), wanted), hashed).message


def test_peers_of_cilium() -> None:
    """Of the own namespace unless another is named; to deny nobody is only worth knowing."""
    found = one(RULE, of_cilium({}, labels(app="ipa")), API, pod("data/x", app="ipa"))
    assert found.message == ("shop/p egress[0] has a peer that selects nobody: none of the 1 pods of shop has app=ipa")
    assert found.place.path == "spec.egress[0].toEndpoints[0]"
    there = {"matchLabels": {"app": "db", "k8s:io.kubernetes.pod.namespace": "data"}}
    assert not ask(RULE, of_cilium({}, there), API), "data is elsewhere"
    assert not ask(RULE, of_cilium({}, there), API, pod("data/x", app="db"))
    assert len(ask(RULE, of_cilium({}, there), API, pod("data/x", app="dc"))) == 1
    denied = one(RULE, of_cilium({}, labels(app="ipa"), deny=True), API)
    assert denied.severity is Severity.INFO
    assert "egressDeny[0]" in denied.message


def test_what_is_selected_in_any_namespace_is_judged_where_all_are_known() -> None:
    """The manifests of one team do not show who else there is."""
    everywhere = of_cilium({}, labels(app="ingress"), path="p")
    assert not ask(RULE, everywhere, API)
    assert len(ask(RULE, everywhere, API, namespace("shop"))) == 1
    peer = {"pods": {"namespaceSelector": {}, "podSelector": labels(app="ingress")}}
    of_tier = cluster_policy("a", egress=[{"action": "Accept", "to": [peer]}])
    assert not ask(RULE, of_tier, API)
    found = one(RULE, of_tier, API, namespace("shop"))
    assert found.message == (
        "ClusterNetworkPolicy a egress[0] has a peer that selects nobody: none of the 1 pods of shop has app=ingress"
    )


def test_subjects_of_the_whole_cluster() -> None:
    """By namespace or by pod, with what comes near."""
    shop = namespace("shop", team="blue")
    rule = {"action": "Deny", "to": [{"networks": ["10.9.0.0/16"]}]}

    def about(subject: dict[str, Any]) -> list[str]:
        made = cluster_policy("a", subject=subject, egress=[rule])
        return [f"{each.message}; {each.help}" for each in ask(RULE, made, API, shop)]

    assert about({"namespaces": labels(team="bleu")}) == [
        "ClusterNetworkPolicy a selects no pod: no namespace has team=bleu; there is team=blue"
    ]
    assert about({"namespaces": labels(team="blue")}) == []
    assert len(about({"pods": {"namespaceSelector": {}, "podSelector": labels(app="apj")}})) == 1
    assert about({"pods": {"namespaceSelector": {}, "podSelector": labels(app="api")}}) == []


@pytest.mark.parametrize("action", ["Deny", "Pass"])
def test_peers_of_the_whole_cluster_that_are_denied(action: str) -> None:
    """Foresight is no mistake."""
    rule = {"action": action, "to": [{"namespaces": labels(team="bleu")}]}
    found = one(RULE, cluster_policy("a", egress=[rule]), API, namespace("shop", team="blue"))
    assert found.severity is Severity.INFO
