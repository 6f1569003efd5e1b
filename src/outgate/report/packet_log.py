"""The lines of the log: one packet that a policy denied, would deny, or allowed, and who was to blame.

    {"time": "...", "verdict": "denied", "direction": "egress", "pod": {...}, "peer": {...}, "policy": "shop/deny", ...}

A line may be about a request, too, or a question of DNS. The agent and the DNS proxy write them, and `outgate logs`
reads them. A rule is named as `outgate can-reach` names it: an Origin of policy and rule. Names in a line come from
whoever made the objects, so as text they are shown on their line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from outgate.errors import one_line

__all__ = [
    "DIRECTIONS",
    "VERDICTS",
    "LogRecord",
    "Party",
    "PodName",
    "QuestionSaid",
    "RequestSaid",
    "Workload",
    "record_text",
    "rfc3339",
    "rule_words",
]

VERDICTS = ("denied", "would-deny", "allowed", "unknown-pod", "refused")
DIRECTIONS = ("egress", "ingress")

_PLAIN, _DIM = "\x1b[0m", "\x1b[2m"
_COLOURS = {
    "denied": "\x1b[31m",
    "would-deny": "\x1b[33m",
    "allowed": "\x1b[32m",
    "unknown-pod": "\x1b[35m",
    "refused": "\x1b[31m",
}


class PodName(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pod."""

    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Workload(msgspec.Struct, frozen=True):
    """What a pod belongs to, in its namespace."""

    kind: str
    name: str


class Party(msgspec.Struct, frozen=True, omit_defaults=True):
    """The other end: a pod, a node, or an address that belongs to neither (External)."""

    kind: str
    namespace: str = ""
    name: str = ""
    cidrs: tuple[str, ...] = ()

    def __str__(self) -> str:
        match self.kind:
            case "Pod":
                return f"{self.namespace}/{self.name}"
            case "External":
                return ",".join(one.partition("/")[0] for one in self.cidrs)
            case _:
                return f"{self.kind.lower()}/{self.name}"


class RequestSaid(msgspec.Struct, frozen=True, rename="camel"):
    """What was asked, of a request or a connection that Envoy refused. What it does not have is empty."""

    method: str = ""
    path: str = ""
    host: str = ""
    server_name: str = ""
    rules: tuple[str, ...] = ()
    """Those that are about the connection, none of which lets it through."""
    details: str = ""
    """Envoy's words for why."""

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path}" if self.method else f"TLS for {self.server_name or 'no name'}"


class QuestionSaid(msgspec.Struct, frozen=True, rename="camel"):
    """A question of DNS that the proxy did not pass on."""

    name: str
    """In lower case, without the last dot; empty for the root."""
    type: str
    rules: tuple[str, ...] = ()
    """Those that say which names the pod may ask for, none of which means this one."""

    def __str__(self) -> str:
        return f"DNS for {self.name or '.'} {self.type}"


class LogRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One line. What is not known is null."""

    time: str
    """RFC 3339, UTC."""
    node: str
    verdict: str
    direction: str | None = None
    """egress: the pod's own policies judged what it sends (or the answer to that, where `reply`)."""
    reply: bool = False
    """The packet goes against the direction of its connection: an answer that is no longer allowed."""
    pod: PodName | None = None
    """Whose policies judged."""
    workload: Workload | None = None
    peer: Party | None = None
    source: str | None = None
    destination: str | None = None
    protocol: str | None = None
    port: int | None = None
    """The destination port of the connection."""
    icmp_type: int | None = None
    policy: str | None = None
    """The policies that decided, as namespace/name,name; of `policies` and `decidedBy` the short form."""
    policies: tuple[dict[str, Any], ...] = ()
    """The Origin of each policy that isolates, where nothing allowed the packet."""
    decided_by: dict[str, Any] | None = None
    """The Origin of the rule that allowed it, or of a rule that denies it."""
    rule: str = ""
    """The rule in words."""
    generation: int = 0
    interface: str | None = None
    """The node's end of the pod's link, or what stood for it."""
    request: RequestSaid | None = None
    """Where Envoy refused it, what was asked."""
    question: QuestionSaid | None = None
    """Where the DNS proxy did, the question."""


def rfc3339(seconds: float) -> str:
    """A moment, given in seconds since 1970, in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rule_words(verdict: str, decider: object = None) -> str:
    """What decided, in words: the rule, or why there is none."""
    if decider is not None:
        return str(decider)
    match verdict:
        case "denied":
            return "isolated, nothing allows"
        case "would-deny":
            return "isolated by audited policies alone, nothing allows"
        case _:
            return "the pod is not programmed"


@dataclass(frozen=True, slots=True)
class _Widths:
    pod: int = 28
    peer: int = 28
    what: int = 12


_WIDTHS = _Widths()


def record_text(record: LogRecord) -> str:
    """One line, with columns that stand under each other as far as the names allow."""
    arrow = "<-" if record.direction == "ingress" else "->"
    what = _what(record)
    colour = _COLOURS.get(record.verdict, "")
    by = f"{record.policy}: {record.rule}" if record.policy and record.decided_by is None else record.rule
    fields = (
        f"{_DIM}{one_line(record.time)}{_PLAIN}",
        f"{colour}{one_line(record.verdict):<11}{_PLAIN}",
        f"{one_line(record.direction or '?'):<7}",
        f"{one_line(_pod(record)):<{_WIDTHS.pod}}",
        arrow,
        f"{one_line(str(record.peer or '?')):<{_WIDTHS.peer}}",
        f"{one_line(what):<{_WIDTHS.what}}",
        one_line(by + (" (an answer)" if record.reply else "")),
    )
    return " ".join(fields).rstrip()


def _pod(record: LogRecord) -> str:
    if record.pod is not None:
        return str(record.pod)
    mine = record.source if record.direction == "egress" else record.destination
    return mine or "?"


def _what(record: LogRecord) -> str:
    parts: Iterable[object] = (
        record.protocol or "?",
        record.port if record.port is not None else None,
        f"type {record.icmp_type}" if record.icmp_type is not None else None,
    )
    return " ".join(str(one) for one in parts if one is not None)
