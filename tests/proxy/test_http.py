"""Rules about requests, row by row of semantics.md C5, and against an evaluator that knows only that text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.proxy.http import HeaderRule, Request, allows, http_rule, parse_header

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
    rules = [http_rule(**fields) for fields in entries]  # type: ignore[arg-type]  # fields by their names
    assert allows(rules, request) is (not entries or any(obvious(one, request) for one in entries))


def test_unknown_stays_unknown() -> None:
    """Unless another rule decides it."""
    unknown, other = http_rule(path="(?i)/A"), http_rule(method="GET")
    assert allows([unknown], Request("POST", "/a", "h")) is None
    assert allows([unknown, other], Request("POST", "/a", "h")) is None
    assert allows([unknown, other], Request("GET", "/a", "h")) is True
    assert allows([http_rule(method="PUT", path="(?i)/A")], Request("GET", "/a", "h")) is False


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("X-A b", HeaderRule("X-A", "b")),
        ("X-A: b c", HeaderRule("X-A", "b c")),
        ("X-A", HeaderRule("X-A")),
        ("X-A:", HeaderRule("X-A")),
        ("X-A ", HeaderRule("X-A", "")),
    ],
)
def test_short_form_of_headers(text: str, rule: HeaderRule) -> None:
    """Split at the first blank; a colon behind the name is dropped."""
    assert parse_header(text) == rule


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"method": "(?=x)"}, "method: a group"),
        ({"path": "[a"}, "path: a '['"),
        ({"host": "a**"}, "host: a repetition"),
        ({"headers": ["ok 1", "a\nb 2"]}, "headers[1]: 'a\\nb' is no name"),
        ({"headers": ["a b\r\nc: d"]}, "headers[0]: the value of a has a control character"),
        ({"headers": [""]}, "headers[0]: '' is no name"),
        ({"matches": [HeaderRule(":path", "/")]}, "headerMatches[0]"),
    ],
)
def test_what_cannot_be_used(fields: dict[str, object], words: str) -> None:
    """The field is named."""
    with pytest.raises(ValueError, match="^" + re.escape(words)):
        http_rule(**fields)  # type: ignore[arg-type]  # fields by their names


def test_any() -> None:
    """`http: [{}]` is any request."""
    assert http_rule().is_any
    assert not http_rule(method=".*").is_any
