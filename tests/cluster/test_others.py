"""Policies that are not read are said, where there are any, and only there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from outgate.cluster.client import Client
from outgate.cluster.others import not_enforced, passed_over, unread_policies
from outgate.testing import snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.cluster.apiserver import ApiServer, Asked, Reply, Shelf, access_to, status

SOME = Reply(body={"items": [{"metadata": {"name": "x"}, "spec": {"anything": 1}}], "metadata": {"continue": "y"}})
NONE = Reply(body={"items": []})


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """One server for all tests of this file."""
    with ApiServer(Shelf([])) as one:
        yield one


def notes(server: ApiServer, groups: object, lists: Mapping[str, Reply]) -> list[str]:
    """What is said of a cluster with these groups and lists."""

    def answer(asked: Asked) -> Reply:
        if asked.path == "/apis":
            return groups if isinstance(groups, Reply) else Reply(body={"kind": "APIGroupList", "groups": groups})
        assert asked.query == {"limit": "1"}
        return lists.get(asked.path, Reply(404, "404 page not found\n"))

    server.answer = answer
    with Client(access_to(server), wait=lambda _: None) as client:
        return list(unread_policies(client))


def group(name: str, *versions: str) -> dict[str, object]:
    """An API group, as discovery prints it."""
    told = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": told, "preferredVersion": told[0]}


def test_policies_of_other_products(server: ApiServer) -> None:
    """Whatever NetworkPolicies allow, these may deny it."""
    groups = [group("apps", "v1"), group("k8s.ovn.org", "v1"), group("crd.projectcalico.org", "v1")]
    found = notes(server, groups, {"/apis/k8s.ovn.org/v1/egressfirewalls": SOME})
    assert found == [
        "cluster:test has egressfirewalls.k8s.ovn.org, which Outgate does not read: they are not part of the answer"
    ]


def test_a_product_without_policies_is_no_news(server: ApiServer) -> None:
    """A note that is always there is read by nobody."""
    path = "/apis/k8s.ovn.org/v1/egressfirewalls"
    assert notes(server, [group("k8s.ovn.org", "v1")], {path: NONE}) == []
    assert notes(server, [group("k8s.ovn.org", "v1")], {}) == []
    assert notes(server, [group("apps", "v1")], {path: SOME}) == []


def test_any_served_version_counts(server: ApiServer) -> None:
    """Each product moves its kinds from version to version."""
    paths = {"/apis/crd.antrea.io/v1alpha1/networkpolicies": SOME}
    (found,) = notes(server, [group("crd.antrea.io", "v1beta1", "v1alpha1")], paths)
    assert "has networkpolicies.crd.antrea.io" in found


def test_a_newer_version_is_not_read(server: ApiServer) -> None:
    """Of the versions that are, nothing is said; a server that has only newer ones has what is not read."""
    served = "policy.networking.k8s.io"
    paths = {f"/apis/{served}/{version}/clusternetworkpolicies": SOME for version in ("v1alpha2", "v1")}
    assert notes(server, [group(served, "v1", "v1alpha2")], paths) == []
    (found,) = notes(server, [group(served, "v1")], paths)
    assert f"has clusternetworkpolicies.{served}" in found


@pytest.mark.parametrize("reply", [status(403, "Forbidden", "no"), status(500, "x", "ill")])
def test_what_is_not_shown_may_be_there(server: ApiServer, reply: Reply) -> None:
    """Silence would be a guess."""
    (found,) = notes(server, [group("k8s.ovn.org", "v1")], {"/apis/k8s.ovn.org/v1/egressfirewalls": reply})
    assert found.startswith("cluster:test may have egressfirewalls.k8s.ovn.org")


@pytest.mark.parametrize("reply", [status(403, "Forbidden", "no"), Reply(body="<html>"), Reply(body='{"groups": 5}')])
def test_a_server_that_does_not_say(server: ApiServer, reply: Reply) -> None:
    """Said too, once."""
    (found,) = notes(server, reply, {})
    assert "does not say which other kinds of policy it has" in found


def test_what_is_read_is_not_said(server: ApiServer) -> None:
    """A kind that is part of the model is listed, and what is in the list is counted."""
    paths = {"/apis/cilium.io/v2/ciliumnetworkpolicies": SOME}
    assert notes(server, [group("cilium.io", "v2")], paths) == []


def test_what_a_rule_asks_for_in_vain_is_said() -> None:
    """By rule, with its place; what is enforced is not mentioned."""
    groups: dict[str, object] = {
        "endpointSelector": {},
        "egress": [{"toEntities": ["world"]}, {"toGroups": [{"aws": {"region": "x"}}]}],
    }
    (said,) = not_enforced(snapshot_of([cilium_policy("shop/a", groups)]))
    assert "spec.egress[1].toGroups[0]: CiliumNetworkPolicy shop/a: groups of aws are not resolved; a rule" in str(said)
    assert list(not_enforced(snapshot_of([]))) == []


def test_what_is_asked_for_in_vain_has_its_path() -> None:
    """One line for each place, in the words of the API server; a key of a selector is named behind the selector's."""
    cluster, port = "k8s:io.cilium.k8s.policy.cluster", {"ports": [{"port": "9092", "protocol": "TCP"}]}
    http = [{"headerMatches": [{"name": "a", "secret": {"namespace": "shop", "name": "s"}}]}]
    rules = [
        {"toPorts": [port, {**port, "rules": {"kafka": [{"role": "produce"}]}}]},
        {"toPorts": [{**port, "rules": {"http": http}}]},
        {"toEndpoints": [{"matchLabels": {cluster: "one"}}]},
        {"toEndpoints": [{}], "authentication": {"mode": "required"}},
    ]
    said = list(not_enforced(snapshot_of([cilium_policy("shop/a", {"endpointSelector": {}, "egress": rules})])))
    assert [(one.path, one.message.partition("shop/a: ")[2].partition(";")[0]) for one in said] == [
        ("spec.egress[0].toPorts[1].rules.kafka", "Kafka is not parsed"),
        ("spec.egress[1].toPorts[0].rules.http[0].headerMatches[0].secret", "values of Secrets are not read"),
        (
            "spec.egress[2].toEndpoints[0]",
            "k8s:io.cilium.k8s.policy.cluster: the clusters of a mesh are not told apart",
        ),
        ("spec.egress[3].authentication", "mutual authentication (mode required) is not done"),
    ]


