"""All lines of a report, in the order in which one asks."""

from __future__ import annotations

from outgate.analysis.doctor import diagnose
from outgate.analysis.doctor_facts import Facts, Mark
from outgate.analysis.doctor_networks import Enforces
from outgate.model import Snapshot
from outgate.testing import pod
from tests.analysis.clinic import daemon, facts_of, nodes

TOPICS = ["network", "enforcement", "dns", "metadata", "default deny", "versions", "other policies", "agent"]


def test_nothing_is_known_of_nothing() -> None:
    """An empty input is no healthy cluster and no ill one."""
    report = diagnose(Facts(Snapshot()))
    assert [line.topic for line in report.lines] == TOPICS
    assert report.having(Mark.WRONG) == 0
    assert report.having(Mark.UNKNOWN) == 7
    assert report.enforces is Enforces.UNKNOWN


def test_every_line_that_is_not_well_says_what_to_do() -> None:
    """Whoever is woken up by it must not have to think."""
    windows = nodes("w", info={"operatingSystem": "windows"})
    flannel = daemon("kube-flannel/kube-flannel-ds", {"app": "flannel"})
    some = [*nodes("a", info={"kernelVersion": "4.19.0", "kubeletVersion": "v1.20.0"}), *windows, flannel]
    for facts in (Facts(Snapshot()), facts_of([*some, pod("shop/web", ["10.1.0.1"])])):
        lines = diagnose(facts).lines
        assert all(line.next_steps for line in lines if line.mark is not Mark.OK)
        assert not any(line.next_steps for line in lines if line.mark is Mark.OK)


def test_marks_are_counted() -> None:
    """All of them."""
    report = diagnose(facts_of([daemon("kube-flannel/kube-flannel-ds", {"app": "flannel"}), *nodes("a")]))
    assert sum(map(report.having, Mark)) == len(report.lines)
    assert report.having(Mark.WRONG) == 1
