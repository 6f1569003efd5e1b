"""Rules of others that write connection marks: in nftables, and in what iptables keeps beside it.

Found are statements ``ct mark set ...`` in any table but ours, and CONNMARK targets, which `iptables-nft` leaves in
nftables as a blob of its own (``xt``) and `iptables-legacy` in the kernel's older tables. Of each it is said which bits
it writes, as far as the rule tells: a mask that is not understood counts as all 32. Copying a connection's mark into a
packet (``--restore-mark``) writes none.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outgate.errors import KernelError
from outgate.host import process
from outgate.nft.objects import Ruleset

__all__ = ["MarkRule", "mark_rules", "read_saved", "written_bits"]

_ALL = 0xFFFF_FFFF
_LEGACY = {"iptables-legacy-save": "ip_tables_names", "ip6tables-legacy-save": "ip6_tables_names"}
_SET = re.compile(r"--set-x?mark (0x[0-9a-f]+|[0-9]+)(?:/(0x[0-9a-f]+|[0-9]+))?")
_SAVE = re.compile(r"--save-mark(?:.* --ctmask (0x[0-9a-f]+))?")


@dataclass(frozen=True, slots=True)
class MarkRule:
    """A rule of somebody else's that writes into the marks of connections."""

    place: str
    """Table and chain, or the table of iptables."""
    words: str
    """What it does, in its own spelling as far as that can be had."""
    bits: int
    """The bits that it may write; all 32 where the rule does not tell."""

    def __str__(self) -> str:
        return f"{self.place}: {self.words} (bits {self.bits:#010x})"


def mark_rules() -> tuple[MarkRule, ...]:
    """All that were found in the network namespace of the calling thread.

    Raises:
        NotPermitted: the caller may not look.
        KernelError: nft is missing or failed.
    """
    return (*_in_nftables(), *_in_legacy_tables())


def _in_nftables() -> Iterator[MarkRule]:
    ours = Ruleset()
    targets: dict[tuple[str, str], int] = {}
    for entry in _listed():
        rule = entry.get("rule")
        if rule is None or (rule["family"], rule["table"]) == (ours.family, ours.table):
            continue
        place = f"nftables {rule['family']} {rule['table']} {rule['chain']}"
        for statement in rule.get("expr", []):
            match statement:
                case {"mangle": {"key": {"ct": {"key": "mark"}}, "value": value}}:
                    yield MarkRule(place, f"ct mark set {_spelt(value)}", written_bits(value))
                case {"xt": {"name": "CONNMARK"}}:
                    targets[rule["family"], rule["table"]] = targets.get((rule["family"], rule["table"]), 0) + 1
    for family, command in (("ip", "iptables-nft-save"), ("ip6", "ip6tables-nft-save")):
        here = {table: count for (of, table), count in targets.items() if of == family}
        if here:
            told = _saved(command, "iptables-nft" if family == "ip" else "ip6tables-nft")
            yield from _untold(family, here) if told is None else told


def _listed() -> Iterator[dict[str, Any]]:
    """What nft lists. Without the elements of sets: those are what is long, and no element writes a mark.

    nft 1.0.6 cannot print a table that has flags, as that of firewalld has: the text ends there, or in nonsense. It can
    print a chain.
    """
    text = process.run(("nft", "-t", "-j", "list", "ruleset")).stdout or "{}"
    try:
        yield from json.loads(text).get("nftables", [])
    except ValueError:
        for family, table, chain in _chains():
            told = process.read(("nft", "-t", "-j", "list", "chain", family, table, chain))
            # One that has gone meanwhile writes nothing any more.
            yield from json.loads(told.stdout)["nftables"] if told.code == 0 else ()


def _chains() -> Iterator[tuple[str, str, str]]:
    told = json.loads(process.run(("nft", "-j", "list", "chains")).stdout or "{}")
    for one in (entry["chain"] for entry in told.get("nftables", []) if "chain" in entry):
        yield one["family"], one["table"], one["name"]


def _untold(family: str, tables: dict[str, int]) -> Iterator[MarkRule]:
    for table, count in tables.items():
        words = f"{count} CONNMARK target{'s' if count > 1 else ''} of iptables, whose bits nft does not show"
        yield MarkRule(f"nftables {family} {table}", words, _ALL)


def _in_legacy_tables() -> Iterator[MarkRule]:
    for command, file in _LEGACY.items():
        tables: list[str] = []
        with contextlib.suppress(OSError):
            # Only tables that somebody has used are in there.
            tables = Path("/proc/thread-self/net", file).read_text().split()
        if not tables:
            continue
        told = _saved(command, command.removesuffix("-save"))
        if told is not None:
            yield from told
        elif "mangle" in tables:
            words = f"a table mangle whose rules cannot be read here: {command} is missing"
            yield MarkRule(command.removesuffix("-save"), words, _ALL)


def _saved(command: str, place: str) -> list[MarkRule] | None:
    """The rules that a ``-save`` of iptables tells of; None where it is not installed."""
    try:
        text = process.run((command,)).stdout
    except KernelError:
        return None
    return list(read_saved(text, place))


def read_saved(text: str, place: str) -> Iterator[MarkRule]:
    """The rules in the output of ``iptables-save`` that write connection marks."""
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        # In a comment nobody jumps: what is in quotes does not count.
        rule = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)
        if not rule.startswith("-A ") or "-j CONNMARK" not in rule:
            continue
        bits = 0
        if found := _SET.search(rule):
            # iptables-extensions(8), CONNMARK: "Zero out the bits given by mask and XOR value into the ctmark."
            bits = int(found[1], 0) | (_ALL if found[2] is None else int(found[2], 0))
        elif found := _SAVE.search(rule):
            bits = _ALL if found[1] is None else int(found[1], 16)
        if bits:
            yield MarkRule(f"{place} {table}", rule, bits)


def written_bits(value: Any) -> int:
    """The bits that ``ct mark set VALUE`` may change: all that do not come from the mark. VALUE is as in nft's JSON."""
    changed, _ = _changed(value)
    return changed


def _changed(value: Any) -> tuple[int, bool]:
    """The bits that may differ from the mark, and whether it is the mark that is computed with."""
    match value:
        case {"ct": {"key": "mark"}}:
            return 0, True
        case {"&": [inner, int(mask)]}:
            changed, of_mark = _changed(inner)
            return (changed | ~mask) & _ALL if of_mark else _ALL, of_mark
        case {"|": [inner, int(bits)]} | {"^": [inner, int(bits)]}:
            changed, of_mark = _changed(inner)
            return changed | bits if of_mark else _ALL, of_mark
        case _:
            return _ALL, False


def _spelt(value: Any) -> str:
    """Near to nft's own spelling, for a reader."""
    match value:
        case int():
            return f"{value:#010x}"
        case {"ct": {"key": key}}:
            return f"ct {key}"
        case {"meta": {"key": key}}:
            return f"meta {key}"
        case {"&": [left, right]}:
            return f"{_spelt(left)} & {_spelt(right)}"
        case {"|": [left, right]}:
            return f"{_spelt(left)} | {_spelt(right)}"
        case {"^": [left, right]}:
            return f"{_spelt(left)} ^ {_spelt(right)}"
        case _:
            return "something computed"
