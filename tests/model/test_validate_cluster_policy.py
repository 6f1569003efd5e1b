"""What the API server says of policies of the cluster: as it was recorded, and by the rules behind that."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from outgate.model.parse import Parsed, parse
from outgate.model.place import Document
from outgate.model.validate import server_message
from outgate.testing import cluster_policy
from tests.model.documents import parsed, refusals

Manifest = dict[str, Any]

NOTE = (
    "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
WORLD = {"networks": ["10.0.0.0/8"]}
DENY = {"action": "Deny", "to": [WORLD]}


def with_rule(**rule: object) -> Manifest:
    """A policy with one rule for egress, which denies 10.0.0.0/8 unless more is said."""
    return cluster_policy("p", egress=[{**DENY, **rule}])


def with_spec(**spec: object) -> Manifest:
    """A policy with some fields of its spec set, or taken out by None."""
    made = cluster_policy("p", egress=[DENY])
    made["spec"] = {name: one for name, one in {**made["spec"], **spec}.items() if one is not None}
    return made


def old(kind: str = "AdminNetworkPolicy", name: str = "p", *, rule: Manifest | None = None, **spec: object) -> Manifest:
    """A policy of v1alpha1."""
    fields: Manifest = {"subject": {"namespaces": {}}, **spec}
    if kind == "AdminNetworkPolicy":
        fields.setdefault("priority", 5)
    if rule is not None:
        fields["egress"] = [{"action": "Deny", "to": [WORLD], **rule}]
    version = "policy.networking.k8s.io/v1alpha1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": fields}


def newer(**rule: object) -> Manifest:
    """The same as `with_rule` makes, of v1beta1."""
    return {**with_rule(**rule), "apiVersion": "policy.networking.k8s.io/v1beta1"}


def test_the_version_after_v1alpha2() -> None:
    """v1beta1: "isCIDR(self) && cidr(self) == cidr(self).masked()", and a name begins with a letter or a digit."""
    assert parsed(newer()).snapshot.cluster_policies[0].api_version == "policy.networking.k8s.io/v1beta1"
    path = "spec.egress[0].to[0]"
    for block, fault in (
        ("10.0.0.5/24", True),
        ("2001:db8::1/64", True),
        ("::ffff:10.0.0.0/104", True),
        ("10.0.0.0/24", False),
        ("10.0.0.5/32", False),
        ("2001:DB8::/32", False),
    ):
        said = refusals(newer(to=[{"networks": [block]}]))
        words = f'{path}.networks[0]: Invalid value: "{block}": Invalid CIDR format provided'
        assert said == ([words] if fault else []), block
    for name, fault in (("_dmarc.example.com", True), ("[x.example.com", True), ("*.Example.com.", False)):
        said = refusals(newer(action="Accept", to=[{"domainNames": [name]}]))
        assert bool(said) is fault, name
        assert not refusals(with_rule(action="Accept", to=[{"domainNames": [name]}]))
    ports = {
        "protocols": [
            {"udp": {"destinationPort": {"range": {"start": 1, "end": 9}}}},
            {"tcp": {"destinationPort": {"number": 80}}},
        ]
    }
    (made,), (before,) = (parsed(one(**ports)).snapshot.cluster_policies for one in (newer, with_rule))
    assert (made.egress, made.tier, made.priority, made.subject) == (
        before.egress,
        before.tier,
        before.priority,
        before.subject,
    )
    # The rest is as before: of an older generation there is no such version.
    assert refusals(newer(protocols=[{"tcp": {}}])) == refusals(with_rule(protocols=[{"tcp": {}}]))
    (line,) = refusals({**old(), "apiVersion": "policy.networking.k8s.io/v1beta1"})
    assert line.endswith("it is a kind of policy.networking.k8s.io/v1alpha1")


def recorded(shared: Path) -> list[Manifest]:
    """The cases recorded from a real API server."""
    text = (shared / "conformance" / "apiserver_clusternetworkpolicy.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def answer(manifest: Manifest, found: Parsed) -> str:
    """The whole answer of the server."""
    kind = f"{manifest['kind']}.policy.networking.k8s.io"
    return server_message(kind, manifest["metadata"]["name"], found.errors, version="v1alpha2")


def test_every_recorded_case(shared: Path) -> None:
    """Accepted or refused as the server did, and in its words."""
    cases = recorded(shared)
    assert len(cases) > 40
    results = {case["case"]: parsed(case["manifest"]) for case in cases}
    accepted = {case["case"]: not results[case["case"]].errors for case in cases}
    assert accepted == {case["case"]: case["accepted"] for case in cases}
    refused = [case for case in cases if not case["accepted"]]
    mine = {case["case"]: answer(case["manifest"], results[case["case"]]) for case in refused}
    assert mine == {case["case"]: case["message"] for case in refused}


def test_every_accepted_case_means_what_the_server_stored(shared: Path) -> None:
    """What it stored, read again, is the same policy."""
    for case in recorded(shared):
        if case["accepted"]:
            stored = {**case["manifest"], "spec": case["stored_spec"]}
            written, kept = (parsed(one).snapshot.cluster_policies for one in (case["manifest"], stored))
            assert written == kept, case["case"]
            assert len(written) == 1


def test_the_invalid_cases_of_the_truth_table(shared: Path) -> None:
    """The hand-worked refusals of group B."""
    text = (shared / "conformance" / "truth_cases.yaml").read_text(encoding="utf-8")
    cases = [one for one in yaml.safe_load(text)["cases"] if one["group"] == "B" and one.get("expect") == "invalid"]
    assert len(cases) >= 8
    for case in cases:
        (policy,) = case["policies"]
        said = answer(policy, parsed(policy))
        assert all(words in said for words in case["errors"]), case["id"]


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (with_spec(tier=5), ['spec.tier: Invalid value: "integer": spec.tier in body must be of type string: "integer"',
                             'spec.tier: Unsupported value: 5: supported values: "Admin", "Baseline"', NOTE]),
        (with_spec(priority=-1),
         ["spec.priority: Invalid value: -1: spec.priority in body should be greater than or equal to 0"]),
        (with_spec(priority="5"),
         ['spec.priority: Invalid value: "string": spec.priority in body must be of type integer: "string"', NOTE]),
        (with_spec(priority=1.5),
         ['spec.priority: Invalid value: "float64": spec.priority in body must be of type int32: "float64"', NOTE]),
        (with_spec(priority=True),
         ['spec.priority: Invalid value: "": spec.priority in body must be of type int32: ""', NOTE]),
        ({**cluster_policy("p"), "spec": {}},
         ["spec.priority: Required value", "spec.subject: Required value", "spec.tier: Required value", NOTE]),
        ({**cluster_policy("p"), "spec": None}, ["spec: Required value", NOTE]),
        ({**cluster_policy("p"), "spec": []},
         ['spec: Invalid value: "array": spec in body must be of type object: "array"', NOTE]),
        (with_rule(action="Allow"),
         ['spec.egress[0].action: Unsupported value: "Allow": supported values: "Accept", "Deny", "Pass"', NOTE]),
        (with_rule(action=None), ["spec.egress[0].action: Required value", NOTE]),
        (with_rule(to=None), ["spec.egress[0].to: Required value", NOTE]),
        (with_rule(to=[None]),
         ['spec.egress[0].to[0]: Invalid value: "null": spec.egress[0].to[0] in body must be of type object: "null"',
          NOTE]),
        (with_rule(to=[{"networks": ["10.0.0.0/8", "10.0.0.5/8", "10.0.0.0/8"]}]),
         ['spec.egress[0].to[0].networks[2]: Duplicate value: "10.0.0.0/8"']),
        (with_rule(to=[{"networks": ["x", "x", "y"]}]),
         ['spec.egress[0].to[0].networks[1]: Duplicate value: "x"',
          *(f'spec.egress[0].to[0].networks[{i}]: Invalid value: "{one}": Invalid CIDR format provided'
            for i, one in enumerate("xxy"))]),
        (with_rule(to=[{"networks": ["0" * 44]}]),
         ["spec.egress[0].to[0].networks[0]: Too long: may not be more than 43 bytes", NOTE]),
        (with_rule(to=[{"domainNames": []}]),
         [("spec.egress[0].to[0].domainNames: Invalid value: 0: spec.egress[0].to[0].domainNames in body should have "
          "at least 1 items")]),
        (with_rule(protocols=[{"destinationNamedPort": "http"}]),
         [("spec.egress[0]: Invalid value: networks/nodes/domainNames peer cannot be set with namedPorts since there "
          "are no namedPorts for networks/nodes/domainNames")]),
        (with_rule(protocols=[{"tcp": {"destinationPort": {"number": 0}}}]),
         [("spec.egress[0].protocols[0].tcp.destinationPort.number: Invalid value: 0: "
          "spec.egress[0].protocols[0].tcp.destinationPort.number in body should be greater than or equal to 1")]),
        (with_rule(protocols=[{"tcp": {"destinationPort": {"range": {"start": 70000}}}}]),
         [("spec.egress[0].protocols[0].tcp.destinationPort.range.start: Invalid value: 70000: "
          "spec.egress[0].protocols[0].tcp.destinationPort.range.start in body should be less than or equal to 65535"),
          "spec.egress[0].protocols[0].tcp.destinationPort.range.end: Required value", NOTE]),
        (with_rule(to=[{"pods": {"podSelector": {"matchExpressions": [{"values": ["a"]}]}}}]),
         ["spec.egress[0].to[0].pods.podSelector.matchExpressions[0].key: Required value",
          "spec.egress[0].to[0].pods.podSelector.matchExpressions[0].operator: Required value", NOTE]),
        (with_rule(name="é" * 100), []),
        ({**cluster_policy("p"), "metadata": {}},
         ["metadata.name: Required value: name or generateName is required", NOTE]),
        ({**cluster_policy("p"), "metadata": {"generateName": "p-"}}, []),
        ({**cluster_policy("p"), "metadata": {"name": "p", "finalizers": ["mine"]}}, []),
        ({**cluster_policy("p"), "status": {"conditions": 5}}, []),
    ],
)  # fmt: skip
def test_what_was_not_recorded(manifest: Manifest, words: list[str]) -> None:
    """Reasoned from apiextensions' validation code: the order, the words, and when the rules are left out."""
    assert refusals(manifest) == words


