"""The whole run: choose, plan, build, enforce, probe, compare.

Everything that can be known without a namespace (who plays, what is asked, what is wrong with the input) is settled
in `prepare`, in the caller's process; `perform` is what happens inside the lab.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from outgate.analysis.names import having_asked_for, shared_addresses
from outgate.host.descriptors import raise_descriptor_limit
from outgate.lab import assertion_probes, proxy
from outgate.lab import flows as flow_files
from outgate.lab.addressing import address
from outgate.lab.answers import Answers, Box
from outgate.lab.asking import ask
from outgate.lab.attempt import Observation
from outgate.lab.build import Stage, build
from outgate.lab.compare import compare, relevant
from outgate.lab.enforce import Tracer, enforce
from outgate.lab.everything import Scope, plan_everything, planner
from outgate.lab.moving import TTL, NamePlan, NameWishes, plan_names
from outgate.lab.names import Zone
from outgate.lab.plan import Plan, Probe, listeners
from outgate.lab.probe import PATIENCE, Engine
from outgate.lab.representatives import MAX_PODS, choose
from outgate.lab.requests import RequestPlan, plan_requests
from outgate.lab.rounds import go_through
from outgate.lab.sockets import Loop
from outgate.lab.topology import Topology
from outgate.model import Direction, Snapshot
from outgate.model.objects import Address
from outgate.packets import Protocol
from outgate.policy import Policies
from outgate.policy.rules import origin_of
from outgate.report.lab import LabReport, ProbeResult

__all__ = ["Prepared", "Wishes", "perform", "prepare", "serve"]

_MOST_TRACED = 200
"""Disagreements whose kernel rules are looked up; where there are more, they have one cause."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for beside the input."""

    flows: flow_files.Asked | None = None
    """Only these; None for everything that matters."""
    enforce: bool = True
    max_pods: int = MAX_PODS
    per_workload: int | None = None
    names: Mapping[str, Sequence[Address]] = field(default_factory=dict)
    moves: Mapping[str, Sequence[Address]] = field(default_factory=dict)
    """Where names move to in the course of the run, beside what the lab thinks of itself."""
    ttl: int = TTL
    """Seconds for which names that move may be kept."""
    families: tuple[int, ...] = (4, 6)
    namespace: str | None = None
    """Only flows with an end in this namespace."""
    patience: float = PATIENCE


@dataclass(frozen=True)
class Prepared:
    """A run that only needs a lab."""

    snapshot: Snapshot
    """With every address final."""
    topology: Topology
    policies: Policies
    zone: Zone
    plan: Plan
    wishes: Wishes
    dns_at: frozenset[tuple[str, Protocol, int]]
    proxied: bool = False
    """Policies have rules about requests or TLS names, and there is an Envoy that looks into them."""
    requests: RequestPlan = field(default_factory=RequestPlan)
    moving: NamePlan = field(default_factory=NamePlan)


def prepare(snapshot: Snapshot, wishes: Wishes) -> Prepared:
    """Settles everything that needs no namespace.

    Raises:
        InvalidInput: addresses that cannot be, or flows about what is not there; all of them, located.
        TooComplex: the plan would be too large.
    """
    asked = wishes.flows or flow_files.Asked()
    names = {name: found for suite in asked.suites for name, found in suite.names.items()}
    wishes = replace(wishes, names={**names, **wishes.names})
    named = (*flow_files.named_pods(asked.flows, snapshot), *assertion_probes.named_pods(asked.suites, snapshot))
    cast = choose(snapshot, max_pods=wishes.max_pods, per_workload=wishes.per_workload, named=named)
    final = address(cast.snapshot)
    topology = Topology.of(final)
    zone = Zone.of(final, wishes.names)
    final = having_asked_for(final, {name: zone.resolve(name) for name in wishes.names})
    policies = Policies(final)
    made = planner(topology, policies, zone)
    dns_at = frozenset((made.box_of(made.endpoint(end)), protocol, port) for end, protocol, port in made.dns_ports)
    if wishes.flows is None:
        plan = plan_everything(topology, policies, zone, Scope(wishes.families, wishes.names, wishes.namespace))
    else:
        made.add(flow_files.drafts(asked.flows, made, wishes.families))
        probes = assertion_probes.AssertionProbes(made, wishes.families, wishes.names)
        made.add(probes.drafts(asked.suites))
        plan = Plan(tuple(made.probes), tuple(probes.notes))
    looked_into = _looks_into(final)
    proxied = looked_into and proxy.is_installed()
    by_name = _of_moves(wishes, proxied=proxied)
    moving = NamePlan() if wishes.flows is not None else plan_names(final, topology, zone, by_name)
    requests = RequestPlan()
    # Whoever names flows has said what is to be sent.
    if proxied and wishes.flows is None:
        requests = plan_requests(plan.probes, made.judge, tried=moving.looked_into)
    missing = (proxy.MISSING,) if looked_into and not proxied else ()
    if proxied and wishes.flows is None:
        missing = (
            "rules about requests and TLS names: in the tables nothing is asked, so what they alone open is denied",
        )
    more = (*requests.notes, *_of_names(final, wishes.names, heard=moving.policies is not None), *moving.notes)
    return Prepared(
        final,
        topology,
        policies,
        zone,
        replace(plan, notes=(*cast.notes(), *plan.notes, *missing, *more)),
        wishes,
        dns_at,
        proxied=proxied,
        requests=requests,
        moving=moving,
    )


