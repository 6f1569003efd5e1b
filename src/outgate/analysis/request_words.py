"""A request of HTTP as people write it: ``GET /v1/items``, perhaps with a host and headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from outgate.analysis.assertion_words import unknown_field
from outgate.errors import InputError, UsageError
from outgate.model import Place
from outgate.model.place import complaint
from outgate.policy.meeting import About
from outgate.policy.requests import Request, is_settled
from outgate.records import dataclass

__all__ = ["RequestAsked", "read_request"]

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
        """A method and a path, and headers as ``Name: value``. Raises UsageError for what is none."""
        method, blank, path = text.strip().partition(" ")
        if not blank or not path.startswith("/") or " " in path:
            raise UsageError(f"{text!r} is no request", hint="write a method and a path: GET /v1/items")
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
    if not colon or not name.strip():
        raise UsageError(f"{text!r} is no header", hint="write it as Name: value")
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
