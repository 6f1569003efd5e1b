"""Messages that tests send, and what they teach, found out slowly."""

from __future__ import annotations

import ipaddress
import struct

from outgate.proxy import dns, glance
from outgate.proxy.dns import Message, Question, Record
from outgate.proxy.glance import Asked, Taught, glance_question

__all__ = ["address", "ask", "obviously", "response", "service"]


def ask(name: str, kind: int = 1) -> tuple[bytes, Asked]:
    """A query and what it asks."""
    query = dns.encode(Message(7, questions=(Question(name, kind),)))
    asked = glance_question(query)
    assert isinstance(asked, Asked)
    return query, asked


def response(name: str, *records: Record, kind: int = 1, code: int = 0) -> bytes:
    """A response to a question."""
    return dns.encode(Message(7, True, code=code, questions=(Question(name, kind),), answers=records))


def address(text: str, owner: str = "a.io", ttl: int = 60) -> Record:
    """An address of either family."""
    one = ipaddress.ip_address(text)
    return Record(owner, 1 if one.version == 4 else 28, one, ttl)


def service(*params: tuple[int, bytes], priority: int = 1, target: bytes = b"\0") -> bytes:
    """The data of an HTTPS record."""
    return (
        struct.pack("!H", priority)
        + target
        + b"".join(struct.pack("!HH", key, len(value)) + value for key, value in params)
    )


def obviously(raw: bytes, name: str) -> Taught:
    """What a response teaches, from the full reading."""
    message = dns.decode(raw)
    by_name: dict[str, list[Record]] = {}
    for one in message.answers:
        by_name.setdefault(one.name.lower(), []).append(one)
    here, ttls = name.lower(), []
    for _ in range(17):
        alias = [one for one in by_name.get(here, ()) if isinstance(one.data, str)]
        if not alias:
            break
        ttls.append(alias[-1].ttl)
        here = str(alias[-1].data).lower()
    else:
        return glance.NOTHING
    found = [one for one in by_name.get(here, ()) if not isinstance(one.data, str | bytes)]
    packed = tuple(dict.fromkeys(one.data.packed for one in found if not isinstance(one.data, str | bytes)))
    low = min((0 if ttl >> 31 else ttl for ttl in [*ttls, *(one.ttl for one in found)]), default=0)
    return Taught(packed, low) if found else glance.NOTHING
