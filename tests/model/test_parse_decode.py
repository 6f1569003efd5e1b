"""Decoding says what the API server says of a value of the wrong type, and which of several it says it of."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.model.parse_decode import STRICT_PREFIX, decode, number_text, plain_type
from outgate.model.parse_shapes import NETWORK_POLICY, OBJECTS
from outgate.model.place import Path
from tests.model.documents import egress, parsed, policy, refusals

POD = OBJECTS["v1", "Pod"]


def wrong(value: dict[str, Any]) -> str:
    """The one thing that a policy cannot be decoded for, without the words that all share."""
    (error,) = parsed(value).errors
    return error.message.replace("json: cannot unmarshal ", "").replace(" into Go struct field ", " > ")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (policy("x"), "string > NetworkPolicy.spec of type v1.NetworkPolicySpec"),
        (policy([]), "array > NetworkPolicy.spec of type v1.NetworkPolicySpec"),
        ({**policy(), "metadata": 5}, "number > NetworkPolicy.metadata of type v1.ObjectMeta"),
        (policy(labels={"a": 1}), "number > ObjectMeta.metadata.labels of type string"),
        (policy(labels=["a"]), "array > ObjectMeta.metadata.labels of type map[string]string"),
        (policy(annotations={"a": True}), "bool > ObjectMeta.metadata.annotations of type string"),
        (policy(uid=1), "number > ObjectMeta.metadata.uid of type types.UID"),
        (policy(generation="1"), "string > ObjectMeta.metadata.generation of type int64"),
        (policy(ownerReferences={}), "object > ObjectMeta.metadata.ownerReferences of type []v1.OwnerReference"),
        (policy(ownerReferences=[{"controller": "y"}]), ("string > OwnerReference.metadata.ownerReferences.controller"
         " of type bool")),
        (policy(finalizers="x"), "string > ObjectMeta.metadata.finalizers of type []string"),
        (policy(finalizers=[1]), "number > ObjectMeta.metadata.finalizers of type string"),
        (policy({"podSelector": "x"}), "string > NetworkPolicySpec.spec.podSelector of type v1.LabelSelector"),
        (policy({"podSelector": {"matchExpressions": [{"operator": 1}]}}),
         ("number > LabelSelectorRequirement.spec.podSelector.matchExpressions.operator of type"
         " v1.LabelSelectorOperator")),
        (policy({"policyTypes": "Egress"}), "string > NetworkPolicySpec.spec.policyTypes of type []v1.PolicyType"),
        (policy({"policyTypes": [True]}), "bool > NetworkPolicySpec.spec.policyTypes of type v1.PolicyType"),
        (policy({"ingress": {}}), "object > NetworkPolicySpec.spec.ingress of type []v1.NetworkPolicyIngressRule"),
        (egress("x"), "string > NetworkPolicySpec.spec.egress of type v1.NetworkPolicyEgressRule"),
        (egress({"to": {}}), "object > NetworkPolicyEgressRule.spec.egress.to of type []v1.NetworkPolicyPeer"),
        (egress({"to": [[]]}), "array > NetworkPolicyEgressRule.spec.egress.to of type v1.NetworkPolicyPeer"),
        (egress({"to": [{"ipBlock": "10.0.0.0/8"}]}), ("string > NetworkPolicyPeer.spec.egress.to.ipBlock of type"
         " v1.IPBlock")),
        (egress({"to": [{"ipBlock": {"except": "x"}}]}), ("string > IPBlock.spec.egress.to.ipBlock.except of type"
         " []string")),
        (egress({"ports": [{"port": 3000000000}]}), ("number 3000000000 > NetworkPolicyPort.spec.egress.ports.port of"
         " type int32")),
        (egress({"ports": [{"port": {}}]}), "object > NetworkPolicyPort.spec.egress.ports.port of type int32"),
        (egress({"ports": [{"port": []}]}), "array > NetworkPolicyPort.spec.egress.ports.port of type int32"),
        (egress({"ports": [{"endPort": "80"}]}), "string > NetworkPolicyPort.spec.egress.ports.endPort of type int32"),
        (egress({"ports": [{"endPort": 1.5}]}), ("number 1.5 > NetworkPolicyPort.spec.egress.ports.endPort of type"
         " int32")),
        (egress({"ports": [{"endPort": -(2**31) - 1}]}),
         "number -2147483649 > NetworkPolicyPort.spec.egress.ports.endPort of type int32"),
        (egress({"ports": [{"endPort": 1e21}]}), ("number 1e+21 > NetworkPolicyPort.spec.egress.ports.endPort of type"
         " int32")),
    ],
)  # fmt: skip
def test_wrong_types_are_named_as_go_names_them(value: dict[str, Any], expected: str) -> None:
    """The server names the JSON kind, the innermost struct, the dotted path and Go's type; ours must be the same."""
    assert wrong(value) == expected


