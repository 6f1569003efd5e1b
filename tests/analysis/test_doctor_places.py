"""DNS, metadata and default denies, from the same answers as everything else."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.analysis.doctor_facts import Line, Mark
from outgate.analysis.doctor_places import (
    SYSTEM_NAMESPACES,
    Coverage,
    Dns,
    cover,
    cover_line,
    dns_line,
    find_dns,
    metadata,
    metadata_line,
)
from outgate.analysis.exposure import exposure
from outgate.testing import Manifest, namespace, pod, policy, service
from tests.analysis.clinic import facts_of
from tests.analysis.shop import owned

PORTS: list[dict[str, Any]] = [
    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
    {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
]
SERVED = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]


def resolver(name: str, *, ready: bool = True, space: str = "kube-system", **more: Any) -> Manifest:
    """A pod of the cluster's DNS."""
    one = pod(f"{space}/{name}", [f"10.1.0.{len(name)}"], ports=PORTS, labels={"k8s-app": "kube-dns"}, **more)
    one["status"]["conditions"] = [{"type": "Ready", "status": "True" if ready else "False"}]
    return one


DNS = service("kube-system/kube-dns", "10.96.0.10", SERVED, **{"k8s-app": "kube-dns"})
OPENSHIFT = service(
    "openshift-dns/dns-default",
    "172.30.0.10",
    [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 5353}],
    app="dns",
)


def asked(*manifests: Manifest) -> tuple[Line, Dns]:
    """What is said of the DNS of these objects."""
    facts = facts_of(manifests, asked="-f x")
    report = exposure(facts.snapshot)
    dns = find_dns(facts.snapshot, report)
    return dns_line(facts, report, dns), dns


def test_dns_that_is_well() -> None:
    """Its Service, its pods and the ports at which policies are judged."""
    line, dns = asked(DNS, resolver("a"), resolver("bb"))
    assert line.mark is Mark.OK
    assert line.words == (
        "2 of 2 pods ready (kube-system/a, kube-system/bb); policies have to allow TCP 53, UDP 53 of the pods"
    )
    assert line.details == ("Service kube-system/kube-dns at 10.96.0.10, UDP 53, TCP 53",)
    assert (dns.ready, dns.ports, dns.node_cache) == (2, ("TCP 53", "UDP 53"), False)


def test_dns_behind_another_port() -> None:
    """As on OpenShift: the port that is dialled is not the one that policies see."""
    one = pod("openshift-dns/dns-default-x", ["10.1.0.1"], labels={"app": "dns"})
    line, dns = asked(OPENSHIFT, one)
    assert (line.mark, dns.ports) == (Mark.OK, ("UDP 5353",))
    assert "is not the 53 that is dialled" in line.details[1]


def test_dns_that_is_not_well() -> None:
    """One pod of two is a warning, none is an outage."""
    line, dns = asked(DNS, resolver("a"), resolver("bb", ready=False))
    assert (line.mark, dns.ready, len(dns.pods)) == (Mark.ATTENTION, 1, 2)
    assert line.next_steps == ("kubectl -n kube-system get pods,endpointslices",)
    line, dns = asked(DNS, resolver("a", ready=False))
    assert (line.mark, line.words) == (
        Mark.WRONG,
        "none of 1 pod of the cluster's DNS is ready: no name is resolved",
    )


def test_dns_of_which_little_is_known() -> None:
    """A Service without pods, pods without a Service, and neither."""
    line, _ = asked(DNS)
    assert (line.mark, line.words) == (
        Mark.UNKNOWN,
        "the Service of the cluster's DNS is in the input, and no pod behind it",
    )
    line, dns = asked(resolver("a"))
    assert (line.mark, dns.services) == (Mark.OK, ())
    line, dns = asked(pod("shop/web", ["10.1.0.9"]))
    assert (line.mark, dns.pods) == (Mark.UNKNOWN, ())
    assert line.next_steps


def test_the_cache_of_nodes() -> None:
    """It answers at an address of the link, where no selector helps."""
    cache = pod("kube-system/node-local-dns-x", [], on="a", host_network=True, labels={"k8s-app": "node-local-dns"})
    line, dns = asked(DNS, resolver("a"), cache)
    assert (line.mark, dns.node_cache, dns.ports) == (Mark.ATTENTION, True, ("TCP 53", "UDP 53"))
    assert "169.254.20.10" in line.details[-1]
    assert line.next_steps == ("outgate lint -f x --select dns-link-local-unmatched",)


