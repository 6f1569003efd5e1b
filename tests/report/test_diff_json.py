"""The document ConnectionDiff."""

from __future__ import annotations

import json
from typing import Any

import pytest

from outgate.analysis.diff import ConnectionDiff
from outgate.report.diff_json import diff_json
from tests.report.diffs import CONDITIONS, EVERYTHING, NOTHING, WILD, reported
from tests.report.schema import complaints


def document(found: ConnectionDiff) -> dict[str, Any]:
    """The document as another tool reads it."""
    read: dict[str, Any] = json.loads(json.dumps(diff_json(*reported(found))))
    return read


@pytest.mark.parametrize("found", [CONDITIONS, EVERYTHING, NOTHING, WILD])
def test_it_keeps_to_the_schema(found: ConnectionDiff) -> None:
    """A tool that reads the document breaks where a field is missing or of another type."""
    assert complaints(document(found)) == []


def test_what_is_asked() -> None:
    """Both ends, the ports, and the rules of both sides; absent where nothing else is asked."""
    pods, block, _ = document(CONDITIONS)["conditions"]
    assert block["destination"] == {"kind": "External", "cidrs": ["192.0.2.0/24"]}
    assert (block["widens"], block["narrows"], block["after"]) == (True, False, [])
    assert (pods["widens"], pods["narrows"], pods["direction"]) == (False, False, "Egress")
    assert [one["http"][0]["method"] for one in (*pods["before"], *pods["after"])] == ["GET", "POST"]
    assert pods["passing"]["allowed"] == [{"protocol": "TCP", "ports": [[80, 80]]}]
    assert "conditions" not in document(EVERYTHING)


def test_a_change() -> None:
    """Both ends, before and after, which way it goes, and who brings it."""
    (one,) = [
        one
        for one in document(EVERYTHING)["changes"]
        if one["change"] == "changed" and not (one["widens"] or one["narrows"])
    ]
    assert one["source"] == {"kind": "Deployment", "namespace": "shop", "name": "web"}
    assert one["destination"] == {"kind": "External", "cidrs": ["192.0.2.0/24"]}
    assert one["before"] == {"all": False, "allowed": [{"protocol": "TCP", "ports": [[80, 80]]}]}
    assert one["after"] == {"all": False, "allowed": [{"protocol": "TCP", "ports": [[443, 443]]}]}
    # The rule has one name on both sides, and two places.
    files = [one[way][who][0]["file"] for way in ("opens", "closes") for who in ("allowedBy", "deniedBy")]
    assert files == ["new.yaml", "old.yaml", "old.yaml", "new.yaml"]


def test_what_is_only_there_sometimes() -> None:
    """Marks of workloads and families: absent where they have nothing to say."""
    changes = document(EVERYTHING)["changes"]
    marks = {(one.get("sourceChange"), one.get("destinationChange")) for one in changes}
    assert {("added", None), (None, "added"), ("removed", None), (None, "removed"), (None, None)} <= marks
    families = [[each["family"] for each in one["families"]] for one in changes if "families" in one]
    assert families
    assert all(one == [4, 6] for one in families)


def test_the_summary_counts() -> None:
    """In all, and by namespace."""
    found = document(EVERYTHING)
    kinds = [one["change"] for one in found["changes"]]
    assert {kind: found["summary"][kind] for kind in ("opened", "closed", "changed")} == {
        kind: kinds.count(kind) for kind in ("opened", "closed", "changed")
    }
    assert list(found["summary"]["namespaces"]) == ["shop"]
    assert [one["change"] for one in found["policies"]] == ["changed", "changed", "added", "changed"]
