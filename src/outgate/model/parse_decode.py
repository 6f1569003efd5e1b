"""Decoding as the API server decodes: which value of the wrong type it names, in which words.

The rules are those of Go's ``encoding/json``, as sigs.k8s.io/json changed it:

- An unknown or repeated field is noted and does not stop the decoding; under strict validation the notes
  (at most 100, no two alike) make the object unacceptable, all at once.
- A value of the wrong type stops nothing either, but the first of them is the answer, alone.
- A value whose type decodes itself (``IntOrString``, ``Time``) ends the decoding there and then, and its error
  is the answer even when another came before.
- ``null`` leaves a field as if it were absent, and is the zero value as the element of a list or a map.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, TypedDict

import msgspec

from outgate.model.parse_types import (
    INT32,
    Boolean,
    Integer,
    IntOrString,
    Listing,
    Opaque,
    Shape,
    StringMap,
    Struct,
    Text,
    Time,
)
from outgate.model.place import Path, spell
from outgate.model.validate_text import quote

__all__ = ["STRICT_PREFIX", "Decoded", "Flaw", "decode", "number_text", "plain_type"]

STRICT_PREFIX = "strict decoding error: "
"""What stands before the unknown and repeated fields in the server's message."""

_STRICT_CAP = 100

_RFC3339 = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.,][0-9]+)?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that the server would object to.

    `path` is the path that it names, `at` the path of the value that is meant: for a label the server names the
    whole map, and a reader wants the line of the label.
    """

    path: Path
    message: str
    at: Path


@dataclass(frozen=True, slots=True)
class Decoded:
    """An object as the server would hold it: no nulls, every value of its type; and what was wrong with it.

    `wrong` is the one value of the wrong type; where it is set the value is of no use. `strict` are the unknown and
    repeated fields, which only strict validation refuses.
    """

    value: dict[str, Any]
    wrong: Flaw | None = None
    strict: tuple[Flaw, ...] = ()


class _StopError(Exception):
    """A type that decodes itself refused its value."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw


def decode(raw: Mapping[str, object], shape: Struct, *, strict: bool, repeated: Mapping[Path, int]) -> Decoded:
    """An object in the shape of its type. With `strict`, unknown and repeated fields are noted.

    The object and its metadata are the caller's own, to complete them; what is deeper may be shared with `raw`.
    """
    # Nearly every object has nothing wrong with it and no null, and msgspec finds that out ten times faster.
    if not repeated or not strict:
        with contextlib.suppress(msgspec.ValidationError, RecursionError):
            if strict:
                msgspec.convert(raw, _closed_type(shape))
                return Decoded(_own(raw))
            return Decoded(msgspec.convert(raw, plain_type(shape)))
    decoder = _Decoder(strict, repeated)
    try:
        value = decoder.struct(raw, shape, ())
    except _StopError as stop:
        return Decoded({}, stop.flaw)
    return Decoded(value, decoder.wrong, tuple(decoder.notes.values()))


def _own(raw: Mapping[str, Any]) -> dict[str, Any]:
    """An object of the closed type: it holds nothing but what it should, so it is the value as it stands."""
    value = dict(raw)
    if "metadata" in value:
        value["metadata"] = dict(value["metadata"])
    return value


@functools.cache
def plain_type(shape: Shape) -> Any:
    """A shape as a type of msgspec's: a value that has this type decodes to itself, without its unknown fields.

    A reader of text may use it to read no more than is needed.
    """
    match shape:
        case Struct():
            return TypedDict(  # type: ignore[operator]  # made from a table, and only msgspec looks at it
                shape.name, {name: plain_type(inner) for name, inner in shape.fields.items()}, total=False
            )
        case Listing():
            return list[plain_type(shape.element)]  # type: ignore[misc]  # see above
        case StringMap():
            return dict[str, str]
        case Integer():
            limit = 1 << (shape.bits - 1)
            return Annotated[int, msgspec.Meta(ge=-limit, le=limit - 1)]
        case IntOrString():
            return plain_type(INT32) | str
        case Boolean():
            return bool
        case Text():
            return str
        case Time():
            return Annotated[str, msgspec.Meta(pattern=f"^(?:{_RFC3339.pattern})$")]
        case Opaque():
            return Any


