"""From documents to a snapshot: what is read, what is refused, and that nothing makes the parser fall over."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model import Document, NetworkPolicy
from outgate.model.parse import Refused, parse, parse_object
from outgate.model.place import Path
from tests.model.documents import document, egress, parsed, policy, refusals

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": []}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1], ": this is a list, not an object with apiVersion, kind and metadata"),
        ("x", ": this is a string, not an object with apiVersion, kind and metadata"),
        (5, ": this is a number, not an object with apiVersion, kind and metadata"),
        (True, ": this is true or false, not an object with apiVersion, kind and metadata"),
        ({}, "kind: Object 'Kind' is missing"),
        ({"kind": "Pod"}, "apiVersion: Object 'apiVersion' is missing"),
        ({"kind": "", "apiVersion": "v1"}, "kind: Object 'Kind' is missing"),
        ({"kind": 5, "apiVersion": "v1"}, "kind: kind must be a string, not a number"),
        ({"kind": "Pod", "apiVersion": ["v1"]}, "apiVersion: apiVersion must be a string, not a list"),
        ({"kind": "pod", "apiVersion": "v1"}, 'kind: no matches for kind "pod" in version "v1"'),
        ({"kind": "NetworkPolicies", "apiVersion": "networking.k8s.io/v1"}, "kind: no matches for kind"),
        ({"kind": "NetworkPolicy", "apiVersion": "extensions/v1beta1"},
         ("apiVersion: the API version in the data (extensions/v1beta1) does not match the expected API version "
         "(networking.k8s.io/v1)")),
        ({"kind": "NetworkPolicy", "apiVersion": "networking.k8s.io/v1beta1"}, "apiVersion: the API version in"),
        ({"kind": "NetworkPolicy", "apiVersion": "v1"}, "apiVersion: the API version in the data"),
    ],
)  # fmt: skip
def test_what_is_no_object_of_ours_is_refused(value: object, expected: str) -> None:
    """A misspelt kind that is passed over in silence is a policy that nobody enforces."""
    result = parsed(value)
    (error,) = result.errors
    assert f"{error.path}: {error.message}".startswith(expected)
    assert result.objects == 1
    assert not result.skipped


def test_other_peoples_kinds_are_counted() -> None:
    """A NetworkPolicy of another product is not a broken one of ours."""
    result = parsed(
        {"apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy", "metadata": {"name": "x"}},
        {"apiVersion": "v1", "kind": "ConfigMap"},
        {"apiVersion": "v1", "kind": "ConfigMap"},
        {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass"},
        {"apiVersion": "networking.k8s.io/v1beta1", "kind": "Ingress"},
    )
    assert not result.errors
    assert result.objects == 5
    assert result.skipped == {
        "crd.projectcalico.org/v1/NetworkPolicy": 1,
        "networking.k8s.io/v1/IngressClass": 1,
        "networking.k8s.io/v1beta1/Ingress": 1,
        "v1/ConfigMap": 2,
    }


def test_lists_are_taken_apart() -> None:
    """The items of typed lists may leave out what the list says; lists may hold lists; null items are refused."""
    typed = {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "a"}}, {**POD, "kind": "Pod"}]}
    nested = {"apiVersion": "v1", "kind": "List", "items": [NAMESPACE, typed, {"kind": "List", "items": None}, None]}
    result = parsed(nested)
    assert [pod.name for pod in result.snapshot.pods] == ["a", "p"]
    assert result.objects == 4
    assert [error.message[:24] for error in result.errors] == ["Object 'Kind' is missing"]


def test_lists_within_lists_do_not_exhaust_the_stack() -> None:
    """A file of brackets must be answered, however deep."""
    value: object = POD
    for _ in range(5000):
        value = {"kind": "List", "apiVersion": "v1", "items": [value]}
    assert len(parse([document(value)]).snapshot.pods) == 1


def test_lines_and_repetitions_of_an_item_are_its_own() -> None:
    """An error in the third item of a list must name that item's line, not the list's."""
    asked: list[Path] = []

    def locate(path: Path) -> int:
        asked.append(path)
        return 40 + len(path)

    item = egress({"to": [{}]})
    other = policy({"egress": []}, name="other")
    value = {"kind": "List", "apiVersion": "v1", "items": [item, other]}
    source = Document("f", value, locate, repeated={("items", 1, "spec", "egress"): 77})
    errors = parse([source]).errors
    assert asked[0] == ("items", 0, "spec", "egress", 0, "to", 0)
    assert [(error.line, error.path) for error in errors] == [(47, "spec.egress[0].to[0]"), (77, "spec.egress")]


def test_missing_names_and_namespaces() -> None:
    """A namespaced object goes where kubectl would put it; an object without a name goes nowhere."""
    value = {**POD, "metadata": {"name": "p", "namespace": ""}}
    assert parsed(value).snapshot.pods[0].namespace == "default"
    assert parsed(value, default_namespace="shop").snapshot.pods[0].namespace == "shop"
    assert refusals({**POD, "metadata": {}}) == ["metadata.name: Required value: name or generateName is required"]
    assert refusals({**NAMESPACE, "metadata": None}) == [
        "metadata.name: Required value: name or generateName is required"
    ]


def test_generated_names_are_distinct() -> None:
    """Two objects with one generateName are two objects; one must not replace the other."""
    value = {**POD, "metadata": {"generateName": "p-"}}
    result = parsed(value, value)
    assert [pod.name for pod in result.snapshot.pods] == ["p-00001", "p-00002"]
    assert not result.warnings


def test_an_object_given_twice_counts_once() -> None:
    """`kubectl apply` leaves the later one; the reader is told of both places."""
    first = Document("a.yaml", policy({"egress": [{}]}), lambda _: 3)
    second = Document("b.yaml", policy({}), lambda _: 9)
    result = parse([first, second])
    assert [one.egress for one in result.snapshot.policies] == [()]
    assert [str(one) for one in result.warnings] == [
        "b.yaml:9: NetworkPolicy shop/web is given again; this one replaces the one at a.yaml:3"
    ]


def test_a_refused_object_takes_nobody_with_it() -> None:
    """One broken policy among good objects is set apart, with its name, and the rest is there."""
    result = parsed(NAMESPACE, egress({"to": [{}]}), POD)
    assert [str(one) for one in result.refused] == ["NetworkPolicy shop/web"]
    assert (len(result.snapshot.pods), result.snapshot.policies) == (1, ())
    nameless = parsed({"apiVersion": "v1", "kind": "Pod", "metadata": [1]}).refused
    assert [str(one) for one in nameless] == ["Pod default"]


def test_repeated_fields_of_other_kinds_are_a_warning() -> None:
    """We do not judge whether a pod is acceptable, but which of two values counts must be said."""
    result = parse([Document("f", POD, repeated={("metadata", "name"): 4, ("elsewhere", "x"): 5})])
    assert [(one.line, one.path, one.message.split(";")[0]) for one in result.warnings] == [
        (4, "metadata.name", 'duplicate field "metadata.name"')
    ]
    assert len(result.snapshot.pods) == 1


def test_only_the_documents_of_policies_are_kept() -> None:
    """The text of a hundred thousand pods would cost gigabytes; a policy's is there for those who explain it."""
    result = parsed(POD, policy())
    assert result.snapshot.pods[0].place.document.value is None
    assert result.snapshot.policies[0].place.document.value == policy()


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
EVERY_KIND: list[dict[str, Any]] = [
    egress(
        {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 1, "endPort": 9}]},
        {"to": [{"podSelector": {"matchLabels": {"a": "b"}}, "namespaceSelector": {"matchExpressions": [
            {"key": "k", "operator": "In", "values": ["v"]}]}}]},
    ),
    {**POD, "metadata": {"name": "p", "labels": {"a": "b"}, "ownerReferences": [{"kind": "X", "name": "y",
     "controller": True}]}, "status": {"podIPs": [{"ip": "10.0.0.1"}], "conditions": [{"type": "Ready"}]}},
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"clusterIPs": ["10.0.0.1"],
     "selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "http"}]}},
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 2, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"ports": [{"containerPort": 80}]}]}}}},
    {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": {"jobTemplate": {"spec": {
        "template": {"spec": {"containers": []}}}}}},
    {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "e"}, "endpoints": [
        {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "p"}}], "ports": [{"port": 80}]},
    {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "s"}, "subsets": [
        {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]},
    {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"podCIDRs": ["10.0.0.0/24"]},
     "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.9"}]}},
    NAMESPACE,
]  # fmt: skip


