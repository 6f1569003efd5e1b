"""Taking Outgate off a node: everything that it put there, a line for each thing.

Only a person asks for this, by a command of its own. An agent that ends, by whatever signal, leaves the rules in
force: an upgrade must not open a node. The network configuration comes first, so that no pod that is made meanwhile
waits for an agent that is gone; the files by which a reboot would bring the rules back follow the rules themselves.

What is not ours is left, also where it has our name: files are looked into before they are removed.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from outgate.agent.dns_settings import DnsSettings
from outgate.agent.settings import Settings
from outgate.agent.store import FILES, RULESET
from outgate.errors import KernelError, UsageError
from outgate.host import detour, links, proxy_routes
from outgate.host.dns_sockets import stand_in_lines
from outgate.host.nft import Nftables
from outgate.host.rewrite import put
from outgate.proxy.envoy import ADMIN, BOOTSTRAP, LOG, RULES, rule_files

__all__ = ["BOOT_UNIT", "PLUGIN", "Fate", "Removal", "uninstall"]

BOOT_UNIT = "outgate-boot.service"
PLUGIN = "outgate-cni"
"""The name of the executable, and the ``type`` in a network configuration."""
_UNIT_MARKS = ("Description=Outgate: ", f"outgate/{RULESET}")
"""What the unit of deploy/boot says, and what every unit does that loads our rules, whoever wrote it on the node."""
_PLUGIN_MARKS = ("`outgate-cni`", "outgate.agent.plugin")
"""What the file itself says, and what the script of an installed package says."""
_LARGEST = 1024 * 1024


class Fate(enum.Enum):
    """What became of a thing."""

    REMOVED = "removed"
    ABSENT = "not there"
    LEFT = "left"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Removal:
    """One thing and what became of it. `why` is empty where nothing is to be said."""

    thing: str
    fate: Fate
    why: str = ""

    def __str__(self) -> str:
        return f"{self.fate.value}: {self.thing}" + (f" ({self.why})" if self.why else "")


def uninstall(
    settings: Settings,
    door: Nftables,
    *,
    unit_dir: Path | None = None,
    cni_bin_dir: Path | None = None,
    cni_conf_dir: Path | None = None,
) -> tuple[Removal, ...]:
    """Remove the table, the saved state, the run files and, where their folders are given, unit and plugin.

    One thing that cannot be removed does not keep the others.

    Raises:
        UsageError: an agent runs on this node, and would put the table back.
    """
    _refuse_beside_an_agent(settings.lock_file)
    found: list[Removal] = []
    if cni_conf_dir is not None:
        found += _network_configurations(cni_conf_dir)
    if cni_bin_dir is not None:
        found.append(_remove_ours(cni_bin_dir / PLUGIN, _PLUGIN_MARKS))
    found.append(_table(door))
    if unit_dir is not None:
        found += _unit(unit_dir)
    dns = settings.dns
    found += _of_proxy(dns)
    saved = [*FILES, dns.memory_file.name]
    found += _folder(
        settings.state_dir, [*saved, *(f"{one}.broken" for one in saved), *(f".{one}.new" for one in saved)]
    )
    found += _proxy(settings)
    run = [settings.status_file, settings.log_file, settings.request_log, settings.cni_socket, settings.lock_file]
    run += [dns.status_file, dns.lock_file]
    found += _folder(settings.run_dir, [one.name for one in run])
    mask = f"the bits {settings.mark_mask:#x} of connection marks"
    found.append(Removal(mask, Fate.LEFT, "they mean nothing to anybody else, and go with their connections"))
    return tuple(found)


def _refuse_beside_an_agent(lock: Path) -> None:
    try:
        with open(lock, "rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            "an agent runs on this node, and would put back what is removed",
            hint="remove the DaemonSet first, or stop the agent",
        ) from error
    except OSError:
        return  # no such file, so nobody holds it


def _of_proxy(dns: DnsSettings) -> Iterator[Removal]:
    """What there is of the DNS proxy beside plain files. A proxy that lives is somebody's, and only said."""
    if not dns.lock_file.exists():
        return
    if _is_held(dns.lock_file):
        yield Removal("the DNS proxy", Fate.LEFT, "it runs; nothing leads to it any more: end `outgate agent dns`")
    else:
        for line in stand_in_lines():
            address = line.split()[2]
            with contextlib.suppress(KernelError):
                links.batch([f"addr del {address} dev lo"])
                yield Removal(f"the address {address} of lo", Fate.REMOVED)
    if dns.orders_file.parent.exists():
        yield from _folder(dns.orders_file.parent, [dns.orders_file.name, f".{dns.orders_file.name}.new"])


