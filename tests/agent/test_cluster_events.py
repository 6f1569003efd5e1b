"""Events are few, true to the API's rules, and never in the way: of the agent, or of the API server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from outgate.agent import cluster_events
from outgate.agent.cluster_events import BURST, KEPT, QUEUED, WINDOW, ClusterEvents
from outgate.agent.state import NEEDED
from outgate.cluster.client import Client
from outgate.cluster.watch_decode import KINDS
from outgate.errors import InputError
from outgate.report.packet_log import LogRecord, Party, PodName, Workload
from tests.cluster.apiserver import ApiServer, Asked, Reply, access_to, status

DENIED = LogRecord(
    time="2026-11-26T03:00:00.000Z",
    node="node-a",
    verdict="denied",
    direction="egress",
    pod=PodName("shop", "web-1", "uid-1"),
    workload=Workload("Deployment", "web"),
    peer=Party("Pod", "shop", "postgres"),
    protocol="TCP",
    port=5432,
    policy="shop/deny",
    rule="isolated, nothing allows",
)


class Server:
    """An API server that keeps what is written to it, and a writer of Events to it."""

    def __init__(self, answer: Callable[[Asked], Reply] | None = None) -> None:
        self.came = threading.Condition()
        self.bodies: list[tuple[str, str, Any]] = []
        self.said: list[str] = []
        self.now = 1000.0
        self.answer = answer or (lambda _: Reply(201, {}))

    def __call__(self, asked: Asked) -> Reply:
        """Take a request."""
        reply = self.answer(asked)
        with self.came:
            self.bodies.append((asked.method, asked.path, json.loads(asked.body)))
            self.came.notify_all()
        return reply

    def written(self, count: int) -> list[tuple[str, str, Any]]:
        """So many requests, once they have come."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.bodies) >= count, 30), self.bodies
            return list(self.bodies)


@contextmanager
def writing(
    server: Server, *, started: bool = True, clock: Callable[[], float] | None = None
) -> Iterator[ClusterEvents]:
    """Events go to the server, by a clock that the test moves."""
    with ApiServer(server) as api, Client(access_to(api), wait=lambda _: None) as client:
        events = ClusterEvents(
            client, "node-a", say=server.said.append, clock=clock or (lambda: server.now), wall=lambda: 1.7e9
        )
        if started:
            events.start()
        try:
            yield events
        finally:
            events.stop()


def changed(**more: object) -> LogRecord:
    """Another packet."""
    return msgspec.structs.replace(DENIED, **more)


def test_a_denial_is_an_event_on_the_pod() -> None:
    """With every field that the API asks for, and the pod's uid, without which kubectl describe does not show it."""
    server = Server()
    with writing(server) as events:
        events.packet(DENIED)
        ((method, path, body),) = server.written(1)
    assert (method, path) == ("POST", "/apis/events.k8s.io/v1/namespaces/shop/events")
    metadata = body.pop("metadata")
    assert metadata["namespace"] == "shop"
    assert metadata["name"].startswith("web-1.")
    assert body == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "eventTime": "2023-11-14T22:13:20.000000Z",
        "reportingController": "outgate.dev/agent",
        "reportingInstance": "node-a",
        "action": "Judge",
        "reason": "EgressDenied",
        "type": "Warning",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "uid-1"},
        "note": "TCP port 5432 to shop/postgres denied: isolated, nothing allows (shop/deny)",
    }


@pytest.mark.parametrize(
    ("record", "reason", "kind", "note"),
    [
        (changed(direction="ingress"), "IngressDenied", "Warning", "from shop/postgres denied"),
        (changed(verdict="would-deny"), "WouldDeny", "Normal", "to shop/postgres would be denied"),
        (
            changed(peer=None, port=None, protocol=None),
            "EgressDenied",
            "Warning",
            "protocol unknown of an unknown peer denied",
        ),
    ],
)
def test_other_verdicts(record: LogRecord, reason: str, kind: str, note: str) -> None:
    """Each has its reason."""
    server = Server()
    with writing(server) as events:
        events.packet(record)
        ((_, _, body),) = server.written(1)
    assert (body["reason"], body["type"]) == (reason, kind)
    assert note in body["note"]


@pytest.mark.parametrize("record", [changed(verdict="allowed"), changed(verdict="unknown-pod"), changed(pod=None)])
def test_what_is_no_event(record: LogRecord) -> None:
    """What was allowed, and what belongs to nobody."""
    server = Server()
    with writing(server) as events:
        events.packet(record)
        events.packet(DENIED)
        server.written(1)
    assert len(server.bodies) == 1


def test_one_for_each_owner_peer_and_rule_in_ten_minutes() -> None:
    """A thousand packets, of all pods of a Deployment, are one Event; then one more write says how many there were."""
    server = Server()
    with writing(server) as events:
        for number in range(1000):
            events.packet(changed(pod=PodName("shop", f"web-{number % 50}")))
        (first,) = server.written(1)
        server.now += WINDOW + 1
        events.packet(DENIED)
        second, third = server.written(3)[1:]
    assert (second[0], second[1]) == ("PUT", f"{first[1]}/{first[2]['metadata']['name']}")
    assert second[2] == {**first[2], "series": {"count": 1000, "lastObservedTime": "2023-11-14T22:13:20.000000Z"}}
    # After the ten minutes it is told anew.
    assert (third[0], "series" in third[2]) == ("POST", False)


def test_another_peer_or_port_or_policy_is_another() -> None:
    """But not another pod of the same Deployment."""
    server = Server()
    others = [
        changed(peer=Party("External", cidrs=("1.1.1.1/32",))),
        changed(port=80),
        changed(policy="shop/x"),
        changed(direction="ingress"),
    ]
    with writing(server) as events:
        for record in (DENIED, *others, changed(pod=PodName("shop", "web-2")), changed(pod=PodName("b", "web-1"))):
            events.packet(record)
        assert len(server.written(6)) == 6
        assert len({body["metadata"]["name"] for _, _, body in server.bodies}) == 6


