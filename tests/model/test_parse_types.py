"""The types are named as Go names them, for the names stand in the server's messages."""

from __future__ import annotations

from outgate.model.parse_types import BOOLEAN, INT64, STRING_MAP, STRINGS, TIME, Listing, Struct


def test_names() -> None:
    """A struct has its package; a list is a slice."""
    pod = Struct("Pod", {"labels": STRING_MAP})
    assert pod.go == "v1.Pod"
    assert Struct("URL", {}, "url").go == "url.URL"
    assert Listing(pod).go == "[]v1.Pod"
    assert (STRINGS.go, INT64.go, BOOLEAN.go, TIME.go, STRING_MAP.go) == (
        "[]string",
        "int64",
        "bool",
        "string",
        "map[string]string",
    )
