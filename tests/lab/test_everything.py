"""The plan that is made when nobody names a flow: everything that the policies could mean, and always the same."""

from __future__ import annotations

import ipaddress

from outgate.lab.plan import Via
from outgate.lab.run import Wishes
from outgate.policy import Verdict
from tests.lab.clusters import DNS, SHOP, planned, probes_between

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
    - to: [{ipBlock: {cidr: 192.168.0.0/16, except: [192.168.7.0/24]}}]
      ports: [{port: 443}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: in, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
    - from: [{ipBlock: {cidr: 172.30.0.0/16}}]
      ports: [{port: 5432}]
---
"""
ALL = DNS + SHOP + POLICY
NAMES = {"api.example.com": (ipaddress.ip_address("192.168.3.3"),)}


def test_every_pair_in_both_families_with_an_echo() -> None:
    """A pair that is left out is a pair that may leak."""
    prepared = planned(SHOP)
    found = {
        (one.address.version, one.protocol.name, one.port) for one in probes_between(prepared, "shop/web", "shop/db")
    }
    assert found >= {(version, "TCP", port) for version in (4, 6) for port in (5432, 49152)}
    assert {(4, "ICMP", 0), (6, "ICMPV6", 0)} <= found


def test_a_pod_and_itself_once_for_each_family() -> None:
    """It never leaves the pod; more than one probe proves nothing more."""
    itself = probes_between(planned(SHOP), "shop/db", "shop/db")
    assert [one.address.version for one in itself if one.via is Via.POD] == [4, 6]


def test_blocks_are_probed_inside_excepted_and_outside() -> None:
    """From the selected pod all three; from the others what is inside, to show that they are not touched."""
    probes = planned(ALL).plan.probes
    found = {
        (str(one.source), str(one.address), one.port, one.verdict.value)
        for one in probes
        if " 192.168.0.0/16" in one.reason
    }
    web = {(address, port, verdict) for source, address, port, verdict in found if source == "shop/web"}
    assert web == {
        ("192.168.0.1", 443, "Allow"),
        ("192.168.0.1", 49152, "Deny"),
        ("192.168.7.1", 443, "Deny"),
        ("192.168.7.1", 49152, "Deny"),
        ("192.169.0.0", 443, "Deny"),
        ("192.169.0.0", 49152, "Deny"),
    }
    assert {(address, verdict) for source, address, _, verdict in found if source == "shop/db"} == {
        ("192.168.0.1", "Allow")
    }


def test_ingress_blocks_are_probed_from_their_addresses() -> None:
    """The world sends from inside the block, and from beside it."""
    probes = planned(ALL).plan.probes
    found = {
        (str(one.source.address), one.port, one.verdict.value)
        for one in probes
        if str(one.destination) == "shop/db" and "172.30" in one.reason
    }
    assert found == {
        ("172.30.0.1", 5432, "Allow"),
        ("172.30.0.1", 49152, "Deny"),
        ("172.31.0.0", 5432, "Deny"),
        ("172.31.0.0", 49152, "Deny"),
    }


def test_metadata_internet_nodes_and_the_world() -> None:
    """What people ask first: the metadata service, the internet, the node, and who gets in."""
    probes = planned(ALL).plan.probes
    dialled = {str(one.address) for one in probes if str(one.source) == "shop/web"}
    assert {"169.254.169.254", "fd00:ec2::254", "203.0.113.10", "2001:db8::10"} <= dialled
    assert {(str(one.source), str(one.destination)) for one in probes if one.via is Via.NODE} >= {
        ("shop/web", "node n1"),
        ("shop/web", "node n2"),
    }
    assert {str(one.destination) for one in probes if str(one.source) == "192.0.2.1"} == {
        "shop/web",
        "shop/db",
        "kube-system/coredns",
    }
    assert any(str(one.source) == "node n1" and str(one.destination) == "shop/web" for one in probes)


def test_services_and_names() -> None:
    """Every way of naming a destination is a way around a policy that knows only another."""
    probes = [one for one in planned(ALL, Wishes(names=NAMES)).plan.probes if str(one.source) == "shop/web"]
    services = {(one.service, one.port, one.protocol.name) for one in probes if one.via is Via.SERVICE}
    assert services == {
        ("shop/db", 5432, "TCP"),
        ("kube-system/kube-dns", 53, "UDP"),
        ("kube-system/kube-dns", 53, "TCP"),
    }
    names = {(one.lookup.name, one.port) for one in probes if one.lookup is not None}
    assert names == {
        ("db.shop.svc.cluster.local", 5432),
        ("kube-dns.kube-system.svc.cluster.local", 53),
        ("api.example.com", 443),
    }
    assert all(one.verdict is Verdict.DENY for one in probes if one.lookup is not None)


def test_dns_is_spoken_where_dns_listens() -> None:
    """Port 53 of the DNS pod gets a real query, by pod, by Service and by name; nobody else does."""
    probes = planned(ALL).plan.probes
    asked = {(str(one.destination), one.port) for one in probes if one.asks_dns}
    assert asked == {("kube-system/coredns", 53)}
    assert {one.via for one in probes if one.asks_dns} >= {Via.POD, Via.SERVICE, Via.NAME}


def test_without_dns_names_are_left_out_and_that_is_said() -> None:
    """A reader who sees no names must learn why."""
    prepared = planned(SHOP)
    assert [one for one in prepared.plan.probes if one.lookup is not None] == []
    assert any("names are not probed" in note for note in prepared.plan.notes)


def test_a_dns_pod_without_its_service_is_asked_directly() -> None:
    """A folder of manifests often has the pods of kube-system and not its Services."""
    pod_alone = DNS.split("---")[0] + "---\n"
    prepared = planned(pod_alone + SHOP)
    coredns = prepared.snapshot.pod("kube-system", "coredns")
    assert coredns is not None
    lookups = {one.lookup.server for one in prepared.plan.probes if one.lookup is not None}
    assert lookups == set(coredns.addresses)
    assert any(one.lookup is not None and one.service == "shop/db" for one in prepared.plan.probes)


def test_a_service_without_endpoints_is_said() -> None:
    """Nobody can answer there, so silence would prove nothing."""
    empty = "apiVersion: v1\nkind: Service\nmetadata: {name: void, namespace: shop}\n"
    empty += "spec: {selector: {a: b}, ports: [{port: 80}]}\n"
    prepared = planned(SHOP + empty)
    assert [note for note in prepared.plan.notes if "void" in note] == [
        "service shop/void port 80 has no endpoints and is not probed"
    ]
    assert not any(one.service == "shop/void" for one in prepared.plan.probes)


def test_one_family_alone() -> None:
    """--family 6 must not send one IPv4 packet."""
    probes = planned(ALL, Wishes(families=(6,))).plan.probes
    assert {one.address.version for one in probes} == {6}


def test_one_namespace_alone() -> None:
    """-n keeps the flows with an end there, also through Services."""
    probes = planned(ALL, Wishes(namespace="kube-system")).plan.probes
    assert probes != ()
    ends = [(str(one.source), str(one.destination)) for one in probes]
    assert all("kube-system" in source + destination for source, destination in ends)


def test_the_same_input_gives_the_same_plan() -> None:
    """A plan that changes from run to run cannot be compared with the last one."""
    first, second = planned(ALL, Wishes(names=NAMES)), planned(ALL, Wishes(names=NAMES))
    assert first.plan == second.plan
    assert [one.number for one in first.plan.probes] == list(range(len(first.plan.probes)))
