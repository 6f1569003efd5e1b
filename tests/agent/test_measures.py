"""The metrics: their names are a promise to dashboards, and what they say is what happened."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from outgate.agent.counters import PacketCounters
from outgate.agent.measures import Measures
from outgate.errors import UsageError
from outgate.nft.objects import Counter
from outgate.report.agent_status import AgentStatus, Lag
from tests.agent.test_counters import INDEX, origin
from tests.house.sources import ROOT

STATUS = AgentStatus(
    ready=True,
    generation=7,
    epoch=3,
    pods={"enforced": 2, "waiting": 1},
    policies={"enforce": 4, "broken": 1},
    elements={"dispatch": 12},
    lag=Lag(0.0, {"Pod": 4.5}),
)

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def families(measures: Measures) -> dict[str, str]:
    """Name → type, of every metric."""
    text = measures.exposition()[1].decode()
    found = {one.name: one.type for one in text_string_to_metric_families(text)}
    # When each counter began; a family of its own in the old format.
    return {name: kind for name, kind in found.items() if not name.endswith("_created")}


def samples(measures: Measures) -> Samples:
    """Every number, by name and labels."""
    text = measures.exposition()[1].decode()
    return {
        (one.name.removeprefix("outgate_"), tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def listed() -> dict[str, tuple[str, set[str]]]:
    """Name → type and labels, as docs/metrics.md promises them."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(outgate_\w+)` \| (\w+) \|([^|]*)\|", page, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_the_names_are_those_that_were_promised() -> None:
    """From the first moment on: a metric that comes into being with the first fault cannot be alerted on."""
    # The parser's name of a counter is that of its samples without their ending.
    promised = {name.removesuffix("_total"): kind for name, (kind, _) in listed().items()}
    assert families(Measures()) == promised
    assert len(promised) > 20, "or the table was not found"


def test_the_labels_are_those_that_were_promised() -> None:
    """Of every metric, once each has something to tell: an alert by a label that is not there never comes."""
    chains = {"d_all": 3, "w_all": 4, "r_one": 5, "unknown": 6, "spoof": 7}
    counters = PacketCounters(lambda: {(name, 0): Counter(count) for name, count in chains.items()}, lambda: INDEX)
    one = Measures(lambda: STATUS, counters)
    one.transaction(0.002, "netlink")
    one.restarted("Pod", "expired")
    one.api_error("Pod", 500)
    one.logged("denied")
    one.cni("enforced")
    found: dict[str, set[str]] = {}
    for name, labels in samples(one):
        family = re.sub(r"_(bucket|count|sum)$", "", f"outgate_{name}")
        found.setdefault(family, set()).update({label for label, _ in labels} - {"le"})
    told = {name: labels for name, labels in found.items() if not name.endswith("_created")}
    assert told == {name: labels for name, (_, labels) in listed().items()}


def test_what_happened_is_counted() -> None:
    """Each method moves its metric, and only that."""
    one = Measures()
    one.transaction(0.002, "netlink")
    one.applied(0.002, whole=False, received=(99.0, 99.5), now=100.0)
    one.applied(0.5, whole=True, received=(90.0, 95.0), now=100.0)
    one.applied(0.7, whole=True, received=(), now=100.0)
    one.pod_enforced(0.04)
    one.drifted()
    one.restarted("Pod", "expired")
    one.api_error("Pod", 500)
    one.logged("denied", 3)
    one.cni("enforced")
    one.cni_waited(0.01)
    found = samples(one)
    assert found["nft_transaction_seconds_count", (("door", "netlink"),)] == 1
    assert (found["event_to_kernel_seconds_count", ()], found["event_to_kernel_seconds_sum", ()]) == (4, 16.5)
    assert (found["policy_programming_seconds_count", ()], found["policy_programming_seconds_sum", ()]) == (2, 10.7)
    assert found["pod_start_to_enforced_seconds_count", ()] == 1
    assert found["drift_repairs_total", ()] == 1
    assert found["watch_restarts_total", (("kind", "Pod"), ("reason", "expired"))] == 1
    assert found["api_errors_total", (("code", "500"), ("kind", "Pod"))] == 1
    assert found["log_records_total", (("verdict", "denied"),)] == 3
    assert found["cni_requests_total", (("result", "enforced"),)] == 1
    assert found["cni_wait_seconds_sum", ()] == 0.01


