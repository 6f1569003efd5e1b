"""A watch means what a list of files means: for the same JSON the same object, and for nonsense the same words."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster import watch_decode as module
from outgate.cluster.watch_decode import KINDS, Found, Reader, read_line, read_mark, read_page
from outgate.model import (
    NOWHERE,
    ClusterPolicy,
    EndpointSlice,
    Namespace,
    NetworkPolicy,
    Node,
    Pod,
    Service,
    Snapshot,
    UnknownPeer,
)
from outgate.model.cilium import CidrGroup, CiliumObject, CiliumPolicy
from outgate.model.cilium_kinds import CILIUM_POLICIES, CLUSTERWIDE, GROUP
from outgate.model.objects import Direction
from outgate.model.parse import Parsed, parse
from outgate.model.place import Document
from outgate.testing import cluster_policy
from outgate.testing_cilium import cidr_group, cilium_policy
from tests.cluster.test_closed import POLICY
from tests.model.test_parse_pods import POD
from tests.model.test_validate_cluster_policy import old

Manifest = dict[str, Any]

OBJECTS: dict[str, Manifest] = {
    "Pod": POD,
    "NetworkPolicy": POLICY,
    "Namespace": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}}},
    "Node": {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node-1", "labels": {"zone": "a"}, "annotations": {"k3s.io/node-args": '["server"]'}},
        "spec": {"podCIDRs": ["10.1.0.0/24", "fd00::/64"], "podCIDR": "10.1.0.0/24"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}, {"type": "Hostname", "address": "node-1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.2", "kernelVersion": "6.1", "operatingSystem": "linux"},
            "images": [{"names": ["a"], "sizeBytes": 5}],
        },
    },
    "Service": {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.2.0.1",
            "clusterIPs": ["10.2.0.1", "fd00:2::1"],
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "nodePort": 30080}],
            "externalIPs": ["192.0.2.9"],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}]}},
    },
    "EndpointSlice": {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": ["10.1.0.1"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "shop"},
                "nodeName": "node-1",
            }
        ],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    },
}
OBJECTS |= {
    "ClusterNetworkPolicy": cluster_policy(
        "p",
        subject={"pods": {"podSelector": {"matchLabels": {"app": "web"}}, "namespaceSelector": {}}},
        egress=[
            {"action": "Accept", "name": "r", "to": [{"namespaces": {}}, {"nodes": {"matchLabels": {"zone": "a"}}}]},
            {"action": "Pass", "to": [{"domainNames": ["a.b"]}], "protocols": [{"destinationNamedPort": "http"}]},
            {"action": "Deny", "to": [{"networks": ["10.0.0.0/8"]}],
             "protocols": [{"udp": {"destinationPort": {"range": {"start": 1, "end": 9}}}}]},
        ],
        ingress=[{"action": "Deny", "from": [{"namespaces": {}}]}],
    ),
    "AdminNetworkPolicy": old(rule={"ports": [{"portNumber": {"port": 53, "protocol": "UDP"}}], "action": "Allow"}),
    "BaselineAdminNetworkPolicy": old("BaselineAdminNetworkPolicy", "default", rule={"name": "r"}),
    "CiliumNetworkPolicy": cilium_policy("shop/p", {
        "endpointSelector": {"matchLabels": {"app": "web"}},
        "egress": [{"toEndpoints": [{}], "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}],
        "egressDeny": [{"toCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}]}],
    }),
    "CiliumClusterwideNetworkPolicy": cilium_policy(
        "p", {"endpointSelector": {}, "ingress": [{"fromEntities": ["all"]}]}
    ),
    "CiliumCIDRGroup": cidr_group("g", "203.0.113.0/24", team="a"),
}  # fmt: skip
CUSTOM = ("ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy")
CLASSES = {
    **dict.fromkeys(CUSTOM, "ClusterPolicy"),
    **dict.fromkeys(CILIUM_POLICIES, "CiliumObject"),
    GROUP: "CidrGroup",
}
HELD = {"uid": "1-2-3", "resourceVersion": "7", "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:spec": {}}}]}


def held(value: Manifest) -> Manifest:
    """An object as a server holds it."""
    metadata = value.get("metadata")
    return {**value, "metadata": {**metadata, **HELD}} if isinstance(metadata, dict) else value


def objects_of(snapshot: Snapshot) -> list[CiliumObject]:
    """The objects that policies of Cilium's stand in."""
    whole: dict[tuple[str, str, str, str], list[CiliumPolicy]] = {}
    for one in snapshot.cilium_policies:
        whole.setdefault((one.kind, one.namespace, one.name, one.uid), []).append(one)
    return [CiliumObject(*key[:3], tuple(policies), key[3]) for key, policies in whole.items()]


