"""Where the API server and cluster DNS are found, and who gets through their doors."""

from __future__ import annotations

import dataclasses

import pytest

from outgate.analysis.exposure import Finding
from outgate.analysis.exposure_places import Found, Reach, api_server, cluster_dns
from outgate.policy import OUTGATE
from outgate.testing import Manifest, namespace, pod, policy, service, snapshot_of
from tests.analysis.estate import allow, api_service, api_slice, report_of, standing_of


def doors(*manifests: Manifest) -> list[str]:
    """The API server's, in words."""
    return list(map(str, api_server(snapshot_of(manifests)).doors))


def to(cidr: str, port: int, protocol: str = "TCP") -> dict[str, object]:
    """A rule to a block on one port."""
    return {"to": [{"ipBlock": {"cidr": cidr}}], "ports": [{"port": port, "protocol": protocol}]}


def test_the_endpoints_behind_the_service_are_the_api_server() -> None:
    """Not its cluster address, which no policy sees, and not its port 443."""
    place = api_server(snapshot_of([api_service(), api_slice("172.20.0.5")]))
    assert (place.found, list(map(str, place.doors))) == (Found.KNOWN, ["172.20.0.5:6443/TCP"])
    rules = (to("172.20.0.5/32", 6443), to("10.96.0.1/32", 443), to("172.20.0.5/32", 443))
    reached = [standing_of(api_service(), api_slice("172.20.0.5"), allow(rule)).api_server for rule in rules]
    assert [one.reach for one in reached] == [Reach.YES, Reach.NO, Reach.NO]
    assert [(one.name, one.rule) for one in reached[0].origins] == [("out", 0)]


def test_endpoints_without_their_service_are_enough() -> None:
    """A dump of slices alone still says where it is."""
    assert doors(api_slice("172.20.0.5", "172.20.0.6")) == ["172.20.0.5:6443/TCP", "172.20.0.6:6443/TCP"]
    assert doors(api_slice("172.20.0.5", ready=False)) == []


def test_control_plane_nodes_are_likely() -> None:
    """And said to be no more than that."""
    report = report_of()
    assert report.api_server.found is Found.LIKELY
    assert list(map(str, report.api_server.doors)) == ["192.168.50.1:6443/TCP"]
    assert standing_of(allow(to("192.168.50.0/24", 6443))).api_server.reach is Reach.YES
    assert standing_of(allow(to("192.168.50.2/32", 6443))).api_server.reach is Reach.NO


def test_nothing_known_is_said() -> None:
    """A Service without endpoints leads nowhere; guessing that it is where it always is would be a guess."""
    place = api_server(snapshot_of([api_service()]))
    assert (place.found, place.doors) == (Found.UNKNOWN, ())
    assert "not" in place.source or "neither" in place.source


def test_an_api_server_that_is_a_pod_is_judged_on_both_ends() -> None:
    """A virtual cluster's: its own ingress policies count."""
    server = pod("data/api", ["10.1.1.9"], app="api")
    deny = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "in", "namespace": "data"},
        "spec": {"podSelector": {"matchLabels": {"app": "api"}}, "policyTypes": ["Ingress"]},
    }
    cluster = (server, api_service(), api_slice("10.1.1.9"))
    assert standing_of(*cluster).api_server.reach is Reach.YES
    assert standing_of(*cluster, deny).api_server.reach is Reach.NO


def test_a_profile_that_reads_services_before_translation_is_obeyed() -> None:
    """There a rule for the cluster address is what opens the way."""
    before = dataclasses.replace(OUTGATE, name="before", blocks_see_service=True)
    cluster = (api_service(), api_slice("172.20.0.5"), allow(to("10.96.0.1/32", 443)))
    assert standing_of(*cluster).api_server.reach is Reach.NO
    assert standing_of(*cluster, profile=before).api_server.reach is Reach.YES


def test_a_pods_own_node_opens_nothing_for_its_workload() -> None:
    """A replica that happens to run beside the API server must not make the workload exposed to it, or hide that."""
    own = dataclasses.replace(OUTGATE, name="own", own_node_exempt=True)
    on_control = pod("shop/on-control", ["10.1.0.50"], on="control")
    assert standing_of(on_control, allow(), workload="shop/on-control", profile=own).api_server.reach is Reach.NO


def test_every_rule_that_opens_a_door_is_named() -> None:
    """Closing the first that was named would leave the door open."""
    rules: tuple[Manifest, ...] = (
        to("192.168.50.1/32", 6443),
        to("192.168.50.1/32", 443),
        {"ports": [{"port": 6443}]},
        {"to": []},
    )
    reached = standing_of(allow(*rules)).api_server
    assert [origin.rule for origin in reached.origins] == [0, 2, 3]


