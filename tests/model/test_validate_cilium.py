"""What is said of Cilium's policies: the agent's words, each with its place, all at once; and the conformance cases."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from outgate.model.place import Path
from outgate.model.validate_cilium import AGENT_PREFIX, check_cilium
from outgate.testing_cilium import cidr_group
from tests.model.cilium_objects import ANYBODY, cnp, http, said
from tests.model.documents import parsed, refusals

Manifest = dict[str, Any]
CLUSTERWIDE = "CiliumClusterwideNetworkPolicy"
KINDS = {
    "ToEndpoints": [{}],
    "ToCIDR": ["10.0.0.0/8"],
    "ToCIDRSet": [{"cidr": "10.0.0.0/8"}],
    "ToEntities": ["world"],
    "ToServices": [{"k8sService": {"serviceName": "s"}}],
    "ToGroups": [{"aws": {}}],
    "ToNodes": [{}],
    "ToFQDNs": [{"matchName": "a.b"}],
}


def cases(shared: pathlib.Path) -> list[Manifest]:
    """Group C of the conformance cases."""
    text = (shared / "conformance" / "truth_cases.yaml").read_text(encoding="utf-8")
    return [case for case in yaml.safe_load(text)["cases"] if case["group"] == "C"]


def test_every_case_that_is_invalid(shared: pathlib.Path) -> None:
    """Each of its texts is among what is said."""
    bad = [case for case in cases(shared) if case.get("expect") == "invalid"]
    assert len(bad) >= 11
    for case in bad:
        found = parsed(*case["policies"])
        words = [error.message for error in found.errors]
        assert not found.snapshot.cilium_policies
        for text in case["errors"]:
            exact = case.get("errors_match", "exact") == "exact"
            assert any(text == one if exact else text in one for one in words), (case["id"], words)


def test_every_other_case_is_accepted(shared: pathlib.Path) -> None:
    """Their flows are for others."""
    good = [case for case in cases(shared) if case.get("expect") != "invalid"]
    assert len(good) > 20
    for case in good:
        found = parsed(*case.get("policies", ()))
        assert not found.errors, case["id"]
        assert not found.skipped, case["id"]


# ---- the object ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"egress": []}, {"egress": [], "ingressDeny": []}])
def test_a_policy_without_rules(more: Manifest) -> None:
    """An empty list is no rule to the agent, though the schema takes it."""
    words = "spec: rule must have at least one of Ingress, IngressDeny, Egress, EgressDeny"
    assert said(cnp(**more)) == [words]


def test_a_policy_needs_one_subject() -> None:
    """Not none, and not two."""
    assert said(cnp(ANYBODY, endpointSelector=None)) == ["spec: rule must have one of EndpointSelector or NodeSelector"]
    both = cnp(ANYBODY, kind=CLUSTERWIDE, nodeSelector={})
    assert said(both) == ["spec: rule cannot have both EndpointSelector and NodeSelector"]


def test_hosts_are_for_the_whole_cluster() -> None:
    """The rule: "Invalid CiliumNetworkPolicy spec: rule cannot have NodeSelector"."""
    value = cnp(ANYBODY, endpointSelector=None, nodeSelector={})
    assert refusals(value) == ["spec.nodeSelector: Invalid CiliumNetworkPolicy spec: rule cannot have NodeSelector"]
    assert not parsed(cnp(ANYBODY, kind=CLUSTERWIDE, endpointSelector=None, nodeSelector={})).errors


def test_an_object_without_policies() -> None:
    """Neither ``spec`` nor ``specs``."""
    value = {name: one for name, one in cnp().items() if name != "spec"}
    assert refusals(value) == [": Invalid CiliumNetworkPolicy spec(s): empty policy"]


def test_each_of_several_is_looked_at() -> None:
    """And the agent's words say which field it was."""
    value = cnp(ANYBODY) | {
        "specs": [{"endpointSelector": {}, "egress": [ANYBODY]}, {"endpointSelector": {}, "egress": []}]
    }
    words = "rule must have at least one of Ingress, IngressDeny, Egress, EgressDeny"
    assert refusals(value) == [f"specs[1]: Invalid CiliumNetworkPolicy specs: {words}"]


