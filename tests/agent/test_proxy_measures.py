"""What the agent shows of the DNS proxy and of Envoy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from outgate.agent.dns_measures import Measures as Counts
from outgate.agent.dns_measures import Result
from outgate.agent.measures import Measures
from outgate.agent.proxy_measures import FRESH, NamesSeen, RequestsSeen, read_names
from tests.agent.test_measures import samples

NOW = 1_000_000.0


def written(file: Path, ago: float = 0.0) -> NamesSeen | None:
    """What is read of a proxy that counted, and wrote so many seconds ago."""
    counts = Counts()
    counts.results[Result.ANSWERED] = 5
    counts.results[Result.REFUSED] = 2
    counts.elements, counts.refused_elements, counts.kept_out = 4, 1, 3
    counts.upstream.add(0.0002)
    counts.upstream.add(0.003)
    counts.programming.add(9.0)
    file.write_bytes(counts.status(written=NOW - ago, process=1, open_questions=6, learned=7, evicted=8))
    return read_names(file, lambda: NOW)


def test_the_proxy_that_writes_is_there(tmp_path: Path) -> None:
    """One that has not written for a while is not, though its counts stand."""
    file = tmp_path / "dns-status.json"
    assert read_names(file) is None
    file.write_text("{")
    assert read_names(file) is None
    for ago, up in ((0.0, True), (FRESH + 1, False)):
        seen = written(file, ago)
        assert seen is not None
        assert (seen.up, seen.status.learned) == (up, 7)


def test_its_counts_are_metrics(tmp_path: Path) -> None:
    """Each under its own name; histograms add up, as Prometheus wants them."""
    seen = written(tmp_path / "dns-status.json")
    found = samples(Measures(names=lambda: seen))
    assert found["names_up", ()] == 1
    assert found["names_questions_total", (("result", "answered"),)] == 5
    assert found["names_questions_total", (("result", "refused"),)] == 2
    assert found["names_questions_total", (("result", "forged"),)] == 0
    assert [found[f"names_{name}", ()] for name in ("open_questions", "learned")] == [6, 7]
    assert [found[f"names_{name}_total", ()] for name in ("evicted", "kept_out")] == [8, 3]
    assert [found["names_elements_total", (("result", one),)] for one in ("taken", "refused")] == [4, 1]
    steps = [found["names_upstream_seconds_bucket", (("le", one),)] for one in ("0.0001", "0.00025", "0.005", "+Inf")]
    assert steps == [0, 1, 2, 2]
    assert found["names_upstream_seconds_sum", ()] == 0.0032
    assert found["names_programming_seconds_bucket", (("le", "5.0"),)] == 0
    assert found["names_programming_seconds_count", ()] == 1


def test_what_is_known_of_envoy() -> None:
    """Also that there is none."""
    found = samples(
        Measures(requests=lambda: RequestsSeen(True, 3, Counter(request=4, connection=1), Counter(request=9), 2))
    )
    assert (found["requests_up", ()], found["requests_starts_total", ()]) == (1, 3)
    assert [found["requests_refused_total", (("of", one),)] for one in ("request", "connection")] == [4, 1]
    assert [found["requests_allowed_total", (("of", one),)] for one in ("request", "connection")] == [9, 0]
    assert found["requests_log_lost_total", ()] == 2
    none = samples(Measures())
    assert (none["requests_up", ()], none["names_up", ()]) == (0, 0)
    assert none["requests_refused_total", (("of", "request"),)] == 0
