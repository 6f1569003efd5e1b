"""What every test may ask for: the shared reference folder, Hypothesis profiles, and the right to make namespaces.

A test is skipped only where it cannot mean anything: beside no shared folder, or in a kernel that gives nobody a
network namespace. A skipped kernel test proves nothing, so as root under CI it fails instead.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent

# No deadline and no health check by the clock: a slow machine is not a wrong answer.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("default", _UNTIMED, max_examples=100)
settings.register_profile("ci", _UNTIMED, max_examples=100, derandomize=True, database=None)
settings.register_profile("laws", _UNTIMED, max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))

# Some systems let an ordinary user make a namespace and then deny every right inside it, so one is exercised: to set
# the loopback interface of the new namespace up.
_TRY_NAMESPACE = """
import ctypes, fcntl, os, socket, struct, sys
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
flags = CLONE_NEWNET if sys.argv[1] == "root" else CLONE_NEWUSER | CLONE_NEWNET
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(flags) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
    try:
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
    except OSError as error:
        sys.exit(f"a namespace, but no rights in it: {error.strerror}")
"""


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference cases beside the repository; the test is skipped where there is none."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "conformance").is_dir():
        pytest.skip("needs the folder of reference cases, ../shared")
    return folder


@cache
def namespaces_refused() -> str:
    """Why no network namespace can be made here, as root or in a user namespace; empty where one can."""
    reasons = []
    for way in ("root", "user"):
        attempt = subprocess.run(
            [sys.executable, "-c", _TRY_NAMESPACE, way], capture_output=True, text=True, check=False, timeout=60
        )
        if attempt.returncode == 0:
            return ""
        reasons.append(f"{way}: {attempt.stderr.strip()}")
    return "no network namespace can be made here (" + "; ".join(reasons) + ")"


def pytest_configure() -> None:
    """Let programs that tests start be interrupted, and hung up on.

    A shell that starts something in the background has it ignore SIGINT, and nohup(1) SIGHUP; what it starts does, too
    (signal(7): an ignored signal "is inherited" through execve(2)). What tests wait for would never come.
    """
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_collection_finish() -> None:
    """Keep what collecting made (15 000 tests, their modules) out of the collector's sight.

    Most kernel tests live in processes forked from this one, and each full collection in one of them would walk all of
    it and so copy its pages: more than half of their processor time. "If a process will fork() without exec(), avoiding
    unnecessary copy-on-write in child processes will maximize memory sharing" (Python's documentation, `gc.freeze`).
    """
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let a test marked `kernel` run only where it can mean something."""
    if item.get_closest_marker("kernel") is None:
        return
    reason = namespaces_refused()
    if reason and os.environ.get("CI") and os.geteuid() == 0:
        pytest.fail(f"{reason}; as root under CI that is a failure", pytrace=False)
    elif reason:
        pytest.skip(reason)