# ---- peers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"), [(a, b) for i, a in enumerate(KINDS) for b in list(KINDS)[i + 1 :]], ids="-".join
)
def test_two_kinds_of_peers(one: str, other: str) -> None:
    """The rule: "combining X and Y is not supported yet" for any two of them; which comes first is chance in Go."""
    rule = {f"t{name[1:]}": KINDS[name] for name in (one, other)}
    (line,) = said(cnp(rule))
    assert line in {
        f"spec.egress[0]: combining {first} and {second} is not supported yet"
        for first, second in ((one, other), (other, one))
    }


def test_kinds_of_peers_on_the_other_side() -> None:
    """Of ingress as well, and of what denies."""
    rule = {"fromEndpoints": [{}], "fromEntities": ["world"]}
    for section in ("ingress", "ingressDeny"):
        (line,) = said(cnp(**{section: [rule]}))
        assert line.startswith(f"spec.{section}[0]: combining From")


def test_an_empty_list_beside_peers_is_no_second_kind() -> None:
    """Cilium counts what is in the lists."""
    assert not said(cnp({"toEndpoints": [], "toEntities": ["world"]}))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"except": []}, ": one of cidr, cidrGroupRef, or cidrGroupSelector is required"),
        (
            {"cidr": "10.0.0.0/8", "cidrGroupRef": "g"},
            ": more than one of cidr, cidrGroupRef, or cidrGroupSelector may not be set",
        ),
        (
            {"cidrGroupSelector": {}, "cidrGroupRef": "g"},
            ": more than one of cidr, cidrGroupRef, or cidrGroupSelector may not be set",
        ),
        (
            {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "192.168.0.0/16"]},
            ".except[1]: allow CIDR prefix 10.0.0.0/8 does not contain exclude CIDR prefix 192.168.0.0/16",
        ),
        (
            {"cidr": "10.1.0.0/16", "except": ["10.0.0.0/8"]},
            ".except[0]: allow CIDR prefix 10.1.0.0/16 does not contain exclude CIDR prefix 10.0.0.0/8",
        ),
        (
            {"cidr": "10.0.0.0/8", "except": ["2001:db8::/32"]},
            ".except[0]: allow CIDR prefix 10.0.0.0/8 does not contain exclude CIDR prefix 2001:db8::/32",
        ),
        (
            {"cidr": "10.0.0.0"},
            '.cidr: unable to parse CIDRRule "10.0.0.0": netip.ParsePrefix("10.0.0.0"): no valid block',
        ),
        (
            {"cidr": "10.0.0.0/08"},
            '.cidr: unable to parse CIDRRule "10.0.0.0/08": netip.ParsePrefix("10.0.0.0/08"): no valid block',
        ),
        (
            {"cidr": "::/0", "except": ["fd00::/008"]},
            '.except[0]: netip.ParsePrefix("fd00::/008"): no valid block',
        ),
    ],
)
def test_a_block_and_its_exceptions(entry: Manifest, words: str) -> None:
    """The rule: "exactly one of cidr, cidrGroupRef, cidrGroupSelector; except inside cidr and same family"."""
    assert said(cnp({"toCIDRSet": [entry]})) == [f"spec.egress[0].toCIDRSet[0]{words}"]


def test_exceptions_that_are_fine() -> None:
    """The rule: "equal is allowed, host bits are not checked"."""
    assert not refusals(cnp({"toCIDRSet": [{"cidr": "10.0.0.5/8", "except": ["10.0.0.0/8", "10.9.9.9/16"]}]}))


def test_zeros_before_a_prefix_length() -> None:
    """The server takes them (``net.ParseCIDR``), the agent does not (``netip.ParsePrefix``)."""
    assert said(cnp({"toCIDR": ["10.0.0.0/08"]})) == [
        'spec.egress[0].toCIDR[0]: unable to parse CIDR: ParseAddr("10.0.0.0/08"): unable to parse IP'
    ]
    assert not refusals(cnp({"toCIDR": ["0.0.0.0/0", "::/0"]}))


