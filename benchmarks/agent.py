"""The node agent at size: how long until a node is programmed, how late an address comes, what it weighs.

In a network namespace of its own there are two processes: the API server of the tests, which tells what a cluster of a
given shape tells (real JSON, over TCP), and the agent, put together as `outgate agent run` does it, with the kernel
behind it. Figures are taken inside the agent: from the moment when an event's last byte was read to the moment when its
change was in force.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.around import around
from benchmarks.cluster import Shape
from benchmarks.manifests import manifests
from benchmarks.measured_agent import NODE, processor
from benchmarks.tables import Row
from outgate.agent.step import NEEDED
from outgate.host import links, process
from outgate.host.namespaces import die_with_parent
from outgate.host.nft import Nftables
from tests.cluster.watchserver import WatchServer

__all__ = ["measure", "scale", "serving", "told"]

CHANGES = 1000
POLICIES = 20
_PATIENCE = 300.0

Manifest = dict[str, Any]


def _percentile(many: list[float], part: float) -> float:
    ordered = sorted(many)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


class _Run:
    """An agent in a process of its own, and what it tells.

    It is a program that begins anew: a fork would have the whole cluster of this process in its memory.
    """

    def __init__(self, url: str, *words: str) -> None:
        reading, writing = os.pipe()

        def body() -> int:
            os.set_inheritable(writing, True)
            argv = (sys.executable, "-m", "benchmarks.measured_agent", url, str(writing), *words)
            os.execv(sys.executable, argv)  # noqa: S606 -- a program and no shell is what is wanted

        self.pid = process.fork(body)
        os.close(writing)
        self._pipe = os.fdopen(reading)

    def next(self) -> dict[str, Any]:
        """What it says next."""
        said: dict[str, Any] = json.loads(self._pipe.readline())
        if "refused" in said:
            raise AssertionError(said["refused"])
        return said

    def end(self) -> None:
        """End it; the kernel keeps its table, which is taken away here."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        self._pipe.close()
        Nftables().remove()


@contextmanager
def serving(objects: list[Manifest]) -> Iterator[tuple[str, Any, Any]]:
    """An API server in a process of its own; its address, and the ends of a conversation with it.

    Each line that is written to it says which objects to put and to delete, and is answered once that is done: with
    what it has cost, by client and in seconds of processor, where that is asked for (see `told`).
    """
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()

    def body() -> int:
        die_with_parent()
        with WatchServer() as server, os.fdopen(theirs_in) as asked, os.fdopen(theirs_out, "w", buffering=1) as said:
            server.put_all(objects)
            said.write(json.dumps(server.url) + "\n")
            for line in asked:
                order = json.loads(line)
                for one in order.get("put", ()):
                    server.put(one)
                for key in order.get("delete", ()):
                    server.delete(*key)
                said.write(json.dumps(_cost(server) if order.get("cost") else None) + "\n")
        return 0

    pid = process.fork(body)
    os.close(theirs_in)
    os.close(theirs_out)
    with os.fdopen(ours_in) as answers, os.fdopen(ours_out, "w", buffering=1) as orders:
        yield json.loads(answers.readline()), orders, answers
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def _cost(server: WatchServer) -> dict[str, object]:
    many = [{"client": name, "sent": one.bytes, "events": one.events} for name, one in server.traffic.items()]
    return {"traffic": many, "processor": processor()}


def told(orders: Any, answers: Any, **order: object) -> Any:
    """Tell a server of `serving` something, and wait for its answer."""
    orders.write(json.dumps(order) + "\n")
    return json.loads(answers.readline())


def _wanted(shape: Shape) -> list[Manifest]:
    return [one for one in manifests(shape) if one["kind"] in NEEDED]


def _moved(pod: Manifest, number: int) -> Manifest:
    address = f"10.250.{number >> 8}.{number & 255}"
    return {**pod, "status": {**pod["status"], "podIP": address, "podIPs": [{"ip": address}]}}


def measure(rounds: int, shape: Shape | None = None) -> dict[str, list[Row]]:
    """The figures of the design, for a cluster of 10 000 pods and 1 000 policies."""
    links.batch(["link set lo up"])
    size = shape or Shape()
    objects = _wanted(size)
    rows = [_round(objects) for _ in range(rounds)]
    middle = {head: _middle([row[head] for row in rows]) for head in rows[0]}
    return {
        f"the agent, {size.pods} pods, {size.policies} policies, {size.local} of the pods on the node": [
            {"figure": head, "median": value, "rounds": ", ".join(str(row[head]) for row in rows)}
            for head, value in middle.items()
        ]
    }


