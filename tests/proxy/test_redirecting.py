"""Redirects of policies: whose connections, where to, and by which rules."""

from __future__ import annotations

import ipaddress

from outgate.model.cilium import HttpMatch
from outgate.policy import Policies
from outgate.proxy.redirect import Allowance, Redirect
from outgate.proxy.redirecting import redirects_of
from outgate.testing import node, pod, snapshot_of
from outgate.testing_cilium import cilium_policy

TOWN = (
    node("n1", ["192.168.5.1"]),
    pod("shop/web", ["10.1.0.10", "fd00:1::10"], on="n1", app="web"),
    pod("shop/web2", ["10.1.0.11"], on="n1", app="web"),
    pod("shop/api", ["10.1.0.20"], on="n1", app="api", ports=[{"name": "http", "containerPort": 8080}]),
    pod("shop/other", ["10.1.0.30"], on="n1", app="other"),
)
API = {"toEndpoints": [{"matchLabels": {"app": "api"}}]}


def ports(*numbers: str, **more: object) -> list[dict[str, object]]:
    """TCP ports."""
    return [{"ports": [{"port": one, "protocol": "TCP"} for one in numbers], **more}]


def found(*egress: dict[str, object]) -> tuple[Redirect, ...]:
    """The redirects of all pods under one policy of the pods web."""
    web = {"matchLabels": {"app": "web"}}
    made = cilium_policy("shop/p", {"endpointSelector": web, "egress": list(egress)})
    policies = Policies(snapshot_of([*TOWN, made]))
    return redirects_of(policies, policies.snapshot.endpoints)


READ = ports("80", "http", rules={"http": [{"path": "/a"}]})
RULE = "CiliumNetworkPolicy shop/p egress[0]"


def test_pods_by_their_addresses() -> None:
    """Those of one class together; a port by its name is the number that the destination gives it."""
    web = tuple(map(ipaddress.ip_address, ("10.1.0.10", "fd00:1::10", "10.1.0.11")))
    api = (ipaddress.ip_network("10.1.0.20/32"),)
    allowed = (Allowance(RULE, (HttpMatch("/a"),)),)
    assert found({**API, "toPorts": READ}) == (
        Redirect(web, api, ((80, 80),), allowed),
        Redirect(web, api, ((8080, 8080),), allowed),
    )


def test_nothing_is_made_of_other_rules() -> None:
    """Neither of plain ones, nor of pods that have no other; nor of names, which have no addresses here."""
    assert found({**API, "toPorts": ports("80")}) == ()
    assert found({"toFQDNs": [{"matchName": "a.example"}], "toPorts": READ}) == ()


def test_plain_rules_with_a_port_in_common() -> None:
    """What was here before such a rule came is not refused; ports that nothing looks into are left out."""
    read = {**API, "toPorts": ports("80", rules={"http": [{"path": "/a"}]})}
    made = found(read, {"toEntities": ["world"], "toPorts": ports("80", "81")})
    plain = [one for one in made if one.allowed[0].is_plain]
    assert [one.ports for one in plain] == [((80, 80),)]
    assert plain[0].allowed[0].rule == "CiliumNetworkPolicy shop/p egress[1]"


def test_blocks_mean_nobody_inside() -> None:
    """So a rule about a block around a pod does not speak of requests to the pod."""
    (one,) = found({"toCIDR": ["10.1.0.16/28"], "toPorts": ports("80", rules={"http": [{}]})})
    assert not any(ipaddress.ip_address("10.1.0.20") in block for block in one.destinations)
    assert any(ipaddress.ip_address("10.1.0.21") in block for block in one.destinations)