def test_an_address_by_itself() -> None:
    """The rule: "agent also parses a bare IP, the CRD's format: cidr refuses it"."""
    value = cnp({"toCIDR": ["10.0.0.1"]})
    (line,) = refusals(value)
    assert line.endswith('Invalid value: "10.0.0.1": spec.egress[0].toCIDR[0] in body must be of type cidr: "10.0.0.1"')
    assert not refusals(value, stored=True)
    assert said(cnp({"toCIDR": ["x"]})) == [
        'spec.egress[0].toCIDR[0]: unable to parse CIDR: ParseAddr("x"): unable to parse IP'
    ]
    assert said(cnp({"toCIDR": [""]})) == ["spec.egress[0].toCIDR[0]: IP must be specified"]


def test_an_entity_that_there_is_not() -> None:
    """The schema and the agent have lists of their own."""
    assert refusals(cnp({"toEntities": ["internet"]}))[0].startswith(
        'spec.egress[0].toEntities[0]: Unsupported value: "internet": supported values: "all", "world", "cluster"'
    )
    assert said(cnp({"toEntities": ["internet"]})) == ["spec.egress[0].toEntities[0]: unsupported entity: internet"]
    # "agent also knows world-ipv4, world-ipv6 but the CRD enum refuses them".
    value = cnp({"toEntities": ["world-ipv4"]})
    assert refusals(value)
    assert not said(value)
    assert not refusals(value, stored=True)


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({"matchLabels": {"k8s:a b": "x"}}, "matchLabels: Invalid value"),
        ({"matchExpressions": [{"key": "k8s:a", "operator": "In"}]}, "matchExpressions.0.values: Required value"),
        (
            {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]},
            "matchExpressions.0.values: Forbidden",
        ),
    ],
)
def test_a_selector_that_is_none(selector: Manifest, words: str) -> None:
    """Keys are looked at without their source."""
    (line,) = said(cnp({"toEndpoints": [selector]}))
    assert line.startswith("spec.egress[0].toEndpoints[0].match")
    assert f"invalid label selector: {words}" in line
    assert said(cnp(ANYBODY, endpointSelector=selector))


