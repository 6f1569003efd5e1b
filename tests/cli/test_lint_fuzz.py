"""Broken and hostile files: never a traceback, never a hang; a located error, and the findings of the rest.

The corpus is what the checks document: each example is taken apart, and one place in it becomes something else.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outgate.checks import NAMES, load
from outgate.cli.lint_output import FORMATS
from outgate.cli.main import main
from tests.report.schema import complaints

CORPUS = [
    list(yaml.safe_load_all(load(name).documentation.sections[section]))
    for name in NAMES
    if name != "policy-too-large"
    for section in ("Example", "Fixed example")
]
STRANGE: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, "", "x", "-", "=1+1", "</script>", "\x1b[2J", "a\nb", "\u202e", "x" * 300),
        *(0, -1, 65536, 1e309, 2**70, True, [], {}, [[]], {"a": {"b": []}}, ["x", 1]),
        *("0.0.0.0/0", "::/0", "10.0.0.0/33", "kubernetes.io/metadata.name"),
    ]
)
GOOD = """\
apiVersion: v1
kind: Pod
metadata: {name: good, namespace: good}
spec: {containers: [{name: a, image: b}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: good, namespace: good}
spec: {podSelector: {matchLabels: {app: nobody}}}
"""
"""A policy that selects no pod is found whatever else there is; that nothing isolates the pod is not, where an example
is about all pods of the cluster."""


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [at]
    if isinstance(value, dict | list):
        steps = value.items() if isinstance(value, dict) else enumerate(value)
        for step, inner in steps:
            found += places(inner, (*at, step))
    return found


@st.composite
def broken(draw: st.DrawFn) -> str:
    """An example with one place that is something else, gone, or twice as deep."""
    documents: list[Any] = copy.deepcopy(draw(st.sampled_from(CORPUS)))
    at = draw(st.sampled_from([one for one in places(documents) if one]))
    parent: Any = documents
    for step in at[:-1]:
        parent = parent[step]
    match draw(st.sampled_from(["other", "gone", "deeper", "name"])):
        case "other":
            parent[at[-1]] = draw(STRANGE)
        case "gone":
            del parent[at[-1]]
        case "deeper":
            parent[at[-1]] = [parent[at[-1]]]
        case "name":
            if isinstance(parent, dict):
                parent[str(draw(STRANGE))] = parent.pop(at[-1])
    return yaml.safe_dump_all(documents, allow_unicode=True)


@given(text=broken(), form=st.sampled_from(FORMATS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_place_that_is_something_else(
    text: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code says which it was, the errors have places, and what is not broken is looked at."""
    file = tmp_path / "broken.yaml"
    file.write_text(text + "---\n" + GOOD, encoding="utf-8")
    code = main(["lint", "-f", str(file), "-o", form])
    said = capsys.readouterr()
    assert code in (0, 1, 2), said.err
    assert "Traceback" not in said.err
    if code == 2:
        assert f"{file}:" in said.err
    if form == "json" and said.out:
        document = json.loads(said.out)
        assert complaints(document) == []
        assert bool(document["errors"]) == (code == 2)
        assert any(one["object"]["name"] == "good" for one in document["findings"])
    assert "\x1b[2J" not in said.out.replace("\\u001b", "")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x01",
        b"\xff\xfe" + "kind: Pod".encode("utf-16-le"),
        b"a: &a [*a]\n",
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c]\n" % (c, c, *[c - 1] * 4) for c in range(98, 120)),
        b"[" * 100_000,
        b"{" * 100_000,
        b'{"kind":"List","items":[' + b"1," * 10_000 + b"1]}",
        b"- " * 5_000 + b"x",
        b"\t- x\n",
        b"a: {{ .Values.x }}\n",
    ],
    ids=range(11),
)
def test_texts_that_are_no_manifests(data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Binary, other encodings, bombs, depths, templates."""
    (tmp_path / "bad.yaml").write_bytes(data)
    (tmp_path / "good.yaml").write_text(GOOD, encoding="utf-8")
    code = main(["lint", "-f", str(tmp_path), "-o", "json"])
    said = capsys.readouterr()
    assert code in (0, 1, 2)
    assert any(one["object"]["name"] == "good" for one in json.loads(said.out)["findings"])
