"""The image: every COPY has its source, every package its hash, and the steps make a command that runs.

No image can be built without a daemon and a registry, so the steps are looked at here and done as far as they go
without either; the end-to-end workflow builds the image itself.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from outgate import __version__
from tests.deploy.contract import NODE_FILES
from tests.house.sources import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


class Instruction(NamedTuple):
    """One instruction, its lines joined."""

    name: str
    text: str


def instructions() -> list[Instruction]:
    """The Dockerfile without comments."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    lines = [line for line in joined.splitlines() if line.strip()]
    return [Instruction(*line.split(maxsplit=1)) for line in lines]


def commands() -> Iterator[list[str]]:
    """Every command that a RUN calls."""
    for instruction in instructions():
        if instruction.name == "RUN":
            for command in instruction.text.split("&&"):
                yield shlex.split(command)


def sources() -> list[str]:
    """What is copied out of the repository."""
    copies = [shlex.split(one.text) for one in instructions() if one.name == "COPY"]
    return [name for words in copies if not words[0].startswith("--from=") for name in words[:-1]]


def ignored(name: str) -> bool:
    """What .dockerignore makes of a path: the last line that fits decides (docs of docker build, ".dockerignore")."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        parts = Path(name).parts
        whole = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
        if any(fnmatch.fnmatch(path, pattern.replace("**/", "*")) for path in whole):
            verdict = not line.startswith("!")
    return verdict


def locked(name: str) -> dict[str, str]:
    """The packages of a lock, with their versions."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))


def test_every_step_has_its_reason() -> None:
    """Each paragraph opens with a comment that says why it is there."""
    paragraphs = [paragraph for paragraph in re.split(r"\n\s*\n", DOCKERFILE) if paragraph.strip()]
    bare = {"WORKDIR /build"}
    assert [text for text in paragraphs if not text.startswith("#") and text not in bare] == []


@pytest.mark.parametrize("name", sources())
def test_sources_are_there_and_are_sent(name: str) -> None:
    """A source that .dockerignore keeps back fails in the build, which nobody can run on a train."""
    assert (ROOT / name).exists()
    assert not ignored(name)


def test_nothing_else_is_sent() -> None:
    """Keys, environments and history have no way into a layer."""
    assert [name for name in (".git", ".venv", ".env", "tests", "src/outgate/__pycache__") if not ignored(name)] == []
    wanted = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(wanted) == sorted(sources())


def test_only_hashed_wheels_are_installed() -> None:
    """Whatever pip takes from an index has a hash of ours; the rest it may not look for."""
    calls = [command for command in commands() if command[0].endswith("/pip")]
    assert len(calls) == 4
    for words in calls:
        options = set(words)
        if "-r" in options:
            assert {"--require-hashes", "--only-binary", ":all:"} <= options
        else:
            assert {"--no-index", "--no-deps"} <= options
        assert not {"--extra-" + "index-url", "--trusted-host", "-i"} & options


def test_the_end_image_has_no_tools_to_build_with() -> None:
    """Debian's python3 brings pip only with python3-venv, python3-pip or a compiler's recommendations."""
    _, end = DOCKERFILE.split("\nFROM ${BASE}\n")
    packages = re.search(r"apt-get install -y --no-install-recommends (.*) \\", end)
    assert packages
    assert packages[1].split() == ["iproute2", "nftables", "python3"]
    assert "pip" not in re.sub(r"^#.*\n", "", end, flags=re.MULTILINE)


def test_the_plugin_is_a_file_that_stands_alone() -> None:
    """It runs on the node: its first line must find a Python there, and it may import nothing that the node lacks."""
    (call,) = [command for command in commands() if command[0] == "install"]
    source, target = call[-2:]
    assert target == NODE_FILES["plugin"]
    text = (ROOT / source).read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env python3\n")
    imported = re.findall(r"^\s*(?:from|import) ([a-z_]+)", text, re.MULTILINE)
    assert "json" in imported
    assert set(imported) <= sys.stdlib_module_names


