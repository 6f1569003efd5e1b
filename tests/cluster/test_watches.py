"""Threads that begin, end at once whatever they wait for, and share one client; and any history folds to the truth."""

from __future__ import annotations

import json
import random
import socket
import ssl
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.cluster import watch_decode
from outgate.cluster.access import Access, Credentials, from_pod
from outgate.cluster.events import Event, Recovered, Replaced, Troubled
from outgate.cluster.watch import Pace, Subscription
from outgate.cluster.watch_decode import Reader
from outgate.cluster.watches import Watches
from outgate.errors import ClusterError
from tests.cluster.apiserver import certificate
from tests.cluster.following import QUICK, Follower, access_of, follow, state_of
from tests.cluster.test_connection import needs_openssl
from tests.cluster.watched import pod, policy
from tests.cluster.watchserver import WatchServer

KINDS = ("Pod", "NetworkPolicy")


def alive() -> list[str]:
    """The threads of watches that there are."""
    return [one.name for one in threading.enumerate() if one.name.startswith("watch-")]


def test_ends_while_it_is_idle() -> None:
    """In a read that nothing would end for minutes."""
    follower = Follower()
    with WatchServer() as server:
        with follow(server, follower, KINDS, pace=Pace(start=0)):
            assert server.until(lambda: server.watching() == 2)
            assert sorted(alive()) == ["watch-NetworkPolicy", "watch-Pod"]
        assert alive() == []
    assert [type(one) for one in follower.events] == [Replaced, Replaced]


def test_what_is_followed_beside_comes_and_goes() -> None:
    """Of what is not followed any more nothing is told, and its thread ends, whatever it waits for."""
    follower = Follower()
    with WatchServer() as server, follow(server, follower, ("Pod",), pace=Pace(start=0)) as watches:
        watches.follow([Subscription("Service")])
        follower.until(lambda: len(follower.of(Replaced)) == 2)
        assert server.until(lambda: server.watching("Service") == 1)
        watches.follow([Subscription("Service"), Subscription("EndpointSlice")])
        follower.until(lambda: len(follower.of(Replaced)) == 3)
        watches.follow([])
        assert server.until(lambda: not server.watching("Service") and not server.watching("EndpointSlice"))
        assert server.watching("Pod") == 1
    assert alive() == []


def test_ends_while_it_pauses() -> None:
    """Half a minute before the next try."""
    follower = Follower()
    with WatchServer() as server:
        server.forbidden = {("watch", "Pod")}
        with follow(server, follower, pace=Pace(start=0)):
            follower.until(lambda: bool(follower.troubled))
        assert alive() == []


def test_ends_while_nobody_answers() -> None:
    """After the request, and before the first byte of an answer."""
    follower = Follower()
    with WatchServer() as server:
        server.stall()
        with follow(server, follower, pace=Pace(start=0)):
            assert server.until(lambda: len(server.asked) == 1)
        assert alive() == []
    assert follower.events == []


