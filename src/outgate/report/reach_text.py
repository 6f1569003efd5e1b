"""The answer to can-reach for people: the verdict first, then a line for each end with the line that decided.

DENY   production/web-api → production/postgres TCP 5433
  egress   denied: isolated by app-egress, default-deny-egress; no rule allows it   02-app-egress.yaml:1
  ingress  allowed: no policy selects production/postgres for ingress
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from outgate.analysis.lookup import AddressTarget, NameTarget, NodeTarget, PodsTarget, Target
from outgate.analysis.reach_asked import Among, AskedOf, asked_of
from outgate.analysis.reachability import Judged, Reachability, Split, by_address
from outgate.analysis.spelling import spell_addresses, spell_protocol, spell_transports
from outgate.packets import AddressSet, TransportSet
from outgate.policy import OUTGATE, Rule, Side, Verdict
from outgate.policy.rules import named_apart
from outgate.report.conditions import conditions_text
from outgate.report.terms import place_text

__all__ = ["line_text", "reach_text", "side_lines", "side_text"]

MOST_LINES = 10
"""Lines of one list; what is left out is counted."""
_GOVERNED = TransportSet.governed()


def reach_text(answer: Reachability) -> str:
    """The whole answer; the first word is ALLOW or DENY."""
    return "\n".join((_headline(answer), *_lines(answer)))


def _headline(answer: Reachability) -> str:
    question = answer.question
    words = f"{answer.verdict.name:<6} {question.source} → {_destination(question.destination)}"
    if answer.ports is not None:
        if answer.failure:
            return words
        allowed = answer.ports.everywhere
        return f"{words} on {spell_transports(allowed)}" if allowed else f"{words} on any port"
    protocol = "" if answer.protocol is None else f" {spell_protocol(answer.protocol)}"
    port = "" if answer.port is None else f" {answer.port}"
    return f"{words}{protocol}{port}"


def _destination(target: Target) -> str:
    if not isinstance(target, AddressTarget | NameTarget) or not target.name:
        return str(target)
    behind = f"alias of {target.alias_of}, " if target.alias_of else ""
    where = "whatever its address"
    if isinstance(target, AddressTarget):
        where = ", ".join(map(str, target.addresses[:3]))
    return f"{target.name} ({behind}{where})"


def _lines(answer: Reachability) -> Iterator[str]:
    if answer.failure:
        yield line_text("nobody", answer.failure)
        return
    yield from _through(answer)
    yield from _such_as(answer)
    asked = asked_of(answer)
    divided = answer.split is not None and bool(answer.split.allowed and answer.split.denied)
    for side in (answer.egress, answer.ingress):
        yield _side_line(side)
        if side.verdict.allows and not divided:
            yield from _only(answer, [one for one in asked if one.part.direction is side.direction])
        else:
            yield from _alternatives("allows", "", side.conditional)
    yield from _split(answer)
    yield from _by_address(answer)
    yield from _only(answer, asked if divided else ())
    yield from _stand_ins(answer)
    yield from _shares(answer)
    yield from _flows(answer)
    if answer.profile != OUTGATE:
        yield line_text("profile", f"this is how {answer.profile.name} judges it")
    for hint in answer.hints:
        words = f"{hint.origin} allows {spell_transports(hint.transports)} there"
        yield line_text("hint", words, place_text(hint.origin))
    for point in answer.open_points:
        yield line_text("open", f"the API leaves this to the network plugin: {point}")


def _only(answer: Reachability, asked: Sequence[AskedOf]) -> Iterator[str]:
    """What is asked of what passes one end; of which ports and between whom, where that is not all of it."""
    for one in asked:
        transports = one.part.transports
        everywhere = answer.ports.everywhere & _GOVERNED if answer.ports is not None else TransportSet()
        all_of_it = answer.ports is None or (bool(everywhere) and not one.among and transports >= everywhere)
        ports = "" if all_of_it else f"{spell_transports(transports)} for "
        between = _between(one.among)
        yield from _alternatives("only", f"{between}{ports}", one.part.rules)


def _alternatives(head: str, of_what: str, rules: Sequence[Rule]) -> Iterator[str]:
    """Of several conditions one is to be met: without an "or", two lines "only" would contradict each other."""
    for number, (rule, words) in enumerate(conditions_text(rules)):
        yield line_text("or" if number else head, f"{'' if number else of_what}{words}", place_text(rule.origin))


def _between(among: Sequence[Among]) -> str:
    if not among:
        return ""
    if all(one.addresses is not None for one in among):
        return f"{spell_addresses(AddressSet.union_of(one.addresses or AddressSet() for one in among), MOST_LINES)}: "
    more = f" and {len(among) - MOST_LINES} more" if len(among) > MOST_LINES else ""
    return f"{', '.join(f'{one.source} → {one.destination}' for one in among[:MOST_LINES])}{more}: "


def line_text(head: str, words: str, place: str = "") -> str:
    """One line below a headline: what it is about, the words, and the place that they come from."""
    return f"  {head:<8} {words}" + (f"   {place}" if place else "")


def side_lines(side: Side) -> Iterator[str]:
    """What one end says, with the place that decided it, and the conditions of which one must be met."""
    yield _side_line(side)
    yield from _alternatives("only" if side.verdict.allows else "allows", "", side.conditional)


def _side_line(side: Side) -> str:
    return line_text(side.direction.value.lower(), side_text(side), place_text(side.decided_by))


def _through(answer: Reachability) -> Iterator[str]:
    """What a Service address or a name turned out to be, where that is one end."""
    if len(answer.flows) != 1:
        return
    flow = answer.flows[0].trace.flow
    asked = answer.question.destination
    same = isinstance(asked, PodsTarget | NodeTarget) or str(flow.destination) == str(asked)
    if flow.dialled is not None:
        port = f"{spell_protocol(flow.protocol)} {flow.coordinate}"
        # Before translation, egress sees what was dialled, which the headline says.
        who = "the receiver's policies" if answer.profile.before_translation else "policies"
        yield line_text("through", f"the Service leads to {flow.destination} {port}, which is what {who} see")
    elif not same and not answer.split:
        yield line_text("there", f"{flow.destination}")


def _such_as(answer: Reachability) -> Iterator[str]:
    """Of a block, the pod or node that the two ends speak of; outside, any address is like the next."""
    if answer.split is None or answer.deciding is None or len(answer.flows) < 2:
        return
    flow = answer.deciding.flow
    known = [end for end in (flow.source, flow.destination) if end.pod is not None or end.node is not None]
    if len(known) == 2:
        yield line_text("such as", f"{flow.source} → {flow.destination}")


def side_text(side: Side) -> str:
    """What one end says, in words."""
    outcome = side.outcome
    if outcome is not None and outcome.passed:
        return f"passed on by {outcome.passed[0].origin}; then {_decided(side)}"
    return _decided(side)


def _decided(side: Side) -> str:
    if side.verdict is Verdict.DENY and side.conditional:
        rules = ", ".join(dict.fromkeys(str(rule.origin) for rule in side.conditional))
        return f"denied: it is not what {rules} allows"
    if side.verdict is Verdict.DENY and side.decided_by is not None and side.decided_by.rule is not None:
        return f"denied by {side.decided_by}"
    if side.verdict is Verdict.DENY and side.isolated:
        return f"denied: isolated by {', '.join(named_apart(side.isolated_by))}; no rule allows it"
    if side.verdict is Verdict.DENY:
        return f"denied: {side.reason}"
    if side.decided_by is not None:
        return f"allowed by {side.decided_by}"
    reason = side.reason.rpartition("; ")[2] if side.outcome is not None and side.outcome.passed else side.reason
    return reason if reason.startswith("allowed") else f"allowed: {reason}"


def _split(answer: Reachability) -> Iterator[str]:
    split = answer.split
    if split is None:
        return
    if isinstance(answer.question.destination, NameTarget):
        every, whole, rest = "outside of the cluster", "every address that the name may have", "the rest"
    else:
        every, whole, rest = "of the block", "the whole block", "the rest of the block"
    if not split.denied or not split.allowed:
        yield line_text("all", f"{'allowed' if split.allowed else 'denied'} for every address {every}")
        return
    # The shorter list is written out; the other is what is left.
    allowed_is_shorter = _written_out(split) is split.allowed
    yield line_text("some", f"the answer is not the same for {whole}:")
    for head, mine, shorter in (
        ("allowed", split.allowed, allowed_is_shorter),
        ("denied", split.denied, not allowed_is_shorter),
    ):
        yield line_text(head, spell_addresses(mine, MOST_LINES) if shorter else rest)


def _written_out(split: Split) -> AddressSet:
    return split.allowed if len(split.allowed.cidrs()) <= len(split.denied.cidrs()) else split.denied


def _groups(answer: Reachability) -> Iterator[AddressSet]:
    """The parts of a block that the lines before have named one by one."""
    split = answer.split
    if split is not None and split.allowed and split.denied:
        yield _written_out(split)
    yield from (addresses for addresses, _ in by_address(answer) if len(addresses.cidrs()) <= MOST_LINES)


def _stand_ins(answer: Reachability) -> Iterator[str]:
    """Of the addresses that are written out for a block: which are nobody's real ones."""
    shown = list(_groups(answer))
    flows = [(one.trace.flow.source, one.trace.flow.destination) for one in answer.flows]
    if answer.ports is not None:
        flows.extend((pair.source, pair.destination) for pair in answer.ports.pairs)
    ends = (end for flow in flows for end in flow)
    pods = {end.address: end.pod for end in ends if end.pod is not None and not end.pod.addressed}
    found = [(address, pod) for address, pod in pods.items() if any(address in group for group in shown)]
    for address, pod in found[:MOST_LINES]:
        yield line_text("where", f"{address} stands for {pod}, which has no address in the input")
    if len(found) > MOST_LINES:
        yield line_text("", f"and {len(found) - MOST_LINES} more pods without an address")


