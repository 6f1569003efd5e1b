"""The end-to-end workflow, which only kind can run: what can be known of it without kind.

Its files and options exist, its scripts are sound, it cannot pass by accident, and the verdicts that it expects are
those of the model. The scripts are run here against a kubectl that plays the cluster.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from outgate import can_reach, load
from tests.deploy.chart import CHART, render
from tests.deploy.test_dashboard import METRICS
from tests.house.sources import ROOT

E2E = ROOT / "deploy" / "e2e"
SCRIPTS = sorted(E2E.glob("*.sh"))
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "e2e-kind.yaml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["kind"]["steps"]
SHELL = "\n".join(step["run"] for step in STEPS if "run" in step)

# A cluster in which what this says happens: each answer of the pods, by ADDRESS:PORT or for all.
KUBECTL = """#!/bin/sh
case "$*" in
*jsonpath*) echo 192.0.2.1 ;;
*"get pods"*) printf 'pod/outgate-a\\npod/outgate-b\\n' ;;
*exec*) {answer} ;;
esac
"""


def probes() -> list[tuple[str, str, int, str]]:
    """The table: from, to, port, and what enforcement makes of it."""
    lines = (E2E / "probes.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return [(start, end, int(port), verdict) for start, end, port, verdict in rows]


def play(script: str, *arguments: str, answer: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script with a kubectl whose pods answer so."""
    kubectl = folder / "kubectl"
    kubectl.write_text(KUBECTL.format(answer=answer))
    kubectl.chmod(0o755)
    return subprocess.run(
        [str(E2E / script), *arguments],
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_workflow_is_one() -> None:
    """Read-only rights, a limit in time, and actions of a stated version."""
    # `on` is a truth value to YAML 1.1, which PyYAML reads.
    assert {"pull_request", "push", "workflow_dispatch"} == set(WORKFLOW[True])
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["jobs"]["kind"]["timeout-minutes"] <= 60
    assert all(re.fullmatch(r"[\w/-]+@v\d+", step["uses"]) for step in STEPS if "uses" in step)
    assert all(("run" in step) != ("uses" in step) for step in STEPS)
    assert "${{" not in SHELL, "a value that is pasted into a script is a command"


def test_files_that_it_names_are_there() -> None:
    """And those that are called can be."""
    named = set(re.findall(r"\bdeploy/[\w./-]+", SHELL))
    assert {"deploy/e2e/probe.sh", "deploy/e2e/kind.yaml", "deploy/helm/outgate"} <= named
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert [path.name for path in SCRIPTS if not os.access(path, os.X_OK)] == []
    assert {f"deploy/e2e/{path.name}" for path in E2E.iterdir()} - named == {"deploy/e2e/probes.txt"}


def test_values_that_it_sets_are_values() -> None:
    """Each `--set` of each call of helm, together, as the chart takes them."""
    calls = [line for line in SHELL.splitlines() if re.match(r"helm (install|upgrade) ", line)]
    assert len(calls) == 4
    modes = []
    for line in calls:
        assert str(CHART.relative_to(ROOT)) in line.split()
        values: dict[str, Any] = {}
        for key, value in re.findall(r"--set ([\w.]+)=(\S+)", line.replace("$VALUES", WORKFLOW["env"]["VALUES"])):
            inner = values
            *path, last = key.split(".")
            for name in path:
                inner = inner.setdefault(name, {})
            inner[last] = value
        release = render(values)
        modes.append(values.get("mode", "audit"))
        images = {one["image"] for pod in release.pods() for one in pod["containers"]}
        assert images == {"outgate/outgate:e2e"}
    assert modes == ["audit", "enforce", "enforce", "remove"]


def test_no_check_is_blind() -> None:
    """`set -e` overlooks a command that is negated, and all but the last of a pipe or of `&&`."""
    scripts = {path.name: path.read_text(encoding="utf-8") for path in SCRIPTS}
    for name, text in {"workflow": SHELL, **scripts}.items():
        assert not re.search(r"^\s*! ", text, re.MULTILINE), name
        assert "|| true" not in text, name
    assert all("set -euo pipefail" in text for text in scripts.values())


def test_the_control_comes_before_each_denial() -> None:
    """What was never open was never denied: without Outgate, in audit and after removal everything connects."""
    order = re.findall(r"probe\.sh (open|table)", SHELL)
    assert order == ["open", "open", "table", "open", "table", "table", "table", "table", "open"]
    install = SHELL.index("helm install")
    assert "probe.sh open" in SHELL[:install]


def test_counters_that_it_reads_are_exported() -> None:
    """By the names of docs/metrics.md."""
    counted = re.findall(r"counted\.sh (\w+)", SHELL)
    assert counted
    assert set(counted) <= set(METRICS)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.name))
def test_scripts_are_sound(path: Path) -> None:
    """To the shell, and to shellcheck where there is one."""
    subprocess.run(["bash", "-n", str(path)], check=True, timeout=60)
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", str(path)], capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout == ""


@pytest.mark.parametrize(("start", "end", "port", "verdict"), probes())
def test_the_model_expects_the_same(start: str, end: str, port: int, verdict: str) -> None:
    """The table is what `outgate can-reach` says of these files, so a wrong line cannot blame the kernel."""
    snapshot = load(E2E / "workloads.yaml", E2E / "policies.yaml")
    assert bool(can_reach(snapshot, start, f"{end}:{port}")) == (verdict == "allow")


