"""What an agent leaves on the disk of its node, so that a reboot without an API server is closed as before.

    ruleset.nft      our tables, as ``nft -f`` loads them where there is none (`outgate.agent.boot`): that of the
                     policies, and where pods are behind a bridge its guard, both in one transaction or none
    closed.nft       a table without policies, in which no pod may talk; for when the first is refused. Only where
                     policies are enforced by default, and it is known what pods are known by
    state.json       the options, and which chain comes from which policy and rule
    world.msgpack    what the cluster said (`outgate.agent.remembered`)

A file is written beside its place, brought to the disk, and renamed: whoever dies, and whenever, it is the old one or
the new one (rename(2): "there will be no point at which another process attempting to access newpath will find it
missing"; fsync(2): the directory needs "an explicit fsync()" too). Names of chains are made of what is in them, so it
does no harm if two files are of different moments. What cannot be read is set aside, and is never fatal.

Both rulesets begin with ``create table``, which nft refuses where the table exists (nft(8)): loading one late can
never put old rules beside new ones. What stands of the guard alone is replaced. The closed table has no guard: it is
the last resort, and must load into a kernel that has no nftables for bridges.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from outgate.agent.remembered import Memory, Unreadable, recalled, remembered
from outgate.agent.step import State
from outgate.agent.trust import Trust
from outgate.agent.world import Record
from outgate.errors import one_line
from outgate.model import Direction, Node, Pod
from outgate.nft.frame import DISPATCHES, frame
from outgate.nft.objects import NftSet, Ruleset
from outgate.nft.options import Options
from outgate.nft.text import ruleset_blocks, transaction_text
from outgate.nft.transaction import AddTable, DeleteTable, Transaction
from outgate.policy import Mode, Origin

__all__ = ["CLOSED", "FILES", "RULESET", "STATE", "WORLD", "Loaded", "Picture", "Saver", "Store", "closed_ruleset"]

RULESET, CLOSED, STATE, WORLD = "ruleset.nft", "closed.nft", "state.json", "world.msgpack"
FILES = (RULESET, CLOSED, STATE, WORLD)
_FORMAT = 1
_END = b"# end\n"
_LARGEST = 256 * 1024 * 1024
"""Bytes of a file that are read at most."""
_CHUNK = 256 * 1024
_WORK, _REST = 0.002, 0.008
"""Seconds."""


def closed_ruleset(options: Options, node: Node) -> Ruleset | None:
    """The table in which every pod of the node is unknown, and so closed.

    None where nothing would be closed: the default is to watch, pods may talk before their policies are in, or
    neither the names of pods' interfaces nor the node's blocks of addresses are known.
    """
    known = options.interface_prefix or node.pod_cidrs
    if options.mode is not Mode.ENFORCE or options.open_at_birth or not known:
        return None
    chains = {chain.name: chain for chain in frame(options, node, linked=False)}
    return Ruleset(chains, {one.name: NftSet(one.name, one.key, is_map=True) for one in DISPATCHES})


@dataclass(frozen=True, slots=True)
class Picture:
    """What is saved: an agent at one moment, of which nothing changes any more."""

    node: Node
    options: Options
    ruleset: Ruleset
    index: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)
    memory: Memory = field(default_factory=lambda: Memory(""))
    guard: Ruleset | None = None
    """The table of the bridges, where there is one."""

    @classmethod
    def of(cls, state: State) -> Picture:
        """An agent as it is now. Values are shared; what changes in place (elements, who is there) is copied."""
        world, desired = state.world, state.desired
        sets = {name: one.holding(dict(one.elements)) for name, one in desired.sets.items()}
        memory = Memory(
            world.node,
            "",
            # Of whom it is not sure that the kernel knows who has his address, the next agent must not be sure, either.
            tuple([_unsure(one, state.trust) if state.trust.doubts else one.pod for one in world.pods.values()]),
            tuple(world.namespaces.values()),
            tuple(world.policies.values()),
            tuple(world.nodes.values()),
        )
        node = world.nodes.get(world.node) or Node(world.node)
        ruleset = Ruleset(dict(desired.chains), sets)
        return cls(node, desired.options, ruleset, dict(desired.index), memory, desired.guard_at_boot())


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was found. Each part is empty where its file was not there, or could not be used."""

    memory: Memory | None = None
    index: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)
    mode: Mode | None = None
    written: str = ""
    notes: tuple[str, ...] = ()
    """What was wrong, a sentence each."""


def _unsure(record: Record, trust: Trust) -> Pod:
    """A pod, without its uid if anything is swept that is of its addresses (`outgate.agent.trust`)."""
    return record.pod if trust.doubts.keys().isdisjoint(record.addresses) else replace(record.pod, uid="")


