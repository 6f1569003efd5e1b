"""Reading the input of a verb: what is set apart is said, and how much of it."""

from __future__ import annotations

import io
import ipaddress
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgate.cli.inputs import MOST_LINES, dns_names, read_input, read_side, say_if_empty
from outgate.cli.main import main
from outgate.cluster import Loaded
from outgate.errors import ClusterError, InvalidInput, UsageError
from outgate.testing import namespace, pod, snapshot_of
from tests.cluster.apiserver import ApiServer, Shelf, status

GOOD = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"
BAD = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: broken, namespace: a}
spec: {podSelector: {}, egress: [{to: [{ipBlock: {cidr: nonsense}}]}]}
"""


@pytest.fixture
def manifests(tmp_path: Path) -> str:
    """One good object and one that the API server would refuse."""
    file = tmp_path / "a.yaml"
    file.write_text(f"{GOOD}---\n{BAD}")
    return str(file)


def test_a_refused_object_is_set_apart_and_said(manifests: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An answer that silently leaves out a policy is another answer."""
    loaded = read_input([manifests], namespace=None, strict=False)
    words = capsys.readouterr()
    assert words.out == ""
    assert f"set apart: {manifests}:8: spec.egress[0].to[0].ipBlock.cidr" in words.err
    assert "1 object was refused and is not part of the answer" in words.err
    assert list(loaded.snapshot.namespaces) == ["a"]
    assert loaded.snapshot.policies == ()


def test_quiet_still_says_that_something_is_missing(manifests: str, capsys: pytest.CaptureFixture[str]) -> None:
    """-q is about noise; that a policy is not part of the answer is none."""
    read_input([manifests], namespace=None, strict=False, quiet=True)
    assert capsys.readouterr().err == "note: 1 object was refused and is not part of the answer; see outgate validate\n"


def test_strict_fails(manifests: str) -> None:
    """With --strict a broken policy stops the work."""
    with pytest.raises(InvalidInput) as caught:
        read_input([manifests], namespace=None, strict=True)
    assert [error.line for error in caught.value.errors] == [8]


def test_many_errors_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand lines of errors hide the answer; the number of them does not."""
    file = tmp_path / "many.yaml"
    good = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n"
    bad = (BAD.replace("broken", f"broken-{n}") for n in range(MOST_LINES + 5))
    file.write_text("---\n".join((good, *bad)))
    read_input([str(file)], namespace=None, strict=False)
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("set apart:") for line in lines) == MOST_LINES
    assert f"{MOST_LINES + 5} objects were refused" in lines[-1]
    assert "and 5 more errors" in lines[-1]


@pytest.mark.parametrize("text", [BAD, "just words\n", "a: [\n", BAD + "---\n{apiVersion: v1, kind: Secret}\n"])
def test_input_of_which_nothing_can_be_used(tmp_path: Path, text: str) -> None:
    """The rest is nothing, and an answer about nothing ("no connection is allowed") sounds like good news."""
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=r"wrong\.yaml:\d") as caught:
        read_input([str(file)], namespace=None, strict=False)
    assert "nothing else is in the input" in caught.value.hint


def test_no_input_is_a_usage_error() -> None:
    """Without -f there is no cluster to answer for; an empty one would allow everything."""
    with pytest.raises(UsageError, match="no input") as caught:
        read_input([], namespace=None, strict=False)
    for way in ("-f FILE", "git:REV:PATH", "--context"):
        assert way in caught.value.hint


def test_dns_names() -> None:
    """A name may have several addresses, of both families."""
    found = dns_names(["a.example=10.0.0.1", "A.Example.=2001:db8::1", "b=10.0.0.2"])
    assert found == {
        "a.example": (ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("2001:db8::1")),
        "b": (ipaddress.ip_address("10.0.0.2"),),
    }


@pytest.mark.parametrize("text", ["", "=", "a", "a=", "=10.0.0.1", "a=b", "a=10.0.0.0/8", "a=10.0.0.256"])
def test_what_is_no_name_and_address_is_refused(text: str) -> None:
    """A name that is silently dropped would be asked for again in an error that blames the input."""
    with pytest.raises(UsageError, match="NAME=ADDRESS"):
        dns_names([text])


def test_names_that_dns_does_not_have_are_all_said() -> None:
    """Each would never be asked for, and the answer would be about another name."""
    texts = {
        "apí.example.com=1.2.3.4": "DNS has this name in ASCII alone, as xn--ap-oja.example.com",
        "*.example.com=1.2.3.4": "a pattern stands for many names; write one of them",
        "a..b=1.2.3.4": "this is no name of DNS: labels of letters, digits, - and _, with one dot between them",
        "10.0.0.1=1.2.3.4": "this is no name, but an address",
        "a.b=fe80::1%eth0": "an answer of DNS has no zone; write the address alone",
        "a.b=::ffff:1.2.3.4": "packets go to the IPv4 address inside; write 1.2.3.4",
        "b": "write it NAME=ADDRESS, as in example.com=203.0.113.10",
    }
    with pytest.raises(UsageError) as caught:
        dns_names([*texts, "fine_1.example.com=1.2.3.4"])
    assert [str(one) for one in caught.value.errors] == [f"--dns-name {text}: {why}" for text, why in texts.items()]


def test_an_empty_input_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe whose left side failed gives nothing, and every name would seem to be misspelt."""
    file = tmp_path / "empty.yaml"
    file.write_text("---\n# Source: chart/templates/off.yaml\n")
    read_input([str(file)], namespace=None, strict=False)
    assert capsys.readouterr().err == "note: the input has no objects\n"


