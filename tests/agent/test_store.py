"""Saved state: whole whenever somebody dies, refused where it is not ours, and cheap for the loop."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from outgate.agent import store as module
from outgate.agent.step import State
from outgate.agent.store import CLOSED, FILES, RULESET, STATE, WORLD, Picture, Saver, Store, closed_ruleset
from outgate.host import process
from outgate.host.namespaces import die_with_parent
from outgate.model import Node
from outgate.nft.guard import Ports, guard
from outgate.nft.options import Options
from outgate.nft.text import ruleset_text
from outgate.policy import Mode
from outgate.testing import node, pod, policy
from tests.agent.estates import ENFORCED, NODE, agent, big, gatehouse

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def contents(folder: Path) -> dict[str, bytes]:
    """The files that count."""
    return {one: (folder / one).read_bytes() for one in FILES if (folder / one).exists()}


def other() -> Picture:
    """Another cluster than `gatehouse`, of which every file is another."""
    return Picture.of(agent([pod("a/b", ["10.0.0.1"], on=NODE)], replace(ENFORCED, interface_prefix="veth")))


# ---- there and back --------------------------------------------------------------------------------------------------


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """The names of chains, and who was there."""
    state = gatehouse()
    Store(tmp_path, NODE).write(Picture.of(state), MOMENT)
    loaded = Store(tmp_path, NODE).load()
    assert loaded.notes == ()
    assert (loaded.mode, loaded.written) == (Mode.ENFORCE, "2026-01-02T03:04:05Z")
    assert loaded.index == state.desired.index
    assert loaded.index
    assert loaded.memory is not None
    assert [str(one) for one in loaded.memory.pods] == ["shop/web"]
    assert loaded.memory.policies == tuple(state.world.policies.values())
    text, fault = Store(tmp_path, NODE).ruleset(RULESET)
    assert fault == ""
    assert text.split("\n", 2)[1] == "create table inet outgate"
    assert text.split("\n", 2)[2] == ruleset_text(state.desired.ruleset) + "# end\n"


def test_the_guard_of_a_bridge_is_in_the_same_transaction(tmp_path: Path) -> None:
    """After the table that is refused where it stands; what is left of the guard alone goes first."""
    table = guard(Ports({ip_address("10.0.0.1"): "veth1"}, ("veth1",)), passive=False)
    plain = other()
    Store(tmp_path, NODE).write(replace(plain, guard=table), MOMENT)
    text, fault = Store(tmp_path, NODE).ruleset(RULESET)
    assert fault == ""
    replaced = "add table bridge outgate\ndelete table bridge outgate\n"
    assert text.endswith(ruleset_text(plain.ruleset) + replaced + ruleset_text(table) + "# end\n")
    assert "table bridge" not in (tmp_path / CLOSED).read_text(), "the last resort loads into every kernel"


def test_nothing_is_no_fault(tmp_path: Path) -> None:
    """The first start of a node."""
    store = Store(tmp_path / "none", NODE)
    assert store.load().notes == ()
    assert store.ruleset(RULESET) == ("", "")


def test_files_are_roots_alone(tmp_path: Path) -> None:
    """What is in them is loaded into the kernel, and names everybody's workloads."""
    Store(tmp_path / "state", NODE).write(other())
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert {(tmp_path / "state" / one).stat().st_mode & 0o777 for one in FILES} == {0o600}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda _: b"\xff\xfe something else",
        lambda data: data.replace(NODE.encode(), b"node-z"),
        lambda _: b'{"format": 99, "node": "node-a", "written": ""}',
        lambda _: b'# outgate {"format": 99, "node": "node-a", "written": ""}\n# end\n',
    ],
    ids=["empty", "half", "short", "foreign", "another node", "later", "later ruleset"],
)
def test_what_cannot_be_used_is_set_aside(tmp_path: Path, name: str, spoil: Callable[[bytes], bytes]) -> None:
    """Reported, never fatal, and the others are used."""
    store = Store(tmp_path, NODE)
    store.write(Picture.of(gatehouse()))
    whole = contents(tmp_path)
    (tmp_path / name).write_bytes(spoil(whole[name]))
    loaded, rulesets = store.load(), [store.ruleset(one) for one in (RULESET, CLOSED)]
    notes = [*loaded.notes, *(fault for _, fault in rulesets if fault)]
    assert len(notes) == 1
    assert f"set aside as {name}.broken" in notes[0]
    assert (tmp_path / f"{name}.broken").exists()
    assert contents(tmp_path) == {one: data for one, data in whole.items() if one != name}
    assert (loaded.memory is None, loaded.mode is None) == (name == WORLD, name == STATE)
    assert [not text for text, _ in rulesets] == [name == RULESET, name == CLOSED]


