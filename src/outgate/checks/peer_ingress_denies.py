"""Egress that the other end does not let in.

What it does:
    Finds egress rules for chosen pods where none of what the rule lets out is let in: the ingress policies of those
    pods deny every connection that it was written for. Policies of every kind are looked at and count on both sides.

Why it matters:
    A connection needs both ends. The egress rule is right, the timeout is the same as without it, and the line to
    mend is in another namespace, often in the hands of another team.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - podSelector:
                matchLabels: {app: db}
          ports:
            - {protocol: TCP, port: 8080}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: db, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: db}
      policyTypes: [Ingress]
      ingress:
        - from:
            - podSelector:
                matchLabels: {app: admin}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec:
      containers:
        - {name: main, image: app, ports: [{containerPort: 8080}]}
    status: {podIP: 10.244.0.9, podIPs: [{ip: 10.244.0.9}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: admin, namespace: shop, labels: {app: admin}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - podSelector:
                matchLabels: {app: db}
          ports:
            - {protocol: TCP, port: 8080}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: db, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: db}
      policyTypes: [Ingress]
      ingress:
        - from:
            - podSelector:
                matchLabels: {app: web}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec:
      containers:
        - {name: main, image: app, ports: [{containerPort: 8080}]}
    status: {podIP: 10.244.0.9, podIPs: [{ip: 10.244.0.9}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: admin, namespace: shop, labels: {app: admin}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the other end is about to be opened.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.proof import dropped
from outgate.checks.survey import Survey, some, subject_of
from outgate.checks.written import Written, written_rules
from outgate.checks.written_selectors import peer_selectors
from outgate.model import Direction, Pod
from outgate.packets import Protocol, TransportSet
from outgate.packets.addresses import Family
from outgate.policy.cells import Contribution, Row
from outgate.policy.identity import members

__all__ = ["CHECK"]


_LetIn = Callable[[int, Family], Row]


def _find(survey: Survey) -> Iterator[Finding]:
    # What is let in from a pod is asked for every rule of every policy that selects it.
    let_in = functools.cache(survey.grid.let_in)
    for written in written_rules(survey, Direction.EGRESS):
        chosen = [peer for peer in peer_selectors(written) if peer.match is not None and peer.match.pods]
        # Of "every pod" somebody is always closed: only who was chosen was meant.
        if not written.accepts or len(chosen) != len(written.rule.peers or ()) or not chosen:
            continue
        closed = _closed(survey, let_in, written)
        if closed is not None:
            yield _finding(survey, written, *closed)


def _closed(survey: Survey, let_in: _LetIn, written: Written) -> tuple[Pod, Pod, TransportSet] | None:
    """A pair of pods, and what the rule lets out between them, where nothing of it is let in between any two."""
    grid, example = survey.grid, None
    for number in members(survey.selected(written.policy)):
        for family in grid.families:
            if not grid.identities.of_family[family] >> number & 1:
                continue
            arriving = let_in(number, family)
            for transports, bits in _let_out(survey, written, number, family):
                sent = grid.transports.sets[transports] & TransportSet.governed()
                others = bits & grid.identities.of_family[family] & ~(1 << number)
                if not sent or not others:
                    continue
                if any(others & mine and sent & grid.transports.sets[into] for into, mine in arriving):
                    return None
                if example is None:
                    first = next(members(others))
                    example = grid.identities.pods[number][0], grid.identities.pods[first][0], sent
    return example


def _let_out(survey: Survey, written: Written, number: int, family: Family) -> Iterator[Contribution]:
    """What the rule lets out of a workload; where denials or other tiers have a say, less what they close."""
    grid = survey.grid
    mine = [one for rule in written.made(survey) for one in grid.out_of(rule, family)]
    key = grid.keys[Direction.EGRESS][number]
    if not grid.standing(key, Direction.EGRESS).tiered:
        yield from mine
        return
    for transports, bits in mine:
        for passing, others in grid.lets_out(number, family):
            both = grid.transports.meet(transports, passing)
            if both and bits & others:
                yield both, bits & others


def _finding(survey: Survey, written: Written, source: Pod, destination: Pod, sent: TransportSet) -> Finding:
    isolating = survey.policies.isolation(destination, Direction.INGRESS).policies
    protocol, spans = next(iter(sent.items()))
    who = f"{some(isolating)} {'lets' if len(isolating) == 1 else 'let'}" if isolating else "denials there let"
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{written} lets {survey.whom(written.policy)} out to {destination}, and {who} none of it in",
        subject_of(written.policy),
        written.place,
        tuple(Related(one.place, f"{one} isolates {destination} for ingress") for one in isolating[:3]),
        dropped(source, destination, Protocol(protocol), spans.lowest()),
        "add an ingress rule there for the same ports",
    )


CHECK = Check("peer-ingress-denies", Severity.WARNING, _find, __doc__)
