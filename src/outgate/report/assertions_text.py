"""What came of assertions, for people: those that fail, each with one packet that proves it, and a count.

FAIL   nothing leaves the batch job but metrics   tests.yaml:14
  found    production/batch → production/postgres TCP 5432 is allowed, and is not listed
  egress   allowed by production/app-egress egress[1]   02-app-egress.yaml:21
  ingress  allowed: no policy selects production/postgres for ingress
1 of 3 assertions fails
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from outgate.analysis.assertions import Verb
from outgate.analysis.coverage import Coverage
from outgate.analysis.spelling import spell_addresses, spell_protocol, spell_transports
from outgate.analysis.verdicts import Failure, Outcome
from outgate.packets import Protocol
from outgate.policy import Endpoint, Flow, Origin
from outgate.report.reach_text import line_text, side_lines
from outgate.report.terms import place_text

__all__ = ["coverage_text", "failure_text", "outcome_text", "plain", "rule_text", "summary_text"]

MOST_LINES = 3
"""Parts of one list in a failure; what is left out is counted."""


def plain(text: str) -> str:
    """A text from a file as it can be shown: no character of it moves the cursor or colours the screen."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def outcome_text(outcome: Outcome) -> str:
    """One assertion; the first word is OK or FAIL."""
    word = "OK" if outcome.holds else "FAIL"
    place = str(outcome.assertion.place)
    head = f"{word:<6} {plain(outcome.assertion.title)}" + (f"   {place}" if place else "")
    return "\n".join((head, *_lines(outcome)))


def failure_text(outcome: Outcome) -> str:
    """What is wrong, without the headline; empty where nothing is."""
    return "\n".join(_lines(outcome))


def summary_text(outcomes: Sequence[Outcome]) -> str:
    """The count."""
    failed = sum(not one.holds for one in outcomes)
    if not failed:
        return "1 assertion holds" if len(outcomes) == 1 else f"{len(outcomes)} assertions hold"
    return f"{failed} of {len(outcomes)} assertions {'fails' if failed == 1 else 'fail'}"


def coverage_text(found: Coverage) -> Iterator[str]:
    """How much is exercised, and a line for each rule that is not."""
    if not found.total:
        yield "coverage: the input has no rules"
        return
    yield f"coverage: {found.exercised} of {found.total} exercised ({found.percent:g} %)"
    for origin in found.missing:
        yield line_text("not", rule_text(origin), place_text(origin))


def rule_text(origin: Origin) -> str:
    """What was not exercised: a rule, or that a policy denies the rest."""
    return str(origin) if origin.rule is not None else f"{origin}, what it denies for {origin.direction.value.lower()}"


def _lines(outcome: Outcome) -> Iterator[str]:
    failure = outcome.failure
    if failure is None:
        return
    if outcome.assertion.because:
        yield line_text("because", plain(outcome.assertion.because))
    trace = failure.trace
    yield line_text("found", f"{_flow(trace.flow, failure.name)} {_complaint(outcome.assertion.verb, failure)}")
    yield from side_lines(trace.egress)
    yield from side_lines(trace.ingress)
    yield from _extent(failure)
    if failure.more:
        shown = ", ".join(map(str, failure.more[:MOST_LINES]))
        rest = len(failure.more) - MOST_LINES
        yield line_text("also", shown + (f" and {rest} more" if rest > 0 else ""))
    for point in trace.open_points:
        yield line_text("open", f"the API leaves this to the network plugin: {point}")


def _complaint(verb: Verb, failure: Failure) -> str:
    if failure.wanted.allows:
        return "is denied, and must be allowed"
    trace = failure.trace
    asks = trace.flow.about is None and bool(trace.egress.conditional or trace.ingress.conditional)
    allowed = "is allowed on a condition" if asks else "is allowed"
    return f"{allowed}, and {'is not listed' if verb.closed else 'must not be'}"


def _flow(flow: Flow, name: str = "") -> str:
    """The ends by name, with the address where it is not the name: that is what the packet carries."""
    number = f" {flow.coordinate}" if Protocol(flow.protocol).has_ports else ""
    about = f" {flow.about}" if flow.about is not None else ""
    return f"{_end(flow.source)} → {name or _end(flow.destination)} {spell_protocol(flow.protocol)}{number}{about}"


def _end(end: Endpoint) -> str:
    if end.pod is None and end.node is None:
        return str(end.address)
    return f"{end} ({end.address})" if end.pod is None or end.pod.addressed else str(end)


def _extent(failure: Failure) -> Iterator[str]:
    """Everything that is wrong between these two ends, where it is more than the one packet."""
    cubes = failure.packets.cubes
    single = len(cubes) == 1 and cubes[0][0].size() == 1
    known = failure.trace.flow.source.pod is not None and failure.trace.flow.destination.pod is not None
    for addresses, transports in cubes[:MOST_LINES]:
        if not single or sum(spans.size() for _, spans in transports.items()) > 1:
            where = "" if failure.name or (single and known) else f"{spell_addresses(addresses)}: "
            yield line_text("all", where + spell_transports(transports))
    if len(cubes) > MOST_LINES:
        yield line_text("", f"and {len(cubes) - MOST_LINES} more groups of addresses")
