"""Custom resources as the API server checks them: a schema, what is not in it, and the rules behind it.

The server holds a custom resource to the structural schema of its definition (apiextensions, kube-openapi
``validate``). The steps are its own, one after the other:

    unknown     fields that the schema does not know ("unknown field", under strict validation the whole answer)
    nulls       a null where none is allowed, and no default is given, is as good as absent
    defaults    what is absent and has one
    schema      types, numbers of items and properties, lengths, patterns, enumerations; all of it at once
    sets        lists of type ``set`` with something in them twice
    rules       CEL, "some validation rules were not checked because the object was invalid" where the schema said no

The server goes through the properties of an object in no order (a map of Go's); here it is that of the alphabet. What
is required comes after what is there, and the number of items after the items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from outgate.model.parse_decode import Flaw, number_text
from outgate.model.place import Path, spell
from outgate.model.validate_cidr import go_prefix
from outgate.model.validate_text import json_text, quote
from outgate.records import dataclass

__all__ = [
    "UNCHECKED",
    "Rule",
    "Schema",
    "blocks_rules",
    "is_of_wrong_type",
    "repeated_items",
    "rule_flaws",
    "schema_flaws",
    "unknown_fields",
    "unreadable",
    "with_defaults",
    "without_nulls",
]

UNCHECKED = Flaw(
    ("<nil>",),
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    (),
)
"""What the server adds where CEL had to be left out."""

_TYPE = re.compile(r'Invalid value: "[a-z0-9]*": .* in body must be of type (?!cidr:)\S+: "[a-z0-9]*"', re.DOTALL)
_BLOCKING = ("Required value", "Too long", "Too many", "Unsupported value")
_MAX_SAFE = 1 << 53

Kind = Literal["object", "array", "string", "integer", "boolean", "int-or-string"]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One of ``x-kubernetes-validations``. `holds` is asked of values that the schema has let through."""

    holds: Callable[[Any], bool]
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """A structural schema, as far as the definitions that we know make use of it."""

    type: Kind
    properties: Mapping[str, Schema] = field(default_factory=dict)
    values: Schema | None = None
    """``additionalProperties``: of a map with free keys."""
    items: Schema | None = None
    required: tuple[str, ...] = ()
    fewest: int | None = None
    most: int | None = None
    """``minProperties``, ``maxProperties`` of an object; ``minItems``, ``maxItems`` of an array; ``minimum``,
    ``maximum`` of an integer; ``minLength``, ``maxLength`` of a string."""
    pattern: str = ""
    enum: tuple[str, ...] = ()
    unique: bool = False
    """``x-kubernetes-list-type: set``."""
    default: str | None = None
    rules: tuple[Rule, ...] = ()
    matches: Callable[[str], object] | None = None
    """What `pattern` means, where Python would take too long over it, or does not know it."""
    format: Literal["", "cidr"] = ""
    one_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    """Of these properties exactly one, or at least one, must be there (``oneOf``, ``anyOf`` of ``required``)."""

    def field_of(self, name: str) -> Schema | None:
        """The schema of a field; None where there may be none of that name."""
        return self.properties.get(name, self.values)


def unknown_fields(value: object, schema: Schema | None, at: Path = (), passed: Iterable[str] = ()) -> list[Path]:
    """The paths of the fields that the schema does not know, sorted as they are spelled. `passed` are left alone."""
    return sorted(_unknown(value, schema, at, frozenset(passed)), key=spell)


def _unknown(value: object, schema: Schema | None, at: Path, passed: frozenset[str]) -> Iterator[Path]:
    if isinstance(value, dict):
        for name, one in value.items():
            inner = schema.field_of(name) if schema is not None else None
            if name in passed:
                continue
            if inner is None:
                yield (*at, name)
            else:
                yield from _unknown(one, inner, (*at, name), frozenset())
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from _unknown(one, schema.items if schema is not None else None, (*at, i), frozenset())


def without_nulls(value: Any, schema: Schema | None) -> Any:
    """The value without fields that are null, where the schema knows them and has no default; a copy of it."""
    if isinstance(value, dict):
        kept = {}
        for name, one in value.items():
            inner = schema.field_of(name) if schema is not None else None
            if one is not None or inner is None or inner.default is not None:
                kept[name] = without_nulls(one, inner)
        return kept
    if isinstance(value, list):
        return [without_nulls(one, schema.items if schema is not None else None) for one in value]
    return value


