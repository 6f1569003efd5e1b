"""What the API server says of a NetworkPolicy: every recorded case, and the corners that the records leave out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from outgate.errors import InputError
from outgate.model import Direction
from outgate.model.validate import (
    identity_flaws,
    label_flaws,
    network_policy_flaws,
    network_policy_warnings,
    server_message,
    wrong_version,
)
from tests.model.documents import egress, parsed, policy, refusals

KIND = "NetworkPolicy.networking.k8s.io"
NAME_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
FINALIZER_WORDS = "name is neither a standard finalizer name nor is it fully qualified"


def recorded(shared: Path) -> list[dict[str, Any]]:
    """The cases recorded from a real API server."""
    text = (shared / "conformance" / "apiserver_networkpolicy.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_every_recorded_case_is_accepted_or_refused_as_the_server_did(shared: Path) -> None:
    """A policy that the server takes and we refuse, or the other way round, makes every later answer wrong."""
    cases = recorded(shared)
    assert len(cases) > 80
    mine = {case["case"]: not parsed(case["manifest"]).errors for case in cases}
    assert mine == {case["case"]: case["accepted"] for case in cases}


def test_every_recorded_refusal_is_in_the_servers_words(shared: Path) -> None:
    """A paraphrase cannot be searched for, and a reader who compares with kubectl loses trust."""
    refused = [case for case in recorded(shared) if not case["accepted"]]
    mine = {
        case["case"]: server_message(KIND, case["manifest"]["metadata"]["name"], parsed(case["manifest"]).errors)
        for case in refused
    }
    assert mine == {case["case"]: case["message"] for case in refused}


def test_every_recorded_cause_is_an_error_with_its_path(shared: Path) -> None:
    """A path that differs from the server's points a reader at another field."""
    refused = [case for case in recorded(shared) if case.get("causes")]
    assert refused
    mine = {case["case"]: [(one.path, one.message) for one in parsed(case["manifest"]).errors] for case in refused}
    assert mine == {case["case"]: [(one["field"], one["message"]) for one in case["causes"]] for case in refused}


def test_every_accepted_case_means_what_the_server_stored(shared: Path) -> None:
    """Our defaulting must be the server's: what it stored, read again, is the same policy."""
    for case in recorded(shared):
        if case["accepted"]:
            stored = {**case["manifest"], "spec": case["stored_spec"]}
            (written,), (kept,) = parsed(case["manifest"]).snapshot.policies, parsed(stored).snapshot.policies
            assert written == kept, case["case"]
            assert {one.value for one in written.types} == set(case["stored_spec"]["policyTypes"]), case["case"]


def test_the_invalid_cases_of_the_truth_table(shared: Path) -> None:
    """The hand-worked refusals of group A must come out letter by letter."""
    text = (shared / "conformance" / "truth_cases.yaml").read_text(encoding="utf-8")
    cases = [one for one in yaml.safe_load(text)["cases"] if one["group"] == "A" and one.get("expect") == "invalid"]
    assert len(cases) > 10
    for case in cases:
        assert refusals(case["policies"][0]) == case["errors"], case["id"]


