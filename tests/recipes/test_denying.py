"""What the recipes that close leave open, exactly."""

from __future__ import annotations

import pytest

from outgate.recipes import Asked, scaffold
from outgate.recipes.denying import QUARANTINE
from tests.analysis.suites import outcomes
from tests.recipes.town import DNS, findings, made, notes, objects, proved, survey

EVERYBODY = "[shop/web, shop/db, shop/batch]"


def test_default_deny_egress() -> None:
    """Out: DNS, on the port where the pods have it. In: as before. Elsewhere: as before."""
    text = made("default-deny-egress")
    proved(
        text,
        f"{{from: {EVERYBODY}, exactly: [{DNS}]}}",
        f"{{to: {EVERYBODY}, allow: [{{from: edge/gateway}}, {{from: 203.0.113.7}}]}}",
        "{from: edge/gateway, allow: [{to: monitoring/prometheus}, {to: 203.0.113.7}]}",
    )
    assert findings(text) == []


def test_the_proof_can_fail() -> None:
    """Without the policies the same assertions do not hold."""
    (one,) = outcomes(survey().judge, f"{{from: {EVERYBODY}, exactly: [{DNS}]}}")
    assert not one.holds


def test_default_deny_all() -> None:
    """Out: DNS. In: nobody."""
    text = made("default-deny-all")
    proved(text, f"{{from: shop/*, exactly: [{DNS}]}}", "{to: shop/*, only: []}")
    assert findings(text) == []


def test_only_for_some() -> None:
    """Those that the selector does not select stay as they are."""
    text = made("default-deny-all", selector="app in (web, db)")
    proved(
        text,
        f"{{from: [shop/web, shop/db], exactly: [{DNS}]}}",
        "{to: [shop/web, shop/db], only: []}",
        "{from: shop/batch, allow: [{to: edge/gateway}, {to: 203.0.113.7}]}",
    )
    assert findings(text) == []


def test_quarantine_closes_everything() -> None:
    """Names too, and lint is told that this is meant."""
    text = made("quarantine")
    proved(
        text,
        "{from: shop/suspect, only: []}",
        "{to: shop/suspect, only: []}",
        "{from: shop/web, allow: {to: shop/db}}",
    )
    assert findings(text) == []
    assert notes("quarantine") == ()


def test_quarantine_says_who_undoes_it() -> None:
    """Policies add up: a quarantine beside a policy for every pod closes less than it says."""
    other = made("allow-dns", name="names")
    closed = made("default-deny-all").split("---\n")[0]
    there = survey(other, closed)
    found = scaffold("quarantine", Asked(namespace="shop", survey=there))
    assert found.notes == ("policies that would still open something to a pod in quarantine: shop/names",)
    assert found.manifests[0].head[-1] == "These policies would go on to open something: shop/names."
    assert scaffold("quarantine", Asked(namespace="edge", survey=there)).notes == ()


def test_quarantine_in_the_admin_tier() -> None:
    """Denies at every end that the API can name, before all others are asked."""
    (policy,) = objects(made("quarantine", admin_tier=True))
    assert policy["spec"]["tier"] == "Admin"
    assert policy["spec"]["priority"] == 0
    assert policy["spec"]["subject"]["pods"] == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
        "podSelector": {"matchLabels": {"outgate.dev/quarantine": "true"}},
    }
    (out,), (into,) = policy["spec"]["egress"], policy["spec"]["ingress"]
    assert (out["action"], into["action"]) == ("Deny", "Deny")
    assert out["to"] == [{"namespaces": {}}, {"networks": ["0.0.0.0/0", "::/0"]}]
    assert into["from"] == [{"namespaces": {}}]
    assert "namespaceSelector" not in objects(made("quarantine", admin_tier=True, namespace=None))[0]["spec"]["subject"]


@pytest.mark.parametrize(("selector", "how"), [("a=b,c=d", "a=b c=d"), ("a", "KEY=VALUE")])
def test_quarantine_by_other_labels(selector: str, how: str) -> None:
    """The command that puts a pod there names them."""
    assert f"#   kubectl label pod NAME --overwrite {how}\n" in made("quarantine", selector=selector)
    assert QUARANTINE.matches({"outgate.dev/quarantine": "true"})


def test_a_deny_for_the_cluster_itself_is_warned_of() -> None:
    """CoreDNS has to ask somebody, too."""
    assert [words for words in notes("default-deny-egress", namespace="kube-system") if "CoreDNS" in words]
    assert notes("default-deny-egress") == ()
