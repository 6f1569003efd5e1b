"""The verb that saves: what it prints is input again, and answers as the cluster would have answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgate.cli.main import main
from outgate.cluster import load
from outgate.testing import namespace, node, pod, policy, service
from tests.cluster.apiserver import ApiServer, Shelf, status

CLUSTER = [
    namespace("shop"),
    node("node-a", ["192.168.50.11"]),
    pod("shop/web", ["10.1.0.10"], app="web"),
    pod("shop/db", ["10.1.0.11"], app="db"),
    service("shop/db", "10.96.0.10", [{"port": 5432}], app="db"),
    policy("shop/deny", {"podSelector": {}, "policyTypes": ["Egress"]}),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    """A live cluster, and a kubeconfig that leads to it."""
    with ApiServer(Shelf(CLUSTER)) as one:
        (tmp_path / "kubeconfig").write_text(
            f"kind: Config\nclusters: [{{name: c, cluster: {{server: '{one.url}'}}}}]\n"
            "contexts: [{name: dev, context: {cluster: c}}]\n"
        )
        yield one


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The code, the output and the notes of a command."""
    code = main(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.usefixtures("server")
def test_the_file_answers_as_the_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same words, except for the places; and no cluster is needed any more."""
    live = ("--kubeconfig", str(tmp_path / "kubeconfig"), "--context", "dev")
    code, text, notes = run(capsys, "snapshot", *live, "-v")
    assert (code, notes) == (0, "note: 6 objects saved, 0 of other kinds left out\n")
    file = tmp_path / "cluster.json"
    file.write_text(text)
    question = ("shop/web", "svc/shop/db:5432")
    code, answer, _ = run(capsys, "can-reach", *question, *live)
    assert code == 1
    assert "cluster:dev/networkpolicies/shop/deny\n" in answer
    code, again, _ = run(capsys, "can-reach", *question, "-f", str(file))
    assert code == 1
    assert again == answer.replace("cluster:dev/networkpolicies/shop/deny", f"{file}:7")
    assert run(capsys, "snapshot", "-f", str(file))[1] == text


def test_files_can_be_saved_too(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What Helm renders, in one file, for somebody who has no Helm."""
    folder = str(repository / "examples" / "recipes")
    code, text, _ = run(capsys, "snapshot", "-f", folder)
    assert code == 0
    assert json.loads(text)["kind"] == "List"
    assert len(text.splitlines()) == load([folder]).objects + 2


def test_what_is_refused_is_not_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And said; with --strict nothing is."""
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": [*CLUSTER, policy("shop/x", {"a": 1})]}))
    code, text, notes = run(capsys, "snapshot", "-f", str(file))
    assert (code, len(text.splitlines())) == (0, 8)
    assert "1 object was refused" in notes
    code, text, notes = run(capsys, "snapshot", "-f", str(file), "--strict")
    assert (code, text) == (2, "")


def test_a_cluster_that_refuses(server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3 and nothing on standard output: half a cluster in a file would be taken for the whole."""
    server.answer = lambda _: status(403, "Forbidden", "no")
    code, text, notes = run(capsys, "snapshot", "--kubeconfig", str(tmp_path / "kubeconfig"), "--context", "dev")
    assert (code, text) == (3, "")
    assert "may not list namespaces" in notes
    assert "auth can-i list namespaces" in notes


def test_without_input(capsys: pytest.CaptureFixture[str]) -> None:
    """No cluster is asked that nobody named."""
    code, text, notes = run(capsys, "snapshot")
    assert (code, text) == (2, "")
    assert "--context" in notes
