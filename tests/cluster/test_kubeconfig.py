"""Kubeconfigs: merged as kubectl does, and what is wrong in one is said with its line and without its secrets."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster.kubeconfig import Entry, Kubeconfig, kubeconfig_files, read_kubeconfig
from outgate.errors import InvalidInput, UnknownName
from outgate.model.place import Document

EMPTY = Entry(Document("x", {}), (), {})
TEXT = """\
apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: dev
  cluster:
    server: https://192.0.2.1:6443
    certificate-authority: certs/ca.crt
users:
- name: me
  user: {token: s3cret}
contexts:
- name: dev
  context: {cluster: dev, user: me, namespace: shop}
"""


def written(path: Path, text: str) -> str:
    """A file with a text, and its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


@pytest.fixture
def config(tmp_path: Path) -> Kubeconfig:
    """The kubeconfig above."""
    return read_kubeconfig([written(tmp_path / "config", TEXT)])


def wrong(call: Any) -> str:
    """The one complaint."""
    with pytest.raises(InvalidInput) as caught:
        call()
    (error,) = caught.value.errors
    assert "s3cret" not in error.path + error.message
    return str(error)


def test_which_files() -> None:
    """The one that is named and no other; those of KUBECONFIG, empty names left out; the one at home."""
    assert kubeconfig_files("x", {"KUBECONFIG": "a:b", "HOME": "/somewhere"}) == ["x"]
    assert kubeconfig_files(None, {"KUBECONFIG": ":a::b:a", "HOME": "/somewhere"}) == ["a", "b"]
    assert kubeconfig_files(None, {"KUBECONFIG": "", "HOME": "/somewhere"}) == ["/somewhere/.kube/config"]
    assert kubeconfig_files(None, {}) == []


def test_a_context_leads_to_a_cluster_and_a_user(config: Kubeconfig) -> None:
    """By their names."""
    context = config.context("dev")
    cluster, user = config.referred(context, "cluster"), config.referred(context, "user")
    assert cluster is not None
    assert user is not None
    assert (config.current, cluster.text("server"), user.text("token")) == ("dev", "https://192.0.2.1:6443", "s3cret")
    assert config.referred(Entry(context.document, (), {}), "user") is None