def test_policies_and_the_table() -> None:
    """A policy that closes because it cannot be read, and a table that was mended, which is the node's."""
    server = Server()
    with writing(server) as events:
        events.policy_broken("NetworkPolicy", "shop", "bad", [InputError("x", 0, "spec.egress", "is no list")])
        events.drift_repaired()
        (_, path, policy), (_, other, drift) = server.written(2)
    assert path == "/apis/events.k8s.io/v1/namespaces/shop/events"
    assert policy["regarding"] == {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "namespace": "shop", "name": "bad",
    }  # fmt: skip
    assert policy["note"].endswith("spec.egress: is no list")
    assert (policy["reason"], drift["reason"]) == ("PolicyBroken", "DriftRepaired")
    assert other == "/apis/events.k8s.io/v1/namespaces/default/events"
    assert drift["regarding"] == {"apiVersion": "v1", "kind": "Node", "name": "node-a", "uid": "node-a"}


@pytest.mark.parametrize("kind", sorted(NEEDED - {"Pod", "Namespace", "Node"}))
def test_whatever_can_be_broken_is_told_of(kind: str) -> None:
    """Each kind that the agent follows, where its own API has it: to be asked about it must not end the agent."""
    namespace = "shop" if KINDS[kind].namespaced else ""
    server = Server()
    with writing(server) as events:
        events.policy_broken(kind, namespace, "bad", [InputError("x", 0, "spec", "is no object")])
        ((_, path, body),) = server.written(1)
    assert path == f"/apis/events.k8s.io/v1/namespaces/{namespace or 'default'}/events"
    told = {"apiVersion": KINDS[kind].api_version, "kind": kind, "name": "bad"}
    assert body["regarding"] == told | ({"namespace": namespace} if namespace else {})
    assert body["note"].endswith("spec: is no object")


def test_a_note_has_its_limit_in_bytes() -> None:
    """events.go: "can have at most 1024 bytes"; more is refused, and control characters are written out."""
    server = Server()
    with writing(server) as events:
        events.policy_broken("NetworkPolicy", "shop", "bad", [InputError("x", 0, "", "ä\n" * 2000)])
        ((_, _, body),) = server.written(1)
    assert 900 < len(body["note"].encode()) <= 1024
    assert body["note"].isprintable()


def test_forbidden_is_said_once_and_then_left() -> None:
    """Events are a courtesy; an agent without the right to write them enforces all the same."""
    server = Server(lambda _: status(403, "Forbidden", "events is forbidden: no"))
    with writing(server) as events:
        for port in range(5):
            events.packet(changed(port=port))
        server.written(1)
        while not events.forbidden:
            pass
        for port in range(100):
            events.packet(changed(port=port))
    assert len(server.bodies) == 1
    assert server.said == ["Events are not written: events is forbidden: no"]


def test_a_namespace_that_is_going_is_no_refusal() -> None:
    """403 there means another thing (admission, NamespaceLifecycle)."""
    server = Server(lambda _: status(403, "Forbidden", "unable to create new content because it is being terminated"))
    with writing(server) as events:
        events.packet(DENIED)
        server.written(1)
        events.packet(changed(port=1))
        server.written(2)
    assert not events.forbidden
    assert server.said == []


@pytest.mark.parametrize("code", [404, 409, 422, 500])
def test_other_refusals_cost_that_event_alone(code: int) -> None:
    """The next is tried."""
    server = Server(lambda asked: status(code, "x", "y") if b"5432" in asked.body else Reply(201, {}))
    with writing(server) as events:
        events.packet(DENIED)
        events.packet(changed(port=1))
        with server.came:
            assert server.came.wait_for(lambda: any("port 1 " in body["note"] for _, _, body in server.bodies), 30)


def test_what_does_not_fit_is_dropped() -> None:
    """While the API server takes nothing, memory and time of the agent stay what they are."""
    server = Server()
    with writing(server, started=False) as events:
        for port in range(KEPT + 500):
            events.packet(changed(port=port))
        assert events._queue.qsize() == QUEUED
        assert len(events._series) == KEPT
        assert events.dropped == KEPT - QUEUED + 500


def test_writes_have_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node where everything is denied must not be what the API server is busy with."""
    server = Server()
    monkeypatch.setattr(cluster_events, "PER_SECOND", 1e-6)
    with writing(server) as events:
        for port in range(BURST + 50):
            events.packet(changed(port=port))
        server.written(BURST)
        while events._queue.qsize() > 49:
            pass
    assert len(server.bodies) == BURST


def test_a_server_that_hangs_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tells of a packet is back at once, and the end does not wait for the server."""
    monkeypatch.setattr(cluster_events, "_PATIENCE", 0.01)
    hanging = threading.Event()
    entered = threading.Event()

    def hang(_: Asked) -> Reply:
        entered.set()
        hanging.wait(30)
        return Reply(201, {})

    server = Server(hang)
    with writing(server, clock=time.monotonic) as events:
        events.packet(DENIED)
        assert entered.wait(30)
        for port in range(100):
            events.packet(changed(port=port))
        events.stop()
        assert not hanging.is_set()
        hanging.set()


def test_an_api_server_that_is_gone_is_no_error() -> None:
    """Its watches say so; the agent goes on."""
    with (
        ApiServer(lambda _: Reply(raw=b"")) as api,
        Client(access_to(api), wait=lambda _: None) as client,
        ClusterEvents(client, "node-a") as events,
    ):
        events.packet(DENIED)
        while not events.dropped:
            pass
