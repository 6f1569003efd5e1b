"""Asks for what `outgate.lab.requests` has planned, and says what came back.

A client is a thread in the box of its pod, with one connection for one request, as a program in a pod would have it.
One that asks by a TLS name shakes hands first, with a server whose certificate has to be for that name
(`outgate.lab.tls`). Allowed means that the party that was meant has answered by its own words, and has seen the address
of the pod, not that of the proxy. Everything else is a denial: a proxy that refuses (403), a connection that is closed,
silence.
"""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace

from outgate.lab.answers import Answers
from outgate.lab.clients import beside
from outgate.lab.greeting import words
from outgate.lab.moving import NameRequest
from outgate.lab.questions import looked_up
from outgate.lab.requests import ANY_HOST, RequestProbe
from outgate.lab.tls import Authority
from outgate.policy import Verdict
from outgate.policy.meeting import About
from outgate.policy.requests import Request
from outgate.report.lab_requests import RequestResult

__all__ = ["ask", "ask_by_name", "written"]

_LONGEST = 65536
_LONGEST_EVIDENCE = 200
_SILENT = 0.5
"""Seconds within which an answer would have come that should not."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a client was told: all bytes, or why there are none."""

    data: bytes = b""
    failure: str = ""
    over: str = ""
    """The version of TLS, where hands were shaken."""
    stranger: bool = False
    """A server of TLS answered that is none of this lab, or has another name; or a name was answered wrongly."""


def ask(answers: Answers, probes: Sequence[RequestProbe], *, patience: float) -> tuple[RequestResult, ...]:
    """What came of each, in their order. What is not answered within `patience` seconds is silent.

    Raises:
        KernelError: a box cannot be entered.
    """
    heard = beside(answers.loop, [functools.partial(_heard, answers, probe, patience) for probe in probes])
    return tuple(_result(answers, *pair) for pair in zip(probes, heard, strict=True))


def ask_by_name(answers: Answers, asked: Sequence[NameRequest], *, patience: float) -> tuple[RequestResult, ...]:
    """What came of requests whose names were asked for first, where they are to be; else nothing is known of them.

    A name that is answered wrongly is a disagreement whatever was expected. Raises as `ask`.
    """
    heard = beside(answers.loop, [functools.partial(_named, answers, one, patience) for one in asked])
    return tuple(_result(answers, one.request, said) for one, said in zip(asked, heard, strict=True))


def _named(answers: Answers, one: NameRequest, patience: float) -> _Heard:
    lookup = one.probe.lookup
    if lookup is None:
        # What is not known is dropped, and silence is all that comes.
        return _heard(answers, one.request, patience if one.request.verdict.allows else _SILENT)
    if why := looked_up(answers, one.probe.box, lookup, patience=patience):
        return _Heard(failure=why, stranger=True)
    return _heard(answers, one.request, patience)


def _heard(answers: Answers, probe: RequestProbe, patience: float) -> _Heard:
    """Connects from the pod, asks, and reads until the other end has said all."""
    family = socket.AF_INET if probe.address.version == 4 else socket.AF_INET6
    with answers.boxes[probe.box].space.enter():
        client = socket.socket(family, socket.SOCK_STREAM)
    with client:
        client.settimeout(patience)
        try:
            client.bind((str(probe.source.address), 0))
            client.connect((str(probe.address), probe.port))
            if probe.about.request is not None:
                return _conversed(client, written(probe.about.request))
            return _secured(client, answers.tls, probe.about.server_name or "")
        except TimeoutError:
            return _Heard(failure="no answer came")
        except OSError as error:
            return _Heard(failure=_reason(error))


def _secured(client: socket.socket, tls: Authority, name: str) -> _Heard:
    """Shakes hands with the server of a name, and makes one request through TLS."""
    try:
        secured = tls.client().wrap_socket(client, server_hostname=name)
    except TimeoutError:
        return _Heard(failure="no handshake: no answer came")
    except ssl.SSLCertVerificationError as error:
        return _Heard(failure=f"no handshake: {error.verify_message}", stranger=True)
    except OSError as error:
        return _Heard(failure=f"no handshake: {_reason(error)}")
    with secured:
        heard = _conversed(secured, written(Request("GET", "/", name)))
        return replace(heard, over=secured.version() or "")


def _conversed(client: socket.socket, request: bytes) -> _Heard:
    """All that comes back; what has come before the other end broke off counts, too."""
    data = b""
    try:
        client.sendall(request)
        while more := client.recv(_LONGEST):
            data += more
    except TimeoutError:
        return _Heard(data, "" if data else "no answer came")
    except OSError as error:
        return _Heard(data, "" if data else _reason(error))
    return _Heard(data, "" if data else "the connection was closed without an answer")


def _reason(error: OSError) -> str:
    words = error.reason if isinstance(error, ssl.SSLError) and error.reason else error.strerror or str(error)
    return words.lower().replace("_", " ")


def written(request: Request) -> bytes:
    """A request as HTTP/1.1, which asks for the end of the connection behind its answer."""
    head = (f"{request.method} {request.path} HTTP/1.1", f"Host: {request.host}")
    rest = (*(f"{name}: {value}" for name, value in request.headers), "Connection: close", "", "")
    return "\r\n".join((*head, *rest)).encode("ascii")


def _result(answers: Answers, probe: RequestProbe, heard: _Heard) -> RequestResult:
    title = answers.boxes[probe.party.box].title
    meant = words(title, "TCP", probe.party.port, probe.source.address).strip()
    head, _, body = heard.data.decode("latin-1").partition("\r\n\r\n")
    status = _status(head)
    said = (body if status is not None else head).strip()
    passed = said == meant and status == 200
    flow = probe.party.trace.flow
    first = heard.failure or said.partition("\n")[0][:_LONGEST_EVIDENCE] or "an empty answer"
    return RequestResult(
        source=probe.source,
        destination=flow.destination,
        address=probe.address,
        port=probe.port,
        rule=probe.rule,
        asked=_asked(probe.about),
        host=probe.about.request.host if probe.about.request is not None else "",
        chosen_host=probe.about.request is not None and probe.about.request.host != ANY_HOST,
        expected=probe.verdict,
        observed=Verdict.ALLOW if passed else Verdict.DENY,
        status=status if probe.about.request is not None else None,
        evidence=f"{first}; over {heard.over}" if heard.over else first,
        misled=heard.stranger or (" answers on TCP port " in said and not passed),
    )


def _status(head: str) -> int | None:
    parts = head.split(" ", 2)
    return int(parts[1]) if len(parts) > 1 and parts[0].startswith("HTTP/") and parts[1].isdecimal() else None


def _asked(about: About) -> str:
    """As one says it: ``GET /v1/items``, ``TLS for api.example.com``."""
    return str(about).removeprefix("HTTP ")
