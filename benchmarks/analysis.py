"""What analysis costs: whole commands, their steps, one changed policy, one question, and how cost grows.

    with Bench(FULL, rounds=5) as bench:
        bench.commands()        whole processes: list, diff, exposure, graph, from JSON and from YAML
        bench.steps()           the list: reading, listing, writing
        bench.changes()         one policy changed
        bench.questions()       one flow in a loaded snapshot
        bench.by_pods()         time against pods at a constant number of kinds
        bench.by_kinds()        time against kinds at a constant number of pods

Everything is measured in a process of its own (`benchmarks.child`), so that no figure hangs on what was measured
before it. In each round every variant runs once, right after its baseline: something that has nothing to do with
Outgate and does similar work, such as `json.loads` of the same file. Figures are medians over the rounds, and a ratio
is the median of the ratios of the rounds. Seconds are those of a clock on the wall; CPU seconds are what the processor
worked for the process, and hardly hang on what else the machine does.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from benchmarks.cluster import Shape
from benchmarks.manifests import manifests, write_json, write_yaml
from benchmarks.tables import Row, spread
from outgate.host import process

__all__ = ["FULL", "QUICK", "Bench", "Plan", "Point", "Run", "run"]

_ROOT = Path(__file__).parents[1]
_ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join((str(_ROOT), str(_ROOT / "src"))),
    # Whoever installs a program has its bytecode on the disk; empty means that it may be written.
    "PYTHONDONTWRITEBYTECODE": "",
}
_LONGEST = 1800


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how large it is."""

    cluster: Shape
    large: Shape
    folder: Shape
    """As YAML, without pods."""
    policies: Shape
    """For lint, without pods."""
    picture: Shape
    pods: tuple[int, ...]
    """With the kinds and policies of `cluster`."""
    kinds: tuple[int, ...]
    """With the pods of `cluster`, and policies in proportion to kinds."""
    goals: Mapping[str, str] = field(default_factory=dict)
    """What to reach at these sizes, by what it is about."""


FULL = Plan(
    cluster=Shape(),
    large=Shape(100_000, 5_000, 500, 4_000),
    folder=Shape(0, 15_000, 500, 2_250),
    policies=Shape(0, 10_000, 500, 4_000),
    picture=Shape(3_000, 750, 50, 300),
    pods=(1_000, 3_000, 10_000, 30_000, 100_000),
    kinds=(100, 200, 400, 800, 1_600, 3_200),
    goals={
        "cluster": "2 s, 500 MB",
        "large": "20 s, 3000 MB",
        "folder": "10 s",
        "change": "100 ms",
        "flow": "50 µs",
        "lint": "0.25 s",
        "policies": "30 s",
    },
)
"""The sizes that the goals speak of."""

QUICK = Plan(
    cluster=Shape(1_000, 100, 10, 40),
    large=Shape(10_000, 500, 50, 400),
    folder=Shape(0, 1_500, 50, 225),
    policies=Shape(0, 1_000, 50, 400),
    picture=Shape(300, 75, 10, 30),
    pods=(300, 1_000, 3_000),
    kinds=(20, 40, 80),
)
"""A tenth of everything: whether it all runs, in a minute."""


@dataclass(frozen=True, slots=True)
class Run:
    """How one process went, from its start to its end."""

    seconds: float
    cpu: float
    figures: Mapping[str, float]

    @property
    def megabytes(self) -> float:
        """The largest memory of the process."""
        return self.figures["megabytes"]


@dataclass(frozen=True, slots=True)
class Point:
    """A shape, and how long its list took in each round, in CPU seconds."""

    shape: Shape
    reading: tuple[float, ...]
    listing: tuple[float, ...]
    connections: int

    def row(self) -> Row:
        """As a row of a table."""
        return {
            "pods": self.shape.pods,
            "kinds": self.shape.kinds,
            "policies": self.shape.policies,
            "reading, CPU s": _round(self.reading),
            "grid and list, CPU s": _round(self.listing, 3),
            "lowest to highest": spread(self.listing, 3),
            "connections": self.connections,
        }


@dataclass(frozen=True, slots=True)
class _Variant:
    """A stage and its words, beside the baseline of the same round."""

    title: str
    words: tuple[str, ...]
    baseline: tuple[str, ...]
    goal: str = ""


