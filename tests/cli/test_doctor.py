"""`outgate doctor` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgate.analysis.doctor_facts import Mark
from outgate.cli import doctor as verb
from outgate.cli.doctor import FAIL_ON
from outgate.cli.main import main
from outgate.testing import Manifest, namespace, pod, policy
from outgate.testing_cilium import cilium_policy
from tests.analysis.clinic import config, daemon, nodes, pods_of
from tests.cluster.apiserver import ApiServer, Asked, Reply, Shelf
from tests.cluster.miniature import Clock, Miniature
from tests.report.schema import complaints

LABELS = {"k8s-app": "cilium"}
CLUSTER = [
    namespace("shop"),
    *nodes("a"),
    daemon("kube-system/cilium", LABELS),
    *pods_of("kube-system/cilium", LABELS, "a"),
    pod("shop/web", ["10.1.0.1"], app="web"),
    policy("shop/deny", {"podSelector": {}, "policyTypes": ["Egress", "Ingress"]}),
]
CILIUM = config("cilium-config", {"enable-policy": "default", "secret": "s3cret"})
FLANNEL = daemon("kube-flannel/kube-flannel-ds", {"app": "flannel"})


class Live:
    """A live cluster: its lists, its settings, and what a probe meets."""

    def __init__(self) -> None:
        self.shelf = Shelf(CLUSTER)
        self.probed = Miniature()

    def __call__(self, asked: Asked) -> Reply:
        """One request."""
        if asked.path == "/version":
            return Reply(body={"gitVersion": "v1.31.2"})
        if asked.path.endswith("/configmaps/cilium-config"):
            return Reply(body=CILIUM)
        if "/namespaces/outgate-probe-" in asked.path or asked.method != "GET":
            return self.probed(asked)
        return self.shelf(asked)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """A live cluster, and a kubeconfig that leads to it; time passes only by waiting."""
    clock = Clock()
    monkeypatch.setattr("time.sleep", clock.wait)
    monkeypatch.setattr("time.monotonic", clock)
    cluster = Live()
    with ApiServer(cluster) as server:
        (tmp_path / "kubeconfig").write_text(
            f"kind: Config\ncurrent-context: dev\nclusters: [{{name: c, cluster: {{server: '{server.url}'}}}}]\n"
            "contexts: [{name: dev, context: {cluster: c}}]\n"
        )
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield cluster


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The code, the output and the notes of a command."""
    code = main(["doctor", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def saved(folder: Path, *manifests: Manifest) -> str:
    """A file with these objects."""
    path = folder / "cluster.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}))
    return str(path)


@pytest.mark.usefixtures("live")
def test_a_live_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    """All of it, with commands that ask the same cluster."""
    code, text, _ = run(capsys, "--context", "dev")
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == "ok         network         Cilium (DaemonSet kube-system/cilium), ready on 1 of 1 node"
    assert "yes, by Cilium (switched on)" in lines[1]
    assert any("server v1.31.2; kubelets v1.31.2 (1)" in line for line in lines)
    assert run(capsys, "-f", "cluster")[1] == text
    code, text, _ = run(capsys, "--context", "dev", "-o", "json")
    document = json.loads(text)
    assert complaints(document) == []
    assert (code, document["enforces"], document["networks"][0]["switch"]) == (0, "yes", "on")


@pytest.mark.usefixtures("live")
def test_a_saved_cluster_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the switches of its network, and without anything else that is beside them."""
    assert main(["snapshot", "--context", "dev"]) == 0
    text = capsys.readouterr().out
    assert "s3cret" not in text
    file = tmp_path / "saved.json"
    file.write_text(text)
    code, text, _ = run(capsys, "-f", str(file), "-o", "json")
    document = json.loads(text)
    assert (code, document["enforces"], document["networks"][0]["switch"]) == (0, "yes", "on")
    assert document["versions"] == {"server": None, "kubelets": {"v1.31.2": 1}, "kernels": {"6.1.0-13-amd64": 1}}


@pytest.mark.parametrize(
    ("manifests", "options", "code"),
    [
        ([FLANNEL], [], 1),
        ([FLANNEL], ["--fail-on", "wrong"], 1),
        (CLUSTER, [], 0),
        ([*CLUSTER, CILIUM], ["--fail-on", "wrong"], 0),
        ([*CLUSTER, CILIUM], ["--fail-on", "attention"], 0),
        ([*CLUSTER, CILIUM], ["--fail-on", "unknown"], 1),
        ([*CLUSTER, CILIUM, pod("open/x", [])], ["--fail-on", "attention"], 1),
        ([], [], 0),
    ],
)
def test_codes(
    tmp_path: Path, manifests: list[Manifest], options: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong fails; what is merely open, or not known, fails where it is asked to."""
    assert run(capsys, "-f", saved(tmp_path, *manifests), *options)[0] == code


def test_the_marks_of_help_are_those_of_the_analysis() -> None:
    """Written out, so that help loads no analysis."""
    assert {*FAIL_ON, "ok"} == {mark.value for mark in Mark}


def test_policies_that_are_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of files they are counted."""
    other = {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "metadata": {"name": "x"}}
    read = cilium_policy("shop/x", {"endpointSelector": {}, "egress": [{}]})
    text = run(capsys, "-f", saved(tmp_path, *CLUSTER, other, read))[1]
    assert "- NetworkPolicy of projectcalico.org/v3 (1)" in text
    assert "CiliumNetworkPolicy of" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no input"),
        (["-f", "x.yaml", "--probe", "--yes"], "--probe needs a live cluster"),
        (["--context", "dev", "--probe"], "nothing was made yet"),
        (["--context", "dev", "--yes"], "about --probe, which was not given"),
        (["--context", "dev", "--image", "x"], "about --probe, which was not given"),
        (["--context", "dev", "--patience", "5"], "about --probe, which was not given"),
        (["--context", "dev", "--probe", "--yes", "--patience", "0"], "--patience"),
        (["--probe", "--yes"], "no input"),
    ],
)
def test_what_does_not_fit_together(
    live: Live, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said before anything is done, and above all before anything is made."""
    code, text, notes = run(capsys, *arguments)
    assert (code, text) == (2, "")
    assert words in notes
    assert live.probed.writes == []


def test_the_rights_that_a_probe_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """For kubectl apply; no cluster is asked."""
    code, text, notes = run(capsys, "--show-rbac")
    assert (code, notes) == (0, "")
    assert "kind: ClusterRole\n" in text


PROBE = ["--context", "dev", "--probe", "--yes"]


def test_a_probe(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what it does as it goes, and what it has shown where people look first."""
    code, text, notes = run(capsys, *PROBE, "--image", "example/box:2")
    assert code == 0
    assert "ok         enforcement     NetworkPolicy: yes, a probe was cut off and let through again" in text
    assert "two pods of example/box:2" in notes
    assert "with egress denied the client no longer reaches the server: yes, after 0.0 s" in notes
    assert live.probed.objects == {}
    assert run(capsys, *PROBE, "-q")[2] == ""
    names = {one.split()[1] for one in live.probed.writes if one.startswith("DELETE") and one.count("/") == 1}
    assert len(names) == 2, "each probe has a namespace of its own"


def test_a_probe_that_gets_through(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever objects say."""
    live.probed = Miniature(())
    code, text, _ = run(capsys, *PROBE, "-o", "json")
    document = json.loads(text)
    assert complaints(document) == []
    assert (code, document["enforces"], document["probe"]["outcome"]) == (1, "yes", "not enforcing")
    assert live.probed.objects == {}


def test_a_probe_that_shows_nothing_is_no_answer(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither yes nor no; a script must not take it for either."""
    live.probed = Miniature(reachable=False)
    code, text, _ = run(capsys, *PROBE, "--patience", "3")
    assert code == 3
    assert "unknown    probe           the probe shows nothing: the positive control failed" in text
    assert live.probed.objects == {}


def test_what_could_not_be_removed_is_said_even_quietly(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """It is in somebody's cluster."""
    live.probed = Miniature(
        trouble=lambda asked: Reply(403, "no") if asked.method == "DELETE" and asked.path.count("/") == 4 else None
    )
    code, text, notes = run(capsys, *PROBE, "-q")
    assert code == 0
    assert notes.startswith("warning: namespace outgate-probe-")
    assert "next: kubectl --kubeconfig" not in text
    assert "next: kubectl --context dev delete namespace outgate-probe-" in text


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_leave_nothing_behind(
    live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: signal.Signals
) -> None:
    """Whoever ends it, what was made is removed; afterwards the signals mean what they meant.

    Who runs the tests in the background or under nohup has them ignored, and so would the command: not here.
    """
    usual = signal.default_int_handler if name is signal.SIGINT else signal.SIG_DFL
    before = signal.signal(name, usual)
    try:
        live.probed = Miniature(reachable=False)
        monkeypatch.setattr("time.sleep", lambda _: os.kill(os.getpid(), name))
        code, text, notes = run(capsys, *PROBE)
        assert signal.getsignal(name) is usual
    finally:
        signal.signal(name, before)
    assert (code, text) == (130, "")
    assert "is removed\ninterrupted\n" in notes
    assert live.probed.objects == {}


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_ignored_stays_ignored(
    live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: signal.Signals
) -> None:
    """As `nohup` asks for: the probe goes on to its end."""
    clock = Clock()

    def wait(seconds: float) -> None:
        os.kill(os.getpid(), name)
        clock.wait(seconds)

    monkeypatch.setattr("time.sleep", wait)
    monkeypatch.setattr("time.monotonic", clock)
    before = signal.signal(name, signal.SIG_IGN)
    try:
        live.probed = Miniature(reachable=False)
        code, text, notes = run(capsys, *PROBE)
        assert signal.getsignal(name) is signal.SIG_IGN
    finally:
        signal.signal(name, before)
    assert code != 130
    assert text
    assert "interrupted" not in notes
    assert live.probed.objects == {}


@pytest.mark.parametrize(
    ("filename", "kubeconfig", "asked"),
    [
        (["cluster:dev"], None, "--context dev"),
        (["cluster"], None, "-f cluster"),
        (["cluster:"], None, "-f cluster"),
        (["cluster:dev"], "k", "--kubeconfig k --context dev"),
        (["cluster:"], "k", "--kubeconfig k"),
        (["a b.yaml", "-"], None, "-f 'a b.yaml' -f -"),
    ],
)
def test_commands_ask_the_same_input(
    monkeypatch: pytest.MonkeyPatch, filename: list[str], kubeconfig: str | None, asked: str
) -> None:
    """As it can be typed again."""
    monkeypatch.setattr(verb, "chosen_kubeconfig", lambda: kubeconfig)
    assert verb._asked(filename) == asked
