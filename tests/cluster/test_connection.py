"""TLS: whose server it is, who we are, and what is said where the two do not fit; and time that is counted once."""

from __future__ import annotations

import dataclasses
import os
import select
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgate.cluster.access import Access, Credentials
from outgate.cluster.client import Client
from outgate.cluster.connection import _SIGNS_OF_LIFE, Connection, Deadline, tls
from outgate.errors import ClusterError, InvalidInput
from tests.cluster.apiserver import ApiServer, Reply, access_to, certificate

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl for certificates")


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Certificates that sign themselves: of the server, of a server of another name, and of a client."""
    folder = tmp_path_factory.mktemp("papers")
    names = {"server": "IP:127.0.0.1", "named": "DNS:kubernetes.default", "client": "DNS:client"}
    return {name: certificate(folder, name, names=alternative) for name, alternative in names.items()}


def serving(papers: dict[str, tuple[Path, Path]], name: str, *, client: bool = False) -> ApiServer:
    """A server with that certificate, which may ask for the client's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*papers[name])
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(papers["client"][0])
    return ApiServer(lambda _: Reply(body="{}"), context)


@pytest.fixture
def server(papers: dict[str, tuple[Path, Path]]) -> Iterator[ApiServer]:
    """A server with the certificate of its address."""
    with serving(papers, "server") as one:
        yield one


def reached(access: Access) -> bool:
    """Ask, and say that there was an answer."""
    with Client(access, wait=lambda _: None, timeout=20) as client:
        return client.get("/version").status == 200


@needs_openssl
def test_the_server_is_verified(server: ApiServer, papers: dict[str, tuple[Path, Path]]) -> None:
    """With the authority of the kubeconfig, and with no other: the system's do not know a cluster."""
    trusting = access_to(server, authority="die Wurzel: größer\n".encode() + papers["server"][0].read_bytes())
    assert reached(trusting)
    for authority in (None, papers["named"][0].read_bytes()):
        with pytest.raises(ClusterError, match=r"its certificate cannot be trusted: self.signed") as caught:
            reached(dataclasses.replace(trusting, authority=authority))
        assert "certificate-authority" in caught.value.hint


@needs_openssl
def test_a_certificate_of_another_name(papers: dict[str, tuple[Path, Path]]) -> None:
    """Refused, unless `tls-server-name` says which name it should have."""
    with serving(papers, "named") as server:
        access = access_to(server, authority=papers["named"][0].read_bytes())
        with pytest.raises(ClusterError, match=r"certificate is not valid for '127\.0\.0\.1'"):
            reached(access)
        assert reached(dataclasses.replace(access, server_name="kubernetes.default"))
        with pytest.raises(ClusterError, match="Hostname mismatch"):
            reached(dataclasses.replace(access, server_name="other.example.com"))
        # Whoever says so in the kubeconfig is not held up; no flag of ours does it.
        assert reached(dataclasses.replace(access, verify=False, authority=None))


@needs_openssl
def test_a_client_certificate(papers: dict[str, tuple[Path, Path]]) -> None:
    """It is shown where it is given, and no copy of the key stays behind."""
    cert, key = papers["client"]
    before = set(os.listdir(tempfile.gettempdir()))
    with serving(papers, "server", client=True) as server:
        access = access_to(server, authority=papers["server"][0].read_bytes())
        known = dataclasses.replace(access, identify=lambda: Credentials({}, cert.read_bytes(), key.read_bytes()))
        assert reached(known)
        with pytest.raises(ClusterError, match=r"ends the TLS connection: .*certificate required") as caught:
            reached(access)
        assert "client-certificate" in caught.value.hint
    left = set(os.listdir(tempfile.gettempdir())) - before
    assert [name for name in left if name.startswith("outgate-")] == []


@needs_openssl
def test_papers_that_are_none(server: ApiServer, papers: dict[str, tuple[Path, Path]]) -> None:
    """Bad files are the caller's to mend, and are told apart from a server that refuses."""
    (cert, key), (_, other) = papers["client"], papers["server"]
    access = access_to(server)
    with pytest.raises(InvalidInput, match="they do not belong together"):
        tls(access, Credentials({}, cert.read_bytes(), other.read_bytes()))
    with pytest.raises(InvalidInput, match="not both in PEM"):
        tls(access, Credentials({}, b"certificate", key.read_bytes()))
    for authority in (b"", b"certificate", b"\xff"):
        with pytest.raises(InvalidInput, match="the certificate authority is no certificate in PEM"):
            tls(dataclasses.replace(access, authority=authority), Credentials())