def parsed_alone(value: Manifest, kind: str) -> tuple[object, Parsed]:
    """What parsing the same object gives, without what only a whole input is given: stand-ins and namespaces."""
    parsed = parse([Document("x", copy.deepcopy(value), stored=True)])
    snapshot = parsed.snapshot
    many: dict[str, list[Any]] = {
        "Pod": [one if one.addressed else dataclasses.replace(one, addresses=(), addressed=True)
                for one in snapshot.pods],
        "NetworkPolicy": list(snapshot.policies),
        "Namespace": [one for one in snapshot.namespaces.values() if one.declared],
        "Node": list(snapshot.nodes.values()),
        "Service": list(snapshot.services),
        "EndpointSlice": list(snapshot.slices),
        **{one: list(snapshot.cluster_policies) for one in CUSTOM},
        **{one: objects_of(snapshot) for one in CILIUM_POLICIES},
        GROUP: list(snapshot.cidr_groups),
    }  # fmt: skip
    return next(iter(many[kind]), None), parsed


def read(value: Manifest) -> Found:
    """What a watch makes of an object."""
    return Reader(KINDS[value["kind"]], "cluster:test").read(json.dumps(value).encode())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read(kind: str) -> None:
    """As a watch sends it, and as a list does, which leaves out what all its items are."""
    value = held(OBJECTS[kind])
    found = read(value)
    expected, _ = parsed_alone(value, kind)
    assert type(found.value).__name__ == CLASSES.get(kind, kind)
    assert found == Found((value["metadata"].get("namespace", ""), value["metadata"]["name"]), found.value, "7")
    # Without the help of the class: a Namespace has the label of its name only in a snapshot.
    if kind == "Namespace":
        assert found.value == Namespace("shop", {"team": "a"})
    else:
        assert found.value == expected
    item = {name: one for name, one in value.items() if name not in ("apiVersion", "kind")}
    assert Reader(KINDS[kind], "cluster:test").read(json.dumps(item).encode()) == found


