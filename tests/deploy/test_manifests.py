"""Chart, base and install.yaml: valid to Kubernetes and to Outgate itself, and the same thing three times."""

from __future__ import annotations

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # it ships no types
import pytest
import yaml

from outgate.cli.main import main
from tests.deploy.chart import CASES, Release, rendered
from tests.house.sources import ROOT

KUSTOMIZE = ROOT / "deploy" / "kustomize"

# The oldest that Chart.yaml takes, and the newest that the tests of the API were recorded from.
VERSIONS = ("1.27", "1.36")

# Kinds of others, whose schemas Kubernetes does not have: the Prometheus operator's.
FOREIGN = {"monitoring.coreos.com/v1"}


def objects(path: Path) -> list[dict[str, Any]]:
    """The objects of a file."""
    return [item for item in yaml.safe_load_all(path.read_text(encoding="utf-8")) if item]


def resources(folder: str) -> list[Path]:
    """What a kustomization is made of."""
    kustomization = yaml.safe_load((KUSTOMIZE / folder / "kustomization.yaml").read_text(encoding="utf-8"))
    return [KUSTOMIZE / folder / name for name in kustomization["resources"]]


def by_name(items: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Objects by what tells them apart, without what only Helm writes, and lists of variables in no order."""
    found = {}
    for item in copy.deepcopy(items):
        templates = [item, item.get("spec", {}).get("template", {})]
        for template in templates:
            labels = template.get("metadata", {}).get("labels", {})
            for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
                labels.pop(label, None)
        # Of what runs side by side, and of what runs first here, nothing needs the other; kustomize has its own order.
        pod = item.get("spec", {}).get("template", {}).get("spec", {})
        for listed in ("containers", "initContainers", "volumes"):
            pod.get(listed, []).sort(key=lambda one: one["name"])
        for container in pod.get("containers", []):
            container.get("env", []).sort(key=lambda variable: variable["name"])
            container.get("volumeMounts", []).sort(key=lambda mount: mount["mountPath"])
        found[item["kind"], item["metadata"]["name"]] = item
    assert len(found) == len(items)
    return found


def installed(release: Release) -> dict[tuple[str, str], dict[str, Any]]:
    """What a chart installs, which is all but its test."""
    hooks = [item for item in release.objects if "helm.sh/hook" in item["metadata"].get("annotations", {})]
    assert {item["metadata"]["annotations"]["helm.sh/hook"] for item in hooks} <= {"test"}
    return by_name([item for item in release.objects if item not in hooks])


def built(folder: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What kustomize makes of a folder, without the namespace, which is no affair of a chart."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl, for its kustomize")
    done = subprocess.run(
        [kubectl, "kustomize", str(KUSTOMIZE / folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = by_name([item for item in yaml.safe_load_all(done.stdout) if item])
    assert found.pop(("Namespace", "outgate-system"))
    return found


def complaint(item: dict[str, Any], version: str) -> str:
    """What the API's schema says against an object; empty where nothing. An unknown field counts."""
    try:
        kubernetes_validate.validate(item, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error.message)
    return ""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_the_chart_fits_the_schemas(case: str, version: str) -> None:
    """A field in the wrong place is dropped by the API server, at best with a warning."""
    checked = [item for item in rendered(case).objects if item["apiVersion"] not in FOREIGN]
    assert [(item["kind"], words) for item in checked if (words := complaint(item, version))] == []
    assert {"DaemonSet"} <= {item["kind"] for item in checked}


@pytest.mark.parametrize("version", VERSIONS)
def test_plain_manifests_fit_the_schemas(version: str) -> None:
    """The same for what is installed without Helm."""
    assert [words for item in objects(KUSTOMIZE / "install.yaml") if (words := complaint(item, version))] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_find_something(version: str) -> None:
    """If they took everything, the tests above would be worth nothing."""
    good = next(item for item in objects(KUSTOMIZE / "install.yaml") if item["kind"] == "DaemonSet")
    misplaced, mistyped = copy.deepcopy(good), copy.deepcopy(good)
    misplaced["spec"]["template"]["spec"]["capabilities"] = {"drop": ["ALL"]}
    mistyped["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = True
    assert [bool(complaint(item, version)) for item in (good, misplaced, mistyped)] == [False, True, True]


@pytest.mark.parametrize("case", CASES)
def test_outgate_has_nothing_to_say(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever sells a lint has to pass it."""
    manifest = tmp_path / "rendered.yaml"
    manifest.write_text("---\n".join(text for name, text in rendered(case).files.items() if name.endswith(".yaml")))
    assert main(["lint", "-f", str(manifest), "--fail-on", "info"]) == 0, capsys.readouterr().out
    assert main(["validate", "-f", str(manifest)]) == 0, capsys.readouterr().out


def test_the_base_is_the_chart_without_values() -> None:
    """Who reads install.yaml must not get another agent than who uses Helm."""
    base = by_name([item for path in resources("base") for item in objects(path)])
    namespace = base.pop(("Namespace", "outgate-system"))
    assert base == installed(rendered("default"))
    # Host network and host paths are for privileged namespaces (Pod Security Standards, Baseline).
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"


def test_install_yaml_is_up_to_date() -> None:
    """`make manifests` writes it."""
    script = ROOT / "scripts" / "install-manifest.sh"
    made = subprocess.run([str(script)], capture_output=True, text=True, check=True, timeout=60).stdout
    assert (KUSTOMIZE / "install.yaml").read_text(encoding="utf-8") == made
    joined = [item for path in resources("base") for item in objects(path)]
    assert objects(KUSTOMIZE / "install.yaml") == joined


@pytest.mark.parametrize(
    ("folder", "case"),
    [("base", "default"), ("enforce", "enforce"), ("remove", "remove"), ("names", "names"), ("http", "http")],
)
def test_kustomize_makes_what_helm_makes(folder: str, case: str) -> None:
    """Patches go by names of containers and variables: a name that changes in the base would make them miss."""
    assert built(folder) == installed(rendered(case))
