"""Prediction and packets side by side.

A probe agrees when the party that was meant answered and the policies allow it, or nobody did and they do
not. Everything else is a disagreement, and an answer from the wrong party is one whatever was expected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from outgate.lab.attempt import Observation, Outcome
from outgate.lab.plan import Party, Probe
from outgate.policy import Verdict
from outgate.report.lab import ProbeResult

__all__ = ["compare", "relevant"]


def compare(
    probes: Sequence[Probe], observations: Sequence[Observation], titles: Mapping[str, str]
) -> tuple[ProbeResult, ...]:
    """The results, in the order of the probes. `titles`: what a box is called, by its network namespace."""
    return tuple(_result(*pair, titles) for pair in zip(probes, observations, strict=True))


def relevant(probe: Probe, observation: Observation) -> Party:
    """The party whose verdict the result is about: who answered, else who denies, else the first.

    For a name that may not be asked for, it is the DNS server.
    """
    if probe.lookup is not None and not probe.lookup.verdict.allows and observation.party is None:
        return _denying(probe.lookup.parties)
    return observation.party or _denying(probe.parties)


def _denying(parties: Sequence[Party]) -> Party:
    return next((one for one in parties if not one.verdict.allows), parties[0])


def _result(probe: Probe, observation: Observation, titles: Mapping[str, str]) -> ProbeResult:
    party = relevant(probe, observation)
    expected = _expected(probe, observation)
    misled = observation.outcome in (Outcome.WRONG_PARTY, Outcome.WRONG_NAME)
    answered = observation.outcome is Outcome.ANSWERED
    # What passes late passes where nothing should, and does not where everything should.
    wrong = misled or observation.outcome is Outcome.LATE
    observed = _other(expected) if wrong else Verdict.ALLOW if answered else Verdict.DENY
    destination = probe.destination if observation.party is None else observation.party.trace.flow.destination
    return ProbeResult(
        source=probe.source,
        destination=destination,
        address=probe.address,
        protocol=probe.protocol,
        port=probe.port,
        via=probe.via.value,
        expected=expected,
        observed=observed,
        evidence=_evidence(probe, observation, titles),
        egress=party.trace.egress,
        ingress=party.trace.ingress,
        service=probe.service,
        backends=len(probe.parties),
        mixed=len({one.verdict for one in probe.parties}) > 1,
        name=probe.lookup.name if probe.lookup is not None else "",
        reason=probe.reason,
        specified=probe.specified,
        demanded=probe.demanded,
        misled=misled,
    )


def _expected(probe: Probe, observation: Observation) -> Verdict:
    """The prediction; where backends differ, the one for the backend that answered (see `plan`)."""
    if observation.party is None or probe.verdict.allows:
        return probe.verdict
    if probe.lookup is not None and not probe.lookup.verdict.allows:
        return Verdict.DENY
    return observation.party.verdict


def _other(verdict: Verdict) -> Verdict:
    return Verdict.DENY if verdict.allows else Verdict.ALLOW


def _evidence(probe: Probe, observation: Observation, titles: Mapping[str, str]) -> str:
    """What was seen, in one sentence."""
    parts = list(_said(probe, observation, titles))
    if observation.rounds > 1:
        parts.append("asked again in a second round")
    return "; ".join(parts)


def _said(probe: Probe, observation: Observation, titles: Mapping[str, str]) -> Iterator[str]:
    who = titles.get(observation.answered_by, observation.answered_by) or "somebody unknown"
    match observation.outcome:
        case Outcome.ANSWERED:
            yield f"{who} answered in {observation.seconds * 1000:.1f} ms"
            if observation.seen is not None and observation.seen != probe.source.address:
                yield f"it saw the client as {observation.seen}"
        case Outcome.WRONG_PARTY:
            meant = " or ".join(dict.fromkeys(titles.get(one.box, one.box) for one in probe.parties))
            yield f"{who} answered in the place of {meant}"
        case Outcome.REFUSED:
            yield "refused"
        case Outcome.LATE:
            yield "only a packet that was sent again came through"
        case Outcome.SILENT if observation.arrived:
            reached = titles.get(observation.arrived, observation.arrived)
            yield f"the request reached {reached}, its answer did not come back"
        case Outcome.SILENT:
            yield "no answer"
        case Outcome.WRONG_NAME:
            yield "the name was answered wrongly"
    if observation.detail:
        yield observation.detail
