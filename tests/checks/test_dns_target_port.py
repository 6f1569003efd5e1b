"""A rule for DNS with the port of the Service."""

from __future__ import annotations

from outgate.policy.profile import AWS_VPC_CNI
from outgate.testing import pod, service
from tests.checks.asking import DNS_PORTS, ask, block, egress, one, to, within

LABELS = {"dns.operator.openshift.io/daemonset-dns": "default"}
SERVICE = service(
    "openshift-dns/dns-default",
    "172.30.0.10",
    [
        {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": "dns"},
        {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": "dns-tcp"},
    ],
    **LABELS,
)
POD = pod(
    "openshift-dns/dns-default-x",
    ["10.128.0.5"],
    ports=[
        {"name": "dns", "protocol": "UDP", "containerPort": 5353},
        {"name": "dns-tcp", "protocol": "TCP", "containerPort": 5353},
    ],
    labels=LABELS,
)
WEB = pod("shop/web", ["10.128.1.1"], app="web")
RULE = "dns-target-port"


def test_the_pods_port_is_named() -> None:
    """By number, since that is what the policy sees."""
    found = one(RULE, WEB, egress("shop/dns", to(within("openshift-dns"), ports=DNS_PORTS)), SERVICE, POD)
    assert "listen on port 5353: shop/web cannot ask them" in found.message
    ports = [{"protocol": "UDP", "port": 5353}, {"protocol": "TCP", "port": 5353}]
    assert [edit.value for edit in found.fix] == ports
    wide = to(within("openshift-dns"), block("0.0.0.0/0"), ports=DNS_PORTS)
    (edit,) = one(RULE, WEB, egress("shop/dns", wide), SERVICE, POD).fix
    assert (edit.place.path, edit.value) == ("spec.egress", to(within("openshift-dns", **LABELS), ports=ports))


def test_the_pods_port_by_number_or_by_name_is_right() -> None:
    """Both mean the pod's."""
    for ports in ([{"protocol": "UDP", "port": 5353}], [{"protocol": "UDP", "port": "dns"}], None):
        assert not ask(RULE, WEB, egress("shop/dns", to(within("openshift-dns"), ports=ports)), SERVICE, POD)


def test_a_plugin_that_sees_the_services_address_takes_the_pods_port_too() -> None:
    """AWS opens the Service's port for a rule that names the target."""
    for port, count in ((53, 1), (5353, 0)):
        rule = to(within("openshift-dns"), ports=[{"protocol": "UDP", "port": port}])
        assert len(ask(RULE, WEB, egress("shop/dns", rule), SERVICE, POD, profile=AWS_VPC_CNI)) == count
