"""Each refusal with its words, and with what is done about it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from outgate.cluster.access import Access, Credentials
from outgate.cluster.stream import Answer
from outgate.cluster.watch_decode import KINDS
from outgate.cluster.watch_words import GoneError, PauseError, check, stream_error

ACCESS = Access("cluster:prod", urlsplit("https://192.0.2.1"), Credentials, kubectl="kubectl --context prod")
POLICIES, NODES = KINDS["NetworkPolicy"], KINDS["Node"]


def answer(status: int, message: str = "no", retry_after: str = "") -> Answer:
    """An answer as a server words it."""
    return Answer(status, json.dumps({"kind": "Status", "message": message}).encode(), retry_after)


def refused(status: int, message: str = "no", retry_after: str = "") -> PauseError:
    """What is made of it."""
    with pytest.raises(PauseError) as caught:
        check(ACCESS, POLICIES, "watch", answer(status, message, retry_after))
    return caught.value


def test_a_right_that_is_missing_is_named() -> None:
    """With the verb, the resource, the whole cluster, and a command that shows it."""
    error = refused(403, 'User "x" cannot watch')
    assert error.slow
    for part in ("cluster:prod", "may not watch networkpolicies.networking.k8s.io in all namespaces", "(403)",
                 'User "x" cannot watch', "list and watch",
                 "kubectl --context prod auth can-i watch networkpolicies.networking.k8s.io -A"):  # fmt: skip
        assert part in error.words
    with pytest.raises(PauseError) as caught:
        check(ACCESS, NODES, "list", answer(403))
    assert "namespaces" not in caught.value.words
    assert caught.value.words.endswith("can-i list nodes")


def test_other_refusals() -> None:
    """What only somebody can mend is asked slowly, what may pass by is asked as the server wants."""
    assert refused(404).slow
    assert "has no networkpolicies" in refused(404).words
    assert (refused(401).renew, refused(401).slow) == (True, False)
    assert "auth whoami" in refused(401).words
    assert (refused(429, retry_after="7").asked, refused(503, retry_after="x").asked) == (7, 0)
    assert "is answered with 500: ill" in refused(500, "ill").words
    for status in (301, 400, 422, 503):
        assert (refused(status).renew, refused(status).slow) == (False, False)
    check(ACCESS, POLICIES, "watch", answer(200))


@pytest.mark.parametrize("status", [(410, "Expired"), (504, "Too large resource version: 9, current: 5")])
def test_what_is_gone(status: tuple[int, str]) -> None:
    """Forgotten, or not there yet: a server that was set back to an earlier state."""
    with pytest.raises(GoneError):
        check(ACCESS, POLICIES, "watch", answer(*status))


@pytest.mark.parametrize(
    ("text", "gone", "words", "asked"),
    [
        ({"code": 410, "reason": "Expired", "message": "too old resource version: 1 (2)"}, True, "", 0),
        ({"code": 504, "message": "Timeout: Too large resource version: 9"}, True, "", 0),
        ({"code": 500, "message": "etcd has no leader"}, False, "(500): etcd has no leader", 0),
        ({"code": 429, "message": "later", "details": {"retryAfterSeconds": 3}}, False, "(429): later", 3),
        ({"code": 429, "message": "later", "details": {"retryAfterSeconds": -3}}, False, "later", 0),
        ({"code": "x"}, False, "(0)", 0), ([], False, "(0)", 0),
    ],
)  # fmt: skip
def test_an_error_in_the_stream(text: object, gone: bool, words: str, asked: float) -> None:
    """A Status instead of an object."""
    error = stream_error(ACCESS, POLICIES, json.dumps(text).encode())
    assert isinstance(error, GoneError) == gone
    if isinstance(error, PauseError):
        assert words in error.words
        assert error.asked == asked