# ---- the doors -------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A live cluster with one pod, which is the current context `dev` of the kubeconfig."""
    with ApiServer(Shelf([namespace("shop"), pod("shop/web", ["10.1.0.10"], app="web")])) as one:
        config = tmp_path / "kubeconfig"
        config.write_text(
            "kind: Config\ncurrent-context: dev\n"
            f"clusters: [{{name: c, cluster: {{server: '{one.url}'}}}}]\n"
            "contexts: [{name: dev, context: {cluster: c}}, {name: other, context: {cluster: c, user: u}}]\n"
            "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin}}}]\n"
        )
        monkeypatch.setenv("KUBECONFIG", str(config))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        monkeypatch.chdir(tmp_path)
        yield one


def pods(loaded: Loaded) -> list[str]:
    """The pods, each with its place."""
    return [f"{one} {one.place}" for one in loaded.snapshot.pods]


def read(*texts: str) -> Loaded:
    """What these inputs hold."""
    return read_input(texts, namespace=None, strict=False)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("text", ["cluster", "cluster:", "cluster:dev"])
def test_a_live_cluster(text: str) -> None:
    """The place says which cluster answered, also where nobody named it."""
    assert pods(read(text)) == ["shop/web cluster:dev/pods/shop/web"]


def test_a_credential_plugin_is_run(server: ApiServer, tmp_path: Path) -> None:
    """By the one place that starts processes, with what it needs to know."""
    plugin = tmp_path / "plugin"
    plugin.write_text(
        '#!/bin/sh\ncase "$KUBERNETES_EXEC_INFO" in *ExecCredential*) ;; *) exit 9;; esac\n'
        'echo \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",\'\n'
        'echo \'"status": {"token": "t"}}\'\n'
    )
    plugin.chmod(0o755)
    read("cluster:other")
    assert {one.headers.get("Authorization") for one in server.asked} == {"Bearer t"}
    plugin.write_text("#!/bin/sh\necho 'log in first' >&2\nexit 3\n")
    with pytest.raises(ClusterError, match="failed with code 3: log in first"):
        read("cluster:other")
    plugin.unlink()
    with pytest.raises(ClusterError, match="the credential plugin could not be run"):
        read("cluster:other")


def test_what_a_cluster_does_not_give_is_said(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    """With -q too: the answer is another one without it."""
    shelf = server.answer
    server.answer = lambda asked: status(403, "Forbidden", "no") if asked.path.endswith("/nodes") else shelf(asked)
    read_input(["cluster"], namespace=None, strict=False, quiet=True)
    assert "note: cluster:dev does not let these credentials list nodes" in capsys.readouterr().err


@pytest.mark.usefixtures("server")
def test_files_replace_what_the_cluster_has(tmp_path: Path) -> None:
    """The cluster as it would be with them."""
    (tmp_path / "new.yaml").write_text("kind: Pod\napiVersion: v1\nmetadata: {name: web, namespace: shop}\n")
    assert pods(read("cluster:dev", "new.yaml")) == ["shop/web new.yaml:1"]


@pytest.mark.usefixtures("server")
def test_a_folder_that_is_called_cluster(tmp_path: Path) -> None:
    """Many repositories have one, and nobody who means it may be sent to the live one, or the other way round."""
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "a.yaml").write_text(GOOD)
    with pytest.raises(UsageError, match="may mean") as caught:
        read("cluster")
    assert "./cluster" in caught.value.hint
    assert pods(read("./cluster")) == []
    assert pods(read("cluster:")) == ["shop/web cluster:dev/pods/shop/web"]


@pytest.mark.usefixtures("server")
def test_one_cluster_at_a_time() -> None:
    """Two of them have the same names and addresses for different things."""
    with pytest.raises(UsageError, match="one live cluster at most"):
        read("cluster:dev", "cluster:other")
    assert len(pods(read("cluster:dev", "cluster:dev"))) == 1


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a pod that has been renamed since the first commit."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    monkeypatch.delenv("GIT_DIR", raising=False)
    folder = tmp_path / "repository"
    (folder / "k8s").mkdir(parents=True)
    commands = [["init", "-q"]]
    for name in ("old", "new"):
        (folder / "k8s" / "a.yaml").write_text(f"---\nkind: Pod\napiVersion: v1\nmetadata: {{name: {name}}}\n")
        if name == "new":
            (folder / "k8s" / "b.yaml").symlink_to("a.yaml")
        for words in (*commands, ["add", "."], [*IDENTITY, "commit", "-q", "-m", "x"]):
            subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
        commands = []
    monkeypatch.chdir(folder)
    return folder


