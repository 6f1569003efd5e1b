"""Requests to an API server, patient with one that is busy and plain about one that refuses.

    client = Client(access)
    client.get("/api/v1/pods", {"limit": "500"})    an Answer, or a ClusterError that says what to do
    client.open("/api/v1/pods", {"watch": "1"})     a Stream, for whoever reads the answer as it comes

What asks here is a GET, and one that was cut off may be sent again. The few writes that there are (see
`outgate.cluster.writes`, the only caller of `Client.send`) are such that sending them twice does what sending them once
does. What is worth another try is tried a few
times: 429 after as long as the server asks for (``Retry-After``), 500, 502, 503 and 504 and a connection that was cut
after a pause that doubles. What another try cannot mend (nobody listens, a certificate that does not fit, 403) is
answered at once. Redirects are not followed: they would take the credentials to somebody else.
"""

from __future__ import annotations

import functools
import http.client
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from outgate.cluster.access import Access
from outgate.cluster.connection import Connection, Deadline, reason, tls
from outgate.cluster.identity import Identity
from outgate.cluster.stream import Answer, Stream, seconds_asked
from outgate.errors import ClusterError
from outgate.records import dataclass
from outgate.version import __version__

__all__ = ["BUSY", "Answer", "Client"]

ATTEMPTS = 5
"""How often one request is sent, at most."""

LONGEST_WAIT = 30.0
"""Seconds: a server that asks for more than this is not waited for longer."""

BUSY = (429, 500, 502, 503, 504)
"""What a server says that may answer if it is asked again."""

BODY_LIMIT = 1 << 30
"""Bytes of one answer. A page of 500 pods has some 10 MiB."""

_HEADERS: Mapping[str, str] = {"Accept": "application/json", "User-Agent": f"outgate/{__version__}"}
_FIRST_WAIT = 0.5
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked, and asked again where it was cut off."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes | None = None
    content: str = "application/json"