def test_errors_come_in_the_servers_order() -> None:
    """Metadata, selector, ingress, egress, types; ports before peers. Ingress first is the server's order, not ours."""
    value = policy(
        {
            "policyTypes": ["x"],
            "egress": [{"to": [{}], "ports": [{"port": 0}]}],
            "ingress": [{"from": [{}], "ports": [{"port": 0}]}],
            "podSelector": {"matchExpressions": [{"key": "a", "operator": "No"}]},
        },
        name="A",
        labels={"-": ""},
    )
    assert [line.partition(": ")[0] for line in refusals(value)] == [
        "metadata.name",
        "metadata.labels",
        "spec.podSelector.matchExpressions[0].operator",
        "spec.ingress[0].ports[0].port",
        "spec.ingress[0].from[0]",
        "spec.egress[0].ports[0].port",
        "spec.egress[0].to[0]",
        "spec.policyTypes[0]",
    ]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"name": ""}, ["metadata.name: Required value: name or generateName is required"]),
        ({"name": "Web"}, [f'metadata.name: Invalid value: "Web": {SUBDOMAIN_WORDS}']),
        ({"name": "a..b"}, [f'metadata.name: Invalid value: "a..b": {SUBDOMAIN_WORDS}']),
        ({"name": "web\n"}, [f'metadata.name: Invalid value: "web\\n": {SUBDOMAIN_WORDS}']),
        ({"name": "a" * 254}, [f'metadata.name: Invalid value: "{"a" * 254}": must be no more than 253 bytes']),
        ({"name": "ü"}, [f'metadata.name: Invalid value: "ü": {SUBDOMAIN_WORDS}']),
        ({"name": "", "generateName": "web-"}, []),
        ({"name": "", "generateName": "-"}, [f'metadata.generateName: Invalid value: "-": {SUBDOMAIN_WORDS}']),
        ({"namespace": "a.b"}, ['metadata.namespace: Invalid value: "a.b": must not contain dots']),
        ({"namespace": "A"}, [f'metadata.namespace: Invalid value: "A": {LABEL_WORDS}']),
        ({"namespace": "a" * 64}, [f'metadata.namespace: Invalid value: "{"a" * 64}": must be no more than 63 bytes']),
        ({"labels": {"a/b/c": ""}}, None),
        ({"labels": {"": ""}}, None),
        ({"labels": {"a": "b c"}}, [f'metadata.labels: Invalid value: "b c": {VALUE_WORDS}']),
        ({"annotations": {"A/b": "any thing"}}, []),
        ({"annotations": {"a b": ""}}, [f'metadata.annotations: Invalid value: "a b": {NAME_WORDS}']),
        ({"annotations": {"a": "x" * 262143}}, []),
        (
            {"annotations": {"a": "x" * 262144}},
            ["metadata.annotations: Too long: may not be more than 262144 bytes"],
        ),
        ({"finalizers": ["kubernetes", "orphan", "example.com/hold"]}, []),
        (
            {"finalizers": ["a b", "hold"]},
            [
                f'metadata.finalizers: Invalid value: "a b": {NAME_WORDS}',
                f'metadata.finalizers[0]: Invalid value: "a b": {FINALIZER_WORDS}',
                f'metadata.finalizers[1]: Invalid value: "hold": {FINALIZER_WORDS}',
            ],
        ),
        (
            {"finalizers": ["orphan", "foregroundDeletion"]},
            [
                (
                    'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: '
                    "finalizer orphan and foregroundDeletion cannot be both set"
                )
            ],
        ),
    ],
)
def test_metadata(metadata: dict[str, Any], expected: list[str] | None) -> None:
    """Names, labels and annotations are refused in the server's words, and what only looks odd is let in."""
    found = refusals(policy(**metadata))
    assert found == expected if expected is not None else len(found) == 1 + ("" in metadata["labels"])


def test_key_with_two_slashes_and_empty_key() -> None:
    """Two slashes get one error of their own kind; an empty name gets two, as the server gives them."""
    (two,) = refusals(policy(labels={"a/b/c": ""}))
    assert two.startswith('metadata.labels: Invalid value: "a/b/c": a valid label key must consist of alphanumeric')
    assert two.endswith("with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")
    assert refusals(policy(labels={"": ""})) == [
        'metadata.labels: Invalid value: "": name part must be non-empty',
        f'metadata.labels: Invalid value: "": {NAME_WORDS}',
    ]


def test_owner_references() -> None:
    """Every gap of an owner reference is named, without an index, as the server does it."""
    full = {"apiVersion": "apps/v1", "kind": "X", "name": "n", "uid": "u", "controller": True}
    assert refusals(policy(ownerReferences=[full])) == []
    assert refusals(policy(ownerReferences=[{}])) == [
        'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty',
        'metadata.ownerReferences.kind: Invalid value: "": must not be empty',
        'metadata.ownerReferences.name: Invalid value: "": must not be empty',
        'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
    ]
    (two,) = refusals(policy(ownerReferences=[full, {**full, "kind": "Y"}]))
    assert two.endswith(
        '"uid":"u","controller":true}]: Only one reference can have Controller set to true. '
        'Found "true" in references for X/n and Y/n'
    )
    (event,) = refusals(policy(ownerReferences=[{**full, "apiVersion": "v1", "kind": "Event"}]))
    assert event.endswith("/v1, Kind=Event is disallowed from being an owner")


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"protocol": ""}, ['.protocol: Unsupported value: "": supported values: "TCP", "UDP", "SCTP"']),
        ({"protocol": "<&>"}, [('.protocol: Unsupported value: "\\u003c\\u0026\\u003e": supported values: "TCP", "UDP",'
                               ' "SCTP"')]),
        ({"port": 1, "endPort": 0}, [".endPort: Invalid value: 1: must be greater than or equal to `port`",
                                     ".endPort: Invalid value: 0: must be between 1 and 65535, inclusive"]),
        ({"port": 70000, "endPort": 70001}, [".port: Invalid value: 70000: must be between 1 and 65535, inclusive",
                                             ".endPort: Invalid value: 70001: must be between 1 and 65535, inclusive"]),
        ({"port": "-A--", "endPort": 7}, [
            ".endPort: Invalid value: 7: may not be specified when `port` is non-numeric",
            '.port: Invalid value: "-A--": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
            '.port: Invalid value: "-A--": must contain at least one letter (a-z)',
            '.port: Invalid value: "-A--": must not contain consecutive hyphens',
            '.port: Invalid value: "-A--": must not begin or end with a hyphen']),
        ({"port": None, "endPort": None, "protocol": None}, []),
    ],
)  # fmt: skip
def test_ports(port: dict[str, Any], expected: list[str]) -> None:
    """Every rule about a port speaks for itself, and all that are broken speak."""
    for section, value in (
        ("egress", egress({"ports": [port]})),
        ("ingress", policy({"ingress": [{"ports": [port]}]})),
    ):
        assert refusals(value) == [f"spec.{section}[0].ports[0]{words}" for words in expected]


