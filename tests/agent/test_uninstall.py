"""Everything that is ours goes, what is not stays, and each is said."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from outgate.agent import plugin
from outgate.agent.settings import Settings
from outgate.agent.store import FILES, Picture, Store
from outgate.agent.uninstall import BOOT_UNIT, PLUGIN, Fate, Removal, _of_proxy, uninstall
from outgate.errors import KernelError, UsageError
from outgate.host import links, process, proxy_routes
from outgate.host.dns_sockets import stand_in_lines
from outgate.host.envoy import Envoy
from outgate.host.nft import Nftables
from outgate.nft.asking import STAND_INS
from outgate.nft.text import ruleset_text
from outgate.proxy.envoy import Proxying
from tests.agent.estates import NODE, gatehouse
from tests.agent.test_boot import UNIT
from tests.lab.alone import alone

LIST: dict[str, Any] = {
    "cniVersion": "1.0.0",
    "name": "cbr0",
    "plugins": [{"type": "flannel", "delegate": {"isDefaultGateway": True}}, {"type": PLUGIN}, {"type": "portmap"}],
}


class NoTable(Nftables):
    """A kernel without a table of ours."""

    def stands(self) -> bool:
        """No."""
        return False


class Stubborn(Nftables):
    """A kernel that refuses."""

    def stands(self) -> bool:
        """Ask in vain."""
        raise KernelError("nft is not installed")


def installed(folder: Path) -> Settings:
    """A node with all of it."""
    settings = Settings(NODE, state_dir=folder / "state", run_dir=folder / "run")
    Store(settings.state_dir, NODE).write(Picture.of(gatehouse()))
    settings.run_dir.mkdir()
    for path in (settings.lock_file, settings.status_file, settings.log_file, settings.cni_socket):
        path.write_text("")
    units = folder / "units"
    (units / "multi-user.target.wants").mkdir(parents=True)
    (units / BOOT_UNIT).write_text(UNIT.read_text())
    (units / "multi-user.target.wants" / BOOT_UNIT).symlink_to(units / BOOT_UNIT)
    (folder / "bin").mkdir()
    (folder / "bin" / PLUGIN).write_bytes(Path(plugin.__file__).read_bytes())
    (folder / "net.d").mkdir()
    (folder / "net.d" / "10-flannel.conflist").write_text(json.dumps(LIST))
    return settings


def removed(folder: Path, settings: Settings, door: Nftables | None = None) -> dict[str, Removal]:
    """What was done, by the thing's name in the folder."""
    found = uninstall(
        settings,
        door or NoTable(),
        unit_dir=folder / "units",
        cni_bin_dir=folder / "bin",
        cni_conf_dir=folder / "net.d",
    )
    return {one.thing.replace(f"{folder}/", ""): one for one in found}


def test_all_of_it_goes_and_a_second_time_nothing_is_there(tmp_path: Path) -> None:
    """Each thing is named with what became of it."""
    settings = installed(tmp_path)
    first = removed(tmp_path, settings)
    del first["the table inet outgate"]
    assert {one.fate for one in list(first.values())[:-1]} == {Fate.REMOVED}
    assert {f"state/{name}" for name in FILES} <= set(first)
    assert {f"{PLUGIN} in net.d/10-flannel.conflist", f"bin/{PLUGIN}", f"units/{BOOT_UNIT}", "run"} <= set(first)
    assert sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*")) == [
        "bin",
        "net.d",
        "net.d/10-flannel.conflist",
        "units",
        "units/multi-user.target.wants",
    ]
    kept = json.loads((tmp_path / "net.d" / "10-flannel.conflist").read_text())
    assert kept == LIST | {"plugins": [one for one in LIST["plugins"] if one["type"] != PLUGIN]}
    second = list(removed(tmp_path, settings).values())
    assert {one.fate for one in second[:-1]} == {Fate.ABSENT}


def test_connection_marks_are_left_and_said(tmp_path: Path) -> None:
    """They go with their connections."""
    mark = list(removed(tmp_path, installed(tmp_path)).values())[-1]
    assert mark.fate is Fate.LEFT
    assert str(mark) == f"left: the bits 0xffff0000 of connection marks ({mark.why})"


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """Also where it has our name, or lies among our files."""
    settings = installed(tmp_path)
    foreign = {
        "bin/" + PLUGIN: "#!/bin/sh\n",
        "units/" + BOOT_UNIT: "[Unit]\nDescription=mine\n",
        "state/notes.txt": "mine",
        "run/other": "mine",
        "net.d/10-flannel.conflist": json.dumps(LIST | {"plugins": [{"type": "flannel"}]}),
        "net.d/20-odd.conflist": f'{{"plugins": ["{PLUGIN}"]}}',
        "net.d/30-broken.conflist": "{",
    }
    for name, text in foreign.items():
        (tmp_path / name).write_text(text)
    found = removed(tmp_path, settings)
    for name, text in foreign.items():
        assert (tmp_path / name).read_text() == text
    for name in ("bin/" + PLUGIN, "units/" + BOOT_UNIT, "state", "run", f"{PLUGIN} in net.d/20-odd.conflist"):
        assert found[name].fate is Fate.LEFT
    assert "notes.txt" in found["state"].why
    assert (tmp_path / "units" / "multi-user.target.wants" / BOOT_UNIT).is_symlink()


