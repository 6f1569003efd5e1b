"""Whether what a flow is about meets the conditions under which rules let it through.

A flow that only says ports passes on a condition, where rules have one. If it says more (a request of HTTP, the name of
a TLS server, the name that DNS is asked for), the condition is met by one of the rules, or the flow is denied.
"""

from __future__ import annotations

import dataclasses

from outgate.policy.names import Dialect, Pattern
from outgate.policy.requests import Request, lets_name, lets_request
from outgate.policy.rules import Conditions, Verdict
from outgate.policy.tiers import Outcome
from outgate.records import dataclass

__all__ = ["UNSEEN", "About", "met"]


@dataclass(frozen=True, slots=True)
class About:
    """What a flow is about: one of the three is given, or none where nobody looks (`UNSEEN`)."""

    request: Request | None = None
    server_name: str | None = None
    """Empty for a client of TLS that names none."""
    question: str | None = None
    """The name that DNS is asked for."""

    def __str__(self) -> str:
        if self.request is not None:
            return f"HTTP {self.request.method} {self.request.path or self.request.host}"
        if self.server_name is not None:
            return f"TLS for {self.server_name or 'no name'}"
        return f"DNS for {self.question}" if self.question is not None else "what nobody looks into"


UNSEEN = About()
"""A flow that no proxy looks into: what is asked of requests and TLS names is not met, and questions of DNS pass."""


def met(outcome: Outcome, about: About) -> Outcome:
    """The outcome for a flow of which it is known what it is about.

    Where it cannot be told whether a condition is met (`outgate.policy.requests`), the condition stays.
    """
    if not outcome.conditional:
        return outcome
    answers = [(rule, _meets(rule.conditions or Conditions(), about)) for rule in outcome.conditional]
    for rule, answer in answers:
        if answer:
            return dataclasses.replace(outcome, rule=rule, conditional=())
    unsure = tuple(rule for rule, answer in answers if answer is None)
    if unsure:
        return dataclasses.replace(outcome, rule=unsure[0], conditional=unsure)
    return dataclasses.replace(outcome, verdict=Verdict.DENY, rule=None)


def _meets(conditions: Conditions, about: About) -> bool | None:
    """Of a kind that is not asked for, a flow meets nothing: what is no HTTP gets no answer of a proxy for HTTP."""
    if about.request is not None:
        return lets_request(conditions.http, about.request) if conditions.http else False
    if about.server_name is not None:
        return lets_name(conditions.server_names, about.server_name)
    if about.question is None:
        return bool(conditions.dns)
    texts = (text for one in conditions.dns for text in one.texts)
    return any(Pattern(text, Dialect.CILIUM).matches(about.question) for text in texts)
