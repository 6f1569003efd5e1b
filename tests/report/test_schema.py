"""The published schemas: that they can be read, refer to what is there, and fit what is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outgate.cli.main import main
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
    assert {"ConnectionDiff", "LabReport", "Reachability", "ValidationReport"} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
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


@pytest.mark.kernel
def test_lab_keeps_to_it(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What `outgate lab` prints is what the schema says."""
    examples = repository / "examples" / "recipes"
    assert main(["lab", "-f", str(examples), "-o", "json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert complaints(document) == []
    assert document["probes"] != []
