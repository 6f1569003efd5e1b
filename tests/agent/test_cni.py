"""The agent's end: whatever a client does, the others and the loop are served."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import resource
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.agent import cni
from outgate.agent.cni import Server, Tally
from outgate.agent.events import Applied, Born, Died, Forgotten
from outgate.agent.step import Answer, Apply, plan
from outgate.agent.world import Claim, World
from outgate.cluster.events import Upserted
from outgate.errors import KernelError
from outgate.model import Pod
from tests.agent.calling import Listener
from tests.agent.estates import NODE, gatehouse

ADD: dict[str, Any] = {
    "command": "ADD",
    "namespace": "shop",
    "name": "web-1",
    "uid": "u-1",
    "container": "c-1",
    "addresses": ["10.1.0.5", "fd00::5"],
    "interface": "veth1",
    "seconds": 30,
}
ADDRESSES = (ipaddress.ip_address("10.1.0.5"), ipaddress.ip_address("fd00::5"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the socket is."""
    return tmp_path / "run" / "cni.sock"


def connected(path: Path) -> socket.socket:
    """A client that has said nothing yet."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(str(path))
    return client


def heard(client: socket.socket) -> Any:
    """What is answered until the other end hangs up; None where that is nothing."""
    said = b""
    with client, contextlib.suppress(ConnectionResetError):
        while part := client.recv(4096):
            said += part
    return json.loads(said) if said else None


def asked(path: Path, question: object) -> Any:
    """One whole conversation."""
    client = connected(path)
    client.sendall(question if isinstance(question, bytes) else json.dumps(question).encode() + b"\n")
    return heard(client)


def test_the_socket_is_roots_alone_and_goes_with_the_agent(path: Path) -> None:
    """Whoever can write there can say that a pod has any address."""
    with Listener(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert not path.exists()


def test_a_stale_socket_is_replaced_and_anothers_is_left(path: Path) -> None:
    """An agent that was killed leaves its socket; one that stops late must not take away the next one's."""
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Listener(path):
        assert asked(path, ADD) == {"result": "done"}
        with Listener(path) as second:
            assert asked(path, ADD) == {"result": "done"}
            assert isinstance(second.next(), Born)
    with Listener(path) as old, Listener(path):
        old.server.stop()
        assert asked(path, {"command": "STATUS"}) == {"result": "done"}
        old.server.stop()


def test_what_is_no_socket_is_left(path: Path) -> None:
    """A file that somebody put there is his."""
    path.parent.mkdir()
    path.write_text("mine")
    server = Server(path, lambda _: None, lambda: True)
    with pytest.raises(KernelError, match="no socket"):
        server.start()
    assert path.read_text() == "mine"
    with pytest.raises(KernelError, match="cannot be made"):
        Server(path.with_name("x" * 200), lambda _: None, lambda: True).start()


def test_a_pod_is_born_and_answered_once(path: Path) -> None:
    """The answer goes to whom it is for, in whatever order, and is counted with the time waited."""
    with Listener(path, answers=False) as agent:
        clients = [connected(path) for _ in range(3)]
        births = []
        for number, client in enumerate(clients):
            client.sendall(json.dumps(ADD | {"name": f"web-{number}"}).encode() + b"\n")
            births.append(agent.next())
        assert births[0] == Born("shop", "web-0", Claim("u-1", ADDRESSES, "veth1"), 1)
        assert len({one.token for one in births if isinstance(one, Born)}) == 3
        agent.server.answer(3)
        agent.server.answer(3)
        agent.server.answer(99)
        assert heard(clients[2]) == {"result": "done"}
        agent.server.answer(1)
        assert heard(clients[0]) == {"result": "done"}
        clients[1].close()
        assert agent.next() == Forgotten(2)
        assert agent.server.waiting == 0
        assert {name: one.count for name, one in agent.server.results.items()} == {"enforced": 2, "abandoned": 1}
        assert agent.server.results["enforced"].seconds > 0