def test_paths_begin_at_the_file(config: Kubeconfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not at the current folder: the same file works from everywhere."""
    monkeypatch.chdir("/")
    cluster = config.clusters["dev"]
    assert cluster.file("certificate-authority") == str(tmp_path / "certs" / "ca.crt")
    assert f"config:8: clusters[0].cluster.certificate-authority: {tmp_path}/certs/ca.crt cannot be read" in wrong(
        lambda: cluster.material("certificate-authority")
    )
    written(tmp_path / "certs" / "ca.crt", "PEM")
    assert cluster.material("certificate-authority") == b"PEM"
    monkeypatch.chdir(tmp_path)
    assert read_kubeconfig(["config"]).clusters["dev"].material("certificate-authority") == b"PEM"


def test_data_is_taken_before_the_file(config: Kubeconfig) -> None:
    """The rule: "CertificateAuthorityData [...] Overrides CertificateAuthority"."""
    entry = config.clusters["dev"]
    with_data = Entry(entry.document, entry.at, {**entry.values, "certificate-authority-data": "UEVN\nREFUQQ=="})
    assert with_data.material("certificate-authority") == b"PEMDATA"
    for bad in ("s3cret!", "UEV", "é"):
        broken = Entry(entry.document, entry.at, {"certificate-authority-data": bad})
        assert "this is not base64" in wrong(lambda broken=broken: broken.material("certificate-authority"))
    assert Entry(entry.document, entry.at, {}).material("client-key") is None


@given(st.binary(min_size=1))
def test_base64_gives_the_bytes(data: bytes) -> None:
    """Whatever they are."""
    entry = Entry(EMPTY.document, (), {"x-data": base64.b64encode(data).decode()})
    assert entry.material("x") == data


NAMES = st.sampled_from(["a", "b", "c"])
SECTION = st.lists(st.tuples(NAMES, st.text("xyz", max_size=2)), max_size=3)
FILES = st.lists(st.fixed_dictionaries({"clusters": SECTION, "current": st.sampled_from(["", "a", "b"])}), max_size=4)


def as_config(file: Mapping[str, Any]) -> str:
    """A kubeconfig in JSON, which is YAML."""
    clusters = [{"name": name, "cluster": {"server": server}} for name, server in file["clusters"]]
    return json.dumps({"kind": "Config", "current-context": file["current"], "clusters": clusters})


@given(FILES)
def test_the_first_to_say_something_wins(tmp_path_factory: pytest.TempPathFactory, files: list[dict[str, Any]]) -> None:
    """Against the obvious: go through all that is said, and keep what is new. What is missing is passed over."""
    folder = tmp_path_factory.mktemp("configs")
    paths = [written(folder / str(i), as_config(file)) for i, file in enumerate(files)]
    merged = read_kubeconfig([str(folder / "missing"), *paths])
    first: dict[str, str] = {}
    for file in files:
        for name, server in file["clusters"]:
            first.setdefault(name, server)
    assert {name: entry.text("server") for name, entry in merged.clusters.items()} == first
    assert merged.current == next((file["current"] for file in files if file["current"]), "")
    assert merged.files == tuple(paths)


def test_what_is_discarded_is_discarded_whole(tmp_path: Path) -> None:
    """The rule: "Even if the second file has non-conflicting entries under red-user, discard them"."""
    one = written(tmp_path / "1", "users: [{name: red-user, user: {username: a}}]")
    two = written(tmp_path / "2", "users: [{name: red-user, user: {password: b}}, {name: blue, user: {}}]")
    merged = read_kubeconfig([one, two])
    assert merged.users["red-user"].values == {"username": "a"}
    assert "blue" in merged.users


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    """With --kubeconfig; the others may be missing, but not unreadable."""
    missing = str(tmp_path / "missing")
    assert read_kubeconfig([missing]).files == ()
    assert "this kubeconfig cannot be read: no such file" in wrong(lambda: read_kubeconfig([missing], needed=True))
    assert "is a directory" in wrong(lambda: read_kubeconfig([str(tmp_path)]))
    assert "cannot be read" in wrong(lambda: read_kubeconfig(["a\0b"]))


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: [", ":1:", ""),
        ("- s3cret", ":1:", "no kubeconfig"),
        ("kind: Pod", ":1:", "no kubeconfig"),
        ("kind: Config\nclusters: s3cret", ":2: clusters:", "this must be a list"),
        ("kind: Config\nclusters:\n- s3cret", ":2: clusters:", "entry 0 must be a mapping"),
        ("kind: Config\nusers:\n- user: {}", ":3: users[0].name:", "needs a name"),
        ("kind: Config\nusers:\n- name: 5", ":3: users[0].name:", "must be a string"),
        ("kind: Config\nusers:\n- name: x\n  user: s3cret", ":4: users[0].user:", "must be a mapping"),
        ("kind: Config\ncurrent-context: 1", ":2: current-context:", "must be a string"),
    ],
)
def test_a_broken_file(tmp_path: Path, text: str, place: str, words: str) -> None:
    """With its line; a kubeconfig is written by many programs and mended by hand."""
    file = written(tmp_path / "config", text)
    said = wrong(lambda: read_kubeconfig([file]))
    assert said.startswith(file + place)
    assert words in said


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda entry: entry.text("field"), "must be a string"),
        (lambda entry: entry.flag("field"), "must be true or false"),
        (lambda entry: entry.texts("field"), "must be a list of strings"),
        (lambda entry: entry.several("field"), "must be a list"),
        (lambda entry: entry.inner("field"), "must be a mapping"),
    ],
)
def test_fields_of_the_wrong_type(read: Any, words: str) -> None:
    """Each is said in words, and an absent one is the zero value, as in Go."""
    assert words in wrong(lambda: read(Entry(EMPTY.document, (), {"field": 5})))
    assert not read(Entry(EMPTY.document, (), {"field": None}))
    assert not read(EMPTY)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    """As `kubectl config` leaves one."""
    assert read_kubeconfig([written(tmp_path / "a", ""), written(tmp_path / "b", "# none\n")]) == Kubeconfig()


def test_names_that_there_are_not(config: Kubeconfig, tmp_path: Path) -> None:
    """A mistyped context is answered with the near ones, a dangling reference with its line."""
    with pytest.raises(UnknownName, match=r"there is no context dve in .*config") as caught:
        config.context("dve")
    assert caught.value.hint == "the contexts are: dev"
    with pytest.raises(UnknownName, match="any kubeconfig") as caught:
        Kubeconfig().context("x")
    assert "no context at all" in caught.value.hint
    text = TEXT.replace("cluster: dev, user: me", "cluster: gone, user: other")
    dangling = read_kubeconfig([written(tmp_path / "dangling", text)])
    for section, name in (("cluster", "gone"), ("user", "other")):
        said = wrong(lambda section=section: dangling.referred(dangling.context("dev"), section))
        assert said == f"{tmp_path}/dangling:14: contexts[0].context.{section}: there is no {section} {name}"


def test_the_separator_is_that_of_the_system() -> None:
    """A colon here."""
    assert kubeconfig_files(None, {"KUBECONFIG": os.pathsep.join("ab")}) == ["a", "b"]
