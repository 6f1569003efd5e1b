"""Policies of the cluster as objects: what each form means, and that what cannot be read closes and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model import (
    BlockPeer,
    ClusterPolicy,
    ClusterRule,
    Document,
    LabelSelector,
    NamePeer,
    NodePeer,
    Place,
    PodPeer,
    UnknownPeer,
)
from outgate.model.cluster_policy import BASELINE_PRIORITY
from outgate.model.cluster_policy_schemas import V1ALPHA1, V1ALPHA2
from outgate.model.labels import EVERYTHING
from outgate.model.objects import PolicyPort
from outgate.model.parse import Parsed, parse
from outgate.model.parse_cluster_policy import ReadClusterPolicy, read_cluster_policy
from outgate.model.validate_cidr import read_cidr
from outgate.testing import cluster_policies, old_cluster_policies
from tests.model.documents import parsed
from tests.model.test_validate_cluster_policy import old, with_rule, with_spec

Manifest = dict[str, Any]

A_IS_B = LabelSelector.of({"a": "b"})
SELECTS = {"matchLabels": {"a": "b"}}


def only(found: Parsed) -> ClusterPolicy:
    """The one policy, accepted."""
    assert found.errors == ()
    (policy,) = found.snapshot.cluster_policies
    return policy


def stored(manifest: Manifest) -> Parsed:
    """As a server holds it."""
    return parse([Document("x", copy.deepcopy(manifest), stored=True)])


def block(text: str) -> BlockPeer:
    """A peer by its addresses."""
    cidr = read_cidr(text)
    assert cidr is not None
    return BlockPeer(cidr)


@pytest.mark.parametrize(
    ("peer", "means"),
    [
        ({"namespaces": {}}, [PodPeer(EVERYTHING, EVERYTHING)]),
        ({"namespaces": SELECTS, "pods": None}, [PodPeer(EVERYTHING, A_IS_B)]),
        ({"pods": {"podSelector": SELECTS}}, [PodPeer(A_IS_B, EVERYTHING)]),
        ({"pods": {"podSelector": {}, "namespaceSelector": SELECTS}}, [PodPeer(EVERYTHING, A_IS_B)]),
        ({"nodes": SELECTS}, [NodePeer(A_IS_B)]),
        ({"networks": ["10.0.0.5/24", "::/0"]}, [block("10.0.0.0/24"), block("::/0")]),
        ({"domainNames": ["*.Example.com", "a.b."]}, [NamePeer(("*.Example.com", "a.b."))]),
    ],
)  # fmt: skip
def test_peers(peer: Manifest, means: list[object]) -> None:
    """Both selectors of a peer by pods are given; addresses are cut to their block; names stay as they are written."""
    found = parsed(with_rule(action="Accept", to=[peer]))
    assert list(only(found).egress[0].peers) == means
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("port", "means"),
    [
        ({"tcp": {"destinationPort": {"number": 80}}}, PolicyPort("TCP", 80)),
        ({"udp": {"destinationPort": {"range": {"start": 1, "end": 9}}}}, PolicyPort("UDP", 1, 9)),
        ({"sctp": {"destinationPort": {"number": 80.0}}}, PolicyPort("SCTP", 80)),
        ({"destinationNamedPort": "http"}, PolicyPort("", "http")),
    ],
)
def test_ports(port: Manifest, means: PolicyPort) -> None:
    """A name has no protocol: it is that of the container's port."""
    policy = only(parsed(with_rule(to=[{"namespaces": {}}], protocols=[port])))
    assert policy.egress[0].ports == (means,)
    assert only(parsed(with_rule())).egress[0].ports == ()


@pytest.mark.parametrize(
    ("port", "means"),
    [
        ({"portNumber": {"port": 80}}, PolicyPort("TCP", 80)),
        ({"portNumber": {"port": 80, "protocol": "UDP"}}, PolicyPort("UDP", 80)),
        ({"portRange": {"start": 5, "end": 5, "protocol": None}}, PolicyPort("TCP", 5, 5)),
        ({"namedPort": "http"}, PolicyPort("", "http")),
    ],
)
def test_ports_of_the_old_kinds(port: Manifest, means: PolicyPort) -> None:
    """Without a protocol it is TCP: "if not specified, this field defaults to TCP"."""
    assert only(parsed(old(rule={"to": [{"namespaces": {}}], "ports": [port]}))).egress[0].ports == (means,)


