"""Names and what they mean in a snapshot: exactly one thing, or an error that helps."""

from __future__ import annotations

import ipaddress
import re

import pytest

from outgate.analysis.lookup import (
    AddressTarget,
    BlockTarget,
    Lookup,
    NodeTarget,
    PodsTarget,
    ServiceTarget,
    Target,
    known_namespace,
)
from outgate.analysis.targets import parse
from outgate.errors import UnknownName, UsageError
from outgate.testing import Manifest, pod, service, snapshot_of
from tests.analysis.shop import deployment, owned, shop


def find(text: str, *more: Manifest, namespace: str | None = None, **names: str) -> Target:
    """What a text means in the shop, with more manifests."""
    given = {name.replace("_", "."): (ipaddress.ip_address(one),) for name, one in names.items()}
    return Lookup(snapshot_of([*shop(), *more]), namespace, given).find(parse(text))


def alias(path: str, name: str) -> Manifest:
    """An ExternalName Service."""
    made = service(path, "", [])
    return made | {"spec": {"type": "ExternalName", "externalName": name}}


@pytest.mark.parametrize(
    ("text", "kind", "full", "pods"),
    [
        ("shop/web-1", "Pod", "shop/web-1", ["web-1"]),
        ("web-1", "Pod", "shop/web-1", ["web-1"]),
        ("shop/pod/web-1", "Pod", "shop/web-1", ["web-1"]),
        ("shop/rs/web", "ReplicaSet", "shop/ReplicaSet/web", ["web-1", "web-2"]),
        ("shop/REPLICASETS/web", "ReplicaSet", "shop/ReplicaSet/web", ["web-1", "web-2"]),
        ("rs/web", "ReplicaSet", "shop/ReplicaSet/web", ["web-1", "web-2"]),
        ("shop/web", "ReplicaSet", "shop/ReplicaSet/web", ["web-1", "web-2"]),
        ("web", "ReplicaSet", "shop/ReplicaSet/web", ["web-1", "web-2"]),
        ("shop/deploy/planned", "Deployment", "shop/Deployment/planned", ["planned"]),
        ("shop/planned", "Deployment", "shop/Deployment/planned", ["planned"]),
    ],
)
def test_pods_and_workloads(text: str, kind: str, full: str, pods: list[str]) -> None:
    """A workload stands for all of its pods and for no other; a template without pods stands for the one it makes."""
    target = find(text)
    assert isinstance(target, PodsTarget)
    assert (target.kind, str(target), [one.name for one in target.pods]) == (kind, full, pods)


def test_addresses_and_nodes() -> None:
    """What needs no name is taken as it is, whether or not anybody has it."""
    assert find("198.51.100.7") == AddressTarget((ipaddress.ip_address("198.51.100.7"),))
    assert find("10.0.0.0/8") == BlockTarget(ipaddress.ip_network("10.0.0.0/8"))
    node = find("node/node-a")
    assert isinstance(node, NodeTarget)
    assert [str(one) for one in node.node.addresses] == ["192.168.50.11"]


@pytest.mark.parametrize(
    "text",
    [
        *("svc/data/db", "svc/db", "data/svc/db", "db.data.svc.cluster.local", "db.data.svc.cluster.local."),
        *("DB.data.svc", "db.data"),
    ],
)
def test_ways_to_name_a_service(text: str) -> None:
    """A client in the cluster may use any of these names, and all of them are the same Service."""
    target = find(text)
    assert isinstance(target, ServiceTarget)
    assert str(target) == "svc/data/db"


def test_names_of_pods_behind_a_headless_service() -> None:
    """A StatefulSet's pods are known by these names, each of which is one pod and not the whole Service."""
    first = pod("data/pg-0", ["10.1.1.30"], app="pg") | {}
    first["spec"] |= {"hostname": "pg-0", "subdomain": "pg"}
    more = [first, service("data/pg", "None", [{"port": 5432}], app="pg")]
    target = find("pg-0.pg.data.svc.cluster.local", *more)
    assert isinstance(target, PodsTarget)
    assert str(target) == "data/pg-0"
    assert str(find("10-1-1-30.data.pod.cluster.local", *more)) == "data/pg-0"
    with pytest.raises(UnknownName):
        find("pg-1.pg.data.svc.cluster.local", *more)


