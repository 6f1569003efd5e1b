"""A command that lives its life in a lab, for tests that interrupt, kill and keep it from outside.

    python driver.py talk | wait | stubborn | forbidden | keep NAME | shell NAME POD [COMMAND...] | down NAME

It needs only the standard library and `outgate`, so that any user's Python can run it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import struct
import sys
from pathlib import Path

from outgate.errors import OutgateError
from outgate.host import namespaces, process
from outgate.lab import addressing, keeper
from outgate.lab.build import Stage, build
from outgate.lab.session import Outcome, run_in_lab
from outgate.lab.shell import shell
from outgate.model import ContainerPort, Pod, Service, ServicePort, Snapshot


def stage() -> Stage:
    """Two pods on two nodes, and a Service, as no root would be needed for."""
    pods = [
        Pod("a", "one", node="n1"),
        Pod("a", "two", {"app": "two"}, node="n2", ports=(ContainerPort(8080, "TCP", "http"),)),
        Pod("b", "two", node="n2"),
    ]
    service = Service("kube-system", "kube-dns", selector={"app": "two"}, ports=(ServicePort(53, "UDP"),))
    return build(addressing.address(Snapshot.of(pods=pods, services=[service])))


def say(*words: object) -> None:
    """Print a line at once: somebody waits for it."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def announce() -> None:
    """Tell the tests which processes there are: the lab's first, the warden above it, and those it started."""
    first = os.readlink("/proc/self")
    warden = next(
        line.split()[1] for line in Path(f"/proc/{first}/status").read_text().splitlines() if line.startswith("PPid")
    )
    orphan = process.fork(_orphaning)
    child = process.fork(_sleeping)
    os.waitpid(orphan, 0)
    say("ready", first, warden, _outside(child))


def _outside(child: int) -> str:
    """The number by which the world knows a child of this process namespace; other labs use the same inner ones."""
    own = os.readlink("/proc/self/ns/pid")
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            numbers = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("NSpid"))
            if numbers.split()[-1] == str(child) and os.readlink(folder / "ns" / "pid") == own:
                return folder.name
    raise LookupError(child)


def _orphaning() -> int:
    """Leave a process behind that nobody waits for and that has left the session: a daemon."""
    process.fork(_daemon)
    return 0


def _daemon() -> int:
    os.setsid()
    return _sleeping()


def _sleeping() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        signal.pause()


def waiting() -> int:
    """Wait for a signal that never means anything but the end."""
    announce()
    while True:
        signal.pause()


def stubborn() -> int:
    """Hear the first interruption and go on."""
    # Straight to the file: the signal may come while the buffer is being written.
    signal.signal(signal.SIGINT, lambda *_: os.write(1, b"no\n"))
    announce()
    while True:
        signal.pause()


def talking() -> int:
    """Build a lab and send one exchange over each family, through a wire and out to the world."""
    built = stage()
    one, two = built.pods["a", "one"], built.pods["a", "two"]
    for index, outside in enumerate(("203.0.113.5", "2001:db8::5")):
        for box, address in ((two, str(two.addresses[index])), (built.world, outside)):
            with built.enter(box):
                server = socket.create_server((address, 80), family=(socket.AF_INET, socket.AF_INET6)[index])
            with built.enter(one):
                client = socket.create_connection((address, 80), 5)
            taken, peer = server.accept()
            taken.sendall(b"hello")
            say(peer[0], client.recv(5).decode())
    say(built.run(built.nodes["n1"], ("nft", "list", "tables")).stdout.strip())
    return 0


def forbidden() -> int:
    """Take away every right to make a namespace, then try."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid = os.getuid()
    assert libc.unshare(namespaces.CLONE_NEWUSER) == 0
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    assert libc.capset(struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *[0] * 6)) == 0
    return run_in_lab(lambda: 0)


def main(words: list[str]) -> int:
    """Do what the words say."""
    verb, name, *rest = (*words, "", "")
    try:
        match verb:
            case "keep":
                return run_in_lab(lambda: Outcome(1, stage()), keep=True, name=name)
            case "shell":
                return shell(rest[0], words[3:], name=name)
            case "down":
                lab = keeper.down(name)
                say("down", lab.pid if lab else "nothing")
                return 0
            case "forbidden":
                return forbidden()
        return run_in_lab({"wait": waiting, "stubborn": stubborn, "talk": talking}[verb])
    except OutgateError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n{error.hint}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
