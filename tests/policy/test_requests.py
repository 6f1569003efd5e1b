"""Rules about requests, row by row of semantics.md C5, and against an evaluator that knows only that text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model import Direction
from outgate.model.cilium import HeaderMatch, HttpMatch, NameMatch
from outgate.policy.requests import Request, can_be_met, is_looked_into, is_settled, lets_name, lets_request
from outgate.policy.rules import Action, Conditions, Origin, Rule, Tier
from tests.policy.asks import asks
from tests.policy.test_truth_cases import truth

_METHODS = st.sampled_from(["GET", "POST", "get", "CONNECT"])
_PATHS = st.sampled_from([None, "/", "/a", "/a?x=1", "/a/b", "/v1/items"])
_HOSTS = st.sampled_from(["a.example", "a.example:80", "aXexample", ""])
_HEADERS = st.lists(st.tuples(st.sampled_from(["X-A", "x-a", "X-B"]), st.sampled_from(["1", "2", ""])), max_size=3).map(
    tuple
)
_REQUESTS = st.builds(Request, _METHODS, _PATHS, _HOSTS, _HEADERS)

_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["", "GET", "GET|POST", "G.T", "[A-Z]+"]),
        "path": st.sampled_from(["", "/a", "/a.*", "/(a|v1)/.*", ".*"]),
        "host": st.sampled_from(["", r"a\.example", "a.example", r"a\.example(:\d+)?"]),
        "headers": st.lists(st.sampled_from(["X-A 1", "x-a: 2", "X-B", "X-A: 1,2"]), max_size=2),
    },
)


def obvious(fields: dict[str, object], request: Request) -> bool:
    """One rule, as the text of C5 says it."""
    for name, value in (("method", request.method), ("path", request.path), ("host", request.host)):
        wanted = fields.get(name)
        if wanted and (value is None or not re.fullmatch(str(wanted), value)):
            return False
    for header in fields.get("headers", ()):  # type: ignore[attr-defined]  # a list where it is there
        name, _, value = header.partition(" ")
        lines = [text for key, text in request.headers if key.lower() == name.rstrip(":").lower()]
        if not lines or (value and ",".join(lines) != value):
            return False
    return True


@given(st.lists(_FIELDS, max_size=3), _REQUESTS)
def test_as_the_text_says(entries: list[dict[str, object]], request: Request) -> None:
    """Entries ORed, fields ANDed, empty lists ask nothing."""
    rules = [asks(**_split(fields)) for fields in entries]  # type: ignore[arg-type]  # fields by their names
    assert lets_request(rules, request) is (not entries or any(obvious(one, request) for one in entries))


def _split(fields: dict[str, object]) -> dict[str, object]:
    """The colon behind a header's name is gone where the model has read it."""
    headers = [text.replace(":", "", 1) for text in fields.get("headers", ())]  # type: ignore[attr-defined]  # a list
    return {**fields, "headers": headers}


def test_unknown_stays_unknown() -> None:
    """Unless another entry decides it."""
    unknown, other = asks(path="(?i)/A"), asks(method="GET")
    assert lets_request([unknown], Request("POST", "/a", "h")) is None
    assert lets_request([unknown, other], Request("POST", "/a", "h")) is None
    assert lets_request([unknown, other], Request("GET", "/a", "h")) is True
    assert lets_request([asks(method="PUT", path="(?i)/A")], Request("GET", "/a", "h")) is False


def test_a_mismatch_that_is_only_logged_is_no_hindrance() -> None:
    """C5: LOG, ADD, DELETE and REPLACE "modify the request and still match"."""
    logged = HeaderMatch("X-A", "1", log_only=True)
    assert lets_request([HttpMatch(headers=(logged,))], Request("GET", "/", "h")) is True
    assert lets_request([HttpMatch(headers=(logged, HeaderMatch("X-B")))], Request("GET", "/", "h")) is False


