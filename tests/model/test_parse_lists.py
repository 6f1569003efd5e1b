"""What the items of a list leave out is what the list says; how lists are taken apart is in test_parse.py."""

from __future__ import annotations

from outgate.model.parse_lists import implied_by_list, items_of
from outgate.model.place import Document


def test_what_a_list_says_for_its_items() -> None:
    """Of a typed list the type; the items of kind List speak for themselves."""
    assert implied_by_list("PodList", "v1") == {"apiVersion": "v1", "kind": "Pod"}
    assert implied_by_list("List", "v1") == {}


def test_an_item_says_more_than_its_list() -> None:
    """And a list of policies of the cluster is a list like any other."""
    items = [{"metadata": {"name": "a"}}, {"kind": "Other"}]
    value = {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicyList", "items": items}
    found = [one.value for one in items_of(Document("x", value))]
    assert [one["kind"] for one in found if isinstance(one, dict)] == ["ClusterNetworkPolicy", "Other"]
