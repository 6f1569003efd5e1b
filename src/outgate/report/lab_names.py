"""What a lab found out about names that move, as data, as lines for people and as parts of the JSON document.

    names, through the DNS proxy
      shop/payments → api.example.com TCP 443: unasked denied, asked passed, moved passed   shop/payments egress[0]
      shop/web asks for a.example.com: answered; for tracker.example.net: REFUSED

A connection is at a moment: whether it passes is a matter of what its pod has been told until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outgate.packets import Address, Protocol
from outgate.policy import Endpoint, Origin, Verdict
from outgate.report.terms import Json, end_json, origin_json, without_empty

__all__ = [
    "NameResult",
    "QuestionResult",
    "name_disagreement",
    "name_json",
    "name_lines",
    "question_disagreement",
    "question_json",
    "question_lines",
]


@dataclass(frozen=True, slots=True)
class NameResult:
    """One connection to what a name led to, and what came of it."""

    source: Endpoint
    destination: Endpoint
    address: Address
    """What was dialled."""
    protocol: Protocol
    port: int
    name: str
    rule: Origin
    """The rule for whose sake it was tried."""
    moment: str
    """What had happened to the name until then."""
    asked: bool
    """The pod asked for the name just before."""
    expected: Verdict
    observed: Verdict
    evidence: str
    """What was seen, in words."""
    misled: bool = False
    """The name was answered wrongly, or somebody else answered: a disagreement whatever was expected."""
    request: str = ""
    """``GET /v1/items``, ``TLS for api.example.com``, where the rule looks into connections."""

    @property
    def disagrees(self) -> bool:
        """Whether the model and the packets do not say the same."""
        return self.misled or self.observed is not self.expected


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """One question of DNS, and what it was answered: ``answered``, ``REFUSED``, ``closed`` or ``silence``."""

    source: Endpoint
    server: Address
    name: str
    protocol: Protocol
    expected: str
    observed: str
    evidence: str

    @property
    def disagrees(self) -> bool:
        """Whether the model and the packets do not say the same."""
        return self.observed != self.expected


def name_lines(results: Iterable[NameResult]) -> Iterator[str]:
    """A line for each pod, name and port; both families share one, and moments that came out alike are said once."""
    found: dict[tuple[str, str, str, str], dict[str, None]] = {}
    for one in results:
        mark = "!" if one.disagrees else ""
        key = str(one.source), one.name, f"{one.protocol.name} {one.port}", str(one.rule)
        request = f" {one.request}" if one.request else ""
        said = f"{mark}{one.moment}{request} {'passed' if one.observed.allows else 'denied'}"
        found.setdefault(key, {})[said] = None
    for (source, name, port, rule), outcomes in found.items():
        yield f"  {source} → {name} {port}: {', '.join(outcomes)}   {rule}"


def question_lines(results: Iterable[QuestionResult]) -> Iterator[str]:
    """A line for each pod; TCP is named where it came out otherwise than UDP."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for one in results:
        said = f"{'!' if one.disagrees else ''}{one.observed}"
        found.setdefault(str(one.source), {}).setdefault(one.name, {}).setdefault(said, one.protocol.name)
    for source, names in found.items():
        answers = (
            f"for {name}: {', '.join(f'over TCP {said}' if by == 'TCP' else said for said, by in outcomes.items())}"
            for name, outcomes in names.items()
        )
        yield f"  {source} asks {'; '.join(answers)}"


def name_disagreement(one: NameResult) -> Iterator[str]:
    """What was expected and what came, where that is not the same."""
    request = f": {one.request}" if one.request else ""
    yield f"{one.source} → {one.name} ({one.address}) {one.protocol.name} {one.port}, {one.moment}{request}"
    place = f" ({one.rule.place})" if str(one.rule.place) else ""
    yield f"    expected  {one.expected.value}: the rule is {one.rule}{place}"
    yield f"    observed  {one.observed.value}: {one.evidence}"


def question_disagreement(one: QuestionResult) -> Iterator[str]:
    """What was expected and what came, where that is not the same."""
    yield f"{one.source} asks {one.server} for {one.name} over {one.protocol.name}"
    yield f"    expected  {one.expected}"
    yield f"    observed  {one.observed}: {one.evidence}"


def name_json(one: NameResult) -> Json:
    """One connection as plain data."""
    return {
        "source": end_json(one.source),
        "destination": end_json(one.destination),
        "address": str(one.address),
        "protocol": one.protocol.name,
        "port": one.port,
        "name": one.name,
        "moment": one.moment,
        "asked": one.asked,
        "expected": one.expected.value,
        "observed": one.observed.value,
        "evidence": one.evidence,
        "disagreement": one.disagrees,
        "rule": origin_json(one.rule),
        **without_empty({"request": one.request}),
    }


def question_json(one: QuestionResult) -> Json:
    """One question as plain data."""
    return {
        "source": end_json(one.source),
        "server": str(one.server),
        "name": one.name,
        "protocol": one.protocol.name,
        "expected": one.expected,
        "observed": one.observed,
        "evidence": one.evidence,
        "disagreement": one.disagrees,
    }
