"""A selector that matches nothing."""

from __future__ import annotations

from outgate.testing import namespace, pod
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