def test_the_table_tries_each_way() -> None:
    """Allowed and denied, within a node and across, by egress and by ingress."""
    pods = [item for item in yaml.safe_load_all((E2E / "workloads.yaml").read_text()) if item["kind"] == "Pod"]
    nodes = {f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": pod["spec"]["nodeName"] for pod in pods}
    tried = {(nodes[start] == nodes[end], verdict) for start, end, _, verdict in probes()}
    assert tried == {(True, "deny"), (True, "allow"), (False, "deny"), (False, "allow")}
    kind = yaml.safe_load((E2E / "kind.yaml").read_text())
    assert kind["networking"]["disableDefaultCNI"] is True
    workers = [f"{kind['name']}-worker", f"{kind['name']}-worker2"]
    assert set(nodes.values()) == set(workers)


@pytest.mark.parametrize(
    ("mode", "answer", "code"),
    [
        ("open", "echo allow", 0),
        ("open", "echo deny", 1),
        ("table", "echo allow", 1),
        ("table", "echo deny", 1),
        # The API server did not answer, which is not a denial.
        ("table", "exit 1", 1),
        ("closed", "echo allow", 2),
    ],
)
def test_probes_can_fail(mode: str, answer: str, code: int, tmp_path: Path) -> None:
    """Against pods that answer all alike, no table holds."""
    done = play("probe.sh", mode, answer=answer, folder=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    if code < 2:
        assert f"{len(probes())} probes" in done.stdout
    if answer == "exit 1":
        assert f"{len(probes())} wrong" in done.stdout


def test_probes_pass_where_the_table_holds(tmp_path: Path) -> None:
    """Pods that answer as the table says, found by who asks and in which order."""
    answers = tmp_path / "answers"
    answers.write_text("".join(f"{verdict}\n" for *_, verdict in probes()))
    take = f"head -n 1 {answers}; sed -i 1d {answers}"
    done = play("probe.sh", "table", answer=take, folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{len(probes())} probes, 0 wrong\n")


@pytest.mark.parametrize(("answer", "code"), [("echo 0.0", 1), ("echo 2.0", 0), ("exit 1", 1)])
def test_counting_can_fail(answer: str, code: int, tmp_path: Path) -> None:
    """No packet counted, or no answer from an agent."""
    done = play("counted.sh", "outgate_denied_packets_total", answer=answer, folder=tmp_path)
    assert done.returncode == code, done.stderr


NODES = "node-a 10.244.0.0/24 192.0.2.1\\nnode-b 10.244.1.0/24 192.0.2.2\\nnode-c 10.244.2.0/24 192.0.2.3\\n"

# A docker that writes down what it was asked, and what came in, and does nothing.
DOCKER = """#!/bin/sh
echo "$@" >> {log}
[ "$2" != -i ] || cat > {folder}/$3.json
"""


def network(folder: Path, nodes: str) -> subprocess.CompletedProcess[str]:
    """Run network.sh against nodes that are only written down."""
    for name, text in {
        "kubectl": f"#!/bin/sh\nprintf '{nodes}'\n",
        "docker": DOCKER.format(log=folder / "log", folder=folder),
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(E2E / "network.sh")],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_network_routes_each_node_to_each_other(tmp_path: Path) -> None:
    """One route for each other node, an address range of its own, and the file that makes a node ready comes last."""
    assert network(tmp_path, NODES).returncode == 0
    log = (tmp_path / "log").read_text().splitlines()
    for node, others in {"a": "12", "b": "02", "c": "01"}.items():
        mine = [line for line in log if f"node-{node} " in line]
        routes = [line for line in mine if "ip route" in line]
        assert {line.split("route ")[1] for line in routes} == {
            f"replace 10.244.{other}.0/24 via 192.0.2.{int(other) + 1}" for other in others
        }
        assert "10-e2e.conflist" in mine[-1]
        plugins = json.loads((tmp_path / f"node-{node}.json").read_text())["plugins"]
        assert plugins[0]["ipam"]["ranges"] == [[{"subnet": f"10.244.{'abc'.index(node)}.0/24"}]]


@pytest.mark.parametrize("nodes", ["", "node-a 10.244.0.0/24 192.0.2.1\\n"])
def test_a_network_of_one_is_refused(nodes: str, tmp_path: Path) -> None:
    """Where kubectl lists nothing, nothing must look done."""
    assert network(tmp_path, nodes).returncode != 0


def test_the_metric_is_found_in_the_text() -> None:
    """The program that runs in the agent's container, on the exposition format."""
    program = re.search(r"PROGRAM='\n(.*?)'\n", (E2E / "counted.sh").read_text(encoding="utf-8"), re.DOTALL)
    assert program
    line = program[1].splitlines()[-1].replace("sys.argv[1]", "metric")
    text = '# TYPE outgate_x_total counter\noutgate_x_total{a="b c"} 2.0\noutgate_x_total 1\noutgate_x_total_more 9\n'
    shown: list[float] = []
    exec(line, {"text": text, "metric": "outgate_x_total", "print": shown.append, "sum": sum, "float": float})
    assert shown == [3.0]
