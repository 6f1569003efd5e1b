"""Input at scale is the same every time, and nothing in it is refused: figures of a broken input mean nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml

from benchmarks.cluster import Shape
from benchmarks.manifests import main, manifests, write_json, write_yaml
from outgate.cluster import load

SMALL = Shape(pods=60, policies=40, namespaces=10, kinds=20, local=20)


def as_json(shape: Shape) -> bytes:
    """The JSON of a cluster."""
    file = io.BytesIO()
    write_json(manifests(shape, slices=True), file)
    return file.getvalue()


def test_one_seed_makes_one_text() -> None:
    """Figures are compared between runs, so the runs must read the same bytes; another seed makes others."""
    assert as_json(SMALL) == as_json(SMALL)
    assert as_json(SMALL) != as_json(Shape(pods=60, policies=40, namespaces=10, kinds=20, local=20, seed=8))


def test_json_is_printed_as_kubectl_prints_it() -> None:
    """Four blanks, keys in order, one List: the reader is measured on the text that it will meet."""
    text = as_json(SMALL).decode()
    assert text == json.dumps(json.loads(text), indent=4, sort_keys=True) + "\n"
    assert json.loads(text)["kind"] == "List"


def test_yaml_says_the_same_as_json() -> None:
    """What is written without a library is read by one."""
    file = io.BytesIO()
    write_yaml(manifests(SMALL, slices=True), file)
    assert list(yaml.safe_load_all(file.getvalue())) == json.loads(as_json(SMALL))["items"]


@pytest.mark.parametrize("options", [[], ["--slices"], ["--yaml"], ["--yaml", "--slices"]])
def test_all_of_it_is_read(tmp_path: Path, options: list[str]) -> None:
    """Not one error or warning, and as much of everything as was asked for."""
    file = tmp_path / ("all.yaml" if "--yaml" in options else "all.json")
    sizes = ["--pods", "60", "--policies", "40", "--namespaces", "10", "--kinds", "20"]
    assert main([*sizes, *options, str(file)]) == 0
    loaded = load([str(file)])
    assert (loaded.errors, loaded.warnings, loaded.skipped) == ((), (), {})
    snapshot = loaded.snapshot
    assert len(snapshot.pods) == 60 + 2
    assert {len(snapshot.pods), len(snapshot.policies), len(snapshot.namespaces)} == {62, 40, 11}
    assert not any(pod.assumed or not pod.addressed or not pod.ready for pod in snapshot.pods)
    assert {pod.owner.kind for pod in snapshot.pods if pod.owner} == {"Deployment"}
    assert "team-007" not in snapshot.policies_by_namespace
    assert len(snapshot.slices) == (20 if "--slices" in options else 0)


def test_a_folder_without_pods_has_deployments(tmp_path: Path) -> None:
    """What people keep in a folder: no pods, no ReplicaSets, no nodes."""
    file = tmp_path / "folder.yaml"
    sizes = ["--pods", "0", "--policies", "40", "--namespaces", "10", "--kinds", "20"]
    assert main([*sizes, "--yaml", str(file)]) == 0
    snapshot = load([str(file)]).snapshot
    assert all(pod.assumed for pod in snapshot.pods)
    assert {one.kind for one in snapshot.workloads} == {"Deployment"}
    assert len(snapshot.pods) == 20


def test_pods_are_as_large_as_pods_are() -> None:
    """A pod of a few hundred bytes would flatter every reader."""
    sizes = [len(json.dumps(one, indent=4)) for one in manifests(SMALL) if one["metadata"]["name"].startswith("app-")]
    assert max(sizes) > 2500
