"""The dashboard shows metrics that there are, with labels that they have; the list is the table of docs/metrics.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.deploy.chart import CHART, rendered
from tests.house.sources import ROOT

DASHBOARD = json.loads((CHART / "dashboards" / "outgate.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

# What Prometheus adds to each series of an agent, by the chart's ServiceMonitor.
SCRAPED = {"node"}

UNITS = {"none", "short", "s", "pps", "cps", "reqps"}


class Metric(NamedTuple):
    """A row of the table."""

    kind: str
    labels: frozenset[str]
    text: str


def table() -> dict[str, Metric]:
    """The metrics that the agent exports, by name."""
    rows = re.findall(
        r"^\| `(outgate_[a-z_]+)` \| (\w+) \|([^|]*)\|([^|]*)\|$",
        (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    found = {name: Metric(kind, frozenset(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows}
    assert len(found) == len(rows)
    return found


METRICS = table()


def queries() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each panel's title, target and expression."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target, target["expr"]


def names(expression: str) -> set[str]:
    """The metrics that an expression asks for, as they are in the table."""
    found = set(re.findall(r"\boutgate_[a-z_]+", expression))
    return {name.removesuffix("_bucket") if name not in METRICS else name for name in found}


def test_the_table_is_complete_and_well_formed() -> None:
    """Prometheus' rules for names: a counter says total, a distribution of times says seconds."""
    assert len(METRICS) == 40
    for name, metric in METRICS.items():
        assert metric.kind in {"gauge", "counter", "histogram"}, name
        assert (metric.kind == "counter") == name.endswith("_total"), name
        assert metric.kind != "histogram" or name.endswith("_seconds"), name
        assert metric.text.strip(), name
        # An agent of 5 000 nodes must not make a series of every pod.
        assert not metric.labels & {"pod", "address", "ip", "peer", "node"}, name


def test_panels_show_metrics_that_there_are() -> None:
    """A renamed metric leaves a panel empty, which looks like peace."""
    assert {name for _, _, expression in queries() for name in names(expression)} == set(METRICS)


def test_labels_are_those_of_the_metrics() -> None:
    """A sum by a label that no series has is one line with an empty name."""
    wrong = []
    for title, target, expression in queries():
        known = SCRAPED.union(*(METRICS[name].labels for name in names(expression)), {"le"})
        asked = {word for group in re.findall(r"\bby \(([^)]*)\)", expression) for word in group.split(", ")}
        asked |= set(re.findall(r"[{,](\w+)=", expression)) | set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        if asked - known:
            wrong.append((title, sorted(asked - known)))
        if "$__rate_interval" in expression or "[1h]" in expression:
            assert all(METRICS[name].kind != "gauge" for name in names(expression)), title
    assert wrong == []


def test_legends_tell_series_apart() -> None:
    """Two lines with one name are a riddle: what a query groups by stands in its legend."""
    for title, target, expression in queries():
        grouped = {word for group in re.findall(r"\bby \(([^)]*)\)", expression) for word in group.split(", ")} - {"le"}
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        table_panel = target.get("format") == "table"
        assert shown == grouped or table_panel, title
        assert target["legendFormat"], title


def test_histograms_are_asked_by_quantile() -> None:
    """Counters by rate, histograms by their buckets, and a gauge as it is."""
    for title, _, expression in queries():
        for name in re.findall(r"\boutgate_[a-z_]+", expression):
            metric = METRICS.get(name) or METRICS[name.removesuffix("_bucket")]
            if metric.kind == "histogram":
                assert name.endswith("_bucket"), title
                assert re.search(r"histogram_quantile\(0\.\d+, sum by \(le\b", expression), title
            elif metric.kind == "counter":
                assert re.search(rf"(rate|increase)\({name}\{{", expression), title


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_panel_is_readable(panel: dict[str, Any]) -> None:
    """A unit, a sentence, a place in the grid of 24, and brackets that close."""
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert len(panel["description"]) > 10
    place = panel["gridPos"]
    assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
    seconds = [name for target in panel["targets"] for name in names(target["expr"]) if name.endswith("_seconds")]
    assert (panel["fieldConfig"]["defaults"]["unit"] == "s") == bool(seconds)
    for target in panel["targets"]:
        assert target["datasource"] == {"type": "prometheus", "uid": "$datasource"}
        for opening, closing in ("()", "{}", "[]"):
            assert target["expr"].count(opening) == target["expr"].count(closing)


def test_panels_do_not_overlap() -> None:
    """Grafana would shuffle them."""
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_alerts_name_metrics_that_there_are() -> None:
    """The second table of the page."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").partition("## What to be woken by")[2]
    conditions = re.findall(r"^\| `(.*?)`", page, re.MULTILINE)
    assert len(conditions) == 10
    assert {name for condition in conditions for name in names(condition)} <= set(METRICS)


def test_the_chart_carries_it_unchanged() -> None:
    """Its legends have braces, which are Helm's, too."""
    (found,) = [item for item in rendered("monitored").objects if item["kind"] == "ConfigMap"]
    assert json.loads(found["data"]["outgate.json"]) == DASHBOARD
    assert "grafana_dashboard" in found["metadata"]["labels"]
