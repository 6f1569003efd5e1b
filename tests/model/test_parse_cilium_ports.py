"""Ports, requests, names and ICMP of a rule, and what of them is kept as not enforced."""

from __future__ import annotations

import pytest

from outgate.model.cilium import CiliumPort, HeaderMatch, HttpMatch, IcmpMatch, NameMatch, PortEntry
from outgate.model.parse_cilium_ports import header_of, icmp_matches, name_match, port_entry, unenforced_of_ports
from outgate.model.place import NOWHERE
from tests.model.cilium_objects import ANYBODY, http, rule_of


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"port": "80"}, CiliumPort(80, "ANY")),
        ({"port": "80", "protocol": "TCP"}, CiliumPort(80, "TCP")),
        ({"port": "80", "protocol": "ANY"}, CiliumPort(80, "ANY")),
        ({"port": "0"}, CiliumPort(0, "ANY")),
        ({"port": "0", "protocol": "UDP"}, CiliumPort(0, "UDP")),
        ({"port": "80", "endPort": 90, "protocol": "SCTP"}, CiliumPort(80, "SCTP", 90)),
        ({"port": "80", "endPort": 80}, CiliumPort(80, "ANY")),
        ({"port": "80", "endPort": 0}, CiliumPort(80, "ANY")),
        ({"port": "80", "endPort": 79}, CiliumPort(80, "ANY")),
        ({"port": "HTTP-alt", "endPort": 90}, CiliumPort("http-alt", "ANY")),
        ({"port": "0x50"}, CiliumPort("0x50", "ANY")),
        ({"port": "0120"}, CiliumPort(80, "ANY")),
        ({"port": "0", "protocol": "VRRP"}, CiliumPort(0, "VRRP")),
        # PortRangeToMaskedPorts: "This is a wildcard" of 0 to 0 and of 0 to the last, and of no other range from 0.
        ({"port": "0", "endPort": 1023, "protocol": "TCP"}, CiliumPort(0, "TCP", 1023)),
        ({"port": "0", "endPort": 65535}, CiliumPort(0, "ANY")),
    ],
)
def test_a_port(port: dict[str, object], expected: CiliumPort) -> None:
    """The rule: "A string: number, "0" = all, or port name (IANA service name, case-insensitive)"."""
    (entry,) = rule_of({"toPorts": [{"ports": [port]}]}).ports
    assert entry.ports == (expected,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X-Key true", HeaderMatch("X-Key", "true")),
        ("X-Key: true", HeaderMatch("X-Key", "true")),
        ("X-Key: a b", HeaderMatch("X-Key", "a b")),
        ("X-Key", HeaderMatch("X-Key")),
        ("X-Key:", HeaderMatch("X-Key:")),
        ("X-Key ", HeaderMatch("X-Key", "")),
    ],
)
def test_a_header_as_one_text(text: str, expected: HeaderMatch) -> None:
    """The rule: "split at the first blank, trailing colon of the name dropped; exact value match; presence"."""
    assert header_of(text, NOWHERE) == expected


def test_a_request() -> None:
    """All that it may say."""
    match = {"name": "X-A", "value": "1"}, {"name": "X-B"}, {"name": "X-C", "value": "2", "mismatch": "LOG"}
    request = {"method": "GET", "path": "/a", "host": "b", "headers": ["X-Z 9"], "headerMatches": list(match)}
    rule = rule_of(http(request, {}))
    headers = (HeaderMatch("X-Z", "9"), HeaderMatch("X-A", "1"), HeaderMatch("X-B"), HeaderMatch("X-C", "2", True))
    assert rule.ports[0].http == (HttpMatch("/a", "GET", "b", headers), HttpMatch())
    assert not rule.unenforced


def test_empty_lists_ask_for_nothing() -> None:
    """The rule: "An empty list (http: [], dns: []) is no rule = everything; http: [{}] = any HTTP request"."""
    (entry,) = rule_of(http()).ports
    assert entry == PortEntry((CiliumPort(80, "TCP"),))
    (entry,) = rule_of(http({})).ports
    assert entry.http == (HttpMatch(),)


def test_an_entry_without_ports_has_none() -> None:
    """It matches nothing, which is for others to say."""
    rule = rule_of({**ANYBODY, "toPorts": [{}, {"ports": []}]})
    assert rule.ports == (PortEntry(()), PortEntry(()))


