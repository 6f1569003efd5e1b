"""The metrics of a node's two proxies, as the agent shows them among its own (docs/metrics.md).

    names      the DNS proxy is a process of its own; it writes its counts into a file (`outgate.agent.dns_measures`)
    requests   Envoy is asked whether it takes connections; what it refuses is counted as it is read from its log

All of them are there from the first moment, with 0 where there is no proxy.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from outgate.agent.dns_measures import BOUNDS, DnsStatus, Result, Times

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

__all__ = ["REFUSED", "NamesSeen", "RequestsSeen", "names_metrics", "read_names", "requests_metrics"]

FRESH = 10.0
"""Seconds: the DNS proxy writes its counts every few."""
REFUSED = ("request", "connection")
"""What Envoy refuses: a request of HTTP, or a connection by the name of its server."""


@dataclass(frozen=True, slots=True)
class NamesSeen:
    """What the DNS proxy wrote last, and whether it still writes."""

    up: bool
    status: DnsStatus


@dataclass(slots=True)
class RequestsSeen:
    """What is known of Envoy."""

    up: bool = False
    starts: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    allowed: Counter[str] = field(default_factory=Counter)
    """Since Envoy began."""
    lost: int = 0
    """Refusals that are not in the log."""


def read_names(file: Path, wall: Callable[[], float] = time.time) -> NamesSeen | None:
    """What the DNS proxy of this node says of itself; None where none has run, or what is there cannot be read."""
    try:
        status = msgspec.json.decode(file.read_bytes(), type=DnsStatus)
    except (OSError, msgspec.MsgspecError):
        return None
    return NamesSeen(wall() - status.written < FRESH, status)


def names_metrics(seen: NamesSeen | None) -> Iterator[Metric]:
    """The DNS proxy's."""
    from prometheus_client import metrics_core  # noqa: PLC0415 - see `outgate.agent.measures`

    status = seen.status if seen is not None else None
    results = status.results if status is not None else {}
    words = "1 where the DNS proxy of this node runs."
    yield metrics_core.GaugeMetricFamily("outgate_names_up", words, value=int(seen is not None and seen.up))
    questions = metrics_core.CounterMetricFamily(
        "outgate_names_questions", "Questions of pods, and what came for answers.", labels=("result",)
    )
    for result in Result:
        questions.add_metric((result.value,), results.get(result.value, 0))
    yield questions
    for name, words, value in (
        ("outgate_names_open_questions", "Questions that wait for an answer.", status.open_questions if status else 0),
        ("outgate_names_learned", "Addresses of names that are known.", status.learned if status else 0),
    ):
        yield metrics_core.GaugeMetricFamily(name, words, value=value)
    for name, words, value in (
        ("outgate_names_evicted", "Addresses that had to go for others.", status.evicted if status else 0),
        ("outgate_names_kept_out", "Addresses that no name may open.", status.kept_out if status else 0),
        ("outgate_names_restored", "Ways back of answers that had been deleted.", status.restored if status else 0),
        ("outgate_names_log_lost", "Refused questions that are not in the log.", status.lost_lines if status else 0),
    ):
        yield metrics_core.CounterMetricFamily(name, words, value=value)
    elements = metrics_core.CounterMetricFamily(
        "outgate_names_elements", "Addresses that were given to the kernel.", labels=("result",)
    )
    elements.add_metric(("taken",), status.elements if status else 0)
    elements.add_metric(("refused",), status.refused_elements if status else 0)
    yield elements
    for name, words, times in (
        ("outgate_names_upstream_seconds", "From a question to its answer.", status.upstream if status else Times()),
        (
            "outgate_names_programming_seconds",
            "From an answer to its addresses in the kernel.",
            status.programming if status else Times(),
        ),
    ):
        yield _histogram(name, words, times)


def _histogram(name: str, words: str, times: Times) -> Metric:
    from prometheus_client import metrics_core  # noqa: PLC0415 - see `outgate.agent.measures`

    edges = (*map(str, BOUNDS), "+Inf")
    buckets = list(zip(edges, itertools.accumulate(times.counts), strict=True))
    family = metrics_core.HistogramMetricFamily(name, words)
    family.add_metric((), buckets, times.total)
    return family


def requests_metrics(seen: RequestsSeen) -> Iterator[Metric]:
    """Envoy's."""
    from prometheus_client import metrics_core  # noqa: PLC0415 - see `outgate.agent.measures`

    words = "1 where Envoy of this node takes connections."
    yield metrics_core.GaugeMetricFamily("outgate_requests_up", words, value=int(seen.up))
    words = "How often Envoy has begun: started by the agent, or beside it as far as that was seen."
    yield metrics_core.CounterMetricFamily("outgate_requests_starts", words, value=seen.starts)
    refused = metrics_core.CounterMetricFamily(
        "outgate_requests_refused", "Requests and connections that Envoy refused.", labels=("of",)
    )
    for of in REFUSED:
        refused.add_metric((of,), seen.refused[of])
    yield refused
    allowed = metrics_core.CounterMetricFamily(
        "outgate_requests_allowed", "Requests, and TLS connections by name, that rules allowed.", labels=("of",)
    )
    for of in REFUSED:
        allowed.add_metric((of,), seen.allowed[of])
    yield allowed
    words = "Refusals of Envoy that are not in the log."
    yield metrics_core.CounterMetricFamily("outgate_requests_log_lost", words, value=seen.lost)