def test_any_node_will_do_where_none_is_named(tmp_path: Path) -> None:
    """`outgate agent boot` by hand."""
    Store(tmp_path, "node-z").write(other())
    assert Store(tmp_path).ruleset(RULESET)[1] == ""
    assert Store(tmp_path).load().memory is not None


def test_a_folder_that_is_none_is_no_crash(tmp_path: Path) -> None:
    """Whatever the system says."""
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file", NODE)
    assert len(store.load().notes) == 2
    assert "Not a directory" in store.ruleset(RULESET)[1]
    with pytest.raises(OSError, match="exists"):
        store.write(other())


def test_too_large_a_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, whatever the disk holds."""
    Store(tmp_path, NODE).write(other())
    monkeypatch.setattr(module, "_LARGEST", 10)
    assert all("too large" in one for one in Store(tmp_path, NODE).load().notes)


# ---- the closed table ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "blocks", "closes"),
    [
        (ENFORCED, (), True),
        (Options(mode=Mode.ENFORCE), (), False),
        (Options(mode=Mode.ENFORCE), ("10.1.0.0/24", "fd00::/64"), True),
        (replace(ENFORCED, mode=Mode.AUDIT), ("10.1.0.0/24",), False),
        (replace(ENFORCED, mode=None), ("10.1.0.0/24",), False),
        (replace(ENFORCED, open_at_birth=True), ("10.1.0.0/24",), False),
    ],
)
def test_the_closed_table_is_there_where_it_closes(
    tmp_path: Path, options: Options, blocks: tuple[str, ...], closes: bool
) -> None:
    """And goes when the node is to be open: else a reboot would close what was only watched."""
    store = Store(tmp_path, NODE)
    store.write(other())
    assert (tmp_path / CLOSED).exists()
    here = node(NODE, []) | {"spec": {"podCIDRs": list(blocks)}}
    store.write(Picture.of(agent([here], options)))
    assert (tmp_path / CLOSED).exists() == closes
    assert store.load().notes == ()


def test_the_closed_table_knows_nobody() -> None:
    """Every way to a pod's chain is empty, so all that is left is the way of the unknown."""
    found = closed_ruleset(ENFORCED, Node(NODE))
    assert found is not None
    assert all(not one.elements and one.is_map for one in found.sets.values())
    assert "drop" in ruleset_text(found)


# ---- death at any point ----------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for SIGKILL: nothing of this process happens any more."""


