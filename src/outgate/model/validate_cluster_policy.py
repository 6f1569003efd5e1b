"""Whether the API server would accept a policy of the cluster, and what it would say.

These kinds are custom resources, and the server treats them as such: metadata in the words of every object, the rest by
the schema of the definition (`outgate.model.structural`). Three answers exclude each other:

    400    metadata of the wrong type, alone ("json: cannot unmarshal ...")
    400    repeated and unknown fields, all of them, where validation is strict
    422    everything else at once: metadata, schema, sets; then the rules, or that they were not checked

What the server lets through and nobody can act on is said in words of our own (`outgate.model.parse_cluster_policy`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from outgate.model.cluster_policy_schemas import DEFINITIONS, V1ALPHA1
from outgate.model.parse_decode import STRICT_PREFIX, Flaw, decode
from outgate.model.parse_shapes import METADATA
from outgate.model.place import Path, spell
from outgate.model.structural import (
    UNCHECKED,
    Schema,
    blocks_rules,
    repeated_items,
    rule_flaws,
    schema_flaws,
    unknown_fields,
    with_defaults,
    without_nulls,
)
from outgate.model.validate import metadata_flaws
from outgate.model.validate_text import quote
from outgate.records import dataclass

__all__ = ["CheckedClusterPolicy", "check_cluster_policy", "noted_as", "read_metadata", "repeated_fields"]

_TYPE_META = ("apiVersion", "kind", "metadata")


@dataclass(frozen=True, slots=True)
class CheckedClusterPolicy:
    """An object as the server would hold it, and what was wrong with it; with flaws only the metadata may be of use.

    `spec` has no nulls and all defaults. It keeps the fields that the definition does not know, if the object was
    stored: they say that it was written for another one.
    """

    metadata: dict[str, Any]
    spec: Any
    flaws: tuple[Flaw, ...] = ()
    warnings: tuple[Flaw, ...] = ()


def check_cluster_policy(
    raw: Mapping[str, Any],
    version: str,
    kind: str,
    *,
    stored: bool,
    repeated: Mapping[Path, int],
    line: Callable[[Path], int] = lambda _: 0,
) -> CheckedClusterPolicy:
    """An object of one of the `DEFINITIONS`, checked as one that is to be created; of a stored one the metadata alone.

    `repeated` are the fields that are given twice, and `line` tells where a field stands.
    """
    definition = DEFINITIONS[version, kind]
    metadata, problems, noted = read_metadata(raw.get("metadata"), strict=not stored)
    if problems:
        return CheckedClusterPolicy(metadata, None, problems)
    warnings = tuple(_namespace(metadata, kind)) if not stored else ()
    metadata.pop("namespace", None)
    spec_schema = definition.properties["spec"]
    value = with_defaults(without_nulls({**raw, "metadata": metadata}, definition), definition)
    if stored:
        return CheckedClusterPolicy(metadata, value.get("spec"))
    unknown = unknown_fields({**raw}, definition, passed=_TYPE_META)
    strict = (*repeated_fields(repeated, line), *noted, *(noted_as("unknown", path) for path in unknown))
    if strict:
        return CheckedClusterPolicy(metadata, None, strict)
    # "PrepareForCreate clears the status of a CustomResource before creation."
    value.pop("status", None)
    flaws = tuple(_flaws(value, definition))
    hints = tuple(_hints(value.get("spec"), spec_schema, version)) if flaws else ()
    return CheckedClusterPolicy(metadata, value.get("spec"), flaws, (*warnings, *hints))


def read_metadata(raw: object, *, strict: bool) -> tuple[dict[str, Any], tuple[Flaw, ...], tuple[Flaw, ...]]:
    """The metadata, what makes it unreadable, and its unknown fields. The server decodes it by itself."""
    at: Path = ("metadata",)
    if raw is None:
        return {}, (), ()
    if not isinstance(raw, dict):
        names = {str: "string", bool: "bool", list: "array"}
        words = f"json: cannot unmarshal {names.get(type(raw), 'number')} into Go value of type v1.ObjectMeta"
        return {}, (Flaw(at, words, at),), ()
    decoded = decode(raw, METADATA, strict=strict, repeated={})
    metadata = dict(decoded.value)
    if decoded.wrong is not None:
        return metadata, (_below(at, decoded.wrong),), ()
    return metadata, (), tuple(noted_as("unknown", (*at, *note.path)) for note in decoded.strict)


def _below(at: Path, flaw: Flaw) -> Flaw:
    return Flaw((*at, *flaw.path), flaw.message, (*at, *flaw.at))


def noted_as(what: str, path: Path) -> Flaw:
    """A field that strict validation does not take: ``unknown`` or ``duplicate``."""
    return Flaw(path, f"{STRICT_PREFIX}{what} field {quote(spell(path))}", path)


def repeated_fields(repeated: Mapping[Path, int], line: Callable[[Path], int]) -> Iterator[Flaw]:
    """Repeated fields as the server meets them: where they come again."""
    for path in sorted(repeated, key=lambda one: repeated[one] or line(one)):
        yield noted_as("duplicate", path)


def _namespace(metadata: Mapping[str, Any], kind: str) -> Iterator[Flaw]:
    if metadata.get("namespace"):
        # EnsureObjectNamespaceMatchesRequestNamespace: "cluster-scoped: clear the namespace".
        at: Path = ("metadata", "namespace")
        yield Flaw(at, f"the server drops this: a {kind} belongs to the whole cluster", at)


def _flaws(value: Mapping[str, Any], definition: Schema) -> Iterator[Flaw]:
    found = [*metadata_flaws(value["metadata"], custom=True), *schema_flaws(value, definition)]
    found += repeated_items(value, definition)
    yield from found
    if any(map(blocks_rules, found)):
        yield UNCHECKED
    else:
        yield from rule_flaws(value, definition)


def _hints(spec: object, schema: Schema, version: str) -> Iterator[Flaw]:
    """A word of the other version: v1alpha1 says Allow where v1alpha2 says Accept."""
    wrong, right = ("Accept", "Allow") if version == V1ALPHA1 else ("Allow", "Accept")
    for section in ("ingress", "egress"):
        rules = spec.get(section) if isinstance(spec, dict) and section in schema.properties else None
        for i, rule in enumerate(rules if isinstance(rules, list) else ()):
            if isinstance(rule, dict) and rule.get("action") == wrong:
                at: Path = ("spec", section, i, "action")
                yield Flaw(
                    at, f"{quote(wrong)} is a word of another version of this API: here it is {quote(right)}", at
                )