def test_ends_while_it_connects() -> None:
    """To a host that says nothing at all: here one whose queue of connections is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        begun = threading.Event()

        def identify() -> Credentials:
            begun.set()
            return Credentials()

        access = Access("cluster:x", urlsplit(f"http://127.0.0.1:{port}"), identify)
        with Watches(access, [Subscription("Pod")], lambda _: None, pace=Pace(start=0)) as watches:
            assert begun.wait(10)
            assert watches.client._busy or alive()
        assert alive() == []
        for one in waiting:
            one.close()


@pytest.mark.parametrize("begun", [False, True])
def test_ends_at_once_and_twice(begun: bool) -> None:
    """A caller that is itself at its end may say it several times, and before it began."""
    with WatchServer() as server:
        watches = follow(server, Follower(), pace=Pace(start=0))
        if begun:
            watches.start()
        watches.stop()
        watches.stop()
        assert alive() == []
        with pytest.raises(ClusterError, match="nothing more is asked"):
            watches.client.get("/api/v1/pods")


def test_no_event_comes_after_the_end() -> None:
    """Who stopped has put its queue away."""
    with WatchServer() as server:
        follower = Follower()
        with follow(server, follower):
            follower.until(lambda: len(follower.of(Replaced)) == 1)
            threads = [threading.Thread(target=server.put_all, args=([pod(f"{i}-{k}") for k in range(50)],))
                       for i in range(4)]  # fmt: skip
            for thread in threads:
                thread.start()
        told = len(follower.events)
        for thread in threads:
            thread.join()
        server.put(pod("last"))
        assert len(follower.events) == told


@needs_openssl
def test_through_tls(tmp_path: Path) -> None:
    """With the server verified, and an end at once here too."""
    papers = certificate(tmp_path, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*papers)
    follower = Follower()
    with WatchServer(tls=context) as server:
        server.put_all(pod(f"web-{i}") for i in range(300))
        access = access_of(server, authority=papers[0].read_bytes())
        with follow(server, follower, access=access):
            follower.until(lambda: len(follower.state) == 300)
            server.cut()
            server.put(pod("new"))
            follower.until(lambda: len(follower.state) == 301)
            assert follower.state == state_of(server, "Pod")
        assert alive() == []
        distrusting = Follower()
        with follow(server, distrusting, access=access_of(server)):
            distrusting.until(lambda: bool(distrusting.troubled))
        assert "its certificate cannot be trusted" in distrusting.troubled["Pod"]


@needs_openssl
def test_a_changed_authority_is_taken_up(tmp_path: Path) -> None:
    """An agent that keeps the old one hears nothing more from the day on which the old one is gone."""
    old, new = (certificate(tmp_path, name) for name in ("old", "new"))
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in (old, new)]
    for context, papers in zip(contexts, (old, new), strict=True):
        context.load_cert_chain(*papers)
    (tmp_path / "token").write_text("one")
    authority = tmp_path / "ca.crt"
    authority.write_bytes(old[0].read_bytes())
    follower = Follower()
    with WatchServer(tls=contexts[0]) as server:
        server.put(pod("web"))
        port = server.url.rpartition(":")[2]
        environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": port}
        access = from_pod(environment, str(tmp_path))
        assert access is not None
        with follow(server, follower, access=access):
            follower.until(lambda: len(follower.state) == 1)
            server.down()
            server._tls = contexts[1]
            server.up()
            follower.until(lambda: bool(follower.troubled))
            authority.write_bytes(new[0].read_bytes())
            server.put(pod("new"))
            follower.until(lambda: len(follower.state) == 2 and not follower.troubled)


def test_the_client_serves_others_meanwhile() -> None:
    """From several threads, while watches are open."""
    with WatchServer() as server:
        server.put_all(pod(f"web-{i}") for i in range(20))
        follower = Follower()
        failures: list[BaseException] = []

        def ask(client: Any, number: int) -> None:
            try:
                for _ in range(20):
                    path = f"/api/v1/namespaces/shop/pods/web-{number}"
                    assert f'"name":"web-{number}"'.encode() in client.get(path).body.replace(b'": "', b'":"')
                    labels = b'{"metadata":{"labels":{"seen":"yes"}}}'
                    answer = client.send("PATCH", path, labels, content="application/merge-patch+json")
                    assert answer.status == 200
            except BaseException as error:  # noqa: BLE001 - it is shown below
                failures.append(error)

        with follow(server, follower, KINDS) as watches:
            threads = [threading.Thread(target=ask, args=(watches.client, number)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert failures == []
            follower.until(lambda: follower.state == state_of(server, *KINDS))
        # Two watches, and no more connections than threads that asked at one time.
        assert server.total().connections <= 10


OPERATIONS = st.sampled_from(
    ["put"] * 6 + ["delete"] * 3 + ["broken", "compact", "cut", "inside", "end", "bookmark", "away", "fail", "gone",
     "stall", "nonsense", "initial", "offered", "refused", "unknown"]
)  # fmt: skip


def perform(server: WatchServer, operation: str, dice: random.Random) -> None:
    """One thing that happens at the server."""
    name, kind = f"x-{dice.randrange(5)}", dice.choice(KINDS)
    match operation:
        case "put":
            value = pod(name, number=str(dice.randrange(3))) if kind == "Pod" else policy(name)
            server.put(value)
        case "broken":
            server.put(policy(name, egress=[{"to": [{"ipBlock": {"cidr": "10.0.0"}}]}]))
        case "delete":
            if server.store.get(kind, "shop", name) is not None:
                server.delete(kind, "shop", name)
        case "compact":
            server.compact()
        case "cut" | "inside":
            server.cut(dice.choice(("", *KINDS)), inside=operation == "inside")
        case "end":
            server.end()
        case "bookmark":
            server.bookmark()
        case "away":
            server.down()
            server.up()
        case "fail":
            server.fail(dice.choice((429, 500, 503, 504, 403, 404, 410, 401, 400)), times=dice.randrange(1, 4))
        case "gone":
            server.say({"type": "ERROR", "object": {"code": dice.choice((410, 500)), "message": "x"}})
        case "stall":
            server.stall(inside=dice.random() < 0.5)
            server.put(pod(name, stalled="yes"))
            server.flow()
        case "nonsense":
            server.say(b"{nonsense\n", kind)
        case "initial":
            server.cut_initial(dice.randrange(3))
        case "offered" | "refused" | "unknown":
            server.streaming = operation


@settings(max_examples=60)
@given(st.lists(OPERATIONS, max_size=25), st.integers(0, 2**32))
def test_any_history_folds_to_what_is_there(operations: list[str], seed: int) -> None:
    """Whatever happened, in whatever order: at the end the follower's state is the server's, and trouble is over."""
    dice = random.Random(seed)
    follower = Follower()
    with WatchServer(bookmark_every=0.02) as server:
        server.put_all([pod("x-0"), policy("x-1")])
        with follow(server, follower, KINDS, pace=QUICK, dice=lambda: random.Random(seed)):
            for operation in operations:
                if dice.random() < 0.3:
                    server.until(lambda: server.watching() == 2, 0.05)
                perform(server, operation, dice)
            server.faults.failures.clear()
            server.cut_initial(0)
            for value in (pod("last"), policy("last")):
                server.put(value)
            wanted = state_of_all(server)
            follower.until(lambda: follower.state == wanted and not follower.troubled)
    check_order(follower.events)


def state_of_all(server: WatchServer) -> dict[Any, object]:
    """The server's state, with the stand-ins of broken policies."""
    found: dict[Any, object] = {}
    for kind in KINDS:
        reader = Reader(watch_decode.KINDS[kind], "cluster:test")
        for value in server.store.all(kind):
            made = reader.read(json.dumps(value).encode())
            found[kind, value["metadata"]["namespace"], value["metadata"]["name"]] = made.value
    return found


def check_order(events: list[Event]) -> None:
    """Of each kind the whole comes first, and trouble and its end take turns."""
    for kind in KINDS:
        of_kind = [one for one in events if one.kind == kind]
        told = [one for one in of_kind if not isinstance(one, Troubled | Recovered)]
        assert isinstance(told[0], Replaced)
        turns: list[Troubled | Recovered] = []
        for one in of_kind:
            before = turns[-1] if turns else None
            if isinstance(one, Troubled) and isinstance(before, Troubled):
                # It is told once more where only somebody who changes something can mend it.
                assert (before.lasting, one.lasting) == (False, True)
            elif isinstance(one, Troubled | Recovered):
                turns.append(one)
        assert [type(one) for one in turns] == [Troubled, Recovered] * (len(turns) // 2)
