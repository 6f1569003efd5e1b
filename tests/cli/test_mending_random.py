"""Fixes of random clusters: what they leave is taken, and opens and closes no more than they say.

No machine closes anything, nor opens anything to the internet (docs/lint.md).
"""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outgate.analysis.connections import External
from outgate.analysis.diff import diff
from outgate.checks import Survey
from outgate.checks.lint import lint
from outgate.cli.mending import mend_files
from outgate.cluster import load
from outgate.cluster.files import Loaded
from outgate.testing import Manifest, pod, random_cluster, random_cluster_policies, service
from outgate.testing_cilium import random_cilium_policies

NAMES = ("name", "namespace", "ns", "kubernetes.io/name")


def mistaken(seed: int) -> list[Manifest]:
    """A random cluster whose policies have some of the mistakes that are mended."""
    chance = random.Random(seed)
    made = [*random_cluster(seed), *random_cluster_policies(seed, seed % 3, names=True)]
    made += random_cilium_policies(seed, seed % 4)
    for number in range(2):
        ports = [{"port": chance.choice((80, 53)), "targetPort": chance.choice((8080, 53, "http")), "protocol": "TCP"}]
        made.append(service(f"alpha/s{number}", f"10.96.0.{number + 20}", ports, app=chance.choice(("web", "db"))))
    if chance.random() < 0.7:
        made.append(service("kube-system/kube-dns", "10.96.0.10", [{"port": 53, "protocol": "UDP"}], k="dns"))
        made.append(pod("kube-system/dns", ["10.1.0.99"], on="node-b", k="dns"))
    made = copy.deepcopy(made)
    for one in made:
        if one["kind"].endswith("Policy"):
            _spoil(one["spec"], chance)
    return made


def _spoil(value: Any, chance: random.Random) -> None:
    if isinstance(value, dict):
        if isinstance(spaces := value.get("namespaceSelector"), dict) and chance.random() < 0.5:
            spaces["matchLabels"] = {**(spaces.get("matchLabels") or {}), chance.choice(NAMES): "alpha"}
        if chance.random() < 0.5:
            value.pop("policyTypes", None)
        if isinstance(value.get("port"), int) and "endPort" not in value:
            value["port"] = chance.choice((80, 53, value["port"]))
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _spoil(inner, chance)


def wrong(before: Loaded, after: Loaded) -> list[str]:
    """What no fix may do."""
    found = [str(one) for one in after.errors]
    for one in diff(before.snapshot, after.snapshot).changes:
        ends = (one.source, one.destination)
        outside = [end for end in ends if isinstance(end, External) and not _is_single(end)]
        if one.shift.closed or (outside and one.shift.opened):
            found.append(f"{one.source} → {one.destination}: +{one.shift.opened} -{one.shift.closed}")
    return found


def _is_single(end: External) -> bool:
    """A rule for DNS may get the other transport where it is for one address."""
    return all(text.endswith(("/32", "/128")) for text in end.addresses.cidrs())


@given(st.integers(0, 1 << 32))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_mended_is_taken_and_no_wider(tmp_path: Path, seed: int) -> None:
    """By the connections before and after."""
    file = tmp_path / f"{seed}.yaml"
    file.write_text(yaml.safe_dump_all(mistaken(seed)), encoding="utf-8")
    before = load([str(file)])
    mend_files(lint(Survey(before.snapshot)), show=False, quiet=True)
    assert wrong(before, load([str(file)])) == []