@functools.cache
def _closed_type(shape: Shape) -> Any:
    """The same, but what has an unknown field is not of this type."""
    match shape:
        case Struct():
            # A field of Go's may be called "from", which a field of Python's may not.
            fields = [
                (f"field{i}", _closed_type(inner), msgspec.UNSET) for i, inner in enumerate(shape.fields.values())
            ]
            names = {f"field{i}": name for i, name in enumerate(shape.fields)}
            return msgspec.defstruct(shape.name, fields, rename=names, forbid_unknown_fields=True)
        case Listing():
            return list[_closed_type(shape.element)]  # type: ignore[misc]  # see above
        case _:
            return plain_type(shape)


@dataclass(slots=True)
class _Decoder:
    strict: bool
    repeated: Mapping[Path, int]
    wrong: Flaw | None = None
    notes: dict[str, Flaw] = field(default_factory=dict)

    def struct(self, raw: Mapping[str, object], shape: Struct, at: Path) -> dict[str, Any]:
        """The known fields that are given."""
        value: dict[str, Any] = {}
        if not self.strict:
            for name, inner in shape.fields.items():
                given = raw.get(name)
                if given is not None:
                    value[name] = self.value(given, inner, (*at, name), shape.name)
            return value
        for name, given in raw.items():
            path = (*at, name)
            known = shape.fields.get(name)
            if known is None:
                self._note("unknown", path)
                continue
            if self.repeated and path in self.repeated:
                self._note("duplicate", path)
            if given is not None:
                value[name] = self.value(given, known, path, shape.name)
        return value

    def value(self, raw: object, shape: Shape, at: Path, struct: str) -> Any:
        """A value that is not null, in its shape; `struct` is the innermost Go struct around it."""
        match shape:
            case Text():
                if isinstance(raw, str):
                    return raw
                return self._mismatch(raw, shape.go, at, struct, "")
            case Struct():
                if isinstance(raw, dict):
                    return self.struct(raw, shape, at)
                return self._mismatch(raw, shape.go, at, struct, {})
            case Listing():
                if isinstance(raw, list):
                    return [
                        self._zero(shape.element) if one is None else self.value(one, shape.element, (*at, i), struct)
                        for i, one in enumerate(raw)
                    ]
                return self._mismatch(raw, shape.go, at, struct, [])
            case StringMap():
                return self._string_map(raw, shape, at, struct)
            case Integer():
                return self._integer(raw, shape, at, struct)
            case Boolean():
                return raw if isinstance(raw, bool) else self._mismatch(raw, shape.go, at, struct, False)
            case IntOrString():
                return raw if isinstance(raw, str) else self._self_decoded(raw, Integer(32), at, struct)
            case Time():
                return self._time(raw, at, struct)
            case Opaque():
                return raw

    def _string_map(self, raw: object, shape: StringMap, at: Path, struct: str) -> dict[str, str]:
        if not isinstance(raw, dict):
            self._mismatch(raw, shape.go, at, struct, {})
            return {}
        value: dict[str, str] = {}
        for key, one in raw.items():
            if self.strict and self.repeated and (*at, key) in self.repeated:
                self._note("duplicate", (*at, key))
            if one is None:
                value[key] = ""
            elif isinstance(one, str):
                value[key] = one
            else:
                # Go knows the field of the map and not the key within it.
                self._mismatch(one, "string", at, struct, "", (*at, key))
        return value

    def _integer(self, raw: object, shape: Integer, at: Path, struct: str) -> int:
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            text = number_text(raw)
            if re.fullmatch(r"-?[0-9]+", text):
                number = int(text)
                if -(1 << (shape.bits - 1)) <= number < 1 << (shape.bits - 1):
                    return number
            self._keep(_mismatch_flaw(f"number {text}", shape.go, at, struct, at))
            return 0
        self._mismatch(raw, shape.go, at, struct, 0)
        return 0

    def _self_decoded(self, raw: object, shape: Integer, at: Path, struct: str) -> int:
        """What ``UnmarshalJSON`` of ``IntOrString`` does: an error of its own ends everything."""
        inner = _Decoder(strict=False, repeated={})
        value = inner._integer(raw, shape, at, struct)
        if inner.wrong is not None:
            raise _StopError(inner.wrong)
        return value

    def _time(self, raw: object, at: Path, struct: str) -> str:
        if not isinstance(raw, str):
            raise _StopError(_mismatch_flaw(_json_kind(raw), "string", at, struct, at))
        problem = _time_problem(raw)
        if problem:
            raise _StopError(Flaw(at, problem, at))
        return raw

    def _mismatch(self, raw: object, go: str, at: Path, struct: str, zero: Any, meant: Path | None = None) -> Any:
        self._keep(_mismatch_flaw(_json_kind(raw), go, at, struct, at if meant is None else meant))
        return zero

    def _keep(self, flaw: Flaw) -> None:
        if self.wrong is None:
            self.wrong = flaw

    def _note(self, what: str, path: Path) -> None:
        message = f"{what} field {quote(spell(path))}"
        if len(self.notes) < _STRICT_CAP and message not in self.notes:
            self.notes[message] = Flaw(path, STRICT_PREFIX + message, path)

    @staticmethod
    def _zero(shape: Shape) -> Any:
        match shape:
            case Struct() | StringMap():
                return {}
            case Listing():
                return []
            case Integer() | IntOrString():
                return 0
            case Boolean():
                return False
            case _:
                return ""