def _middle(many: list[Any]) -> Any:
    return statistics.median_low(many)


def _round(objects: list[Manifest]) -> Row:
    # Those of the node itself: each of their addresses is an element of every map, whatever policies say.
    pods = [one for one in objects if one["kind"] == "Pod" and one["spec"].get("nodeName") == NODE]
    policies = [one for one in objects if one["kind"] == "NetworkPolicy"]
    with serving(objects) as (url, orders, answers):
        run = _Run(url)
        first = run.next()
        late: list[float] = []
        for number in range(CHANGES):
            told(orders, answers, put=[_moved(pods[number % len(pods)], number)])
            late += run.next()["late"]
        whole: list[float] = []
        for number in range(POLICIES):
            one = policies[0]
            labels = {"outgate.dev/enforcement": "enforce" if number % 2 else "audit"}
            told(orders, answers, put=[{**one, "metadata": {**one["metadata"], "annotations": labels}}])
            said = run.next()
            whole += said["late"]
        traffic = told(orders, answers, cost=True)["traffic"]
        run.end()
    return {
        "start to programmed, s": round(first["since start"], 2),
        "of that: plan and kernel, s": round(first["seconds"], 2),
        "of that: nft, s": round(first["text"], 2),
        "resident, MB": round(first["resident"]),
        "largest, MB": round(first["largest"]),
        "address changed, p50 ms": round(1000 * _percentile(late, 0.5), 2),
        "address changed, p99 ms": round(1000 * _percentile(late, 0.99), 2),
        "address changed, largest ms": round(1000 * max(late), 2),
        "policy changed, p50 ms": round(1000 * _percentile(whole, 0.5)),
        "policy changed, largest ms": round(1000 * max(whole)),
        "read from the API server, MB": round(sum(one["sent"] for one in traffic) / 1e6, 1),
    }


def scale() -> dict[str, list[Row]]:
    """What an agent costs as the cluster grows."""
    links.batch(["link set lo up"])
    rows: list[Row] = []
    for pods, policies, namespaces, kinds in (
        (10_000, 1000, 50, 400),
        (50_000, 2500, 250, 2000),
        (150_000, 5000, 500, 4000),
    ):
        shape = Shape(pods, policies, namespaces, kinds)
        with serving(_wanted(shape)) as (url, orders, answers):
            run = _Run(url)
            first = run.next()
            traffic = told(orders, answers, cost=True)["traffic"]
            run.end()
        rows.append(
            {
                "pods": pods,
                "policies": policies,
                "kinds": kinds,
                "list, MB": round(sum(one["sent"] for one in traffic) / 1e6),
                "start to programmed, s": round(first["since start"], 1),
                "processor, s": round(first["processor"], 1),
                "resident, MB": round(first["resident"]),
            }
        )
    return {"the agent against the cluster": rows, "the agent with what stands around pods": list(_surrounded())}


def _surrounded() -> Iterator[Row]:
    """The agent of the design's size without and with Services, Nodes and policies of all kinds."""
    shape = Shape()
    cases: tuple[tuple[str, int, tuple[str, ...]], ...] = (
        ("pods and NetworkPolicies", -1, ()),
        ("all kinds, its own Node", 0, ()),
        ("all kinds, all Nodes", 0, ("all",)),
        ("all kinds, 5 000 Nodes", 5000, ("all",)),
    )
    for name, nodes, words in cases:
        objects = _wanted(shape) if nodes < 0 else list(around(shape, nodes=nodes))
        with serving(objects) as (url, orders, answers):
            run = _Run(url, *words)
            first = run.next()
            traffic = told(orders, answers, cost=True)["traffic"]
            run.end()
        yield {
            "cluster": name,
            "objects": len(objects),
            "lists, MB": round(sum(one["sent"] for one in traffic) / 1e6, 1),
            "start to programmed, s": round(first["since start"], 1),
            "processor, s": round(first["processor"], 1),
            "resident, MB": round(first["resident"]),
        }
