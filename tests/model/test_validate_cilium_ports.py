"""What the agent says of ports, of protocols above them and of ICMP."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.model.place import spell
from outgate.model.validate_cilium_ports import (
    expression_warnings,
    icmp_problems,
    icmp_warnings,
    name_problems,
    port_problems,
    range_warnings,
    request_warnings,
)
from tests.model.cilium_objects import ANYBODY, cnp, http, said
from tests.model.documents import parsed, refusals

Manifest = dict[str, Any]
AT = "spec.egress[0].toPorts[0]"
DNS = {"dns": [{"matchPattern": "*"}]}


def entry(*ports: object, **more: object) -> Manifest:
    """A rule with one entry of ``toPorts``."""
    return {"toPorts": [{"ports": list(ports), **more}]}


def tcp(port: str = "80") -> Manifest:
    """A port of TCP."""
    return {"port": port, "protocol": "TCP"}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        # The row "L7 rules can only apply to TCP": ANY and absent are refused with http.
        (http({}, protocol="UDP"), f"{AT}.ports[0]: L7 rules can only apply to TCP (not UDP) except for DNS rules"),
        (http({}, protocol="ANY"), f"{AT}.ports[0]: L7 rules can only apply to TCP (not ANY) except for DNS rules"),
        (http({}, protocol=None), f"{AT}.ports[0]: L7 rules can only apply to TCP (not ) except for DNS rules"),
        (
            entry({"port": "80", "protocol": "UDP"}, rules={"l7proto": "x", "l7": [{}]}),
            f"{AT}.ports[0]: L7 rules can only apply to TCP (not UDP) except for DNS rules",
        ),
        (http({}, port="0"), f"{AT}.ports[0].port: L7 rules can not be used when a port is 0"),
        (
            entry({"port": "53", "endPort": 60}, rules=DNS),
            f"{AT}.ports[0].endPort: DNS rules do not support port ranges",
        ),
        (entry(rules=DNS), f"{AT}.rules.dns: port 53 must be specified for DNS rules"),
        (
            entry(tcp("53"), rules={**DNS, "http": [{}]}),
            f"{AT}.rules: multiple L7 protocol rule types specified in single rule",
        ),
        (
            entry(tcp(), rules={"l7": [{"a": "b"}]}),
            f"{AT}.rules.l7: 'l7' may only be specified when a 'l7proto' is also specified",
        ),
        (
            entry(tcp("443"), rules={"http": [{}]}, serverNames=["a.example"]),
            f"{AT}.serverNames: ServerNames are not allowed with L7 rules without TLS termination",
        ),
        (entry(tcp("443"), serverNames=[""]), f"{AT}.serverNames[0]: empty server name is not allowed"),
        (
            entry(tcp(), rules={"http": [{}]}, listener={"envoyConfig": {"name": "c"}, "name": "l"}),
            f"{AT}.listener: Listener is not allowed with L7 rules (l)",
        ),
        (entry(*[tcp(str(number)) for number in range(1, 42)]), f"{AT}.ports: too many ports, the max is 40"),
        (entry({"protocol": "TCP"}), f"{AT}.ports[0]: port must be specified"),
        (entry(tcp("")), f"{AT}.ports[0]: port must be specified"),
        (entry({"port": "80", "protocol": "VRRP"}), f"{AT}.ports[0].port: port must be empty or 0"),
        (
            entry(tcp("65536")),
            f'{AT}.ports[0].port: unable to parse port: strconv.ParseUint: parsing "65536": value out of range',
        ),
        (
            entry(tcp("8080-")),
            f'{AT}.ports[0].port: unable to parse port: strconv.ParseUint: parsing "8080-": invalid syntax',
        ),
        (
            entry(tcp("09")),
            f'{AT}.ports[0].port: unable to parse port: strconv.ParseUint: parsing "09": invalid syntax',
        ),
        (
            {"icmps": [{"fields": [{"type": 8}]}], **entry(tcp())},
            (
                "spec.egress[0].icmps: the ICMPs block may only be present without ToPorts. "
                "Define a separate rule to use ToPorts"
            ),
        ),
        (
            {"icmps": [{"fields": [{"type": "PacketTooBig"}]}]},
            "spec.egress[0].icmps[0].fields[0].type: ICMP type PacketTooBig not found in IPv4",
        ),
        (
            {"icmps": [{"fields": [{"type": 8}] * 41}]},
            "spec.egress[0].icmps[0].fields: too many types, the max is 40",
        ),
        (
            {"icmps": [{"fields": [{"type": 8, "family": "IPv5"}]}]},
            "spec.egress[0].icmps[0].fields[0].family: wrong family: IPv5",
        ),
    ],
)
def test_what_the_agent_says(rule: Manifest, words: str) -> None:
    """One fault, one sentence, at its place."""
    assert said(cnp(rule)) == [words]


@pytest.mark.parametrize(
    "rule",
    [
        http(),
        http({}),
        entry({"port": "53"}, rules=DNS),
        entry({"port": "53", "protocol": "ANY"}, rules=DNS),
        entry({"port": "53", "endPort": 53, "protocol": "UDP"}, rules=DNS),
        entry({"port": "dns", "endPort": 60}, rules=DNS),
        entry(tcp("0"), serverNames=["*.a.example", "**.b.example"]),
        entry({"port": "0"}),
        entry({"port": "0", "protocol": "IGMP"}),
        entry(tcp("443"), rules={"http": [{}]}, serverNames=["a"], terminatingTLS={"secret": {"name": "s"}}),
        entry(*[tcp(str(number)) for number in range(1, 41)]),
        entry(tcp("http"), {"port": "Web-8080"}),
        {**ANYBODY, "icmps": [{"fields": [{"type": "EchoRequest"}] * 40}], "toPorts": []},
        {},
        # "IsEmpty returns whether the `L7Rules` is nil or contains no rules": an empty list is held to nothing.
        http(protocol="UDP"),
        http(protocol=None),
        http(port="0"),
        entry({"port": "53", "protocol": "UDP"}, rules={"dns": []}),
        entry(rules={"dns": []}),
        entry(tcp("443"), rules={"http": []}, serverNames=["a.example"]),
        entry(tcp(), rules={"http": []}, listener={"envoyConfig": {"name": "c"}, "name": "l"}),
        entry({"port": "80", "protocol": "UDP"}, rules={"l7proto": "x"}),
    ],
)
def test_what_nobody_objects_to(rule: Manifest) -> None:
    """Neither the agent nor the schema."""
    assert refusals(cnp(rule)) == []


@pytest.mark.parametrize("field", ["path", "method", "host"])
def test_an_expression_that_envoy_refuses(field: str) -> None:
    """Cilium looks at path and method alone; a bad host would take the proxy's whole configuration down."""
    for text, words in (
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
    ):
        line = f"{AT}.rules.http[1].{field}: error parsing regexp: {words}"
        assert said(cnp(http({}, {field: text}))) == [line]


