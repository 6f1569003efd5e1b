"""Walks: policies about requests come and go at random, and connections are kept through all of it.

Two pods, routed or behind a bridge, ask a server on two ports, and one of them is asked by the other. What may be asked
is worked out here anew from the policies, in a few lines: a denial closes, a rule without conditions opens everything,
rules about requests open theirs, and whom a policy isolates may do nothing else. A kept connection is looked into or is
not, as it was when it was made:

    looked into   each request is judged by the rules of now; without any it goes on as what is allowed
    direct        goes on while a rule without conditions allows it, or none isolates; else it is cut
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from outgate.host import process
from outgate.testing import Manifest
from outgate.testing_cilium import cilium_policy
from tests.lab.agent.bridged import grow_bridged
from tests.lab.agent.cast import CLUSTER, relabelled
from tests.lab.agent.farm import PATIENCE, Farm, grow
from tests.lab.agent.test_http import Fine, program
from tests.lab.agent.test_http_bridged import Everywhere
from tests.lab.proxied import needs_envoy, read_reply

pytestmark = [pytest.mark.kernel, needs_envoy]
needs_bridges = pytest.mark.skipif(not Path("/proc/sys/net/bridge").exists(), reason="br_netfilter is not loaded")

STEPS = 8
PODS = ("one", "two")
DOORS = (("b/three", 8080), ("b/three", 8081), ("a/two", 8080))
"""Whom they ask, and on which port."""
METHODS = ("GET", "DELETE")
KEPT = 6
Door = tuple[str, int]


@dataclass(frozen=True)
class Said:
    """What one policy says: of whom, whether it isolates, and for each door what is let through or denied."""

    name: str
    pods: frozenset[str]
    isolates: bool
    open: frozenset[Door]
    requests: tuple[tuple[Door, str], ...]
    denied: frozenset[Door]

    def manifest(self) -> Manifest:
        """As the API server has it."""
        egress = [_rule(door) for door in sorted(self.open)]
        egress += [_rule(door, {"rules": {"http": [{"method": method}]}}) for door, method in self.requests]
        spec: dict[str, Any] = {
            "endpointSelector": {
                "matchExpressions": [
                    {"key": "app", "operator": "In", "values": sorted(self.pods)},
                    {"key": "free", "operator": "DoesNotExist"},
                ]
            },
            "egress": egress or [{}],
            "enableDefaultDeny": {"egress": self.isolates},
        }
        if self.denied:
            spec["egressDeny"] = [_rule(door) for door in sorted(self.denied)]
        return cilium_policy(f"a/{self.name}", spec)


def _rule(door: Door, more: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    path, port = door
    space, app = path.split("/")
    return {
        "toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": space, "app": app}}],
        "toPorts": [{"ports": [{"port": str(port), "protocol": "TCP"}], **more}],
    }


def may(policies: dict[str, Said], pod: str, door: Door) -> frozenset[str] | None:
    """The methods that pass; None where nobody looks at them."""
    mine = [one for one in policies.values() if pod in one.pods]
    if any(door in one.denied for one in mine):
        return frozenset()
    if any(door in one.open for one in mine):
        return None
    asked = frozenset(method for one in mine for on, method in one.requests if on == door)
    isolated = any(one.isolates for one in mine)
    return asked if asked or isolated else None


@dataclass
class Kept:
    """A connection that stays open."""

    pod: str
    door: Door
    looked_into: bool
    socket: socket.socket

    def ask(self, method: str, patience: float = 5.0) -> int:
        """The status of the answer; 0 where there is none."""
        self.socket.settimeout(patience)
        try:
            self.socket.sendall(f"{method} /x HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            return read_reply(self.socket).status
        except OSError:
            return 0


@contextlib.contextmanager
def serving(farm: Farm) -> Iterator[None]:
    """A server behind each door, a process that dies with this one."""
    with contextlib.ExitStack() as stack:
        for path, port in DOORS:
            with farm.stage.enter(farm.box(path)):
                server = Everywhere(("::", port), Fine)
                pid = process.fork(lambda one=server: one.serve_forever() or 0)  # type: ignore[misc]
            server.socket.close()
            stack.callback(os.waitpid, pid, 0)
            stack.callback(os.kill, pid, signal.SIGKILL)
        yield


class Walk:
    """A farm, the policies that are there, and what is kept."""

    def __init__(self, farm: Farm, seed: int) -> None:
        self.farm = farm
        self.random = random.Random(seed)
        self._families = itertools.cycle([4, 6])
        self.policies: dict[str, Said] = {}
        self.outside: set[str] = set()
        """Pods that no policy selects by their label."""
        self.kept: list[Kept] = []

    def step(self) -> None:
        """One change, and everything is asked again."""
        if (chance := self.random.random()) < 0.15:
            self._restart()
        elif chance < 0.3:
            self._relabel()
        else:
            self._rule()
        self.farm.settle()
        for pod in PODS:
            for door in DOORS:
                self._ask_anew(pod, door)
        self.kept = [one for one in self.kept if self._ask(one)]

    def _restart(self) -> None:
        """Another agent, and with it another Envoy: what that one looked into has ended. The rules change meanwhile."""
        self.farm.kill("n1")
        if self.random.random() < 0.5:
            self._rule()
        self.farm.start("n1")
        for one in self.kept:
            if one.looked_into:
                one.socket.close()
        self.kept = [one for one in self.kept if not one.looked_into]

    def _relabel(self) -> None:
        """A pod comes to the policies, or leaves them."""
        name = self.random.choice(PODS)
        self.outside ^= {name}
        manifest = next(one for one in CLUSTER if one["metadata"]["name"] == name)
        self.farm.server.put(relabelled(manifest, app=name, **({"free": ""} if name in self.outside else {})))

    def _rule(self) -> None:
        name = self.random.choice("pqr")
        if name in self.policies and self.random.random() < 0.3:
            del self.policies[name]
            self.farm.server.delete("CiliumNetworkPolicy", "a", name)
        else:
            self.policies[name] = self._drawn(name)
            self.farm.server.put(self.policies[name].manifest())

    def _drawn(self, name: str) -> Said:
        draw = self.random
        return Said(
            name,
            frozenset(draw.sample(PODS, draw.randint(1, 2))),
            draw.random() < 0.8,
            frozenset(door for door in DOORS if draw.random() < 0.25),
            tuple((door, method) for door in DOORS for method in METHODS if draw.random() < 0.4),
            frozenset(door for door in DOORS if draw.random() < 0.1),
        )

    def _may(self, pod: str, door: Door) -> frozenset[str] | None:
        """What nobody comes between, a pod and itself, passes."""
        free = pod in self.outside or door[0] == f"a/{pod}"
        return None if free else may(self.policies, pod, door)

    def _ask_anew(self, pod: str, door: Door) -> None:
        """New connections are judged by what is said now. One is kept."""
        passing = self._may(pod, door)
        wanted = [200 if passing is None or one in passing else 403 if passing else 0 for one in METHODS]

        def asked() -> list[int]:
            found = []
            for method in METHODS:
                with contextlib.suppress(OSError), self._connected(pod, door, 0.5) as one:
                    found.append(Kept(pod, door, False, one).ask(method))
                    continue
                found.append(0)
            return found

        self._until(wanted, asked, f"anew {pod} {door}")
        if passing != frozenset() and len(self.kept) < KEPT:
            kept = Kept(pod, door, passing is not None, self._connected(pod, door, PATIENCE))
            if not kept.looked_into or self.random.random() < 0.5:
                assert kept.ask(METHODS[0]) == wanted[0]
            self.kept.append(kept)

    def _ask(self, one: Kept) -> bool:
        """Whether a kept connection lives, after what it has to do."""
        passing = self._may(one.pod, one.door)
        if one.looked_into and passing != frozenset():
            wanted = [200 if passing is None or method in passing else 403 for method in METHODS]
            self._until(wanted, lambda: [one.ask(method) for method in METHODS], f"{one}")
            return True
        if passing is None:
            assert [one.ask(method) for method in METHODS] == [200, 200], (one, self.policies)
            return True
        # Nothing gets through: it is cut, or each request is refused.
        answers = {one.ask(method, 1.0) for method in METHODS}
        assert 200 not in answers, (one, self.policies)
        if one.looked_into and answers == {403}:
            return True
        one.socket.close()
        return False

    def _until(self, wanted: list[int], asked: Any, what: str) -> None:
        seen: list[list[int]] = []

        def true() -> bool:
            seen.append(asked())
            return seen[-1] == wanted

        try:
            self.farm.until(true)
        except AssertionError:
            raise AssertionError(f"{what}: wanted {wanted}, saw {seen[-3:]}; {self.policies}") from None

    def _connected(self, pod: str, door: Door, patience: float) -> socket.socket:
        """A connection, if one comes about in so many seconds: what is closed is dropped."""
        family = next(self._families)
        with self.farm.stage.enter(self.farm.box(f"a/{pod}")):
            one = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
        one.settimeout(patience)
        one.connect((self.farm.address(door[0], family), door[1]))
        return one


def _grow(check: Callable[[Farm], None], **settings: object) -> None:
    grow(CLUSTER, check, **settings)


@pytest.mark.parametrize(("growing", "seed"), [(_grow, 1), pytest.param(grow_bridged, 2, marks=needs_bridges)])
def test_a_walk(growing: Callable[..., None], seed: int) -> None:
    """After each change, each new connection and each kept one does what is said now."""

    def check(farm: Farm) -> None:
        walk = Walk(farm, seed)
        with serving(farm):
            for _ in range(STEPS):
                walk.step()
        for one in walk.kept:
            one.socket.close()

    growing(check, envoy=program())