def test_names_are_those_of_every_object() -> None:
    """A DNS subdomain, before what the schema says, and with the rules still checked."""
    manifest = {**with_rule(to=[{"networks": ["x"]}]), "metadata": {"name": "Bad_Name", "labels": {"a b": "c"}}}
    first, second, third = refusals(manifest)
    assert first.startswith('metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must')
    assert second.startswith('metadata.labels: Invalid value: "a b": name part must')
    assert third == 'spec.egress[0].to[0].networks[0]: Invalid value: "x": Invalid CIDR format provided'


def test_unknown_and_repeated_fields() -> None:
    """They are the answer alone: repeated ones as they come, metadata, then the rest sorted."""
    manifest = with_rule(to=[{"namespaces": {"sameLabels": ["a"]}}, {"extra": None}], action="Allow")
    manifest |= {"zz": 1, "metadata": {"name": "p", "whose": 1}}
    twice = {("spec", "tier"): 9, ("spec", "egress", 0, "to"): 7}
    found = parse([Document("x", manifest, repeated=twice)])
    assert [one.message.removeprefix("strict decoding error: ") for one in found.errors] == [
        'duplicate field "spec.egress[0].to"',
        'duplicate field "spec.tier"',
        'unknown field "metadata.whose"',
        'unknown field "spec.egress[0].to[0].namespaces.sameLabels"',
        'unknown field "spec.egress[0].to[1].extra"',
        'unknown field "zz"',
    ]
    assert [one.line for one in found.errors[:2]] == [7, 9]
    assert answer(manifest, found).startswith(
        'ClusterNetworkPolicy in version "v1alpha2" cannot be handled as a ClusterNetworkPolicy: '
        'strict decoding error: duplicate field "spec.egress[0].to", duplicate field "spec.tier", unknown'
    )