def _by_address(answer: Reachability) -> Iterator[str]:
    cubes = by_address(answer)
    for addresses, transports in cubes[:MOST_LINES]:
        yield line_text("ports", f"{spell_addresses(addresses)}: {spell_transports(transports)}")
    if len(cubes) > MOST_LINES:
        yield line_text("", f"and {len(cubes) - MOST_LINES} more groups of addresses")


def _shares(answer: Reachability) -> Iterator[str]:
    """Which rule allows which ports, where there is one pair of ends and more than one rule."""
    if answer.ports is None or len(answer.ports.pairs) != 1:
        return
    pair = answer.ports.pairs[0]
    for head, shares in (("egress", pair.egress), ("ingress", pair.ingress)):
        ruled = [share for share in shares if share.origin is not None]
        if len(ruled) > 1:
            for share in ruled[:MOST_LINES]:
                words = f"{share.origin} allows {spell_transports(share.transports)}"
                yield line_text(head, words, place_text(share.origin))


def _flows(answer: Reachability) -> Iterator[str]:
    """The single flows where a question stood for several and they differ."""
    if len(answer.flows) < 2 or answer.split is not None:
        return
    allowed = sum(one.trace.verdict.allows for one in answer.flows)
    yield line_text("flows", f"{allowed} of {len(answer.flows)} allowed")
    if answer.ports is None and allowed in (0, len(answer.flows)):
        return
    ordered = sorted(answer.flows, key=lambda one: one.trace.verdict.allows)
    for one in ordered[:MOST_LINES]:
        yield line_text("", _flow(one))
    if len(ordered) > MOST_LINES:
        yield line_text("", f"and {len(ordered) - MOST_LINES} more")


def _flow(one: Judged) -> str:
    flow = one.trace.flow
    port = flow.dialled[1] if flow.dialled is not None else flow.coordinate
    number = f" {port}" if TransportSet.governed().contains(flow.protocol, port) else ""
    verdict = one.trace.verdict.name.lower()
    return f"{verdict:<6} {flow.source} → {flow.destination} {spell_protocol(flow.protocol)}{number}"
