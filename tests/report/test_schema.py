"""The published schemas: that they can be read, refer to what is there, and fit what is printed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.assertions import read
from outgate.cli.main import main
from outgate.errors import InvalidInput
from outgate.model import Document
from outgate.testing import random_cluster
from tests.house.sources import ROOT
from tests.laws.assertions import random_assertion
from tests.report.schema import SCHEMAS, complaints, schema

KINDS = sorted(path.stem for path in SCHEMAS.glob("*.json"))


def parts(rule: Any) -> Iterator[dict[str, Any]]:
    """Every object in a schema."""
    if isinstance(rule, dict):
        yield rule
        for each in rule.values():
            yield from parts(each)
    elif isinstance(rule, list):
        for each in rule:
            yield from parts(each)


def test_the_kinds_of_the_design_are_there() -> None:
    """A document without a schema is one that other tools can only guess at."""
    wanted = {"ConnectionDiff", "ConnectionList", "ExposureReport", "LabReport", "Reachability", "TestReport"}
    assert wanted | {"ValidationReport"} <= set(KINDS)


def test_every_document_that_is_printed_has_one() -> None:
    """By its head in the source: the kind beside our own version."""
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")}
    heads = r'(?:API_VERSION|"outgate\.dev/v1"),\s*"kind": "(\w+)"|tag="(\w+)"'
    printed = {one or other for text in sources.values() for one, other in re.findall(heads, text)}
    assert {"NodePreflight", "AgentStatus", "ConnectionList", "TestReport"} <= printed, "or nothing was found"
    assert printed <= set(KINDS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"LintConfig", "LogLine"}])
def test_a_schema_is_about_its_kind(kind: str) -> None:
    """A file that describes another kind than its name says is found by nobody."""
    found = schema(kind)
    assert found["title"] == kind
    assert found["properties"]["kind"] == {"const": kind}
    assert found["properties"]["apiVersion"] == {"const": "outgate.dev/v1"}
    assert {"apiVersion", "kind"} <= set(found["required"]) <= set(found["properties"])


@pytest.mark.parametrize("kind", KINDS)
def test_references_lead_somewhere(kind: str) -> None:
    """A reference to nothing allows everything, in some validators, and nothing in others."""
    found = schema(kind)
    names = {rule["$ref"] for rule in parts(found) if isinstance(rule.get("$ref"), str)}
    assert names <= {f"#/$defs/{name}" for name in found.get("$defs", {})}
    assert {f"#/$defs/{name}" for name in found.get("$defs", {})} <= names


def test_validate_keeps_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `outgate validate` prints is what the schema says, with errors, warnings and kinds passed over."""
    file = tmp_path / "a.yaml"
    file.write_text(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: y}\nspec: {egress: 1}\n"
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\nkind: [\n"
    )
    assert main(["validate", "-f", str(file), "-o", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    assert document["errors"] != []


EXAMPLES = sorted(SCHEMAS.parents[1].glob("examples/tests/*.yaml")) + sorted(
    SCHEMAS.parents[1].glob("examples/flows/*.yaml")
)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_of_assertions_keep_to_theirs(path: Path) -> None:
    """An editor that knows the schema must not mark what the reader takes."""
    assert complaints(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def test_there_are_examples_of_both_kinds() -> None:
    """If none were found, the test above would pass on nothing."""
    assert {yaml.safe_load(path.read_text(encoding="utf-8"))["kind"] for path in EXAMPLES} == {
        "ReachabilityTest",
        "FlowList",
    }


@pytest.mark.parametrize(
    "entry",
    [
        {"from": "a/b", "allow": "c/d", "colour": "red"},
        {"allow": "c/d"},
        {"from": "a/b", "allow": [{"to": "c/d", "port": 1.5}]},
        {"from": {"labels": {"app": 1}}, "deny": "c/d"},
        {"from": {"pods": "web"}, "deny": "c/d"},
        {"from": [], "deny": "c/d"},
        "words",
    ],
    ids=str,
)
def test_the_schema_of_assertions_refuses_what_the_reader_refuses(entry: object) -> None:
    """A schema that takes everything helps nobody."""
    document = {"apiVersion": "outgate.dev/v1", "kind": "ReachabilityTest", "assertions": [entry]}
    assert complaints(document) != []
    with pytest.raises(InvalidInput):
        read([Document("tests.yaml", document)])


@given(st.integers(0, 2**32 - 1))
def test_the_schema_takes_what_the_reader_takes(seed: int) -> None:
    """Assertions of every sort."""
    written = random_assertion(random.Random(seed), random_cluster(seed))
    document = {"apiVersion": "outgate.dev/v1", "kind": "ReachabilityTest", "assertions": [written]}
    assert complaints(document) == []
    assert read([Document("tests.yaml", document)])


@pytest.mark.kernel
def test_lab_keeps_to_it(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What `outgate lab` prints is what the schema says."""
    examples = repository / "examples" / "recipes"
    assert main(["lab", "-f", str(examples), "-o", "json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert complaints(document) == []
    assert document["probes"] != []
