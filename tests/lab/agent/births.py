"""The birth of a pod on node n1 of the farm, in the box of pod two: what its network plugin and the API server say.

`outgate-cni` runs as a container runtime runs it: a process of its own, its variables and its configuration on standard
input. What the API server says of a pod that is being made has no address yet.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from outgate.testing import Manifest, pod
from tests.agent.calling import Said, configuration, ended, started, variables
from tests.lab.agent.farm import Farm

__all__ = ["asking", "begun", "called", "previous", "refused", "told", "without_two"]

LATER = 11
"""The protocol's "Try again later": kubelet does."""


def told(name: str, *addresses: str) -> Manifest:
    """What the API server says of the pod in the box of pod two; while it is made, of no address."""
    return pod(f"a/{name}", addresses, on="n1", app="born")


def previous(farm: Farm) -> dict[str, Any]:
    """What the plugin before ours has made: the link and the addresses of pod two's box."""
    box = farm.stage.pods["a", "two"]
    inside = {"name": "eth0", "sandbox": "/var/run/netns/two"}
    ips = [{"address": f"{one}/{one.max_prefixlen}", "interface": 1} for one in box.addresses]
    return {"cniVersion": "1.0.0", "interfaces": [{"name": box.interface}, inside], "ips": ips}


def begun(farm: Farm, name: str, limit: float) -> subprocess.Popen[bytes]:
    """The plugin, started for a pod on n1 and given all that it reads. It waits for its agent, or for its limit."""
    arguments = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=a;K8S_POD_NAME={name};K8S_POD_UID="
    environment = variables("ADD", CNI_ARGS=arguments, CNI_CONTAINERID=name) | {"PATH": os.environ["PATH"]}
    config = configuration(farm.settings("n1").cni_socket, timeoutSeconds=limit, prevResult=previous(farm))
    process = started(environment)
    assert process.stdin is not None
    process.stdin.write(json.dumps(config).encode())
    process.stdin.close()
    process.stdin = None
    return process


def asking(farm: Farm) -> bool:
    """Whether a plugin has its connection to the agent of n1: 03 is a connected socket.

    The agent binds a name beside and renames it (`outgate.agent.cni`), and the kernel goes on to show the first.
    """
    folder = f"{farm.settings('n1').cni_socket.parent}/"
    rows = [line.split() for line in Path("/proc/thread-self/net/unix").read_text().splitlines()]
    return any(row[-1].startswith(folder) and row[5] == "03" for row in rows)


def called(farm: Farm, name: str, limit: float = 60) -> Said:
    """One whole ADD."""
    return ended(begun(farm, name, limit), b"")


def refused(said: Said) -> bool:
    """Whether the runtime is told to try again later, which starts no container."""
    return (said.code, said.answer["code"]) == (1, LATER)


def without_two(farm: Farm) -> None:
    """The box of pod two is there, and nobody knows of a pod in it."""
    farm.server.delete("Pod", "a", "two")
    farm.settle()
