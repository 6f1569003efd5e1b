"""The server of the watch tests lies about nothing: its shapes are those of a real one."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from outgate.cluster.client import Client
from tests.cluster.following import Follower, access_of, follow, state_of
from tests.cluster.watched import namespace, pod
from tests.cluster.watchserver import WatchServer

PODS = "/api/v1/pods"


@pytest.fixture
def server() -> Iterator[WatchServer]:
    """A server with five pods."""
    with WatchServer() as one:
        one.put_all(pod(f"web-{i}", node=f"node-{i % 2}") for i in range(5))
        yield one


def get(server: WatchServer, path: str = PODS, **query: str) -> tuple[int, Any]:
    """Status and body of a request."""
    with Client(access_of(server)) as client:
        answer = client.once(path, query)
    return answer.status, json.loads(answer.body)


def events(server: WatchServer, **query: str) -> list[Any]:
    """The events of a watch that lasts no longer than it must."""
    asked = {"watch": "1", "timeoutSeconds": "0", **query}
    with Client(access_of(server)) as client, client.open(PODS, asked) as stream:
        return [json.loads(line) for line in stream.lines()]


def shape(value: object) -> object:
    """A value with its strings and numbers left out."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return [shape(one) for one in value] if isinstance(value, list) else type(value).__name__