class _Origin(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    namespace: str
    name: str
    direction: Direction
    rule: int | None = None
    section: str = ""
    spec: int | None = None


class _State(msgspec.Struct, rename="camel"):
    format: int
    node: str
    written: str
    mode: Mode | None = None
    open_at_birth: bool = False
    interface_prefix: str = ""
    mark_mask: int = 0
    pod_cidrs: tuple[str, ...] = ()
    chains: dict[str, tuple[_Origin, ...]] = {}


class _Header(msgspec.Struct):
    format: int
    node: str
    written: str


class Store:
    """The files of one node. An empty `node` stands for any.

    `pause` is called again and again while something is written: whoever shares the interpreter may want a turn.
    """

    def __init__(self, folder: Path, node: str = "", *, pause: Callable[[], None] = lambda: None) -> None:
        self.folder = folder
        self.node = node
        self.pause = pause

    # ---- writing -------------------------------------------------------------------------------------------------

    def write(self, picture: Picture, now: datetime | None = None, *, world: bool = True) -> None:
        """Write all files, one after the other; what the cluster said only where `world` asks for it.

        Raises OSError; what is then not written is as it was.
        """
        written = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._replace(RULESET, _ruleset_file(picture.ruleset, self.node, written, picture.guard))
        closed = closed_ruleset(picture.options, picture.node)
        if closed is not None:
            self._replace(CLOSED, _ruleset_file(closed, self.node, written))
        else:
            # What would close a node that is to be open.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.folder / CLOSED)
        self._replace(STATE, (msgspec.json.encode(_state_of(picture, self.node, written)),))
        if world:
            self._replace(WORLD, remembered(replace(picture.memory, node=self.node, written=written)))

    def _replace(self, name: str, parts: Iterable[bytes]) -> None:
        beside = self.folder / f".{name}.new"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            for chunk in _chunks(parts, self.pause):
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(beside, self.folder / name)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    # ---- reading -------------------------------------------------------------------------------------------------

    def load(self) -> Loaded:
        """What was saved, but for the rulesets. What cannot be used is set aside; nothing is raised for it."""
        notes: list[str] = []
        state = self._decoded(STATE, lambda data: _read_state(data, self.node), notes)
        memory = self._decoded(WORLD, lambda data: _of_node(recalled(data), self.node), notes)
        index = {name: tuple(map(_origin, origins)) for name, origins in (state.chains if state else {}).items()}
        mode = state.mode if state else None
        return Loaded(memory, index, mode, state.written if state else "", tuple(notes))

    def ruleset(self, name: str) -> tuple[str, str]:
        """The text of a ruleset, and what was wrong with it; both are empty where there is none."""
        notes: list[str] = []
        text = self._decoded(name, lambda data: _read_ruleset(data, self.node), notes)
        return text or "", "; ".join(notes)

    def set_aside(self, name: str, reason: str) -> str:
        """Rename a file that cannot be used, and say so."""
        path = self.folder / name
        try:
            os.replace(path, path.with_name(f"{name}.broken"))
        except OSError as error:
            return f"{path} {one_line(reason)}, and cannot be set aside: {error.strerror}"
        return f"{path} {one_line(reason)}; it was set aside as {name}.broken"

    def _decoded(self, name: str, decode: Callable[[bytes], Any], notes: list[str]) -> Any:
        try:
            with open(self.folder / name, "rb") as opened:
                data = opened.read(_LARGEST + 1)
            if len(data) > _LARGEST:
                raise Unreadable("is too large")
            return decode(data)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, Unreadable, ValueError, RecursionError) as error:
            notes.append(self.set_aside(name, f"cannot be used: {error}"))
        except OSError as error:
            notes.append(f"{self.folder / name} cannot be read: {error.strerror}")
        return None


def _ruleset_file(ruleset: Ruleset, node: str, written: str, guard: Ruleset | None = None) -> Iterator[bytes]:
    header = json.dumps({"format": _FORMAT, "node": node, "written": written})
    yield f"# outgate {header}\n".encode()
    yield f"create table {ruleset.family} {ruleset.table}\n".encode()
    for block in ruleset_blocks(ruleset):
        yield block.encode()
    if guard is not None:
        # nft -f is one transaction: where the first table is refused, nothing is done to the second.
        yield transaction_text(Transaction((AddTable(), DeleteTable()), guard.family)).encode()
        for block in ruleset_blocks(guard):
            yield block.encode()
    yield _END


