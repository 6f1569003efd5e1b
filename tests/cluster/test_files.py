"""Files, folders and standard input; and for whatever lies there an answer, never a traceback."""

from __future__ import annotations

import copy
import gc
import io
import json
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outgate.cluster import Loaded, files, load
from outgate.cluster.files import documents_of, read_documents
from outgate.cluster.reading import Unreadable
from outgate.errors import InvalidInput
from outgate.model.parse import parse
from outgate.testing import random_cluster
from tests.cluster.texts import errors_of, value_of

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\n"
BROKEN = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: broken
spec:
  egress:
  - to:
    - {}
"""


def names(loaded: Loaded) -> list[str]:
    """The pods that were found."""
    return [pod.name for pod in loaded.snapshot.pods]


def write(folder: Path, **files: str) -> None:
    """Files by name, with two underscores for a slash and one for a dot."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_folder_stands_for_all_below_it(tmp_path: Path) -> None:
    """By name and in the order of names; what is hidden, or is no manifest by its name, is left alone."""
    write(tmp_path, b_yml=POD.replace("NAME", "b"), a_yaml=POD.replace("NAME", "a"), readme_md="# no: [")
    write(tmp_path, sub__c_json='{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}}')
    write(tmp_path, _git__d_yaml=POD.replace("NAME", "d"), _hidden_yaml=POD.replace("NAME", "e"))
    loaded = load([str(tmp_path)])
    assert names(loaded) == ["a", "b", "c"]
    assert loaded.snapshot.pods[2].place.file == str(tmp_path / "sub" / "c.json")
    assert (loaded.objects, loaded.errors) == (3, ())


def test_a_file_is_read_under_the_name_that_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors name the file as the user did; a file that is named needs no special ending; each is read once."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, manifests=BROKEN)
    loaded = load(["manifests", "manifests"])
    assert [str(error) for error in loaded.errors] == [
        "manifests:8: spec.egress[0].to[0]: Required value: must specify a peer"
    ]
    assert loaded.objects == 1


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash is standard input, and its errors are named by the dash."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BROKEN.encode())))
    loaded = load(["-", "-"])
    assert [(error.file, error.line) for error in loaded.errors] == [("-", 8)]


def test_what_cannot_be_opened_is_all_told_at_once(tmp_path: Path) -> None:
    """The caller's mistakes stop everything, and three of them are three lines."""
    write(tmp_path, empty__notes_txt="")
    missing = [str(tmp_path / "no.yaml"), str(tmp_path / "empty"), "a\0b"]
    with pytest.raises(InvalidInput) as caught:
        load([*missing, str(tmp_path / "empty" / "notes.txt")])
    assert [(error.file, error.message[:25]) for error in caught.value.errors] == [
        (missing[1], "this folder has no file t"),
        (missing[0], "cannot be read: no such f"),
        ("a\\0b", "cannot be read: this is n"),
    ]
    assert caught.value.hint


