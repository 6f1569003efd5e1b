"""A request of HTTP as people write it: ``GET /v1/items``, perhaps with a host and headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from outgate.analysis.assertion_words import unknown_field
from outgate.errors import InputError, UsageError
from outgate.model import Place
from outgate.model.place import complaint
from outgate.model.validate_cilium_words import is_header_name
from outgate.policy.meeting import About
from outgate.policy.requests import Request, is_settled
from outgate.records import dataclass

__all__ = ["RequestAsked", "read_request"]

_SENT = re.compile(r"[!-~]+")
_HOST = re.compile(r"(?:[-._~!$&'()*+,;=0-9A-Za-z]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")
"""RFC 9110, 7.2: ``Host = uri-host [ ":" port ]``; without escapes, which nobody means here."""
_FIELDS = ("request", "host", "headers")


@dataclass(frozen=True, slots=True)
class RequestAsked:
    """One request. `host` None: the name of the end that it goes to."""

    method: str
    path: str
    host: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, text: str, host: str | None = None, headers: Iterable[str] = ()) -> RequestAsked:
        """A method and a path, and headers as ``Name: value``. Raises UsageError for what no client can send."""
        method, blank, path = text.strip().partition(" ")
        if not blank or not path.startswith("/") or " " in path:
            raise UsageError(f"{text!r} is no request", hint="write a method and a path: GET /v1/items")
        if "#" in path:
            raise UsageError(f"{path} has a fragment, which no client sends", hint="leave out what begins with #")
        if not _SENT.fullmatch(method) or not _SENT.fullmatch(path):
            # RFC 9112, 3: tokens and URIs are ASCII; what a client makes of other letters are escapes.
            raise UsageError(f"{text!r} has characters that no request has in its method or path")
        if host is not None and not _HOST.fullmatch(host):
            raise UsageError(f"{host!r} is no host of a request", hint="write a name or an address, perhaps with :PORT")
        if not is_settled(path):
            raise UsageError(f"{path} is sent on as another path", hint="ask for the path without //, dots and escapes")
        return cls(method, path, host, tuple(map(_header, headers)))

    def about(self, end: str) -> About:
        """What a flow is about that carries it to an end, as that was written."""
        host = end.rpartition("/")[2] if self.host is None else self.host
        return About(Request(self.method, self.path, host, self.headers))

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not is_header_name(name.strip()) or not value.isprintable():
        raise UsageError(f"{text!r} is no header", hint="write it as Name: value")
    if name.strip().lower() == "host":
        raise UsageError("the host of a request is no header of it here", hint="give it as the host (--http-host)")
    return name.strip(), value.strip()


def read_request(value: object, place: Place, errors: list[InputError]) -> RequestAsked | None:
    """A request in a file: a text, or a mapping with `request`, and perhaps `host` and `headers`."""
    before = len(errors)
    fields = value if isinstance(value, Mapping) else {"request": value}
    unknown = (str(key) for key in fields if key not in _FIELDS)
    errors.extend(complaint(place / key, unknown_field(key, _FIELDS)) for key in unknown)
    text, host, headers = fields.get("request"), fields.get("host"), fields.get("headers", {})
    if not isinstance(text, str):
        errors.append(complaint(place, "must be a method and a path: GET /v1/items"))
    if host is not None and not isinstance(host, str):
        errors.append(complaint(place / "host", "must be a text"))
    if not isinstance(headers, Mapping) or not all(isinstance(one, str) for pair in headers.items() for one in pair):
        errors.append(complaint(place / "headers", "must be a mapping of texts"))
    if len(errors) > before or not isinstance(text, str) or not isinstance(headers, Mapping):
        return None
    try:
        return RequestAsked.of(text, host if isinstance(host, str) else None, (f"{k}: {v}" for k, v in headers.items()))
    except UsageError as error:
        errors.append(complaint(place, error.message + (f" ({error.hint})" if error.hint else "")))
        return None
