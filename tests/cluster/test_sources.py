"""What is no file: read in its turn among the files, under its own name."""

from __future__ import annotations

from pathlib import Path

from outgate.cluster import Objects, Source, Text, load
from outgate.model.place import Document
from outgate.testing import pod

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME, namespace: shop, labels: {from: FROM}}\n"


def text(name: str, source: str) -> bytes:
    """A pod that says where it is from."""
    return POD.replace("NAME", name).replace("FROM", source).encode()


def test_a_text_is_read_under_its_name() -> None:
    """As a file would be: JSON or YAML, with byte-order marks, its lines counted."""
    loaded = load([Text("git:HEAD:a.yaml", b"\n---\n" + text("a", "git")), Text("git:HEAD:b.json", b"{")])
    assert str(loaded.snapshot.pods[0].place) == "git:HEAD:a.yaml:3"
    assert [error.file for error in loaded.errors] == ["git:HEAD:b.json"]
    wide = load([Text("x", text("a", "git").decode().encode("utf-16"))])
    assert [one.name for one in wide.snapshot.pods] == ["a"]


def test_the_later_one_counts(tmp_path: Path) -> None:
    """In the order in which they were given, whatever they are: so a file can replace what a cluster has."""
    file = tmp_path / "a.yaml"
    file.write_bytes(text("web", "file"))
    live = pod("shop/web", [])
    live["metadata"]["labels"] = {"from": "cluster"}
    objects = Objects("cluster:x", [Document("cluster:x/pods/shop/web", live, stored=True)])
    orders: list[tuple[list[str | Source], str]] = [([objects, str(file)], "file"), ([str(file), objects], "cluster")]
    for order, winner in orders:
        loaded = load(order)
        assert [one.labels["from"] for one in loaded.snapshot.pods] == [winner]
        assert "is given again" in loaded.warnings[0].message
    assert "replaces the one at cluster:x/pods/shop/web" in load([objects, str(file)]).warnings[0].message


def test_each_is_read_once() -> None:
    """As a file that is named twice."""
    one = Text("git:HEAD:a.yaml", text("a", "git"))
    assert load([one, one]).warnings == ()


def test_errors_come_in_the_order_of_the_inputs(tmp_path: Path) -> None:
    """The objects of a cluster have no lines; the files keep theirs."""
    bad = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\nspec: {egress: [{to: [{}]}]}\n"
    file = tmp_path / "a.yaml"
    file.write_text(bad)
    value = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {"podIP": "none"}}
    documents = [Document(f"cluster:x/pods/default/{n}", {**value, "metadata": {"name": f"p{n}"}}) for n in range(2)]
    loaded = load([Text("git:HEAD:b.yaml", bad.encode()), str(file), Objects("cluster:x", documents)])
    assert [error.file for error in loaded.errors] == [
        "cluster:x/pods/default/0",
        "cluster:x/pods/default/1",
        "git:HEAD:b.yaml",
        str(file),
    ]