def test_the_old_kinds_have_the_new_words() -> None:
    """Allow is Accept; an AdminNetworkPolicy is of the Admin tier, the other of the Baseline tier and after all."""
    admin = only(parsed(old(rule={"action": "Allow"}, priority=7)))
    assert (admin.tier, admin.priority, admin.egress[0].action) == ("Admin", 7, "Accept")
    assert (admin.api_version, admin.kind) == (V1ALPHA1, "AdminNetworkPolicy")
    baseline = only(parsed(old("BaselineAdminNetworkPolicy", "default", rule={})))
    assert (baseline.tier, baseline.priority, baseline.egress[0].action) == ("Baseline", BASELINE_PRIORITY, "Deny")


def test_places_and_what_else_is_kept() -> None:
    """Every rule and peer says where it is; the whole text is there for who explains it."""
    manifest = with_rule(to=[{"networks": ["10.0.0.0/8", "::/0"]}], name="r")
    manifest["metadata"] |= {"annotations": {"a": "b"}, "uid": "u"}
    policy = only(parse([Document("f.yaml", manifest, locate=len)], stored=None))
    (rule,) = policy.egress
    assert (policy.uid, policy.annotations, rule.name) == ("u", {"a": "b"}, "r")
    assert [one.place.path for one in (policy, rule, policy.subject)] == ["", "spec.egress[0]", "spec.subject"]
    assert [one.place.path for one in rule.peers] == [f"spec.egress[0].to[0].networks[{i}]" for i in (0, 1)]
    assert (policy.place.file, rule.place.line) == ("f.yaml", 3)
    assert policy.place.document.whole() == manifest


@given(st.one_of(cluster_policies(names=True), old_cluster_policies(names=True)))
def test_stored_and_written_mean_the_same(manifest: Manifest) -> None:
    """Of what the server takes; and so does the object with everything that was null taken out."""
    written, held = parsed(manifest), stored(manifest)
    assert only(written) == only(held)
    assert (held.warnings, written.warnings) == ((), ())


UNKNOWN_PEERS: list[Manifest] = [
    {}, {"extra": 1}, {"extra": None}, {"namespaces": {}, "networks": ["10.0.0.0/8"]},
    {"namespaces": {"sameLabels": []}},
    {"namespaces": {"matchLabels": {}, "sameLabels": ["a"]}}, {"pods": {}}, {"pods": {"namespaceSelector": {}}},
    {"pods": {"podSelector": {}, "extra": {}}}, {"pods": {"podSelector": {"extra": 1}}}, {"namespaces": []},
    {"namespaces": {"matchLabels": {"a": 5}}}, {"namespaces": {"matchLabels": {"a b": "c"}}},
    {"nodes": {"matchExpressions": [{"key": "a", "operator": "Foo"}]}},
    {"nodes": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, {"nodes": 5},
    {"nodes": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}},
    {"networks": []}, {"networks": ["10.0.0.0/8", "10.0.0.1"]}, {"networks": ["::ffff:10.0.0.0/104"]},
    {"networks": [5]}, {"domainNames": []}, {"domainNames": [5]},
]  # fmt: skip


@pytest.mark.parametrize("peer", UNKNOWN_PEERS, ids=repr)
@pytest.mark.parametrize("action", ["Accept", "Deny", "Pass"])
def test_a_peer_that_is_not_known_closes_its_rule(peer: Manifest, action: str) -> None:
    """The object is used, the other peers are there, and the warning says what becomes of the rule."""
    found = stored(with_rule(action=action, to=[{"namespaces": {}}, peer]))
    known, unknown = only(found).egress[0].peers
    assert known == PodPeer(EVERYTHING, EVERYTHING)
    assert isinstance(unknown, UnknownPeer)
    assert unknown.place.path == "spec.egress[0].to[1]"
    (warning,) = found.warnings
    means = {
        "Accept": "as an Accept it matches nothing",
        "Deny": "as a Deny it denies everything",
        "Pass": "as a Pass it denies everything",
    }
    assert (warning.path, warning.message) == ("spec.egress[0].to[1]", unknown.words)
    assert warning.message.endswith(f"this rule fails closed, {means[action]}")


