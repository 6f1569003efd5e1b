"""Azure's WireServer within a wide rule."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.checks import Survey, load
from outgate.model import Direction
from outgate.policy import Endpoint, Flow, Tier
from outgate.testing import Manifest, cluster_policy, namespace, node, pod, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import DNS_PORTS, ask, block, cilium, deny, egress, entry, net, one, to, words

RULE = "azure-wireserver"
WEB = pod("shop/web", ["10.1.0.1"], app="web")
AKS = node("aks-1", ["192.168.50.1"], **{"kubernetes.azure.com/cluster": "prod"})


def test_the_internet_contains_it() -> None:
    """On the ports that it has."""
    found = one(RULE, WEB, AKS, egress("shop/p", to(block("0.0.0.0/0", "169.254.0.0/16"))))
    assert str(found.witness) == "shop/web -> 168.63.129.16:80/TCP passes"


def test_elsewhere_it_is_an_address_like_any_other() -> None:
    """Without nodes of Azure nothing is said."""
    assert not ask(RULE, WEB, node("n", ["192.168.50.1"]), egress("shop/p", to(block("0.0.0.0/0"))))


def test_names_are_asked_for_there() -> None:
    """Port 53 is to stay open, and 443 has nothing."""
    assert not ask(RULE, WEB, AKS, egress("shop/p", to(block("0.0.0.0/0"), ports=[*DNS_PORTS, {"port": 443}])))
    assert ask(RULE, WEB, AKS, egress("shop/p", {"ports": [{"port": 32526}]}))


def test_policies_of_other_kinds() -> None:
    """As they are decided: a denial is before, and a condition that its paths do not meet lets nothing through."""

    def of_cilium(**more: Any) -> Manifest:
        return cilium_policy("shop/p", {"endpointSelector": {}, "egress": [{"toEntities": ["world"]} | more]})

    found = one(RULE, WEB, AKS, of_cilium())
    assert found.message == "shop/p egress[0] lets shop/web reach Azure's WireServer at 168.63.129.16"
    assert str(found.witness) == "shop/web -> 168.63.129.16:80/TCP passes"
    ports = [{"port": "80", "protocol": "TCP"}]
    assert not ask(RULE, WEB, AKS, of_cilium(toPorts=[{"ports": ports, "rules": {"http": [{"path": "/v1/.*"}]}}]))
    assert not ask(RULE, WEB, AKS, of_cilium(toPorts=[{"ports": ports, "serverNames": ["a.example"]}]))
    tier = cluster_policy("a", egress=[{"action": "Accept", "to": [{"networks": ["0.0.0.0/0"]}]}])
    assert "ClusterNetworkPolicy a egress[0]" in one(RULE, WEB, AKS, tier).message
    denied = cluster_policy("b", priority=1, egress=[{"action": "Deny", "to": [{"networks": ["168.63.129.16/32"]}]}])
    assert not ask(RULE, WEB, AKS, tier, denied)
    assert not ask(RULE, WEB, AKS, of_cilium(), denied)


DB = pod("shop/db", ["10.1.0.2"], app="db")
SERVER = "168.63.129.16/32"
ALL = egress("shop/p", to(block("0.0.0.0/0", "169.254.0.0/16")))


def above(action: str, cidr: str = SERVER, port: int | None = None, tier: str = "Admin", **more: Any) -> Manifest:
    """A policy of the whole cluster about a block."""
    ports = {"protocols": [{"tcp": {"destinationPort": {"number": port}}}]} if port is not None else {}
    return cluster_policy(
        f"{action}-{more.get('priority', 10)}".lower(), tier=tier, egress=[net(action, cidr, **ports)], **more
    )


def of(app: str) -> dict[str, Any]:
    """The subject of a policy that is about one application."""
    return {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": app}}}}


@pytest.mark.parametrize(
    "denying",
    [
        above("Deny"),
        cilium("never", denied=({"toCIDR": [SERVER]},)),
        cilium("never", denied=({"toEntities": ["world"]},)),
    ],
    ids=["of the cluster", "Cilium's", "all that is outside"],
)
def test_what_another_kind_denies_is_safe(denying: Manifest) -> None:
    """Whatever a NetworkPolicy allows below it; also where the input has no pods."""
    assert ask(RULE, WEB, AKS, ALL) != []
    assert ask(RULE, WEB, AKS, ALL, denying) == []
    assert ask(RULE, AKS, ALL, denying) == []


@pytest.mark.parametrize(
    "other",
    [
        above("Deny", "168.63.129.0/28"),
        above("Deny", port=53),
        above("Deny", port=80),
        above("Deny", tier="Baseline"),
        above("Pass"),
        above("Deny", subject={"namespaces": {"matchLabels": {"team": "red"}}}),
        cilium("never", denied=({"toEntities": ["cluster"]},)),
    ],
    ids=["beside it", "names", "one of two ports", "Baseline", "passed on", "others", "the cluster"],
)
def test_what_another_kind_leaves_is_not(other: Manifest) -> None:
    """A tier is asked in its order, and each port by itself."""
    found = one(RULE, WEB, AKS, ALL, other)
    assert found.witness is not None
    assert (
        one(RULE, AKS, ALL, other).message
        == "shop/p egress[0] lets every pod of shop reach Azure's WireServer at 168.63.129.16"
    )


def test_whom_it_is_denied_is_not_named() -> None:
    """Nor shown: the connection is one of those to whom it is open, whoever is first."""
    found = one(RULE, WEB, DB, AKS, ALL, above("Deny", subject=of("db")))
    assert found.message == "shop/p egress[0] lets shop/web reach Azure's WireServer at 168.63.129.16"
    assert str(found.witness) == "shop/web -> 168.63.129.16:80/TCP passes"
    accepting = above("Accept", "0.0.0.0/0")
    both = [above("Deny", port=port, subject=of("db"), priority=port % 7) for port in (80, 32526)]
    (found,) = ask(RULE, WEB, DB, AKS, accepting, *both)
    assert "lets shop/web reach" in found.message
    assert found.witness is not None


def test_what_another_kind_opens_is_found() -> None:
    """Before a NetworkPolicy denies all, and by what is passed on before a tier denies it."""
    assert ask(RULE, WEB, AKS, deny()) == []
    assert words(RULE, WEB, AKS, deny(), above("Accept")) == [
        "ClusterNetworkPolicy accept-10 egress[0] lets shop/web reach Azure's WireServer at 168.63.129.16"
    ]
    assert ask(RULE, WEB, AKS, ALL, above("Deny", priority=20)) == []
    (found,) = ask(RULE, WEB, AKS, ALL, above("Deny", priority=20), above("Pass", priority=1))
    assert found.message.startswith("shop/p egress[0] lets shop/web")
    (found,) = ask(RULE, WEB, AKS, deny(), cilium("shop/c", {"toCIDR": [SERVER]}))
    assert found.message.startswith("shop/c egress[0] lets shop/web")


def drawn(seed: int) -> list[Manifest]:
    """Three pods on Azure under policies of all kinds that speak of the server, or of more, or not of it."""
    chance = random.Random(seed)
    apps = ("web", "db", "api")

    def cidr() -> str:
        return chance.choice(("0.0.0.0/0", SERVER, "168.0.0.0/8", "10.0.0.0/8"))

    def policy(number: int) -> Manifest:
        sort = chance.choice(("own", "cluster", "cluster", "cilium"))
        labels: dict[str, Any] = chance.choice(({}, *({"app": app} for app in apps)))
        port = chance.choice((None, None, 80, 32526, 53))
        if sort == "own":
            ports = [{"port": port}] if port is not None else None
            many = [to(block(cidr()), ports=ports) for _ in range(chance.randint(0, 2))]
            return egress(f"shop/n{number}", *many, **labels)
        if sort == "cilium":
            listed = entry(port) if port is not None else {}
            denied = ({"toCIDR": [cidr()]} | listed,) if chance.random() < 0.5 else ()
            return cilium(f"shop/c{number}", {"toCIDR": [cidr()]} | listed, denied=denied, **labels)
        rules = [net(chance.choice(("Accept", "Deny", "Pass")), cidr()) for _ in range(chance.randint(1, 2))]
        protocols = {} if port is None else {"protocols": [{"tcp": {"destinationPort": {"number": port}}}]}
        return cluster_policy(
            f"p{number}",
            tier=chance.choice(("Admin", "Admin", "Baseline")),
            priority=number,
            subject=of(labels["app"]) if labels else None,
            egress=[rule | protocols for rule in rules],
        )

    pods = [pod(f"shop/{app}", [f"10.1.0.{at + 1}"], app=app) for at, app in enumerate(apps)]
    return [namespace("shop"), AKS, *pods, *(policy(number) for number in range(chance.randint(1, 6)))]


@given(st.integers(0, 2**32 - 1))
def test_named_are_those_whom_a_rule_lets_through(seed: int) -> None:
    """All of them, and nobody else: asked of the judge, who follows one packet."""
    survey = Survey(snapshot_of(drawn(seed)))
    there = Endpoint.at(survey.snapshot, ipaddress.ip_address("168.63.129.16"))
    reaching = set()
    for each in survey.snapshot.endpoints:
        here = Endpoint.of_pod(each, 4)
        assert here is not None
        isolated = bool(survey.policies.isolation(each, Direction.EGRESS).policies)
        for port in (80, 32526):
            outcome = survey.judge.judge(Flow(here, there, 6, port)).egress.outcome
            rule = outcome.rule if outcome is not None and outcome.verdict.allows else None
            # What Cilium's policies allow where nothing isolates, they do not open.
            if rule is not None and (isolated or rule.tier is not Tier.NETWORK_POLICY):
                reaching.add(str(each))
    found = list(load(RULE).find(survey))
    named = {
        who for finding in found for who in finding.message.partition(" lets ")[2].partition(" reach ")[0].split(", ")
    }
    assert named == reaching, seed
    assert all(finding.witness is not None and finding.witness.passes for finding in found)
