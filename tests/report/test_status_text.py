"""What a tired person reads: whether all is well comes first, and everything that is not has a line of its own."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec
import pytest

from outgate.report.agent_status import AgentStatus, BrokenObject, Lag, ObjectError, UnenforcedPod
from outgate.report.status_text import Seen, status_text, well

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
WELL = AgentStatus(
    node="node-a",
    version="0.1.0",
    mode="enforce",
    started="2026-11-26T01:00:00.000Z",
    written="2026-11-26T02:59:59.000Z",
    applied="2026-11-26T02:00:00.000Z",
    ready=True,
    generation=3,
    epoch=2,
    pods={"enforced": 2, "waiting": 0},
    policies={"enforce": 1, "audit": 0},
    elements={"dispatch": 12},
    lag=Lag(0.0, {"Pod": 0.0}),
)


def text(status: AgentStatus, *, running: bool = True) -> list[str]:
    """The lines, without colours."""
    return [re.sub(r"\x1b\[[0-9]*m", "", line) for line in status_text(Seen(status, running, NOW))]


def test_a_node_in_order() -> None:
    """One line says so, and the numbers follow."""
    assert text(WELL) == [
        "node-a: ready",
        "  pods      2 enforced, 0 waiting",
        "  policies  1 enforce, 0 audit (default: enforce)",
        "  kernel    generation 3, epoch 2, last changed 2026-11-26T02:00:00.000Z",
        "  elements  12 dispatch",
        "  drift     none",
        "  lag       kernel 0 ms, watch 0 ms",
        "  agent     version 0.1.0, started 2026-11-26T01:00:00.000Z, wrote this 2026-11-26T02:59:59.000Z",
    ]


def test_what_is_of_no_namespace_has_none() -> None:
    """A policy of the whole cluster is called by its name."""
    one = BrokenObject("ClusterNetworkPolicy", "", "x", (ObjectError("spec.tier", "is none"),))
    assert "  broken    ClusterNetworkPolicy x: spec.tier: is none" in text(
        msgspec.structs.replace(WELL, broken=(one,))
    )


def test_an_agent_that_is_not_running() -> None:
    """The rules go on, as of when is the question."""
    assert text(WELL, running=False)[0] == (
        "node-a: the agent is not running; the kernel's rules stand as of 2026-11-26T02:59:59.000Z (1 s ago)"
    )
    odd = msgspec.structs.replace(WELL, written="yesterday")
    assert text(odd, running=False)[0].endswith("as of yesterday")


TROUBLES = {
    "hindrances": (("no br_netfilter",), "hindered  no br_netfilter"),
    "programming": (
        "2026-11-26T02:58:00.000Z",
        "changing  a change is being programmed since 2026-11-26T02:58:00.000Z; what comes later waits for it",
    ),
    "last_refusal": ("EBUSY", "refused   the kernel refused the last change: EBUSY"),
    "troubled": ({"Pod": "no route"}, "no news   of Pod for 0 ms: no route; what was programmed stands"),
    "lag": (Lag(200.0, {}), "behind    a change waits for 3 min to reach the kernel"),
    "unenforced": (
        (UnenforcedPod("shop", "web", "waiting", "has no address yet"),),
        "pod       shop/web waiting: has no address yet",
    ),
    "broken": (
        (BrokenObject("NetworkPolicy", "shop", "x", (ObjectError("spec.egress", "is no list"),)),),
        "broken    NetworkPolicy shop/x: spec.egress: is no list; it closes until it is mended",
    ),
    "audited": (("shop/y",), "audited   shop/y is only watched, not enforced"),
    "strange": (("policy shop/z: odd",), "strange   policy shop/z: odd"),
    "drift_repairs": (4, "drift     4 repairs"),
    "applied": (None, "kernel    generation 3, epoch 2, not changed since the agent started"),
}


@pytest.mark.parametrize("field", TROUBLES)
def test_each_trouble_has_its_line(field: str) -> None:
    """None is left out."""
    value, line = TROUBLES[field]
    assert f"  {line}" in text(msgspec.structs.replace(WELL, **{field: value}))


def test_long_lists_are_cut_and_say_so() -> None:
    """A node on which every pod waits still fits a screen."""
    pods = tuple(UnenforcedPod("n", f"p{number}", "waiting", "x") for number in range(50))
    found = [line for line in text(msgspec.structs.replace(WELL, unenforced=pods)) if line.startswith("  pod ")]
    assert len(found) == 21
    assert "30 more" in found[-1]


def test_the_headline_says_whether_it_is_well() -> None:
    """Ready with something to look at is not the same as ready."""
    assert text(msgspec.structs.replace(WELL, ready=False))[0] == "node-a: not ready"
    assert text(msgspec.structs.replace(WELL, troubled={"Pod": "x"}))[0] == "node-a: ready, with the following"
    assert well(Seen(WELL, True, NOW))
    assert not well(Seen(WELL, False, NOW))
    assert not well(Seen(msgspec.structs.replace(WELL, hindrances=("x",)), True, NOW))


def test_names_stay_on_their_line() -> None:
    """They come from whoever makes objects."""
    evil = (UnenforcedPod("n", "a\n  kernel    all is well\x1b[2J", "waiting", "x"),)
    lines = text(msgspec.structs.replace(WELL, unenforced=evil, troubled={"Pod": "a\nb"}))
    assert len(lines) == len(text(WELL)) + 2
    assert not any("\x1b" in line or "\n" in line for line in lines)
