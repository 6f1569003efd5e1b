"""The recipes: the four policies that everybody starts from, and every row of their table of expectations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from outgate.cluster import load
from outgate.model import Snapshot
from tests.policy.asking import Asked, answer, ask

FILES = {
    "01": "01-default-deny-egress.yaml",
    "02": "02-app-egress.yaml",
    "03": "03-block-metadata.yaml",
    "04": "04-allow-monitoring.yaml",
}
WEB, BATCH = "production/web-api", "production/batch"
POSTGRES, PROMETHEUS, DNS = "production/postgres", "monitoring/prometheus", "kube-system/coredns"
EXTERNAL = "ip:203.0.113.10"


@dataclass(frozen=True, slots=True)
class Expected:
    """One row: the policies applied, and a flow."""

    policies: str
    asked: Asked
    verdict: str

    def __str__(self) -> str:
        one = self.asked
        return f"{self.policies or 'none'}: {one.source} → {one.destination} {one.protocol} {one.port} {self.verdict}"


# Everything that the row "01+02 | production/batch | everything above" refers to.
ABOVE = (
    (DNS, "UDP", 53),
    (DNS, "TCP", 53),
    (POSTGRES, "TCP", 5432),
    ("svc:production/postgres", "TCP", 5432),
    (POSTGRES, "TCP", 5433),
    (EXTERNAL, "TCP", 443),
    (EXTERNAL, "TCP", 80),
    ("ip:198.51.100.7", "TCP", 443),
    ("ip:169.254.169.254", "TCP", 80),
)


def rows(policies: str, source: str, verdict: str, *flows: tuple[str, str, int]) -> list[Expected]:
    """Flows of one source with one verdict."""
    return [
        Expected(policies, Asked(source, to, protocol, port, 6 if "db8" in to else 4), verdict)
        for to, protocol, port in flows
    ]


TABLE = [
    *rows("", WEB, "allow", *ABOVE, (PROMETHEUS, "TCP", 9090), ("ip:2001:db8::1", "SCTP", 1)),
    *rows("01", WEB, "deny", (DNS, "UDP", 53), (POSTGRES, "TCP", 5432)),
    *rows("01", PROMETHEUS, "allow", (WEB, "TCP", 8080)),
    *rows("01+02", WEB, "allow", (DNS, "UDP", 53), (DNS, "TCP", 53), (EXTERNAL, "TCP", 443)),
    *rows("01+02", WEB, "allow", (POSTGRES, "TCP", 5432), ("svc:production/postgres", "TCP", 5432)),
    *rows("01+02", WEB, "allow", ("ip:10.96.12.34", "TCP", 5432), ("svc:production/postgres-headless", "TCP", 5432)),
    *rows("01+02", WEB, "deny", (POSTGRES, "TCP", 5433), (EXTERNAL, "TCP", 80)),
    *rows("01+02", WEB, "deny", ("ip:198.51.100.7", "TCP", 443), ("ip:169.254.169.254", "TCP", 80)),
    *rows("01+02", BATCH, "deny", *ABOVE),
    *rows("01+02+04", WEB, "allow", (PROMETHEUS, "TCP", 9090), ("ip:10.96.77.9", "TCP", 80)),
    *rows("01+02+04", BATCH, "allow", (PROMETHEUS, "TCP", 9090), ("svc:monitoring/prometheus", "TCP", 80)),
    *rows("01+02+04", WEB, "deny", (PROMETHEUS, "TCP", 9091)),
    *rows("03", BATCH, "deny", ("ip:169.254.169.254", "TCP", 80)),
    *rows("03", BATCH, "allow", ("ip:198.51.100.7", "TCP", 443), (POSTGRES, "TCP", 5432)),
    *rows("01+02+03", BATCH, "allow", ("ip:198.51.100.7", "TCP", 1), ("ip:198.51.100.7", "UDP", 65535)),
    *rows("01+02+03", BATCH, "deny", ("ip:2001:db8::1", "TCP", 443), ("ip:169.254.169.254", "TCP", 80)),
]


def applied(shared: Path, policies: str) -> Snapshot:
    """The cluster of the recipes under some of their policies."""
    names = ["cluster.yaml", *(FILES[number] for number in policies.split("+") if number)]
    loaded = load([str(shared / "recipes" / name) for name in names])
    assert loaded.errors == ()
    return loaded.snapshot


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_row(shared: Path, row: Expected) -> None:
    """These are the first policies that a newcomer applies, and the first answers that he checks."""
    assert answer(ask(applied(shared, row.policies), row.asked)) == row.verdict


def test_verdict_names_file_and_line(shared: Path) -> None:
    """The line that decided is the answer that people came for."""
    trace = ask(applied(shared, "01+02"), Asked(WEB, POSTGRES, port=5432))
    origin = trace.egress.decided_by
    assert origin is not None
    assert Path(origin.file).name == "02-app-egress.yaml"
    lines = Path(origin.file).read_text(encoding="utf-8").splitlines()
    assert origin.rule == 1
    # The second rule of the file, whose `to` names the database.
    assert "- to:" in lines[origin.line - 1]
    assert "app: postgres" in lines[origin.line + 2]
