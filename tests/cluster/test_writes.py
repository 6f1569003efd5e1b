"""Three writes, as an API server takes them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from outgate.cluster.client import ATTEMPTS, Client
from outgate.cluster.writes import create, remove, replace
from outgate.errors import ClusterError
from tests.cluster.apiserver import ApiServer, Reply, access_to, status


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """A server that takes everything."""
    with ApiServer(lambda _: Reply(201, {"kind": "x"})) as one:
        yield one


def test_an_object_is_posted(server: ApiServer) -> None:
    """In JSON, and said to be."""
    with Client(access_to(server)) as client:
        assert create(client, "/api/v1/namespaces", {"kind": "Namespace"}).status == 201
    (asked,) = server.asked
    assert (asked.method, asked.path, json.loads(asked.body)) == ("POST", "/api/v1/namespaces", {"kind": "Namespace"})
    assert asked.headers["Content-Type"] == "application/json"


def test_an_object_is_put_in_the_place_of_another(server: ApiServer) -> None:
    """Whole."""
    with Client(access_to(server)) as client:
        replace(client, "/api/v1/namespaces/x", {"kind": "Namespace"})
    (asked,) = server.asked
    assert (asked.method, asked.path, json.loads(asked.body)) == ("PUT", "/api/v1/namespaces/x", {"kind": "Namespace"})


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, {}),
        ({"uid": "u"}, {"preconditions": {"uid": "u"}}),
        ({"at_once": True}, {"gracePeriodSeconds": 0}),
    ],
)
def test_an_object_is_deleted(server: ApiServer, options: dict[str, object], found: dict[str, object]) -> None:
    """With what else it must be, and how soon."""
    with Client(access_to(server)) as client:
        remove(client, "/api/v1/namespaces/x", **options)  # type: ignore[arg-type]  # a table of keywords
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("DELETE", "/api/v1/namespaces/x")
    assert json.loads(asked.body) == {
        "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background", **found,
    }  # fmt: skip


def test_refusals_are_answers(server: ApiServer) -> None:
    """What they mean is for the caller to say."""
    server.answer = lambda _: status(403, "Forbidden", "no")
    with Client(access_to(server)) as client:
        assert create(client, "/x", {}).words == "no"
        assert remove(client, "/x").status == 403


def test_a_write_is_sent_again_as_a_read_is(server: ApiServer) -> None:
    """Whoever writes here may write twice."""
    replies = [Reply(raw=b""), Reply(503, "busy"), Reply(201, {})]
    server.answer = lambda _: replies.pop(0)
    with Client(access_to(server), wait=lambda _: None) as client:
        assert create(client, "/x", {"a": 1}).status == 201
    assert [json.loads(one.body) for one in server.asked] == [{"a": 1}] * 3
    server.answer = lambda _: Reply(raw=b"")
    with (
        Client(access_to(server), wait=lambda _: None) as client,
        pytest.raises(ClusterError, match=f"{ATTEMPTS} times"),
    ):
        remove(client, "/x")