def test_names() -> None:
    """As they are written, with their case and their dots."""
    dns = [{"matchPattern": "*.Example.org."}, {"matchName": "a.b"}]
    (entry,) = rule_of({"toPorts": [{"ports": [{"port": "53"}], "rules": {"dns": dns}}]}).ports
    assert entry.dns == (NameMatch("", "*.Example.org."), NameMatch("a.b"))
    assert name_match({}, NOWHERE) == NameMatch()
    names = ["a.example", "**.b.example"]
    (entry,) = rule_of({"toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}], "serverNames": names}]}).ports
    assert entry.server_names == ("a.example", "**.b.example")


def test_icmp() -> None:
    """The rule: "fields: [{family: IPv4 (default)|IPv6, type: 0-255 or CamelCase name}]"."""
    fields = [{"type": 8}, {"type": "EchoReply"}, {"family": "IPv6", "type": "EchoRequest"}, {"type": "13"}]
    rule = rule_of({**ANYBODY, "icmps": [{"fields": fields}, {"fields": [{"family": "IPv4", "type": 0}]}]})
    assert rule.icmps == (IcmpMatch(4, 8), IcmpMatch(4, 0), IcmpMatch(6, 128), IcmpMatch(4, 13), IcmpMatch(4, 0))
    assert rule.lists_icmps
    assert list(icmp_matches([{}], NOWHERE)) == []


TLS = {"secret": {"name": "s"}}


@pytest.mark.parametrize(
    ("entry", "feature", "path"),
    [
        ({"terminatingTLS": TLS}, "terminatingTLS", "terminatingTLS"),
        ({"originatingTLS": TLS}, "originatingTLS", "originatingTLS"),
        ({"listener": {"envoyConfig": {"name": "c"}, "name": "l"}}, "listener", "listener"),
        ({"rules": {"kafka": [{"topic": "t"}]}}, "kafka", "rules.kafka"),
        ({"rules": {"l7proto": "r2d2"}}, "l7proto", "rules.l7proto"),
        (
            {"rules": {"http": [{}, {"headerMatches": [{"name": "a"}, {"name": "b", "secret": {"name": "s"}}]}]}},
            "headerMatches.secret",
            "rules.http[1].headerMatches[1].secret",
        ),
        *(
            (
                {"rules": {"http": [{"headerMatches": [{"name": "a", "value": "b", "mismatch": word}]}]}},
                "headerMatches.mismatch",
                "rules.http[0].headerMatches[0].mismatch",
            )
            for word in ("ADD", "DELETE", "REPLACE")
        ),
    ],
)
def test_what_we_do_not_do_is_kept_with_its_place(entry: dict[str, object], feature: str, path: str) -> None:
    """Nothing is dropped: the rule says what it asks for in vain."""
    rule = rule_of({**ANYBODY, "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], **entry}]})
    (mark,) = rule.unenforced
    assert (mark.feature, mark.place.path) == (feature, f"spec.egress[0].toPorts[0].{path}")
    assert mark.words
    assert str(mark) == f"spec.egress[0].toPorts[0].{path}: {mark.words}"


def test_empty_lists_ask_for_nothing_in_vain() -> None:
    """``L7Rules.Len``: none of them is a rule, so nothing is done in vain."""
    lists: tuple[dict[str, object], ...] = ({"kafka": []}, {"http": []}, {"dns": []})
    for rules in lists:
        assert not rule_of({**ANYBODY, "toPorts": [{"ports": [{"port": "80"}], "rules": rules}]}).unenforced


def test_a_range_after_a_name() -> None:
    """Cilium reads it, and we do not: what denies is closed, what allows means the named port."""
    entry: dict[str, object] = {**ANYBODY, "toPorts": [{"ports": [{"port": "80"}, {"port": "http", "endPort": 9000}]}]}
    assert not rule_of(entry).unenforced
    (mark,) = rule_of(entry, section="egressDeny").unenforced
    assert (mark.feature, mark.place.path) == ("endPort", "spec.egressDeny[0].toPorts[0].ports[1].endPort")


def test_several_are_all_kept() -> None:
    """One does not hide another."""
    entry = {"terminatingTLS": TLS, "originatingTLS": TLS, "rules": {"l7proto": "x", "l7": [{"a": "b"}]}}
    found = [one.feature for one in unenforced_of_ports([entry, {}], NOWHERE)]
    assert found == ["terminatingTLS", "originatingTLS", "l7proto", "l7"]
    assert port_entry({}, NOWHERE) == PortEntry(())
