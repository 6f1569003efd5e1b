"""The agent's metrics, for Prometheus: in a registry of its own, so that two agents in one process (a test) are two.

The loop calls one method for each thing that happens. What is a state and not a happening (gauges) is taken from the
published status when somebody asks; what the kernel counts is read then, too (`outgate.agent.counters`).
docs/metrics.md is the list, and says what each means.

No label has the name of a pod: there would be as many series as pods that ever lived. Labels whose values come from
elsewhere (the reason of a restart) take a bounded number of values, and then ``other``.

prometheus_client is imported here alone, and when a `Measures` is made: no other part of Outgate needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from outgate.agent.counters import PacketCounters, Series
from outgate.agent.proxy_measures import NamesSeen, RequestsSeen, names_metrics, requests_metrics
from outgate.agent.status import ELEMENT_FAMILIES, POD_STATES, POLICY_MODES
from outgate.errors import UsageError
from outgate.report.agent_status import AgentStatus
from outgate.version import __version__

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

__all__ = ["Measures"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
_VALUES = 30
"""Values that a label takes which is not bounded by what it is."""
_BY_POLICY = ("direction", "policy_namespace", "policy")
_PACKETS = {
    "denied": ("outgate_denied_packets", "Packets that policies denied, and that were dropped.", _BY_POLICY),
    "would-deny": ("outgate_would_deny_packets", "Packets that only audited policies would have denied.", _BY_POLICY),
    "allowed": ("outgate_allowed_packets", "Packets that a rule allowed, once a connection.", (*_BY_POLICY, "rule")),
    "unknown": ("outgate_unknown_pod_packets", "Packets of pods of this node that were not programmed.", ()),
    "spoofed": ("outgate_spoofed_packets", "Packets with a source address that is not their pod's.", ()),
}
_GAUGES = {
    "outgate_agent_ready": "1 where the kernel holds what the cluster asks for.",
    "outgate_policy_generation": "How often policies have been compiled into the kernel.",
    "outgate_epoch": "The number by which connections are judged; raised by a change that tightens.",
}


class _Bounded:
    """Lets so many values of a label through, and then `other`."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, value: object) -> str:
        text = str(value)
        if text not in self._seen:
            if len(self._seen) >= _VALUES:
                return "other"
            self._seen.add(text)
        return text


