"""Lines of the log, as Envoy wrote them, and others."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from outgate.proxy.envoy_log import Refusal, read_refusal

# As Envoy 1.40 wrote them.
REQUEST = (
    '{"concerned":"3396387fcc06eecf70074edb.0","destination":"203.0.113.10:80",'
    '"details":"rbac_access_denied_matched_policy[none]","host":"a","method":"DELETE","of":"request","path":"/v1/2",'
    '"pod":"10.1.0.11:52520","time":"2026-11-26T08:49:24.681Z"}\n'
)
UNREADABLE = (
    '{"concerned":null,"destination":"203.0.113.10:80","details":"http1.codec_error","host":null,"method":null,'
    '"of":"request","path":null,"pod":"10.1.0.11:51892","time":"2026-11-26T08:49:27.909Z"}\n'
)


def test_a_refused_request() -> None:
    """It names the rules that concern it."""
    assert read_refusal(REQUEST, {"3396387fcc06eecf70074edb": ("a rule", "another")}) == Refusal(
        "2026-11-26T08:49:24.681Z",
        "10.1.0.11:52520",
        "203.0.113.10:80",
        ("a rule", "another"),
        "rbac_access_denied_matched_policy[none]",
        "DELETE",
        "/v1/2",
        "a",
    )


def test_rules_that_are_not_known_any_more() -> None:
    """A line may be older than the rules that are in force."""
    refusal = read_refusal(REQUEST.encode(), {})
    assert refusal is not None
    assert refusal.rules == ()


def test_what_could_not_be_read() -> None:
    """Without method, path and host."""
    refusal = read_refusal(UNREADABLE, {})
    assert refusal is not None
    assert (refusal.details, refusal.method, refusal.path) == ("http1.codec_error", "", "")


@given(st.text() | st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_line(line: str | bytes) -> None:
    """None of ours."""
    assert read_refusal(line, {}) is None


@given(
    st.fixed_dictionaries(
        {"of": st.just("request")}, optional={"path": st.text() | st.integers(), "concerned": st.text()}
    )
)
def test_fields_of_any_kind(fields: dict[str, object]) -> None:
    """A field that is missing, or no text, is empty."""
    refusal = read_refusal(json.dumps(fields), {})
    assert refusal is not None
    assert refusal.path == (fields["path"] if isinstance(fields.get("path"), str) else "")