def test_rules_of_both_ends_and_port_names_are_named() -> None:
    """What lets the resolvers be reached: at the workload, by the name of their port, and at their own door."""
    out = {"to": [{"namespaceSelector": {}}], "ports": [{"port": "dns", "protocol": "UDP"}]}
    door: Manifest = {"from": [{"namespaceSelector": {}}]}
    ingress = policy("kube-system/in", {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [door]})
    reached = standing_of(allow(out), ingress).dns
    assert {str(one) for one in reached.doors} == {"kube-system/dns-1:53/UDP"}
    assert [str(origin) for origin in reached.origins] == ["shop/out egress[0]", "kube-system/in ingress[0]"]


# ---- cluster DNS -----------------------------------------------------------------------------------------------------


def names(*ports: tuple[str, int]) -> dict[str, object]:
    """A rule to every pod on these ports."""
    return {"to": [{"namespaceSelector": {}}], "ports": [{"protocol": one, "port": number} for one, number in ports]}


def test_dns_is_found_through_its_service() -> None:
    """Metrics of the same pods are no DNS."""
    place = cluster_dns(snapshot_of([namespace("x")]))
    assert (place.found, place.doors) == (Found.UNKNOWN, ())
    report = report_of()
    assert {str(door) for door in report.dns.doors} == {
        f"kube-system/dns-{n}:53/{protocol}" for n in (1, 2) for protocol in ("UDP", "TCP")
    }


def test_dns_behind_a_service_that_has_no_address_yet() -> None:
    """Nobody writes a clusterIP into a manifest: the server gives it."""
    resolver = pod("kube-system/resolver", ["10.1.9.1"], app="resolver")
    front = service("kube-system/kube-dns", "", [{"port": 53, "protocol": "UDP", "targetPort": 5353}], app="resolver")
    del front["spec"]["clusterIP"]
    assert {str(door) for door in cluster_dns(snapshot_of([resolver, front])).doors} == {
        "kube-system/resolver:5353/UDP"
    }


@pytest.mark.parametrize(("protocol", "port", "reach"), [("UDP", 53, Reach.YES), ("TCP", 53, Reach.YES)])
def test_either_protocol_is_a_way_to_ask(protocol: str, port: int, reach: Reach) -> None:
    """And another port is none."""
    standing = standing_of(allow(names((protocol, port))))
    assert standing.dns.reach is reach
    assert {door.protocol.name for door in standing.dns.doors} == {protocol}
    assert Finding.DNS not in standing.findings
    assert standing_of(allow(names((protocol, 9153)))).dns.reach is Reach.NO


def test_dns_of_openshift_is_behind_another_port() -> None:
    """Port 53 of its Service leads to 5353 of its pods, and 53 of the pods leads nowhere."""
    labels = {"dns.operator.openshift.io/daemonset-dns": "default"}
    ports = [{"name": "dns", "containerPort": 5353, "protocol": "UDP"}, {"name": "dns-tcp", "containerPort": 5353}]
    server = pod("openshift-dns/dns", ["10.1.3.1"], ports=ports, labels=labels)
    front = [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"}, {"name": "m", "port": 9154}]
    cluster = [namespace("shop"), namespace("openshift-dns"), server]
    through = service("openshift-dns/dns-default", "10.96.0.10", front, **labels)
    assert [str(one) for one in cluster_dns(snapshot_of([*cluster, through])).doors] == ["openshift-dns/dns:5353/UDP"]
    # Without the Service, by the pods' labels and the names of their ports.
    assert [str(one) for one in cluster_dns(snapshot_of(cluster)).doors] == [
        "openshift-dns/dns:5353/TCP",
        "openshift-dns/dns:5353/UDP",
    ]


def test_pods_with_the_labels_elsewhere_are_not_dns() -> None:
    """Anybody may put k8s-app=kube-dns on a pod of his own."""
    trap = pod("shop/trap", ["10.1.0.66"], labels={"k8s-app": "kube-dns"})
    assert cluster_dns(snapshot_of([namespace("shop"), trap])).found is Found.UNKNOWN


def test_the_cache_of_a_node_is_an_address() -> None:
    """It is on the host network, so selectors cannot name it."""
    cache = pod("kube-system/cache", ["192.168.50.2"], host_network=True, labels={"k8s-app": "node-local-dns"})
    reached = standing_of(cache, allow(to("169.254.20.10/32", 53, "UDP"))).dns
    assert [str(door) for door in reached.doors] == ["169.254.20.10:53/UDP"]