def _read_ruleset(data: bytes, node: str) -> str:
    first, _, rest = data.partition(b"\n")
    word, _, header = first.partition(b"{")
    if word != b"# outgate ":
        raise Unreadable("it is not ours")
    said = msgspec.json.decode(b"{" + header, type=_Header)
    _check(said.format, said.node, node)
    if not rest.endswith(_END):
        raise Unreadable("its end is missing")
    return data.decode()


def _read_state(data: bytes, node: str) -> _State:
    found = msgspec.json.decode(data, type=_State)
    _check(found.format, found.node, node)
    return found


def _check(format_: int, found: str, node: str) -> None:
    if format_ != _FORMAT:
        raise Unreadable(f"it has format {format_}")
    if node and found != node:
        raise Unreadable(f"it is of the node {found!r}")


def _of_node(memory: Memory, node: str) -> Memory:
    _check(_FORMAT, memory.node, node)
    return memory


def _state_of(picture: Picture, node: str, written: str) -> _State:
    options = picture.options
    chains = {
        name: tuple(
            _Origin(o.api_version, o.kind, o.namespace, o.name, o.direction, o.rule, o.section, o.spec) for o in origins
        )
        for name, origins in picture.index.items()
    }
    said = options.mode, options.open_at_birth, options.interface_prefix, options.mark_mask
    return _State(_FORMAT, node, written, *said, tuple(map(str, picture.node.pod_cidrs)), chains)


def _origin(one: _Origin) -> Origin:
    who = one.api_version, one.kind, one.namespace, one.name
    return Origin(*who, one.direction, one.rule, one.section, one.spec)


def _chunks(parts: Iterable[bytes], pause: Callable[[], None]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth a system call."""
    waiting = bytearray()
    for part in parts:
        waiting += part
        pause()
        if len(waiting) >= _CHUNK:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


class Saver:
    """Saves an agent now and then, in a thread of its own, and once more when it stops.

    The loop calls `changed` whenever something has, and again after `due` seconds. Only then the agent is looked at,
    so a burst of changes costs one copy. `report` is told, in the saver's thread, what cannot be written.

    The rules are written at most every `every` seconds. What the cluster said is more than half of the work and only
    names things, so it is written every `world_every` seconds and at the end. The thread works for `_WORK` seconds and
    rests for `_REST`, until it is to stop: two threads that both compute wait for each other's turn of the interpreter,
    and a pod's address must not wait for a file.
    """

    def __init__(
        self, store: Store, report: Callable[[str], None], *, every: float = 5.0, world_every: float = 60.0
    ) -> None:
        self.store = store
        self.saved = 0
        """How often the rules have been written."""
        self._report, self._every, self._world_every = report, every, world_every
        self._stale = False
        self._last = self._last_world = float("-inf")
        self._next: Picture | None = None
        self._world = False
        self._stopping = False
        self._trouble = ""
        self._hurry = threading.Event()
        self._since = time.monotonic()
        store.pause = self._pause
        self._wake = threading.Condition()
        """Guards `_next` and `_world`, which are all that both threads write."""
        self._thread = threading.Thread(target=self._serve, name="outgate-saver", daemon=True)
        self._thread.start()

    @property
    def due(self) -> float | None:
        """Seconds after which `changed` is to be called again; None where all is saved."""
        return max(0.0, self._last + self._every - time.monotonic()) if self._stale else None

    def changed(self, state: State, *, now: bool = False) -> None:
        """Something has changed, or may have. What was never programmed whole is not saved over what was."""
        if not state.ready:
            return
        self._stale = True
        moment = time.monotonic()
        if now or moment >= self._last + self._every:
            self._stale, self._last = False, moment
            picture = Picture.of(state)
            with self._wake:
                self._next = picture
                if now or moment >= self._last_world + self._world_every:
                    self._world, self._last_world = True, moment
                self._wake.notify()

    def stop(self, state: State | None = None) -> None:
        """Save all of it once more, and end. Returns when it is on the disk, or cannot be."""
        self._hurry.set()
        if state is not None:
            self.changed(state, now=True)
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._next is not None or self._stopping)
                picture, self._next = self._next, None
                world, self._world = self._world, False
            if picture is None:
                return
            try:
                self.store.write(picture, world=world)
            except OSError as error:
                self._complain(f"the state cannot be saved in {self.store.folder}: {error.strerror or error}")
                self._stale = True  # so it is tried again when `due` has passed; a lost race costs one attempt
            else:
                self._trouble = ""
                self.saved += 1

    def _pause(self) -> None:
        if time.monotonic() - self._since >= _WORK:
            self._hurry.wait(_REST)
            self._since = time.monotonic()

    def _complain(self, words: str) -> None:
        if words != self._trouble:
            self._trouble = words
            self._report(words)
