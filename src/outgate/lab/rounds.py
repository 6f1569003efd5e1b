"""Goes through the rounds of names that move: programs the nodes for the DNS proxy, starts it, asks, moves, compares.

    the nodes' kernels get the policies of a cluster in which nobody has been told anything, and the proxy's rules
    round after round: the zone of the lab's DNS servers changes, pods ask and dial, each result is compared
    before the last: what the old addresses opened has left the kernels by itself, and Envoy is told

What a pod may reach is then what its node's proxy has put into the kernel since it asked, and nothing of it was put
there by the lab.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from outgate.lab import dns_proxy
from outgate.lab.asking import ask_by_name
from outgate.lab.build import Stage
from outgate.lab.compare import compare
from outgate.lab.dns_proxy import NameProxies
from outgate.lab.enforce import enforce
from outgate.lab.moving import NamePlan, NameProbe, NameRequest, Round
from outgate.lab.probe import Engine
from outgate.lab.proxy import Proxies
from outgate.lab.questions import ask_names
from outgate.packets import Protocol
from outgate.proxy.orders import Element
from outgate.report.lab import ProbeResult
from outgate.report.lab_names import NameResult, QuestionResult
from outgate.report.lab_requests import RequestResult

__all__ = ["Rounds", "go_through"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Rounds:
    """What came of all of it."""

    names: tuple[NameResult, ...] = ()
    questions: tuple[QuestionResult, ...] = ()
    proxies: NameProxies | None = None


def go_through(
    plan: NamePlan,
    stage: Stage,
    engine: Engine,
    *,
    enforced: bool = True,
    proxied: bool = False,
    envoys: Proxies | None = None,
    progress: Progress = lambda _, __: None,
) -> Rounds:
    """Nothing, where the plan is empty. Without `enforced` the same is asked with neither rules nor a proxy.

    Raises:
        KernelError: the kernel refused something, or a proxy does not start.
    """
    if plan.policies is None:
        return Rounds()
    answers = engine.answers
    proxies = NameProxies(stage)
    if enforced:
        enforce(stage, plan.policies, proxied=proxied, names=True)
        for box in stage.nodes.values():
            (envoys or Proxies()).follow(plan.policies, box, dns_proxy.learned_line(box))
        proxies = dns_proxy.start(stage, plan.policies, proxied=proxied)
    results: list[NameResult] = []
    for at, one in enumerate(plan.rounds):
        progress(at, len(plan.rounds))
        answers.zone = one.zone
        if one.late:
            proxies.await_closed(plan.old, answers.loop, plan.ttl)
            (envoys or Proxies()).read(proxies.standing())
        results += _of_round(one, engine, proxies)
        asked = ask_by_name(answers, one.requests, patience=engine.patience)
        results += (_of_request(*pair) for pair in zip(one.requests, asked, strict=True))
    # Last, for what a pod has asked for is open to it.
    questions = ask_names(answers, plan.questions, patience=engine.patience)
    # A lab that is kept has its names where they were given.
    answers.zone = plan.rounds[0].zone if plan.rounds else answers.zone
    return Rounds(tuple(results), questions, proxies)


def _of_round(one: Round, engine: Engine, proxies: NameProxies) -> Iterator[NameResult]:
    probes = [each.probe for each in one.probes]
    titles = {name: box.title for name, box in engine.answers.boxes.items()}
    found = compare(probes, engine.run(probes), titles)
    standing = proxies.standing() if any(each.disagrees for each in found) else {}
    for each, result in zip(one.probes, found, strict=True):
        yield _result(each, result, standing)


def _result(one: NameProbe, result: ProbeResult, standing: Mapping[Element, float]) -> NameResult:
    made = NameResult(
        source=result.source,
        destination=result.destination,
        address=result.address,
        protocol=result.protocol,
        port=result.port,
        name=one.name,
        rule=one.rule,
        moment=one.moment.value,
        asked=one.probe.lookup is not None,
        expected=result.expected,
        observed=result.observed,
        evidence=result.evidence,
        misled=result.misled,
    )
    return replace(made, evidence=f"{made.evidence}; {_held(result, standing)}") if made.disagrees else made


def _of_request(one: NameRequest, result: RequestResult) -> NameResult:
    return NameResult(
        source=result.source,
        destination=result.destination,
        address=result.address,
        protocol=Protocol.TCP,
        port=result.port,
        name=one.name,
        rule=result.rule,
        moment=one.moment.value,
        asked=one.probe.lookup is not None,
        expected=result.expected,
        observed=result.observed,
        evidence=result.evidence,
        misled=result.misled,
        request=result.asked,
    )


def _held(result: ProbeResult, standing: Mapping[Element, float]) -> str:
    """What the kernel has of a pair, for somebody who looks for what went wrong."""
    pair = result.source.address.packed, result.address.packed
    left = [seconds for element, seconds in standing.items() if (element.source, element.address) == pair]
    return f"the kernel has the address for {max(left):.1f} s more" if left else "the kernel does not have the address"
