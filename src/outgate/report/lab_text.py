"""The lab for people: a matrix that is understood at a glance, then reasons, then one line that sums up.

    from                    coredns      prometheus
                            53    other  9090  other
    production/batch        ✗     ✗      ✓     ✗
    production/web-api      ✓     ✗      ✓     ✗

Tables that are wider than the page are cut between columns. Colours are ANSI sequences; whoever prints takes
them out where they are not wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from outgate.policy import Side
from outgate.report.lab import LabReport, ProbeResult
from outgate.report.lab_matrix import Column, Matrix, Section, State, matrix_of
from outgate.report.lab_names import (
    NameResult,
    name_disagreement,
    name_lines,
    question_disagreement,
    question_lines,
)
from outgate.report.lab_requests import disagreement_lines, request_lines

__all__ = ["lab_text"]

MOST_REASONS = 20
MOST_DISAGREEMENTS = 20
MOST_LEGENDS = 12

_WIDEST_NAME = 40
_PLAIN, _BOLD, _DIM, _RED, _GREEN, _YELLOW = "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"
_COLOURS = {
    State.ALLOWED: _GREEN,
    State.DENIED: _RED,
    State.DISAGREES: _BOLD + _YELLOW,
    State.ITSELF: _DIM,
}
_MEANINGS = {
    State.ALLOWED: "allowed",
    State.DENIED: "denied",
    State.ONLY_IPV4: "IPv4 only",
    State.ONLY_IPV6: "IPv6 only",
    State.DIFFERS: "some of it",
    State.ITSELF: "itself",
    State.DISAGREES: "not as predicted",
}


def lab_text(report: LabReport, width: int = 100) -> str:
    """The whole report, at most `width` columns wide where names allow it."""
    matrix = matrix_of(report.probes, report.unmentioned)
    lines = [*_head(report), *_tables(matrix, width), *_legend(matrix), *_requests(report), *_names(report)]
    return "\n".join((*lines, *_reasons(report), *_disagreements(report), *_summary(report)))


def _head(report: LabReport) -> Iterator[str]:
    pods, nodes = len(report.topology.get("pods", ())), len(report.topology.get("nodes", ()))
    hosted = sum(bool(pod.get("hostNetwork")) for pod in report.topology.get("pods", ()))
    but = f", except {_count(hosted, 'pod')} on the host network" if hosted else ""
    names = [f"{one.namespace}/{one.name}" if one.namespace else f"{one.kind} {one.name}" for one in report.policies]
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    yield f"{_count(pods, 'pod')} on {_count(nodes, 'node')}, each in a network namespace of its own{but}"
    if not report.enforced:
        yield f"{_BOLD}nothing is enforced{_PLAIN}: the control run, without {_count(len(names), 'policy', 'policies')}"
    elif names:
        yield f"enforced by nftables: {_count(len(names), 'policy', 'policies')} ({shown})"
    else:
        yield "no policy to enforce: everything is allowed"
    yield ""


def _tables(matrix: Matrix, width: int) -> Iterator[str]:
    for section in Section:
        columns = [one for one in matrix.columns if one.section is section]
        rows = [row for row in matrix.rows if any((row, one) in matrix.cells for one in columns)]
        if not rows:
            continue
        margin = min(max(len(row) for row in (*rows, "from")), _WIDEST_NAME) + 2
        yield f"{_BOLD}{section.value}{_PLAIN}"
        for part in _pages(columns, width - margin):
            yield from _table(matrix, part, rows, margin)
            yield ""


def _pages(columns: list[Column], room: int) -> Iterator[list[Column]]:
    """The columns in as many parts as the width asks for; the columns of one destination stay together."""
    page: list[Column] = []
    for _, group in groupby(columns, key=lambda one: (one.scope, one.head)):
        many = list(group)
        if page and _width_of([*page, *many]) > room:
            yield page
            page = []
        page += many
    if page:
        yield page


def _widths(columns: Sequence[Column]) -> list[int]:
    """The width of each column: its own word, and its share of the heads above."""
    widths = [len(one.sub) + 2 for one in columns]
    for words in ("head", "scope"):
        for _, group in groupby(enumerate(columns), key=lambda pair: _group_key(pair[1], words)):
            many = [index for index, _ in group]
            missing = len(str(getattr(columns[many[0]], words))) + 2 - sum(widths[index] for index in many)
            widths[many[-1]] += max(missing, 0)
    return widths


def _group_key(column: Column, words: str) -> tuple[str, ...]:
    return (column.scope, column.head) if words == "head" else (column.scope,)


def _width_of(columns: Sequence[Column]) -> int:
    return sum(_widths(columns))


def _table(matrix: Matrix, columns: list[Column], rows: list[str], margin: int) -> Iterator[str]:
    widths = _widths(columns)
    for words, title in (("scope", ""), ("head", "from")):
        line = title.ljust(margin)
        for _, group in groupby(enumerate(columns), key=lambda pair: _group_key(pair[1], words)):
            many = [index for index, _ in group]
            line += str(getattr(columns[many[0]], words)).ljust(sum(widths[index] for index in many))
        if line.strip():
            yield f"{_DIM}{line.rstrip()}{_PLAIN}" if words == "scope" else line.rstrip()
    subs = "".join(one.sub.ljust(width) for one, width in zip(columns, widths, strict=True))
    yield f"{_DIM}{' ' * margin}{subs.rstrip()}{_PLAIN}"
    for row in rows:
        signs = [matrix.cells.get((row, one), State.UNKNOWN) for one in columns]
        if all(sign is State.UNKNOWN for sign in signs):
            continue
        cells = "".join(_sign(sign) + " " * (width - 1) for sign, width in zip(signs, widths, strict=True))
        yield f"{_cut(row, margin - 2)}  {cells}".rstrip()


def _sign(state: State) -> str:
    colour = _COLOURS.get(state)
    return f"{colour}{state.value}{_PLAIN}" if colour else state.value


def _cut(name: str, room: int) -> str:
    """A name in its room; one that is too long keeps its end, where names differ."""
    return name.ljust(room) if len(name) <= room else "…" + name[len(name) - room + 1 :]


def _legend(matrix: Matrix) -> Iterator[str]:
    used = [state for state in _MEANINGS if state in set(matrix.cells.values())]
    yield "  ".join(f"{_sign(state)} {_MEANINGS[state]}" for state in used)
    shown = matrix.legend[:MOST_LEGENDS]
    yield from (f"{_DIM}{words}{_PLAIN}" for words in shown)
    if len(matrix.legend) > len(shown):
        yield f"{_DIM}and {len(matrix.legend) - len(shown)} more addresses{_PLAIN}"
    yield ""


def _requests(report: LabReport) -> Iterator[str]:
    if report.requests:
        through = ", through Envoy" if report.enforced else ""
        yield f"{_BOLD}requests{through}{_PLAIN}"
        yield from request_lines(report.requests)
        yield ""


def _names(report: LabReport) -> Iterator[str]:
    if report.names or report.questions:
        through = ", through the DNS proxy" if report.enforced else ""
        yield f"{_BOLD}names{through}{_PLAIN}"
        yield from name_lines(report.names)
        yield from question_lines(report.questions)
        yield f"{_DIM}  {_count(report.asked, 'question')} asked, {_count(len(report.moved), 'name')} moved{_PLAIN}"
        yield ""


def _reasons(report: LabReport) -> Iterator[str]:
    """Why what is denied is denied: one line for each set of policies that isolates pods in a direction."""
    reasons: dict[tuple[str, str, str], dict[str, None]] = {}
    for probe in report.probes:
        for side, end in ((probe.egress, probe.source), (probe.ingress, probe.destination)):
            if not side.verdict.allows and side.decided_by is not None:
                policies = ", ".join(dict.fromkeys(one.name for one in side.isolated_by))
                ruled = side.decided_by.rule is not None
                why = f"{side.decided_by} denies it" if ruled else f"no rule of {policies} allows it"
                if side.conditional:
                    # The rule allows something else: a request that it asks for, the name of a server.
                    asking = ", ".join(dict.fromkeys(str(rule.origin) for rule in side.conditional))
                    why = f"it is not what {asking} allows"
                key = (side.direction.value.lower(), why, str(side.decided_by.place))
                reasons.setdefault(key, {})[str(end)] = None
    if not reasons:
        return
    yield f"{_BOLD}why denied{_PLAIN}"
    for (direction, why, place), ends in list(reasons.items())[:MOST_REASONS]:
        names = ", ".join(list(ends)[:3]) + (f" and {len(ends) - 3} more" if len(ends) > 3 else "")
        yield f"  {direction} of {names}: {why}" + (f"   {place}" if place else "")
    if len(reasons) > MOST_REASONS:
        yield f"  and {len(reasons) - MOST_REASONS} more sets of policies"
    yield ""


def _disagreements(report: LabReport) -> Iterator[str]:
    found = report.disagreements
    if report.agrees:
        return
    yield f"{_BOLD}{_YELLOW}{_count(report.count, 'disagreement')}{_PLAIN}"
    yield from _others([disagreement_lines(one) for one in report.misjudged], "requests")
    misnamed = (
        name_disagreement(one) if isinstance(one, NameResult) else question_disagreement(one) for one in report.misnamed
    )
    yield from _others(list(misnamed), "about names")
    for probe in found[:MOST_DISAGREEMENTS]:
        yield from _disagreement(probe)
    if len(found) > MOST_DISAGREEMENTS:
        yield f"  and {len(found) - MOST_DISAGREEMENTS} more; -o json has all of them"
    yield ""


def _others(found: Sequence[Iterator[str]], words: str) -> Iterator[str]:
    """Disagreements that are none of plain probes, each as its lines."""
    for lines in found[:MOST_DISAGREEMENTS]:
        first, *rest = lines
        yield f"{_YELLOW}!{_PLAIN} {first}"
        yield from rest
    if len(found) > MOST_DISAGREEMENTS:
        yield f"  and {len(found) - MOST_DISAGREEMENTS} more {words}; -o json has all of them"


def _disagreement(probe: ProbeResult) -> Iterator[str]:
    protocol = probe.protocol.name.replace("ICMPV6", "ICMPv6")
    port = f"{protocol} {probe.port}" if probe.protocol.has_ports else f"{protocol} echo"
    name = probe.name or (f"svc/{probe.service}" if probe.service else str(probe.destination))
    address = "" if name == str(probe.address) else f" ({probe.address})"
    yield f"{_YELLOW}!{_PLAIN} {probe.source} → {name}{address} {port}"
    if probe.demanded is not None:
        yield f"    demanded  {probe.demanded.value}: the file of flows says so"
    yield f"    expected  {probe.expected.value}: {_because(probe)}"
    yield f"    observed  {probe.observed.value}: {probe.evidence}"
    for rule in probe.kernel:
        yield f"    kernel    {rule}"
    if not probe.specified:
        yield "    note      the API leaves this to the network plugin"


def _because(probe: ProbeResult) -> str:
    """What the policies say of both ends, the one that decides first."""
    sides = [probe.egress, probe.ingress]
    if all(side.verdict.allows for side in sides):
        said = [_side(side) for side in sides if side.isolated] or ["no policy selects either end"]
    else:
        said = [_side(side) for side in sides if not side.verdict.allows]
    return "; ".join(said)


def _side(side: Side) -> str:
    place = str(side.decided_by.place) if side.decided_by is not None and not side.verdict.allows else ""
    return side.reason + (f" ({place})" if place else "")


def _summary(report: LabReport) -> Iterator[str]:
    for words in report.notes:
        yield f"note: {words}"
    probes: tuple[ProbeResult | NameResult, ...] = (*report.probes, *report.names)
    requests = f" and {_count(len(report.requests), 'request')}" if report.requests else ""
    allowed = sum(one.observed.allows for one in probes)
    allowed += sum(one.observed.allows for one in report.requests)
    denied = len(probes) + len(report.requests) - allowed
    line = (
        f"{_count(len(probes), 'probe')}{requests}: {allowed} allowed, {denied} denied, "
        f"{_count(report.count, 'disagreement')} in {report.seconds:.1f} s"
    )
    yield f"{_BOLD}{_GREEN if report.agrees else _YELLOW}{line}{_PLAIN}"


def _count(number: int, word: str, plural: str = "") -> str:
    return f"{number} {word if number == 1 else plural or word + 's'}"
