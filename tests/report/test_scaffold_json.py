"""Manifests as JSON."""

from __future__ import annotations

from outgate.recipes import Manifest, Scaffold
from outgate.report.scaffold_json import scaffold_json


def test_one_and_several() -> None:
    """As kubectl prints them."""
    one, two = Manifest({"kind": "A"}, ("comment",)), Manifest({"kind": "B"})
    assert scaffold_json(Scaffold((one,))) == {"kind": "A"}
    assert scaffold_json(Scaffold((one, two))) == {
        "apiVersion": "v1",
        "kind": "List",
        "items": [{"kind": "A"}, {"kind": "B"}],
    }