def test_sources_are_no_fault() -> None:
    """A colon is none in a key."""
    assert not refusals(
        cnp({"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "x", "any:app": "y"}}]})
    )


def test_names_and_patterns() -> None:
    """One of the two, and of the right characters."""
    both = {"matchName": "a.b", "matchPattern": "*.b"}
    words = "only one of MatchName or MatchPattern is allowed in an FQDNSelector"
    assert said(cnp({"toFQDNs": [both]})) == [f"spec.egress[0].toFQDNs[0]: {words}"]
    (line,) = said(cnp({"toFQDNs": [{"matchName": "*.b"}]}))
    assert line == 'spec.egress[0].toFQDNs[0].matchName: invalid characters in MatchName: "*.b"'


def test_no_names_where_there_are_none() -> None:
    """The rule: "No toFQDNs in egressDeny or ingress": the schema does not know the field there."""
    for section in ("egressDeny", "ingress", "ingressDeny"):
        (line,) = refusals(cnp(**{section: [{"toFQDNs": [{"matchName": "a.b"}]}]}))
        assert line == f'spec.{section}[0].toFQDNs: strict decoding error: unknown field "spec.{section}[0].toFQDNs"'


# ---- all at once, and by whom ----------------------------------------------------------------------------------------


def test_all_faults_at_once() -> None:
    """Of several rules and several policies."""
    bad = {"toEntities": ["x"], "toPorts": [{"ports": [{"port": "0"}], "rules": {"http": [{"path": "("}]}}]}
    value = cnp(bad, bad, ingress=[{"fromEntities": ["y"]}])
    places = {line.partition(":")[0] for line in said(value)}
    assert places == {
        "spec.ingress[0].fromEntities[0]",
        *(
            f"spec.egress[{number}].{where}"
            for number in (0, 1)
            for where in (
                "toEntities[0]",
                "toPorts[0].ports[0]",
                "toPorts[0].ports[0].port",
                "toPorts[0].rules.http[0].path",
            )
        ),
    }


def test_the_server_speaks_first() -> None:
    """Then the agent, and its words can be told from the server's."""
    lines = [error.message for error in parsed(cnp({"toEntities": ["x"]})).errors]
    assert [line.startswith(AGENT_PREFIX) for line in lines] == [False, True]


def test_unknown_and_repeated_fields_come_alone() -> None:
    """As the server answers (HTTP 400)."""
    value = cnp({"toEntities": ["x"], "toEntity": ["world"]}, egres=[])
    assert refusals(value) == [
        'spec.egres: strict decoding error: unknown field "spec.egres"',
        'spec.egress[0].toEntity: strict decoding error: unknown field "spec.egress[0].toEntity"',
    ]
    repeated: dict[Path, int] = {("spec", "egress"): 7}
    found = check_cilium(
        cnp(ANYBODY), "cilium.io/v2", "CiliumNetworkPolicy", namespace="shop", stored=False, repeated=repeated
    )
    assert [flaw.message for flaw in found.flaws] == ['strict decoding error: duplicate field "spec.egress"']


def test_values_of_the_wrong_type() -> None:
    """The agent has nothing to say of what nobody can read."""
    assert refusals(cnp(egress="all")) == [
        'spec.egress: Invalid value: "string": spec.egress in body must be of type array: "string"'
    ]
    path = "spec.egress[0].toEntities"
    assert refusals(cnp({"toEntities": "all"})) == [
        f'{path}: Invalid value: "string": {path} in body must be of type array: "string"'
    ]


def test_one_value_of_the_wrong_type_hides_its_own_rule_alone() -> None:
    """Or the next mistake is found when this one is mended; of the rule itself nobody can say what else is wrong."""
    number = {"toPorts": [{"ports": [{"port": 8081, "protocol": "TCP"}]}]}
    both = {"toCIDR": ["10.0.0.0/8"], "toEntities": ["world"]}
    over_udp = {"toPorts": [{"ports": [{"port": "80", "protocol": "UDP"}], "rules": {"http": [{"method": "GET"}]}}]}
    said = refusals(cnp(both, number | both, over_udp))
    assert [line.partition(":")[0] for line in said] == [
        "spec.egress[1].toPorts[0].ports[0].port",
        "spec.egress[0]",
        "spec.egress[2].toPorts[0].ports[0]",
    ]


def test_metadata_of_the_wrong_type() -> None:
    """In the words of every object."""
    value = cnp(ANYBODY)
    value["metadata"]["labels"] = {"a": 1}
    (line,) = refusals(value)
    assert "json: cannot unmarshal number into Go struct field" in line


def test_names_of_objects() -> None:
    """As of every object."""
    value = cnp(ANYBODY)
    value["metadata"]["name"] = "Bad_Name"
    (line,) = refusals(value)
    assert line.startswith('metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain')
    value["metadata"] = {"name": "p", "namespace": "a.b"}
    (line,) = refusals(value)
    assert line.startswith("metadata.namespace: ")


def test_a_stored_object_is_read_as_the_agent_reads_it() -> None:
    """The schema is past; unknown fields are passed over; what the agent refuses is set apart all the same."""
    assert not refusals(cnp({**ANYBODY, "toEntity": ["x"]}, more=1), stored=True)
    assert refusals(cnp({"toEntities": ["x"]}), stored=True) == [
        "spec.egress[0].toEntities[0]: Invalid CiliumNetworkPolicy spec: unsupported entity: x"
    ]
    assert refusals(cnp({"toEntities": 3}), stored=True)
    assert refusals(cnp({"toEndpoints": [{"matchExpressions": [{"operator": "Exists"}]}]}), stored=True) == [
        "spec.egress[0].toEndpoints[0].matchExpressions[0].key: Required value"
    ]


def test_status_is_for_the_server() -> None:
    """A manifest that was printed by one has it."""
    value = cnp(ANYBODY) | {"status": {"conditions": [{"type": "Valid", "status": "True"}]}}
    assert not refusals(value)


# ---- warnings --------------------------------------------------------------------------------------------------------


def test_a_subject_in_another_namespace_is_warned_of() -> None:
    """The rule: "EndpointSelector always applies in namespace of the policy resource"."""
    for key in ("k8s:io.kubernetes.pod.namespace", "io.kubernetes.pod.namespace"):
        found = parsed(cnp(ANYBODY, endpointSelector={"matchLabels": {key: "data"}}))
        assert not found.errors
        assert "always applies in the namespace of its policy" in found.warnings[0].message
        assert not parsed(cnp(ANYBODY, endpointSelector={"matchLabels": {key: "shop"}})).warnings
    assert not parsed(cnp(ANYBODY, kind=CLUSTERWIDE, endpointSelector={"matchLabels": {key: "data"}})).warnings


def test_a_long_expression_is_warned_of() -> None:
    """The rule: "RE2 program size above Envoy's limit (100 by default)": cilium#41314."""
    found = parsed(cnp(http({"path": "/a"}, {"path": "/users/[^/]{36}"})))
    assert not found.errors
    (warning,) = found.warnings
    assert warning.path == "spec.egress[0].toPorts[0].rules.http[1].path"
    assert "and Envoy refuses more than 100" in warning.message


def test_blocks_that_no_packet_is_in() -> None:
    """``netip.Prefix.Contains``: "An IPv4 address will not match an IPv6 prefix"; read as IPv4 it would open much."""
    mapped, rest = "::ffff:10.0.0.0/104", ["10.0.0.0/8", "::/0", "::ffff:0:0/95", "64:ff9b::/96"]
    rules = [{"toCIDR": [*rest, mapped]}, {"toCIDRSet": [{"cidr": "::ffff:0:0/96"}, *({"cidr": one} for one in rest)]}]
    found = parsed(cnp(*rules))
    assert not found.errors
    assert [one.path for one in found.warnings] == ["spec.egress[0].toCIDR[4]", "spec.egress[1].toCIDRSet[0].cidr"]
    words = 'no packet has such an address: "::ffff:10.0.0.0/104" matches nothing; write IPv4 as itself'
    assert found.warnings[0].message == words
    found = parsed(cidr_group("g", "10.0.0.0/8", mapped))
    assert [(one.path, one.message) for one in found.warnings] == [("spec.externalCIDRs[1]", words)]
    assert [str(one) for one in found.snapshot.cidr_groups[0].blocks] == ["10.0.0.0/8", "::ffff:a00:0/104"]


def test_a_type_that_no_packet_has() -> None:
    """The schema looks at texts alone."""
    found = parsed(cnp({**ANYBODY, "icmps": [{"fields": [{"type": 300}, {"type": 8}]}]}))
    assert not found.errors
    assert [one.path for one in found.warnings] == ["spec.egress[0].icmps[0].fields[0].type"]


# ---- whatever comes --------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    (
        "spec",
        "specs",
        "egress",
        "ingress",
        "egressDeny",
        "toEndpoints",
        "toPorts",
        "ports",
        "port",
        "rules",
        "http",
        "dns",
        "path",
        "matchName",
        "toFQDNs",
        "toCIDR",
        "toCIDRSet",
        "cidr",
        "except",
        "icmps",
        "fields",
        "type",
        "family",
        "endpointSelector",
        "matchLabels",
        "matchExpressions",
        "key",
        "operator",
        "values",
        "80",
        "10.0.0.0/8",
        "In",
        "x:y",
        "listener",
        "name",
        "headerMatches",
        "serverNames",
        "enableDefaultDeny",
        "toServices",
        "k8sServiceSelector",
        "",
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 70000) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, VALUES, st.booleans(), st.sampled_from(("CiliumNetworkPolicy", CLUSTERWIDE, "CiliumCIDRGroup")))
def test_nothing_is_ever_an_exception(spec: object, rule: object, stored: bool, kind: str) -> None:
    """Bad input is answered with errors; what is accepted can be read."""
    for value in (
        spec,
        {"endpointSelector": {}, "egress": [rule]},
        {"endpointSelector": {}, "ingress": [{"toPorts": [rule]}]},
    ):
        manifest = {"apiVersion": "cilium.io/v2", "kind": kind, "metadata": {"name": "p"}, "spec": value}
        found = parsed(manifest, stored=stored)
        made = found.snapshot.cilium_policies or found.snapshot.cidr_groups
        assert bool(made) != bool(found.errors)