def test_ingress_has_pods_alone() -> None:
    """Networks are for egress."""
    manifest = cluster_policy("p", ingress=[{"action": "Deny", "from": [WORLD]}])
    assert refusals(manifest) == [
        'spec.ingress[0].from[0].networks: strict decoding error: unknown field "spec.ingress[0].from[0].networks"'
    ]


def test_metadata_of_the_wrong_type() -> None:
    """The server decodes it by itself, so the path of Go's field begins within it; nothing else is said."""
    manifest = {**with_spec(tier="x", unknown=1), "metadata": {"name": "p", "labels": {"a": 5}}}
    words = "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
    assert refusals(manifest) == [f"metadata.labels.a: {words}"]
    assert refusals({**cluster_policy("p"), "metadata": "p"}) == [
        "metadata: json: cannot unmarshal string into Go value of type v1.ObjectMeta"
    ]


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (old(), []),
        (old("BaselineAdminNetworkPolicy", "default"), []),
        (old("BaselineAdminNetworkPolicy", "other"),
         [('<nil>: Invalid value: Only one baseline admin network policy with metadata.name="default" can be created '
          "in the cluster")]),
        (old(rule={"action": "Accept"}),
         ['spec.egress[0].action: Unsupported value: "Accept": supported values: "Allow", "Deny", "Pass"', NOTE]),
        (old("BaselineAdminNetworkPolicy", "default", rule={"action": "Pass"}),
         ['spec.egress[0].action: Unsupported value: "Pass": supported values: "Allow", "Deny"', NOTE]),
        (old(rule={"ports": [{"portNumber": {"port": 53, "protocol": None}}, {"portNumber": {"port": 53}}]}), []),
        (old(rule={"ports": [{"portNumber": {}}]}), ["spec.egress[0].ports[0].portNumber.port: Required value", NOTE]),
        (old(rule={"ports": []}),
         ["spec.egress[0].ports: Invalid value: 0: spec.egress[0].ports in body should have at least 1 items"]),
        (old(rule={"ports": [{"namedPort": "http"}]}),
         [("spec.egress[0]: Invalid value: networks/nodes/domainNames peer cannot be set with namedPorts since there "
          "are no namedPorts for networks/nodes/domainNames")]),
        (old("BaselineAdminNetworkPolicy", "default", rule={"ports": [{"namedPort": "http"}]}),
         [("spec.egress[0]: Invalid value: networks/nodes peer cannot be set with namedPorts since there are no "
          "namedPorts for networks/nodes")]),
        (old(rule={"to": [{"networks": ["::ffff:10.0.0.0/104", "x"]}]}),
         [f'spec.egress[0].to[0].networks[{i}]: Invalid value: "{one}": CIDR must be either an IPv4 or IPv6 address. '
          "IPv4 address embedded in IPv6 addresses are not supported"
          for i, one in enumerate(("::ffff:10.0.0.0/104", "x"))]),
        (old(subject={"pods": {"podSelector": {}}}),
         ["spec.subject.pods.namespaceSelector: Required value", NOTE]),
        (old(rule={"protocols": []}),
         ['spec.egress[0].protocols: strict decoding error: unknown field "spec.egress[0].protocols"']),
    ],
)  # fmt: skip
def test_the_old_kinds(manifest: Manifest, words: list[str]) -> None:
    """AdminNetworkPolicy and BaselineAdminNetworkPolicy of v1alpha1."""
    assert refusals(manifest) == words