def test_given_names_come_first_and_behind_external_names() -> None:
    """What the user says about a name wins; an ExternalName is only a name for another name."""
    address = ipaddress.ip_address("203.0.113.10")
    assert find("api.example", api_example="203.0.113.10") == AddressTarget((address,), "api.example")
    assert find("API.example.", api_example="203.0.113.10") == AddressTarget((address,), "api.example")
    behind = alias("shop/payments", "api.example")
    asked = AddressTarget((address,), "payments.shop.svc.cluster.local", "api.example")
    for text in ("payments.shop.svc", "payments.shop", "Payments.Shop.Svc.Cluster.Local.", "svc/payments"):
        assert find(text, behind, api_example="203.0.113.10") == asked
    twice = find("svc/shop/first", behind, alias("shop/first", "payments.shop.svc"), api_example="203.0.113.10")
    assert twice == AddressTarget((address,), "first.shop.svc.cluster.local", "api.example")
    far = find("far.shop.svc", alias("shop/far", "db.data.svc.cluster.local"))
    assert isinstance(far, ServiceTarget)
    assert (str(far), far.name) == ("svc/data/db", "far.shop.svc.cluster.local")


def test_aliases_in_a_circle_end() -> None:
    """Two ExternalNames that point at each other must not be followed for ever."""
    circle = [alias("shop/a", "b.shop.svc"), alias("shop/b", "a.shop.svc")]
    with pytest.raises(UnknownName, match="alias of itself"):
        find("a.shop.svc", *circle)


def test_unknown_names_say_what_is_near() -> None:
    """A mistyped name without advice costs a search through the manifests."""
    for text, near in (
        ("shop/web-3", "shop/web-"),
        ("data/web-1", "shop/web-1"),
        ("svc/data/bd", "svc/data/db"),
        ("node/node-c", "node-"),
        ("db.data.scv", "db.data.svc"),
    ):
        with pytest.raises(UnknownName) as caught:
            find(text)
        assert near in caught.value.hint, text


def test_names_that_cannot_be_resolved_say_how() -> None:
    """A name outside the cluster is never guessed, and the reader learns how to give it."""
    with pytest.raises(UnknownName, match=r"give --dns-name example\.com=ADDRESS"):
        find("example.com")
    with pytest.raises(UnknownName, match=r"give --dns-name api\.example=ADDRESS"):
        find("svc/payments", alias("shop/payments", "api.example"))


def test_a_service_that_is_taken_for_a_pod_is_named() -> None:
    """Users write what a client dials; that Services are written svc/ they learn here."""
    with pytest.raises(UnknownName) as caught:
        find("shop/cart", service("shop/cart", "10.96.0.77", [{"port": 80}], app="cart"))
    assert "svc/shop/cart" in caught.value.hint


def test_a_bare_word_that_nothing_has_is_not_called_a_dns_name() -> None:
    """Most such words are pods that are misspelt; --dns-name would be the wrong way out."""
    with pytest.raises(UnknownName, match="no pod, workload or Service payments in the input") as caught:
        find("payments")
    assert "--dns-name" not in str(caught.value)
    with pytest.raises(UnknownName, match="no pod, workload or Service db in namespace shop") as caught:
        find("db", namespace="shop")
    assert "data/db" in caught.value.hint


def test_a_bare_name_that_several_have_is_refused() -> None:
    """Picking one of two databases would answer for the wrong one half of the time."""
    twin = pod("shop/db", ["10.1.0.50"])
    with pytest.raises(UsageError, match="data/pod/db, shop/pod/db"):
        find("db", twin)
    assert str(find("db", twin, namespace="shop")) == "shop/db"
    assert str(find("db", twin, namespace="data")) == "data/db"
    with pytest.raises(UnknownName):
        find("lone", namespace="shop")


def test_a_pod_is_preferred_to_a_workload_of_its_name() -> None:
    """`shop/x` is a pod in every other tool."""
    more = [pod("shop/x", ["10.1.0.60"]), owned(pod("shop/x-abc", ["10.1.0.61"]), "ReplicaSet", "x")]
    assert str(find("shop/x", *more)) == "shop/x"
    assert str(find("x", *more)) == "shop/x"
    assert str(find("shop/rs/x", *more)) == "shop/ReplicaSet/x"


def test_two_workloads_of_one_name_are_refused() -> None:
    """Without the kind nobody can say which is meant."""
    more = [owned(pod("shop/planned-xyz", ["10.1.0.70"]), "Job", "planned")]
    with pytest.raises(UsageError, match="could be any of"):
        find("shop/planned", *more)
    assert str(find("shop/job/planned", *more)) == "shop/Job/planned"


def test_finished_pods_are_no_ends() -> None:
    """The address of a finished pod may be somebody else's by now."""
    with pytest.raises(UnknownName, match="has finished"):
        find("data/done")


def test_a_replicaset_is_not_its_brother() -> None:
    """Two ReplicaSets of one Deployment have different pods, though the snapshot counts all to the Deployment."""

    def replicas(digest: str) -> Manifest:
        made = deployment(f"shop/site-{digest}", app="site", **{"pod-template-hash": digest})
        metadata = made["metadata"] | {
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "site", "uid": "x", "controller": True}
            ]
        }
        return made | {"kind": "ReplicaSet", "metadata": metadata}

    def member(digest: str, last: int) -> Manifest:
        labels = {"app": "site", "pod-template-hash": digest}
        return owned(pod(f"shop/site-{digest}-x", [f"10.1.0.{last}"], labels=labels), "ReplicaSet", f"site-{digest}")

    more = [deployment("shop/site", app="site"), replicas("old"), replicas("new"), member("old", 80), member("new", 81)]
    target = find("shop/rs/site-new", *more)
    whole = find("shop/deploy/site", *more)
    assert isinstance(target, PodsTarget)
    assert isinstance(whole, PodsTarget)
    assert [one.name for one in target.pods] == ["site-new-x"]
    assert [one.name for one in whole.pods] == ["site-new-x", "site-old-x"]


def test_a_part_of_a_workload() -> None:
    """By the labels that tell pods apart, or by name where only addresses do; and never the whole by mistake."""
    more = [
        owned(pod(f"shop/api-{n}", [f"10.1.0.9{n}"], app="api", version=f"v{n}"), "ReplicaSet", "api") for n in (1, 2)
    ]

    def names(text: str) -> list[str]:
        target = find(text, *more)
        assert isinstance(target, PodsTarget)
        assert str(target).startswith("shop/ReplicaSet/api[")
        return [one.name for one in target.pods]

    assert names("shop/ReplicaSet/api[version=v2]") == ["api-2"]
    assert names("api[app=api,version=v1]") == ["api-1"]
    assert names("shop/api[app=api]") == names("shop/api[api-1, api-2]") == ["api-1", "api-2"]
    with pytest.raises(UnknownName, match="no pod of shop/ReplicaSet/api has version=v3") as caught:
        find("api[version=v3]", *more)
    assert caught.value.hint == "they have version=v1, version=v2"
    with pytest.raises(UnknownName, match="no pod of shop/ReplicaSet/api is called api-3") as caught:
        find("api[api-3]", *more)
    assert "api-2" in caught.value.hint
    with pytest.raises(UsageError, match="has no pods to choose among"):
        find("svc/data/db[a=b]")


def test_a_kind_is_as_good_as_none_for_what_is_near() -> None:
    """`shop/planed` is one letter from the Deployment, and its kind is not a part of its name."""
    for text in ("shop/planed", "shop/deploy/planed"):
        with pytest.raises(UnknownName) as caught:
            find(text)
        assert caught.value.hint == "did you mean shop/Deployment/planned?"


def test_a_namespace_must_be_somewhere() -> None:
    """In one of the inputs; what is only mentioned by a pod is there, too."""
    one, two = snapshot_of([pod("shop/a")]), snapshot_of([pod("data/b")])
    known_namespace("shop", one)
    known_namespace("shop", two, one)
    with pytest.raises(UnknownName, match="namespace shpo is not in the input") as caught:
        known_namespace("shpo", two, one)
    assert caught.value.hint == "did you mean shop?"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("*.example.com", "a pattern stands for many names"),
        ("bücher.example.com", "DNS has this name in ASCII alone, as xn--bcher-kva.example.com"),
        ("api..example.com", "this is no name of DNS"),
    ],
)
def test_what_no_program_could_ask_for_is_not_taken_for_a_missing_name(name: str, why: str) -> None:
    """The advice to give its address would lead to the next error."""
    with pytest.raises(UnknownName, match=f"^{re.escape(name)}: {re.escape(why)}"):
        Lookup(snapshot_of([]), None, {}).find(parse(name))