def test_the_other_direction() -> None:
    """The rule: "rules.dns not on ingress", "Listener is not allowed on ingress"."""
    listener = {"envoyConfig": {"name": "c"}, "name": "l"}
    assert said(cnp(ingress=[entry({"port": "53"}, rules=DNS)])) == [
        "spec.ingress[0].toPorts[0].rules.dns: DNS rules are not allowed on ingress"
    ]
    assert said(cnp(ingress=[entry(tcp(), listener=listener)])) == [
        "spec.ingress[0].toPorts[0].listener: Listener is not allowed on ingress (l)"
    ]
    assert not refusals(cnp(ingress=[http({})]))


def test_hosts_have_no_proxy() -> None:
    """The rule: "L7 protocol %s is not supported on host egress yet"; DNS is."""
    hosts: Manifest = {"kind": "CiliumClusterwideNetworkPolicy", "endpointSelector": None, "nodeSelector": {}}
    assert said(cnp(http({}), **hosts)) == [f"{AT}.rules.http: L7 protocol HTTP is not supported on host egress yet"]
    assert not refusals(cnp(entry({"port": "53"}, rules=DNS), **hosts))
    words = "L7 policy is not supported on host ingress yet"
    assert said(cnp(ingress=[http({})], **hosts)) == [f"spec.ingress[0].toPorts[0].rules: {words}"]


