"""Names that lead into the cluster, or through it: headless Services, ExternalName Services, and a node's DNS proxy."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from outgate.analysis.lookup import AddressTarget, Lookup
from outgate.analysis.reach import reach
from outgate.analysis.reachability import Question
from outgate.analysis.targets import TransportAsked, parse
from outgate.model import Learned
from outgate.policy import Judge, Policies
from outgate.policy.names import Dialect
from outgate.proxy.admission import Admission
from outgate.testing import Manifest, namespace, pod, policy, service, snapshot_of
from outgate.testing_cilium import cilium_policy
from outgate.testing_policies import cluster_policy
from tests.analysis.test_reach_name import ANYONE, API, ask, shop


def alias(path: str, name: str) -> Manifest:
    """An ExternalName Service."""
    return service(path, "", []) | {"spec": {"type": "ExternalName", "externalName": name}}


def test_rules_are_about_the_name_that_is_asked_for_and_not_about_the_one_behind_it() -> None:
    """What a pod asks for is the name of the ExternalName Service; the DNS proxy opens for that name alone."""
    partner = alias("shop/partner", "api.example.com")
    for end in ("svc/shop/partner", "partner.shop.svc.cluster.local"):
        answer = ask(shop(API, more=[partner]), end)
        assert not answer.verdict.allows
        assert any("are not about partner.shop.svc.cluster.local" in one for one in answer.notes)
    named = {"toFQDNs": [{"matchPattern": "partner.*.svc.cluster.local"}]}
    assert ask(shop(named, more=[partner]), "svc/shop/partner").verdict.allows
    assert not ask(shop(named, more=[partner]), "api.example.com").verdict.allows


HEADLESS = [
    pod("shop/pg-0", ["10.0.0.2", "fd00::2"], app="pg"),
    service("shop/pg", "None", [{"port": 5432}], app="pg"),
]


def names_of(*names: str) -> Manifest:
    """Names, and no pod but by them."""
    to_names = {"action": "Accept", "to": [{"domainNames": list(names)}]}
    return cluster_policy("names", egress=[to_names, {"action": "Deny", "to": ANYONE}])


@pytest.mark.parametrize(
    ("name", "end", "allowed"),
    [
        ("pg.shop.svc.cluster.local", "svc/shop/pg", True),
        ("pg.shop.svc.cluster.local", "pg.shop.svc", True),
        ("pg.shop.svc.cluster.local", "shop/pg-0", False),
        ("*.shop.svc.cluster.local", "pg-0.pg.shop.svc.cluster.local", True),
        ("*.pg.shop.svc.cluster.local", "pg.shop.svc.cluster.local", False),
        ("api.example.com", "svc/shop/pg", False),
    ],
)
def test_names_of_headless_services_open_their_pods(name: str, end: str, allowed: bool) -> None:
    """NPEP-133 has them work; in Cilium's rules no name leads to a pod."""
    snapshot = snapshot_of([namespace("shop"), pod("shop/web", ["10.0.0.1", "fd00::1"]), *HEADLESS, names_of(name)])
    assert ask(snapshot, end, port=5432).verdict.allows is allowed
    texts = {"toFQDNs": [{"matchPattern": name.replace("*.", "**.")}]}
    answer = ask(shop(texts, more=HEADLESS), end, port=5432)
    assert not answer.verdict.allows
    assert bool(answer.notes) is allowed, "and it is said why the rule opens nothing"


def test_the_name_of_a_service_with_an_address_opens_nothing() -> None:
    """What it leads to is translated before a policy sees it."""
    town = [namespace("shop"), pod("shop/web", ["10.0.0.1"]), pod("shop/pg-0", ["10.0.0.2"], app="pg")]
    snapshot = snapshot_of(
        [*town, service("shop/pg", "10.96.0.9", [{"port": 5432}], app="pg"), names_of("*.svc.cluster.local")]
    )
    assert not ask(snapshot, "svc/shop/pg", port=5432).verdict.allows
    assert not ask(snapshot, "pg.shop.svc", port=5432).verdict.allows


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("name", ["db.shop.svc.cluster.local", "api.example.com", "x.evilcluster.local"])
@pytest.mark.parametrize("leads_to", ["10.0.0.2", "192.168.0.1", "203.0.113.9", "169.254.169.254", "fd00::2"])
def test_as_the_proxy_admits(dialect: Dialect, name: str, leads_to: str) -> None:
    """What is said to be open is what the DNS proxy of a node opens."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
    node["status"] = {"addresses": [{"type": "InternalIP", "address": "192.168.0.1"}]}
    town = [namespace("shop"), pod("shop/web", ["10.0.0.1", "fd00::1"]), *HEADLESS, node]
    spec = {"endpointSelector": {}, "egress": [{"toFQDNs": [{"matchName": name}]}]}
    rule = cilium_policy("shop/p", spec) if dialect is Dialect.CILIUM else names_of(name)
    address = ipaddress.ip_address(leads_to)
    told = Learned(("shop", "web"), name, (address,))
    snapshot = dataclasses.replace(snapshot_of([*town, rule]), learned=(told,))
    question = Question(Lookup(snapshot).find(parse("shop/web")), AddressTarget((address,)), TransportAsked(443, None))
    admission = Admission(cluster=["10.0.0.0/24", "fd00::/64"], nodes=["192.168.0.1"])
    assert reach(Judge(Policies(snapshot)), question).verdict.allows is admission.admits(address.packed, name, dialect)


@pytest.mark.parametrize("end", ["203.0.113.9", "2001:db8::9", "shop/api", "svc/shop/api"])
@pytest.mark.parametrize("port", [443, None])
def test_what_has_no_name_was_not_asked_for(end: str, port: int | None) -> None:
    """`*` matches the empty word, too: each address was taken for one that the pod had been told of, and passed."""
    others = [
        pod("shop/api", ["10.0.0.3", "fd00::3"], app="api"),
        service("shop/api", "10.96.0.1", [{"port": 443}], app="api"),
    ]
    answer = ask(shop({"toFQDNs": [{"matchPattern": "*"}]}, more=others), end, port)
    assert not answer.verdict.allows


@pytest.mark.parametrize(("end", "said"), [("api.shop.svc.cluster.local:80", True), ("svc/shop/api:80", False)])
def test_a_service_by_a_name_that_may_not_be_asked_for(end: str, said: bool) -> None:
    """The answer is about the packets, which pass; who asks for the name hears that no pod could have."""
    snapshot = snapshot_of(
        [
            namespace("shop"),
            pod("shop/web", ["10.0.0.1"], app="web"),
            pod("shop/api", ["10.0.0.2"], app="api"),
            service("shop/api", "10.96.0.2", [{"port": 80}], app="api"),
            pod("kube-system/dns", ["10.0.0.53"], labels={"k8s-app": "kube-dns"}),
            service("kube-system/kube-dns", "10.96.0.10", [{"port": 53, "protocol": "UDP"}], **{"k8s-app": "kube-dns"}),
            policy("shop/p", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 80}]}]}),
        ]
    )
    lookup = Lookup(snapshot, "shop")
    asked = parse(end.rpartition(":")[0])
    answer = reach(
        Judge(Policies(snapshot)), Question(lookup.find(parse("web")), lookup.find(asked), TransportAsked(80, 6))
    )
    assert answer.verdict.allows
    words = "shop/web may not ask any DNS server for api.shop.svc.cluster.local: it reaches that by its address alone"
    assert (words in answer.notes) is said
