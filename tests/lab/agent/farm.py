"""A cluster of namespaces with an agent on each node: the API server stands in the world, the packets are real.

    with Farm(manifests) as farm:            inside a lab's process (`farm.grow` does both)
        farm.server.put(policy(...))         what the cluster says
        farm.settle()                        until the kernels of all nodes have it
        farm.passes("a/one", "b/two", 80)    what the network does

Every pod of the first manifests has its box (namespace and link); which of them the API server tells of is another
matter, so a pod can be there before anybody knows it. An agent is a process of its own, with the very parts that
`outgate agent run` puts together. It says through a pipe what it knows whenever it has nothing left to do, and that is
what `settle` waits for.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from outgate.agent.agent import Agent
from outgate.agent.kernel import Timing
from outgate.agent.links import LinkWatch
from outgate.agent.loop import Observer
from outgate.agent.settings import Settings
from outgate.agent.step import CLUSTER_POLICIES, OF_CILIUM, Apply, State
from outgate.cluster.access import Access, Credentials
from outgate.cluster.watch import Pace
from outgate.cluster.watch_decode import KINDS as RESOURCE_OF
from outgate.cluster.watch_decode import Reader
from outgate.host import process
from outgate.host.namespaces import die_with_parent
from outgate.host.nft import Nftables
from outgate.lab.build import Box, Stage, build
from outgate.lab.session import run_in_lab
from outgate.lab.topology import POD_INTERFACE_PREFIX
from outgate.model import ClusterPolicy, NetworkPolicy, Pod, Policy, Snapshot
from outgate.model.cilium import CidrGroup, CiliumObject
from outgate.testing import Manifest, snapshot_of
from tests.cluster.watchserver import WatchServer

__all__ = ["Farm", "grow"]

PATIENCE = 60.0
"""Seconds after which something that should have come is a failure. Nothing waits that long when all is well."""
SERVER = "192.0.2.250"
QUICK = Pace(start=0.0, relist=0.0, first=0.05, longest=0.2, refused=(0.05, 0.2))
KINDS = ("Namespace", "Node", "Pod")


def view(pods: Iterable[Pod], policies: Iterable[Policy | CidrGroup], namespaces: Iterable[Any]) -> dict[str, Any]:
    """What an agent and a server must agree about."""
    return {
        "pods": {
            str(one): [sorted(one.labels.items()), [] if one.finished else sorted(map(str, one.addresses)), one.node]
            for one in pods
        },
        "policies": sorted(repr(_meaning(one)) for one in policies),
        "namespaces": {one.name: [sorted(one.labels.items()), sorted(one.annotations.items())] for one in namespaces},
    }


def _meaning(policy: Policy | CidrGroup) -> Policy | CidrGroup:
    """Without the notes of others."""
    if isinstance(policy, CidrGroup):
        return policy
    return replace(policy, annotations={key: one for key, one in policy.annotations.items() if "outgate.dev" in key})


_ANEW = 1.0
"""Seconds between two questions of ARP (net.ipv4.neigh.default.retrans_time_ms)."""


class Teller(Observer):
    """Says through a pipe what the agent knows, whenever it is done and that is news."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._said = ""
        self._doors = {"text": 0, "netlink": 0}
        self.links: LinkWatch | None = None

    def applied(self, command: Apply, timing: Timing, seconds: float, now: float) -> None:  # noqa: ARG002 - no time
        """Told by what comes after it: the transactions by their doors."""
        self._doors["text"] += len(timing.text)
        self._doors["netlink"] += len(timing.netlink)

    def turned(self, state: State, now: float) -> None:  # noqa: ARG002 - what is told has no time
        """The turn is done. Before the first programming, what it waits for is told."""
        if not state.ready:
            self._say({"unheard": sorted(state.unheard)})
            return
        if not state.settled:
            return
        world = state.world
        policies: tuple[Policy | CidrGroup, ...] = (
            *world.policies.values(),
            *world.cluster_policies.values(),
            *(policy for one in world.written.values() for policy in one.policies),
            *world.groups.values(),
        )
        told = view((one.pod for one in world.pods.values()), policies, world.namespaces.values())
        told |= {"epoch": state.epoch, "generation": state.generation, "drift": state.drift, "refused": state.refused}
        told |= self._doors | {"hindrances": self.links.hindrances if self.links else ()}
        told["broken"] = sorted("/".join(key) for key in state.broken)
        self._say(told)

    def _say(self, told: Mapping[str, Any]) -> None:
        said = json.dumps(told)
        if said != self._said:
            self._said = said
            data = said.encode() + b"\n"
            while data:
                data = data[os.write(self._pipe, data) :]


