"""The DNS proxy on the nodes of a lab, where policies have rules about names.

It is the program of a real node (``outgate agent dns``, docs/decisions/0016), started in the network namespace of each
node that has pods which ask, when the node's kernel has its rules for them; its orders are written before, as the agent
writes them. It goes with the lab: the kernel ends it with the lab's first process.

Two settings are others than on a node. An address is kept open for no longer than its TTL and `GRACE`, so that a name
that has moved is seen to close within seconds. And an answer waits for the kernel for seconds: on a node it goes after
a tenth of one, and then the connection is denied; here that would be a matter of how busy the machine is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from outgate.errors import KernelError
from outgate.host import process
from outgate.host.inotify import FolderWatch
from outgate.host.name_orders import OrderMaking
from outgate.host.names_door import NamesDoor
from outgate.host.rewrite import put
from outgate.host.waiting import readable
from outgate.lab.build import Stage
from outgate.lab.enforce import options_of
from outgate.lab.sockets import Loop
from outgate.lab.topology import NodeBox
from outgate.model import Pod, Snapshot
from outgate.nft.classes import Classes
from outgate.nft.options import Options
from outgate.packets import Address
from outgate.policy import Policies
from outgate.proxy.orders import Element, Orders

__all__ = ["GRACE", "NameProxies", "command", "learned_line", "orders_of", "start"]

GRACE = 0.5
"""Seconds for which an address is open beyond its TTL. All of it stays for half as long again (`proxy.learned`)."""

_AT_ONCE = 2
"""Proxies that start at the same time: each computes for some tenths of a second."""
_PLACE = "/run/outgate-dns"
"""In a lab, `/run` is its own."""
_STARTED = 30.0
"""Seconds within which a proxy has to serve."""
_ANSWERED = 5.0
"""Seconds that an answer waits for its addresses to be in the kernel."""
_MARGIN = 0.01
_LATE = 2.0
"""Seconds after its time for which an address is waited for to go."""


@dataclass(slots=True)
class NameProxies:
    """The DNS proxies of a lab, and what they were told, by the node."""

    stage: Stage
    orders: Mapping[str, Orders] = field(default_factory=dict)
    running: Mapping[str, process.Running] = field(default_factory=dict)

    def close(self) -> None:
        """Ends them."""
        for one in self.running.values():
            one.stop()

    def standing(self) -> Mapping[Element, float]:
        """What is open by names on all nodes, with the seconds for which it still is.

        Raises:
            KernelError: a kernel does not tell.
        """
        found: dict[Element, float] = {}
        for name, orders in self.orders.items():
            with self.stage.enter(self.stage.nodes[name]), NamesDoor() as door:
                found.update(door.standing(one.name for one in orders.sets))
        return found

    def await_closed(self, addresses: Iterable[Address], loop: Loop, ttl: int) -> None:
        """Lets the loop turn until none of these addresses is open to anybody, for as long as they may be.

        What is still open then is for the probes to find. Raises what `standing` raises.
        """
        old = {address.packed for address in addresses}
        deadline = time.monotonic() + 1.5 * (ttl + GRACE) + _LATE
        while (now := time.monotonic()) < deadline:
            left = [seconds for element, seconds in self.standing().items() if element.address in old]
            if not left:
                return
            loop.turn(min(max(left) + _MARGIN, deadline - now))


def start(stage: Stage, policies: Policies, *, proxied: bool = False) -> NameProxies:
    """Starts a proxy on each node with pods that ask, and returns when they serve and know their orders.

    The kernels must have been given the same by `enforce`, with `names`.

    Raises:
        KernelError: one does not start.
    """
    told = {
        name: orders_of(policies, box, options_of(stage, box, proxied=proxied, names=True))
        for name, box in stage.nodes.items()
    }
    told = {name: orders for name, orders in told.items() if orders.pods}

    def begin(name: str) -> process.Running:
        box = stage.nodes[name]
        with stage.enter(box):
            return _begin(_place(box), told[name])

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        running = dict(zip(told, pool.map(begin, told), strict=True))
    return NameProxies(stage, told, running)


def learned_line(box: NodeBox) -> Path:
    """Where the proxy of a node says what has been learned, if somebody listens there before it begins."""
    return _place(box) / "learned.sock"


def _place(box: NodeBox) -> Path:
    return Path(f"{_PLACE}-{box.namespace}")


def orders_of(policies: Policies, box: NodeBox, options: Options) -> Orders:
    """What the proxy of a node is told, whose ruleset was made with these options."""
    snapshot = policies.snapshot
    made = OrderMaking(Classes(policies, options))
    pods = made.pods((one.pod, _own(one.pod, snapshot)) for one in box.pods)
    services = (address for one in snapshot.services for address in one.cluster_ips)
    cluster = (address for one in snapshot.endpoints if not one.host_network for address in one.addresses)
    return Orders(
        table="lab",
        floor=0.0,
        grace=GRACE,
        cluster=tuple(map(str, (*services, *cluster))),
        nodes=tuple(str(address) for one in snapshot.nodes.values() for address in one.addresses),
        sets=made.sorted_sets(),
        pods=pods,
        resets=options.reject,
    )


def _own(pod: Pod, snapshot: Snapshot) -> tuple[Address, ...]:
    """The addresses that are a pod's alone."""
    return tuple(one for one in pod.addresses if one not in snapshot.contested)


def _begin(place: Path, orders: Orders) -> process.Running:
    """Starts one in the network namespace of this thread."""
    state = place / "state"
    orders_file = place / "dns" / "orders.json"
    for folder in (state, orders_file.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    put(orders_file, msgspec.json.encode(orders))
    noise = place / "noise"
    with FolderWatch(place) as watch, noise.open("wb") as output:
        running = process.start(command(place, state), output=output)
        _await_status(running, watch, place / "dns-status.json", noise)
    return running


def command(place: Path, state: Path) -> tuple[str, ...]:
    """The words that start one."""
    return (
        *(sys.executable, "-m", "outgate", "agent", "dns"),
        *("--run-dir", str(place), "--state-dir", str(state), "--deadline", str(_ANSWERED)),
    )


def _await_status(running: process.Running, watch: FolderWatch, status: Path, noise: Path) -> None:
    """It writes its status when it has begun to serve, and has read its orders before."""
    deadline = time.monotonic() + _STARTED
    while not status.exists():
        left = deadline - time.monotonic()
        ready = readable(watch.fileno(), running.ended, within=max(left, 0.0))
        if running.ended in ready or not ready:
            running.stop()
            said = noise.read_text(errors="replace").strip().rpartition("\n")[2] or "it says nothing"
            raise KernelError(f"the DNS proxy of the lab does not serve: {said}")
        watch.wait(0)
