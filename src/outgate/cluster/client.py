"""Requests to an API server, patient with one that is busy and plain about one that refuses.

    client = Client(access)
    client.get("/api/v1/pods", {"limit": "500"})    an Answer, or a ClusterError that says what to do
    client.open("/api/v1/pods", {"watch": "1"})     the response itself, for whoever reads it as it comes

What asks here is a GET, and one that was cut off may be sent again. The few writes that there are (see
`outgate.cluster.writes`, the only caller of `Client.send`) are such that sending them twice does what sending them once
does. What is worth another try is tried a few
times: 429 after as long as the server asks for (``Retry-After``), 500, 502, 503 and 504 and a connection that was cut
after a pause that doubles. What another try cannot mend (nobody listens, a certificate that does not fit, 403) is
answered at once. Redirects are not followed: they would take the credentials to somebody else.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import msgspec

from outgate.cluster.access import Access, Credentials
from outgate.cluster.connection import Connection, Deadline, tls
from outgate.errors import ClusterError
from outgate.records import dataclass
from outgate.version import __version__

__all__ = ["Answer", "Client"]

ATTEMPTS = 5
"""How often one request is sent, at most."""

LONGEST_WAIT = 30.0
"""Seconds: a server that asks for more than this is not waited for longer."""

BODY_LIMIT = 1 << 30
"""Bytes of one answer. A page of 500 pods has some 10 MiB."""

_HEADERS: Mapping[str, str] = {"Accept": "application/json", "User-Agent": f"outgate/{__version__}"}
_FIRST_WAIT = 0.5
_BUSY = (429, 500, 502, 503, 504)
_CHUNK = 1 << 18


class _Status(msgspec.Struct):
    """What an API server says of a failure (metav1.Status)."""

    message: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked, and asked again where it was cut off."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whatever its status."""

    status: int
    body: bytes
    retry_after: str = ""

    @property
    def words(self) -> str:
        """What the server says of a failure, on one line."""
        try:
            said = msgspec.json.decode(self.body, type=_Status).message
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            said = self.body[:300].decode(errors="replace")
        line = " ".join(said.split())
        return "".join(letter if letter.isprintable() else "�" for letter in line) or "no words of its own"


