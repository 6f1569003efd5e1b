"""Handshakes between clients of Python's own TLS and the servers of a lab, without a socket between them."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from outgate.lab.tls import Authority, Ending

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def strict(authority: Authority) -> ssl.SSLContext:
    """A client that is as exact as it can be."""
    context = authority.client()
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def talk(context: ssl.SSLContext, server: Ending, name: str | None, piece: int = 65536) -> bytes:
    """A whole conversation, in pieces of so many octets; what the client has heard."""
    got, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(got, sent, server_hostname=name)

    def deliver() -> None:
        while data := sent.read(piece):
            got.write(server.feed(data))

    heard, asked, replied = b"", False, False
    while True:
        try:
            if not asked:
                client.do_handshake()
                client.write(REQUEST)
                asked = True
            while more := client.read(65536):
                heard += more
            return heard
        except ssl.SSLWantReadError:
            deliver()
            assert not server.failed
            if server.said == REQUEST and not replied:
                replied = True
                got.write(server.reply(b"here I am"))


def test_a_client_and_the_server_that_it_names(tmp_path: Path) -> None:
    """Whatever the name, and however the bytes come; the end is said, too."""
    authority = Authority(tmp_path)
    for name in ("api.example.com", "A.Example.COM", "x", f"{'y' * 63}.{'z' * 63}.example.com", "with_line.example"):
        assert talk(strict(authority), authority.accept(), name) == b"here I am"
    assert talk(strict(authority), authority.accept(), "api.example.com", piece=1) == b"here I am"


def test_nobody_else_is_believed(tmp_path: Path) -> None:
    """A client of this run takes no other authority's word, and no other name's certificate."""
    mine, other = Authority(tmp_path / "mine"), Authority(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|issuer|signature"):
        talk(strict(mine), other.accept(), "api.example.com")
    blind = strict(mine)
    blind.check_hostname = False
    # No name is sent, so the certificate is nobody's; who looks at the name then finds out.
    assert talk(blind, mine.accept(), None) == b"here I am"
    server = mine.accept()
    got, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = blind.wrap_bio(got, sent)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    got.write(server.feed(sent.read()))
    client.do_handshake()
    shown = client.getpeercert() or {}
    assert shown["subjectAltName"] == (("DNS", "nobody.outgate.invalid"),)


def test_what_is_no_tls(tmp_path: Path) -> None:
    """It fails and says so to the other side, in an alert."""
    server = Authority(tmp_path).accept()
    assert server.feed(b"\x16\x03\x01\x00\x05nonsense")[:1] == b"\x15"
    assert server.failed


def test_certificates_are_kept_within_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for endless names does not fill the memory."""
    monkeypatch.setattr("outgate.lab.tls._MOST", 3)
    authority = Authority(tmp_path)
    for number in range(8):
        assert talk(strict(authority), authority.accept(), f"n{number}.example.com") == b"here I am"
        assert len(authority._contexts) <= 3
