"""What servers say to people, and when they have heard enough to say it."""

from __future__ import annotations

import ipaddress

from outgate.lab.greeting import greeting, half_said, speaks_http, words

SEEN = ipaddress.ip_address("10.0.0.7")
REQUEST = b"DELETE /v1/items HTTP/1.1\r\nHost: a\r\n\r\n"


def test_http_is_answered_as_http() -> None:
    """With the length of what is said: a proxy would otherwise have to wait for the end."""
    line = words("shop/web", "TCP", 80, SEEN)
    assert greeting("shop/web", "TCP", 80, SEEN) == line.encode()
    head, _, body = greeting("shop/web", "TCP", 80, SEEN, http=True).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(line)}".encode() in head
    assert body.decode() == line


def test_nobody_is_answered_in_the_middle() -> None:
    """A connection that is closed with bytes unread is reset, and the answer may be lost with it."""
    assert not half_said(REQUEST)
    assert all(half_said(REQUEST[:size]) for size in range(len(b"DELETE "), len(REQUEST)))


def test_who_speaks_neither_is_answered_at_once() -> None:
    """Somebody with nc, who waits for us."""
    assert not half_said(b"hello")
    assert not speaks_http(b"hello there")