def _mismatch_flaw(what: str, go: str, at: Path, struct: str, meant: Path) -> Flaw:
    field_path = ".".join(step for step in at if isinstance(step, str))
    return Flaw(meant, f"json: cannot unmarshal {what} into Go struct field {struct}.{field_path} of type {go}", meant)


def _json_kind(raw: object) -> str:
    match raw:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def number_text(number: int | float) -> str:
    """A number as Go's ``encoding/json`` writes it: the shortest digits, an exponent only beyond 1e21 or below 1e-6."""
    if isinstance(number, int) or not math.isfinite(number):
        return str(number)
    size = abs(number)
    if size == 0:
        return "0"
    if 1e-6 <= size < 1e21:
        return f"{Decimal(repr(number)):f}".removesuffix(".0")
    mantissa, _, exponent = repr(number).partition("e")
    # Go cleans up e-09 to e-9, and keeps e+21.
    return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"


_LAYOUT = "2006-01-02T15:04:05Z07:00"
_ELEMENTS = (
    (r"[0-9]{4}", "2006"), ("-", "-"), (r"[0-9]{2}", "01"), ("-", "-"), (r"[0-9]{2}", "02"), ("T", "T"),
    (r"[0-9]{1,2}", "15"), (":", ":"), (r"[0-9]{2}", "04"), (":", ":"), (r"[0-9]{2}(?:[.,][0-9]+)?", "05"),
    (r"Z|[+-][0-9]{2}:[0-9]{2}", "Z07:00"),
)  # fmt: skip


def _time_problem(text: str) -> str:
    """What Go's ``time.Parse`` says of a text that is not of RFC 3339; empty where it is."""
    if _RFC3339.fullmatch(text):
        return ""
    rest = text
    for pattern, element in _ELEMENTS:
        match = re.match(pattern, rest)
        if match is None:
            return f"parsing time {quote(text)} as {quote(_LAYOUT)}: cannot parse {quote(rest)} as {quote(element)}"
        rest = rest[match.end() :]
    if rest:
        return f"parsing time {quote(text)}: extra text: {quote(rest)}"
    return f"parsing time {quote(text)}: day out of range"