def test_policies_among_files_are_said() -> None:
    """A folder with a CiliumNetworkPolicy in it is not answered as if it had none; a ConfigMap is nobody's business."""
    skipped = {"cilium.io/v3/CiliumNetworkPolicy": 2, "v1/ConfigMap": 9, "projectcalico.org/v3/NetworkPolicy": 1}
    assert list(passed_over(skipped)) == [
        "2 objects CiliumNetworkPolicy of cilium.io/v3 are not read and not part of the answer",
        "1 NetworkPolicy of projectcalico.org/v3 is not read and not part of the answer",
    ]


def test_what_is_called_as_ours_is_not() -> None:
    """Others have a ClusterNetworkPolicy too; a newer one of the same group is no look-alike."""
    skipped = {
        "networking.k8s.aws/v1alpha1/ClusterNetworkPolicy": 1,
        "crd.antrea.io/v1beta1/ClusterNetworkPolicy": 2,
        "policy.networking.k8s.io/v1beta1/ClusterNetworkPolicy": 1,
        "networking.gke.io/v1alpha3/FQDNNetworkPolicy": 1,
        "cilium.io/v2/CiliumClusterwideNetworkPolicy": 1,
    }
    ours = "this is not the ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2"
    said = list(passed_over(skipped))
    assert len(said) == 5
    assert [one.partition("answer")[2] for one in said] == [f"; {ours}", f"; {ours}", "", "", ""]


def test_a_kind_of_policy_by_its_name_alone() -> None:
    """Of a group that nobody knows: it may be another product's, or ours with a slip in it."""
    (known,) = passed_over({"acme.example/v1/NetworkPolicy": 1, "acme.example/v1/Widget": 3})
    assert known == "1 NetworkPolicy of acme.example/v1 is not read and not part of the answer"