@dataclass
class Running:
    """The agent of a node."""

    pid: int
    pipe: int
    told: dict[str, Any] = field(default_factory=dict)
    _rest: bytes = b""

    def read(self) -> None:
        """Take what it has said; the last counts."""
        data = os.read(self.pipe, 1 << 20)
        if not data:
            raise AssertionError(f"the agent {self.pid} has ended")
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            self.told = json.loads(lines[-1])


class Farm:
    """Nodes, pods, an API server and agents. To be used inside `run_in_lab`."""

    def __init__(self, manifests: Iterable[Manifest], *, known: bool = True, **settings: object) -> None:
        self.manifests = list(manifests)
        self.snapshot: Snapshot = snapshot_of(self.manifests)
        self.stage: Stage = build(self.snapshot)
        self.changes = settings
        self.agents: dict[str, Running] = {}
        with self.stage.enter(self.stage.world):
            self.stage.run(self.stage.world, ("ip", "addr", "add", f"{SERVER}/32", "dev", "lo"))
            self.server = WatchServer(SERVER)
        self.server.put_all(one for one in self.manifests if known or one["kind"] not in {"Pod", "NetworkPolicy"})

    def __enter__(self) -> Farm:
        for name in self.stage.nodes:
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.agents):
            self.kill(name)
        self.server.close()

    # ---- agents ------------------------------------------------------------------------------------------------------

    def settings(self, node: str) -> Settings:
        """The settings of a node's agent."""
        folder = Path("/run") / f"outgate-{node}"
        folder.mkdir(exist_ok=True)
        base = Settings(
            node=node,
            interface_prefix=POD_INTERFACE_PREFIX,
            log_group=None,
            listen="",
            write_events=False,
            run_dir=folder,
            state_dir=folder,
        )
        return replace(base, **self.changes)  # type: ignore[arg-type]  # a test writes them by name

    def start(self, node: str) -> None:
        """Start the agent of a node."""
        reading, writing = os.pipe()
        url = self.server.url

        def body() -> int:
            die_with_parent()
            os.close(reading)
            access = Access("cluster:farm", urlsplit(url), Credentials)
            with self.stage.enter(self.stage.nodes[node]):
                teller = Teller(writing)
                agent = Agent(self.settings(node), access, (teller,), pace=QUICK)
                teller.links = agent.links
                signal.signal(signal.SIGTERM, lambda *_: agent.stop())
                agent.run()
            return 0

        pid = process.fork(body)
        os.close(writing)
        self.agents[node] = Running(pid, reading)

    def kill(self, node: str, number: int = signal.SIGKILL) -> None:
        """End the agent of a node, and wait until it has ended."""
        agent = self.agents.pop(node)
        os.kill(agent.pid, number)
        os.waitpid(agent.pid, 0)
        os.close(agent.pipe)

    def settle(self, nodes: Iterable[str] = (), *, until: Callable[[Mapping[str, Any]], bool] | None = None) -> None:
        """Wait until the agents know what the server knows, and have nothing left to do."""
        snapshot = snapshot_of([one for kind in KINDS for one in self.server.store.all(kind)])
        spaces = [one for one in snapshot.namespaces.values() if one.declared]
        wanted = view(snapshot.pods, self._policies(), spaces)
        some = [self.agents[name] for name in nodes or self.agents]
        deadline = time.monotonic() + PATIENCE
        while True:
            late = [one for one in some if not _knows(one.told, wanted) or (until and not until(one.told))]
            if not late:
                return
            ready = select.select([one.pipe for one in late], [], [], max(0.0, deadline - time.monotonic()))[0]
            if not ready:
                missing = {key: _unlike(late[0].told.get(key), wanted[key]) for key in wanted}
                raise AssertionError(f"an agent never settled: {missing} {late[0].told.get('refused')}")
            for one in late:
                if one.pipe in ready:
                    one.read()

    def _policies(self) -> list[Policy | CidrGroup]:
        """The policies of the server; of one that cannot be understood what stands for it."""
        found: list[Policy | CidrGroup] = []
        for kind in ("NetworkPolicy", *sorted(CLUSTER_POLICIES | OF_CILIUM)):
            reader = Reader(RESOURCE_OF[kind], "farm")
            for one in (reader.read(json.dumps(one).encode()).value for one in self.server.store.all(kind)):
                if isinstance(one, NetworkPolicy | ClusterPolicy | CidrGroup):
                    found.append(one)
                elif isinstance(one, CiliumObject):
                    found += one.policies
        return found

    def server_down(self) -> None:
        """The API server goes away, and has let go of every connection: a process that is forked now holds none."""
        self.server.down()
        assert self.server.until(lambda: not self.server.exchanges), "a connection is kept"

    def server_up(self) -> None:
        """The API server comes back, where it was: in the world."""
        with self.stage.enter(self.stage.world):
            self.server.up()

    def settled(self) -> Farm:
        """The farm, once it has settled."""
        self.settle()
        return self

    # ---- packets -----------------------------------------------------------------------------------------------------

    def box(self, path: str) -> Box:
        """A pod's box, a node's by its name, or ``world``."""
        if path == "world":
            return self.stage.world
        if path in self.stage.nodes:
            return self.stage.nodes[path]
        namespace, name = path.split("/")
        return self.stage.pods[namespace, name]

    def address(self, path: str, family: int = 4) -> str:
        """An address of a pod, a node or the world; any address is its own."""
        if "/" not in path and path != "world" and path not in self.stage.nodes:
            return path
        return next(str(one) for one in self.box(path).addresses if one.version == family)

    @contextlib.contextmanager
    def connection(
        self, source: str, target: str, port: int, family: int = 4
    ) -> Iterator[tuple[socket.socket, socket.socket]]:
        """A live TCP connection between two pods, and both its ends."""
        af = socket.AF_INET if family == 4 else socket.AF_INET6
        with self.stage.enter(self.box(target)):
            server = socket.create_server(("", port), family=af)
        with self.stage.enter(self.box(source)):
            client = socket.socket(af, socket.SOCK_STREAM)
        with server, client:
            client.settimeout(PATIENCE)
            server.settimeout(PATIENCE)
            client.connect((self.address(target, family), port))
            taken = server.accept()[0]
            taken.settimeout(PATIENCE)
            with taken:
                yield client, taken

    def passes(
        self, source: str, target: str, port: int, family: int = 4, *, through: tuple[str, int] | None = None
    ) -> bool:
        """Whether a datagram from a pod (a node, the world) reaches a pod, a node, or an address of the world.

        One of two things happens, and both can be seen: it arrives, or a node counts it among what it dropped. (A third
        one is not seen: it waits for a link-layer address that was asked for while nobody could answer, and goes with
        the last of these questions. So it is sent anew.) What is dialled is the target itself or, where given, the
        address and port that lead `through` a Service to it.
        """
        af = socket.AF_INET if family == 4 else socket.AF_INET6
        at_home = "/" in target or target in self.stage.nodes
        with self.stage.enter(self.box(target) if at_home else self.stage.world):
            server = socket.socket(af, socket.SOCK_DGRAM)
        with self.stage.enter(self.box(source)):
            client = socket.socket(af, socket.SOCK_DGRAM)
        with server, client:
            server.bind(("" if "/" in target else self.address(target, family), port))
            before, word = self.dropped(), os.urandom(8)
            deadline = anew = time.monotonic()
            deadline += PATIENCE
            while time.monotonic() < deadline:
                if time.monotonic() >= anew:
                    client.sendto(word, through or (self.address(target, family), port))
                    anew += _ANEW
                if select.select([server], [], [], 0.01)[0] and server.recv(16) == word:
                    return True
                if self.dropped() > before:
                    return False
            raise AssertionError(f"{source} to {target}: neither arrived nor counted")

    def until(self, true: Callable[[], bool]) -> None:
        """Ask until it is so. What is asked for happens by itself and tells nobody: a counter of the kernel's."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, "it never was so"

    def dropped(self) -> int:
        """How many packets all nodes have dropped."""
        return sum(
            packets for node in self.stage.nodes for chain, packets in self.counted(node).items() if _drops(chain)
        )

    def counted(self, node: str) -> dict[str, int]:
        """The packets that the rules of a node have counted, by chain."""
        found: dict[str, int] = {}
        with self.stage.enter(self.stage.nodes[node]):
            for (chain, _), counter in Nftables().counters().items():
                found[chain] = found.get(chain, 0) + counter.packets
        return found


def _drops(chain: str) -> bool:
    return chain.startswith("d_") or chain in {"unknown", "spoof"}


def _knows(told: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    plain = json.loads(json.dumps(wanted))
    return all(told.get(key) == plain[key] for key in plain)


def _unlike(mine: Any, theirs: Any) -> Any:
    plain = json.loads(json.dumps(theirs))
    if isinstance(mine, dict):
        return {
            key: (mine.get(key), plain.get(key))
            for key in mine.keys() | plain.keys()
            if mine.get(key) != plain.get(key)
        }
    return None if mine == plain else (mine, plain)


def grow(manifests: Iterable[Manifest], check: Callable[[Farm], None], **settings: object) -> None:
    """Build a farm in a lab of its own, wait until its agents have settled, and run the check in it."""

    def inside() -> int:
        with Farm(manifests, **settings) as farm:  # type: ignore[arg-type]  # a test writes them by name
            farm.settle()
            check(farm)
        return 0

    assert run_in_lab(inside) == 0
