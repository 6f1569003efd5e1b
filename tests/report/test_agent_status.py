"""A status is read back as it was written, by a version that knows less or more, and never believed without reason."""

from __future__ import annotations

import msgspec
import pytest

from outgate.errors import InvalidInput
from outgate.report.agent_status import AgentStatus, BrokenObject, Lag, ObjectError, UnenforcedPod, read_status

FULL = AgentStatus(
    node="a",
    ready=True,
    unenforced=(UnenforcedPod("x", "y", "waiting", "why"),),
    broken=(BrokenObject("NetworkPolicy", "x", "y", (ObjectError("spec", "bad"),)),),
    lag=Lag(1.5, {"Pod": 2.0}),
)


def test_it_is_read_as_it_was_written() -> None:
    """All of it."""
    text = msgspec.json.encode(FULL)
    assert text.startswith(b'{"kind":"AgentStatus","apiVersion":"outgate.dev/v1","node":"a"')
    assert read_status(text, "f") == FULL


def test_other_versions_are_read() -> None:
    """Of a newer agent what is known; of an older one what it says, and nothing good is assumed of the rest."""
    found = read_status(b'{"kind":"AgentStatus","apiVersion":"outgate.dev/v1","node":"a","more":[1]}', "f")
    assert (found.node, found.ready, found.pods) == ("a", False, {})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"kind":"Reachability","apiVersion":"outgate.dev/v1"}',
        b'{"kind":"AgentStatus","apiVersion":"outgate.dev/v9"}',
        b'{"kind":"AgentStatus","apiVersion":"outgate.dev/v1","ready":"yes"}',
        b'{"kind":"AgentStatus","apiVersion":"outgate.dev/v1"}',
        b'{"kind":"AgentStatus","apiVersion":"outgate.dev/v1","node":"\xff"}',
    ],
)
def test_what_is_no_status_is_refused(text: bytes) -> None:
    """By the name of the file."""
    with pytest.raises(InvalidInput, match=r"^/run/x: "):
        read_status(text, "/run/x")
