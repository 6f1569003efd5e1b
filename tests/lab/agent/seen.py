"""What an agent of the farm shows of itself: its metrics, scraped on its node, and the lines of its packet log.

grow(CLUSTER, check, **SHOWN)
    scrape(farm, "n1").of("outgate_denied_packets_total", policy="deny")
    lines(farm, "n1")
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from outgate.report.packet_log import LogRecord
from tests.lab.agent.farm import Farm

__all__ = ["LISTEN", "SHOWN", "Scraped", "lines", "lines_when", "scrape"]

LISTEN = "127.0.0.1:9765"
SHOWN = {"listen": LISTEN, "log_group": 5}
"""Settings of a farm whose agents show themselves, each in the network namespace of its node."""


@dataclass(frozen=True)
class Scraped:
    """One answer of ``/metrics``."""

    samples: tuple[tuple[str, dict[str, str], float], ...]

    def of(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels; 0 where there is none."""
        return sum(value for found, has, value in self.samples if found == name and labels.items() <= has.items())

    def buckets(self, name: str) -> list[tuple[float, float]]:
        """The buckets of a histogram: upper bound in seconds, and how many are not above it."""
        return [(float(has["le"]), value) for found, has, value in self.samples if found == f"{name}_bucket"]


def scrape(farm: Farm, node: str) -> Scraped:
    """What Prometheus would read on a node."""
    with farm.stage.enter(farm.stage.nodes[node]):
        connection = http.client.HTTPConnection(LISTEN, timeout=30)
        connection.connect()
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    assert answer.status == 200, text
    families = text_string_to_metric_families(text)
    return Scraped(tuple((one.name, one.labels, one.value) for family in families for one in family.samples))


def lines(farm: Farm, node: str) -> list[LogRecord]:
    """All that is in the packet log of a node, as whole lines."""
    file = farm.settings(node).log_file
    data = file.read_bytes() if file.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    return [msgspec.json.decode(line, type=LogRecord) for line in whole.splitlines()]


def lines_when(farm: Farm, node: str, enough: Callable[[list[LogRecord]], bool]) -> list[LogRecord]:
    """The lines of a node, once there are enough."""
    farm.until(lambda: enough(lines(farm, node)))
    return lines(farm, node)