def run(out: Path, words: Sequence[str]) -> Run:
    """A stage in a process of its own; what it writes goes to `out`. Raises RuntimeError where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    ended = process.read(
        (sys.executable, "-m", "benchmarks.child", str(out), *words), timeout=_LONGEST, environment=_ENVIRONMENT
    )
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.code != 0:
        raise RuntimeError(f"{' '.join(words)}: {ended.stderr.decode(errors='replace')}")
    figures: dict[str, float] = json.loads(ended.stdout)
    # 1 is a difference, a finding, a no: an answer.
    if figures.get("code", 0) not in (0, 1):
        raise RuntimeError(f"outgate {' '.join(words[1:])}: {ended.stderr.decode(errors='replace')}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, cpu, figures)


class Bench:
    """The measurements of one plan. Input is made once, in a folder that goes when the bench is left."""

    def __init__(self, plan: Plan, rounds: int, *, quiet: bool = False) -> None:
        self.plan = plan
        self.rounds = rounds
        self._quiet = quiet
        self._leaving = contextlib.ExitStack()
        self._folder = Path()

    def __enter__(self) -> Bench:
        self._folder = Path(self._leaving.enter_context(tempfile.TemporaryDirectory(prefix="outgate-bench-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.close()

    # ---- tables ------------------------------------------------------------------------------------------------------

    def commands(self) -> list[Row]:
        """Whole processes, as a person starts them."""
        runs = self._in_rounds(tuple(self._commands()))
        return [
            {
                "command": variant.title,
                "seconds": _round(one.seconds for one, _ in many),
                "CPU s": _round(one.cpu for one, _ in many),
                "MB": round(statistics.median(one.megabytes for one, _ in many)),
                "goal": variant.goal,
                "baseline": variant.baseline[0],
                "its seconds": _round(base.seconds for _, base in many),
                "CPU ratio": _round(one.cpu / base.cpu for one, base in many),
            }
            for variant, many in runs
        ]

    def steps(self) -> list[Row]:
        """The list of connections, step by step, in one process: CPU seconds, and the whole on the wall."""
        inputs = (
            (self._sized(self.plan.cluster), self._json(self.plan.cluster), "json.loads", ""),
            (self._sized(self.plan.large), self._json(self.plan.large), "json.loads", ""),
            (self._documents(), self._yaml(self.plan.folder), "yaml.CSafeLoader", self._goal("folder")),
        )
        variants = tuple(_Variant(title, ("list", file), (base, file), goal) for title, file, base, goal in inputs)
        return [
            {
                "input": variant.title,
                "MB of input": round(os.path.getsize(variant.words[1]) / 1e6),
                **{
                    f"{step}, s": _round(one.figures[step] for one, _ in many)
                    for step in ("reading", "listing", "writing")
                },
                "connections": int(many[0][0].figures["connections"]),
                "goal": variant.goal,
                "baseline": variant.baseline[0],
                "CPU ratio of reading": _round(one.figures["reading cpu"] / base.cpu for one, base in many),
            }
            for variant, many in self._in_rounds(variants)
        ]

    def changes(self) -> list[Row]:
        """One policy changed, and the whole list gone through again."""
        runs = self._alone(("change", self._json(self.plan.cluster)))
        titles = {
            "another port": "a rule of one policy has another port",
            "one less": "one policy less",
            "new label": "one policy more, by a label that no policy has looked at",
            "anew": "all of it again, without the list before",
        }
        return [
            {
                "change": title,
                "ms": _round((one.figures[name] * 1e3 for one in runs), 1),
                "lowest to highest": spread((one.figures[name] * 1e3 for one in runs), 0),
                "CPU ms": _round((one.figures[f"{name} cpu"] * 1e3 for one in runs), 1),
                "goal": self._goal("change") if name == "another port" else "",
                "steps of a plain loop": _steps(runs, f"{name} cpu"),
            }
            for name, title in titles.items()
        ]

    def questions(self) -> list[Row]:
        """One flow in a loaded snapshot, both ends with reasons: what `can-reach` asks."""
        shape = self.plan.cluster
        words = (shape.pods, shape.policies, shape.namespaces, shape.kinds)
        runs = self._alone(("questions", *map(str, words)))
        return [
            {
                "what": "one flow in a loaded snapshot, both ends with reasons",
                "µs": _round((one.figures["flow"] * 1e6 for one in runs), 1),
                "lowest to highest": spread((one.figures["flow"] * 1e6 for one in runs), 1),
                "CPU µs": _round((one.figures["flow cpu"] * 1e6 for one in runs), 1),
                "goal": self._goal("flow"),
                "steps of a plain loop": _steps(runs, "flow cpu"),
            }
        ]

    # ---- curves ------------------------------------------------------------------------------------------------------

    def by_pods(self) -> list[Point]:
        """The same applications and policies with more and more replicas."""
        return self._curve([replace(self.plan.cluster, pods=pods) for pods in self.plan.pods])

    def by_kinds(self) -> list[Point]:
        """The same number of pods, of more and more applications with their policies."""
        cluster = self.plan.cluster
        each = cluster.policies / cluster.kinds
        return self._curve(
            [replace(cluster, kinds=kinds, policies=round(each * kinds)) for kinds in self.plan.kinds],
        )

    def _curve(self, shapes: Sequence[Shape]) -> list[Point]:
        variants = tuple(_Variant(_shape(shape), ("list", self._json(shape)), ()) for shape in shapes)
        return [
            Point(
                shape,
                tuple(one.figures["reading cpu"] for one, _ in many),
                tuple(one.figures["listing cpu"] for one, _ in many),
                int(many[0][0].figures["connections"]),
            )
            for shape, (_, many) in zip(shapes, self._in_rounds(variants), strict=True)
        ]

    # ---- runs --------------------------------------------------------------------------------------------------------

    def _in_rounds(self, variants: Sequence[_Variant]) -> list[tuple[_Variant, list[tuple[Run, Run]]]]:
        """Each variant in each round, with its baseline just before it; without a baseline it stands for itself."""
        found: list[tuple[_Variant, list[tuple[Run, Run]]]] = [(variant, []) for variant in variants]
        for number in range(self.rounds):
            known: dict[tuple[str, ...], Run] = {}
            for variant, many in found:
                self._say(f"round {number + 1} of {self.rounds}: {variant.title}")
                base = known.get(variant.baseline)
                if base is None and variant.baseline:
                    base = known[variant.baseline] = self._run(variant.baseline)
                one = self._run(variant.words)
                many.append((one, base or one))
        return found

    def _alone(self, words: tuple[str, ...]) -> list[Run]:
        """A stage that takes its baseline itself."""
        return [one for _, many in self._in_rounds((_Variant(words[0], words, ()),)) for one, _ in many]

    def _run(self, words: Sequence[str]) -> Run:
        return run(self._folder / "out", words)

    def _goal(self, name: str) -> str:
        return self.plan.goals.get(name, "")

    def _say(self, words: str) -> None:
        if not self._quiet:
            print(words, file=sys.stderr)

    # ---- input -------------------------------------------------------------------------------------------------------

    def _commands(self) -> Iterator[_Variant]:
        plan = self.plan
        cluster, large, folder = self._json(plan.cluster), self._json(plan.large), self._yaml(plan.folder)
        for shape, file, name in ((plan.cluster, cluster, "cluster"), (plan.large, large, "large")):
            words = ("list", "-f", file, "-o", "json")
            yield _command(f"list -o json, {self._sized(shape)}", words, file, self._goal(name))
        without = self._json(plan.cluster, left_out=100)
        yield _command("diff -o json, each 100th policy left out", ("diff", cluster, without, "-o", "json"), cluster)
        yield _command("exposure -o json", ("exposure", "-f", cluster, "-o", "json"), cluster)
        picture = self._json(plan.picture)
        title = f"graph -o html, {plan.picture.kinds} workloads"
        yield _command(title, ("graph", "-f", picture, "-o", "html"), picture)
        written = ("command", "list", "-f", folder, "-o", "json")
        yield _Variant(f"list -o json, {self._documents()}", written, ("yaml.CSafeLoader", folder))
        recipes = str(_ROOT / "examples" / "recipes")
        yield _Variant("list -f examples/recipes", ("command", "list", "-f", recipes), ("nothing",))
        example = str(_ROOT / "examples" / "lint")
        yield _Variant("lint, one file", ("command", "lint", "-f", example), ("nothing",), self._goal("lint"))
        policies = self._yaml(plan.policies)
        title = f"lint -o json, YAML of {_number(plan.policies.policies)} policies"
        linted = ("command", "lint", "-f", policies, "-o", "json")
        yield _Variant(title, linted, ("yaml.CSafeLoader", policies), self._goal("policies"))

    def _json(self, shape: Shape, left_out: int = 0) -> str:
        """The file of a shape; one policy of each `left_out` is missing from it."""
        file = self._folder / f"{_shape(shape)}-{left_out}.json"
        if not file.exists():
            with file.open("wb") as writing:
                write_json(_thinned(manifests(shape), left_out), writing)
        return str(file)

    def _yaml(self, shape: Shape) -> str:
        file = self._folder / f"{_shape(shape)}.yaml"
        if not file.exists():
            with file.open("wb") as writing:
                write_yaml(manifests(shape), writing)
        return str(file)

    def _sized(self, shape: Shape) -> str:
        return f"JSON of {_number(shape.pods)} pods, {_number(shape.policies)} policies"

    def _documents(self) -> str:
        return f"YAML of {_number(sum(1 for _ in manifests(self.plan.folder)))} documents"


def _command(title: str, words: Iterable[str], file: str, goal: str = "") -> _Variant:
    return _Variant(title, ("command", *words), ("json.loads", file), goal)


def _thinned(objects: Iterable[dict[str, object]], left_out: int) -> Iterator[dict[str, object]]:
    policies = 0
    for one in objects:
        if left_out and one["kind"] == "NetworkPolicy":
            policies += 1
            if policies % left_out == 0:
                continue
        yield one


def _shape(shape: Shape) -> str:
    return f"{shape.pods} pods, {shape.policies} policies, {shape.namespaces} namespaces, {shape.kinds} kinds"


def _number(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def _steps(runs: Iterable[Run], figure: str) -> int:
    """How many steps of a plain loop take as long: a figure that a faster machine leaves as it is."""
    return int(float(f"{statistics.median(one.figures[figure] / one.figures['loop'] for one in runs):.2g}"))


def _round(many: Iterable[float], digits: int = 2) -> float:
    return round(statistics.median(many), digits)
