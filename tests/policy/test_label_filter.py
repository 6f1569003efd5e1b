"""Which labels a plugin leaves out of identities, and what selectors make of the others."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outgate.model import Direction
from outgate.model.parse_cilium_selectors import is_kept
from outgate.policy import Policies
from outgate.policy.label_filter import CILIUM_LABELS, LabelFilter
from outgate.policy.profile import CILIUM
from outgate.testing import Manifest, pod, policy, snapshot_of
from tests.policy.asking import TOWN, Asked, ask

HIDDEN = [
    "kubernetes.io/metadata.name",
    "io.kubernetes.container.name",
    "k8s.io/cluster-service",
    "beta.kubernetes.io/arch",
    "failure-domain.beta.kubernetes.io/zone",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/controller-uid",
    "topology.kubernetes.io/zone",
    "pod-template-generation",
    "pod-template-hash",
    "controller-revision-hash",
    "controller-uid",
    "annotation.example",
    "etcd_node",
]
SHOWN = [
    "app",
    "k8s-app",
    "app.kubernetes.io/name",
    "app.kubernetes.io/component",
    "io.kubernetes.pod.namespace",
    "io.cilium.k8s.policy.serviceaccount",
    "batch.kubernetes.io/job-name",
    "apps.kubernetes.io/other",
    "my-pod-template-hash",
    "example.com/kubernetes.io",
    "xk8s.io/a",
    "job-name",
]


@pytest.mark.parametrize("key", HIDDEN)
def test_cilium_hides(key: str) -> None:
    """Each would make an identity of every pod, or says nothing about it."""
    assert CILIUM_LABELS.hides(key)


@pytest.mark.parametrize("key", SHOWN)
def test_cilium_shows(key: str) -> None:
    """Patterns hold from the start of the key, and a dot is a dot."""
    assert not CILIUM_LABELS.hides(key)


def test_longer_pattern_wins() -> None:
    """What keeps a key must match more of it than the shortest that leaves it out; a draw leaves it out."""
    one = LabelFilter(hidden=("a", "abcd"), shown=("ab",))
    assert not one.hides("abcd")
    assert one.hides("ax")
    assert LabelFilter(hidden=("ab",), shown=("ab",)).hides("abc")
    assert not LabelFilter(hidden=("b",)).hides("ab")


@given(
    st.lists(st.sampled_from([*HIDDEN, *SHOWN, "io.cilium.k8s.namespace.labels.", "-", "/x"]), min_size=1, max_size=3)
)
@example(["io.kubernetes.pod.namespace", "beta.kubernetes.io/arch"])
def test_policies_of_ciliums_leave_out_the_same(parts: list[str]) -> None:
    """`is_kept` reads selectors of Cilium's own policies, `CILIUM_LABELS` those of the others under its profile."""
    key = "".join(parts)
    assert is_kept(key) is not CILIUM_LABELS.hides(key)


def test_labels_without_hidden_ones_are_not_copied() -> None:
    """It is asked of every kind of pod."""
    labels = {"app": "web"}
    assert CILIUM_LABELS.visible(labels) is labels
    assert CILIUM_LABELS.visible({}) == {}
    assert CILIUM_LABELS.visible({"app": "web", "controller-uid": "1"}) == labels


KEY = "statefulset.kubernetes.io/pod-name"


def to(operator: str, *values: str) -> Manifest:
    """A policy of shop to pods with a requirement on the hidden label."""
    requirement = {"key": KEY, "operator": operator, **({"values": list(values)} if values else {})}
    peer = {"namespaceSelector": {}, "podSelector": {"matchExpressions": [requirement]}}
    return policy("shop/p", {"policyTypes": ["Egress"], "egress": [{"to": [peer]}]})


@pytest.mark.parametrize(
    ("rule", "ours", "theirs"),
    [
        (to("In", "set-0"), True, False),
        (to("Exists"), True, False),
        (to("NotIn", "set-0"), False, True),
        (to("DoesNotExist"), False, True),
    ],
    ids=["In", "Exists", "NotIn", "DoesNotExist"],
)
def test_operators_on_a_hidden_label(rule: Manifest, ours: bool, theirs: bool) -> None:
    """C3: to a selector the label is not there, whatever the object says."""
    member = pod("data/set-0", ["10.1.1.30"], on="n2", labels={"app": "set", KEY: "set-0"})
    snapshot = snapshot_of([*TOWN, member, rule])
    asked = Asked("shop/web", "data/set-0", port=1)
    assert ask(snapshot, asked).verdict.allows == ours
    assert ask(snapshot, asked, CILIUM).verdict.allows == theirs


def test_subjects_are_selected_by_visible_labels_too() -> None:
    """A policy for one member of a StatefulSet selects nobody."""
    member = pod("data/set-0", ["10.1.1.30"], on="n2", labels={"app": "set", KEY: "set-0"})
    mine = policy("data/p", {"podSelector": {"matchLabels": {KEY: "set-0"}}, "policyTypes": ["Egress"]})
    snapshot = snapshot_of([*TOWN, member, mine])
    found = snapshot.pod("data", "set-0")
    assert found is not None
    assert Policies(snapshot).selection.selecting(found, Direction.EGRESS)
    assert not Policies(snapshot, CILIUM).selection.selecting(found, Direction.EGRESS)


def test_pods_that_differ_in_hidden_labels_are_of_one_kind() -> None:
    """That is why the labels are hidden."""
    twins = [pod(f"data/set-{n}", [f"10.1.1.3{n}"], labels={"app": "set", KEY: f"set-{n}"}) for n in range(2)]
    snapshot = snapshot_of(twins)
    ours, theirs = Policies(snapshot).selection, Policies(snapshot, CILIUM).selection
    assert len({ours.kind_of(one) for one in snapshot.pods}) == 2
    assert len({theirs.kind_of(one) for one in snapshot.pods}) == 1


def test_labels_of_namespaces_are_kept() -> None:
    """They have a prefix of their own in an identity, so the filter does not meet them."""
    name = "kubernetes.io/metadata.name"
    rule = {"to": [{"namespaceSelector": {"matchLabels": {name: "data"}}}]}
    snapshot = snapshot_of([*TOWN, policy("shop/p", {"policyTypes": ["Egress"], "egress": [rule]})])
    assert ask(snapshot, Asked("shop/web", "data/db", port=1), CILIUM).verdict.allows
