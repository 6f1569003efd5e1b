"""What following a cluster costs a node: memory for each pod, time until all is known, time for each change.

    python -m benchmarks.watch [--pods 10000 100000] [--changes 2000] [-o markdown]

The API server of the tests runs in a process of its own, on loopback, and holds the pods that `benchmarks.manifests`
makes, with all that a real server adds around them (`dressed`): 5 to 10 kB of JSON each. The client is a fresh process
that follows pods and keeps what it is told, as the agent does. Resident memory is that of the process before and after,
as the kernel counts it (``VmRSS``; the peak is ``VmHWM``), divided by the pods. The time of a change is that between
the write in the server and the return of `deliver` in the client, by the one clock that both processes share.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import subprocess  # noqa: TID251 - a benchmark starts the processes that it measures
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO, Any
from urllib.parse import urlsplit

from benchmarks.cluster import Shape
from benchmarks.manifests import manifests
from benchmarks.tables import Row, markdown, print_table
from outgate.cluster.access import Access, Credentials
from outgate.cluster.events import Event, Removed, Replaced, Upserted
from outgate.cluster.watch import Pace, Subscription
from outgate.cluster.watches import Watches
from outgate.model.objects import Pod
from tests.cluster.watchserver import WatchServer

__all__ = ["dressed", "measure"]

Manifest = dict[str, Any]

_VARIABLES = 20
_FIELDS = tuple(
    f"f:{name}"
    for name in (
        *("metadata", "annotations", "labels", "ownerReferences", "spec", "containers", "env", "image", "ports"),
        *("imagePullPolicy", "livenessProbe", "readinessProbe", "resources", "securityContext", "volumeMounts"),
        *("terminationMessagePath", "dnsPolicy", "enableServiceLinks", "restartPolicy", "schedulerName", "volumes"),
        *("serviceAccount", "tolerations", "status", "conditions"),
    )
)


def dressed(pod: Manifest, number: int) -> Manifest:
    """A pod with what the server, the kubelet and its author put around the little that matters here."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    fields: Manifest = {name: {".": {}, **{f"k:{inner}": {".": {}} for inner in _FIELDS[::9]}} for name in _FIELDS}
    managed = [
        {"manager": name, "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields}
        for name in ("kube-controller-manager", "kubelet")[: 1 + number % 2]
    ]
    env = [{"name": f"SETTING_{i:02}", "value": f"https://service-{i}.example.com/path/{i}"} for i in range(_VARIABLES)]
    annotations = {"kubectl.kubernetes.io/restartedAt": "2025-03-04T05:06:07Z", "checksum/config": "3b5d5c37" * 8}
    probe = {
        "httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
    }
    containers = [
        {
            **one,
            "env": env,
            "livenessProbe": probe,
            "readinessProbe": probe,
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "volumeMounts": [{"name": f"volume-{i}", "mountPath": f"/etc/mounted/{i}"} for i in range(6)],
        }
        for one in spec["containers"]
    ]
    volumes = [{"name": f"volume-{i}", "configMap": {"name": f"map-{i}", "defaultMode": 420}} for i in range(6)]
    return {
        **pod,
        "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}
        | {"managedFields": managed},
        "spec": {**spec, "containers": containers, "volumes": volumes},
        "status": status,
    }


def _pods(count: int) -> Iterator[Manifest]:
    found = (one for one in manifests(Shape(pods=count)) if one["kind"] == "Pod")
    return (dressed(one, number) for number, one in enumerate(found))


def serve(count: int, streaming: bool) -> None:
    """The process of the server. It speaks JSON: its address, then for each number that it reads as many changes."""
    with WatchServer(streaming="offered" if streaming else "refused") as server:
        size = 0
        for one in _pods(count):
            size += len(json.dumps(one, separators=(",", ":")))
            server.put(one)
        print(json.dumps({"url": server.url, "bytes": size // count}), flush=True)
        pods = server.store.of("Pod").objects
        for line in sys.stdin:
            times = []
            for number, key in zip(range(int(line)), list(pods), strict=False):
                value = server.store.get("Pod", *key)
                assert value is not None
                value["metadata"]["labels"]["changed"] = str(number % 7)
                times.append(time.monotonic())
                server.put(value)
                # One change after the other: what is measured is the way of each, not a queue.
                time.sleep(0.001)
            print(json.dumps({"times": times, **vars(server.total())}), flush=True)


class _Follower:
    """Keeps the pods, as the agent does, and when each change had come."""

    def __init__(self) -> None:
        self.pods: dict[tuple[str, str], Pod] = {}
        self.came: list[tuple[float, float]] = []
        self.complete = threading.Event()
        self.enough = threading.Event()
        self.awaited = 0

    def deliver(self, event: Event) -> None:
        """Take an event."""
        match event:
            case Replaced(objects=objects):
                self.pods = {one.key: one for one in objects if isinstance(one, Pod)}
                self.complete.set()
            case Upserted(object=Pod() as pod):
                self.pods[pod.key] = pod
                self.came.append((event.received, time.monotonic()))
                if len(self.came) >= self.awaited:
                    self.enough.set()
            case Removed(object=Pod() as pod):
                self.pods.pop(pod.key, None)


def follow(url: str, changes: int) -> None:
    """The process of the client. It prints what it has seen, as JSON."""
    follower = _Follower()
    follower.awaited = changes
    access = Access("cluster:bench", urlsplit(url), Credentials)
    with Watches(access, [], follower.deliver):
        pass  # what is loaded late is not counted among the pods
    before, cpu, begun = _memory("VmRSS"), time.process_time(), time.monotonic()
    with Watches(access, [Subscription("Pod")], follower.deliver, pace=Pace(start=0)):
        follower.complete.wait()
        seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
        gc.collect()
        after = _memory("VmRSS")
        known = {"pods": len(follower.pods), "before": before, "after": after, "peak": _memory("VmHWM")}
        print(json.dumps({**known, "seconds": seconds, "cpu": cpu}), flush=True)
        cpu = time.process_time()
        follower.enough.wait()
        print(json.dumps({"came": follower.came, "cpu": time.process_time() - cpu}), flush=True)


def _memory(field: str) -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{field}:"))


def measure(count: int, changes: int, *, streaming: bool) -> Row:
    """One row: a server with so many pods, a client, and so many changes one after the other."""
    with _started("serve", str(count), str(int(streaming))) as server:
        assert server.stdin is not None
        there = _said(server)
        with _started("follow", there["url"], str(changes)) as client:
            known = _said(client)
            server.stdin.write(f"{changes}\n")
            server.stdin.flush()
            told, seen = _said(server), _said(client)
            client.wait()
        server.stdin.close()
        server.wait()
    delays = sorted((done - at) * 1000 for at, (_, done) in zip(told["times"], seen["came"], strict=True))
    return {
        "pods": known["pods"],
        "way": "streaming list" if streaming else "pages of 500",
        "bytes of JSON a pod": there["bytes"],
        "resident bytes a pod": round((known["after"] - known["before"]) / count),
        "peak MB": round(known["peak"] / 1e6),
        "seconds until all is known": round(known["seconds"], 2),
        "CPU s of the client": round(known["cpu"], 2),
        "CPU µs a pod": round(known["cpu"] / count * 1e6, 1),
        "change, median ms": round(statistics.median(delays), 2),
        "change, p99 ms": round(delays[len(delays) * 99 // 100], 2),
        "CPU µs a change": round(seen["cpu"] / changes * 1e6),
    }


def _started(*words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "benchmarks.watch", *words]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ourselves


def _said(process: subprocess.Popen[str]) -> Any:
    stdout: IO[str] | None = process.stdout
    assert stdout is not None
    return json.loads(stdout.readline())


def main() -> None:
    """Measure and print, or be one of the two processes."""
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]), sys.argv[3] == "1")
        return
    if sys.argv[1:2] == ["follow"]:
        follow(sys.argv[2], int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watch", description=__doc__)
    parser.add_argument("--pods", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--changes", type=int, default=2000)
    parser.add_argument("-o", "--output", choices=("text", "markdown"), default="text")
    chosen = parser.parse_args()
    rows: list[Row] = []
    for count, streaming in itertools.product(chosen.pods, (True, False)):
        rows.append(measure(count, chosen.changes, streaming=streaming))
        print(rows[-1], file=sys.stderr, flush=True)
    if chosen.output == "markdown":
        print(markdown(rows), end="")
    else:
        print_table(rows)


if __name__ == "__main__":
    main()