@pytest.mark.parametrize(
    ("time", "problem"),
    [
        ("2024-01-02T03:04:05Z", ""),
        ("2024-01-02T03:04:05.123+02:00", ""),
        ("abc", 'cannot parse "abc" as "2006"'),
        ("2024-01-02", 'cannot parse "" as "T"'),
        ("2024-01-02 03:04:05Z", 'cannot parse " 03:04:05Z" as "T"'),
    ],
)
def test_times(time: str, problem: str) -> None:
    """A creationTimestamp that Go cannot parse is refused with Go's words, and null is none at all."""
    expected = [f'metadata.creationTimestamp: parsing time "{time}" as "2006-01-02T15:04:05Z07:00": {problem}']
    assert refusals(policy(creationTimestamp=time)) == (expected if problem else [])
    assert refusals(policy(creationTimestamp=None)) == []


def test_only_the_first_wrong_type_is_said() -> None:
    """The server stops explaining at the first; two errors would be an invention."""
    assert wrong(policy({"ingress": 1, "egress": 2})).startswith("number > NetworkPolicySpec.spec.ingress")


def test_a_type_that_decodes_itself_speaks_over_an_earlier_error() -> None:
    """IntOrString ends the decoding at once, so its error is the answer although another came before."""
    value = policy({"podSelector": "x", "egress": [{"ports": [{"port": True}]}]})
    assert wrong(value) == "bool > NetworkPolicyPort.spec.egress.ports.port of type int32"


def test_a_wrong_type_hides_unknown_fields_and_validation() -> None:
    """An object that cannot be decoded is not judged further."""
    value = egress({"too": [], "to": [{}], "ports": 5})
    assert wrong(value).startswith("number > NetworkPolicyEgressRule.spec.egress.ports")


def test_unknown_fields_come_all_at_once() -> None:
    """Each unknown field is named with its indices, in the order of the text; what lies below it is not looked at."""
    value = {**policy({"egresss": {"deep": 1}, "egress": [{"too": 1, "to": [{"podselector": {}}]}]}), "status": {}}
    assert [line.partition(": ")[2] for line in refusals(value)] == [
        'strict decoding error: unknown field "spec.egresss"',
        'strict decoding error: unknown field "spec.egress[0].too"',
        'strict decoding error: unknown field "spec.egress[0].to[0].podselector"',
        'strict decoding error: unknown field "status"',
    ]


def test_unknown_fields_end_at_a_hundred() -> None:
    """The server names no more than a hundred; a thousand typing mistakes are no use to anybody."""
    assert len(refusals(policy({f"x{i}": 1 for i in range(150)}))) == 100


def test_repeated_fields_are_strict_errors_where_they_are_known() -> None:
    """A key given twice is refused; within an unknown field nobody looks."""
    repeated: dict[Path, int] = {("spec", "egress"): 9, ("x", "y"): 3, ("metadata", "labels", "a"): 4}
    value = policy({"egress": []}, labels={"a": ""}) | {"x": {"y": 1}}
    found = decode(value, NETWORK_POLICY, strict=True, repeated=repeated).strict
    assert [flaw.message.removeprefix(STRICT_PREFIX) for flaw in found] == [
        'duplicate field "metadata.labels.a"',
        'duplicate field "spec.egress"',
        'unknown field "x"',
    ]


def test_without_strictness_unknown_fields_are_dropped() -> None:
    """A live object of a newer server has fields that we do not know, and is no worse for it."""
    raw = {"spec": {"hostNetwork": True, "colour": "red"}, "metadata": {"labels": {"a": None}, "name": None}}
    found = decode(raw, POD, strict=False, repeated={})
    assert (found.value, found.wrong, found.strict) == (
        {"metadata": {"labels": {"a": ""}}, "spec": {"hostNetwork": True}},
        None,
        (),
    )


def test_the_fast_way_and_the_slow_way_agree() -> None:
    """A null sends an object the slow way round; what comes out must not depend on the way."""
    fast = egress({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 80.0, "protocol": "TCP"}]})
    slow = {**fast, "metadata": {**fast["metadata"], "labels": None}}
    results = [decode(one, NETWORK_POLICY, strict=True, repeated={}) for one in (fast, slow)]
    assert results[0].value == results[1].value
    assert results[0].value["spec"]["egress"][0]["ports"] == [{"port": 80, "protocol": "TCP"}]
    assert not any(one.wrong or one.strict for one in results)
    assert plain_type(NETWORK_POLICY) is plain_type(NETWORK_POLICY)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (80, "80"), (80.0, "80"), (80.5, "80.5"), (-0.5, "-0.5"), (1e20, "100000000000000000000"), (1e21, "1e+21"),
        (1.5e300, "1.5e+300"), (1e-6, "0.000001"), (1e-7, "1e-7"), (1.25e-10, "1.25e-10"), (0.0, "0"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_go_writes_them(number: float, text: str) -> None:
    """The number stands in the server's message, so its spelling matters."""
    assert number_text(number) == text
