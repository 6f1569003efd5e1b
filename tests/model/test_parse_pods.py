"""The short way of a pod leads where the long way leads, or says that it does not know."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster.jsontext import read_typed
from outgate.cluster.reading import Unreadable
from outgate.model import Pod
from outgate.model.parse import Parsed, parse
from outgate.model.parse_pods import PodReader, PodText, TypedPod
from outgate.model.parse_shapes import OBJECTS
from outgate.model.parse_types import Listing, Struct
from outgate.model.place import NOWHERE, Document
from tests.model.documents import parsed

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web-5d4f8c7b9d-x2z4q",
        "generateName": "web-5d4f8c7b9d-",
        "namespace": "shop",
        "uid": "1-2-3",
        "annotations": {"sidecar.istio.io/inject": "true", "k8s.v1.cni.cncf.io/networks": "storage", "big": "x"},
        "labels": {"app": "web", "pod-template-hash": "5d4f8c7b9d"},
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f8c7b9d", "controller": True}
        ],
    },
    "spec": {
        "nodeName": "node-1",
        "serviceAccountName": "web",
        "automountServiceAccountToken": True,
        "hostname": "web",
        "subdomain": "all",
        "containers": [
            {
                "name": "a",
                "env": [{"name": "HTTPS_PROXY", "value": "http://p:1"}],
                "ports": [{"containerPort": 80, "name": "http"}, {"name": "none"}],
            }
        ],
        "initContainers": [
            {"name": "istio-proxy", "restartPolicy": "Always", "ports": [{"containerPort": 90, "protocol": "UDP"}]},
            {"name": "wait", "env": [{"name": "no_proxy"}], "ports": [{"containerPort": 91}]},
        ],
    },
    "status": {
        "phase": "Running",
        "podIP": "10.1.0.1",
        "podIPs": [{"ip": "10.1.0.1"}, {"ip": "fd00::1"}],
        "hostIP": "192.0.2.1",
        "hostIPs": [{"ip": "192.0.2.1"}],
        "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}],
    },
}


def typed(text: bytes, reports: list[str] | None = None) -> TypedPod:
    """A pod as a reader of text hands it over."""

    def whole() -> list[Document]:
        if reports is not None:
            reports.append("whole")
        return [Document("input.yaml", json.loads(text))]

    return TypedPod(msgspec.json.decode(text, type=PodText), Document("input.yaml", None), whole)


def both(*pods: dict[str, Any], **options: Any) -> tuple[Parsed, Parsed]:
    """What the two ways make of pods."""
    return parse([typed(json.dumps(one).encode()) for one in pods], **options), parsed(*pods, **options)


def read(pod: dict[str, Any]) -> object:
    """What the short way alone makes of a pod."""
    return PodReader("default").read(msgspec.json.decode(json.dumps(pod), type=PodText), NOWHERE)


def changed(*path: str | int, to: object) -> dict[str, Any]:
    """The pod with one value changed, or taken away."""
    pod = copy.deepcopy(POD)
    here: Any = pod
    for step in path[:-1]:
        here = here[step]
    if to is ...:
        del here[path[-1]]
    else:
        here[path[-1]] = to
    return pod


def test_a_good_pod_takes_the_short_way() -> None:
    """A test of two ways that both were the long one would prove nothing."""
    pod = read(POD)
    assert isinstance(pod, Pod)
    short, long = both(POD)
    assert short == long
    assert short.snapshot.pods == (pod,)
    assert [(port.port, port.protocol, port.name) for port in pod.ports] == [(80, "TCP", "http"), (90, "UDP", "")]
    assert str(pod.owner) == "Owner(kind='Deployment', name='web')"
    assert pod.ready


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("metadata", "name"), ...), (("metadata", "name"), ""), (("metadata", "name"), "A_b"), (("metadata",), ...),
        (("metadata", "namespace"), "a.b"), (("metadata", "labels", "a b"), "c"), (("metadata", "labels", "a"), "-"),
        (("metadata", "labels", "a"), 1), (("metadata", "labels"), None), (("metadata", "generateName"), "-"),
        (("metadata", "ownerReferences", 0, "controller"), "yes"), (("status", "podIPs", 1, "ip"), "fd00::g"),
        (("status", "podIPs"), [{"ip": "10.1.0"}]),
    ],
)  # fmt: skip
def test_what_the_short_way_leaves_to_the_long(path: tuple[str | int, ...], to: object) -> None:
    """Who cannot say what is wrong must not try."""
    pod = changed(*path, to=to)
    assert read(pod) is None
    short, long = both(pod)
    assert short == long


def test_what_is_read_again_counts_once() -> None:
    """A refused pod is one object, and its errors come from the text that was read in full."""
    reports: list[str] = []
    result = parse([typed(json.dumps(changed("metadata", "name", to="A")).encode(), reports)])
    assert (result.objects, len(result.errors), reports) == (1, 1, ["whole"])
    assert parse([TypedPod(PodText(), Document("f", None), list)]).objects == 0


JUNK: st.SearchStrategy[object] = st.sampled_from(
    [None, "", "x", "A", "-", "a.b", "10.1.0.1", "010.1.0.1", "::1", "fd00::0001", "::ffff:10.0.0.1", "True", "Always",
     "Ready", "Failed", "None", True, False, {}, [], 0, 80]
)  # fmt: skip


def paths(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a value but the top."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for step, inner in pairs for path in ((*at, step), *paths(inner, (*at, step)))]


# What an object is the reader of text has made sure of.
PLACES = st.sampled_from([path for path in paths(POD) if path[0] not in ("apiVersion", "kind")])


@given(st.lists(st.tuples(PLACES, JUNK | st.just(...)), max_size=3), st.booleans(), st.booleans())
def test_the_two_ways_agree(changes: list[tuple[tuple[str | int, ...], Any]], host: bool, stored: bool) -> None:
    """Whatever is changed in a pod: what the type takes is the same object, or the same errors, on both ways."""
    pod = changed("spec", "hostNetwork", to=host)
    for path, to in changes:
        here: Any = pod
        try:
            for step in path[:-1]:
                here = here[step]
            if to is ... and isinstance(here, dict):
                here.pop(path[-1], None)
            elif to is not ... and not isinstance(here, str):
                here[path[-1]] = copy.deepcopy(to)  # a later change may go into it
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    again = {**POD, "metadata": {**POD["metadata"], "name": "other"}}
    try:
        short, long = both(pod, POD, again, stored=stored)
    except msgspec.ValidationError:
        return  # such a text is never handed over in its type
    assert short == long


@given(st.integers(0, 1 << 32))
def test_the_two_ways_agree_on_many(seed: int) -> None:
    """Pods that share much, in any order: what is remembered of one must fit the next."""
    dice = random.Random(seed)
    pods = []
    for number in range(6):
        pod = changed("metadata", "name", to=f"pod-{number}")
        pod["metadata"]["labels"] = {"app": dice.choice("ab"), "pod-template-hash": dice.choice(["5d4f8c7b9d", "x"])}
        pod["metadata"]["namespace"] = dice.choice(["shop", "", "a.b"])
        pod["metadata"]["ownerReferences"] = pod["metadata"]["ownerReferences"][: dice.randrange(2)]
        pods.append(pod)
    short, long = both(*pods)
    assert short == long


def test_pods_of_a_kind_share_what_they_have_in_common() -> None:
    """A hundred thousand pods have a few thousand label sets, and the analysis compares them by identity first."""
    one, other = both(POD, changed("metadata", "name", to="other"))[0].snapshot.pods
    assert one.labels is other.labels
    assert one.ports is other.ports
    assert one.owner is other.owner
    assert one.hints is other.hints
    assert (one.hints.account, one.hints.sidecars, one.hints.before) == ("web", ("istio-proxy",), ("wait",))


def test_the_type_has_the_fields_of_the_shape() -> None:
    """A field that is in one and not in the other would be read on one way alone."""

    def same(fields: tuple[Any, ...], shape: Struct) -> None:
        assert {field.encode_name for field in fields} == set(shape.fields)
        for field in fields:
            inner = shape.fields[field.encode_name]
            inner = inner.element if isinstance(inner, Listing) else inner
            if isinstance(inner, Struct) and field.type is not msgspec.Raw:
                types = [one for one in (field.type, *get_args(field.type)) if isinstance(one, type)]
                (struct,) = [one for one in types if issubclass(one, msgspec.Struct)]
                same(msgspec.structs.fields(struct), inner)

    top = [field for field in msgspec.structs.fields(PodText) if field.name not in ("kind", "apiVersion")]
    same(tuple(top), OBJECTS["v1", "Pod"])


_UNSUPPORTED = 'Unsupported value: "x": supported values: "SCTP", "TCP", "UDP"'


@pytest.mark.parametrize(
    ("kind", "spec", "complaint"),
    [
        ("Service", {"ports": [{"port": 53, "protocol": "x"}]}, f"spec.ports[0].protocol: {_UNSUPPORTED}"),
        ("Service", {"ports": [{"port": 0}]}, "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535"),
        ("Service", {"ports": [{"port": 1, "targetPort": 65536}]}, "spec.ports[0].targetPort: Invalid value: 65536"),
        (
            "Pod",
            {"containers": [{"ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "x"}]}]},
            f"spec.containers[0].ports[1].protocol: {_UNSUPPORTED}",
        ),
        (
            "Pod",
            {"containers": [{}, {"ports": [{"containerPort": 70000}]}]},
            "spec.containers[1].ports[0].containerPort: Invalid value: 70000",
        ),
    ],
)
def test_ports_that_are_none(kind: str, spec: dict[str, Any], complaint: str) -> None:
    """The server refuses them, so nothing behind has to ask again; by either way to read a pod."""
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "namespace": "shop"}, "spec": spec}
    for found in (
        parse([Document("a.yaml", manifest)]),
        parse(read_typed(json.dumps(manifest).encode(), "a.json", Unreadable())),
    ):
        (error,) = found.errors
        assert f"{error.path}: {error.message}".startswith(complaint)


def test_what_is_remembered_is_counted() -> None:
    """Who reads pods for months has to know when it is time to forget."""
    reader = PodReader("default")
    assert reader.remembered == 0
    reader.read(msgspec.json.decode(json.dumps(POD), type=PodText), NOWHERE)
    once = reader.remembered
    reader.read(msgspec.json.decode(json.dumps(POD), type=PodText), NOWHERE)
    assert reader.remembered == once > 0
    other = changed("metadata", "labels", "app", to="other")
    reader.read(msgspec.json.decode(json.dumps(other), type=PodText), NOWHERE)
    assert reader.remembered == once + 1
