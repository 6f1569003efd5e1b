"""The grammar of SRC and DST: what is read as what, and that nothing a person can type ends in a traceback."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.targets import (
    ANY_TRANSPORT,
    Named,
    Noun,
    TransportAsked,
    kind_of,
    other_reading,
    parse,
    parse_destination,
)
from outgate.errors import InvalidInput, UsageError

ADDRESS, NETWORK = ipaddress.ip_address, ipaddress.ip_network


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", ADDRESS("10.0.0.1")),
        ("2001:db8::1", ADDRESS("2001:db8::1")),
        ("::ffff:10.0.0.1", ADDRESS("::ffff:10.0.0.1")),
        ("[2001:db8::1]", ADDRESS("2001:db8::1")),
        ("10.0.0.0/8", NETWORK("10.0.0.0/8")),
        ("10.1.2.3/8", NETWORK("10.0.0.0/8")),
        ("::/0", NETWORK("::/0")),
        ("[2001:db8::/32]", NETWORK("2001:db8::/32")),
        ("web", Named(Noun.ANYTHING, "web")),
        ("example.com", Named(Noun.ANYTHING, "example.com")),
        ("shop/web", Named(Noun.WORKLOAD, "web", "shop")),
        ("deploy/web", Named(Noun.WORKLOAD, "web", "deploy")),
        ("shop/deploy/web", Named(Noun.WORKLOAD, "web", "shop", "deploy")),
        ("shop/Rollout/web", Named(Noun.WORKLOAD, "web", "shop", "Rollout")),
        ("svc/shop/web", Named(Noun.SERVICE, "web", "shop")),
        ("shop/svc/web", Named(Noun.SERVICE, "web", "shop")),
        ("svc/web", Named(Noun.SERVICE, "web")),
        ("Service/web", Named(Noun.SERVICE, "web")),
        ("node/a", Named(Noun.NODE, "a")),
        ("node/pod", Named(Noun.NODE, "pod")),
    ],
)
def test_an_end_is_read_in_one_way(text: str, expected: object) -> None:
    """An end read as another thing is an answer to another question."""
    assert parse(text) == expected
    assert parse_destination(text) == (expected, ANY_TRANSPORT)


@pytest.mark.parametrize(
    ("text", "end", "port", "protocol"),
    [
        ("shop/web:443", Named(Noun.WORKLOAD, "web", "shop"), 443, None),
        ("shop/web:53/udp", Named(Noun.WORKLOAD, "web", "shop"), 53, 17),
        ("shop/web:http", Named(Noun.WORKLOAD, "web", "shop"), "http", None),
        ("shop/web:http/SCTP", Named(Noun.WORKLOAD, "web", "shop"), "http", 132),
        ("svc/shop/web:80/TCP", Named(Noun.SERVICE, "web", "shop"), 80, 6),
        ("10.0.0.1:65535", ADDRESS("10.0.0.1"), 65535, None),
        ("10.0.0.0/8:443/TCP", NETWORK("10.0.0.0/8"), 443, 6),
        ("[2001:db8::1]:443", ADDRESS("2001:db8::1"), 443, None),
        ("[2001:db8::/32]:53/17", NETWORK("2001:db8::/32"), 53, 17),
        ("example.com:443", Named(Noun.ANYTHING, "example.com"), 443, None),
    ],
)
def test_a_port_is_split_off(text: str, end: object, port: object, protocol: int | None) -> None:
    """The slash of the protocol is not one of the name, and the colons of an address are not the port's."""
    assert parse_destination(text) == (end, TransportAsked(port, protocol))  # type: ignore[arg-type]  # mixed table


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "a/", "/a", "a//b", "a/b/c/d", ":80", "a:", "a:/TCP", "a:80/", "a:80/XYZ", "a:0", "a:65536", "a:-1"),
        *("a:99999999999999999999999", "a:80/256", "a:٨٠", "a:_", "10.0.0.256", "10.0.0.0/33", "10.0.0.0/8/8", "1.2.3"),
        *("2001:db8::1:::", "[2001:db8::1", "[2001:db8::1]443", "2001:db8::/129", "fe80::1%eth0", "a:b:c", "[]:80"),
    ],
)
def test_what_is_none_of_these_is_refused(text: str) -> None:
    """A text that is half right must not be taken for something it does not say."""
    with pytest.raises(UsageError):
        parse_destination(text)