@pytest.mark.parametrize("action", ["Accept", "Deny", "Pass"])
def test_a_rule_with_a_field_that_is_not_known_is_closed(action: str) -> None:
    """What a newer server knows may narrow it: read without, an Accept would open more than was meant."""
    ports = [{"portNumber": {"port": 53}}]
    found = stored(with_rule(action=action, to=[{"namespaces": {}}], ports=ports))
    known, unknown = only(found).egress[0].peers
    assert (known, isinstance(unknown, UnknownPeer)) == (PodPeer(EVERYTHING, EVERYTHING), True)
    (warning,) = found.warnings
    assert warning.path == "spec.egress[0].ports"
    assert warning.message.startswith(
        'this rule is in no form that is known here (it has "ports"): this rule fails closed'
    )


@pytest.mark.parametrize(
    "port",
    [{}, {"icmp": {}}, {"tcp": {}}, {"tcp": {"flags": 1}}, {"tcp": {"destinationPort": {}}},
     {"tcp": {"destinationPort": {"range": {"start": 5}}}}, {"tcp": {"destinationPort": {"number": 0}}}, 5,
     {"udp": {"destinationPort": {"range": {"start": 5, "end": 4}}}}, {"udp": {"destinationPort": {"number": "http"}}},
     {"destinationNamedPort": ""}, {"tcp": {"destinationPort": {"number": 1}}, "udp": {}}],
    ids=repr,
)  # fmt: skip
def test_a_port_that_is_not_known_closes_its_rule(port: object) -> None:
    """Otherwise a rule that denies ICMP in a newer API would deny nothing here."""
    found = stored(with_rule(protocols=[{"tcp": {"destinationPort": {"number": 80}}}, port]))
    (rule,) = only(found).egress
    assert rule.ports == (PolicyPort("TCP", 80),)
    assert [type(one) for one in rule.peers] == [BlockPeer, UnknownPeer]
    assert [one.path for one in found.warnings] == ["spec.egress[0].protocols[1]"]


@pytest.mark.parametrize(
    "port",
    [{"portNumber": {"port": 1, "protocol": "ICMP"}}, {"portRange": {"start": 5, "end": 4}}, {"portNumber": {}},
     {"allPorts": True}, {"portNumber": {"port": 1, "endPort": 2}}, {"namedPort": 5}],
    ids=repr,
)  # fmt: skip
def test_old_ports_that_are_not_known(port: Manifest) -> None:
    """The definition takes any text for a protocol, and a range that goes backwards."""
    found = stored(old(rule={"ports": [port]}))
    assert [type(one) for one in only(found).egress[0].peers] == [BlockPeer, UnknownPeer]
    assert len(found.warnings) == 1


@pytest.mark.parametrize("subject", [None, {}, {"extra": {}}, {"nodes": {}}, {"namespaces": {"extra": 1}}, 5, []])
def test_a_subject_that_is_not_known(subject: object) -> None:
    """Kept, so that the engine can do with it what is prescribed."""
    found = stored(with_spec(subject=subject))
    assert isinstance(only(found).subject, UnknownPeer)
    assert [one.path for one in found.warnings] == ["spec.subject"]
    assert parsed(with_spec(subject=subject)).errors


def test_the_server_takes_selectors_that_nobody_can_use() -> None:
    """It checks their form alone. They are no error of the file, then, but the rule fails closed as everywhere."""
    found = parsed(with_rule(to=[{"namespaces": {"matchExpressions": [{"key": "a", "operator": "Foo"}]}}]))
    assert isinstance(only(found).egress[0].peers[0], UnknownPeer)
    (warning,) = found.warnings
    assert 'operator: Invalid value: "Foo": not a valid selector operator' in warning.message


