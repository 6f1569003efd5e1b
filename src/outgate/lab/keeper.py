"""A lab that stays: the file that tells where it is, and its end.

The file names the lab's first process by pid, start time and boot, for a pid alone may be somebody else's by now: no
process is ever ended on the strength of a number. A file whose process is gone means nothing and is removed by whoever
meets it; the kernel has taken the rest down already.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import signal
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

from outgate.errors import KernelError, NotPermitted, UsageError
from outgate.host.waiting import readable
from outgate.lab.build import Stage
from outgate.model import Snapshot

__all__ = [
    "DEFAULT",
    "Description",
    "KeptLab",
    "describe",
    "digest",
    "down",
    "find",
    "record",
    "refuse_if_standing",
    "wait_for_the_end",
]

DEFAULT = "default"
"""The name of a kept lab that nobody named."""

_PATIENCE = 10.0
"""Seconds between the request to end and the kill."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a kept lab is made of."""

    pid: int
    nodes: Mapping[str, str]
    """Network namespace by node."""
    pods: Mapping[str, str]
    """Network namespace by ``namespace/name``."""
    nameservers: tuple[str, ...]
    """Addresses of the cluster's DNS service, for the resolver of a shell."""
    digest: str
    """Of the snapshot it was built from."""


@dataclass(frozen=True, slots=True)
class KeptLab:
    """A kept lab that stands."""

    name: str
    started: int
    """Start time of the process, in clock ticks since boot (proc(5), ``/proc/pid/stat``, field 22)."""
    boot: str
    user: int
    created: str
    """UTC, RFC 3339."""
    description: Description

    @property
    def pid(self) -> int:
        """The lab's first process."""
        return self.description.pid


def describe(stage: Stage) -> Description:
    """The description of a stage; must run in the lab's first process."""
    # /proc is the one of outside: there the link has the number that others know this process by.
    return Description(
        pid=int(os.readlink("/proc/self")),
        nodes={name: box.namespace for name, box in stage.nodes.items()},
        pods={str(box.pod): box.namespace for box in stage.pods.values()},
        nameservers=_nameservers(stage.snapshot),
        digest=digest(stage.snapshot),
    )


def digest(snapshot: Snapshot) -> str:
    """SHA-256 of what the snapshot says, the same in every process; places do not count."""
    return hashlib.sha256(repr(_canonical(snapshot)).encode()).hexdigest()


def record(name: str, description: Description) -> None:
    """Writes the file of a lab that is about to stay.

    Raises:
        UsageError: one of that name has come to stand in the meantime.
        KernelError: the file cannot be written.
    """
    lab = KeptLab(
        name=name,
        started=_started(description.pid),
        boot=_boot(),
        user=os.getuid(),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        description=description,
    )
    target = _file(name)
    draft = target.with_suffix(f".{os.getpid()}")
    try:
        draft.write_text(json.dumps(dataclasses.asdict(lab), indent=2) + "\n")
        os.link(draft, target)
    except FileExistsError as error:
        raise _standing(name) from error
    except OSError as error:
        raise KernelError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def find(name: str = DEFAULT) -> KeptLab | None:
    """The kept lab of that name; None where none stands. A file without its process is removed.

    Raises:
        UsageError: the name cannot be one.
        NotPermitted: the folder of such files is somebody else's.
    """
    target = _file(name)
    try:
        lab = _read(target)
    except FileNotFoundError:
        return None
    except ValueError:
        lab = None
    if lab is None or not _stands(lab):
        target.unlink(missing_ok=True)
        return None
    return lab


def refuse_if_standing(name: str) -> None:
    """Raises UsageError where a lab of that name stands."""
    if find(name) is not None:
        raise _standing(name)


