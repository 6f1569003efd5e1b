"""Which requests are asked for which rules, and that those which cannot be are named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from outgate.lab.everything import Scope, plan_everything
from outgate.lab.requests import RequestPlan, plan_requests
from outgate.policy import Judge, Verdict
from tests.lab.clusters import SHOP, planned

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY


def policy(*ports: dict[str, Any], peers: dict[str, Any] | None = None) -> str:
    """A policy of the pod web, about the pod db where nothing else is said."""
    return json.dumps(
        {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": {"name": "p", "namespace": "shop"},
            "spec": {
                "endpointSelector": {"matchLabels": {"app": "web"}},
                "egress": [{**(peers or {"toEndpoints": [{"matchLabels": {"app": "db"}}]}), "toPorts": list(ports)}],
            },
        }
    )


def http(*entries: dict[str, Any], port: int = 5432) -> dict[str, Any]:
    """An item of toPorts about requests."""
    return {"ports": [{"port": str(port), "protocol": "TCP"}], "rules": {"http": list(entries)}}


def plan_of(text: str) -> RequestPlan:
    """What would be asked, whether or not there is an Envoy here."""
    made = planned(SHOP + text)
    plan = plan_everything(made.topology, made.policies, made.zone, Scope())
    return plan_requests(plan.probes, Judge(made.policies))


def asked(*entries: dict[str, Any]) -> list[tuple[str, Verdict]]:
    """What is asked for entries of `rules.http` over IPv4."""
    found = plan_of(policy(http(*entries))).probes
    return [(str(one.about).removeprefix("HTTP "), one.verdict) for one in found if one.address.version == 4]


def test_another_method() -> None:
    """One that the rule allows, and the same by a method that it does not; in both families."""
    assert asked({"method": "GET", "path": "/v1/items(/.*)?"}) == [
        ("GET /v1/items", ALLOW),
        ("DELETE /v1/items", DENY),
    ]
    found = plan_of(policy(http({"method": "GET"}))).probes
    assert sorted(one.address.version for one in found) == [4, 4, 6, 6]
    assert {(str(one.source), str(one.party.trace.flow.destination)) for one in found} == {("shop/web", "shop/db")}


@pytest.mark.parametrize(
    ("entry", "good", "bad"),
    [
        ({"path": "/a+/[0-9]{3}"}, "GET /a/000", "DELETE /outgate-asks-for-what-nobody-allows"),
        ({"method": "DELETE"}, "DELETE /", "GET /"),
        ({"method": "P(OST|UT)", "path": ".*"}, "POST /", "DELETE /"),
    ],
)
def test_made_of_the_expressions(entry: dict[str, Any], good: str, bad: str) -> None:
    """Where every method is allowed, another path is asked for."""
    (first, allowed), (second, denied) = asked(entry)
    assert (first, allowed, denied) == (good, ALLOW, DENY)
    assert second.split()[1] == bad.split()[1]


def test_host_and_headers() -> None:
    """They are given as the entry wants them; another host is what remains where only that is asked."""
    good, bad = (
        one.about.request
        for one in plan_of(policy(http({"host": "items[.]shop", "headers": ["X-Team: a"]}))).probes
        if one.address.version == 4
    )
    assert good is not None
    assert bad is not None
    assert (good.host, good.headers) == ("items.shop", (("X-Team", "a"),)) or good.headers == (("X-Team:", "a"),)
    assert bad.host == "nobody.invalid"


def test_what_another_entry_allows_is_not_asked_as_denied() -> None:
    """The model judges all rules together: DELETE of the first entry is what the second allows."""
    found = asked({"method": "GET", "path": "/a"}, {"method": "DELETE", "path": "/a"})
    assert [verdict for text, verdict in found if text == "DELETE /a"] == [ALLOW]
    assert DENY in {verdict for _, verdict in found}


def test_names_of_tls() -> None:
    """A name that the pattern means, and one that it does not."""
    text = policy({"ports": [{"port": "5432", "protocol": "TCP"}], "serverNames": ["**.example.com"]})
    found = plan_of(text).probes
    names = [(one.about.server_name, one.verdict) for one in found if one.address.version == 4]
    assert names == [("a.example.com", ALLOW), ("other.nobody.invalid", DENY)]


def test_several_conditions_of_one_rule() -> None:
    """Two items of toPorts are one rule of the API with two conditions: each is tried."""
    found = plan_of(policy(http({"method": "GET"}), http({"method": "PUT"}, port=81))).probes
    assert {(one.port, one.about.request.method) for one in found if one.about.request and one.verdict.allows} == {
        (5432, "GET"),
        (81, "PUT"),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (policy(http({"method": "BREW"})), "none was found that it surely allows"),
        (policy(http({"method": "GET", "path": r"/\bx"})), "none was found that it surely allows"),
        (policy(http({})), "none was found that it surely refuses"),
        (policy(http({"method": "GET"}), peers={"toFQDNs": [{"matchName": "a.example"}]}), "no flow"),
        (policy(http({"method": "GET"}), peers={"toEndpoints": [{"matchLabels": {"app": "no"}}]}), "no flow"),
    ],
)
def test_what_is_not_asked_is_named(text: str, words: str) -> None:
    """Silence about a rule would look like a rule that holds."""
    plan = plan_of(text)
    assert plan.notes
    assert all(one.startswith("requests: shop/p egress[0]") and words in one for one in plan.notes)


def test_the_own_node_is_asked_like_any_other() -> None:
    """What only the pod's own node is opened for is tried there."""
    found = plan_of(policy(http({"method": "GET"}), peers={"toEntities": ["host"]}))
    assert not found.notes
    assert {one.party.trace.flow.destination.node is not None for one in found.probes} == {True}
    assert {one.verdict for one in found.probes} == {ALLOW, DENY}


def test_what_cannot_be_asked_can_still_be_refused() -> None:
    """A method that we cannot send; any other is denied, and that is seen."""
    assert {verdict for _, verdict in asked({"method": "BREW"})} == {DENY}
