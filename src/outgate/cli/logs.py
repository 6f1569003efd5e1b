"""`outgate logs`: what policies denied on this node (packets, requests, questions of DNS), and by which line."""

from __future__ import annotations

import heapq
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from outgate.cli import options
from outgate.cli.inputs import note
from outgate.cli.status import run_dir_option

if TYPE_CHECKING:
    from outgate.report.packet_log import LogRecord

__all__ = ["Wanted", "follow", "logs"]

_VERDICTS = ("denied", "would-deny", "allowed", "unknown-pod", "refused")
_DIRECTIONS = ("egress", "ingress")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST = 65536
"""Bytes of a line. One of ours has some 700."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines are asked for; what is empty asks for any."""

    pod: str = ""
    namespace: str = ""
    verdicts: tuple[str, ...] = ()
    direction: str = ""
    policy: str = ""
    since: datetime | None = None
    name: str = ""

    def __call__(self, one: LogRecord) -> bool:
        """Whether a line is among them."""
        pod, peer = one.pod, one.peer
        named = {str(pod)} if pod is not None else set[str]()
        spaces = {pod.namespace} if pod is not None else set[str]()
        if peer is not None and peer.kind == "Pod":
            named.add(f"{peer.namespace}/{peer.name}")
            spaces.add(peer.namespace)
        return (
            (not self.pod or self.pod in named)
            and (not self.namespace or self.namespace in spaces)
            and (not self.verdicts or one.verdict in self.verdicts)
            and (not self.direction or one.direction == self.direction)
            and (not self.policy or self.policy in _policies(one))
            and (not self.name or self.name.lower().removesuffix(".") in _names(one))
            and (self.since is None or _moment(one.time) >= self.since)
        )


def _policies(one: LogRecord) -> set[str]:
    """The policies of a line, with their namespace and without."""
    space, _, names = (one.policy or "").partition("/")
    return {text for name in names.split(",") for text in (name, f"{space}/{name}")}


