"""Ports as the options give them: ``443``, ``8000-8010``, ``53/UDP``, ``http``; without a protocol, TCP."""

from __future__ import annotations

import re
from collections.abc import Iterable

from outgate.errors import UsageError
from outgate.model.validate_text import port_name

__all__ = ["port_entry", "read_ports", "spell_port"]

_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)
_PROTOCOLS = ("TCP", "UDP", "SCTP")


def read_ports(texts: Iterable[str], *, names: bool = True) -> list[dict[str, object]]:
    """The entries of ``ports`` in a rule, each once. Raises UsageError; `names`: whether ports may be named."""
    found: list[dict[str, object]] = []
    for text in texts:
        one = _read(text, names=names)
        if one not in found:
            found.append(one)
    return found


def _read(text: str, *, names: bool) -> dict[str, object]:
    number, slash, protocol = text.strip().partition("/")
    protocol = protocol.upper() if slash else "TCP"
    if protocol not in _PROTOCOLS:
        raise UsageError(f"--port {text}: a policy knows the protocols {', '.join(_PROTOCOLS)}")
    match = _RANGE.fullmatch(number)
    if match is not None:
        low, high = int(match[1]), int(match[2] or match[1])
        if not 1 <= low <= high <= 65535:
            raise UsageError(f"--port {text}: ports are between 1 and 65535, and a range goes up")
        return port_entry(protocol, low, high)
    wrong = list(port_name(number))
    if wrong:
        raise UsageError(f"--port {text}: as the name of a port it {wrong[0]}", hint="give 443, 8000-8010/UDP or http")
    if not names:
        raise UsageError(f"--port {text}: an address has no named ports", hint="give its number")
    return port_entry(protocol, number)


def port_entry(protocol: str, port: int | str, last: int | str = 0) -> dict[str, object]:
    """One entry as the API writes it."""
    one: dict[str, object] = {"protocol": protocol, "port": port}
    if isinstance(last, int) and isinstance(port, int) and last > port:
        one["endPort"] = last
    return one


def spell_port(entry: dict[str, object]) -> str:
    """``TCP 8000-8010``."""
    span = f"{entry['port']}-{entry['endPort']}" if "endPort" in entry else f"{entry['port']}"
    return f"{entry['protocol']} {span}"
