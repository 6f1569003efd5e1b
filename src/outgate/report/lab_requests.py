"""What a lab found out about requests and TLS names, as data, as lines for people and as part of the JSON document.

    requests, through Envoy
      shop/web → shop/items TCP 8080: GET /v1/items 200, DELETE /v1/items 403   shop/web-reads-items egress[0]

A status of 200 is here never taken for an answer of the party that was meant: that is `observed`. What is said of a
client of TLS is whether its first message came through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outgate.packets import Address
from outgate.policy import Endpoint, Origin, Verdict
from outgate.report.terms import Json, end_json, origin_json, without_empty

__all__ = ["RequestResult", "disagreement_lines", "request_json", "request_lines"]


@dataclass(frozen=True, slots=True)
class RequestResult:
    """One request, or one client of TLS, and what came of it."""

    source: Endpoint
    destination: Endpoint
    address: Address
    """What was dialled."""
    port: int
    rule: Origin
    """The rule for which it was asked."""
    asked: str
    """``GET /v1/items``, ``TLS for api.example.com``."""
    expected: Verdict
    observed: Verdict
    """Allowed where the party that was meant answered, and saw the source's own address."""
    evidence: str
    """What was seen, in words."""
    status: int | None = None
    """Of the answer, where one of HTTP came."""
    host: str = ""
    """The host of a request."""
    misled: bool = False
    """Somebody else answered, or saw another source: a disagreement whatever was expected."""
    chosen_host: bool = False
    """The host is one that a rule asks for, or one in its place: part of what was asked."""

    @property
    def words(self) -> str:
        """What was asked, with the host where rules speak of it: ``GET / to host api.example.com``."""
        return f"{self.asked} to host {self.host}" if self.chosen_host and self.host else self.asked

    @property
    def disagrees(self) -> bool:
        """Whether the model and the packets do not say the same."""
        return self.misled or self.observed is not self.expected

    @property
    def outcome(self) -> str:
        """The status, or what became of a connection that got none."""
        if self.status is not None:
            return str(self.status)
        return "passed" if self.observed.allows else "refused"


def request_lines(results: Iterable[RequestResult]) -> Iterator[str]:
    """A line for each flow and rule; both families share one where they came out alike."""
    found: dict[tuple[str, str, int, str], dict[str, None]] = {}
    for one in results:
        source, destination = str(one.source), str(one.destination)
        mark = "!" if one.disagrees else ""
        asked = found.setdefault((source, destination, one.port, str(one.rule)), {})
        asked[f"{mark}{one.words} {one.outcome}"] = None
    for (source, destination, port, rule), asked in found.items():
        yield f"  {source} → {destination} TCP {port}: {', '.join(asked)}   {rule}"


def disagreement_lines(one: RequestResult) -> Iterator[str]:
    """What was expected and what came, where that is not the same."""
    yield f"{one.source} → {one.destination} ({one.address}) TCP {one.port}: {one.words}"
    place = f" ({one.rule.place})" if str(one.rule.place) else ""
    yield f"    expected  {one.expected.value}: the rule is {one.rule}{place}"
    yield f"    observed  {one.observed.value}: {one.outcome}; {one.evidence}"


def request_json(one: RequestResult) -> Json:
    """One result as plain data."""
    return {
        "source": end_json(one.source),
        "destination": end_json(one.destination),
        "address": str(one.address),
        "port": one.port,
        "asked": one.asked,
        "expected": one.expected.value,
        "observed": one.observed.value,
        "evidence": one.evidence,
        "disagreement": one.disagrees,
        "rule": origin_json(one.rule),
        **without_empty({"host": one.host, "status": one.status}),
    }