def test_selectors_of_a_peer_speak_before_the_peer_does() -> None:
    """A peer may be wrong in its parts and as a whole; the parts come first, in the order of the fields."""
    bad = {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}
    value = egress({"to": [{"ipBlock": {}, "namespaceSelector": bad, "podSelector": bad}]})
    words = "matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
    assert refusals(value) == [
        f"spec.egress[0].to[0].podSelector.{words}",
        f"spec.egress[0].to[0].namespaceSelector.{words}",
        "spec.egress[0].to[0].ipBlock.cidr: Required value",
        "spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer",
    ]


def test_requirement_without_key_and_operator() -> None:
    """An empty requirement lacks an operator and a key; the server says both."""
    found = refusals(policy({"podSelector": {"matchExpressions": [{"values": ["-"]}]}}))
    at = "spec.podSelector.matchExpressions[0]"
    assert found == [
        f'{at}.operator: Invalid value: "": not a valid selector operator',
        f'{at}.key: Invalid value: "": name part must be non-empty',
        f'{at}.key: Invalid value: "": {NAME_WORDS}',
        f'{at}.values[0]: Invalid value: "-": {VALUE_WORDS}',
    ]


def test_nulls_in_lists_are_empty_values() -> None:
    """A null rule allows everything and a null peer is no peer: reading either as absent would hide it."""
    (rule,) = parsed(egress(None)).snapshot.policies[0].egress
    assert (rule.peers, rule.ports) == ((), ())
    assert refusals(egress({"to": [None]})) == ["spec.egress[0].to[0]: Required value: must specify a peer"]
    assert refusals(policy({"policyTypes": [None]})) == [
        'spec.policyTypes[0]: Unsupported value: "": supported values: "Ingress", "Egress"'
    ]


def test_exceptions_are_judged_although_the_block_is_sloppy() -> None:
    """The server reads a sloppy block before it refuses it, and judges the exceptions against it."""
    block = {"cidr": "010.0.0.0/8", "except": ["10.1.0.1/16", "11.0.0.1/16", "x"]}
    assert refusals(egress({"to": [{"ipBlock": block}]})) == [
        (
            'spec.egress[0].to[0].ipBlock.cidr: Invalid value: "010.0.0.0/8": '
            "must not have leading 0s in IP or prefix length"
        ),
        (
            'spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "10.1.0.1/16": '
            "must not have bits set beyond the prefix length"
        ),
        (
            'spec.egress[0].to[0].ipBlock.except[1]: Invalid value: "11.0.0.1/16": '
            "must not have bits set beyond the prefix length"
        ),
        'spec.egress[0].to[0].ipBlock.except[1]: Invalid value: "11.0.0.1/16": must be a strict subset of `cidr`',
        (
            'spec.egress[0].to[0].ipBlock.except[2]: Invalid value: "x": '
            "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
        ),
    ]


def test_a_stored_policy_keeps_what_older_rules_let_in() -> None:
    """A live object with a sloppy block is read as the server reads it, not refused."""
    value = egress({"to": [{"ipBlock": {"cidr": "010.1.2.3/8"}}], "colour": "red"})
    assert refusals(value)
    (kept,) = parsed(value, stored=True).snapshot.policies
    assert str(kept.egress[0].peers[0].cidr) == "10.0.0.0/8"  # type: ignore[union-attr]  # it is a block
    assert refusals(egress({"to": [{"ipBlock": {"cidr": "ten"}}]}), stored=True)


