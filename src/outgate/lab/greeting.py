"""What a server of the lab says to those who are no probe: who it is, where, and as whom it sees the caller.

A person reads it with curl or nc; a probe by request (`outgate.lab.asking`) compares it with what the party that was
meant would say. HTTP is answered as HTTP, also inside of TLS (`outgate.lab.tls`).
"""

from __future__ import annotations

from outgate.packets import Address

__all__ = ["greeting", "half_said", "speaks_http", "words"]

_METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")
_END = b"\r\n\r\n"


def words(title: str, protocol: str, port: int, seen: Address) -> str:
    """Who answers, where, and as whom the caller was seen; one line."""
    return f"{title} answers on {protocol} port {port}; you come from {seen}\n"


def greeting(title: str, protocol: str, port: int, seen: Address, *, http: bool = False) -> bytes:
    """The words as bytes, as an answer of HTTP/1.1 where that is spoken."""
    line = words(title, protocol, port, seen).encode()
    if not http:
        return line
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(line)}\r\nConnection: close"
    return head.encode() + _END + line


def speaks_http(data: bytes) -> bool:
    """Whether a connection begins with a request of HTTP/1.1."""
    return data.split(b" ", 1)[0] in _METHODS


def half_said(data: bytes) -> bool:
    """Whether the header of a request has not come whole: TCP may cut it anywhere.

    Who is answered before all was read is told by the kernel that the connection is broken (RST), and may not see the
    answer.
    """
    return speaks_http(data) and _END not in data
