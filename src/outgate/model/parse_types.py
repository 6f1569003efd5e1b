"""The types of JSON values as the API server's decoder sees them.

The API server is a Go program, and what it says of a value of the wrong type names Go's types:
``json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string``. To say
the same, each type here carries the name that Go has for it. Which object has which fields is in
`outgate.model.parse_shapes`.
"""

from __future__ import annotations

from collections.abc import Mapping

from outgate.records import dataclass

__all__ = [
    "BOOLEAN",
    "INT32",
    "INT64",
    "INT_OR_STRING",
    "OPAQUE",
    "STRING",
    "STRINGS",
    "STRING_MAP",
    "TIME",
    "Boolean",
    "IntOrString",
    "Integer",
    "Listing",
    "Opaque",
    "Shape",
    "StringMap",
    "Struct",
    "Text",
    "Time",
]


@dataclass(frozen=True, slots=True, eq=False)
class Struct:
    """A JSON object with known fields. `name` is the bare name of the Go struct."""

    name: str
    fields: Mapping[str, Shape]
    package: str = "v1"

    @property
    def go(self) -> str:
        """The type as Go prints it."""
        return f"{self.package}.{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A JSON array. Go calls it a slice."""

    element: Shape

    @property
    def go(self) -> str:
        """The type as Go prints it."""
        return f"[]{self.element.go}"


@dataclass(frozen=True, slots=True, eq=False)
class StringMap:
    """A JSON object with free keys and strings as values."""

    go: str = "map[string]string"


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A JSON string, possibly of a named Go type."""

    go: str = "string"


@dataclass(frozen=True, slots=True, eq=False)
class Integer:
    """A JSON number without a fraction, within so many bits with a sign."""

    bits: int

    @property
    def go(self) -> str:
        """The type as Go prints it."""
        return f"int{self.bits}"


@dataclass(frozen=True, slots=True, eq=False)
class Boolean:
    """A JSON true or false."""

    go: str = "bool"


@dataclass(frozen=True, slots=True, eq=False)
class IntOrString:
    """``intstr.IntOrString``: a string, or anything else as a 32-bit integer."""

    go: str = "int32"


@dataclass(frozen=True, slots=True, eq=False)
class Time:
    """``metav1.Time``: a string of RFC 3339."""

    go: str = "string"


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """Anything; not looked into."""

    go: str = "interface {}"


Shape = Struct | Listing | StringMap | Text | Integer | Boolean | IntOrString | Time | Opaque

STRING = Text()
STRING_MAP = StringMap()
INT32 = Integer(32)
INT64 = Integer(64)
BOOLEAN = Boolean()
INT_OR_STRING = IntOrString()
TIME = Time()
OPAQUE = Opaque()
STRINGS = Listing(STRING)