def test_observers_are_told(path: Path) -> None:
    """A histogram is somebody else's affair."""
    seen: list[tuple[str, float]] = []
    server = Server(path, lambda _: None, lambda: False, lambda result, seconds: seen.append((result, seconds)))
    server.start()
    assert asked(path, {"command": "STATUS"}) == {"result": "later", "message": "the agent is not ready"}
    server.stop()
    assert [name for name, _ in seen] == ["asked"]
    assert server.results == {"asked": Tally(1, seen[0][1])}


def test_stopping_forgets_whoever_waits(path: Path) -> None:
    """They ask the next agent; the connection ends without a word."""
    with Listener(path, answers=False) as agent:
        client = connected(path)
        client.sendall(json.dumps(ADD).encode() + b"\n")
        agent.next()
    assert heard(client) is None
    assert agent.next() == Forgotten(1)


def test_a_plugin_that_never_hangs_up_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is stopped, or lost, does not wait for ever."""
    monkeypatch.setattr(cni, "_GRACE", 0.01)
    with Listener(path, answers=False) as agent:
        assert asked(path, ADD | {"seconds": -1e300}) is None
        agent.next()
        assert agent.next() == Forgotten(1)


def test_slow_and_dead_clients_harm_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some say nothing, some half a line, some leave at once: a pod is answered meanwhile."""
    monkeypatch.setattr(cni, "_ASKING", 1.0)
    with Listener(path):
        silent = [connected(path) for _ in range(20)]
        for client in silent[::2]:
            client.sendall(b'{"command":')
        for _ in range(20):
            connected(path).close()
        assert asked(path, ADD) == {"result": "done"}
        assert [heard(client) for client in silent] == [None] * 20


def test_clients_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Further ones wait, and are served when others have gone."""
    monkeypatch.setattr(cni, "MOST_CLIENTS", 2)
    with Listener(path) as agent:
        first, second = connected(path), connected(path)
        third = connected(path)
        third.sendall(json.dumps(ADD).encode() + b"\n")
        second.sendall(json.dumps(ADD | {"name": "web-2"}).encode() + b"\n")
        born = agent.next()
        assert isinstance(born, Born)
        assert born.name == "web-2"
        assert heard(second) == heard(third) == {"result": "done"}
        first.close()


def test_without_descriptors_it_goes_on_later(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EMFILE: who could not be accepted is accepted once there is room."""
    monkeypatch.setattr(cni, "_REST", 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    refused = 0
    with Listener(path) as agent:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            client.connect(str(path))
            client.sendall(json.dumps(ADD).encode() + b"\n")
            while not refused:
                refused = int(agent.server._rest_until > 0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert heard(client) == {"result": "done"}


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (b"\n", 6),
        (b"[]\n", 6),
        (b"\xff\n", 6),
        (b'{"command":"FLY"}\n', 6),
        (b"[" * 60_000 + b"\n", 6),
        (b'{"command":"STATUS","x":' + b"[" * 60_000 + b"\n", 6),
        (b"x" * (cni.MOST_LINE + 1), 6),
        (ADD | {"name": ""}, 4),
        (ADD | {"namespace": "a\nb"}, 4),
        (ADD | {"name": "x" * 254}, 4),
        (ADD | {"uid": "x" * 254}, 4),
        (ADD | {"addresses": ["here"]}, 7),
        (ADD | {"addresses": ["fe80::1%eth0"]}, 7),
        (ADD | {"interface": 'x" accept; drop "'}, 7),
        (ADD | {"interface": "x" * 16}, 7),
        ({"command": "DEL", "namespace": "a", "name": "b", "addresses": ["?"]}, 7),
    ],
)
def test_bad_questions_are_refused(path: Path, question: object, code: int) -> None:
    """With a code for the runtime, and nothing reaches the loop."""
    with Listener(path) as agent:
        answer = asked(path, question)
        assert (answer["result"], answer["code"]) == ("refused", code)
        assert agent.events.empty()
        assert agent.server.results["refused"].count == 1