def with_defaults(value: Any, schema: Schema) -> Any:
    """The value with what it leaves out and the schema fills in; what it is made of is changed."""
    if isinstance(value, dict):
        for name, inner in schema.properties.items():
            if inner.default is not None and value.get(name) is None:
                value[name] = inner.default
            if name in value:
                with_defaults(value[name], inner)
    elif isinstance(value, list) and schema.items is not None:
        for one in value:
            with_defaults(one, schema.items)
    return value


def blocks_rules(flaw: Flaw) -> bool:
    """Whether the server checks no rules after this: Required, Too long, Too many, Unsupported, or a wrong type."""
    return flaw.message.startswith(_BLOCKING) or is_of_wrong_type(flaw)


def is_of_wrong_type(flaw: Flaw) -> bool:
    """Whether a value is of another type than the schema wants, so that nobody can make anything of it."""
    return _TYPE.fullmatch(flaw.message) is not None


def unreadable(flaws: Iterable[Flaw]) -> Iterator[Flaw]:
    """Of what the schema has against a value, what keeps others from reading it: wrong types, and what is missing.

    Which of several alternatives is given is not among it.
    """
    composed = False
    for flaw in flaws:
        if is_of_wrong_type(flaw) or (flaw.message == "Required value" and not composed):
            yield flaw
        composed = flaw.path == ("<nil>",)


def schema_flaws(value: object, schema: Schema, at: Path = ()) -> Iterator[Flaw]:
    """What the schema has against a value, in the server's words.

    A check is made where the value is of the check's type, even if the schema wants another one.
    """
    problem = _type_problem(value, schema)
    if problem:
        wanted, found = problem
        words = f"{spell(at)} in body must be of type {wanted}: {quote(found)}"
        yield _invalid(at, quote(found), words)
    if isinstance(value, str) and schema.type in ("string", "int-or-string"):
        yield from _string(value, schema, at)
    if isinstance(value, int | float) and not isinstance(value, bool) and schema.type == "integer":
        yield from _number(value, schema, at)
    if isinstance(value, list) and schema.type == "array":
        yield from _array(value, schema, at)
    if schema.enum and value not in schema.enum:
        supported = ", ".join(map(quote, schema.enum))
        yield Flaw(at, f"Unsupported value: {_shown(value)}: supported values: {supported}", at)
    if isinstance(value, dict) and schema.type == "object":
        yield from _object(value, schema, at)


def _type_problem(value: object, schema: Schema) -> tuple[str, str] | None:
    """The type that is wanted and the one that is there, in the server's names; None where they agree."""
    found, form = _json_type(value)
    whole = isinstance(value, float) and value.is_integer() and abs(value) < _MAX_SAFE
    if found == schema.type or (schema.type == "integer" and whole):
        return None
    if schema.type == "int-or-string":
        # "x-kubernetes-int-or-string" comes with anyOf: integer, string; the first of them is what is asked for.
        return None if whole or found in ("integer", "string") else ("integer", found)
    # All integers of these definitions are of the format int32, and by what they are compared hangs on the kind.
    if schema.type == "integer" and found not in ("string", "array", "null"):
        return "int32", form
    return schema.type, found


def _json_type(value: object) -> tuple[str, str]:
    """The type of a value and its format, as ``schemaInfoForType`` has them."""
    match value:
        case None:
            return "null", ""
        case bool():
            return "boolean", ""
        case int():
            return ("integer", "int64") if -(1 << 63) <= value < 1 << 63 else ("number", "float64")
        case float():
            return "number", "float64"
        case str():
            return "string", ""
        case list():
            return "array", ""
    return "object", ""


def _string(value: str, schema: Schema, at: Path) -> Iterator[Flaw]:
    if schema.most is not None and len(value) > schema.most:
        # Characters are counted, and bytes are spoken of.
        yield Flaw(at, f"Too long: may not be more than {schema.most} bytes", at)
    elif schema.pattern and not _fits(value, schema):
        yield _invalid(at, quote(value), f"{spell(at)} in body should match '{schema.pattern}'")
    if schema.type == "string" and schema.fewest is not None and len(value) < schema.fewest:
        yield _invalid(at, quote(value), f"{spell(at)} in body should be at least {schema.fewest} chars long")
    if schema.format == "cidr" and go_prefix(value) is None:
        # "must be of type": so a format is spoken of as well.
        yield _invalid(at, quote(value), f"{spell(at)} in body must be of type cidr: {quote(value)}")


def _fits(value: str, schema: Schema) -> bool:
    if schema.matches is not None:
        return bool(schema.matches(value))
    return re.fullmatch(_without_ends(schema.pattern), value) is not None


def _without_ends(pattern: str) -> str:
    # The `$` of Go's regular expressions is the end of the text and never the last newline.
    return pattern.removeprefix("^").removesuffix("$")


