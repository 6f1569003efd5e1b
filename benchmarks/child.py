"""The measured side: one thing, done once, in a process that has done nothing else.

    python -m benchmarks.child OUT STAGE ARGUMENTS...

What the thing itself writes goes to the file OUT, as a person would redirect it. One line of JSON on standard output
says how it went: the exit code, the largest memory, and the figures of the stage. The time of the whole process is
taken from outside (`benchmarks.analysis`), so a stage imports what it needs when it runs, like a verb.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

__all__ = ["STAGES", "loop", "main"]

_STEPS = 2_000_000
_CHANGES = 5


def main(arguments: list[str]) -> int:
    """Run one stage and say how it went."""
    out, stage, *rest = arguments
    said = os.dup(1)
    with open(out, "wb") as file:
        os.dup2(file.fileno(), 1)
    figures = STAGES[stage](rest)
    sys.stdout.flush()
    report = ", ".join(f'"{name}": {value!r}' for name, value in {**figures, "megabytes": _megabytes()}.items())
    os.write(said, f"{{{report}}}\n".encode())
    return 0


def _megabytes() -> float:
    """The largest memory of this process. `getrusage` would count what the parent had before it started this one."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def loop() -> float:
    """CPU seconds for one step of a fixed loop of plain Python: what this machine does just now."""
    begin = time.process_time()
    total = 0
    for number in range(_STEPS):
        total += number & 3
    return (time.process_time() - begin) / _STEPS


class _Stopwatch:
    """Time between two presses: what a clock on the wall says, and what the processor worked for us alone."""

    def __init__(self) -> None:
        self._pressed = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def press(self) -> tuple[float, float]:
        """Seconds since the last press, and seconds of processor time."""
        before, self._pressed = self._pressed, self._now()
        return self._pressed[0] - before[0], self._pressed[1] - before[1]


def _nothing(_: list[str]) -> dict[str, float]:
    """Python starts and ends."""
    return {}


def _command(words: list[str]) -> dict[str, float]:
    """The command `outgate`, from its entry point."""
    from outgate.cli.main import main as outgate  # noqa: PLC0415 - the process is to pay for it here

    return {"code": outgate(words)}


def _json_loads(words: list[str]) -> dict[str, float]:
    """The standard library makes objects of a file, and does nothing with them."""
    import json  # noqa: PLC0415

    with open(words[0], "rb") as file:
        json.loads(file.read())
    return {}


def _safe_load(words: list[str]) -> dict[str, float]:
    """PyYAML does, by its fastest loader."""
    import yaml  # noqa: PLC0415

    with open(words[0], "rb") as file:
        for _document in yaml.load_all(file, yaml.CSafeLoader):
            pass
    return {}


def _list(words: list[str]) -> dict[str, float]:
    """The steps of `outgate list -o json`, one after the other instead of all in one stream."""
    from outgate.analysis.connections import connections  # noqa: PLC0415
    from outgate.analysis.unknowns import unknowns  # noqa: PLC0415
    from outgate.cluster import load  # noqa: PLC0415
    from outgate.report.connections_json import connection_list  # noqa: PLC0415

    watch = _Stopwatch()
    figures: dict[str, float] = {}
    snapshot = load(words, stored=None).snapshot
    figures["reading"], figures["reading cpu"] = watch.press()
    found = connections(snapshot)
    every = list(found)
    figures["listing"], figures["listing cpu"] = watch.press()
    for piece in connection_list(every, notes=unknowns(found)):
        sys.stdout.write(piece)
    figures["writing"], figures["writing cpu"] = watch.press()
    return {**figures, "connections": len(every), "identities": len(found.grid.identities.all)}


def _change(words: list[str]) -> dict[str, float]:
    """One policy changes, and the whole list is gone through again; each kind of change with a few policies."""
    import dataclasses  # noqa: PLC0415
    import statistics  # noqa: PLC0415

    from outgate.analysis.connections import connections  # noqa: PLC0415
    from outgate.cluster import load  # noqa: PLC0415
    from outgate.model import LabelSelector, NetworkPolicy, PolicyPort, PolicyRule  # noqa: PLC0415

    snapshot = load(words, stored=None).snapshot
    policies = snapshot.policies
    own = [place for place, one in enumerate(policies) if one.name.startswith("app-")]
    places = own[:: max(1, len(own) // _CHANGES)][:_CHANGES]
    before = connections(snapshot)
    _pass(before)

    def with_instead(place: int, *others: NetworkPolicy) -> list[NetworkPolicy]:
        return [*policies[:place], *others, *policies[place + 1 :]]

    def another_port(place: int) -> list[NetworkPolicy]:
        old = policies[place]
        rule = dataclasses.replace(old.egress[0], ports=(PolicyPort("TCP", 9000 + place),))
        return with_instead(place, dataclasses.replace(old, egress=(rule, *old.egress[1:])))

    def one_less(place: int) -> list[NetworkPolicy]:
        return with_instead(place)

    def new_label(place: int) -> list[NetworkPolicy]:
        # No policy has looked at this label before, so what selectors can see of pods is worked out again.
        old = policies[place]
        pod = next(pod for pod in snapshot.pods_by_namespace[old.namespace] if old.pods.matches(pod.labels))
        selector = LabelSelector.of({"pod-template-hash": pod.labels["pod-template-hash"]})
        rule = PolicyRule(ports=(PolicyPort("TCP", 9000 + place),))
        return with_instead(
            place, old, dataclasses.replace(old, name=f"new-{place}", pods=selector, egress=(rule,), ingress=())
        )

    figures = {"loop": loop()}
    changes = {"another port": another_port, "one less": one_less, "new label": new_label, "anew": another_port}
    for name, change in changes.items():
        times: list[tuple[float, float]] = []
        for place in places:
            changed = snapshot.with_policies(change(place))
            watch = _Stopwatch()
            _pass(connections(changed, previous=None if name == "anew" else before))
            times.append(watch.press())
        figures[name] = statistics.median(wall for wall, _ in times)
        figures[f"{name} cpu"] = statistics.median(cpu for _, cpu in times)
    return figures


def _pass(found: Iterable[object]) -> None:
    deque(found, maxlen=0)


def _questions(words: list[str]) -> dict[str, float]:
    """Flows between 40 × 40 pods, each asked a second time: nothing is read or prepared any more."""
    from benchmarks.cluster import Shape, generate  # noqa: PLC0415
    from outgate.policy import Endpoint, Flow, Judge, Policies  # noqa: PLC0415

    snapshot = generate(Shape(*map(int, words)))
    judge = Judge(Policies(snapshot))
    pods = snapshot.endpoints[:: max(1, len(snapshot.endpoints) // 100)]
    ends = [end for pod in pods if (end := Endpoint.of_pod(pod)) is not None]
    flows = [Flow(one, other, 6, 8005) for one in ends[:40] for other in ends[40:80]]
    for flow in flows:
        judge.judge(flow)
    watch = _Stopwatch()
    for flow in flows:
        judge.judge(flow)
    wall, cpu = watch.press()
    return {"loop": loop(), "flow": wall / len(flows), "flow cpu": cpu / len(flows)}


STAGES: Mapping[str, Callable[[list[str]], dict[str, float]]] = {
    "nothing": _nothing,
    "command": _command,
    "json.loads": _json_loads,
    "yaml.CSafeLoader": _safe_load,
    "list": _list,
    "change": _change,
    "questions": _questions,
}
"""What can be measured, by the word on the command line."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