@pytest.mark.parametrize("action", ["Deny", "Pass"])
def test_names_are_for_accepting(action: str) -> None:
    """The peer is kept as it is, with a warning; nothing else about the rule changes."""
    found = parsed(with_rule(action=action, to=[{"domainNames": ["a.b"]}, {"namespaces": {}}]))
    assert [type(one) for one in only(found).egress[0].peers] == [NamePeer, PodPeer]
    (warning,) = found.warnings
    assert warning.message == f"domainNames is supported in Accept rules alone: in this {action} it matches nothing"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"tier": "Platform"}, "spec.tier"), ({"tier": 5}, "spec.tier"), ({"tier": None}, "spec.tier"),
        ({"priority": "1"}, "spec.priority"), ({"priority": True}, "spec.priority"),
        ({"priority": 1 << 40}, "spec.priority"),
        ({"egress": {}}, "spec.egress"), ({"egress": [5]}, "spec.egress[0]"),
        ({"egress": [{"action": "Log", "to": [{"namespaces": {}}]}]}, "spec.egress[0].action"),
        ({"egress": [{"to": [{"namespaces": {}}]}]}, "spec.egress[0].action"),
    ],
)  # fmt: skip
def test_what_no_server_holds_is_set_apart(changes: Manifest, path: str) -> None:
    """With words of ours; it is not in the snapshot."""
    found = stored(with_spec(**changes))
    assert [one.path for one in found.errors] == [path]
    assert found.snapshot.cluster_policies == ()


def test_a_newer_priority_is_one() -> None:
    """What a server has let in is an order, even if ours would not have let it in."""
    assert only(stored(with_spec(priority=5000))).priority == 5000


def read(spec: object, *, new: bool = True) -> ReadClusterPolicy:
    """The object of a spec, whatever that is."""
    version, kind = (V1ALPHA2, "ClusterNetworkPolicy") if new else (V1ALPHA1, "AdminNetworkPolicy")
    return read_cluster_policy(version, kind, {"name": "p"}, spec, Place(Document("x", None)))


def test_a_broken_one_closes_within_what_can_be_read() -> None:
    """Its own subject, its own direction, at the front of the tier that nothing overrides."""
    closing = ("Deny", [UnknownPeer])
    made = read({"tier": "x", "priority": "y", "subject": {"namespaces": SELECTS}, "egress": 5}).policy
    assert (made.tier, made.priority, made.subject) == ("Admin", 0, PodPeer(EVERYTHING, A_IS_B))
    assert [(one.action, [*map(type, one.peers)]) for one in made.egress] == [closing]
    assert made.ingress == ()
    nothing = read(5).policy
    assert isinstance(nothing.subject, UnknownPeer)
    assert len(nothing.egress) == len(nothing.ingress) == 1
    assert read(None).policy.egress == ()


def places(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place below the top."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for step, one in pairs for place in ((*at, step), *places(one, (*at, step)))]


def closes(rule: ClusterRule) -> bool:
    """Whether a rule is one that fails closed."""
    return any(isinstance(peer, UnknownPeer) for peer in rule.peers)


JUNK: st.SearchStrategy[object] = st.sampled_from(
    ["", "x", 0, -1, True, [], {}, [5], {"a": 5}, {"x": None}, "10.0.0.0/99", 1e300, "Accept"]
)


@given(st.one_of(cluster_policies(names=True), old_cluster_policies(names=True)), st.data())
def test_no_part_is_ever_lost(manifest: Manifest, data: st.DataObject) -> None:
    """One value is replaced by nonsense: either that is said, or it makes no difference where nobody looks.

    A rule is as it was, or closes, or has another value that is good as well. It is never gone while its list is one.
    """
    spec = manifest["spec"]
    before = read(spec, new=manifest["kind"] == "ClusterNetworkPolicy").policy
    path = data.draw(st.sampled_from(places(spec)))
    changed = copy.deepcopy(spec)
    here: Any = changed
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = data.draw(JUNK)
    found = read(changed, new=manifest["kind"] == "ClusterNetworkPolicy")
    for section in ("egress", "ingress"):
        rules, old_rules = getattr(found.policy, section), getattr(before, section)
        if isinstance(changed.get(section), list):
            assert len(rules) == len(changed[section])
        elif changed.get(section) is not None:
            assert [closes(one) for one in rules] == [True]
        for i, (one, other) in enumerate(zip(rules, old_rules, strict=False)):
            assert one == other or closes(one) or path[:2] == (section, i) or path == (section,)
    unknown = [one for one in (*found.policy.egress, *found.policy.ingress) if closes(one)]
    if unknown or isinstance(found.policy.subject, UnknownPeer):
        assert found.broken or found.unknown
