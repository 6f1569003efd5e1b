"""What the API server's schema has against policies of Cilium."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.model.cilium_kinds import GROUP
from outgate.model.validate_cilium import AGENT_PREFIX
from outgate.model.validate_cilium_schema import ENTITIES
from tests.model.cilium_objects import ANYBODY, cnp, http
from tests.model.documents import refusals

Manifest = dict[str, Any]


def schema_says(value: Manifest) -> list[str]:
    """Without what the agent would say afterwards."""
    return [line for line in refusals(value) if f": {AGENT_PREFIX}" not in line]


def one_of(path: str, words: str) -> str:
    """What is said of alternatives."""
    return f'<nil>: Invalid value: "": "{path}" must validate one and only one schema (oneOf). {words}'


PORTS = "spec.egress[0].toPorts[0]"


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (
            cnp(),
            [
                '<nil>: Invalid value: "": "spec" must validate at least one schema (anyOf)',
                "spec.ingress: Required value",
            ],
        ),
        (
            cnp(ANYBODY, endpointSelector=None),
            [one_of("spec", "Found none valid"), "spec.endpointSelector: Required value"],
        ),
        (cnp(ANYBODY, nodeSelector={}), [one_of("spec", "Found 2 valid alternatives")]),
        (
            cnp({"toFQDNs": [{"matchName": "a", "matchPattern": "*"}]}),
            [one_of("spec.egress[0].toFQDNs[0]", "Found 2 valid alternatives")],
        ),
        (
            cnp({"toCIDRSet": [{}]}),
            [
                one_of("spec.egress[0].toCIDRSet[0]", "Found none valid"),
                "spec.egress[0].toCIDRSet[0].cidr: Required value",
            ],
        ),
        (
            cnp({"toPorts": [{"ports": [{"port": "80"}], "rules": {}}]}),
            [one_of(f"{PORTS}.rules", "Found none valid"), f"{PORTS}.rules.http: Required value"],
        ),
        (
            cnp({"toPorts": [{"ports": [{"port": "80", "protocol": "ICMP"}]}]}),
            [
                (
                    f'{PORTS}.ports[0].protocol: Unsupported value: "ICMP": '
                    'supported values: "TCP", "UDP", "SCTP", "VRRP", "IGMP", "ANY"'
                )
            ],
        ),
        (
            cnp({"toPorts": [{"ports": [{"port": "80", "endPort": 65536}]}]}),
            [
                (
                    f"{PORTS}.ports[0].endPort: Invalid value: 65536: "
                    f"{PORTS}.ports[0].endPort in body should be less than or equal to 65535"
                )
            ],
        ),
        (
            cnp({"toPorts": [{"ports": [{"port": "80"}] * 41}]}),
            [f"{PORTS}.ports: Too many: 41: must have at most 40 items"],
        ),
        (
            cnp({"toRequires": [{}]}),
            ["spec.egress[0].toRequires: Too many: 1: must have at most 0 items"],
        ),
        (
            cnp({**ANYBODY, "authentication": {"mode": "maybe"}}),
            [
                (
                    'spec.egress[0].authentication.mode: Unsupported value: "maybe": '
                    'supported values: "disabled", "required", "test-always-fail"'
                )
            ],
        ),
        (
            cnp(http({"headerMatches": [{"name": ""}]})),
            [
                (
                    f'{PORTS}.rules.http[0].headerMatches[0].name: Invalid value: "": '
                    f"{PORTS}.rules.http[0].headerMatches[0].name in body should be at least 1 chars long"
                )
            ],
        ),
        (
            cnp(ANYBODY, log={"value": "x" * 33}),
            ["spec.log.value: Too long: may not be more than 32 bytes"],
        ),
        (
            cnp(ANYBODY, log={"value": "a\tb"}),
            ["spec.log.value: Invalid value: \"a\\tb\": spec.log.value in body should match '^\\PC*$'"],
        ),
        (
            cnp(ANYBODY, enableDefaultDeny={"egress": "no"}),
            [
                (
                    'spec.enableDefaultDeny.egress: Invalid value: "string": '
                    'spec.enableDefaultDeny.egress in body must be of type boolean: "string"'
                )
            ],
        ),
        (
            cnp({"toFQDNs": [{"matchName": "a..b"}]}),
            [
                (
                    'spec.egress[0].toFQDNs[0].matchName: Invalid value: "a..b": '
                    "spec.egress[0].toFQDNs[0].matchName in body should match '^([-a-zA-Z0-9_]+[.]?)+$'"
                )
            ],
        ),
        (
            cnp({"toFQDNs": [{"matchName": "a" * 256}]}),
            ["spec.egress[0].toFQDNs[0].matchName: Too long: may not be more than 255 bytes"],
        ),
        (
            cnp({"toEndpoints": [{"matchLabels": {"k8s:a": "-"}}]}),
            [
                (
                    'spec.egress[0].toEndpoints[0].matchLabels.k8s:a: Invalid value: "-": '
                    "spec.egress[0].toEndpoints[0].matchLabels.k8s:a in body should match "
                    "'^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$'"
                )
            ],
        ),
        (
            cnp({"toCIDRSet": [{"cidrGroupRef": "A"}]}),
            [
                (
                    'spec.egress[0].toCIDRSet[0].cidrGroupRef: Invalid value: "A": '
                    "spec.egress[0].toCIDRSet[0].cidrGroupRef in body should match "
                    r"'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'"
                )
            ],
        ),
    ],
)
def test_what_the_schema_says(value: Manifest, lines: list[str]) -> None:
    """In the server's words."""
    assert schema_says(value) == lines


@pytest.mark.parametrize(
    ("kind", "good"), [(8, True), ("8", True), ("EchoRequest", True), ("256", False), ("ExtendedEchoReply", False)]
)
def test_a_type_of_icmp(kind: object, good: bool) -> None:
    """A number is not held to the pattern, and one name is not in it, by a slip of its writers."""
    lines = schema_says(cnp({**ANYBODY, "icmps": [{"fields": [{"type": kind}]}]}))
    assert (lines == []) is good


def test_a_type_of_icmp_that_is_neither() -> None:
    """Not text and not a number; and one that is missing."""
    (line,) = schema_says(cnp({"icmps": [{"fields": [{"type": []}]}]}))
    assert line.endswith('must be of type integer: "array"')
    assert schema_says(cnp({"icmps": [{"fields": [{}]}]})) == ["spec.egress[0].icmps[0].fields[0].type: Required value"]


def test_null_stands_for_the_default() -> None:
    """``family`` has one; elsewhere null is as good as absent."""
    assert not refusals(cnp({"icmps": [{"fields": [{"type": 8, "family": None}]}], "toPorts": None}))


def test_every_entity_is_one_to_both() -> None:
    """The schema's list, all of it."""
    assert not refusals(cnp({"toEntities": list(ENTITIES)}))


def test_a_group_needs_its_blocks() -> None:
    """In either version."""
    group = {"apiVersion": "cilium.io/v2alpha1", "kind": GROUP, "metadata": {"name": "g"}}
    assert refusals(group) == ["spec: Required value"]
    assert refusals(group | {"spec": {}}) == ["spec.externalCIDRs: Required value"]
    assert not refusals(group | {"spec": {"externalCIDRs": []}})