class Client:
    """One API server, for any number of threads. `wait` pauses for seconds, and `clock` counts them.

    `timeout` is for one whole exchange. Connections that are free are used again, by whoever comes next.
    """

    def __init__(
        self,
        access: Access,
        *,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = 60.0,
    ) -> None:
        self.access = access
        self._wait = wait
        self._clock = clock
        self._timeout = timeout
        self._lock = threading.Lock()
        self._free: list[Connection] = []
        self._busy: set[Connection] = set()
        self._ended = False
        self._identity = Identity(access)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up what nobody uses. The next request connects anew."""
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def end(self) -> None:
        """For ever, from any thread: whoever waits for an answer gets an error at once, and so does who asks later."""
        with self._lock:
            self._ended = True
            busy = list(self._busy)
        for connection in busy:
            connection.break_off()
        self.close()

    def renew(self) -> bool:
        """Ask for other credentials before the next request; False where there are no others."""
        if self.access.lasting:
            return False
        self._identity.forget()
        self.close()
        return True

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """The answer to a request, whole; busy servers are asked again, and what they say last is returned.

        Raises:
            ClusterError: there is no answer, or the server does not know us (401).
        """
        return self._ask(_Request("GET", path, query or {}))

    def send(self, method: str, path: str, body: bytes, *, content: str = "application/json") -> Answer:
        """The answer to a write in JSON. It may be sent more than once, as `get` may. Raises as `get` does.

        `content` is its type; that of a patch says how it is meant (``application/merge-patch+json``).
        """
        return self._ask(_Request(method, path, {}, body, content))

    def once(self, path: str, query: Mapping[str, str] | None = None, *, seconds: float | None = None) -> Answer:
        """The answer to one request, whatever it is, for callers with a patience of their own: `seconds`, if given.

        Raises:
            ClusterError: there is no answer.
        """
        answer = self._try(_Request("GET", path, query or {}), attempts=1, seconds=seconds)
        assert answer is not None
        return answer

    def open(
        self, path: str, query: Mapping[str, str] | None = None, *, seconds: float | None = None, head: float = 60.0
    ) -> Stream:
        """The answer to one request, to be read as it comes, within so many seconds or for ever.

        It has to begin within `head` seconds.

        Raises:
            ClusterError: nobody answers.
        """
        connection: Connection | None = None
        try:
            connection, response = self._response(_Request("GET", path, query or {}), head)
        except (OSError, http.client.HTTPException) as error:
            words = f"{self.access.name}: {self._where} does not answer: {reason(error) or 'not in time'}"
            raise ClusterError(words) from error
        connection.deadline.start(seconds)
        return Stream(response, functools.partial(self._drop, connection), self._clock, connection.deadline.start)

    def _ask(self, request: _Request) -> Answer:
        renewed = False
        pause = _FIRST_WAIT
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._try(request, attempts=ATTEMPTS, last=attempt == ATTEMPTS)
            if answer is not None and answer.status == 401:
                # Tokens of files and plugins run out; new ones are worth one more try.
                if renewed or attempt == ATTEMPTS or not self.renew():
                    raise self._unknown(answer)
                renewed = True
                continue
            if answer is not None and (answer.status not in BUSY or attempt == ATTEMPTS):
                return answer
            self._wait(pause if answer is None else min(seconds_asked(answer.retry_after, pause), LONGEST_WAIT))
            pause = min(pause * 2, LONGEST_WAIT)
        raise AssertionError("the last attempt returns or raises")

    def _response(self, request: _Request, seconds: float | None) -> tuple[Connection, http.client.HTTPResponse]:
        """The head of the answer, on a connection that is ours until it is given back or dropped."""
        connection = self._taken(seconds)
        try:
            target = self.access.url.path.rstrip("/") + request.path
            target += f"?{urlencode(request.query)}" if request.query else ""
            known = connection.credentials.headers if connection.credentials is not None else {}
            typed = {} if request.body is None else {"Content-Type": request.content}
            connection.request(request.method, target, body=request.body, headers={**_HEADERS, **typed, **known})
            return connection, connection.getresponse()
        except BaseException:
            self._drop(connection)
            raise

    def _try(
        self, request: _Request, *, attempts: int, last: bool = True, seconds: float | None = None
    ) -> Answer | None:
        """One attempt; None where the connection was cut and another one may do better."""
        connection: Connection | None = None
        patience = self._timeout if seconds is None else seconds
        try:
            connection, response = self._response(request, patience)
            # An answer that ends with its connection has taken it over, and is the only one that can close it.
            with response:
                body = self._body(response)
            self._give_back(connection)
            connection = None
            return Answer(response.status, body, response.getheader("Retry-After") or "")
        except TimeoutError as error:
            words = f"{self.access.name}: {self._where} did not answer within {patience:g} s"
            raise ClusterError(words, hint="try again; if it stays so, look at the load of the API server") from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
                # With TLS 1.3 a server says only now what it thinks of our certificate.
                words = f"{self.access.name}: {self._where} ends the TLS connection: {reason(error)}"
                raise ClusterError(words, hint="see client-certificate and client-key in the kubeconfig") from error
            if last:
                times = f" {attempts} times" if attempts > 1 else ""
                words = f"{self.access.name}: {self._where} cut the connection{times}: {reason(error)}"
                raise ClusterError(words, hint="is there a proxy or a load balancer in between?") from error
            return None
        finally:
            if connection is not None:
                self._drop(connection)

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        body = bytearray()
        try:
            while chunk := response.read(_CHUNK):
                body += chunk
                if len(body) > BODY_LIMIT:
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

    def _taken(self, seconds: float | None) -> Connection:
        """A connection that is free and still stands for who we are, or a new one."""
        deadline = Deadline(self._clock)
        deadline.start(seconds)
        credentials = self._identity.credentials()
        while (free := self._pop()) is not None:
            if not free.stale and free.credentials is credentials:
                free.deadline.start(seconds)
                return free
            self._drop(free)
        connection = Connection(self.access, tls(self.access, credentials), deadline, credentials)
        self._register(connection)
        try:
            self._connect(connection)
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def _pop(self) -> Connection | None:
        with self._lock:
            if not self._free:
                return None
            connection = self._free.pop()
            self._busy.add(connection)
            return connection

    def _register(self, connection: Connection) -> None:
        with self._lock:
            if self._ended:
                raise ClusterError(f"{self.access.name}: nothing more is asked of {self._where}")
            self._busy.add(connection)

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            self._busy.discard(connection)
            if connection.sock is not None and not self._ended:
                self._free.append(connection)
                return
        connection.close()

    def _drop(self, connection: Connection) -> None:
        with self._lock:
            self._busy.discard(connection)
        connection.close()

    def _connect(self, connection: Connection) -> None:
        try:
            connection.connect()
        except TimeoutError as error:
            raise self._unreachable("it did not answer", _ROUTE) from error
        except ssl.SSLCertVerificationError as error:
            words = f"its certificate cannot be trusted: {error.verify_message}"
            raise self._unreachable(words, _TRUST) from error
        except ssl.SSLError as error:
            raise self._unreachable(f"no TLS connection comes about: {reason(error)}", _TRUST) from error
        except (ConnectionResetError, BrokenPipeError):
            raise
        except OSError as error:
            raise self._unreachable(reason(error), _ROUTE) from error
        except ValueError as error:
            # What no resolver and no certificate has: a name with an empty or an endless part.
            raise self._unreachable("its name, or tls-server-name, is no name of a host", _ROUTE) from error

    def _unreachable(self, words: str, hint: str) -> ClusterError:
        if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy")):
            hint = f"{hint}; HTTPS_PROXY is set, and Outgate does not use it"
        return ClusterError(f"{self.access.name}: {self._where} cannot be reached: {words}", hint=hint)

    def _unknown(self, answer: Answer) -> ClusterError:
        words = f"{self.access.name}: {self._where} does not accept these credentials (401): {answer.words}"
        return ClusterError(words, hint=f"log in again; {self.access.kubectl} auth whoami shows who you are")


_ROUTE = "is this the right context, is the cluster up, and does this machine have a route to it (VPN)?"
_TRUST = "the kubeconfig must hold the cluster's own certificate-authority; tls-server-name gives another name to check"