def test_bases_are_named_and_open_to_mirrors() -> None:
    """A plain name and tag, once, that a build argument replaces; never the latest of anything."""
    stages = [one.text for one in instructions() if one.name == "FROM"]
    assert stages == ["${BASE} AS build", "${BASE}"]
    (base,) = [one.text for one in instructions() if one.name == "ARG" and one.text.startswith("BASE=")]
    assert re.fullmatch(r"BASE=[a-z]+:[a-z0-9.-]+", base)
    assert not base.endswith(":latest")


def test_labels_are_those_of_the_specification() -> None:
    """OCI image specification, annotations: title, description, licenses, version, revision."""
    (labels,) = [one.text for one in instructions() if one.name == "LABEL"]
    names = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", labels))
    assert names == {"title", "description", "licenses", "version", "revision"}
    assert [one.text for one in instructions() if one.name == "USER"] == ["0:0"]


def test_the_lock_has_all_that_runs_and_nothing_that_builds() -> None:
    """Everything that the packages of the image need is in the lock, in the versions that the tests run with."""
    image, run = locked("image.txt"), locked("run.txt")
    assert [name for name in image if name in run and run[name] != image[name]] == []
    assert not {"hatchling", "editables"} & set(image)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project.get("optional-dependencies", {}).get("agent", [])]
    for name in image:
        wanted += [
            one for one in importlib.metadata.requires(name) or [] if "extra ==" not in one and "win32" not in one
        ]
    needed = {re.split(r"[^A-Za-z0-9._-]", one, maxsplit=1)[0].lower().replace("_", "-") for one in wanted}
    needed -= {"colorama"}  # click's, for Windows
    assert needed <= set(image)
    assert needed >= {"click", "msgspec", "pyyaml"}


def test_the_steps_make_a_command(tmp_path: Path) -> None:
    """The wheel is built without an index, installed into an environment without pip, and runs there."""
    offline = {**os.environ, "PIP_NO_INDEX": "1", "PYTHONPATH": ""}

    def python(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            arguments,
            cwd=tmp_path,
            env={**offline, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=170,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for name in sources():
        if not name.startswith("requirements/"):
            (tmp_path / name).symlink_to(ROOT / name)
    pip = (sys.executable, "-m", "pip")
    python(*pip, "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", "wheels", ".")
    (wheel,) = (tmp_path / "wheels").glob("outgate-*.whl")
    python(sys.executable, "-m", "venv", "--without-pip", "opt")
    interpreter = str(tmp_path / "opt" / "bin" / "python")
    python(*pip, "--python", interpreter, "install", "-q", "--no-index", "--no-deps", str(wheel))
    # The locked packages are those of the tests' own environment; the next test installs them from the lock.
    around = str(importlib.metadata.distribution("click").locate_file(""))
    entry = [one.text for one in instructions() if one.name == "ENTRYPOINT"]
    assert entry == ['["outgate"]']
    assert (
        python(str(tmp_path / "opt" / "bin" / "outgate"), "--version", PYTHONPATH=around) == f"outgate {__version__}\n"
    )
    found = python(
        interpreter, "-c", "import importlib.util as u; print(u.find_spec('pip'), u.find_spec('setuptools'))"
    )
    assert found == "None None\n"


@pytest.mark.skipif(not os.environ.get("CI"), reason="asks the package index; runs under CI")
@pytest.mark.parametrize("lock", ["run.txt", "image.txt"])
def test_locks_resolve_in_a_fresh_environment(lock: str, tmp_path: Path) -> None:
    """The very options of the Dockerfile, on this machine's Python."""
    (call,) = [command for command in commands() if f"requirements/{lock}" in command]
    options = call[call.index("install") :]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "fresh")], check=True, timeout=60)
    interpreter = str(tmp_path / "fresh" / "bin" / "python")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", interpreter, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    installed = subprocess.run(
        [interpreter, "-c", "import importlib.metadata as m; print(*(d.name.lower() for d in m.distributions()))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(locked(lock)) == set(installed.stdout.replace("_", "-").split())
