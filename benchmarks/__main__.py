"""``python -m benchmarks [--only PART] [--rounds N] [-o json|markdown]``: the benchmarks, as tables.

The kernel part needs what `outgate lab` needs: nftables, iproute2, and root or user namespaces. Everything in it
happens in namespaces that vanish with the process. The analysis part needs ordinary processes alone, 3 GB of memory,
and 1.5 GB of disk for files that vanish with it. The names (``--only names``) need dnsperf and nsd as well, the
requests (``--only requests``) wrk and Envoy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks import agent, document, doors, kernel, names, requests
from benchmarks.analysis import FULL, QUICK, Bench
from benchmarks.cluster import Shape, generate
from benchmarks.tables import Row, markdown, print_table
from outgate.host import process
from outgate.lab.session import run_in_lab
from outgate.nft.compile import compile_node
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options
from outgate.policy import Policies

Tables = Mapping[str, list[Row]]

_DOCS = Path(__file__).parents[1] / "docs"


def main() -> int:
    """Parse the few options, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        choices=("kernel", "analysis", "doors", "agent", "scale", "names", "requests"),
        help="one part, and not all",
    )
    parser.add_argument("--rounds", type=int, help="how often each variant is measured (default 5; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="analysis at a tenth of the size: does it all run?")
    parser.add_argument("-o", "--output", choices=("text", "json", "markdown"), default="text")
    parser.add_argument(
        "--write", action="store_true", help="put tables and drawings of the analysis part into docs/performance.md"
    )
    chosen = parser.parse_args()
    if chosen.write and (chosen.quick or chosen.only not in (None, "analysis")):
        parser.error("--write takes the full analysis part")
    rounds = chosen.rounds or (1 if chosen.quick else 5)
    tables: Tables = {}
    if chosen.only in (None, "analysis"):
        tables = _analysis(rounds, quick=chosen.quick, write=chosen.write)
    if chosen.only in ("analysis", "names"):
        # The town of the names makes its own namespaces.
        return _print(_machine(), tables or names.measure(rounds), rounds, chosen.output)
    # Analysis comes first and is taken along: what happens in the lab is printed there.
    machine = f"{_machine()}, {process.run(('nft', '--version')).stdout.strip()}"
    return run_in_lab(lambda: _print(machine, {**tables, **_in_lab(chosen.only, rounds)}, rounds, chosen.output))


def _print(machine: str, tables: Tables, rounds: int, output: str) -> int:
    if output == "json":
        print(json.dumps({"machine": machine, "rounds": rounds, "tables": tables}, indent=2, ensure_ascii=False))
        return 0
    print(f"{machine}; {rounds} round{'s, medians' if rounds > 1 else ''}")
    for title, rows in tables.items():
        print(f"\n{title}")
        if output == "markdown":
            print(f"\n{markdown(rows)}", end="")
        else:
            print_table(rows)
    return 0


def _machine() -> str:
    return f"{platform.machine()}, kernel {platform.release()}, Python {platform.python_version()}"


def _analysis(rounds: int, *, quick: bool, write: bool) -> Tables:
    machine: Row = {"machine": _machine(), "processors": os.cpu_count(), "rounds": rounds}
    machine["load before"] = round(os.getloadavg()[0], 1)
    with Bench(QUICK if quick else FULL, rounds) as bench:
        by_pods, by_kinds = bench.by_pods(), bench.by_kinds()
        tables: dict[str, list[Row]] = {
            "machine": [machine],
            "whole commands": bench.commands(),
            "the list, step by step": bench.steps(),
            "one policy changed": bench.changes(),
            "one question": bench.questions(),
            "the list against pods": [point.row() for point in by_pods],
            "the list against kinds": [point.row() for point in by_kinds],
        }
    if write:
        document.write(_DOCS, tables, by_pods, by_kinds)
    return tables


def _in_lab(only: str | None, rounds: int) -> Tables:
    """What needs namespaces: how elements are changed, the agent, and unless another was asked for, the packets."""
    if only == "agent":
        return agent.measure(rounds)
    if only == "scale":
        return agent.scale()
    if only == "requests":
        return requests.measure(rounds)
    changed = {"changing elements, 10 000 intervals beside them": doors.measure(rounds)} if only != "kernel" else {}
    return {**changed, **(_kernel(rounds) if only != "doors" else {})}


def _kernel(rounds: int) -> Tables:
    compiled = {name: one.ruleset for name, one in kernel.rulesets()}
    bench = kernel.Bench(kernel.stage(), rounds)
    return {
        "forward path": _forward(bench, compiled),
        "loading a ruleset": _loading(bench, compiled),
        "one address more, one less": _one_address(bench),
        "planning a node": _planning(),
    }


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


def _median(many: Iterable[float], factor: float = 1) -> float:
    return round(statistics.median(many) * factor, 3)


if __name__ == "__main__":
    sys.exit(main())
