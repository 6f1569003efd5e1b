"""Every measurement runs, on a tiny cluster, and yields figures that can be true. No figure is held to a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.analysis import FULL, QUICK, Bench, Plan, Point, run
from benchmarks.cluster import Shape
from benchmarks.manifests import manifests

TINY = Plan(
    cluster=Shape(40, 30, 5, 8),
    large=Shape(80, 40, 10, 16),
    folder=Shape(0, 20, 5, 8),
    policies=Shape(0, 20, 2, 8),
    picture=Shape(20, 10, 3, 6),
    pods=(20, 40),
    kinds=(8, 16),
)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """A bench of one round, whose input is made once."""
    with Bench(TINY, 1, quiet=True) as made:
        yield made


def test_whole_commands(bench: Bench) -> None:
    """All of them, each beside a baseline that did something."""
    rows = bench.commands()
    names = [re.split(r"\W", str(row["command"]))[0] for row in rows]
    assert names == ["list", "list", "diff", "exposure", "graph", "list", "list", "lint", "lint"]
    for row in rows:
        # The interpreter alone takes some milliseconds and some megabytes.
        assert all(isinstance(row[name], int | float) for name in ("seconds", "CPU s", "MB", "its seconds"))
        assert float(str(row["MB"])) > 5
        assert float(str(row["CPU ratio"])) > 0
    assert {row["baseline"] for row in rows} == {"json.loads", "yaml.CSafeLoader", "nothing"}


def test_steps(bench: Bench) -> None:
    """The list of each input, with as many connections as the command writes."""
    rows = bench.steps()
    assert len(rows) == 3
    assert all(int(str(row["connections"])) > 0 for row in rows)
    assert {f"{step}, s" for step in ("reading", "listing", "writing")} <= rows[0].keys()


def test_changes(bench: Bench) -> None:
    """Three kinds of change, and the whole again, in steps of the baseline."""
    rows = bench.changes()
    assert len(rows) == 4
    assert all(int(str(row["steps of a plain loop"])) > 0 for row in rows)


def test_questions(bench: Bench) -> None:
    """More than no time, and less than a second for one flow: it is given in microseconds."""
    (row,) = bench.questions()
    assert 0 < float(str(row["µs"])) < 1e6
    assert int(str(row["steps of a plain loop"])) > 0


@pytest.mark.parametrize("size", ["pods", "kinds"])
def test_curves(bench: Bench, size: str) -> None:
    """A point for each size, and nothing else grows along with it."""
    points: list[Point] = bench.by_pods() if size == "pods" else bench.by_kinds()
    assert [getattr(point.shape, size) for point in points] == list(getattr(TINY, size))
    other = "kinds" if size == "pods" else "pods"
    assert {getattr(point.shape, other) for point in points} == {getattr(TINY.cluster, other)}
    assert all(len(point.listing) == len(point.reading) == 1 for point in points)
    assert all(point.listing[0] > 0 < point.reading[0] for point in points)
    assert all(point.row()[size] == getattr(point.shape, size) for point in points)
    assert all(point.connections > 0 for point in points)
    ratios = {point.shape.policies / point.shape.kinds for point in points}
    assert len(ratios) == 1


def test_more_replicas_are_no_more_connections(bench: Bench) -> None:
    """What the curve rests on: pods of a kind that is there already connect to nothing new."""
    one, other = bench.by_pods()
    assert one.connections == other.connections


def test_output_of_the_measured_command_is_a_document(tmp_path: Path) -> None:
    """The process did what the command does: what it wrote is the list."""
    recipes = str(Path(__file__).parents[2] / "examples" / "recipes")
    out = tmp_path / "list.json"
    done = run(out, ("command", "list", "-q", "-f", recipes, "-o", "json"))
    assert done.figures["code"] == 0
    assert done.seconds >= 0
    assert json.loads(out.read_text())["connections"]


@pytest.mark.parametrize(
    "words", [("command", "list", "-f", "no-such-file"), ("json.loads", "no-such-file"), ("command", "no-verb")]
)
def test_failure_is_no_measurement(tmp_path: Path, words: tuple[str, ...]) -> None:
    """An error is quicker than an answer: it must not become a figure."""
    with pytest.raises(RuntimeError, match="no-"):
        run(tmp_path / "out", words)


def test_memory_is_that_of_the_process_alone(tmp_path: Path) -> None:
    """What this process holds does not count as memory of the one that it starts."""
    held = bytearray(b"x" * 200_000_000)
    assert run(tmp_path / "out", ("nothing",)).megabytes < len(held) / 4e6


def test_the_full_plan_has_the_sizes_of_the_goals() -> None:
    """The goals speak of these numbers; a smaller plan has no goals."""
    assert (FULL.cluster.pods, FULL.cluster.policies, FULL.cluster.namespaces, FULL.cluster.kinds) == (
        10_000,
        1_000,
        50,
        400,
    )
    assert (FULL.large.pods, FULL.large.policies, FULL.large.namespaces, FULL.large.kinds) == (
        100_000,
        5_000,
        500,
        4_000,
    )
    assert sum(1 for _ in manifests(FULL.folder)) >= 20_000
    assert FULL.goals
    assert not QUICK.goals