def places(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place below the top."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for step, one in pairs for place in ((*at, step), *places(one, (*at, step)))]


JUNK: st.SearchStrategy[object] = st.sampled_from(
    [None, "", "x", "A_b", "-", "a.b", "10.1.0.1", "010.1.0.1", "::1", "10.0.0.0/8", "10.0.0.1/8", "True", "Always",
     "Ready", "UDP", "ICMP", "None", "ExternalName", "FQDN", "Egress", "In", True, False, {}, [], [5], 0, 80, 70000,
     -1, 1 << 40]
)  # fmt: skip
CHANGES = st.sampled_from(sorted(OBJECTS)).flatmap(
    lambda kind: st.tuples(
        st.just(kind), st.lists(st.tuples(st.sampled_from(places(held(OBJECTS[kind]))), JUNK), max_size=4)
    )
)


def changed(kind: str, changes: list[tuple[tuple[str | int, ...], object]]) -> Manifest:
    """An object of the kind with some values changed."""
    value = copy.deepcopy(held(OBJECTS[kind]))
    for path, to in changes:
        here: Any = value
        try:
            for step in path[:-1]:
                here = here[step]
            here[path[-1]] = copy.deepcopy(to)
        except (KeyError, IndexError, TypeError):
            continue
    return {**value, "apiVersion": OBJECTS[kind]["apiVersion"], "kind": kind}


@given(CHANGES)
def test_a_watch_and_a_list_mean_the_same(drawn: tuple[str, list[tuple[tuple[str | int, ...], object]]]) -> None:
    """Whatever an object says: one value from both, or the same words from both."""
    kind, changes = drawn
    value = changed(kind, changes)
    metadata = value["metadata"]
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        found = read(value)
        assert (found.key, found.value, found.version) == (None, None, "")
        assert found.broken is not None
        return
    if kind not in ("Namespace", "Node", *CUSTOM, CLUSTERWIDE, GROUP) and not metadata.get("namespace"):
        metadata["namespace"] = "default"
    found = read(value)
    # What the server manages says nothing here, and a watch passes over it.
    expected, parsed = parsed_alone({**value, "metadata": {**metadata, "managedFields": []}}, kind)
    assert (found.broken is None) == (not parsed.refused)
    if found.broken is not None:
        assert [one.message for one in found.broken.errors] == [one.message for one in parsed.errors]
        assert found.broken.kind == kind
        if kind in CUSTOM:
            assert isinstance(found.value, ClusterPolicy)
            assert (found.value.kind, found.value.name) == (kind, metadata["name"])
        elif kind in CILIUM_POLICIES:
            assert isinstance(found.value, CiliumObject)
            assert all(one.isolates and not one.rules(way) for one in found.value.policies for way in Direction)
        elif kind == GROUP:
            assert found.value == CidrGroup(metadata["name"], ())
        else:
            assert isinstance(found.value, NetworkPolicy) if kind == "NetworkPolicy" else found.value is None
    elif kind == "Namespace":
        assert isinstance(found.value, Namespace)
        assert found.value.name == metadata["name"]
        # A null in a map of strings is the empty one.
        assert found.value.labels == {key: one or "" for key, one in (metadata.get("labels") or {}).items()}
    else:
        assert found.value == expected


def test_the_recorded_session(shared: Path) -> None:
    """Objects of a real server, in its lists and in its watches."""
    recorded = json.loads((shared / "conformance" / "apiserver_session.json").read_text())
    seen = 0
    for one in recorded:
        response = one["response"]
        events = response.get("events", [])
        items = response["body"].get("items", []) if isinstance(response.get("body"), dict) else []
        kind = response["body"]["kind"].removesuffix("List") if items else "Pod"
        objects = [event["object"] for event in events if event["type"] != "BOOKMARK"]
        for value in (*objects, *({"apiVersion": "v1", "kind": kind, **item} for item in items)):
            expected, _ = parsed_alone(value, value["kind"])
            found = read(value)
            assert (found.broken, found.version) == (None, value["metadata"]["resourceVersion"])
            if value["kind"] == "Pod":
                assert found.value == expected
            else:
                assert isinstance(found.value, Namespace)
            seen += 1
        for event in events:
            if event["type"] == "BOOKMARK":
                mark = read_mark(json.dumps(event["object"]).encode())
                assert mark is not None
                assert mark.version == event["object"]["metadata"]["resourceVersion"]
                assert mark.ends_initial == ("annotations" in event["object"]["metadata"])
    assert seen > 15


def test_pods_of_one_template_share() -> None:
    """Of a hundred thousand pods nearly all are alike but for name and address."""
    reader = Reader(KINDS["Pod"], "cluster:test")
    first, second = (
        reader.read(json.dumps({**held(POD), "metadata": {**held(POD)["metadata"], "name": name}}).encode()).value
        for name in ("web-1", "web-2")
    )
    assert isinstance(first, Pod)
    assert isinstance(second, Pod)
    assert (first.name, second.name) == ("web-1", "web-2")
    for field in ("labels", "ports", "node", "namespace", "owner", "hints"):
        assert getattr(first, field) is getattr(second, field), field
    assert first.place is NOWHERE


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job every minute makes a new template every minute, for months."""
    monkeypatch.setattr(module, "REMEMBERED", 50)
    reader = Reader(KINDS["Pod"], "cluster:test")
    for number in range(500):
        value = copy.deepcopy(held(POD))
        value["metadata"]["labels"]["controller-uid"] = f"job-{number}"
        found = reader.read(json.dumps(value).encode()).value
        assert isinstance(found, Pod)
        assert found.labels["controller-uid"] == f"job-{number}"
        assert reader._pods.remembered <= 60


def test_nothing_of_the_text_is_kept() -> None:
    """Neither what the server manages nor what may be a secret."""
    policy = read({**held(POLICY)}).value
    assert isinstance(policy, NetworkPolicy)
    assert policy.place.document.value is None
    assert policy.egress[0].peers[0].place.document.value is None
    assert str(policy.egress[0].place) == "cluster:test/networkpolicies/shop/p"
    assert policy.egress[0].place.path == "spec.egress[0]"
    # Nor is it looked at: half of what a server prints of a small object is this.
    assert read({**POLICY, "metadata": {**POLICY["metadata"], "managedFields": 5}}).broken is None


@pytest.mark.parametrize(
    ("kind", "bare"),
    [
        ("Pod", Pod("shop", "a", uid="1-2-3")), ("Namespace", Namespace("a")), ("Node", Node("a")),
        ("Service", Service("shop", "a")), ("EndpointSlice", EndpointSlice("shop", "a", "")),
    ],
)  # fmt: skip
def test_of_a_broken_one_that_is_gone_the_key(kind: str, bare: object) -> None:
    """It may have been known before it broke."""
    namespaced = {"namespace": "shop"} if kind not in ("Namespace", "Node") else {}
    text = json.dumps({"metadata": {"name": "a", **namespaced, "labels": 5, **HELD}}).encode()
    reader = Reader(KINDS[kind], "cluster:test")
    assert reader.read(text).broken is not None
    found = reader.removed(text)
    assert (found.value, found.broken, found.version) == (bare, None, "7")


@pytest.mark.parametrize("text", [b"{}", b"[]", b"5", b"null", b"{", b'"\xff"', b'{"metadata": 5}', b"[" * 10000])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_object(kind: str, text: bytes) -> None:
    """Said, and no traceback."""
    reader = Reader(KINDS[kind], "cluster:test")
    found = reader.read(text)
    assert found.broken is not None
    assert (found.key, found.value) == (None, None)
    assert reader.removed(text).value is None


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"x", b"\xff", b'{"type": 5, "object": {}}', b'{"type": "ADDED"}'])
def test_what_is_no_line(text: bytes) -> None:
    """Nor a page, nor a bookmark."""
    assert read_line(text) is None
    assert read_page(text) is None
    assert read_mark(text) is None


def test_a_cluster_policy_that_cannot_be_understood() -> None:
    """What stands for it is closed within its own subject; when it goes, that goes."""
    broken = held(copy.deepcopy(OBJECTS["ClusterNetworkPolicy"]))
    broken["spec"]["egress"][0]["action"] = "Log"
    broken["metadata"]["namespace"] = "nowhere"
    found = read(broken)
    assert isinstance(found.value, ClusterPolicy)
    assert found.key == ("", "p")
    assert found.broken is not None
    assert [one.path for one in found.broken.errors] == ["spec.egress[0].action"]
    whole = read(held(OBJECTS["ClusterNetworkPolicy"])).value
    assert isinstance(whole, ClusterPolicy)
    assert (found.value.subject, found.value.egress[1:]) == (whole.subject, whole.egress[1:])
    assert found.value.egress[0].action == "Deny"
    assert any(isinstance(one, UnknownPeer) for one in found.value.egress[0].peers)
    assert found.value.place.document.value is None
    removed = Reader(KINDS["ClusterNetworkPolicy"], "cluster:test").removed(json.dumps(broken).encode())
    assert (removed.key, removed.value, removed.broken) == (found.key, found.value, None)


def test_lines_pages_and_bookmarks() -> None:
    """As they are printed."""
    line = read_line(b'{"type":"ADDED","object":{"a":1}}')
    assert line is not None
    assert (line.type, bytes(line.object)) == ("ADDED", b'{"a":1}')
    page = read_page(b'{"kind":"PodList","metadata":{"resourceVersion":"5","continue":"x"},"items":[{},{}]}')
    assert page is not None
    assert ([bytes(one) for one in page.items], page.version, page.following) == ([b"{}", b"{}"], "5", "x")
    empty = read_page(b'{"metadata":{"resourceVersion":"5"},"items":null}')
    assert empty is not None
    assert (empty.items, empty.following) == ([], "")
    assert isinstance(page.items[0], msgspec.Raw)