def _number(value: int | float, schema: Schema, at: Path) -> Iterator[Flaw]:
    if schema.most is not None and value > schema.most:
        yield _invalid(at, number_text(value), f"{spell(at)} in body should be less than or equal to {schema.most}")
    if schema.fewest is not None and value < schema.fewest:
        words = f"{spell(at)} in body should be greater than or equal to {schema.fewest}"
        yield _invalid(at, number_text(value), words)


def _array(value: list[Any], schema: Schema, at: Path) -> Iterator[Flaw]:
    if schema.items is not None:
        for i, one in enumerate(value):
            yield from schema_flaws(one, schema.items, (*at, i))
    yield from _quantity(len(value), schema, at, "items")


def _object(value: Mapping[str, Any], schema: Schema, at: Path) -> Iterator[Flaw]:
    yield from _quantity(len(value), schema, at, "properties")
    if schema.values is not None:
        for name in value:
            yield from schema_flaws(value[name], schema.values, (*at, name))
    for name in sorted(schema.properties):
        if name in value:
            yield from schema_flaws(value[name], schema.properties[name], (*at, name))
    for name in schema.required:
        if name not in value:
            yield Flaw((*at, name), "Required value", (*at, name))
    given = [name for name in schema.one_of if name in value]
    if schema.one_of and len(given) != 1:
        found = f"Found {len(given)} valid alternatives" if given else "Found none valid"
        yield from _composed(f"must validate one and only one schema (oneOf). {found}", schema.one_of, given, at)
    if schema.any_of and not any(name in value for name in schema.any_of):
        yield from _composed("must validate at least one schema (anyOf)", schema.any_of, (), at)


def _composed(words: str, names: Sequence[str], given: Sequence[str], at: Path) -> Iterator[Flaw]:
    """What is said of alternatives: the server has no field for it, and adds what the first of them lacks."""
    yield Flaw(("<nil>",), f'Invalid value: "": {quote(spell(at))} {words}', at)
    if not given:
        yield Flaw((*at, names[0]), "Required value", (*at, names[0]))


def _quantity(number: int, schema: Schema, at: Path, what: str) -> Iterator[Flaw]:
    if schema.fewest is not None and number < schema.fewest:
        yield _invalid(at, str(number), f"{spell(at)} in body should have at least {schema.fewest} {what}")
    if schema.most is not None and number > schema.most:
        noun = "item" if schema.most == 1 else "items"
        yield Flaw(at, f"Too many: {number}: must have at most {schema.most} {noun}", at)


def _invalid(at: Path, shown: str, words: str) -> Flaw:
    return Flaw(at, f"Invalid value: {shown}: {words}", at)


def _shown(value: object) -> str:
    """A value as ``field.Error`` prints it."""
    match value:
        case str():
            return quote(value)
        case bool() | None | list() | dict():
            return json_text(_sorted(value))
        case int() | float():
            return number_text(value)
    return str(value)


def _sorted(value: Any) -> Any:
    """A map as Go marshals it, sorted by its keys."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def repeated_items(value: object, schema: Schema, at: Path = ()) -> Iterator[Flaw]:
    """What stands in a set for the second time; a third is not said."""
    if isinstance(value, dict):
        for name in sorted(value):
            inner = schema.field_of(name)
            if inner is not None:
                yield from repeated_items(value[name], inner, (*at, name))
    elif isinstance(value, list):
        if schema.unique:
            seen: dict[str, int] = {}
            for i, one in enumerate(value):
                key = json_text(_sorted(one))
                seen[key] = seen.get(key, 0) + 1
                if seen[key] == 2:
                    yield Flaw((*at, i), f"Duplicate value: {_shown(one)}", (*at, i))
        if schema.items is not None:
            for i, one in enumerate(value):
                yield from repeated_items(one, schema.items, (*at, i))


def rule_flaws(value: object, schema: Schema, at: Path = ()) -> Iterator[Flaw]:
    """The rules that do not hold: those of an object before those of what is in it. The schema has let it through."""
    for rule in schema.rules:
        if not rule.holds(value):
            # Of objects and lists 1.36 does not print the value; an older server prints its type.
            shown = f"{_shown(value)}: " if not isinstance(value, dict | list) else ""
            yield Flaw(at or ("<nil>",), f"Invalid value: {shown}{rule.message}", at)
    if isinstance(value, dict):
        for name in sorted(value):
            inner = schema.field_of(name)
            if inner is not None:
                yield from rule_flaws(value[name], inner, (*at, name))
    elif isinstance(value, list) and schema.items is not None:
        for i, one in enumerate(value):
            yield from rule_flaws(one, schema.items, (*at, i))