class Measures:
    """All metrics of one agent. Methods may be called by any thread.

    `status` gives what was published last; `counters` is what the kernel counted, and may be absent; `lost` is how
    many packets the log lacks, given what the kernel counted (`PacketLog.lost`). `names` and `requests` are what is
    known of the two proxies.

    Raises:
        UsageError: prometheus_client is not installed.
    """

    def __init__(
        self,
        status: Callable[[], AgentStatus | None] = lambda: None,
        counters: PacketCounters | None = None,
        lost: Callable[[Mapping[Series, int] | None], int] = lambda _: 0,
        names: Callable[[], NamesSeen | None] = lambda: None,
        requests: Callable[[], RequestsSeen] = RequestsSeen,
    ) -> None:
        try:
            import prometheus_client  # noqa: PLC0415 - the command must not load it, and only the agent needs it
        except ImportError as error:
            words = "the agent's metrics need the library prometheus_client"
            raise UsageError(words, hint="install outgate[agent]") from error
        self._library: Any = prometheus_client
        self._registry = prometheus_client.CollectorRegistry(auto_describe=False)
        self._status, self._counters, self._lost = status, counters, lost
        self._names, self._proxied = names, requests
        self._bound = _Bounded()
        self._make_happenings()
        self._registry.register(_Asked(self))

    def _make_happenings(self) -> None:
        library, registry = self._library, self._registry

        def histogram(name: str, words: str, *labels: str) -> Any:
            return library.Histogram(name, words, labels, registry=registry, buckets=_SECONDS)

        def counter(name: str, words: str, *labels: str) -> Any:
            return library.Counter(name, words, labels, registry=registry)

        self._event = histogram("outgate_event_to_kernel_seconds", "From an event read to its change in the kernel.")
        self._pod = histogram("outgate_pod_start_to_enforced_seconds", "From a pod's network made to its enforcement.")
        self._policy = histogram("outgate_policy_programming_seconds", "From a policy's change read to the kernel.")
        self._transaction = histogram("outgate_nft_transaction_seconds", "One change of the kernel's table.", "door")
        self._cni_wait = histogram("outgate_cni_wait_seconds", "How long the network plugin waited for its answer.")
        self._drift = counter("outgate_drift_repairs", "How often our table was not as we left it.")
        self._restarts = counter("outgate_watch_restarts", "How often a watch was begun anew.", "kind", "reason")
        self._errors = counter("outgate_api_errors", "Lists and watches that failed.", "kind", "code")
        self._records = counter("outgate_log_records", "Packets in the log.", "verdict")
        self._requests = counter("outgate_cni_requests", "Requests of the network plugin.", "result")

    # ---- what the loop says --------------------------------------------------------------------------------------

    def transaction(self, seconds: float, door: str) -> None:
        """The kernel has taken a transaction through a door: text or netlink."""
        self._transaction.labels(door=door).observe(seconds)

    def applied(self, seconds: float, *, whole: bool, received: Iterable[float], now: float) -> None:
        """The kernel has taken a change, all of its transactions, after so many seconds.

        `whole`: policies were compiled. `received`: when the events behind it were received (`Apply.received`), by
        the clock that says `now`.
        """
        moments = tuple(received)
        for moment in moments:
            self._event.observe(max(0.0, now - moment))
        if whole:
            self._policy.observe(max(0.0, now - min(moments)) if moments else seconds)

    def pod_enforced(self, seconds: float) -> None:
        """A pod of this node is enforced, so long after its network was made."""
        self._pod.observe(seconds)

    def drifted(self) -> None:
        """Our table was not as we left it."""
        self._drift.inc()

    def restarted(self, kind: str, reason: str) -> None:
        """A watch was begun anew."""
        self._restarts.labels(kind=kind, reason=self._bound(reason)).inc()

    def api_error(self, kind: str, code: int | str) -> None:
        """A list or a watch of a kind failed: with a status, or as `outgate.cluster.watch` words it."""
        self._errors.labels(kind=kind, code=self._bound(code)).inc()

    def logged(self, verdict: str, count: int = 1) -> None:
        """So many packets are in the log."""
        self._records.labels(verdict=verdict).inc(count)

    def cni(self, result: str) -> None:
        """A request of the network plugin was answered: enforced, timeout, gone, ..."""
        self._requests.labels(result=self._bound(result)).inc()

    def cni_waited(self, seconds: float) -> None:
        """How long the network plugin waited for an answer."""
        self._cni_wait.observe(seconds)

    # ---- what others ask -----------------------------------------------------------------------------------------

    def exposition(self, accept: str = "") -> tuple[str, bytes]:
        """The content type and text of all metrics, in the format that an ``Accept`` header asks for."""
        from prometheus_client import exposition  # noqa: PLC0415 - see __init__

        # The library compares whatever stands there as a version and repeats it in its own header, so it is given a
        # text of ours.
        wants = "application/openmetrics-text" in accept
        write, content_type = exposition.choose_encoder(_OPENMETRICS if wants else "")
        return content_type, write(self._registry)

    def _asked(self) -> Iterator[Metric]:
        from prometheus_client import metrics_core  # noqa: PLC0415 - see __init__

        build = metrics_core.GaugeMetricFamily("outgate_build_info", "What runs.", labels=("version",))
        build.add_metric((__version__,), 1)
        yield build
        status = self._status()
        numbers = status or AgentStatus()
        values = (int(numbers.ready), numbers.generation, numbers.epoch)
        for (name, words), value in zip(_GAUGES.items(), values, strict=True):
            yield metrics_core.GaugeMetricFamily(name, words, value=value)
        yield from self._states(numbers)
        counted = self._counters.read() if self._counters is not None else None
        yield from self._packets(counted or {})
        words = "Packets that belonged in the log and are not in it."
        yield metrics_core.CounterMetricFamily("outgate_log_lost", words, value=self._lost(counted))
        yield from names_metrics(self._names())
        yield from requests_metrics(self._proxied())

    def _states(self, status: AgentStatus) -> Iterator[Metric]:
        from prometheus_client import metrics_core  # noqa: PLC0415 - see __init__

        watch = status.lag.watch
        for name, words, label, names, numbers in (
            ("outgate_pods", "Pods of this node.", "state", POD_STATES, status.pods),
            ("outgate_policies", "Policies of the cluster.", "mode", POLICY_MODES, status.policies),
            ("outgate_set_elements", "Elements of the kernel's sets.", "set", ELEMENT_FAMILIES, status.elements),
            ("outgate_watch_lag_seconds", "Since when there are no news of a kind.", "kind", tuple(watch), watch),
        ):
            gauge = metrics_core.GaugeMetricFamily(name, words, labels=(label,))
            for one in names:
                gauge.add_metric((one,), numbers.get(one, 0))
            yield gauge

    def _packets(self, counted: Mapping[Series, int]) -> Iterator[Metric]:
        from prometheus_client import metrics_core  # noqa: PLC0415 - see __init__

        for what, (name, words, labels) in _PACKETS.items():
            family = metrics_core.CounterMetricFamily(name, words, labels=labels)
            # Of denials no rule is told, so that what a policy denies by several of its rules is one series.
            summed: dict[tuple[str, ...], int] = {}
            for series, packets in counted.items():
                if series.what == what:
                    told = series[1 : 1 + len(labels)]
                    summed[told] = summed.get(told, 0) + packets
            for told, packets in sorted(summed.items()):
                family.add_metric(told, packets)
            if not labels and not family.samples:
                family.add_metric((), 0)
            yield family


class _Asked:
    """What is collected when it is asked for (prometheus_client's `Collector`)."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures

    def collect(self) -> Iterator[Metric]:
        """All gauges, and what the kernel counted."""
        return self._measures._asked()
