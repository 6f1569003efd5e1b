"""Namespaces of this machine: a world of one's own that the kernel takes down by itself.

A process that has unshared its mount, network and process namespaces can make further network
namespaces under names that only it can see (a tmpfs of its own covers ``/run``). Nothing of it exists
outside, and nothing has to be removed: when the first process of the process namespace dies, by
whatever signal, the kernel kills the others and frees every namespace, link and rule.

    isolate()                                   root in a user namespace if need be, then the rest
    first = process.fork(...)                   the first process of the new process namespace
    pod = create("pod1", {"net/ipv4/ip_forward": "0"})
    with pod.enter(): socket.socket(...)        the socket stays in the namespace for its whole life

Membership belongs to a *thread* (setns(2)): entering moves the calling thread alone, and a process or
a thread started meanwhile begins where its parent thread is.

`os.unshare` and `os.setns` came with Python 3.12; until that is the oldest supported, libc is called.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from outgate.errors import KernelError, NotPermitted
from outgate.host import process

__all__ = [
    "NAMED",
    "NetworkNamespace",
    "bind_mount",
    "create",
    "die_with_parent",
    "isolate",
    "join",
    "mount_namespace",
    "opened",
    "outlive_parent",
    "run_in",
    "write_sysctls",
]

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x4_0000
_MS_NOSUID_NODEV = 0x2 | 0x4

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9

NAMED = Path("/run/netns")
"""Where iproute2 looks for the namespaces that ``ip -n NAME`` means."""

_SETTINGS = Path("/proc/sys")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class NetworkNamespace:
    """A network namespace with a name for iproute2 and a file descriptor that keeps it alive."""

    name: str
    fd: int

    @contextlib.contextmanager
    def enter(self) -> Iterator[None]:
        """Moves the calling thread into the namespace, and back at the end.

        Raises:
            KernelError: the thread may not enter.
        """
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("enter a network namespace", _libc.setns(self.fd, CLONE_NEWNET))
            try:
                yield
            finally:
                _call("leave a network namespace", _libc.setns(before, CLONE_NEWNET))
        finally:
            os.close(before)

    def close(self) -> None:
        """Lets go of the descriptor. The namespace lives on while anything else holds it."""
        os.close(self.fd)


def isolate() -> None:
    """Gives this process its own mount and network namespace, and its future children a process namespace.

    Without the rights for that it first becomes root of a new user namespace. Call it in a process with one thread
    that does nothing else afterwards but fork once: unshare(2), ``CLONE_NEWPID``: "The calling process
    is not moved into the new namespace. The first child created by the calling process will have the process ID 1."

    Raises:
        NotPermitted: neither root nor a user namespace may be had; says which setting forbids it.
    """
    rest = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid != 0 or _libc.unshare(rest) != 0:
            _call("make a user namespace", _libc.unshare(CLONE_NEWUSER | rest))
            _become_root(uid, gid)
        _hide_run()
    except OSError as error:
        raise _forbidden(error) from error
    except KernelError as error:
        if isinstance(error.__cause__, OSError):
            raise _forbidden(error.__cause__) from error
        raise


def create(name: str, sysctls: Mapping[str, str] | None = None) -> NetworkNamespace:
    """Makes a network namespace, sets its sysctls before any link exists in it, and gives it a name.

    The keys of `sysctls` are paths below ``/proc/sys``.

    Raises:
        KernelError: the kernel refused.
    """
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("make a network namespace", _libc.unshare(CLONE_NEWNET))
        try:
            write_sysctls(sysctls or {})
            target = NAMED / name
            target.touch(mode=0o444, exist_ok=False)
            bind_mount(Path("/proc/thread-self/ns/net"), target)
            return opened(name)
        finally:
            _call("leave a network namespace", _libc.setns(before, CLONE_NEWNET))
    except OSError as error:
        raise KernelError(f"the network namespace {name} cannot be made: {error}") from error
    finally:
        os.close(before)


def opened(name: str) -> NetworkNamespace:
    """The network namespace of that name, opened.

    Raises:
        KernelError: there is none.
    """
    try:
        return NetworkNamespace(name, os.open(NAMED / name, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise KernelError(f"there is no network namespace {name}: {error.strerror}") from error


def run_in(
    namespace: NetworkNamespace, argv: tuple[str, ...], *, input: str | None = None, check: bool = True
) -> process.Completed:
    """Runs a command in a network namespace. Raises what `process.run` raises."""
    with namespace.enter():
        return process.run(argv, input=input, check=check)


def write_sysctls(sysctls: Mapping[str, str]) -> None:
    """Sets kernel parameters of the calling thread's network namespace.

    Raises:
        KernelError: a parameter does not exist here or refuses the value.
    """
    for path, value in sysctls.items():
        try:
            (_SETTINGS / path).write_text(value)
        except OSError as error:
            setting = path.replace("/", ".")
            raise KernelError(f"{setting}={value} was refused: {error.strerror}", hint=_sysctl_hint(error)) from error


def join(pid: int) -> None:
    """Moves this process into the namespaces of another: user (where it differs), mount, network, process.

    The process must have one thread (setns(2)). Only children born afterwards are in the process namespace.

    Raises:
        NotPermitted: the namespaces belong to somebody else.
        KernelError: the process has ended.
    """
    fds: list[tuple[int, int]] = []
    try:
        # All are opened first: behind the mount namespace, /proc may show other processes.
        for kind, flag in (("user", CLONE_NEWUSER), ("mnt", CLONE_NEWNS), ("net", CLONE_NEWNET), ("pid", CLONE_NEWPID)):
            # Entering the user namespace one is already in is an error (setns(2), EINVAL).
            if kind != "user" or os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user"):
                fds.append((os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC), flag))
        for fd, flag in fds:
            _call("enter the namespaces of the lab", _libc.setns(fd, flag))
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise NotPermitted(f"the namespaces of process {pid} belong to somebody else") from error
        raise KernelError(f"the namespaces of process {pid} cannot be opened: {error.strerror}") from error
    finally:
        for fd, _ in fds:
            os.close(fd)


def mount_namespace() -> None:
    """Gives this process a mount namespace of its own, whose mounts nobody else sees.

    Raises:
        KernelError: the kernel refused.
    """
    _call("make a mount namespace", _libc.unshare(CLONE_NEWNS))
    _call("make mounts private", _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))


def bind_mount(source: Path, target: Path) -> None:
    """Shows the file `source` at `target`, which must exist.

    Raises:
        KernelError: the kernel refused.
    """
    _call(f"mount on {target}", _libc.mount(bytes(source), bytes(target), None, _MS_BIND, None))


def die_with_parent() -> None:
    """Asks the kernel to kill this process when the *thread* that made it ends (prctl(2), PR_SET_PDEATHSIG).

    To be called after any change of credentials, which clears the wish.
    """
    _call("tie the process to its parent", _libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))


def outlive_parent() -> None:
    """Takes `die_with_parent` back."""
    _call("let the process live on", _libc.prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0))


def _call(what: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        cause = OSError(number, os.strerror(number))
        kind = NotPermitted if number in (errno.EPERM, errno.EACCES) else KernelError
        raise kind(f"the kernel refused to {what}: {cause.strerror}") from cause


def _become_root(uid: int, gid: int) -> None:
    """Maps the user to root of the new user namespace.

    user_namespaces(7): writing "deny" to setgroups comes before a gid_map written without CAP_SETGID.
    """
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _hide_run() -> None:
    """Covers ``/run`` with an empty tmpfs, so that names made for iproute2 are seen by nobody outside."""
    _call("make mounts private", _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
    # Where /var/run is not the usual link to /run, a tool that looks there must not find the host's files either.
    for place in sorted({os.path.realpath("/run"), os.path.realpath("/var/run")}):
        options = _MS_NOSUID_NODEV
        _call(f"mount a tmpfs on {place}", _libc.mount(b"tmpfs", place.encode(), b"tmpfs", options, b"mode=0755"))
    NAMED.mkdir(parents=True)


_KNOBS = {
    "kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
    "user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=10000"),
    "kernel/apparmor_restrict_unprivileged_userns": ("1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
}
"""Settings that forbid user namespaces: the value that forbids, and what an administrator can do."""


def _forbidden(error: OSError) -> NotPermitted:
    """The refusal to isolate, with the setting that is to blame where one can be seen."""
    for path, (forbidding, remedy) in _KNOBS.items():
        with contextlib.suppress(OSError):
            if (_SETTINGS / path).read_text().strip() == forbidding:
                setting = path.replace("/", ".")
                return NotPermitted(
                    f"network namespaces are not permitted here: {setting} is {forbidding}",
                    hint=f"run as root, or let an administrator set: {remedy}",
                )
    return NotPermitted(
        f"network namespaces are not permitted here: {error.strerror}",
        hint="run as root. In a container, its seccomp profile or missing capabilities forbid namespaces: "
        "give it CAP_SYS_ADMIN and CAP_NET_ADMIN, or seccomp=unconfined",
    )


def _sysctl_hint(error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "/proc/sys is read-only here, as in an unprivileged container: run the container privileged"
    if error.errno == errno.ENOENT:
        return "this kernel lacks the feature: the lab needs IPv4 and IPv6"
    return ""