def test_a_unit_that_loads_our_rules_is_ours(tmp_path: Path) -> None:
    """A chart writes its own, and a reboot would bring the rules back."""
    settings = installed(tmp_path)
    (tmp_path / "units" / BOOT_UNIT).write_text("[Service]\nExecStart=/sbin/nft -f /var/lib/outgate/ruleset.nft\n")
    assert removed(tmp_path, settings)[f"units/{BOOT_UNIT}"].fate is Fate.REMOVED


def test_a_list_of_our_plugin_alone_goes_whole(tmp_path: Path) -> None:
    """A list without plugins is refused by runtimes."""
    settings = installed(tmp_path)
    path = tmp_path / "net.d" / "10-flannel.conflist"
    path.write_text(json.dumps(LIST | {"plugins": [{"type": PLUGIN}]}))
    removed(tmp_path, settings)
    assert not path.exists()


def test_the_list_keeps_its_rights(tmp_path: Path) -> None:
    """A runtime that runs as somebody else must still read it."""
    settings = installed(tmp_path)
    path = tmp_path / "net.d" / "10-flannel.conflist"
    path.chmod(0o640)
    removed(tmp_path, settings)
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_fails_does_not_keep_the_rest(tmp_path: Path) -> None:
    """A kernel that refuses, a folder where a file should be."""
    settings = installed(tmp_path)
    (tmp_path / "bin" / PLUGIN).unlink()
    (tmp_path / "bin" / PLUGIN).mkdir()
    found = removed(tmp_path, settings, Stubborn())
    assert found["the table inet outgate"] == Removal("the table inet outgate", Fate.FAILED, "nft is not installed")
    assert found["bin/" + PLUGIN].fate is Fate.FAILED
    assert not settings.state_dir.exists()


def test_without_folders_nothing_there_is_touched(tmp_path: Path) -> None:
    """Whoever does not name them has not installed there."""
    settings = installed(tmp_path)
    uninstall(settings, NoTable())
    assert (tmp_path / "bin" / PLUGIN).exists()
    assert (tmp_path / "units" / BOOT_UNIT).exists()
    assert PLUGIN in (tmp_path / "net.d" / "10-flannel.conflist").read_text()


def test_beside_an_agent_it_refuses(tmp_path: Path) -> None:
    """It would take the removal for drift and mend it."""
    settings = installed(tmp_path)
    with open(settings.lock_file, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="an agent runs"):
            removed(tmp_path, settings)
    assert (settings.state_dir / FILES[0]).exists()


@pytest.mark.kernel
def test_the_table_goes_and_no_other(tmp_path: Path) -> None:
    """From the kernel itself."""

    def inside() -> tuple[Fate, Fate, str]:
        settings, door = installed(tmp_path), Nftables()
        door.load("table ip outgate {\n\tchain c {\n\t}\n}\n" + ruleset_text(gatehouse().desired.ruleset))
        first = removed(tmp_path, settings, door)["the table inet outgate"].fate
        second = removed(tmp_path, settings, door)["the table inet outgate"].fate
        listing = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
        return first, second, listing.stdout

    assert alone(inside) == (Fate.REMOVED, Fate.ABSENT, "table ip outgate\n")


def test_no_agent_imports_it() -> None:
    """SIGTERM must never come here: of all modules only the verb knows this one."""
    root = Path(sys.modules["outgate"].__path__[0])
    knowing = {one.name for one in root.rglob("*.py") if "agent.uninstall" in one.read_text().replace("`", "")}
    assert knowing - {"agent.py"} == {"agent_uninstall.py"}


def test_what_there_is_of_the_dns_proxy_goes(tmp_path: Path) -> None:
    """Its files and its addresses; a proxy that still runs is said, and its addresses are left to it."""

    def inside() -> None:
        settings = installed(tmp_path)
        links.batch(["link set lo up", *stand_in_lines()])
        dns = settings.dns
        dns.orders_file.parent.mkdir()
        for path in (dns.orders_file, dns.status_file, dns.lock_file, dns.memory_file):
            path.write_text("{}")
        with open(dns.lock_file, "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert [one.fate for one in _of_proxy(dns)] == [Fate.LEFT, Fate.REMOVED, Fate.REMOVED]
        dns.orders_file.parent.mkdir()
        found = removed(tmp_path, settings)
        assert {
            found[f"the address {one}/{size} of lo"].fate
            for one, size in zip(STAND_INS.values(), (32, 128), strict=True)
        } == {Fate.REMOVED}
        assert found["run"].fate is found["state"].fate is found["run/dns"].fate is Fate.REMOVED

    alone(inside)


@alone
def test_what_envoy_needed_goes() -> None:
    """Routes of the node and files, with the folder; what is not ours in it stays."""
    folder = Path(tempfile.mkdtemp())
    settings = installed(folder)
    proxy_routes.ensure(settings.options("").deliver_mark)
    Envoy(Proxying(str(settings.envoy_dir))).prepare()
    settings.request_log.touch()
    uninstall(settings, Nftables())
    assert not settings.run_dir.exists()
    rules = process.run(("ip", "rule", "list", "pref", str(proxy_routes.PRIORITY))).stdout
    assert not rules.strip()