def down(name: str = DEFAULT) -> KeptLab | None:
    """Ends a kept lab and removes its file; returns what it was, or None where nothing stood.

    The request is SIGTERM; what has not ended ten seconds later is killed. Returns when the process is gone.
    """
    lab = find(name)
    if lab is None:
        return None
    with contextlib.suppress(ProcessLookupError):
        # The descriptor is opened first and the start time looked at again: it cannot come to mean another process.
        handle = os.pidfd_open(lab.pid)
        try:
            if _stands(lab):
                _end(handle)
        finally:
            os.close(handle)
    _file(name).unlink(missing_ok=True)
    return lab


def wait_for_the_end() -> None:
    """Waits for SIGTERM, and meanwhile takes in the orphans that fall to a first process.

    Other threads may be at work: a signal is counted by a pipe, whichever of them the kernel interrupts.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while signal.SIGTERM not in os.read(heard, 1):
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _end(handle: int) -> None:
    signal.pidfd_send_signal(handle, signal.SIGTERM)
    if not readable(handle, within=_PATIENCE):
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        readable(handle, within=None)


def _standing(name: str) -> UsageError:
    return UsageError(
        f"a kept lab named {name} stands already",
        hint=f"outgate lab down --name {name} removes it; --name gives this one another name",
    )


def _file(name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
        raise UsageError(f"{name!r} cannot be the name of a lab: letters, digits, '.', '_' and '-', at most 63")
    return _folder() / f"{name}.json"


def _folder() -> Path:
    """The user's own folder for such files, made where it is missing."""
    folder = next(_folders())
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise KernelError(f"{folder} cannot be used for kept labs: {error.strerror}") from error
    # In a folder that others can write (/tmp), somebody may have been there first.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise NotPermitted(f"{folder} is not a folder of this user alone", hint=f"look at {folder} and remove it")
    return folder


def _folders() -> Iterator[Path]:
    if os.getuid() == 0:
        if os.access("/run", os.W_OK):
            yield Path("/run/outgate")
    elif (own := os.environ.get("XDG_RUNTIME_DIR")) and os.access(own, os.W_OK):
        yield Path(own, "outgate")
    yield Path(f"/tmp/outgate-{os.getuid()}")  # noqa: S108  whose it is, is looked at in _folder


def _read(file: Path) -> KeptLab:
    """The file as it was written; ValueError where it is anything else."""
    try:
        value = json.loads(file.read_text())
        inner = value.pop("description")
        inner["pid"], value["started"] = int(inner["pid"]), int(value["started"])
        for name, kind in (("nodes", dict), ("pods", dict), ("nameservers", tuple)):
            inner[name] = kind(inner[name])
        lab = KeptLab(**value, description=Description(**inner))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{file} does not describe a lab") from error
    return lab


def _stands(lab: KeptLab) -> bool:
    try:
        return lab.boot == _boot() and lab.started == _started(lab.pid)
    except KernelError:
        return False


def _started(pid: int) -> int:
    """Field 22 of ``/proc/pid/stat``. The command in field 2 may hold spaces and brackets: it ends at the last one.

    A zombie has ended: whoever should take it in may take its time, and in some containers nobody ever does.
    """
    try:
        state, *others = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if state not in "ZX":
            return int(others[18])
    except (OSError, IndexError, ValueError) as error:
        raise KernelError(f"process {pid} has ended") from error
    raise KernelError(f"process {pid} has ended")


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _nameservers(snapshot: Snapshot) -> tuple[str, ...]:
    """The cluster's DNS service, by the names that kubeadm, kind and the big clouds give it."""
    for name in ("kube-dns", "coredns", "rke2-coredns-rke2-coredns", "dns-default"):
        for service in snapshot.services:
            if service.name == name and service.cluster_ips:
                return tuple(map(str, service.cluster_ips))
    return ()


def _canonical(value: object) -> object:
    """A value whose `repr` is the same in every process: sets and mappings in order, fields that count."""
    if is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, [_canonical(getattr(value, one.name)) for one in fields(value) if one.compare]
    if isinstance(value, Mapping):
        return sorted((str(key), _canonical(one)) for key, one in value.items())
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_canonical(one) for one in value]
    return str(value)