def _is_held(lock: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), open(lock, "rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _table(door: Nftables) -> Removal:
    thing = "the table inet outgate"
    try:
        if not door.stands() and not door.guarding():
            return Removal(thing, Fate.ABSENT)
        # And the one of the bridges, which is nothing without it.
        door.remove()
    except KernelError as error:
        return Removal(thing, Fate.FAILED, error.message)
    return Removal(thing, Fate.REMOVED)


def _proxy(settings: Settings) -> Iterator[Removal]:
    """What was made for Envoy: the way of marked packets, which a reboot clears as it does the folder, and files."""
    folder = settings.envoy_dir
    if not folder.is_dir():
        return
    proxy_routes.remove(settings.options("").deliver_mark)
    yield Removal(f"the routing table {proxy_routes.TABLE} and the rules that lead there", Fate.REMOVED)
    what = f"the tables {detour.TABLE} and the interfaces {detour.OUTER} and {detour.INNER}"
    try:
        detour.remove()
        yield Removal(what, Fate.REMOVED)
    except KernelError as error:
        yield Removal(what, Fate.FAILED, error.message)
    rules = list(rule_files(()).files)
    yield from _folder(folder / RULES, rules)
    yield from _folder(folder, [BOOTSTRAP, ADMIN, LOG, *(f".{one}" for one in (BOOTSTRAP, *rules))])


# ---- files -----------------------------------------------------------------------------------------------------------


def _removed(path: Path, act: Callable[[], None]) -> Removal:
    try:
        act()
    except FileNotFoundError:
        return Removal(str(path), Fate.ABSENT)
    except OSError as error:
        return Removal(str(path), Fate.FAILED, error.strerror or str(error))
    return Removal(str(path), Fate.REMOVED)


def _folder(folder: Path, names: list[str]) -> Iterator[Removal]:
    """Our files in a folder, by name, and the folder itself where nothing else is in it."""
    if not folder.is_dir():
        yield Removal(str(folder), Fate.ABSENT)
        return
    for name in names:
        removal = _removed(folder / name, (folder / name).unlink)
        if removal.fate is not Fate.ABSENT:
            yield removal
    try:
        strangers = sorted(one.name for one in folder.iterdir())
    except OSError:
        strangers = []
    if strangers:
        shown = ", ".join(strangers[:3]) + (", …" if len(strangers) > 3 else "")
        yield Removal(str(folder), Fate.LEFT, f"it holds what is not ours: {shown}")
    else:
        yield _removed(folder, folder.rmdir)


def _remove_ours(path: Path, marks: tuple[str, ...]) -> Removal:
    """A file, if it says itself that it is ours."""
    try:
        with open(path, "rb") as opened:
            text = opened.read(_LARGEST).decode(errors="replace")
    except FileNotFoundError:
        if path.is_symlink():
            return Removal(str(path), Fate.LEFT, "it is a link to nothing")
        return Removal(str(path), Fate.ABSENT)
    except OSError as error:
        return Removal(str(path), Fate.FAILED, error.strerror or str(error))
    if not any(mark in text for mark in marks):
        return Removal(str(path), Fate.LEFT, "it is not ours")
    return _removed(path, path.unlink)


def _unit(folder: Path) -> Iterator[Removal]:
    """The unit, and the links by which systemd was told to start it (``systemctl enable``)."""
    removal = _remove_ours(folder / BOOT_UNIT, _UNIT_MARKS)
    yield removal
    if removal.fate not in {Fate.REMOVED, Fate.ABSENT}:
        return
    for wish in sorted((*folder.glob("*.wants"), *folder.glob("*.requires"))):
        # By now the link leads nowhere, and a glob for it would not find it.
        if (wish / BOOT_UNIT).is_symlink():
            yield _removed(wish / BOOT_UNIT, (wish / BOOT_UNIT).unlink)


# ---- the network configuration ---------------------------------------------------------------------------------------


def _network_configurations(folder: Path) -> Iterator[Removal]:
    """Our entry in every list of plugins; the list itself and the other entries stay."""
    lists = sorted(folder.glob("*.conflist")) if folder.is_dir() else []
    removals = [removal for one in lists if (removal := _without_plugin(one)) is not None]
    yield from removals
    if not removals:
        yield Removal(f"{PLUGIN} in the network configurations of {folder}", Fate.ABSENT)


def _without_plugin(path: Path) -> Removal | None:
    thing = f"{PLUGIN} in {path}"
    try:
        text = path.read_bytes()
        found = json.loads(text)
        plugins = found["plugins"]
        kept = [one for one in plugins if one.get("type") != PLUGIN]
    except OSError as error:
        return Removal(thing, Fate.FAILED, error.strerror or str(error))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # Whoever reads it next will complain of it; we only say that we could not look.
        return Removal(thing, Fate.LEFT, "the file is no list of plugins") if PLUGIN.encode() in text else None
    if len(kept) == len(plugins):
        return None
    if not kept:
        return _removed(path, path.unlink)
    rest = json.dumps(found | {"plugins": kept}, indent=2).encode() + b"\n"
    # A runtime watches the folder and must not see half a list.
    return _removed(Path(thing), lambda: put(path, rest, mode=path.stat().st_mode & 0o777))
