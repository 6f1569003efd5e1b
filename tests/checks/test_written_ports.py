"""Ports of every kind of policy, as they are written, and how another one is written in their place."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.checks.survey import Survey
from outgate.checks.written import written_rules
from outgate.checks.written_ports import PortSaid, ports_of
from outgate.testing import Manifest, cluster_policy, snapshot_of
from tests.checks.asking import block, cilium, egress, entry, net, to


def said(made: Manifest) -> list[PortSaid]:
    """The ports of the only policy."""
    return [port for rule in written_rules(Survey(snapshot_of([made]))) for port in ports_of(rule)]


def tier(*protocols: dict[str, Any], old: bool = False) -> Manifest:
    """A policy of the whole cluster with ports, of either version of the API."""
    made = cluster_policy("p", egress=[{"action": "Accept", "to": [{"namespaces": {}}], "protocols": list(protocols)}])
    if old:
        rule = made["spec"]["egress"][0]
        rule |= {"action": "Allow", "ports": rule.pop("protocols")}
        del made["spec"]["tier"]
        made |= {"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "AdminNetworkPolicy"}
    return made


@pytest.mark.parametrize(
    ("made", "words", "path"),
    [
        (egress("shop/p", to(ports=[{"port": 80}])), "TCP 80", "spec.egress[0].ports[0].port"),
        (egress("shop/p", to(ports=[{"port": 1, "endPort": 9}])), "TCP 1-9", "spec.egress[0].ports[0].port"),
        (egress("shop/p", to(ports=[{"protocol": "UDP"}])), "UDP every port", "spec.egress[0].ports[0].port"),
        (cilium("shop/p", entry(80, "ANY")), "80", "spec.egress[0].toPorts[0].ports[0].port"),
        (cilium("shop/p", entry(0)), "TCP every port", "spec.egress[0].toPorts[0].ports[0].port"),
        (
            tier({"tcp": {"destinationPort": {"number": 80}}}),
            "TCP 80",
            "spec.egress[0].protocols[0].tcp.destinationPort.number",
        ),
        (tier({"destinationNamedPort": "web"}), "web", "spec.egress[0].protocols[0].destinationNamedPort"),
        (
            tier({"portNumber": {"protocol": "UDP", "port": 53}}, old=True),
            "UDP 53",
            "spec.egress[0].ports[0].portNumber.port",
        ),
        (tier({"namedPort": "web"}, old=True), "web", "spec.egress[0].ports[0].namedPort"),
    ],
)
def test_where_a_port_stands(made: Manifest, words: str, path: str) -> None:
    """The value itself, so that another can be written there."""
    (port,) = said(made)
    assert (str(port), port.value.path) == (words, path)


def test_another_is_written_as_the_one_before() -> None:
    """A text where it is a text; a name has no place where the API has numbers alone."""
    (text,) = said(cilium("shop/p", entry(80)))
    assert [(edit.value, edit.place.path) for edit in text.rewritten(8080)] == [("8080", text.value.path)]
    (plain,) = said(egress("shop/p", to(block("10.0.0.0/8"), ports=[{"port": 80}])))
    assert [edit.value for edit in plain.rewritten("web")] == ["web"]
    (number,) = said(tier({"tcp": {"destinationPort": {"number": 80}}}))
    assert number.rewritten("web") == ()
    assert [edit.value for edit in number.rewritten(8080)] == [8080]
    (old,) = said(tier({"portNumber": {"protocol": "TCP", "port": 80}}, old=True))
    assert old.rewritten("web") == ()


def test_what_is_asked_for_beside_a_port() -> None:
    """Each entry has its own."""
    one, two = said(cilium("shop/p", entry(80, rules={"http": [{"method": "GET"}]}), entry(81)))
    assert one.conditions.http
    assert two.conditions.http == ()
    assert said(cilium("shop/p", {"toEntities": ["world"]})) == []
    assert said(cluster_policy("p", egress=[net("Accept", "::/0")])) == []


def test_a_range_stands_where_its_entry_does() -> None:
    """It is no single value that another could take the place of."""
    ports = written_rules(Survey(snapshot_of([tier({"tcp": {"destinationPort": {"range": {"start": 1, "end": 9}}}})])))
    (port,) = ports_of(ports[0])
    assert (str(port), port.value) == ("TCP 1-9", port.entry)
