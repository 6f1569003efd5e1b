"""The library: six lines that read a folder and assert something."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from pathlib import Path

import pytest

import outgate
from outgate import PROFILES, InvalidInput, can_reach, connections, diff, exposure, load
from outgate.errors import UnknownName


@pytest.fixture(scope="module")
def recipes() -> str:
    """The folder of the example cluster."""
    return str(Path(__file__).resolve().parents[1] / "examples" / "recipes")


def test_questions(recipes: str) -> None:
    """An answer is true or false, and knows why."""
    cluster = load(recipes)
    allowed = can_reach(cluster, "production/web-api", "production/postgres:5432")
    assert allowed
    assert allowed.egress.decided_by is not None
    assert allowed.egress.decided_by.name == "app-egress"
    assert not can_reach(cluster, "production/web-api", "169.254.169.254", port=80)
    names = {"api.example.com": [ipaddress.ip_address("203.0.113.9")]}
    assert can_reach(cluster, "production/web-api", "api.example.com", port=443, names=names)
    assert len(list(connections(cluster))) == 21


def test_two_clusters(recipes: str) -> None:
    """A comparison is true if anything differs, and an exposure names the worst first."""
    cluster = load(recipes)
    assert not diff(cluster, cluster)
    opened = diff(cluster, cluster.with_policies([]))
    assert opened
    assert opened.opens
    assert not opened.closes
    assert str(exposure(cluster).workloads[0].group) == "kube-system/coredns"
    assert sum(1 for _ in connections(cluster, PROFILES["cilium"])) > 0


def test_bad_input_is_an_exception_with_places(tmp_path: Path, recipes: str) -> None:
    """A library does not print; it raises, with every error and where it is."""
    with pytest.raises(InvalidInput):
        load()
    broken = tmp_path / "a.yaml"
    broken.write_text("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\nspec: {egress: 1}\n")
    with pytest.raises(InvalidInput) as caught:
        load(broken)
    assert [(one.file, one.line) for one in caught.value.errors] == [(str(broken), 4)]
    with pytest.raises(UnknownName):
        can_reach(load(recipes), "production/nobody", "1.1.1.1:443")


def test_every_public_name_is_there() -> None:
    """What is promised can be had, and nothing else."""
    assert {name for name in outgate.__all__ if not hasattr(outgate, name)} == set()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        outgate.nothing  # noqa: B018  # asking is the test


def test_importing_the_package_loads_no_library() -> None:
    """The command line answers `--help` at once because nothing is loaded that is not needed."""
    code = "import sys, outgate; sys.exit(any(name in sys.modules for name in ('yaml', 'msgspec', 'outgate.api')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_example_runs() -> None:
    """The script that the documentation shows."""
    script = Path(__file__).resolve().parents[1] / "examples" / "library" / "assertions.py"
    done = subprocess.run(
        [sys.executable, str(script)], cwd=script.parents[2], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
