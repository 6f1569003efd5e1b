"""Names that open nothing, or another than was meant."""

from __future__ import annotations

import pytest

from outgate.checks import Finding, Severity
from outgate.testing import cluster_policy, namespace, pod, service
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import ask

SHOP = [namespace("shop"), pod("shop/web", ["10.0.0.1"])]


def cilium(**peers: str) -> list[Finding]:
    """What is said of the names of one rule of Cilium's: patterns where they have a star."""
    written = [{"matchPattern" if "*" in name else "matchName": name} for name in peers.values()]
    return ask("fqdn-matches-nothing", *SHOP, cilium_policy("shop/p", _spec(written)))


def _spec(names: list[dict[str, str]]) -> dict[str, object]:
    return {"endpointSelector": {}, "egress": [{"toFQDNs": names}]}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("203.0.113.9", "is an address"),
        ("db.data.svc.cluster.local", "is within the cluster"),
        ("DB.data.svc.", "is within the cluster"),
        ("intranet", "has no dot"),
    ],
)
def test_names_that_no_answer_opens(name: str, why: str) -> None:
    """An error: the rule lets nothing through, whatever DNS says."""
    (found,) = cilium(name=name)
    assert found.severity is Severity.ERROR
    assert f"opens {name}, which {why}" in found.message
    assert found.place.path == "spec.egress[0].toFQDNs[0]"


def test_an_address_among_domain_names() -> None:
    """Of the whole cluster's policies the place is the one name."""
    rule = {"action": "Accept", "to": [{"domainNames": ["www.example.org", "db.data.svc.cluster.local"]}]}
    (found,) = ask("fqdn-matches-nothing", *SHOP, cluster_policy("p", egress=[rule]))
    assert found.place.path == "spec.egress[0].to[0].domainNames[1]"


@pytest.mark.parametrize(
    ("name", "cilium_too"),
    [
        ("partner.shop.svc.cluster.local", True),
        ("*.shop.svc.cluster.local", True),
        ("pg.shop.svc.cluster.local", False),
        ("pg-0.pg.shop.svc.cluster.local", False),
        ("*.pg.shop.svc.cluster.local", False),
    ],
)
def test_names_of_the_cluster_that_open_something(name: str, cilium_too: bool) -> None:
    """An alias of what is outside in both dialects, a headless Service and its pods in one of them."""
    partner = service("shop/partner", "", []) | {"spec": {"type": "ExternalName", "externalName": "api.example.com"}}
    town = [*SHOP, partner, service("shop/pg", "None", [{"port": 5432}], app="pg")]
    rule = {"action": "Accept", "to": [{"domainNames": [name]}]}
    assert not [one for one in ask("fqdn-matches-nothing", *town, cluster_policy("p", egress=[rule])) if _dead(one)]
    key = "matchPattern" if "*" in name else "matchName"
    found = ask("fqdn-matches-nothing", *town, cilium_policy("shop/p", _spec([{key: name}])))
    assert any(map(_dead, found)) is not cilium_too


def _dead(found: Finding) -> bool:
    return "is within the cluster" in found.message


@pytest.mark.parametrize("name", ["www.example.org", "*", "**.example.org", "*.*.example.org", "a*.example.org"])
def test_names_that_mean_what_they_look_like(name: str) -> None:
    """Or that nobody writes without knowing."""
    found = cilium(name=name)
    assert [one.severity for one in found if one.severity is not Severity.INFO] == []


def test_a_star_without_a_dot() -> None:
    """It opens what anybody may register, and not what stands in front of a dot."""
    (found,) = cilium(name="*example.com")
    assert found.severity is Severity.WARNING
    assert "as my-example.com, and not www.example.com" in found.message
    assert found.help == 'write example.com and "*.example.com"'


def test_the_name_behind_a_star() -> None:
    """It is not among those that the star means, and worth knowing where no other name of the rule is it."""
    (found,) = cilium(name="*.example.com")
    assert (found.severity, found.help) == (Severity.INFO, "add example.com if it is meant as well")
    assert cilium(name="*.example.com", apex="example.com") == []