def paths(value: object, at: Path = ()) -> list[Path]:
    """Every place in a tree."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for step, one in inner for path in paths(one, (*at, step)))]


def replaced(value: Any, at: Path, new: object) -> Any:
    """The tree with another value at one place."""
    if not at:
        return new
    changed = copy.copy(value)
    changed[at[0]] = replaced(value[at[0]], at[1:], new)
    return changed


@st.composite
def mutated(draw: st.DrawFn) -> object:
    """An object of any kind with something odd in one place or two."""
    value: Any = draw(st.sampled_from(EVERY_KIND))
    for _ in range(draw(st.integers(1, 2))):
        value = replaced(value, draw(st.sampled_from(paths(value))), draw(TREES))
    return value


def test_the_mutations_start_from_objects_that_are_accepted() -> None:
    """If a start were refused at once, mutations of it would test one line over and over."""
    assert not parsed(*EVERY_KIND).errors


@given(mutated(), st.booleans())
def test_the_parser_answers_whatever_it_is_given(value: object, stored: bool) -> None:
    """Any tree of values is read or refused with a located error; an exception would be a traceback for a typo."""
    result = parsed(value, stored=stored)
    for error in (*result.errors, *result.warnings):
        assert error.file == "input.yaml"
        assert error.message
    assert all(refused.errors for refused in result.refused)


@given(mutated())
def test_what_is_accepted_once_is_accepted_again(value: object) -> None:
    """A policy that was let in and is written down as it was understood must be the same policy when read again."""
    result = parsed(value)
    for one in result.snapshot.policies:
        again = parsed(as_manifest(one))
        assert not again.errors
        assert again.snapshot.policies == (one,)


def as_manifest(one: Any) -> dict[str, Any]:
    """A policy written out as a manifest, from the model alone."""
    metadata = {"name": one.name, "namespace": one.namespace, "annotations": dict(one.annotations), "uid": one.uid}
    spec = {
        "podSelector": written(one.pods),
        "policyTypes": sorted(direction.value for direction in one.types),
        "egress": [{"to": list(map(peer, rule.peers)), "ports": list(map(port, rule.ports))} for rule in one.egress],
        "ingress": [
            {"from": list(map(peer, rule.peers)), "ports": list(map(port, rule.ports))} for rule in one.ingress
        ],
    }
    return {"apiVersion": one.api_version, "kind": one.kind, "metadata": metadata, "spec": spec}


def written(selector: Any) -> dict[str, Any] | None:
    """A selector as expressions; None for none."""
    if selector is None:
        return None
    return {
        "matchExpressions": [
            {"key": one.key, "operator": str(one.operator), "values": list(one.values)} for one in selector.requirements
        ]
    }


def peer(one: Any) -> dict[str, Any]:
    """A peer as a manifest has it."""
    if hasattr(one, "cidr"):
        return {"ipBlock": {"cidr": str(one.cidr), "except": list(map(str, one.excepts))}}
    given = {"podSelector": written(one.pods), "namespaceSelector": written(one.namespaces)}
    return {name: value for name, value in given.items() if value is not None}


def port(one: Any) -> dict[str, Any]:
    """A port as a manifest has it."""
    return {"protocol": one.protocol, "port": one.port, "endPort": one.end_port}


@pytest.mark.parametrize(
    ("metadata", "from_server"),
    [
        ({}, False),
        ({"uid": "u"}, True),
        ({"resourceVersion": "5"}, True),
        ({"uid": "", "resourceVersion": None}, False),
        ({"generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}, False),
    ],
)
def test_what_a_server_printed_is_known_by_what_only_it_writes(metadata: dict[str, Any], from_server: bool) -> None:
    """Such an object is in force as it is; one that a person wrote is held to all the rules, in the same input."""
    sloppy = egress({"to": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}, newField=1)
    sloppy["metadata"] |= metadata
    written = egress({"to": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]})
    written["metadata"]["name"] = "written"
    found = parsed(sloppy, written, stored=None)
    assert [one.name for one in found.snapshot.policies] == (["web"] if from_server else [])
    assert {one.name for one in found.refused} == ({"written"} if from_server else {"web", "written"})
    # Whoever asks what a server would accept asks that of every object.
    assert len(parsed(sloppy, written).refused) == 2
    assert len(parsed(sloppy, written, stored=True).refused) == 0


def test_a_document_may_say_that_a_server_held_it() -> None:
    """And the items of its list with it."""
    sloppy = egress({"to": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]})
    for value in (sloppy, {"apiVersion": "v1", "kind": "List", "items": [sloppy]}):
        assert parse([Document("x", value, stored=True)]).errors == ()
        assert len(parse([Document("x", value)]).errors) == 1


def test_what_the_answer_rests_on_is_told() -> None:
    """Used objects as they were decoded, with the names and namespaces that they were given; refused ones not."""
    told: list[tuple[str, str, Any]] = []
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "a-"},
        "spec": {"containers": [{"image": 1}]},
    }
    broken = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}, "status": {"podIP": "x"}}
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    parsed(pod, broken, other, policy(), egress({"to": [{}]}), keep=lambda *one: told.append(one))
    assert [(version, kind, value["metadata"]["name"]) for version, kind, value in told] == [
        ("v1", "Pod", "a-00001"),
        ("networking.k8s.io/v1", "NetworkPolicy", "web"),
    ]
    assert told[0][2]["metadata"]["namespace"] == "default"
    assert told[0][2]["spec"] == {"containers": [{}]}


def test_one_object_by_itself() -> None:
    """As a server holds it, before anything else is known; nothing of its text is kept."""
    several = parse_object(document(egress({"to": [{"ipBlock": {"cidr": "010.0.0.1/8"}}]})))
    assert isinstance(several, tuple)
    (made,) = several
    assert several == parsed(egress({"to": [{"ipBlock": {"cidr": "010.0.0.1/8"}}]}), stored=True).snapshot.policies
    assert isinstance(made, NetworkPolicy)
    assert made.place.document.value is None
    assert made.egress[0].peers[0].place.path == "spec.egress[0].to[0]"
    refused = parse_object(document(egress({"to": 5})))
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.namespace, refused.name) == ("NetworkPolicy", "shop", "web")
    assert parse_object(document({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})) == ()