def test_the_shapes_of_the_recorded_session(server: WatchServer, shared: Path) -> None:
    """Lists, pages, events, bookmarks: what is around the objects is the same, and so are the objects that are put."""
    recorded = json.loads((shared / "conformance" / "apiserver_session.json").read_text())
    by_note = {one["note"].split(":")[0].split(",")[0]: one["response"] for one in recorded}
    page = by_note["first page of a list"]["body"]
    for number in range(5):
        server.put(namespace(f"n-{number}"))
    _, ours = get(server, "/api/v1/namespaces", limit="2")
    assert {**ours, "items": []}.keys() == page.keys()
    assert shape(ours["metadata"]) == shape(page["metadata"])
    assert (ours["kind"], ours["metadata"]["remainingItemCount"]) == (page["kind"], 3)
    assert set(ours["items"][0]["metadata"]) <= set(page["items"][0]["metadata"])
    assert ours["items"][0]["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n-0"}
    token, real = (json.loads(base64.urlsafe_b64decode(one["metadata"]["continue"] + "==")) for one in (ours, page))
    assert (shape(token), token["v"]) == (shape(real), real["v"])

    stream = by_note["streaming list (sendInitialEvents)"]["events"]
    with WatchServer() as fresh:
        value = json.loads(json.dumps(stream[0]["object"]))
        fresh.put(value)
        same = events(fresh, sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true")
        assert [shape(one) for one in same[:2]] == [shape(one) for one in stream]
        told = {**same[0]["object"], "metadata": {**same[0]["object"]["metadata"], "resourceVersion": "213"}}
        assert told == stream[0]["object"]
        _, listed = get(fresh)
        recorded_list = by_note["field selector"]["body"]
        assert shape(listed) == shape(recorded_list)
        assert listed["items"][0].keys() == recorded_list["items"][0].keys()


def test_pages_are_of_one_moment(server: WatchServer) -> None:
    """Whatever is written in between; and forgotten with the rest of the past."""
    _, first = get(server, limit="2")
    server.delete("Pod", "shop", "web-3")
    server.put(pod("web-0", color="red"))
    _, second = get(server, limit="2", **{"continue": first["metadata"]["continue"]})
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert [one["metadata"]["name"] for one in (*first["items"], *second["items"])] == [f"web-{i}" for i in range(4)]
    _, third = get(server, limit="2", **{"continue": second["metadata"]["continue"]})
    assert "continue" not in third["metadata"]
    server.compact()
    code, body = get(server, **{"continue": first["metadata"]["continue"]})
    assert (code, body["reason"]) == (410, "Expired")


def test_a_watch_from_the_past(server: WatchServer) -> None:
    """All that happened since, in order; and nothing but an error once that is forgotten."""
    version = str(server.store.version)
    server.put(pod("web-0", color="red"))
    server.put(pod("new"))
    server.delete("Pod", "shop", "new")
    found = events(server, resourceVersion=version)
    assert [one["type"] for one in found] == ["MODIFIED", "ADDED", "DELETED"]
    versions = [int(one["object"]["metadata"]["resourceVersion"]) for one in found]
    assert versions == [int(version) + 1, int(version) + 2, int(version) + 3]
    assert found[1]["object"]["metadata"]["uid"] == found[2]["object"]["metadata"]["uid"]
    assert found[0]["object"]["kind"] == "Pod"
    server.compact()
    (gone,) = events(server, resourceVersion=version)
    assert (gone["type"], gone["object"]["code"], gone["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_selectors_in_lists_and_watches(server: WatchServer) -> None:
    """As seen by who selects: moved in is added, moved out is deleted."""
    version = str(server.store.version)
    _, listed = get(server, fieldSelector="spec.nodeName=node-1", labelSelector="app=web,!color")
    assert [one["metadata"]["name"] for one in listed["items"]] == ["web-1", "web-3"]
    server.put(pod("web-1", node="node-1", color="red"))
    server.put(pod("web-0", node="node-1"))
    server.put(pod("web-2", node="node-0", color="blue"))
    found = events(server, resourceVersion=version, fieldSelector="spec.nodeName=node-1", labelSelector="!color")
    assert [(one["type"], one["object"]["metadata"]["name"]) for one in found] == [
        ("DELETED", "web-1"),
        ("ADDED", "web-0"),
    ]
    _, listed = get(server, labelSelector="color!=red", fieldSelector="metadata.name!=web-4")
    assert [one["metadata"]["name"] for one in listed["items"]] == ["web-0", "web-2", "web-3"]


def test_a_gate_that_is_off(server: WatchServer) -> None:
    """The words of a real server."""
    server.streaming = "refused"
    code, body = get(server, watch="1", sendInitialEvents="true")
    assert (code, body["reason"]) == (422, "Invalid")
    assert "forbidden for watch unless the WatchList feature gate is enabled" in body["message"]


def test_single_objects(server: WatchServer) -> None:
    """Read, made, patched and removed over HTTP; what is not kept is noted."""
    path = "/api/v1/namespaces/shop/pods/web-0"
    assert get(server, path)[1]["metadata"]["name"] == "web-0"
    with Client(access_of(server)) as client:
        change = b'{"metadata": {"labels": {"app": null, "color": "red"}}}'
        assert client.send("PATCH", path, change).status == 415
        patched = client.send("PATCH", path, change, content="application/merge-patch+json")
        assert json.loads(patched.body)["metadata"]["labels"] == {"color": "red"}
        made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
        assert client.send("POST", "/api/v1/nodes", json.dumps(made).encode()).status == 201
        status = b'{"status": {"conditions": [{"type": "X", "status": "True"}]}}'
        merge = "application/merge-patch+json"
        assert client.send("PATCH", "/api/v1/nodes/n/status", status, content=merge).status == 200
        assert client.send("DELETE", path, b"{}").status == 200
        assert client.once(path).status == 404
        event = "/apis/events.k8s.io/v1/namespaces/shop/events"
        assert client.send("POST", event, b'{"reason": "Denied"}').status == 201
        assert client.once("/apis/x/v1/y").status == 404
    node = server.store.get("Node", "", "n")
    assert node is not None
    assert node["status"] == {"conditions": [{"type": "X", "status": "True"}]}
    assert server.written[-1] == ("POST", event, {"reason": "Denied"})


def test_what_each_client_costs(server: WatchServer) -> None:
    """By the name that it sends: bytes, requests, events."""
    one, two = Follower(), Follower()
    with follow(server, one, access=access_of(server, "one")), follow(server, two, access=access_of(server, "two")):
        for follower in (one, two):
            follower.until(lambda: len(follower.state) == 5)  # noqa: B023 - called at once
        server.put(pod("new"))
        for follower in (one, two):
            follower.until(lambda: len(follower.state) == 6)  # noqa: B023 - called at once
    costs = [server.traffic[name] for name in ("one", "two")]
    assert costs[0] == costs[1]
    assert (costs[0].requests, costs[0].watches, costs[0].lists, costs[0].events) == (1, 1, 0, 6)
    assert server.total().bytes == 2 * costs[0].bytes > 2 * 6 * 200


def test_many_pods_and_many_clients() -> None:
    """The size of the agents' tests: what is encoded once is sent to all."""
    with WatchServer() as server:
        server.put_all(pod(f"pod-{i}", namespace=f"team-{i % 50}", address=f"10.1.{i >> 8}.{i & 255}")
                       for i in range(5000))  # fmt: skip
        wanted = state_of(server, "Pod")
        followers = [Follower() for _ in range(3)]
        watches = [follow(server, one) for one in followers]
        for one in watches:
            one.start()
        for follower in followers:
            follower.until(lambda: len(follower.state) == 5000, 60)  # noqa: B023 - called at once
            assert follower.state == wanted
        for one in watches:
            one.stop()


def test_away_and_back(server: WatchServer) -> None:
    """At the same port, with the same objects."""
    url = server.url
    server.down()
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))):
        pass
    server.up()
    assert server.url == url
    assert len(get(server, f"{PODS}?{quote('x')}")[1]["items"]) == 5
