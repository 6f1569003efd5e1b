"""The verb lab: what it refuses before anything is built, and what a user sees of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from outgate.cli.main import main
from outgate.lab import session
from outgate.lab.proxy import is_installed

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RECIPES = str(EXAMPLES / "recipes")

LONELY = """
apiVersion: v1
kind: Pod
metadata: {name: one, namespace: shop}
spec: {nodeName: n1, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: two, namespace: shop, labels: {app: two}}
spec: {nodeName: n1, containers: [{name: c, image: x}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec: {podSelector: {matchLabels: {app: two}}, policyTypes: [Egress]}
---
apiVersion: v1
kind: Service
metadata: {name: one, namespace: shop}
spec: {clusterIP: 10.96.0.7, selector: {app: one}, ports: [{port: 80}]}
"""


@pytest.fixture
def pair(tmp_path: Path) -> str:
    """Two pods on one node, of which one may send nothing."""
    path = tmp_path / "pair.yaml"
    path.write_text(LONELY)
    return str(path)


def errors(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of a run that must fail before it begins."""
    code = main(["lab", *arguments])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return code, captured.err


def test_help_shows_the_run_and_its_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever kept a lab must find out how to get into it and rid of it."""
    assert main(["lab", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("--no-enforce", "--flows", "--keep", "lab shell", "down", "Examples:"))


def test_no_input_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """A lab of nothing would agree with everything."""
    code, said = errors(capsys)
    assert code == 2
    assert "-f FILE" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dns-name", "nonsense"], "NAME=ADDRESS"),
        (["--dns-name", "a.b=10.0.0.1", "--dns-move", "a.b"], "--dns-move a.b: write it NAME=ADDRESS"),
        (["--dns-move", "a.b=10.0.0.1"], "give --dns-name a.b=ADDRESS, too"),
        (["--dns-name", "a.b=1.1.1.1", "--dns-move", "A.b=1.1.1.1"], "a.b=1.1.1.1: the name leads there before"),
        (["--dns-name", "a.b=127.0.0.1"], "--dns-name a.b=127.0.0.1: this is the dialling pod itself"),
        (["--dns-name", "a.b=ff02::1"], "--dns-name a.b=ff02::1: this is multicast or broadcast"),
        (["--dns-name", "a.b=1.1.1.1", "--dns-move", "a.b=fe80::1"], "a.b=fe80::1: this is an address of its link"),
        (["--dns-name", "a.b=10.96.0.7"], "this is the address of Service shop/one, and the lab dials somebody"),
        (["--dns-ttl", "0"], "1<=x<=300"),
        (["--max-pods", "0"], "at least 1"),
        (["--pods-per-workload", "0"], "at least 1"),
        (["--family", "5"], "'4', '6'"),
        (["--timeout", "0"], "0.5"),
        (["--timeout", "nan"], "number of seconds"),
        (["--timeout", "inf"], "number of seconds"),
        (["-n", "elsewhere"], "no flow has an end in namespace elsewhere"),
        (["manifests/"], "Manifests are given with -f"),
        (["--flows", "/nowhere/flows.yaml"], "cannot be read"),
        (["--keep", "--name", "../up"], "cannot be the name"),
    ],
)
def test_wishes_that_cannot_be_granted(
    capsys: pytest.CaptureFixture[str], pair: str, arguments: list[str], words: str
) -> None:
    """Every mistake is answered before a namespace is made, with the code for bad usage."""
    code, said = errors(capsys, "-f", pair, *arguments)
    assert code == 2
    assert words in said


def test_a_lab_of_nothing_does_not_agree(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An empty pipe or a file that cannot be read must not pass for a run without disagreements."""
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    code, said = errors(capsys, "-f", str(empty))
    assert code == 2
    assert "no pods and no workloads" in said


def test_an_interrupted_run_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, pair: str
) -> None:
    """The lab's own process ends silently; half a run without a word looks like a whole one."""
    monkeypatch.setattr("outgate.lab.session.run_in_lab", lambda *_, **__: session.INTERRUPTED)
    code, said = errors(capsys, "-f", pair)
    assert code == 130
    assert said == "interrupted\n"


def test_flows_about_what_is_not_there(capsys: pytest.CaptureFixture[str], pair: str, tmp_path: Path) -> None:
    """File and line of each, as in every other verb."""
    flows = tmp_path / "flows.yaml"
    flows.write_text(
        "apiVersion: outgate.dev/v1\nkind: FlowList\nflows:\n- {from: shop/one, to: shop/three, port: 80}\n"
    )
    code, said = errors(capsys, "-f", pair, "--flows", str(flows))
    assert code == 2
    assert f"{flows}:4: flows[0]" in said
    names = ("--dns-name", "a.b=203.0.113.1", "--dns-move", "a.b=203.0.113.2")
    code, said = errors(capsys, "-f", pair, "--flows", str(flows), *names)
    assert code == 2
    assert "leave out --flows or --dns-move" in said


def test_shell_without_a_lab(capsys: pytest.CaptureFixture[str]) -> None:
    """The hint is how to get one."""
    assert main(["lab", "shell", "shop/one", "--name", uuid.uuid4().hex]) == 2
    assert "outgate lab --keep" in capsys.readouterr().err


def test_down_without_a_lab_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Cleaning up twice is what scripts do."""
    assert main(["lab", "down", "--name", uuid.uuid4().hex]) == 0
    assert "no kept lab stands" in capsys.readouterr().err


@pytest.mark.kernel
def test_names_and_requests(capfd: pytest.CaptureFixture[str]) -> None:
    """The other half of `make demo`: a name is open to who may have it, and a request to who may ask it."""
    names = ("--dns-name", "api.example.com=203.0.113.10", "--dns-name", "tracker.example.net=203.0.113.20")
    assert main(["lab", "-f", str(EXAMPLES / "zero-trust"), *names]) == 0
    printed = capfd.readouterr()
    rows = [line.split() for line in printed.out.splitlines()]
    (head,) = [
        number for number, row in enumerate(rows) if row[:3] == ["from", "api.example.com", "tracker.example.net"]
    ]
    seen = {row[0]: row[1:3] for row in rows[head + 2 : head + 6]}
    assert seen["shop/payments"] == ["✓", "✗"]
    assert seen["shop/web"] == seen["shop/items"] == ["✗", "✗"]
    assert " 0 disagreements in " in printed.out
    assert (
        "shop/payments → api.example.com TCP 443: unasked denied, asked passed, moved passed, moved behind aliases "
        "passed, old addresses denied, asked again passed   shop/payments-outside egress[0]"
    ) in printed.out
    assert "shop/web asks for api.example.com: answered; for tracker.example.net: REFUSED\n" in printed.out
    assert "16 questions asked, 1 name moved" in printed.out
    if is_installed():
        assert "TCP 8080: GET /v1/items 200, DELETE /v1/items 403   shop/web-reads-items egress[0]" in printed.out
        host = "to host feed.supplier.example.com"
        assert f"TCP 80: GET /feed/0 {host} 200, DELETE /feed/0 {host} 403" in printed.out
        assert "TLS for a.supplier.example.com passed, TLS for other.nobody.invalid refused" in printed.out
    else:
        assert "pip install outgate[l7]" in printed.out


@pytest.mark.kernel
def test_the_demonstration(capfd: pytest.CaptureFixture[str]) -> None:
    """`make demo`: every packet does what the policies say, some are allowed and some denied."""
    assert main(["lab", "-f", RECIPES]) == 0
    text = capfd.readouterr().out
    assert "3 policies" in text
    assert "✓" in text
    assert "✗" in text
    assert text.rstrip().split("\n")[-1].startswith("35")
    assert " 0 disagreements in " in text
    assert "\x1b" not in text


@pytest.mark.kernel
def test_the_control_exits_with_1(capfd: pytest.CaptureFixture[str], pair: str) -> None:
    """The same probes without rules: a lab that cannot fail proves nothing."""
    assert main(["lab", "-f", pair, "--no-enforce", "-v"]) == 1
    captured = capfd.readouterr()
    assert "nothing is enforced" in captured.out
    # How many sockets a run may take is bounded, and said to whoever asks.
    assert "sockets listened" in captured.err


@pytest.mark.kernel
def test_a_flow_that_must_not_be_is_a_disagreement(
    capfd: pytest.CaptureFixture[str], pair: str, tmp_path: Path
) -> None:
    """The file of flows is a demand, not a question."""
    flows = tmp_path / "flows.yaml"
    entry = "{from: shop/one, to: shop/two, port: 80, expect: %s}\n"
    flows.write_text("apiVersion: outgate.dev/v1\nkind: FlowList\nflows:\n- " + entry % "deny")
    assert main(["lab", "-f", pair, "--flows", str(flows), "--family", "4"]) == 1
    text = capfd.readouterr().out
    assert "demanded  Deny" in text
    assert text.rstrip().endswith("s")
    assert "1 probe: 1 allowed, 0 denied, 1 disagreement" in text
    flows.write_text("apiVersion: outgate.dev/v1\nkind: FlowList\nflows:\n- " + entry % "allow")
    assert main(["lab", "-f", pair, "--flows", str(flows), "--family", "4"]) == 0


@pytest.mark.kernel
def test_the_document_is_all_there_is_on_standard_output(capfd: pytest.CaptureFixture[str], pair: str) -> None:
    """A note among the JSON would break whoever reads it."""
    assert main(["lab", "-f", pair, "-o", "json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert (document["kind"], document["disagreements"]) == ("LabReport", 0)
    assert {one["source"]["kind"] for one in document["probes"]} == {"Pod", "Node", "External"}


@pytest.mark.kernel
def test_colours_where_they_are_wanted(capfd: pytest.CaptureFixture[str], pair: str) -> None:
    """--color always for pagers; nothing in a file, see above."""
    assert main(["lab", "-f", pair, "--color", "always"]) == 0
    assert "\x1b[32m✓\x1b[0m" in capfd.readouterr().out


def outgate(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user's shell runs it."""
    return subprocess.run(
        [sys.executable, "-m", "outgate", *arguments],
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.kernel
def test_a_kept_lab_answers_and_goes(repository: Path, pair: str) -> None:
    """--keep: the servers answer on, policies hold, and `down` leaves nothing."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    connect = (
        "import socket,sys; one = socket.create_connection((sys.argv[1], 80), 3); "
        "one.send(b'hi\\n'); print(one.recv(999).decode())"
    )
    kept = outgate(repository, "lab", "-f", pair, "--keep", "--name", name, "-o", "json")
    try:
        assert kept.returncode == 0, kept.stderr
        assert f"outgate lab shell shop/one --name {name}" in kept.stderr
        addresses = {pod["name"]: pod["addresses"][0] for pod in json.loads(kept.stdout)["topology"]["pods"]}

        def reach(pod: str, target: str) -> subprocess.CompletedProcess[str]:
            return outgate(repository, "lab", "shell", "--name", name, pod, "--", sys.executable, "-c", connect, target)

        assert (
            f"shop/one answers on TCP port 80; you come from {addresses['one']}"
            in reach("one", addresses["one"]).stdout
        )
        which = outgate(repository, "lab", "shell", "--name", name)
        assert which.returncode == 2
        assert "shop/one, shop/two" in which.stderr
        denied = reach("two", addresses["one"])
        assert denied.returncode != 0
        assert "timed out" in denied.stderr
        assert outgate(repository, "lab", "-f", pair, "--keep", "--name", name).returncode == 2
    finally:
        gone = outgate(repository, "lab", "down", "--name", name)
    assert "removed: 2 pods" in gone.stderr
    assert outgate(repository, "lab", "shell", "--name", name, "one").returncode == 2
