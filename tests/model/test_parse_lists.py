"""What the items of a list leave out is what the list says; how lists are taken apart is in test_parse.py."""

from __future__ import annotations

from outgate.model.parse import parse
from outgate.model.parse_lists import implied_by_list, items_of
from outgate.model.place import Document


def test_what_a_list_says_for_its_items() -> None:
    """Of a typed list the type; the items of kind List speak for themselves."""
    assert implied_by_list("PodList", "v1") == {"apiVersion": "v1", "kind": "Pod"}
    assert implied_by_list("List", "v1") == {}


def test_items_that_are_no_list() -> None:
    """The objects in it would be missed without a word; a kind of somebody's own that ends so has items of any sort."""
    for version, kind in (("v1", "List"), ("v1", "PodList")):
        parsed = parse([Document("x", {"apiVersion": version, "kind": kind, "items": {"a": 1}})])
        assert [(one.path, one.message) for one in parsed.errors] == [("items", "items must be a list, not a mapping")]
    assert parse([Document("x", {"apiVersion": "a.b/v1", "kind": "AllowList", "items": {"a": 1}})]).errors == ()


def test_an_item_says_more_than_its_list() -> None:
    """And a list of policies of the cluster is a list like any other."""
    items = [{"metadata": {"name": "a"}}, {"kind": "Other"}]
    value = {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicyList", "items": items}
    found = [one.value for one in items_of(Document("x", value))]
    assert [one["kind"] for one in found if isinstance(one, dict)] == ["ClusterNetworkPolicy", "Other"]
