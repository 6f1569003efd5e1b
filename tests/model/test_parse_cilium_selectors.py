"""Selectors of Cilium against Cilium's own reading: one set of labels with sources, asked one by one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model.cilium import EndpointPeer, EntityPeer
from outgate.model.labels import EVERYTHING
from outgate.model.parse_cilium_selectors import endpoint_peer, is_kept, plain_selector, split_key, subject
from outgate.model.place import NOWHERE

Selector = dict[str, Any]
NAMESPACE = "io.kubernetes.pod.namespace"
LABELS = "io.cilium.k8s.namespace.labels."
ACCOUNT = "io.cilium.k8s.policy.serviceaccount"
CLUSTER = "io.cilium.k8s.policy.cluster"


def peer(selector: Selector, namespace: str = "shop") -> EndpointPeer:
    """The pods that an entry selects, where it is no entity and all of it is done."""
    found, marks = endpoint_peer(selector, namespace, NOWHERE)
    assert isinstance(found, EndpointPeer)
    assert not marks
    return found


def expression(key: str, operator: str, *values: str) -> Selector:
    """A selector of one expression."""
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def text(found: EndpointPeer) -> tuple[str, str]:
    """The two selectors of a peer, as they print."""
    return str(found.pods), str(found.namespaces)


NAME = "kubernetes.io/metadata.name"


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, ("everything", f"{NAME}=shop")),
        ({"matchLabels": {"app": "web"}}, ("app=web", f"{NAME}=shop")),
        ({"matchLabels": {"k8s:app": "web"}}, ("app=web", f"{NAME}=shop")),
        ({"matchLabels": {"any:app": "web"}}, ("app=web", f"{NAME}=shop")),
        ({"matchLabels": {f"k8s:{NAMESPACE}": "data", "k8s:app": "db"}}, ("app=db", f"{NAME}=data")),
        ({"matchLabels": {NAMESPACE: "data"}}, ("everything", f"{NAME}=data")),
        ({"matchLabels": {f"any:{NAMESPACE}": "data"}}, ("everything", f"{NAME}=data")),
        ({"matchLabels": {f"k8s:{LABELS}team": "blue"}}, ("everything", "team=blue")),
        ({"matchLabels": {f"{LABELS}{NAME}": "data"}}, ("everything", f"{NAME}=data")),
        (expression(f"k8s:{NAMESPACE}", "Exists"), ("everything", "everything")),
        (expression(f"k8s:{NAMESPACE}", "NotIn", "data"), ("everything", f"{NAME}!=data")),
    ],
)
def test_where_an_entry_of_a_namespaced_policy_looks(selector: Selector, expected: tuple[str, str]) -> None:
    """The rule: "If omitted, we limit the scope to the namespace the policy lives in"."""
    assert text(peer(selector)) == expected


def test_a_policy_of_the_cluster_looks_everywhere() -> None:
    """There must be a namespace, as every pod has."""
    assert peer({}, "") == EndpointPeer()
    assert text(peer({"matchLabels": {"app": "web"}}, "")) == ("app=web", "everything")


def test_the_parts_do_not_mix() -> None:
    """The account is no label of the pod, and neither is the cluster."""
    found = peer({"matchLabels": {f"k8s:{ACCOUNT}": "robot", "app": "web"}})
    assert (str(found.accounts), str(found.pods), found.clusters) == (f"{ACCOUNT}=robot", "app=web", EVERYTHING)
    found = peer(expression(CLUSTER, "Exists"))
    assert (str(found.clusters), found.pods) == (CLUSTER, EVERYTHING)


@pytest.mark.parametrize("operator", ["In", "NotIn"])
def test_a_cluster_by_name_is_not_told_apart(operator: str) -> None:
    """The rule: "selectors match only the local cluster unless they name one": which one is ours nobody says here."""
    found, marks = endpoint_peer(expression(f"k8s:{CLUSTER}", operator, "east"), "shop", NOWHERE)
    assert isinstance(found, EndpointPeer)
    assert found.clusters
    assert [one.feature for one in marks] == [f"k8s:{CLUSTER}"]


@pytest.mark.parametrize("name", ["host", "remote-node", "kube-apiserver", "health", "init", "ingress", "unmanaged"])
def test_a_reserved_label_is_an_entity(name: str) -> None:
    """And no namespace is added to it."""
    for selector in ({"matchLabels": {f"reserved:{name}": ""}}, expression(f"reserved:{name}", "Exists")):
        assert endpoint_peer(selector, "shop", NOWHERE) == (EntityPeer(name), ())


@pytest.mark.parametrize(
    "selector",
    [
        expression("reserved:host", "DoesNotExist"),
        {"matchLabels": {"reserved:host": "", "app": "web"}},
        {"matchLabels": {"reserved:world": ""}},
        {"matchLabels": {"reserved:host": "x"}},
        {"matchLabels": {"reserved:nobody": ""}},
    ],
)
def test_other_selectors_of_reserved_labels_are_not_done(selector: Selector) -> None:
    """They select nobody, and say so."""
    found, marks = endpoint_peer(selector, "shop", NOWHERE)
    assert found == EndpointPeer(nobody=True)
    assert marks[0].feature.startswith("reserved:")


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("app", True),
        ("app.kubernetes.io/name", True),
        (NAMESPACE, True),
        (f"{LABELS}kubernetes.io/metadata.name", True),
        (ACCOUNT, True),
        (CLUSTER, True),
        ("io.kubernetes.other", False),
        ("kubernetes.io/hostname", False),
        ("k8s.io/x", False),
        ("my.k8s.io/x", True),
        ("statefulset.kubernetes.io/pod-name", False),
        ("statefulset.kubernetes.io/other", True),
        ("apps.kubernetes.io/pod-index", False),
        ("batch.kubernetes.io/job-completion-index", False),
        ("batch.kubernetes.io/controller-uid", False),
        ("batch.kubernetes.io/job-name", True),
        ("beta.kubernetes.io/os", False),
        ("failure-domain.beta.kubernetes.io/zone", False),
        ("pod-template-hash", False),
        ("pod-template-generation", False),
        ("controller-revision-hash", False),
        ("controller-uid", False),
        ("annotation.x", False),
        ("etcd_node", False),
        ("topology.kubernetes.io/zone", False),
        ("my-annotation", True),
        # The dots of Cilium's expressions are dots.
        ("k8sxio", True),
    ],
)
def test_only_some_labels_take_part_in_an_identity(key: str, kept: bool) -> None:
    """The rule: "Default filter = regexes anchored at the start of the key (longest match wins)"."""
    assert is_kept(key) is kept


def test_a_label_that_nobody_has() -> None:
    """The rule: "In/Exists never match, NotIn/DoesNotExist always match"."""
    key = "pod-template-hash"
    assert peer(expression(key, "In", "x")).nobody
    assert peer(expression(key, "Exists")).nobody
    assert peer(expression(key, "NotIn", "x")) == peer({})
    assert peer(expression(key, "DoesNotExist")) == peer({})
    # A source that no pod has labels from.
    assert peer({"matchLabels": {"container:app": "web"}}).nobody
    assert peer(expression("unspec:app", "DoesNotExist")) == peer({})


def test_a_subject_is_held_to_its_namespace() -> None:
    """The rule: "always applies in namespace of the policy resource"; but only one of the two spellings gives way."""
    found, marks = subject({"matchLabels": {f"k8s:{NAMESPACE}": "data", "app": "web"}}, "shop", NOWHERE)
    assert (text(found), marks) == (("app=web", f"{NAME}=shop"), ())
    found, _ = subject({"matchLabels": {NAMESPACE: "data"}}, "shop", NOWHERE)
    assert not found.namespaces.matches({NAME: "data"})
    assert not found.namespaces.matches({NAME: "shop"})
    found, _ = subject({"matchLabels": {f"k8s:{LABELS}team": "red"}}, "shop", NOWHERE)
    assert text(found)[1] == f"{NAME}=shop,team=red"
    found, _ = subject({"matchLabels": {"app": "web"}}, "", NOWHERE)
    assert text(found) == ("app=web", "everything")


def test_a_subject_that_is_no_pod() -> None:
    """It selects none, which is said; that something is absent that no pod has is no requirement."""
    found, marks = subject({"matchLabels": {"reserved:health": ""}}, "", NOWHERE)
    assert found.nobody
    assert [one.feature for one in marks] == ["reserved:health"]
    assert subject(expression("reserved:host", "DoesNotExist"), "", NOWHERE) == (EndpointPeer(), ())


def test_labels_of_other_objects_have_no_source() -> None:
    """Services, nodes and groups are selected by their own labels."""
    assert str(plain_selector({"matchLabels": {"k8s:app": "x", "tier": "y"}})) == "app=x,tier=y"
    assert split_key("app") == ("any", "app")
    assert split_key("k8s:a:b") == ("k8s", "a:b")


# ---- the same by the book: Cilium's labels as one set, and each requirement asked of it ----------------------------

KEYS = ("app", "tier", NAMESPACE, f"{LABELS}team", f"{LABELS}{NAME}", ACCOUNT, "pod-template-hash")
SOURCES = ("", "k8s:", "any:", "container:")
VALUES = ("a", "b", "shop", "data")


@st.composite
def selectors(draw: st.DrawFn) -> Selector:
    """Both halves, with keys of every sort."""
    keys = st.tuples(st.sampled_from(SOURCES), st.sampled_from(KEYS)).map("".join)
    exact = draw(st.dictionaries(keys, st.sampled_from(VALUES), max_size=2))
    several = []
    for key in draw(st.lists(keys, max_size=2)):
        operator = draw(st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist")))
        values = draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=2)) if "In" in operator else []
        several.append({"key": key, "operator": operator, "values": values})
    return {"matchLabels": exact, "matchExpressions": several}


Pod = tuple[dict[str, str], dict[str, str], str]

PODS = st.tuples(
    st.dictionaries(st.sampled_from(("app", "tier", "pod-template-hash")), st.sampled_from(VALUES)),
    st.tuples(st.sampled_from(("shop", "data")), st.sampled_from(VALUES)).map(
        lambda one: {NAME: one[0], "team": one[1]}
    ),
    st.sampled_from(VALUES),
)


def as_cilium(selector: Selector, namespace: str, pod: Pod, *, pinned: bool = False) -> bool:
    """What Cilium would say: the labels of an endpoint have a source, and ``any:`` is every source."""
    labels, space, account = pod
    excluded = re.compile("pod-template-hash")
    have = {f"k8s:{key}": value for key, value in labels.items() if not excluded.match(key)}
    have |= {f"k8s:{LABELS}{key}": value for key, value in space.items()}
    have |= {f"k8s:{NAMESPACE}": space[NAME], f"k8s:{ACCOUNT}": account}
    # "app" and "any:app" are one key to Cilium, and which of two values stays is chance; both are asked for here.
    exact = [(key if ":" in key else f"any:{key}", value) for key, value in selector["matchLabels"].items()]
    pin = f"k8s:{NAMESPACE}"
    # AddMatch puts the policy's namespace in the place of what matchLabels say under this very key.
    several = [(key, "In", [value]) for key, value in exact if not (pinned and key == pin)]
    for one in selector["matchExpressions"]:
        key = one["key"] if ":" in one["key"] else f"any:{one['key']}"
        several.append((key, one["operator"], one["values"]))
    named = {key for key, _, _ in several}
    if pinned:
        several.append((f"k8s:{NAMESPACE}", "In", [namespace]))
    elif not named & {f"k8s:{NAMESPACE}", f"any:{NAMESPACE}"}:
        by_label = any(key.startswith((f"k8s:{LABELS}", f"any:{LABELS}")) for key in named)
        if not by_label:
            several.append((f"k8s:{NAMESPACE}", "In", [namespace]))
    return all(_holds(have, *one) for one in several)


def _holds(have: dict[str, str], key: str, operator: str, values: list[str]) -> bool:
    source, _, name = key.partition(":")
    value = have.get(f"k8s:{name}") if source in ("any", "k8s") else None
    match operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None


def ours(found: EndpointPeer, pod: Pod) -> bool:
    """What the parts say together."""
    labels, space, account = pod
    parts = (
        found.pods.matches(labels) and found.namespaces.matches(space) and found.accounts.matches({ACCOUNT: account})
    )
    return parts and not found.nobody


@given(selectors(), PODS)
def test_an_entry_matches_whom_cilium_matches(selector: Selector, pod: Pod) -> None:
    """However its keys are spelled."""
    assert ours(peer(selector), pod) == as_cilium(selector, "shop", pod)


@given(selectors(), PODS)
def test_a_subject_matches_whom_cilium_matches(selector: Selector, pod: Pod) -> None:
    """Within its own namespace, always."""
    found, marks = subject(selector, "shop", NOWHERE)
    assert not marks
    assert ours(found, pod) == as_cilium(selector, "shop", pod, pinned=True)