def test_a_word_of_the_other_version_is_pointed_out() -> None:
    """Beside the server's refusal: who copied a rule from one generation to the other sees why."""
    hint = "is a word of another version of this API: here it is"
    (new,) = parsed(with_rule(action="Allow")).warnings
    (other,) = parsed(old(rule={"action": "Accept"})).warnings
    assert (new.path, new.message) == ("spec.egress[0].action", f'"Allow" {hint} "Accept"')
    assert (other.path, other.message) == ("spec.egress[0].action", f'"Accept" {hint} "Allow"')


def test_a_namespace_is_dropped() -> None:
    """The server says nothing of it, and the object has none."""
    manifest = cluster_policy("p")
    manifest["metadata"]["namespace"] = "shop"
    found = parsed(manifest)
    assert found.errors == ()
    assert [one.message for one in found.warnings] == [
        "the server drops this: a ClusterNetworkPolicy belongs to the whole cluster"
    ]
    assert found.snapshot.cluster_policies[0].namespace == ""


def test_the_input_is_left_as_it_was() -> None:
    """Defaults and nulls are the reader's business."""
    manifest = old(rule={"ports": [{"portNumber": {"port": 53, "protocol": None}}], "name": None})
    before = copy.deepcopy(manifest)
    parse([Document("x", manifest)])
    assert manifest == before