def test_a_source_has_no_port() -> None:
    """A port behind the source would be taken for the destination's, or silently lost."""
    with pytest.raises(UsageError, match="a source has no port"):
        parse("shop/web:80")


@given(st.text(max_size=40) | st.text("abz019./:[]%-_ ", max_size=30))
def test_no_text_is_a_traceback(text: str) -> None:
    """Whatever is typed is read or refused with a sentence; a traceback is neither."""
    for read in (parse, parse_destination):
        with suppress(InvalidInput):
            assert read(text) is not None


@given(st.none() | st.text(max_size=12), st.none() | st.text(max_size=8) | st.integers(-5, 300).map(str))
def test_no_port_is_a_traceback(port: str | None, protocol: str | None) -> None:
    """The same for the long forms."""
    try:
        found = TransportAsked.read(port, protocol)
    except InvalidInput:
        return
    assert found.protocol is None or 0 <= found.protocol <= 255
    assert found.port is None or isinstance(found.port, str) or 1 <= found.port <= 65535


def test_long_and_short_form_may_agree_and_not_contradict() -> None:
    """Of two ports one would be ignored, and the answer would be about the other."""
    asked = TransportAsked(443, None)
    assert asked.joined(TransportAsked(443, 6)) == TransportAsked(443, 6)
    assert ANY_TRANSPORT.joined(asked) == asked
    with pytest.raises(UsageError, match="port is given twice"):
        asked.joined(TransportAsked(80, None))
    with pytest.raises(UsageError, match="protocol is given twice, as TCP and as UDP"):
        TransportAsked(None, 6).joined(TransportAsked(None, 17))


def test_kinds_are_kubectls_words() -> None:
    """A word that kubectl knows and we do not sends its user to the documentation."""
    assert [kind_of(one) for one in ("po", "Deploy", "STS", "ds", "rs", "jobs", "cj", "deployments.apps")] == [
        *("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Deployment")
    ]
    assert kind_of("shop") is None


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("2001:db8::1:443", "[2001:db8::1]:443"),
        ("fd00:10::443", ""),
        ("2001:db8::1", ""),
        ("2001:db8::1:db", ""),
        ("[2001:db8::1]:443", ""),
        ("10.0.0.1:443", ""),
        ("shop/web:443", ""),
        ("2001:db8:0:0:0:0:1:443", ""),
    ],
)
def test_a_port_that_may_have_been_meant_is_noticed(text: str, other: str) -> None:
    """Whoever forgets the brackets gets an answer about another address, and must be able to see it."""
    assert other_reading(text) == other


@pytest.mark.parametrize("text", ["https://example.com:443/", "http://10.0.0.1", "https://[2001:db8::1]/"])
def test_a_url_is_called_one(text: str) -> None:
    """Advice about brackets of IPv6 does not help who pasted a URL."""
    with pytest.raises(UsageError, match="this is a URL"):
        parse_destination(text)


@pytest.mark.parametrize(
    ("text", "end", "port"),
    [
        ("shop/Deployment/web[version=v2]", Named(Noun.WORKLOAD, "web", "shop", "Deployment", ("version=v2",)), None),
        ("web[a.io/b=c, d=]:80", Named(Noun.ANYTHING, "web", part=("a.io/b=c", "d=")), 80),
        ("shop/sts/db[db-0, db-1]:pg", Named(Noun.WORKLOAD, "db", "shop", "sts", ("db-0", "db-1")), "pg"),
    ],
)
def test_a_part_of_a_workload(text: str, end: Named, port: object) -> None:
    """What `list` prints can be pasted into the next question, slashes of its labels and all."""
    assert parse_destination(text) == (end, TransportAsked(port))  # type: ignore[arg-type]  # mixed table


@pytest.mark.parametrize("text", ["web[", "web[]", "web[a", "web[a,]", "10.0.0.1[a=b]", "web[a=b]x", "web[a]/b"])
def test_half_a_part_is_refused(text: str) -> None:
    """Or the question would be about all pods, or about none."""
    with pytest.raises(UsageError):
        parse(text)
