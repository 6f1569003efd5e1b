"""Namespaces: entered by one thread, left again, named for nobody outside, and refused in plain words."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from pathlib import Path

import pytest

from outgate.errors import KernelError, NotPermitted
from outgate.host import namespaces, process
from outgate.lab.session import run_in_lab

pytestmark = pytest.mark.kernel


def here() -> str:
    """The network namespace of the calling thread."""
    return os.readlink("/proc/thread-self/ns/net")


def test_a_lab_is_a_world_of_its_own() -> None:
    """Its first process sees no named namespace of the machine, no link but loopback, and is process 1."""
    outside = here(), os.readlink("/proc/self/ns/mnt"), os.readlink("/proc/self/ns/pid")

    def inside() -> int:
        assert os.getpid() == 1
        mine = here(), os.readlink("/proc/self/ns/mnt"), os.readlink("/proc/self/ns/pid")
        assert not set(mine) & set(outside)
        assert list(namespaces.NAMED.iterdir()) == []
        assert [name for _, name in socket.if_nameindex()] == ["lo"]
        namespaces.create("seen-by-nobody")
        return 0

    assert run_in_lab(inside) == 0
    assert not (namespaces.NAMED / "seen-by-nobody").exists()


def test_entering_moves_this_thread_and_leaving_brings_it_back() -> None:
    """Membership is the thread's: another thread must not be moved along, nor this one stay after an error."""

    def inside() -> int:
        before = here()
        space = namespaces.create("one")
        with space.enter():
            entered = here()
            elsewhere: list[str] = []
            walked = threading.Thread(target=lambda: elsewhere.append(here()))
            walked.start()
            walked.join()
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        assert entered != before == here()
        assert elsewhere == [entered], "a thread begins where the one that started it is"
        with pytest.raises(ZeroDivisionError), space.enter():
            raise ZeroDivisionError
        assert here() == before
        with pytest.raises(OSError, match="unreachable"):
            sock.connect(("192.0.2.1", 9))
        sock.close()
        return 0

    assert run_in_lab(inside) == 0


def test_settings_are_made_in_the_new_namespace_alone() -> None:
    """A sysctl that landed in the machine's own namespace would change how the machine routes."""
    setting = Path("/proc/sys/net/ipv4/ip_default_ttl")
    before = setting.read_text()

    def inside() -> int:
        own = setting.read_text()
        space = namespaces.create("one", {"net/ipv4/ip_default_ttl": "77"})
        assert setting.read_text() == own
        with space.enter():
            assert setting.read_text() == "77\n"
        assert namespaces.run_in(space, ("cat", str(setting))).stdout == "77\n"
        return 0

    assert run_in_lab(inside) == 0
    assert setting.read_text() == before


def test_a_setting_that_is_refused_is_named_and_the_thread_comes_back() -> None:
    """A kernel without IPv6 is met by people who have never heard of a sysctl."""

    def inside() -> int:
        before = here()
        with pytest.raises(KernelError, match=r"net\.ipv4\.nonesuch=1 was refused: No such file") as caught:
            namespaces.create("one", {"net/ipv4/nonesuch": "1"})
        assert "lacks the feature" in caught.value.hint
        with pytest.raises(KernelError, match=r"net\.ipv4\.ip_default_ttl=x was refused"):
            namespaces.create("two", {"net/ipv4/ip_default_ttl": "x"})
        assert here() == before
        namespaces.create("three")
        with pytest.raises(KernelError, match="three cannot be made"):
            namespaces.create("three")
        assert here() == before
        return 0

    assert run_in_lab(inside) == 0


def test_read_only_settings_are_told_as_what_they_are() -> None:
    """Container engines mount /proc/sys read-only; the message must say so."""

    def inside() -> int:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mount(b"/proc/sys", b"/proc/sys", None, 0x1000, None) == 0
        assert libc.mount(None, b"/proc/sys", None, 0x1000 | 0x20 | 0x1, None) == 0
        with pytest.raises(KernelError) as caught:
            namespaces.create("one", {"net/ipv4/ip_default_ttl": "77"})
        assert "read-only" in caught.value.hint
        return 0

    assert run_in_lab(inside) == 0


def test_a_namespace_that_is_not_there_is_an_error() -> None:
    """A shell for a pod that a newer lab does not have any more."""

    def inside() -> int:
        with pytest.raises(KernelError, match="no network namespace nonesuch"):
            namespaces.opened("nonesuch")
        made = namespaces.create("one")
        again = namespaces.opened("one")
        with made.enter():
            first = here()
        made.close()
        with again.enter():
            assert here() == first
        return 0

    assert run_in_lab(inside) == 0


def test_commands_run_where_they_are_sent() -> None:
    """`run_in` must move the command and nobody else."""

    def inside() -> int:
        space = namespaces.create("one")
        before = here()
        with space.enter():
            expected = here()
        assert namespaces.run_in(space, ("readlink", "/proc/self/ns/net")).stdout.strip() == expected
        assert here() == before
        assert process.run(("readlink", "/proc/self/ns/net")).stdout.strip() == before
        return 0

    assert run_in_lab(inside) == 0


def test_a_process_that_has_ended_cannot_be_joined() -> None:
    """Between finding a lab and entering it, it may end."""
    child = process.fork(lambda: 0)
    os.waitpid(child, 0)
    with pytest.raises(KernelError, match="cannot be opened"):
        namespaces.join(child)


@pytest.mark.parametrize(
    ("knob", "value", "remedy"),
    [
        ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces="),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
    ],
)
def test_each_setting_that_forbids_is_named_with_its_remedy(
    knob: str, value: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian, hardened kernels and Ubuntu forbid in three ways, and each has another cure."""
    monkeypatch.setattr(namespaces, "_SETTINGS", tmp_path)
    (tmp_path / knob).parent.mkdir()
    (tmp_path / knob).write_text(f"{value}\n")
    refused = namespaces._forbidden(PermissionError(1, "Operation not permitted"))
    assert isinstance(refused, NotPermitted)
    assert f"{knob.replace('/', '.')} is {value}" in refused.message
    assert remedy in refused.hint
    (tmp_path / knob).write_text("7777\n")
    refused = namespaces._forbidden(PermissionError(1, "Operation not permitted"))
    assert "Operation not permitted" in refused.message
    assert "seccomp" in refused.hint
