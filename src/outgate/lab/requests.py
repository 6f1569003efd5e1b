"""Which requests are asked to see that rules about requests and TLS names hold.

For each such rule, and each family, one flow of the plan that passes only if a condition is met; and on it, for each
entry of the rule, a request that it lets through, and one that nobody does: the same with another method, else with
another path, else of another host. For names of TLS servers likewise: one that is allowed, and one that is not.

A request is made of the entry's own expressions (`Expression.example`), and the model judges it before it is asked.
What cannot be made into a request that the model is sure of is not asked, and a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from outgate.lab.plan import Party, Probe
from outgate.model import Direction
from outgate.model.cilium import HttpMatch
from outgate.model.expressions import read_expression
from outgate.packets import Address, Protocol
from outgate.policy import Endpoint, Judge, Origin, Rule, Verdict
from outgate.policy.meeting import About
from outgate.policy.requests import Request, asked_headers, can_be_met, is_looked_into, is_settled
from outgate.policy.rules import Conditions
from outgate.policy.server_names import parse_server_name

__all__ = ["ANY_HOST", "RequestPlan", "RequestProbe", "plan_requests", "requests_of"]

MOST_ENTRIES = 20
"""Entries of one rule for which a request is asked."""

_METHODS = ("GET", "DELETE", "POST", "PUT", "PATCH", "OPTIONS")
"""Those that are asked. HEAD has no body that could say who answers, CONNECT no path."""
ANY_HOST = "outgate.invalid"
"""Where no rule asks for one."""
_A_TEXT = re.compile(r"[-A-Za-z0-9_./]+")
_NOBODY = "nobody.invalid"
_ELSEWHERE = "/outgate-asks-for-what-nobody-allows"
_NOT_OURS = ("connection", "expect", "host", "keep-alive", "te", "trailer", "upgrade")
_NOT_OURS_EITHER = ("content-", "proxy-", "transfer-", "x-envoy-")
"""Headers, and beginnings of headers, that say how a message is sent or that a proxy does not take from a client."""


@dataclass(frozen=True, slots=True)
class RequestProbe:
    """One request, or one client of TLS, on a flow that a rule lets through for some of them."""

    box: str
    source: Endpoint
    address: Address
    """What is dialled."""
    port: int
    party: Party
    """Who should answer, and what the policies make of it."""
    about: About
    rule: Origin
    """The rule for which it is asked."""

    @property
    def verdict(self) -> Verdict:
        """Whether it may pass."""
        return self.party.verdict


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """What is asked, and in sentences what is not."""

    probes: tuple[RequestProbe, ...] = ()
    notes: tuple[str, ...] = ()


_Key = tuple[Origin, Conditions]
"""What a rule comes from, and what it asks: one of the API may be several with conditions of their own."""


@dataclass(slots=True)
class _Trials:
    """The flow on which each rule is tried, by family."""

    flows: dict[tuple[_Key, int], tuple[Rule, Probe]] = field(default_factory=dict)

    def consider(self, probe: Probe, judge: Judge) -> None:
        """Takes the flow for each rule that would let it through on a condition and has none yet."""
        trace = judge.judge(replace(probe.parties[0].trace.flow, about=None))
        if not trace.verdict.allows or trace.ingress.conditional:
            return
        for rule in filter(is_looked_into, trace.egress.conditional):
            self.flows.setdefault((_key(rule), probe.address.version), (rule, probe))

    def missing(self, judge: Judge, elsewhere: Collection[Origin]) -> Iterator[str]:
        """The rules about requests that are not tried, here or elsewhere."""
        tried = {key for key, _ in self.flows}
        for pod in judge.policies.snapshot.endpoints:
            for rule in judge.policies.isolation(pod, Direction.EGRESS).rules:
                if is_looked_into(rule) and _key(rule) not in tried and rule.origin not in elsewhere:
                    yield f"requests: {rule.origin}: no flow of the plan passes on its condition"


def plan_requests(probes: Sequence[Probe], judge: Judge, tried: Collection[Origin] = ()) -> RequestPlan:
    """What is asked on flows of a plan whose policies have rules about requests; `tried` are those tried elsewhere."""
    trials = _Trials()
    for probe in probes:
        if probe.protocol is Protocol.TCP and not probe.service and not probe.asks_dns and len(probe.parties) == 1:
            trials.consider(probe, judge)
    asked: list[RequestProbe] = []
    notes = list(trials.missing(judge, tried))
    for rule, probe in trials.flows.values():
        found = list(requests_of(rule, probe, judge))
        asked += found
        for wanted, word in ((Verdict.ALLOW, "allows"), (Verdict.DENY, "refuses")):
            if all(one.verdict is not wanted for one in found):
                notes.append(f"requests: {rule.origin}: none was found that it surely {word}")
    return RequestPlan(tuple(asked), tuple(dict.fromkeys(notes)))


def _key(rule: Rule) -> _Key:
    return rule.origin, rule.conditions or Conditions()


def requests_of(rule: Rule, probe: Probe, judge: Judge) -> Iterator[RequestProbe]:
    """For each entry of a rule about requests or TLS names, what it lets through on a flow, and what nobody does."""
    conditions = rule.conditions
    assert conditions is not None, "it is looked into"
    seen: set[About] = set()
    for pair in (
        *(_requests(one) for one in conditions.http[:MOST_ENTRIES]),
        *(_names(one) for one in conditions.server_names[:MOST_ENTRIES]),
    ):
        for wanted, candidates in pair:
            for about in candidates:
                one = _asked(rule, probe, judge, about)
                if one is not None and one.verdict is wanted:
                    if about not in seen:
                        seen.add(about)
                        yield one
                    break


_Pair = tuple[tuple[Verdict, tuple[About, ...]], ...]


def _asked(rule: Rule, probe: Probe, judge: Judge, about: About) -> RequestProbe | None:
    """The probe; None where the model is not sure what becomes of it."""
    party = probe.parties[0]
    trace = judge.judge(replace(party.trace.flow, about=about))
    if trace.verdict.allows and trace.egress.conditional:
        return None
    judged = Party(party.box, party.port, trace)
    return RequestProbe(probe.box, probe.source, probe.address, probe.port, judged, about, rule.origin)


def _requests(entry: HttpMatch) -> _Pair:
    """Requests that an entry lets through, and such as it should not."""
    good = _request(entry)
    if good is None:
        strange = (Request(one, _ELSEWHERE, _NOBODY) for one in _METHODS)
        return ((Verdict.DENY, tuple(About(request=one) for one in strange)),)
    others = (
        *(replace(good, method=one) for one in reversed(_METHODS) if one != good.method),
        replace(good, path=_ELSEWHERE),
        replace(good, host=_NOBODY),
    )
    # DELETE is what one thinks of first beside GET.
    bad = sorted(others, key=lambda one: one.method != "DELETE" or one.path != good.path)
    return (Verdict.ALLOW, (About(request=good),)), (Verdict.DENY, tuple(About(request=one) for one in bad))


def _request(entry: HttpMatch) -> Request | None:
    if not can_be_met(entry):
        return None
    headers = tuple((one.name, "1" if one.value is None else one.value) for one in asked_headers(entry))
    if not all(_may_be_sent(*one) for one in headers):
        return None
    method = _first(entry.method, _METHODS)
    path = _first(entry.path, ("/", *_examples(entry.path)))
    host = _first(entry.host, (ANY_HOST, *_examples(entry.host)))
    if method is None or path is None or host is None or not path.startswith("/") or not is_settled(path):
        return None
    return Request(method, path, host, headers) if host and " " not in path + host else None


def _may_be_sent(name: str, value: str) -> bool:
    ours = name.lower() not in _NOT_OURS and not name.lower().startswith(_NOT_OURS_EITHER)
    return ours and value.isascii() and value == value.strip()


def _examples(expression: str) -> Iterable[str]:
    """What is written, where it is a text of its own (``api.example.com``), before what is made of it."""
    found = read_expression(expression).example() if expression else None
    written = expression.replace("\\.", ".").replace("[.]", ".")
    own = (written,) if _A_TEXT.fullmatch(written) else ()
    return own if found is None else (*own, found, "/" + found)


def _first(expression: str, candidates: Iterable[str]) -> str | None:
    """The first that surely matches."""
    read = read_expression(expression) if expression else None
    return next((one for one in candidates if read is None or read.matches(one)), None)


def _names(pattern: str) -> _Pair:
    """A name of a TLS server that a pattern means, and one that it does not."""
    parsed = parse_server_name(pattern)
    good = ("a." if parsed.labels else "") + parsed.name
    bad = (f"other.{_NOBODY}", _NOBODY)
    return (Verdict.ALLOW, (About(server_name=good),)), (Verdict.DENY, tuple(About(server_name=one) for one in bad))
