"""The names that TLS clients ask for, in all the ways in which the first message may be said, to a real Envoy."""

from __future__ import annotations

import socket
import ssl
import struct

import pytest

from outgate.policy.requests import lets_name
from tests.lab.proxied import Proxied, needs_envoy, redirect, run

pytestmark = [pytest.mark.kernel, needs_envoy]

PATTERNS = ("*.example.com", "**.org", "exact.net")
PLACE = "anameofanylengthisputhere"


def hello(name: bytes | None) -> bytes:
    """The first record of a client that asks for a name, whatever octets that has; for none with None."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    got, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    place = None if name is None else PLACE[: len(name)]
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(got, sent, server_hostname=place).do_handshake()
    said = sent.read()
    if name is None or place is None:
        return said
    assert said.count(place.encode()) == 1
    return said.replace(place.encode(), name)


def answered(world: Proxied, *pieces: bytes, patience: float = 10) -> bool:
    """Whether the world outside answers a client that says this, in packets of their own."""
    with world.connection(port=443) as one:
        one.settimeout(patience)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                one.sendall(piece)
            # A ServerHello (RFC 8446, 5.1: a record of the type handshake).
            return one.recv(1) == b"\x16"
        except (ConnectionError, TimeoutError):
            return False


NAMES = (
    *(b"a.example.com", b"A.EXAMPLE.com", b"example.com", b"a.b.example.com", b"a.example.com.", b".example.com"),
    *(b"a.example.comx", b"aXexample.com", b"xa.example.co", b"exact.net", b"EXACT.NET", b"exact.net.", b"x.org"),
    *(b"x.y.org", b"org", b"a.example.org.evil", b"evil/.example.com", b"a*example.com"),
)


def test_envoy_agrees_with_the_model() -> None:
    """Of names in any case, with a dot behind, with more or less labels than a pattern has."""

    def check(world: Proxied) -> None:
        seen = {name: answered(world, hello(name)) for name in NAMES}
        assert seen == {name: lets_name(PATTERNS, name.decode()) for name in NAMES}
        assert set(seen.values()) == {True, False}

    run(check, redirect(names=PATTERNS))


def test_no_name() -> None:
    """A client that asks for none gets nowhere, nor does what is not TLS."""

    def check(world: Proxied) -> None:
        assert not answered(world, hello(None))
        assert not answered(world, b"\x80\x2e\x01\x03\x01" + bytes(41), patience=0.5)
        assert not answered(world, b"GET /a.example.com HTTP/1.1\r\nHost: a.example.com\r\n\r\n")

    run(check, redirect(names=["**.example.com"]))


def in_records(said: bytes, size: int) -> bytes:
    """The same message in records of so many octets each (RFC 8446, 5.1)."""
    message = said[5:]
    parts = (message[at : at + size] for at in range(0, len(message), size))
    return b"".join(said[:3] + struct.pack("!H", len(part)) + part for part in parts)


def test_a_name_in_pieces() -> None:
    """Over packets, an octet each, and over records: who may pass still does, and who may not never does."""

    def check(world: Proxied) -> None:
        good, bad = hello(b"a.example.com"), hello(b"evil.evil.com")
        for said, passes in ((good, True), (bad, False)):
            at = said.index(b".com") - 3
            assert answered(world, said[:at], said[at:]) is passes
            assert answered(world, *(said[one : one + 1] for one in range(len(said)))) is passes
            assert answered(world, said[:3], said[3:]) is passes
        for size in (1, 16, 100):
            assert not answered(world, in_records(bad, size)), size

    run(check, redirect(names=PATTERNS))
