"""One probe, tried once: when it is sent again, and when it is over."""

from __future__ import annotations

import pytest

from outgate.lab.attempt import Attempt, Observation, Outcome
from outgate.lab.plan import Probe
from outgate.policy import Verdict
from tests.lab.clusters import DNS, SHOP, planned

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {}}], ports: [{port: 7, protocol: UDP}, {port: pg}]}]
"""


class Engine:
    """Remembers what an attempt tells it."""

    def __init__(self) -> None:
        self.answers = None
        self.awaited = 0
        self.heard = 0
        self.found: list[Observation] = []

    def news(self, _: Attempt) -> None:
        """Something was heard."""
        self.heard += 1

    def expect(self, more: int) -> None:
        """More or fewer answers are expected."""
        self.awaited += more

    def finish(self, _: Attempt, observation: Observation) -> None:
        """It is over."""
        self.found.append(observation)


def attempt_of(probe: Probe) -> tuple[Attempt, Engine]:
    """An attempt at a probe, and the engine that watches it."""
    engine = Engine()
    return Attempt(engine, probe, b"\0\0\0\1\0\0\0\1", 1, 1), engine  # type: ignore[arg-type] # without servers


def probe(protocol: str, verdict: Verdict, *, named: bool = False) -> Probe:
    """A probe of web's."""
    probes = planned(DNS + SHOP + POLICY).plan.probes
    return next(
        one
        for one in probes
        if (str(one.source), one.protocol.name, one.verdict) == ("shop/web", protocol, verdict)
        and bool(one.lookup) == named
    )


@pytest.mark.parametrize(
    ("protocol", "verdict", "sendings"),
    [
        ("TCP", Verdict.ALLOW, 1),
        ("TCP", Verdict.DENY, 1),
        ("UDP", Verdict.ALLOW, 99),
        ("UDP", Verdict.DENY, 2),
        ("ICMP", Verdict.DENY, 2),
    ],
)
def test_how_often_it_is_sent(protocol: str, verdict: Verdict, sendings: int) -> None:
    """TCP repeats by itself; the others are repeated while an answer is expected, and twice where none is."""
    one, _ = attempt_of(probe(protocol, verdict))
    one.sent = 1
    while one.repeats and one.sent < 99:
        one.sent += 1
    assert one.sent == sendings


def test_a_name_is_asked_for_again_whatever_follows() -> None:
    """The query goes over UDP, also where TCP comes next; where the query is denied, twice is enough."""
    one, _ = attempt_of(probe("TCP", Verdict.DENY, named=True))
    assert (one.awaited, one.repeats) == (False, True)
    one.sent = 2
    assert not one.repeats


def test_giving_up_ends_it_once() -> None:
    """What is counted twice would let the round end before its time."""
    one, engine = attempt_of(probe("ICMP", Verdict.DENY))
    one.echoed = True
    one.give_up()
    one.give_up()
    assert [found.outcome for found in engine.found] == [Outcome.WRONG_PARTY]
    assert engine.heard == 0