def test_warning_for_an_unusual_spelling_of_ipv6() -> None:
    """The server accepts such a block and says so; silence would hide that two spellings are one block."""
    value = egress({"to": [{"ipBlock": {"cidr": "2001:DB8::0/32", "except": ["2001:db8:0::/48"]}}]})
    result = parsed(value)
    assert not result.errors
    assert [f"{one.path}: {one.message}" for one in result.warnings] == [
        (
            'spec.egress[0].to[0].ipBlock.cidr: IPv6 CIDR value "2001:DB8::0/32" should be in RFC 5952 canonical '
            'format ("2001:db8::/32")'
        ),
        (
            'spec.egress[0].to[0].ipBlock.except[0]: IPv6 CIDR value "2001:db8:0::/48" should be in RFC 5952 canonical '
            'format ("2001:db8::/48")'
        ),
    ]


def test_message_of_several_errors_says_each_once() -> None:
    """The server lists equal errors once in its message, in brackets where there are several."""
    one = InputError("f", 1, "spec.a", "Required value")
    other = InputError("f", 2, "spec.b", "Required value")
    assert server_message(KIND, "x", [one, one]) == f'{KIND} "x" is invalid: spec.a: Required value'
    assert server_message(KIND, "x", [one, other, one]) == (
        f'{KIND} "x" is invalid: [spec.a: Required value, spec.b: Required value]'
    )
    strict = [InputError("f", 1, "a", f'strict decoding error: unknown field "{name}"') for name in "ab"]
    assert server_message(KIND, "x", strict) == (
        'NetworkPolicy in version "v1" cannot be handled as a NetworkPolicy: '
        'strict decoding error: unknown field "a", unknown field "b"'
    )
    assert server_message(KIND, "x", [InputError("f", 1, "apiVersion", wrong_version("a/b"))]) == wrong_version("a/b")
    unknown = 'no matches for kind "networkpolicy" in version "networking.k8s.io/v1"'
    assert server_message("networkpolicy.networking.k8s.io", "x", [InputError("f", 1, "kind", unknown)]) == unknown
    twice = InputError("f", 1, "kind", 'strict decoding error: duplicate field "kind"')
    assert server_message(KIND, "x", [twice]).endswith(
        'as a NetworkPolicy: strict decoding error: duplicate field "kind"'
    )


def test_the_parts_can_be_asked_alone() -> None:
    """The checks of labels and names serve other kinds too, whose paths are their own."""
    assert [flaw.at for flaw in label_flaws({"a b": ""}, ("spec", "labels"))] == [("spec", "labels", "a b")]
    assert not list(identity_flaws({"name": "kube-system"}, namespaced=False))
    assert [flaw.path for flaw in identity_flaws({"namespace": "n"})] == [("metadata", "name")]
    clean = {"metadata": {"name": "a", "namespace": "b"}}
    assert not list(network_policy_flaws(clean))
    assert not list(network_policy_warnings(clean))


def test_types_default_as_the_server_does() -> None:
    """Policy types that are left out follow from the egress section; any other rule isolates the wrong direction."""
    for spec, types in (
        ({}, {Direction.INGRESS}),
        ({"egress": []}, {Direction.INGRESS}),
        ({"egress": [{}]}, {Direction.INGRESS, Direction.EGRESS}),
        ({"policyTypes": [], "egress": [{}]}, {Direction.INGRESS, Direction.EGRESS}),
        ({"policyTypes": ["Egress"], "ingress": [{}]}, {Direction.EGRESS}),
        ({"policyTypes": ["Egress", "Egress"]}, {Direction.EGRESS}),
    ):
        assert parsed(policy(spec)).snapshot.policies[0].types == types


def test_a_peer_that_was_sound_elsewhere_is_judged_where_it_stands() -> None:
    """Sound peers and ports are known again; what differs in one value, or in how it came in, is another."""
    sloppy = {"ipBlock": {"cidr": "010.0.0.0/8"}}
    assert refusals(egress({"to": [sloppy]}), stored=True) == []
    for _ in range(2):
        (said,) = refusals(egress({"to": [sloppy, {"podSelector": {}}]}))
        assert said.startswith("spec.egress[0].to[0].ipBlock.cidr: Invalid value")
    assert refusals(egress({"to": [{"podSelector": {}, "namespaceSelector": {}}]})) == []
    assert refusals(egress({"to": [{}]})) == ["spec.egress[0].to[0]: Required value: must specify a peer"]
    assert refusals(egress({"ports": [{"port": 80, "endPort": 81}, {"port": 80}]})) == []
    for _ in range(2):
        (said,) = refusals(egress({"ports": [{"port": 80}, {"port": 80, "endPort": 79}]}))
        assert said.startswith("spec.egress[0].ports[1].endPort: Invalid value")