def _names(one: LogRecord) -> set[str]:
    """The DNS names of a line: what was asked for, or of which server something was."""
    if one.question is not None:
        return {one.question.name}
    return {one.request.host.partition(":")[0].lower(), one.request.server_name.lower()} if one.request else set()


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _since(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    """A span back from now (10m) or a moment (2026-11-26T03:00:00Z)."""
    if text is None:
        return None
    if span := re.fullmatch(r"([0-9]{1,9})([smhd])", text):
        try:
            return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError as error:
            raise click.BadParameter("nobody logged anything so long ago.") from error
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter("give a span, as in 10m or 2h, or a moment, as in 2026-11-26T03:00:00Z.") from error
    return found if found.tzinfo is not None else found.astimezone()


@click.command()
@click.option("--follow", "following", is_flag=True, help="Go on, and show each line as it comes.")
@click.option("--pod", metavar="NAMESPACE/NAME", default="", help="Only packets of, or to and from, this pod.")
@click.option("-n", "--namespace", metavar="NAME", default="", help="Only packets with an end in this namespace.")
@click.option("--verdict", multiple=True, type=click.Choice(_VERDICTS), help="Only these. May be repeated.")
@click.option("--direction", type=click.Choice(_DIRECTIONS), default=None, help="Only what was sent, or received.")
@click.option("--policy", metavar="[NAMESPACE/]NAME", default="", help="Only what this policy decided.")
@click.option("--name", metavar="NAME", default="", help="Only questions and requests for this DNS name.")
@click.option("--since", metavar="TIME", callback=_since, help="Only since then: 10m, 2h, or a moment.")
@run_dir_option
@options.output_options("text", "json")
def logs(
    following: bool,
    pod: str,
    namespace: str,
    verdict: tuple[str, ...],
    direction: str | None,
    policy: str,
    name: str,
    since: datetime | None,
    run_dir: Path,
    output: str,
    quiet: bool,
    verbose: int,  # noqa: ARG001 - -v has nothing to add
) -> int:
    """Show the packets that policies denied on this node, and by which line.

    Each packet is one line, with the pod, its peer and the policy; so is each request, or client of TLS, that Envoy
    refused, and each question that the DNS proxy did. Lines are limited to 50 a second for each set of
    policies, and the file to a few megabytes; the metrics count every packet, and what the log has lost.

    \b
    Examples:
      outgate logs --since 10m
      outgate logs --follow --pod shop/web
      outgate logs --verdict would-deny --policy shop/default-deny
      outgate logs --verdict refused --name api.example.com
      outgate logs -o json | jq .peer

    \b
    Exit codes:
      0  all lines were shown, or there is none
      2  bad usage
      3  no log is here
    """
    from outgate.agent.settings import Settings
    from outgate.errors import KernelError, UsageError
    from outgate.policy.names import not_a_name

    if pod and pod.count("/") != 1:
        raise UsageError(f"--pod {pod}: a pod is named as NAMESPACE/NAME")
    if policy.count("/") > 1:
        raise UsageError(f"--policy {policy}: a policy is named as NAME or NAMESPACE/NAME")
    if name and (problem := not_a_name(name)):
        raise UsageError(f"--name {name}: {problem}")
    settings = Settings("", run_dir=run_dir)
    files = settings.log_file, settings.request_log, settings.dns.refusals_file
    if not following and not any(one.exists() or _before(one).exists() for one in files):
        if settings.status_file.exists():
            note(f"note: nothing has been logged in {run_dir}", quiet)
            return 0
        hint = "the agent writes it where it runs and logs; see --run-dir, and outgate status"
        raise KernelError(f"{files[0]} is not there", hint=hint)
    wanted = Wanted(pod, namespace, verdict, direction or "", policy, since, name)
    lines = follow(*files) if following else heapq.merge(*map(_all, files), key=_time)
    shown, others, broken = _show(lines, wanted, output, flush=following)
    if broken:
        note(f"note: {broken} {'line' if broken == 1 else 'lines'} could not be read", quiet)
    if others and not shown:
        note(f"note: none of the {others} lines in the log is what was asked for", quiet)
    return 0


def _show(lines: Iterable[bytes], wanted: Wanted, output: str, *, flush: bool) -> tuple[int, int, int]:
    """Write the lines that are wanted. How many they are, how many there are beside, and how many are unreadable."""
    import sys

    import msgspec

    from outgate.report.packet_log import LogRecord, record_text

    decoder, shown, others, broken = msgspec.json.Decoder(LogRecord), 0, 0, 0
    for line in lines:
        if not line.strip():
            continue
        try:
            record = decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            broken += 1
            continue
        if not wanted(record):
            others += 1
        else:
            shown += 1
            click.echo(line.decode().rstrip() if output == "json" else record_text(record))
            if flush:
                sys.stdout.flush()
    return shown, others, broken


def _before(file: Path) -> Path:
    """Where the lines are that were rotated away."""
    return file.with_name(f"{file.name}.1")


_TIME = re.compile(rb'"time":\s*"([^"]*)"')


def _time(line: bytes) -> bytes:
    """When it was written, as text that sorts; of a line that is none, the beginning of time."""
    found = _TIME.search(line)
    return found[1] if found else b""


def _all(file: Path) -> Iterator[bytes]:
    """The lines that there are, the oldest first."""
    # Both are opened before either is read, so that a rotation in between loses no line and shows none twice.
    before = _before(file)
    newest, oldest = _opened(file), _opened(before)
    if newest is not None and oldest is not None and _same(newest, before):
        oldest.close()
        oldest = None
    for one in (oldest, newest):
        if one is not None:
            with one:
                yield from one


def follow(*files: Path) -> Generator[bytes, None, None]:
    """The lines that there are, the rotated ones first, and then each as it is written, through rotations.

    All files are in one folder.
    """
    from outgate.host.inotify import FolderWatch

    with FolderWatch(files[0].parent) as watch, ExitStack() as stack:
        tails = [stack.enter_context(_Tail(file)) for file in files]
        while True:
            for tail in tails:
                yield from tail.lines()
            watch.wait(None)


class _Tail:
    """One file that is followed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._opened, self._oldest = _opened(file), _opened(_before(file))
        self._rest = b""

    def __enter__(self) -> _Tail:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._opened, self._oldest):
            if one is not None:
                one.close()

    def lines(self) -> Iterator[bytes]:
        """What has been written since; half a line waits for its end."""
        if self._oldest is not None:
            # What was rotated between the two openings is the file that is open already, and read once.
            if self._opened is None or not _same(self._opened, _before(self._file)):
                yield from self._oldest
            self._oldest.close()
            self._oldest = None
        while True:
            # Asked before reading: who rotates has closed the file before, so that it is read to its end here.
            moved = self._opened is None or not _same(self._opened, self._file)
            while self._opened is not None and (line := self._opened.readline(_LONGEST)):
                self._rest += line
                if self._rest.endswith(b"\n") or len(self._rest) >= _LONGEST:
                    whole, self._rest = self._rest, b""
                    yield whole
            newer = _opened(self._file) if moved else None
            if newer is None:
                return
            if self._opened is not None:
                self._opened.close()
            self._opened, self._rest = newer, b""


def _opened(file: Path) -> BinaryIO | None:
    try:
        return file.open("rb")
    except FileNotFoundError:
        return None


def _same(opened: BinaryIO, file: Path) -> bool:
    """Whether the name still leads to the file that is open."""
    import os

    try:
        return os.path.samestat(os.fstat(opened.fileno()), file.stat())
    except FileNotFoundError:
        return False