def held(space: str, *types: str) -> Manifest:
    """A policy that isolates all of a namespace and allows nothing."""
    return policy(f"{space}/deny", {"podSelector": {}, "policyTypes": list(types)})


def test_metadata_addresses() -> None:
    """How many reach one; a host-network pod reaches what its node reaches, and is not counted."""
    host = pod("shop/agent", ["192.168.0.1"], host_network=True)
    manifests = [pod("shop/web", ["10.1.0.1"]), pod("data/db", ["10.1.0.2"]), host]
    facts = facts_of([*manifests, held("data", "Egress")], asked="-f x")
    report = exposure(facts.snapshot)
    total, counted = metadata(report)
    assert (total, counted["169.254.169.254"]) == (1, 1)
    line = metadata_line(facts, report)
    assert (line.mark, line.words.startswith("1 of 2 workloads reach")) == (Mark.ATTENTION, True)
    facts = facts_of([*manifests, held("data", "Egress"), held("shop", "Egress")])
    line = metadata_line(facts, exposure(facts.snapshot))
    assert (line.mark, line.words) == (Mark.OK, "none of 2 workloads reaches a metadata address of a cloud")
    facts = facts_of([host])
    assert metadata_line(facts, exposure(facts.snapshot)).mark is Mark.UNKNOWN


@pytest.mark.parametrize(("isolated", "total", "words"), [(0, 3, "none"), (1, 3, "some"), (3, 3, "all")])
def test_coverage_in_a_word(isolated: int, total: int, words: str) -> None:
    """Of those that are there."""
    assert str(Coverage(isolated, total)) == words


def covered(*manifests: Manifest) -> tuple[Line, dict[str, tuple[str, str]]]:
    """The line on default denies, and what was counted."""
    facts = facts_of(manifests, asked="-f x")
    covers = cover(exposure(facts.snapshot))
    return cover_line(facts, covers), {one.name: (str(one.egress), str(one.ingress)) for one in covers}


def test_default_denies() -> None:
    """By namespace and by direction, from what isolates and not from what policies are called."""
    some = policy("half/some", {"podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Ingress"]})
    line, found = covered(
        namespace("void"),
        *(pod(f"{space}/{app}", [], app=app) for space in ("bare", "full", "half") for app in ("a", "b")),
        pod("bare/agent", ["192.168.0.1"], host_network=True),
        pod("kube-system/x", []),
        held("full", "Egress", "Ingress"),
        some,
        held("void", "Egress"),
    )
    assert found == {
        "bare": ("none", "none"),
        "full": ("all", "all"),
        "half": ("none", "some"),
        "kube-system": ("none", "none"),
    }
    assert line.mark is Mark.ATTENTION
    assert line.words == (
        "egress: every workload is isolated in 1 of 3 namespaces; "
        "ingress: every workload is isolated in 1 of 3 namespaces"
    )
    assert line.details == ("egress none: bare, half", "ingress none: bare", "ingress some: half (1 of 2)")
    assert line.next_steps == ("outgate lint -f x --select no-default-deny", "outgate exposure -f x -n bare")


def test_all_is_denied() -> None:
    """And nothing need be done."""
    line, _ = covered(pod("full/a", []), held("full", "Egress", "Ingress"), pod("kube-system/x", []))
    assert (line.mark, line.details, line.next_steps) == (Mark.OK, (), ())


def test_a_workload_is_isolated_if_all_its_pods_are() -> None:
    """One version of it that no policy selects is a way out."""
    pods = [owned(pod(f"shop/web-{v}", [], v=v), "StatefulSet", "web") for v in ("one", "two")]
    one = policy("shop/p", {"podSelector": {"matchLabels": {"v": "one"}}, "policyTypes": ["Egress"]})
    _, found = covered(*pods, one)
    assert found == {"shop": ("none", "none")}


def test_nobody_is_there() -> None:
    """Of the cluster's own namespaces no default deny is expected."""
    line, _ = covered(*(pod(f"{space}/x", []) for space in SYSTEM_NAMESPACES))
    assert line.mark is Mark.UNKNOWN
