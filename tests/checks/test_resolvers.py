"""Cluster DNS as the checks ask about it: the rule that leads there is one that leads there."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.checks.resolvers import Resolvers, dns_rule
from outgate.checks.survey import Survey
from outgate.model import Direction
from outgate.packets import Protocol
from outgate.testing import Manifest, pod, snapshot_of
from tests.checks import test_dns_target_port as openshift
from tests.checks.asking import COREDNS, KUBE_DNS, deny, egress

WEB = pod("shop/web", ["10.1.0.1"], app="web")
HOST = pod("kube-system/coredns", ["192.168.50.11"], host_network=True, labels={"k8s-app": "kube-dns"})
ENDPOINTS: Manifest = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {
        "name": "kube-dns-x",
        "namespace": "kube-system",
        "labels": {"kubernetes.io/service-name": "kube-dns"},
    },
    "addressType": "IPv4",
    "ports": [{"name": "dns", "protocol": "UDP", "port": 53}, {"name": "dns-tcp", "protocol": "TCP", "port": 53}],
    "endpoints": [{"addresses": ["172.20.0.10"], "conditions": {"ready": True}}],
}


@pytest.mark.parametrize(
    "cluster",
    [
        [KUBE_DNS, COREDNS],
        [COREDNS],
        [openshift.SERVICE, openshift.POD],
        [KUBE_DNS, HOST],
        [KUBE_DNS, ENDPOINTS],
        [],
    ],
    ids=["service", "pods", "openshift", "host network", "slices", "unknown"],
)
def test_the_rule_leads_there(cluster: list[Manifest]) -> None:
    """Over UDP and TCP, whatever resolvers the cluster has; without it nothing does."""
    rule: dict[str, Any] = dns_rule(Survey(snapshot_of([WEB, *cluster])))
    for policies, reached in (([deny()], False), ([deny(), egress("shop/dns", rule)], True)):
        survey = Survey(snapshot_of([WEB, *cluster, *policies]))
        resolvers = Resolvers(survey)
        assert resolvers.known is bool(cluster)
        (whom,) = survey.isolated(Direction.EGRESS)
        for protocol in (Protocol.UDP, Protocol.TCP):
            assert resolvers.reached(whom, protocol) is reached
            assert (resolvers.denied(whom, protocol) is not None) is (bool(cluster) and not reached)


def test_the_rule_leads_nowhere_else() -> None:
    """To the pods that the Service selects, on their ports."""
    rule = dns_rule(Survey(snapshot_of([WEB, KUBE_DNS, COREDNS, pod("kube-system/x", ["10.244.0.9"], app="x")])))
    assert rule == {
        "to": [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }
        ],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }
