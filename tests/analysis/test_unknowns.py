"""What the input lacks: each kind of gap is said, and nothing where there is none."""

from __future__ import annotations

from outgate.analysis.connections import connections
from outgate.analysis.unknowns import unknowns
from outgate.testing import Manifest, ingress, namespace, pod, policy, service, snapshot_of


def said(*cluster: Manifest) -> list[str]:
    """The sentences about a cluster."""
    return list(unknowns(connections(snapshot_of(cluster))))


def select(**labels: str) -> Manifest:
    """A policy that lets in namespaces with these labels."""
    spaces = {"matchLabels": {key.replace("_", "/"): value for key, value in labels.items()}}
    return policy("a/p", {"ingress": [{"from": [{"namespaceSelector": spaces}]}]})


def by_name(name: str) -> Manifest:
    """A policy that lets in one namespace."""
    spaces = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    return policy("a/p", {"ingress": [{"from": [{"namespaceSelector": spaces}]}]})


def test_labels_that_nobody_knows() -> None:
    """Only where a rule reads them: a name alone is known, for the server sets it."""
    words = ["namespace b is not in the input: its labels are not known, and a/p ingress[0] look at labels"]
    assert said(namespace("a"), pod("a/x"), pod("b/x"), select(team="red")) == words
    assert said(namespace("a"), namespace("b"), pod("b/x"), select(team="red")) == []
    assert said(pod("a/x"), pod("b/x"), by_name("b")) == []


def test_a_namespace_that_is_selected_and_missing() -> None:
    """Half a folder was given, or the name is misspelt: either way nothing is allowed by that rule."""
    assert said(pod("a/x"), by_name("monitoring")) == [
        "nothing in the input is in namespace monitoring, which a/p ingress[0] select by name"
    ]
    assert said(pod("a/x"), by_name("monitoring"), namespace("monitoring")) == []


def test_ingresses() -> None:
    """A Service that is missing, and a workload that lets in nobody unknown."""
    web = pod("a/web", ["10.0.0.1"], app="web")
    shop = service("a/web", "10.96.0.1", [{"port": 80}], app="web")
    assert said(web, ingress("a/i", ("web", 80))) == ["Ingress a/i leads to Service web, which is not in the input"]
    assert said(web, shop, ingress("a/i", ("web", 80))) == []
    (words,) = said(web, shop, ingress("a/i", ("web", 80)), policy("a/p", {}))
    assert words.startswith("an Ingress leads to a/web, whose policies let in nobody that is not selected")


def test_pods_without_an_address_and_blocks_with_exceptions() -> None:
    """10.0.0.0/8 is where pods are: that one which has no address yet is outside of it is a guess, and said."""

    def block(cidr: str, *holes: str) -> Manifest:
        return policy("a/p", {"ingress": [{"from": [{"ipBlock": {"cidr": cidr, "except": list(holes)}}]}]})

    words = ["pods without an address in the input (a/y) are taken to be in the blocks of a/p ingress[0]"]
    assert said(pod("a/x", ["10.0.0.1"]), pod("a/y"), block("0.0.0.0/0", "10.0.0.0/8")) == words
    assert said(pod("a/x", ["10.0.0.1"]), block("0.0.0.0/0", "10.0.0.0/8")) == []
    assert said(pod("a/y"), block("0.0.0.0/0")) == []
    assert said(pod("a/y"), block("10.0.0.0/8")) == []


def test_many_rules_are_counted() -> None:
    """A sentence with forty names in it is not read."""
    rules = [select(team="red") | {"metadata": {"name": f"p{i}", "namespace": "a"}} for i in range(5)]
    (words,) = said(pod("b/x"), *rules)
    assert words.endswith("and a/p0 ingress[0], a/p1 ingress[0], a/p2 ingress[0] and 2 more look at labels")