def test_the_late_del_of_a_former_sandbox_is_not_passed_on(path: Path) -> None:
    """Kubelet removes the remains of a pod's former sandbox when the pod lives in a new one, under the same uid."""
    gone = ADD | {"command": "DEL"}
    with Listener(path) as agent:
        assert asked(path, ADD) == asked(path, ADD | {"container": "c-2"}) == {"result": "done"}
        agent.next(), agent.next()
        assert asked(path, gone) == {"result": "done"}
        assert agent.events.empty()
        assert asked(path, gone | {"container": "c-2", "uid": ""}) == {"result": "done"}
        assert agent.next() == Died("shop", "web-1", "u-1", ADDRESSES)
        assert agent.server.results["late"].count == 1
        assert asked(path, gone) == {"result": "done"}
        assert agent.next() == Died("shop", "web-1", "u-1", ADDRESSES)


def test_what_is_remembered_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first: of those that are forgotten a DEL is believed."""
    monkeypatch.setattr(cni, "_MOST_REMEMBERED", 2)
    with Listener(path) as agent:
        for number in range(3):
            asked(path, ADD | {"name": f"web-{number}"})
            agent.next()
        assert set(agent.server._containers) == {("shop", "web-1"), ("shop", "web-2")}


def test_the_answer_waits_for_the_kernel(path: Path) -> None:
    """With the step itself: not when the pod is known, not when the change is on its way, but when it is in."""
    state = gatehouse()
    pod = Pod("shop", "new", {"app": "web"}, node=NODE, uid="u-1")
    with Listener(path, answers=False) as agent, connected(path) as client:
        client.sendall(json.dumps(ADD | {"name": "new", "interface": "ogp2"}).encode() + b"\n")
        born = agent.next()
        assert isinstance(born, Born)
        assert plan(state, [born])[1] == ()
        _, (apply,) = plan(state, [Upserted("Pod", pod, 0.0)])
        assert isinstance(apply, Apply)
        assert agent.server.waiting == 1
        assert plan(state, [Applied()])[1] == (Answer(born.token),)
        agent.server.answer(born.token)
        assert heard(client) == {"result": "done"}
        assert asked(path, ADD | {"command": "DEL", "name": "new"}) == {"result": "done"}
        _, (apply,) = plan(state, [agent.next()])
        assert isinstance(apply, Apply)
        assert set(state.world.holders).isdisjoint(ADDRESSES)


@pytest.mark.parametrize("told", [False, True], ids=["claimed", "told by the API server"])
def test_an_agent_that_restarted_knows_a_former_sandbox_by_its_addresses(told: bool) -> None:
    """It has no container to compare, but the network that went away had other addresses than the pod has."""
    world, key = World("n"), ("shop", "web-1")
    world.put_pod(Pod(*key, node="n", uid="u-1", addresses=ADDRESSES if told else ()))
    if not told:
        world.born(key, Claim("u-1", ADDRESSES, ""))
    assert world.died(key, "u-1", (ipaddress.ip_address("10.1.0.4"),)) == set()
    assert set(world.holders) == set(ADDRESSES)
    assert world.died(key, "u-1", ADDRESSES[:1]) == set(ADDRESSES)
    assert not world.holders


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    """One server for many bad clients."""
    with tempfile.TemporaryDirectory() as folder, Listener(Path(folder) / "s") as found:
        yield found


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=3)
_FIELDS = st.sampled_from([*ADD, "valid"])
_COMMANDS = st.fixed_dictionaries({"command": st.sampled_from(["ADD", "CHECK", "DEL", "GC", "STATUS"]) | _VALUES})


@settings(max_examples=300)
@given(
    st.binary(max_size=60)
    | st.tuples(_COMMANDS, st.dictionaries(_FIELDS, _VALUES, max_size=3)).map(
        lambda pair: json.dumps(ADD | pair[1] | pair[0]).encode() + b"\n"
    )
)
def test_fuzz(listener: Listener, text: bytes) -> None:
    """Each gets an answer or an end, and the server lives."""
    client = connected(listener.path)
    with contextlib.suppress(BrokenPipeError):
        client.sendall(text)
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)
    answer = heard(client)
    assert answer is None or answer["result"] in {"done", "refused"}
    assert asked(listener.path, {"command": "STATUS"}) == {"result": "done"}