class Fragile:
    """The module os, of which call number `last` is the last thing that happens (half of it, where it writes)."""

    CALLS = ("open", "write", "fsync", "close", "replace", "unlink")

    def __init__(self, last: int, *, done: bool) -> None:
        self.left, self.done, self.handles = last, done, set[int]()

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return (lambda *given, **more: self.call(name, real, *given, **more)) if name in self.CALLS else real

    def call(self, name: str, real: Any, *given: Any, **more: Any) -> Any:
        """One system call."""
        if self.left < 0:
            raise Killed
        self.left -= 1
        if self.left < 0 and name == "write":
            real(given[0], given[1][: len(given[1]) // 2])
        if self.left < 0 and (name == "write" or not self.done):
            raise Killed
        result = real(*given, **more)
        if name == "open":
            self.handles.add(result)
        elif name == "close":
            self.handles.discard(given[0])
        if self.left < 0:
            raise Killed
        return result


@contextmanager
def dying(last: int, *, done: bool) -> Iterator[Fragile]:
    """Die with the system call of this number, before it or after it."""
    fragile = Fragile(last, done=done)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "os", fragile)
        yield fragile
    for handle in fragile.handles:
        os.close(handle)


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("watched", [False, True], ids=["enforced", "watched"])
def test_whoever_dies_leaves_the_old_file_or_the_new_one(tmp_path: Path, done: bool, watched: bool) -> None:
    """At each system call of a save; and the next save is not in the way of what is left."""
    old = Picture.of(gatehouse())
    new = replace(other(), options=replace(ENFORCED, mode=Mode.AUDIT)) if watched else other()
    store, results = Store(tmp_path, NODE), []
    for picture in (old, new):
        store.write(picture, MOMENT)
        results.append(contents(tmp_path))
    before, after = results
    assert all(before[name] != after.get(name) for name in FILES)
    last = 0
    while True:
        store.write(old, MOMENT)
        assert contents(tmp_path) == before
        with dying(last, done=done) as fragile, suppress(Killed):
            store.write(new, MOMENT)
        now = contents(tmp_path)
        assert all(now.get(name) in {before[name], after.get(name)} for name in FILES)
        loaded = store.load()
        assert loaded.notes == ()
        assert store.ruleset(RULESET)[1] == store.ruleset(CLOSED)[1] == ""
        if fragile.left >= 0:
            break
        last += 1
    assert last > 20
    assert contents(tmp_path) == after


def test_a_process_that_is_killed_leaves_whole_files(tmp_path: Path) -> None:
    """The same with the signal itself, while it writes as fast as it can."""
    store, pictures = Store(tmp_path, NODE), (Picture.of(gatehouse()), other())

    def write(heard: int) -> int:
        die_with_parent()
        while True:
            for picture in pictures:
                store.write(picture, MOMENT)
                os.write(heard, b".")

    whole = []
    for picture in pictures:
        store.write(picture, MOMENT)
        whole.append(contents(tmp_path))
    for number in range(1, 11):
        reading, writing = os.pipe()
        pid = process.fork(lambda heard=writing: write(heard))  # type: ignore[misc]  # mypy knows no default of a lambda
        os.close(writing)
        for _ in range(number):
            os.read(reading, 1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        now = contents(tmp_path)
        assert all(now[name] in {one[name] for one in whole} for name in FILES)
        assert store.load().notes == ()


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_file(tmp_path: Path, call: str, fault: int) -> None:
    """Full, broken or read-only: it is an error for the saver, and nothing is lost."""
    store = Store(tmp_path, NODE)
    store.write(Picture.of(gatehouse()), MOMENT)
    before = contents(tmp_path)

    def refuse(*_given: object, **_more: object) -> None:
        raise OSError(fault, os.strerror(fault))

    with pytest.MonkeyPatch.context() as patch:
        fragile = Fragile(10**6, done=True)
        patch.setattr(fragile, call, refuse, raising=False)
        patch.setattr(module, "os", fragile)
        with pytest.raises(OSError, match=os.strerror(fault)):
            store.write(other(), MOMENT)
    assert fragile.handles == set()
    assert contents(tmp_path) == before


# ---- the saver -------------------------------------------------------------------------------------------------------


class Watched(Store):
    """A store that waits in each write until it is let go, and keeps what it was given."""

    def __init__(self, folder: Path, *, held: bool = False) -> None:
        super().__init__(folder, NODE)
        self.pictures: list[Picture] = []
        self.worlds: list[bool] = []
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.held = held
        self.error: OSError | None = None

    def write(self, picture: Picture, now: datetime | None = None, *, world: bool = True) -> None:
        """Keep the picture; fail where that is asked for."""
        self.pictures.append(picture)
        self.worlds.append(world)
        self.begun.release()
        if self.held:
            assert self.go.acquire(timeout=30)
        if self.error is not None:
            raise self.error
        super().write(picture, now, world=world)


def unready() -> State:
    """An agent that has programmed nothing yet."""
    return State.of(NODE, ENFORCED)


def test_what_was_never_programmed_does_not_replace_what_was(tmp_path: Path) -> None:
    """An agent that starts without an API server knows of no pod; the next boot needs the rules of before."""
    Store(tmp_path, NODE).write(Picture.of(gatehouse()))
    before = contents(tmp_path)
    saver = Saver(Store(tmp_path, NODE), print)
    saver.changed(unready(), now=True)
    assert saver.due is None
    saver.stop(unready())
    assert contents(tmp_path) == before


def test_a_burst_is_one_copy_and_stopping_writes_the_rest(tmp_path: Path) -> None:
    """The first change is saved at once, those that follow when it is due or at the end."""
    watched = Watched(tmp_path)
    state = gatehouse()
    saver = Saver(watched, print, every=3600)
    saver.changed(state)
    assert watched.begun.acquire(timeout=30)
    waits = [saver.due]
    for _ in range(100):
        saver.changed(state)
    waits.append(saver.due)
    assert waits[0] is None
    assert waits[1] is not None
    assert 0 < waits[1] <= 3600
    saver.stop(state)
    assert (len(watched.pictures), saver.saved) == (2, 2)
    assert watched.load().memory is not None


def test_only_the_latest_is_written_after_a_slow_one(tmp_path: Path) -> None:
    """A slow disk holds up neither the loop nor memory: one picture waits at most."""
    watched = Watched(tmp_path, held=True)
    saver = Saver(watched, print, every=0)
    state = gatehouse()
    saver.changed(state)
    assert watched.begun.acquire(timeout=30)
    for _ in range(5):
        saver.changed(state)
    watched.go.release(2)
    saver.stop(state)
    assert [len(one) for one in (watched.pictures, watched.worlds)] == [2, 2]
    assert watched.worlds[-1]


def test_what_the_cluster_said_is_written_seldom_and_at_the_end(tmp_path: Path) -> None:
    """It is most of the work, and only names things."""
    watched = Watched(tmp_path)
    saver = Saver(watched, print, every=0, world_every=3600)
    state = gatehouse()
    for _ in range(3):
        saver.changed(state)
        assert watched.begun.acquire(timeout=30)
    assert watched.worlds == [True, False, False]
    saver.stop(state)
    assert watched.worlds == [True, False, False, True]


def test_the_saver_rests_and_is_not_held_up_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it works the loop waits for its turn of the interpreter; at the end nobody waits for a rest."""
    monkeypatch.setattr(module, "_WORK", 0)
    monkeypatch.setattr(module, "_REST", 3600)
    store, state, turns = Store(tmp_path, NODE), big(1000), threading.Semaphore(0)
    saver = Saver(store, print)
    rest = store.pause

    def turn() -> None:
        turns.release()
        rest()

    store.pause = turn
    saver.changed(state)
    assert turns.acquire(timeout=30)
    saver.stop(state)
    assert saver.saved == 2
    assert all(turns.acquire(blocking=False) for _ in range(50))
    assert store.load().notes == ()


def test_a_disk_that_refuses_is_reported_once_and_tried_again(tmp_path: Path) -> None:
    """Enforcement does not depend on it."""
    watched, said = Watched(tmp_path), list[str]()
    watched.error = OSError(errno.ENOSPC, "No space left on device")
    saver = Saver(watched, said.append, every=0)
    state = gatehouse()
    for _ in range(3):
        saver.changed(state)
        assert watched.begun.acquire(timeout=30)
    watched.error = None
    saver.stop(state)
    assert said == [f"the state cannot be saved in {tmp_path}: No space left on device"]
    assert saver.saved >= 1


def test_a_picture_does_not_change_with_the_agent(tmp_path: Path) -> None:
    """It is written while the loop goes on."""
    state = gatehouse()
    picture = Picture.of(state)
    Store(tmp_path, NODE).write(picture, MOMENT)
    before = contents(tmp_path)
    state.world.put_pod(replace(state.world.pods["shop", "web"].pod, labels={"app": "other"}))
    state.desired.move(list(state.world.holders))
    state.world.drop_pod(("shop", "web"))
    state.desired.move(list(state.desired.placed))
    state.world.policies.clear()
    state.desired.rebuild()
    Store(tmp_path, NODE).write(picture, MOMENT)
    assert contents(tmp_path) == before
    Store(tmp_path, NODE).write(Picture.of(state), MOMENT)
    assert contents(tmp_path) != before


def test_a_large_cluster_there_and_back(tmp_path: Path) -> None:
    """Some thousand pods: many pieces of every file."""
    picture = Picture.of(big(3000))
    Store(tmp_path, NODE).write(picture, MOMENT)
    memory = Store(tmp_path, NODE).load().memory
    assert memory is not None
    assert len(memory.pods) == 3000
    assert (tmp_path / WORLD).stat().st_size < 300_000
    assert json.loads((tmp_path / STATE).read_bytes())["chains"]


def test_policies_come_back_as_they_were(tmp_path: Path) -> None:
    """Every kind of peer."""
    spec = {
        "podSelector": {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x", "y"]}]},
        "policyTypes": ["Egress", "Ingress"],
        "egress": [
            {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": "http"}]},
            {"to": [{"namespaceSelector": {}}, {"podSelector": {}}], "ports": [{"port": 80, "endPort": 90}]},
        ],
    }
    state = agent([policy("shop/all", spec)])
    Store(tmp_path, NODE).write(Picture.of(state))
    memory = Store(tmp_path, NODE).load().memory
    assert memory is not None
    assert memory.policies == tuple(state.world.policies.values())