def test_what_is_a_state_comes_from_the_status() -> None:
    """With every value of a label, also those of which there is none."""
    found = samples(Measures(lambda: STATUS))
    assert (found["agent_ready", ()], found["policy_generation", ()], found["epoch", ()]) == (1, 7, 3)
    states = {labels[0][1]: value for (name, labels), value in found.items() if name == "pods"}
    assert states == {"enforced": 2, "waiting": 1, "contested": 0, "unenforceable": 0}
    modes = {labels[0][1]: value for (name, labels), value in found.items() if name == "policies"}
    assert modes == {"enforce": 4, "audit": 0, "broken": 1}
    families_ = {labels[0][1] for (name, labels) in found if name == "set_elements"}
    assert families_ == {"dispatch", "peers", "ports", "blocks", "links"}
    assert found["watch_lag_seconds", (("kind", "Pod"),)] == 4.5


def test_what_the_kernel_counts_is_read_when_it_is_asked_for() -> None:
    """Under the names of policies and rules, never of pods."""
    chains = {"d_all": 3, "w_all": 4, "r_one": 5, "unknown": 6, "spoof": 7}
    counters = PacketCounters(lambda: {(name, 0): Counter(count) for name, count in chains.items()}, lambda: INDEX)
    found = samples(Measures(counters=counters, lost=lambda counted: sum((counted or {}).values())))
    by = (("direction", "egress"), ("policy", "web,cart"), ("policy_namespace", "shop"))
    assert found["denied_packets_total", by] == 3
    by = (("direction", "egress"), ("policy", "watched"), ("policy_namespace", "shop"))
    assert found["would_deny_packets_total", by] == 4
    by = (("direction", "egress"), ("policy", "web"), ("policy_namespace", "shop"), ("rule", "0"))  # type: ignore[assignment]
    assert found["allowed_packets_total", by] == 5
    assert (found["unknown_pod_packets_total", ()], found["spoofed_packets_total", ()]) == (6, 7)
    assert found["log_lost_total", ()] == 25


def test_no_series_is_told_twice() -> None:
    """A policy denies where it isolates, and by several of its rules: Prometheus takes one number of a series alone."""
    index = {
        "d_all": (origin("web"),),
        "d_two": (origin("web", 2),),
        "d_one": (origin("web", 1), origin("web", 2)),
        "w_all": (origin("web"),),
        "w_one": (origin("web", 1),),
        "r_one": (origin("web", 1),),
    }
    chains = {"d_all": 3, "d_two": 20, "d_one": 100, "w_all": 1, "w_one": 4, "r_one": 7}
    counters = PacketCounters(lambda: {(name, 0): Counter(count) for name, count in chains.items()}, lambda: index)
    told = Measures(counters=counters).exposition()[1].decode().splitlines()
    names = [line.rpartition(" ")[0] for line in told if not line.startswith("#")]
    assert len(names) == len(set(names))
    found = samples(Measures(counters=counters))
    by = (("direction", "egress"), ("policy", "web"), ("policy_namespace", "shop"))
    assert (found["denied_packets_total", by], found["would_deny_packets_total", by]) == (123, 5)


def test_a_label_that_others_fill_is_bounded() -> None:
    """An API server that makes up a new reason each time must not fill Prometheus."""
    one = Measures()
    for number in range(1000):
        one.restarted("Pod", f"reason {number}")
    found = [labels for (name, labels) in samples(one) if name == "watch_restarts_total"]
    assert len(found) == 31
    assert (("kind", "Pod"), ("reason", "other")) in found


def test_names_of_policies_are_escaped() -> None:
    """They come from the API server, whose rules for names may be another's."""
    evil = 'a"} 1\noutgate_epoch 9\n'
    from outgate.model import Direction
    from outgate.policy import Origin

    index = {"d_x": (Origin("v1", "NetworkPolicy", "shop", evil, Direction.EGRESS),)}
    one = Measures(counters=PacketCounters(lambda: {("d_x", 0): Counter(1)}, lambda: index))
    found = samples(one)
    assert found["epoch", ()] == 0
    assert [value for (name, labels), value in found.items() if ("policy", evil) in labels] == [1]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain"),
        ("text/html,*/*;q=0.1", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("text/plain;version=nonsense", "text/plain"),
        ("application/openmetrics-text;version=9.9.x\nSet-Cookie: a", "application/openmetrics-text; version=1.0.0"),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(accept: str, kind: str) -> None:
    """And whatever stands in the header, there is an answer."""
    content_type, body = Measures().exposition(accept)
    assert content_type.startswith(kind)
    assert b"outgate_build_info{" in body


def test_the_library_is_loaded_with_the_first_measures_and_not_before() -> None:
    """`outgate --help`, and an agent without metrics, do not pay for it."""
    program = "import sys, outgate.agent.measures; assert 'prometheus_client' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a traceback."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UsageError, match="prometheus_client"):
        Measures()