@pytest.fixture
def nobody() -> Iterator[None]:
    """The rights of an ordinary user, for as long as a test runs: root may read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.mark.usefixtures("nobody")
def test_a_file_without_permission() -> None:
    """A file and a folder that may not be read are told, not passed over."""
    with TemporaryDirectory() as name:
        (Path(name) / "sub").mkdir()
        write(Path(name), a_yaml=POD, sub__b_yaml=POD)
        (Path(name) / "a.yaml").chmod(0)
        (Path(name) / "sub").chmod(0)
        with pytest.raises(InvalidInput) as caught:
            load([name])
        (Path(name) / "sub").chmod(0o700)
    assert [(error.file, error.message) for error in caught.value.errors] == [
        (f"{name}/sub", "cannot be read: permission denied"),
        (f"{name}/a.yaml", "cannot be read: permission denied"),
    ]


def test_a_pipe_is_read_and_one_that_lies_about_is_not(tmp_path: Path) -> None:
    """`-f <(helm template .)` is a pipe; a pipe in a folder would be waited on for ever."""
    os.mkfifo(tmp_path / "pipe.yaml")
    write(tmp_path, a_yaml=POD.replace("NAME", "a"))
    assert names(load([str(tmp_path)])) == ["a"]
    text = POD.replace("NAME", "piped")
    writer = threading.Thread(target=(tmp_path / "pipe.yaml").write_text, args=(text,))
    writer.start()
    assert names(load([str(tmp_path / "pipe.yaml")])) == ["piped"]
    writer.join()


def test_strict_raises_all_errors(tmp_path: Path) -> None:
    """With strict, one refused object is a failure, and the failure tells of all of them."""
    write(tmp_path, a_yaml=BROKEN + "---\n[\n---\n" + BROKEN.replace("broken", "other"))
    with pytest.raises(InvalidInput) as caught:
        load([str(tmp_path)], strict=True)
    assert [error.line for error in caught.value.errors] == [8, 10, 19]
    lenient = load([str(tmp_path)])
    assert lenient.errors == caught.value.errors
    assert [str(one) for one in lenient.refused] == ["NetworkPolicy default/broken", "NetworkPolicy default/other"]
    assert [error.line for error in lenient.unreadable] == [10]


def test_errors_come_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    """Whoever mends a folder goes through it from top to bottom; one object's errors stay in the server's order."""
    two = BROKEN.replace("  - to:\n    - {}\n", "  - to:\n    - {}\n    ports:\n    - port: 0\n")
    write(tmp_path, b_yaml="[", a_yaml="---\n- 1\n---\n" + two + "---\n{\n")
    found = load([str(tmp_path / "b.yaml"), str(tmp_path)]).errors
    assert [(Path(error.file).name, error.line) for error in found] == [
        ("b.yaml", 1), ("a.yaml", 2), ("a.yaml", 13), ("a.yaml", 11), ("a.yaml", 15),
    ]  # fmt: skip


def test_the_namespace_of_objects_that_name_none(tmp_path: Path) -> None:
    """As kubectl -n does it."""
    write(tmp_path, a_yaml=POD.replace("NAME", "a"))
    assert load([str(tmp_path)]).snapshot.pods[0].namespace == "default"
    assert load([str(tmp_path)], namespace="shop").snapshot.pods[0].namespace == "shop"


def test_stored_objects_may_be_sloppy(tmp_path: Path) -> None:
    """A saved snapshot of a live cluster holds what older servers let in."""
    write(tmp_path, a_yaml=BROKEN.replace("- {}", "- ipBlock: {cidr: 010.0.0.1/8}"))
    assert load([str(tmp_path)]).errors
    assert not load([str(tmp_path)], stored=True).errors


def test_the_collector_is_left_as_it_was(tmp_path: Path) -> None:
    """Loading switches the garbage collector off for speed, and on again whatever happens."""
    write(tmp_path, a_yaml=POD)
    assert gc.isenabled()
    load([str(tmp_path)])
    assert gc.isenabled()
    gc.disable()
    try:
        load([str(tmp_path)])
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_with_a_mark(encoding: str) -> None:
    """Editors on other systems write a byte-order mark, which is no part of the first key."""
    mark = "\ufeff" if encoding.endswith("e") else ""
    assert value_of((mark + "name: zürich\n").encode(encoding)) == {"name": "zürich"}


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("a: b\n".encode("utf-16-le"), 1),
        (b"\xff\xfea\0:", 1),
        (b"a: 1\nb: \xe4\n", 2),
        (b"\x7fELF\x02\x01\x01\0\0", 1),
        (b"\x89PNG\r\n\x1a\n\0\0\0", 1),
        (b"\x1f\x8b\x08\0", 1),
    ],
)
def test_files_that_are_no_text(data: bytes, line: int) -> None:
    """An image that was named manifest.yaml is answered with a line."""
    (error,) = errors_of(data)
    assert error.startswith(f"input.yaml:{line}: ")


def test_one_bad_byte_leaves_the_other_documents() -> None:
    """An umlaut of another century in one document is no reason to drop the rest."""
    unreadable = Unreadable()
    found = list(documents_of(b"a: 1\n---\nb: \xe4\n---\nc: 3\n", "f", unreadable))
    assert [document.value for document in found] == [{"a": 1}, {"c": 3}]
    assert [error.line for error in unreadable.errors] == [3]


def test_a_large_file_is_read(tmp_path: Path) -> None:
    """Fifty megabytes of something that is not for us are counted, not choked on."""
    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata:\n  x: |\n"
        + ("    " + "y" * 1000 + "\n") * 50_000
    )
    write(tmp_path, big_yaml=text + "---\n" + POD.replace("NAME", "a"))
    loaded = load([str(tmp_path)])
    assert (names(loaded), loaded.skipped) == (["a"], {"v1/ConfigMap": 1})


JUNK: list[object] = [
    None,
    "",
    "-",
    "a.b",
    "10.1.0.1",
    "010.1.0.1",
    "True",
    "kind",
    True,
    [],
    {},
    {"x": 1},
    0,
    70000,
    1.5,
]


@given(st.integers(0, 1 << 32), st.booleans(), st.sampled_from([None, 1]))
def test_the_quick_way_through_json_changes_nothing(seed: int, stored: bool, indent: int | None) -> None:
    """A cluster with some values spoilt is the same, with or without types, and so is every error with its line."""
    dice = random.Random(seed)
    items: list[Any] = random_cluster(seed)
    for _ in range(dice.randrange(4)):
        here: Any = items
        while True:
            step = dice.choice(list(here) if isinstance(here, dict) else range(len(here)))
            if not isinstance(here[step], dict | list) or not here[step] or dice.random() < 0.1:
                here[step] = copy.deepcopy(dice.choice(JUNK))
                break
            here = here[step]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*items, *items[:1]]}, indent=indent).encode()
    results = []
    for read in (files._objects_of, documents_of):
        unreadable = Unreadable()
        parsed = parse(read(text, "x.json", unreadable), stored=stored)
        places = [one.place.line for one in parsed.snapshot.pods]
        places += [one.place.line for one in parsed.snapshot.policies]
        results.append((parsed, places, unreadable))
    assert results[0] == results[1]


PIECES = st.sampled_from(
    [
        "a: 1\n", "---\n", "--- ", "...\n", "{", "}", "[", "]", ": ", "- ", "\t", "&a ", "*a ", "<<: ", "!!int ", "|\n",
        "'",
        "kind: Pod\n", "apiVersion: v1\n", "metadata: {name: x}\n", "items:\n", "kind: List\n", "\ufeff", "\0", "%",
        "?", "\r", '"',
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=14).map(lambda parts: "".join(parts).encode("utf-8", "replace"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.binary(max_size=80) | TEXTS, st.sampled_from(["x.yaml", "x.json", "x"]))
def test_any_file_is_answered(tmp_path: Path, data: bytes, name: str) -> None:
    """Whatever the bytes of a file, there are objects and located errors, and no traceback."""
    path = tmp_path / name
    path.write_bytes(data)
    loaded = load([str(path)])
    for error in (*loaded.errors, *loaded.warnings):
        assert error.file == str(path)
        assert error.line >= 1
        assert error.message


def test_documents_of_any_kind_are_read_whole(tmp_path: Path) -> None:
    """A reader that leaves out what manifests do not need would leave out all that other files are for."""
    for name, text in (
        ("a.json", '{"apiVersion": "outgate.dev/v1", "kind": "Other", "deep": {"list": [1]}, "deep": {"list": [2]}}'),
        ("b.yaml", "apiVersion: outgate.dev/v1\nkind: Other\ndeep: {list: [1]}\ndeep: {list: [2]}\n"),
    ):
        (tmp_path / name).write_text(text)
        (found,) = read_documents([str(tmp_path / name)])
        assert found.value == {"apiVersion": "outgate.dev/v1", "kind": "Other", "deep": {"list": [2]}}
        assert next(iter(found.repeated)) == ("deep",)


def test_files_that_are_no_manifests_must_be_readable(tmp_path: Path) -> None:
    """All that is wrong at once, as everywhere."""
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(InvalidInput) as caught:
        read_documents([str(tmp_path)])
    assert [Path(one.file).name for one in caught.value.errors] == ["a.yaml", "b.json"]
