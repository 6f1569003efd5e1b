"""The status of an agent for a tired person: first whether all is well, then what is not, then the numbers.

node-a: not ready: 1 pod waits
...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from outgate.errors import one_line
from outgate.report.agent_status import AgentStatus

__all__ = ["ProxySeen", "Seen", "status_text", "well"]

_PLAIN, _BOLD, _RED, _YELLOW, _GREEN = "\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[32m"
_SHOWN = 20
"""Entries of a list that are shown; `-o json` has more."""
_LATE = 5.0
"""Seconds of lag that are worth a word."""


@dataclass(frozen=True, slots=True)
class ProxySeen:
    """A proxy beside the agent, as it is found: names (the DNS proxy) or requests (Envoy)."""

    topic: str
    words: str
    up: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A status, and what whoever reads it sees beside."""

    status: AgentStatus
    running: bool
    """Whether an agent holds the lock of this node."""
    now: datetime
    proxies: tuple[ProxySeen, ...] = ()
    """Those that run here, or did."""


def well(seen: Seen) -> bool:
    """Whether the node is enforced as the cluster asks, by an agent that is there."""
    return seen.running and seen.status.ready and not seen.status.hindrances


def status_text(seen: Seen) -> Iterator[str]:
    """The lines."""
    status = seen.status
    yield _headline(seen)
    for words in status.hindrances:
        yield _bad("hindered", words)
    if status.programming:
        yield _note(
            "changing", f"a change is being programmed since {status.programming}; what comes later waits for it"
        )
    if status.last_refusal:
        yield _bad("refused", f"the kernel refused the last change: {status.last_refusal}")
    for kind, words in status.troubled.items():
        since = status.lag.watch.get(kind, 0.0)
        yield _note("no news", f"of {kind} for {_span(since)}: {words}; what was programmed stands")
    if status.lag.kernel > _LATE:
        yield _bad("behind", f"a change waits for {_span(status.lag.kernel)} to reach the kernel")
    yield from _listed("pod", [f"{one.namespace}/{one.name} {one.state}: {one.reason}" for one in status.unenforced])
    for one in status.broken[:_SHOWN]:
        said = "; ".join(f"{each.path}: {each.message}" if each.path else each.message for each in one.errors[:3])
        closes = "; it closes until it is mended" if one.kind == "NetworkPolicy" else ""
        name = f"{one.namespace}/{one.name}" if one.namespace else one.name
        yield _bad("broken", f"{one.kind} {name}: {said}{closes}")
    yield from _more("broken", len(status.broken))
    yield from _listed("audited", [f"{one} is only watched, not enforced" for one in status.audited])
    yield from _listed("strange", list(status.strange))
    for proxy in seen.proxies:
        yield (_line if proxy.up else _bad)(proxy.topic, proxy.words)
    yield from _numbers(status)


def _headline(seen: Seen) -> str:
    status = seen.status
    if not seen.running:
        since = _when(seen, one_line(status.written))
        words = f"{_RED}the agent is not running{_PLAIN}; the kernel's rules stand as of {since}"
    elif not well(seen):
        words = f"{_RED}not ready{_PLAIN}"
    elif seen.status.unenforced or seen.status.broken or seen.status.troubled:
        words = f"{_YELLOW}ready{_PLAIN}, with the following"
    else:
        words = f"{_GREEN}ready{_PLAIN}"
    return f"{_BOLD}{one_line(status.node)}{_PLAIN}: {words}"


def _numbers(status: AgentStatus) -> Iterator[str]:
    yield _line("pods", _counted(status.pods))
    yield _line("policies", f"{_counted(status.policies)} (default: {status.mode})")
    applied = f"last changed {status.applied}" if status.applied else "not changed since the agent started"
    yield _line("kernel", f"generation {status.generation}, epoch {status.epoch}, {applied}")
    yield _line("elements", _counted(status.elements))
    yield _line("drift", _repairs(status.drift_repairs))
    yield _line("lag", f"kernel {_span(status.lag.kernel)}, watch {_span(max(status.lag.watch.values(), default=0.0))}")
    yield _line("agent", f"version {status.version}, started {status.started}, wrote this {status.written}")


def _listed(topic: str, entries: list[str]) -> Iterator[str]:
    for one in entries[:_SHOWN]:
        yield _note(topic, one)
    yield from _more(topic, len(entries))


def _more(topic: str, count: int) -> Iterator[str]:
    if count > _SHOWN:
        yield _note(topic, f"... and {count - _SHOWN} more; -o json has the first hundred")


def _counted(many: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in many.items()) or "none"


def _line(topic: str, words: str) -> str:
    return f"  {topic:<9} {one_line(words)}"


def _note(topic: str, words: str) -> str:
    return f"  {_YELLOW}{topic:<9}{_PLAIN} {one_line(words)}"


def _bad(topic: str, words: str) -> str:
    return f"  {_RED}{topic:<9}{_PLAIN} {one_line(words)}"


def _span(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _when(seen: Seen, written: str) -> str:
    try:
        ago = (seen.now - datetime.fromisoformat(written)).total_seconds()
    except (ValueError, TypeError):
        return written or "an unknown time"
    return f"{written} ({_span(max(0.0, ago))} ago)"


def _repairs(count: int) -> str:
    return "none" if not count else "1 repair" if count == 1 else f"{count} repairs"