def test_old_objects_are_held_to_the_agents_rules() -> None:
    """What the schema would refuse today, of an object that a server holds."""
    match = [{"name": "", "mismatch": "NOD", "secret": {"name": ""}}]
    words = ["name: header name missing", "mismatch: invalid header action: NOD", "secret: secret name missing"]
    place = f"{AT}.rules.http[0].headerMatches[0]"
    assert said(cnp(http({"headerMatches": match})), stored=True) == [f"{place}.{one}" for one in words]
    (line,) = said(cnp(entry({"port": "80", "protocol": "ICMP"})), stored=True)
    assert line.startswith(f'{AT}.ports[0].protocol: invalid protocol "ICMP"')
    assert not said(cnp(entry({"port": "80", "protocol": "tcp"})), stored=True)


def test_what_denies_has_ports_only() -> None:
    """The rule: "Deny lists have no toFQDNs, no L7 rules, no authentication"."""
    (line,) = refusals(cnp(egressDeny=[entry(tcp(), rules={"http": []})]))
    assert line.endswith('unknown field "spec.egressDeny[0].toPorts[0].rules"')
    (line,) = refusals(cnp(egressDeny=[{"authentication": {"mode": "disabled"}}]))
    assert line.endswith('unknown field "spec.egressDeny[0].authentication"')


@pytest.mark.parametrize(
    ("request_", "place"),
    [
        ({"path": "v1/items"}, "path"),
        ({"path": "(?:v1|items)(/.*)?"}, "path"),
        ({"path": "^v1"}, "path"),
        ({"path": "a*"}, "path"),
        ({"headers": ["X-Token", "X-Token:v"]}, "headers[1]"),
        ({"headers": ["X-Token: v", "X-Token:"]}, "headers[1]"),
        ({"headers": [": v"]}, "headers[0]"),
        ({"headers": [""]}, "headers[0]"),
        ({"headerMatches": [{"name": "X A", "value": "b"}]}, "headerMatches[0].name"),
        ({"headerMatches": [{"name": ":path", "value": "/"}]}, "headerMatches[0].name"),
        *(({"path": path}, "") for path in ("/v1", ".*", "[^a]", "(a|/b)", "a?/b", "\\*", "", "(?i)/V1", "(")),
        ({"headers": ["X-Token v", "X-Token: a b", "x_y"]}, ""),
        ({"headerMatches": [{"name": "x!y", "value": "a b"}, {"value": "c"}]}, ""),
    ],
    ids=str,
)
def test_entries_that_no_request_meets(request_: Manifest, place: str) -> None:
    """They are taken by everybody, and let nothing through: whoever wrote them meant something else.

    An expression of which only some texts are no path gets no warning.
    """
    found = [(str(spell(path)), words) for path, words in request_warnings({"http": [{}, request_]}, ())]
    assert [path for path, _ in found] == ([f"http[1].{place}"] if place else [])
    assert all(words.endswith("this entry lets nothing through") for _, words in found)


def test_ranges_that_begin_with_a_name() -> None:
    """The API: "EndPort can only be an L4 port number"; the code takes one after a name too."""
    ports = [{"port": "http", "endPort": 9000}, {"port": "80", "endPort": 90}, {"port": "http", "endPort": 0}, {}]
    ((path, words),) = range_warnings(ports, ("ports",))
    assert spell(path) == "ports[0].endPort"
    assert words.endswith("write the number")
    (warned,) = parsed(cnp(entry({"port": "http", "endPort": 9000}))).warnings
    assert warned.path == f"{AT}.ports[0].endPort"


def test_nothing_is_said_of_nothing() -> None:
    """Each by itself."""
    assert list(port_problems([], (), ingress=False, host=False)) == []
    assert list(name_problems([{}], ())) == []
    assert list(icmp_problems({}, ())) == list(icmp_warnings({}, ())) == []
    # A bad expression is an error already, and no warning beside.
    assert list(expression_warnings({"http": [{"path": "("}]}, ())) == []
