"""``python -m benchmarks [--rounds N] [-o json]``: all benchmarks, one after the other, as tables.

Needs what `outgate lab` needs: nftables, iproute2, and root or user namespaces. About five minutes at five
rounds. Everything happens in namespaces that vanish with the process.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Iterable

from benchmarks import kernel
from benchmarks.cluster import Shape, generate
from outgate.host import process
from outgate.lab.session import run_in_lab
from outgate.model import Snapshot
from outgate.nft.compile import Options, compile_node
from outgate.nft.objects import Ruleset
from outgate.policy import Endpoint, Flow, Judge, Policies

Row = dict[str, object]


def main() -> int:
    """Parse the few options, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each variant is measured (default 5)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    chosen = parser.parse_args()
    return run_in_lab(lambda: _run(chosen.rounds, chosen.output))


def _run(rounds: int, output: str) -> int:
    compiled = {name: one.ruleset for name, one in kernel.rulesets()}
    bench = kernel.Bench(kernel.stage(), rounds)
    tables = {
        "forward path": _forward(bench, compiled),
        "loading a ruleset": _loading(bench, compiled),
        "one address more, one less": _one_address(bench),
        "planning a node": _planning(),
        "one question": _questions(),
    }
    if output == "json":
        print(json.dumps({"machine": _machine(), "rounds": rounds, "tables": tables}, indent=2))
        return 0
    print(f"{_machine()}; {rounds} rounds, medians")
    for title, rows in tables.items():
        print(f"\n{title}")
        _print_table(rows)
    return 0


def _machine() -> str:
    nft = process.run(("nft", "--version")).stdout.strip()
    return f"{platform.machine()}, kernel {platform.release()}, Python {platform.python_version()}, {nft}"


def _forward(bench: kernel.Bench, variants: dict[str, Ruleset]) -> list[Row]:
    results = {one.variant: one for one in kernel.measure(bench, variants)}
    baseline = results["connection tracking alone"]
    rows: list[Row] = []
    for name, one in results.items():
        connections, flows, gigabits = one.ratios(baseline)
        rows.append(
            {
                "variant": name,
                "connections/s": round(statistics.median(one.connections)),
                "ratio": round(connections, 2),
                "new flows/s": round(statistics.median(one.flows)),
                "flow ratio": round(flows, 2),
                "Gbit/s": round(statistics.median(one.gigabits), 1),
                "bulk ratio": round(gigabits, 2),
            }
        )
    small, large = results["100 elements"], results["100000 elements"]
    rows.append(
        {
            "variant": "cost of a new flow, 100 000 against 100",
            "flow ratio": round(statistics.median(a / b for a, b in zip(small.flows, large.flows, strict=True)), 2),
            "ratio": round(
                statistics.median(a / b for a, b in zip(small.connections, large.connections, strict=True)), 2
            ),
        }
    )
    return rows


def _loading(bench: kernel.Bench, variants: dict[str, Ruleset]) -> list[Row]:
    rows: list[Row] = []
    for name, ruleset in variants.items():
        seconds = []
        for _ in range(3):
            seconds.append(bench.apply(ruleset))
            bench.on_node("delete table inet outgate")
        elements = sum(len(one.elements) for one in ruleset.sets.values())
        rows.append({"variant": name, "elements": elements, "chains": len(ruleset.chains), "seconds": _median(seconds)})
    return rows


def _one_address(bench: kernel.Bench) -> list[Row]:
    """A pod more in a peer set and a pod less, by a process of nft each, as the slow path does it."""
    rows: list[Row] = []
    for size in (100, 10_000, 100_000):
        ruleset = compile_node(Policies(kernel.selector_cluster(size)), "node-0", Options()).ruleset
        bench.apply(ruleset)
        peers = next(name for name in ruleset.sets if name.startswith("p4_"))
        timed: dict[str, list[float]] = {"add": [], "delete": []}
        for _ in range(10):
            for verb, many in timed.items():
                begin = time.perf_counter()
                bench.on_node(f"{verb} element inet outgate {peers} {{ 192.0.2.1 }}\n")
                many.append(time.perf_counter() - begin)
        bench.on_node("delete table inet outgate")
        rows.append(
            {"elements": size, "add, ms": _median(timed["add"], 1000), "delete, ms": _median(timed["delete"], 1000)}
        )
    return rows


def _planning() -> list[Row]:
    snapshot = generate(Shape())
    begin = time.perf_counter()
    compiled = compile_node(Policies(snapshot), "node-0", Options(interface_prefix="ogp"))
    seconds = time.perf_counter() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        {
            "what": "compile one node: 10 000 pods, 1 000 policies, 110 local pods",
            "seconds": round(seconds, 2),
            "chains": len(compiled.ruleset.chains),
            "largest memory of the run, MB": round(memory),
        }
    ]


def _questions() -> list[Row]:
    snapshot: Snapshot = generate(Shape())
    judge = Judge(Policies(snapshot))
    pods = snapshot.endpoints[::97]
    ends = [end for pod in pods if (end := Endpoint.of_pod(pod)) is not None]
    flows = [Flow(one, other, 6, 8005) for one in ends[:40] for other in ends[40:80]]
    for flow in flows:
        judge.judge(flow)
    begin = time.perf_counter()
    for flow in flows:
        judge.judge(flow)
    each = (time.perf_counter() - begin) / len(flows)
    return [{"what": "one flow in a loaded snapshot, both ends with reasons", "microseconds": round(each * 1e6, 1)}]


def _median(many: Iterable[float], factor: float = 1) -> float:
    return round(statistics.median(many) * factor, 3)


def _print_table(rows: list[Row]) -> None:
    heads = list(dict.fromkeys(head for row in rows for head in row))
    cells = [heads, *([str(row.get(head, "")) for head in heads] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    for line in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
