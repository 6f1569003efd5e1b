"""What the chart writes onto a node: the scripts of its containers are run here, on a folder that plays the node."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.chart import containers, render
from tests.deploy.contract import NODE_FILES
from tests.house.sources import ROOT

EVERYTHING = {"bootUnit": {"install": True}, "cni": {"install": True}}


def container(name: str, **values: Any) -> dict[str, Any]:
    """One container of the DaemonSet."""
    pod = render({**EVERYTHING, **values}).daemonset()
    found: dict[str, Any]
    (found,) = [one for one in containers(pod) if one["name"] == name]
    return found


def unit_text(**values: Any) -> str:
    """The unit, as the ConfigMap has it."""
    text: str = render({**EVERYTHING, **values}).of("ConfigMap")["data"]["outgate-boot.service"]
    return text


def without_capabilities() -> list[str]:
    """What makes root as little as these containers are, where this is root: owner of its files, and no more."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return []
    return ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs"]


def run(found: dict[str, Any], node: Path, *, source: tuple[str, Path] | None = None) -> None:
    """Run a container's script as its image would, with the node's folder in the place of /host."""
    assert found["command"] == ["/bin/sh", "-ec"]
    (script,) = found["args"]
    for name, folder in [("/host", node), *([source] if source else [])]:
        assert name in script
        script = script.replace(name, str(folder))
    subprocess.run([*without_capabilities(), "/bin/sh", "-ec", script], check=True, timeout=60)


@pytest.fixture
def unit(tmp_path: Path) -> tuple[str, Path]:
    """The mounted ConfigMap."""
    folder = tmp_path / "unit"
    folder.mkdir()
    (folder / "outgate-boot.service").write_text(unit_text())
    return "/unit", folder


def test_the_unit_is_written_and_enabled(tmp_path: Path, unit: tuple[str, Path]) -> None:
    """Twice, as after an upgrade, over what was there; and nothing else is on the node afterwards."""
    node = tmp_path / "node"
    (node / "multi-user.target.wants").mkdir(parents=True)
    (node / "outgate-boot.service").write_text("an older one")
    for _ in range(2):
        run(container("boot-unit"), node, source=unit)
    link = node / "multi-user.target.wants" / "outgate-boot.service"
    assert os.readlink(link) == "../outgate-boot.service"
    assert link.read_text() == unit_text()
    assert link.stat().st_mode & 0o777 == 0o644
    files = {str(path.relative_to(node)) for path in node.rglob("*") if not path.is_dir()}
    assert files == {"outgate-boot.service", "multi-user.target.wants/outgate-boot.service"}


def test_removing_leaves_what_belongs_to_others(tmp_path: Path, unit: tuple[str, Path]) -> None:
    """Also where there is nothing to remove."""
    node = tmp_path / "node"
    (node / "multi-user.target.wants").mkdir(parents=True)
    (node / "multi-user.target.wants" / "sshd.service").touch()
    run(container("boot-unit"), node, source=unit)
    for _ in range(2):
        run(container("remove-boot-unit", mode="remove"), node)
    assert [path.name for path in node.rglob("*") if not path.is_dir()] == ["sshd.service"]


def test_the_plugin_is_replaced_whole(tmp_path: Path) -> None:
    """A runtime that has the old file open keeps it: the new one is another file, moved into the place."""
    node, image = tmp_path / "node", tmp_path / "image"
    node.mkdir()
    image.mkdir()
    (image / "outgate-cni").write_text("new")
    (node / "outgate-cni").write_text("old")
    with (node / "outgate-cni").open() as before:
        run(container("cni-plugin"), node, source=("/opt/outgate/libexec", image))
        assert before.read() == "old"
    assert (node / "outgate-cni").read_text() == "new"
    assert (node / "outgate-cni").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in node.iterdir()] == ["outgate-cni"]
    assert NODE_FILES["plugin"] in container("cni-plugin")["args"][0]


def test_the_chart_writes_the_unit_that_is_installed_by_hand() -> None:
    """Byte for byte. There were two, of which one had no fallback and came after the container runtime."""
    by_hand = ROOT / "deploy" / "boot" / "outgate-boot.service"
    assert unit_text() == by_hand.read_text(encoding="utf-8")


def test_the_chart_names_the_nodes_own_nft() -> None:
    """And that is the only thing in the unit that a value changes."""
    text = unit_text(bootUnit={"install": True, "nft": "/opt/bin/nft"})
    assert text.replace("Environment=NFT=/opt/bin/nft\n", "Environment=NFT=nft\n") == unit_text() != text


def test_the_unit_reads_the_folder_that_the_agent_writes() -> None:
    """Mounted there by the chart; elsewhere a reboot would be open. Its order is held in tests/agent/test_boot.py."""
    assert f"ConditionPathExists=|{NODE_FILES['ruleset']}\n" in unit_text()
    mounted = {one["mountPath"] for one in container("agent")["volumeMounts"]}
    assert str(Path(NODE_FILES["ruleset"]).parent) in mounted


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """Its own reader, which names unknown keys and orders that go in circles."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    nft = tmp_path / "nft"
    nft.write_text("#!/bin/sh\n")
    nft.chmod(0o755)
    path = tmp_path / "outgate-boot.service"

    def verdict(text: str) -> list[str]:
        path.write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        # Others' units are others' affair; a machine without systemd as process 1 says so, too.
        return [line for line in done.stderr.splitlines() if "outgate-boot" in line]

    good = unit_text(bootUnit={"install": True, "nft": str(nft)})
    assert verdict(good) == []
    assert verdict(good.replace("RemainAfterExit", "RemainsAfterExit")) != []


def test_what_is_left_waits_and_ends_at_once() -> None:
    """As process 1 it gets no signal that it does not ask for; a pod that must be killed holds up every step."""
    (interpreter, option, program) = container("removed", mode="remove")["command"]
    assert (interpreter, option) == ("/usr/bin/python3", "-c")
    assert "SIG_BLOCK" in program
    ready = "\nprint('waits', flush=True)\nsignal.sigwait"
    waiting = subprocess.Popen(
        [sys.executable, "-c", program.replace("\nsignal.sigwait", ready)], stdout=subprocess.PIPE, text=True
    )
    assert waiting.stdout
    with waiting.stdout:
        assert waiting.stdout.readline() == "waits\n"
        assert waiting.poll() is None
        waiting.send_signal(signal.SIGTERM)
        assert waiting.wait(timeout=60) == 0


def test_removal_starts_nothing_that_would_come_back() -> None:
    """No agent, which would repair the table that was just removed, and no plugin, unit or rules written."""
    pod = render({**EVERYTHING, "mode": "remove"}).daemonset()
    names = [one["name"] for one in [*pod["initContainers"], *pod["containers"]]]
    assert names == ["remove-boot-unit", "uninstall", "removed"]


def test_rules_are_loaded_right_before_the_agent() -> None:
    """What fails earlier must not keep the rules away from it for long, and nothing stands between the two."""
    pod = render(EVERYTHING).daemonset()
    assert [one["name"] for one in pod["initContainers"]] == ["boot-unit", "cni-plugin", "boot"]
    assert (pod["initContainers"][-1]["args"], pod["containers"][0]["args"]) == (["agent", "boot"], ["agent", "run"])