@pytest.mark.parametrize(
    "entry",
    [
        asks(method="(?=x)"),
        asks(path="[a"),
        asks(host="a**"),
        HttpMatch(headers=(HeaderMatch("a\nb", "2"),)),
        HttpMatch(headers=(HeaderMatch("a", "b\r\nc: d"),)),
        HttpMatch(headers=(HeaderMatch(""),)),
        HttpMatch(headers=(HeaderMatch(":path", "/"),)),
    ],
)
def test_what_no_request_can_meet(entry: HttpMatch) -> None:
    """It lets nothing through, and the proxy never hears of it: it would refuse everybody's rules."""
    assert not can_be_met(entry)
    assert lets_request([entry], Request("x", "[a", "h", (("a", "b"),))) is False


def test_the_host_is_a_header_too() -> None:
    """Envoy keeps one value for ``Host`` and ``:authority``."""
    assert lets_request([asks(headers=["Host a.example"])], Request("GET", "/", "a.example")) is True


@pytest.mark.parametrize("path", ["/", "/a/b", "/a.b/..c", "/a?x=//../%2f", "*"])
def test_settled_paths(path: str) -> None:
    """Nothing is made of them on the way; a query is left alone."""
    assert is_settled(path)


@pytest.mark.parametrize("path", ["//", "/a//b", "/a/../b", "/a/.", "/a/..", "/%61", "/a\\b", "/a#b"])
def test_paths_that_are_normalised(path: str) -> None:
    """What is judged is another path."""
    assert not is_settled(path)


def test_which_rules_are_looked_into() -> None:
    """Those that ask for requests or servers; questions to DNS are not Envoy's."""
    origin = Origin("cilium.io/v2", "CiliumNetworkPolicy", "a", "b", Direction.EGRESS, 0)

    def rule(conditions: Conditions | None) -> Rule:
        return Rule(Direction.EGRESS, Tier.NETWORK_POLICY, Action.ACCEPT, None, None, origin, conditions)

    assert is_looked_into(rule(Conditions(http=(HttpMatch(),))))
    assert is_looked_into(rule(Conditions(server_names=("a",))))
    assert not is_looked_into(rule(None))
    assert not is_looked_into(rule(Conditions(dns=(NameMatch("a"),))))


def test_server_names() -> None:
    """Any of the patterns; a client that names none matches none."""
    assert lets_name(("*.a", "b"), "x.a")
    assert not lets_name(("*.a", "b"), "")


def of_requests() -> list[tuple[str, list[HttpMatch], dict[str, Any], bool]]:
    """The flows of C32 to C37 that only the one rule with `rules.http` can let through."""
    found = []
    for case in truth()["cases"]:
        if case["id"] not in {"C32", "C33", "C34", "C37"}:
            continue
        (policy,) = case["policies"]
        entries = policy["spec"]["egress"][0]["toPorts"][0]["rules"]["http"]
        for number, flow in enumerate(case["flows"]):
            if flow["to"] == "pod:shop/web":
                verdict = flow["expect"] == "allow"
                found.append((f"{case['id']}.{number}", list(map(entry, entries)), flow.get("http"), verdict))
    return found


def entry(fields: dict[str, Any]) -> HttpMatch:
    """One entry as the file has it."""
    method, path, host = (fields.get(name, "") for name in ("method", "path", "host"))
    short = asks(method, path, host, fields.get("headers", ()))
    long = tuple(HeaderMatch(one["name"], one.get("value")) for one in fields.get("headerMatches", ()))
    return HttpMatch(short.path, short.method, short.host, short.headers + long)


@pytest.mark.parametrize(("name", "entries", "asked", "verdict"), of_requests())
def test_truth(name: str, entries: list[HttpMatch], asked: dict[str, Any] | None, verdict: bool) -> None:
    """The verdicts worked by hand; a flow that is no HTTP at all is not let through."""
    if asked is None:
        assert not verdict, name
        return
    headers = tuple(asked.get("headers", {}).items())
    assert lets_request(entries, Request(asked["method"], asked["path"], asked["host"], headers)) is verdict, name