def _of_moves(wishes: Wishes, *, proxied: bool) -> NameWishes:
    return NameWishes(wishes.names, wishes.moves, wishes.ttl, wishes.families, wishes.namespace, proxied)


def _looks_into(snapshot: Snapshot) -> bool:
    rules = (rule for policy in snapshot.cilium_policies for rule in policy.egress)
    return any(entry.looks_into for rule in rules for entry in rule.ports)


def _of_names(snapshot: Snapshot, names: Mapping[str, Sequence[Address]], *, heard: bool) -> Iterator[str]:
    """What the reader must know of names; `heard`: a DNS proxy hears what pods ask in the course of the run."""
    yield from shared_addresses(snapshot, names)
    every = (rule for policy in snapshot.cilium_policies for rule in policy.egress)
    tables = "in the tables " if heard else ""
    if any(entry.dns for rule in every for entry in rule.ports):
        yield f"rules about questions of DNS: every name may be asked {tables or 'in the lab '}".rstrip()
    if snapshot.learned:
        asked = "each pod is taken to have asked for the names that were given, where it may ask"
        yield f"rules about names: {tables}{asked}"


def perform(prepared: Prepared, progress: Progress = lambda _, __, ___: None) -> tuple[LabReport, Stage, Answers]:
    """Builds, enforces, probes and compares; must run inside `session.run_in_lab`.

    Raises:
        KernelError: the kernel refused something.
    """
    begun = time.monotonic()
    raise_descriptor_limit()
    progress("building", 0, 1)
    stage = build(prepared.snapshot)
    answers = _answers(prepared, stage)
    envoys = proxy.Proxies()
    if prepared.wishes.enforce:
        progress("enforcing", 0, 1)
        enforce(stage, prepared.policies, proxied=prepared.proxied)
        if prepared.proxied:
            envoys = proxy.start(stage, prepared.policies, answers.loop)
    engine = Engine(answers, patience=prepared.wishes.patience)
    probes = prepared.plan.probes
    observations = engine.run(probes, lambda done, total: progress("probing", done, total))
    requests = ask(answers, prepared.requests.probes, patience=prepared.wishes.patience)
    named = go_through(
        prepared.moving,
        stage,
        engine,
        enforced=prepared.wishes.enforce,
        proxied=prepared.proxied,
        envoys=envoys,
        progress=lambda done, total: progress("moving names", done, total),
    )
    seconds = time.monotonic() - begun
    titles = {name: box.title for name, box in answers.boxes.items()}
    results = compare(probes, observations, titles)
    results = _traced(prepared, stage, probes, observations, results)
    report = LabReport(
        topology=_described(prepared),
        probes=results,
        seconds=seconds,
        enforced=prepared.wishes.enforce,
        policies=tuple(
            origin_of(one, Direction.EGRESS if Direction.EGRESS in one.types else Direction.INGRESS)
            for one in prepared.snapshot.every_policy
        ),
        notes=prepared.plan.notes,
        unmentioned=prepared.plan.unmentioned,
        at_once=engine.room,
        requests=requests,
        names=named.names,
        questions=named.questions,
        moved=tuple(sorted(name for name, many in prepared.moving.stations.items() if len(many) > 1)),
    )
    return report, stage, answers


def serve(answers: Answers) -> None:
    """Lets the servers answer on in a thread of their own, for as long as the process lives."""
    threading.Thread(target=answers.serve, args=(threading.Event(),), daemon=True, name="answers").start()


def _answers(prepared: Prepared, stage: Stage) -> Answers:
    """Servers in every box."""
    names = {stage.world.namespace: "the world"}
    names.update((box.namespace, f"node {box.name}") for box in stage.nodes.values())
    names.update((box.namespace, str(box.pod)) for box in stage.pods.values() if box.interface)
    boxes = {name: Box(number, stage.spaces[name], title) for number, (name, title) in enumerate(names.items())}
    answers = Answers(Loop(), boxes, prepared.zone, prepared.dns_at)
    answers.listen(_wanted(prepared))
    return answers


def _wanted(prepared: Prepared) -> Mapping[str, frozenset[tuple[Protocol, int]]]:
    """Where somebody must listen: on what is probed, on the ports of containers, and where DNS is."""
    wanted = {name: set(many) for name, many in prepared.plan.listeners().items()}
    for box in prepared.topology.pods.values():
        declared = ((Protocol[port.protocol], port.port) for port in box.pod.ports)
        wanted.setdefault(box.namespace, set()).update(declared)
    for name, many in listeners(prepared.moving.probes).items():
        wanted.setdefault(name, set()).update(many)
    for name, protocol, port in prepared.dns_at:
        wanted.setdefault(name, set()).add((protocol, port))
    return {name: frozenset(many) for name, many in wanted.items()}


def _traced(
    prepared: Prepared,
    stage: Stage,
    probes: Sequence[Probe],
    observations: Sequence[Observation],
    results: tuple[ProbeResult, ...],
) -> tuple[ProbeResult, ...]:
    """The results, those that disagree with the kernel rules that decided."""
    if not prepared.wishes.enforce:
        return results
    tracer, found, traced = Tracer(stage), list(results), 0
    for index, result in enumerate(results):
        if result.disagrees and traced < _MOST_TRACED:
            traced += 1
            flow = relevant(probes[index], observations[index]).trace.flow
            found[index] = replace(result, kernel=tracer.rules(flow))
    return tuple(found)


def _described(prepared: Prepared) -> dict[str, object]:
    described = prepared.topology.describe()
    return {**described, "notes": list(prepared.plan.notes)} if prepared.plan.notes else described