class Client:
    """One API server. `wait` pauses for seconds, and `clock` counts them; `timeout` is for one whole exchange."""

    def __init__(
        self,
        access: Access,
        *,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = 60.0,
    ) -> None:
        self.access = access
        self._wait = wait
        self._timeout = timeout
        self._deadline = Deadline(clock)
        self._connection: Connection | None = None
        self._credentials: Credentials | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. The next request connects anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """The answer to a request, whole; busy servers are asked again, and what they say last is returned.

        Raises:
            ClusterError: there is no answer, or the server does not know us (401).
        """
        return self._ask(_Request("GET", path, query or {}))

    def send(self, method: str, path: str, body: bytes) -> Answer:
        """The answer to a write in JSON. It may be sent more than once, as `get` may. Raises as `get` does."""
        return self._ask(_Request(method, path, {}, body))

    def _ask(self, request: _Request) -> Answer:
        renewed = self.access.lasting
        pause = _FIRST_WAIT
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._try(request, last=attempt == ATTEMPTS)
            if answer is not None and answer.status == 401:
                if renewed or attempt == ATTEMPTS:
                    raise self._unknown(answer)
                # Tokens of files and plugins run out; new ones are worth one more try.
                renewed = True
                self._credentials = None
                self.close()
                continue
            if answer is not None and (answer.status not in _BUSY or attempt == ATTEMPTS):
                return answer
            asked = answer.retry_after if answer is not None else ""
            self._wait(min(float(asked), LONGEST_WAIT) if asked.isascii() and asked.isdecimal() else pause)
            pause = min(pause * 2, LONGEST_WAIT)
        raise AssertionError("the last attempt returns or raises")

    def open(
        self, path: str, query: Mapping[str, str] | None = None, *, seconds: float | None = None
    ) -> http.client.HTTPResponse:
        """The response to one request, to be read as it comes, within so many seconds or for ever.

        Raises:
            ClusterError: nobody answers.
            OSError, http.client.HTTPException: the connection was cut.
        """
        return self._open(_Request("GET", path, query or {}), seconds)

    def _open(self, request: _Request, seconds: float | None) -> http.client.HTTPResponse:
        self._deadline.start(seconds)
        connection = self._connected()
        target = self.access.url.path.rstrip("/") + request.path
        target += f"?{urlencode(request.query)}" if request.query else ""
        known = self._credentials.headers if self._credentials is not None else {}
        typed = {} if request.body is None else {"Content-Type": "application/json"}
        connection.request(request.method, target, body=request.body, headers={**_HEADERS, **typed, **known})
        return connection.getresponse()

    def _try(self, request: _Request, *, last: bool) -> Answer | None:
        """One attempt; None where the connection was cut and another one may do better."""
        try:
            response = self._open(request, self._timeout)
            body = self._body(response)
            return Answer(response.status, body, response.getheader("Retry-After") or "")
        except TimeoutError as error:
            self.close()
            words = f"{self.access.name}: {self._where} did not answer within {self._timeout:g} s"
            raise ClusterError(words, hint="try again; if it stays so, look at the load of the API server") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
                # With TLS 1.3 a server says only now what it thinks of our certificate.
                words = f"{self.access.name}: {self._where} ends the TLS connection: {_reason(error)}"
                raise ClusterError(words, hint="see client-certificate and client-key in the kubeconfig") from error
            if last:
                words = f"{self.access.name}: {self._where} cut the connection {ATTEMPTS} times: {_reason(error)}"
                raise ClusterError(words, hint="is there a proxy or a load balancer in between?") from error
            return None

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        body = bytearray()
        try:
            while chunk := response.read(_CHUNK):
                body += chunk
                if len(body) > BODY_LIMIT:
                    self.close()
                    raise ClusterError(f"{self.access.name}: an answer has more than {BODY_LIMIT} bytes")
        except ValueError as error:
            # The length of a chunk may be anything, and `http.client` believes a negative one.
            raise http.client.HTTPException from error
        if response.length:
            # Read in parts, the end of the connection passes for the end of the answer.
            raise http.client.IncompleteRead(b"", response.length)
        return bytes(body)

    @property
    def _where(self) -> str:
        url = self.access.url
        return f"{url.scheme}://{url.netloc}"

    def _connected(self) -> Connection:
        """The connection that stands, or a new one."""
        if self._connection is not None and self._connection.sock is not None:
            return self._connection
        if self._credentials is None:
            self._credentials = self.access.identify()
        connection = Connection(self.access, tls(self.access, self._credentials), self._deadline)
        try:
            connection.connect()
        except TimeoutError as error:
            raise self._unreachable("it did not answer", _ROUTE) from error
        except ssl.SSLCertVerificationError as error:
            words = f"its certificate cannot be trusted: {error.verify_message}"
            raise self._unreachable(words, _TRUST) from error
        except ssl.SSLError as error:
            raise self._unreachable(f"no TLS connection comes about: {_reason(error)}", _TRUST) from error
        except (ConnectionResetError, BrokenPipeError):
            raise
        except OSError as error:
            raise self._unreachable(_reason(error), _ROUTE) from error
        except ValueError as error:
            # What no resolver and no certificate has: a name with an empty or an endless part.
            raise self._unreachable("its name, or tls-server-name, is no name of a host", _ROUTE) from error
        self._connection = connection
        return connection

    def _unreachable(self, words: str, hint: str) -> ClusterError:
        if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy")):
            hint = f"{hint}; HTTPS_PROXY is set, and Outgate does not use it"
        return ClusterError(f"{self.access.name}: {self._where} cannot be reached: {words}", hint=hint)

    def _unknown(self, answer: Answer) -> ClusterError:
        with contextlib.suppress(OSError):
            self.close()
        words = f"{self.access.name}: {self._where} does not accept these credentials (401): {answer.words}"
        return ClusterError(words, hint=f"log in again; {self.access.kubectl} auth whoami shows who you are")


_ROUTE = "is this the right context, is the cluster up, and does this machine have a route to it (VPN)?"
_TRUST = "the kubeconfig must hold the cluster's own certificate-authority; tls-server-name gives another name to check"


def _reason(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "the answer is not complete"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, http.client.RemoteDisconnected):
        return "the answer is no HTTP"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return (getattr(error, "strerror", None) or str(error)).lower()