IDENTITY = ["-c", "user.name=A", "-c", "user.email=a@example.com"]


@pytest.mark.usefixtures("repository")
def test_a_git_revision(capsys: pytest.CaptureFixture[str]) -> None:
    """A file or a folder, with lines that can be looked up by `git show`; links are said."""
    assert pods(read("git:HEAD~1:k8s/a.yaml")) == ["default/old git:HEAD~1:k8s/a.yaml:2"]
    assert capsys.readouterr().err == ""
    assert pods(read("git:HEAD:k8s/")) == ["default/new git:HEAD:k8s/a.yaml:2"]
    assert "git:HEAD:k8s/b.yaml is not read: it is a symbolic link" in capsys.readouterr().err


@pytest.mark.usefixtures("repository", "server")
def test_one_side(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    """What `outgate diff` compares: each of the doors, as one word."""

    def side(text: str) -> list[str]:
        return [str(one) for one in read_side(text, namespace="shop", strict=False).snapshot.pods]

    monkeypatch.chdir(repository)
    assert side("git:HEAD~1:k8s") == ["shop/old"]
    assert side("k8s") == side("k8s/a.yaml") == ["shop/new"]
    assert side("cluster:dev") == side("cluster") == ["shop/web"]
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(b"kind: Pod\napiVersion: v1\nmetadata: {name: piped}"))
    )
    assert side("-") == ["shop/piped"]
    with pytest.raises(UsageError, match="an input is empty"):
        side("")
    with pytest.raises(InvalidInput, match="no such file"):
        side("gone")


def test_what_a_server_printed_is_read_as_it_reads_it(tmp_path: Path) -> None:
    """A policy that is in force must be part of the answer, whatever today's rules say of its block."""
    file = tmp_path / "saved.yaml"
    stored = BAD.replace("nonsense", "10.0.0.1/8").replace("name: broken", "name: broken, uid: u")
    file.write_text(stored)
    assert [str(one) for one in read(str(file)).snapshot.policies] == ["a/broken"]


def test_a_namespace_of_nobody_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """That nothing there is exposed, or allowed, is no praise."""
    snapshot = snapshot_of([namespace("a"), namespace("b"), pod("a/x")])
    say_if_empty(snapshot, "a")
    assert capsys.readouterr().err == ""
    say_if_empty(snapshot, "b")
    assert capsys.readouterr().err == "note: namespace b has no pods and no workloads in the input\n"


AUDITED = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, annotations: {outgate.dev/enforcement: MODE}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: main, image: example}]}
status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Egress, Ingress]}
"""


@pytest.mark.parametrize(
    ("verb", "code"),
    [("can-reach", 1), ("list", 0), ("exposure", 0), ("diff", 0)],
)
def test_what_is_only_watched_is_said_once_and_changes_no_answer(
    verb: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who reads "denied" and sees packets pass must know why; what other programs read stays as it is."""
    said = {}
    for mode in ("audit", "enforce"):
        file = tmp_path / mode / "all.yaml"
        file.parent.mkdir()
        file.write_text(AUDITED.replace("MODE", mode))
        argv = [verb, str(file), str(file)] if verb == "diff" else [verb, "-f", str(file)]
        argv += ["shop/web", "1.1.1.1:80"] if verb == "can-reach" else []
        for more in ([], ["-o", "json"]):
            assert main([*argv, *more]) == code
            taken = capsys.readouterr()
            said[mode, bool(more)] = taken.out.replace(str(file.parent), ""), taken.err
        assert main([*argv, "-q"]) == code
        assert "watches" not in capsys.readouterr().err
    for json in (False, True):
        (watched, note), (enforced, nothing) = said["audit", json], said["enforce", json]
        assert watched == enforced
        assert note.count("Outgate's agent only watches policy shop/deny (outgate.dev/enforcement: audit)") == 1
        assert "watches" not in nothing


def test_a_difference_says_which_side_is_watched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The change that ends a time of watching is no difference between policies, and worth a word."""
    for mode in ("audit", "enforce"):
        (tmp_path / f"{mode}.yaml").write_text(AUDITED.replace("MODE", mode))
    assert main(["diff", str(tmp_path / "audit.yaml"), str(tmp_path / "enforce.yaml")]) == 0
    notes = capsys.readouterr().err
    assert notes.count("watches") == notes.count("note: OLD: Outgate's agent only watches") == 1
