"""The plugin as a container runtime runs it, and an agent for it to talk to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from outgate.agent import plugin
from outgate.agent.cni import PluginEvent, Server

__all__ = ["PREVIOUS", "Listener", "Said", "call", "configuration", "ended", "started", "variables"]

# As a runtime on a node without Outgate's environment would: the file alone, isolated, without site packages.
ARGV = (sys.executable, "-I", "-S", plugin.__file__)

PREVIOUS: dict[str, Any] = {
    "cniVersion": "1.0.0",
    "interfaces": [
        {"name": "cni0", "mac": "00:11:22:33:44:55"},
        {"name": "veth1a2b", "mac": "00:11:22:33:44:56"},
        {"name": "eth0", "mac": "00:11:22:33:44:57", "sandbox": "/var/run/netns/one"},
    ],
    "ips": [
        {"address": "10.1.0.5/24", "gateway": "10.1.0.1", "interface": 2},
        {"address": "fd00::5/64", "interface": 2},
    ],
    "routes": [{"dst": "0.0.0.0/0"}],
    "dns": {"nameservers": ["10.96.0.10"], "ndots ü": 5},
}
"""What a bridge plugin says."""


@dataclass(frozen=True)
class Said:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        """Standard output; none where it is empty."""
        return json.loads(self.out) if self.out else None


@dataclass
class Listener:
    """A server whose events are kept. With `answers` pods are answered as soon as they are born."""

    path: Path
    answers: bool = True
    ready: bool = True
    events: SimpleQueue[PluginEvent] = field(default_factory=SimpleQueue)

    def __enter__(self) -> Listener:
        self.server = Server(self.path, self._deliver, lambda: self.ready)
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def _deliver(self, event: PluginEvent) -> None:
        self.events.put(event)
        token = getattr(event, "token", 0)
        if self.answers and token and hasattr(event, "claim"):
            self.server.answer(token)

    def next(self) -> PluginEvent:
        """The next event; waited for."""
        return self.events.get(timeout=30)


def variables(command: str, **others: str) -> dict[str, str]:
    """The environment of a call."""
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": "c0ffee",
        "CNI_NETNS": "/var/run/netns/one",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": "/opt/cni/bin",
        "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_UID=u-1",
    } | others


def configuration(path: Path, **others: object) -> dict[str, Any]:
    """A network configuration that leads to a socket; what is None is left out."""
    found = {
        "cniVersion": "1.0.0",
        "name": "net",
        "type": "outgate-cni",
        "socket": str(path),
        "timeoutSeconds": 30,
        "prevResult": PREVIOUS,
    } | others
    return {key: value for key, value in found.items() if value is not None}


def started(environment: Mapping[str, str], argv: Sequence[str] = ARGV) -> subprocess.Popen[bytes]:
    """The plugin, running; it has been given nothing to read yet."""
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(environment))


def ended(process: subprocess.Popen[bytes], text: bytes | Mapping[str, Any]) -> Said:
    """What it says, once it has been given its configuration."""
    out, err = process.communicate(text if isinstance(text, bytes) else json.dumps(text).encode(), timeout=60)
    return Said(process.returncode, out.decode(), err.decode(errors="replace"))


def call(command: str, config: bytes | Mapping[str, Any], /, argv: Sequence[str] = ARGV, **environment: str) -> Said:
    """One whole call."""
    return ended(started(variables(command, **environment) | {"PATH": os.environ["PATH"]}, argv), config)
