"""``python -m benchmarks.fleet starts|following|kinds|relabel [-o markdown]``: what thousands of agents cost.

    starts      real pacing in virtual time: 5 000 agents begin, or begin again (`benchmarks.fleet_starts`)
    following   real watch clients against the test server: the law of bytes and events (`benchmarks.fleet_following`)
    kinds       the same for each kind that is followed: its list, its events (`benchmarks.fleet_kinds`)
    relabel     one real agent's step when a big namespace changes (`benchmarks.fleet_relabel`)

`docs/scale.md` has the figures and says what follows from them. Each part takes some minutes at most; `--quick` takes
small sizes, to see that it runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmarks.cluster import Shape
from benchmarks.fleet_following import Load, following
from benchmarks.fleet_kinds import kinds
from benchmarks.fleet_relabel import relabel
from benchmarks.fleet_server import Terms
from benchmarks.fleet_starts import Fleet, Together, away, rollout
from benchmarks.tables import Row, markdown, print_table
from outgate.cluster.watch import Pace

__all__ = ["main", "starts"]

PODS = 30
"""For each node, here and in `docs/scale.md`."""
OUTAGE = 600.0
HORIZON = 6 * 3600.0
"""Seconds after which what has not come about never does."""
UNSPREAD = {"pace": Pace(start=0.0, relist=0.0), "dice": lambda _: Together()}


def starts(nodes: int) -> Iterator[Row]:
    """A row for each way in which so many agents begin; the last ones with servers that have limits."""
    terms = Terms(pods=nodes * PODS)
    tenth, fiftieth = max(1, nodes // 10), max(1, nodes // 50)
    closing, seated = replace(terms, closing=True), replace(terms, seats=72)
    cases: dict[str, Callable[[], Fleet]] = {
        "rollout, 2% at a time": lambda: rollout(terms, nodes, fiftieth, HORIZON),
        "rollout, 10% at a time": lambda: rollout(terms, nodes, tenth, HORIZON),
        "rollout, 10%, no jitter": lambda: rollout(terms, nodes, tenth, HORIZON, **UNSPREAD),
        "all at once": lambda: rollout(terms, nodes, nodes, HORIZON),
        "all at once, no jitter": lambda: rollout(terms, nodes, nodes, HORIZON, **UNSPREAD),
        "away, remembers": lambda: away(terms, nodes, OUTAGE, HORIZON, remembers=True),
        "away, remembers, no jitter": lambda: away(terms, nodes, OUTAGE, HORIZON, remembers=True, **UNSPREAD),
        "away, forgets": lambda: away(terms, nodes, OUTAGE, HORIZON, remembers=False),
        "away, forgets, no jitter": lambda: away(terms, nodes, OUTAGE, HORIZON, remembers=False, **UNSPREAD),
        "a tenth of the nodes at once, slow watches closed": lambda: rollout(closing, tenth, tenth, HORIZON),
        "rollout, 10%, 72 lists at a time": lambda: rollout(seated, nodes, tenth, HORIZON),
    }
    for name, case in cases.items():
        begun = time.monotonic()
        fleet = case()
        print(f"{nodes} nodes, {name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        yield {"what": name, **fleet.row()}


def _starts(quick: bool) -> Iterator[Row]:
    for nodes in (50,) if quick else (100, 1000, 5000):
        yield from starts(nodes)


def _following(quick: bool) -> Iterator[Row]:
    loads = [Load(5, 100, 16, 40.0)]
    if not quick:
        # One after the other of clients, pods and writes a second doubles.
        loads = [Load(25, 1000, 400, 20.0), Load(50, 1000, 400, 20.0), Load(100, 1000, 400, 20.0)]
        loads += [Load(50, 2000, 400, 20.0), Load(50, 4000, 400, 20.0), Load(50, 1000, 400, 10.0)]
        loads += [Load(50, 1000, 400, 40.0), Load(200, 1000, 200, 10.0)]
    for load in loads:
        yield following(load)


def _kinds(quick: bool) -> Iterator[Row]:
    if quick:
        return kinds(Shape(100, 20, 4, 16), nodes=5, clients=2, writes=4)
    return kinds(Shape(1000, 100, 8, 320), nodes=100, clients=25, writes=40)


def _relabel(quick: bool) -> Iterator[Row]:
    shapes = [Shape(1000, 100, 4, 40)]
    if not quick:
        shapes = [
            Shape(10_000, 1000, 2, 400),
            Shape(50_000, 2500, 10, 2000),
            Shape(50_000, 2500, 250, 2000),
            Shape(150_000, 5000, 30, 4000),
        ]
    for shape in shapes:
        yield relabel(shape)
    # The same with Services, policies of all kinds, and so many Nodes as a large cluster has.
    yield relabel(shapes[0], nodes=20 if quick else 5000)


_PARTS: dict[str, Callable[[bool], Iterator[Row]]] = {
    "starts": _starts,
    "following": _following,
    "kinds": _kinds,
    "relabel": _relabel,
}


def main(arguments: list[str]) -> int:
    """Measure one part and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("part", choices=_PARTS)
    parser.add_argument("--quick", action="store_true", help="at small sizes: does it all run?")
    parser.add_argument("-o", "--output", choices=("text", "markdown"), default="text")
    chosen = parser.parse_args(arguments)
    rows = []
    for row in _PARTS[chosen.part](chosen.quick):
        print(row, file=sys.stderr, flush=True)
        rows.append(row)
    if chosen.output == "markdown":
        print(markdown(rows), end="")
    else:
        print_table(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