@needs_openssl
def test_a_locked_key_is_said_and_not_asked_for(server: ApiServer, papers: dict[str, tuple[Path, Path]]) -> None:
    """OpenSSL would ask at the terminal, in the middle of a pipe."""
    cert, key = papers["client"]
    locked = key.with_suffix(".locked")
    words = ["openssl", "ec", "-aes128", "-passout", "pass:secret", "-in", str(key), "-out", str(locked)]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    with pytest.raises(InvalidInput, match="locked with a password"):
        tls(access_to(server), Credentials({}, cert.read_bytes(), locked.read_bytes()))


@needs_openssl
def test_http_at_a_port_for_https_and_the_other_way_round(server: ApiServer) -> None:
    """A mistyped scheme is a common mistake, and must not look like a network that is down."""
    with ApiServer(lambda _: Reply(body="{}")) as plain:
        secure = access_to(plain)
        secure = dataclasses.replace(secure, url=secure.url._replace(scheme="https"))
        with pytest.raises(ClusterError, match="no TLS connection comes about"):
            reached(secure)
        assert reached(access_to(plain))
    wrong = access_to(server)
    with pytest.raises(ClusterError, match=r"cut the connection|no HTTP"):
        reached(dataclasses.replace(wrong, url=wrong.url._replace(scheme="http")))


def test_a_server_without_tls_has_no_context() -> None:
    """`kubectl proxy` is one."""
    with ApiServer(lambda _: Reply(body="{}")) as plain:
        assert tls(access_to(plain), Credentials()) is None


def test_a_deadline_counts_once() -> None:
    """For the whole, not for each part; and one without an end never passes."""
    now = [100.0]
    deadline = Deadline(lambda: now[0])
    assert deadline.left() is None
    deadline.start(5)
    now[0] += 3
    assert deadline.left() == 2
    for later in (2, 1000):
        now[0] += later
        with pytest.raises(TimeoutError):
            deadline.left()
    deadline.start(None)
    assert deadline.left() is None


def opened(access: Access, seconds: float = 20) -> Connection:
    """A connection to a server, opened."""
    deadline = Deadline(time.monotonic)
    deadline.start(seconds)
    one = Connection(access, None, deadline)
    one.connect()
    return one


def test_a_peer_that_vanishes_is_noticed_by_the_kernel() -> None:
    """A watch sends nothing for minutes: without questions a cut wire would look like a quiet cluster."""
    with ApiServer(lambda _: Reply()) as plain:
        one = opened(access_to(plain))
        raw = one._raw
        assert raw is not None
        found = [raw.getsockopt(level, option) for level, option, _ in _SIGNS_OF_LIFE]
        assert found == [value for _, _, value in _SIGNS_OF_LIFE]
        assert len(found) == 6
        one.close()


def test_a_connection_that_has_ended_is_not_used_again() -> None:
    """A server closes one that was idle for minutes; the next request is not what finds out."""

    def never(_: float) -> None:
        raise AssertionError("no request has failed")

    with ApiServer(lambda _: Reply(body="{}")) as plain, Client(access_to(plain), wait=never) as client:
        assert client.get("/x").status == 200
        (one,) = client._free
        assert not one.stale
        raw = one._raw
        assert raw is not None
        raw.shutdown(socket.SHUT_WR)
        poll = select.poll()
        poll.register(raw, select.POLLRDHUP)
        assert poll.poll(20_000), "the server has closed its end"
        assert client._free[0].stale
        assert client.get("/x").status == 200
        assert plain.connections == 2


def test_a_connection_that_is_broken_off() -> None:
    """Before it is opened, and while somebody reads."""
    with ApiServer(lambda _: Reply(body="x" * 50, hold=5)) as plain:
        early = Connection(access_to(plain), None, Deadline(time.monotonic))
        early.break_off()
        with pytest.raises(ConnectionAbortedError):
            early.connect()
        late = opened(access_to(plain))
        late.request("GET", "/x")
        response = late.getresponse()
        assert response.read1(5) == b"xxxxx"
        breaking = threading.Thread(target=late.break_off)
        breaking.start()
        # The rest of 45 bytes would come with the end of the server.
        assert response.read1(45) == b""
        breaking.join()
        late.close()


def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """``localhost`` is ::1 first, and the server may listen at 127.0.0.1 alone."""
    with ApiServer(lambda _: Reply()) as plain:
        access = access_to(plain)
        port = access.url.port
        nobody = ("127.0.0.2", port)
        many = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one) for one in (nobody, ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: many)
        opened(access).close()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: many[:1])
        with pytest.raises(ConnectionRefusedError):
            opened(access)
