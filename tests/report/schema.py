"""As much of JSON Schema (draft 2020-12) as docs/schema uses; a keyword that is not known here is an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["SCHEMAS", "complaints", "schema"]

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schema"

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_SILENT = {"$schema", "$id", "$defs", "title", "description", "properties", "items"}


def schema(kind: str) -> dict[str, Any]:
    """The published schema of a kind of document."""
    found: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.json").read_text(encoding="utf-8"))
    return found


def complaints(document: Any, kind: str = "") -> list[str]:
    """Everything in a document that the schema of its kind does not allow; `kind` is for those that do not say it."""
    root = schema(kind or document["kind"])
    return _check(document, root, root, "")


def _check(value: Any, rule: dict[str, Any], root: dict[str, Any], at: str) -> list[str]:
    found: list[str] = []
    for keyword, wanted in rule.items():
        if keyword in _SILENT:
            continue
        found += _keyword(keyword, wanted, value, rule, root, at)
    if isinstance(value, dict):
        for key, one in value.items():
            if key in rule.get("properties", {}):
                found += _check(one, rule["properties"][key], root, f"{at}.{key}")
    if isinstance(value, list) and "items" in rule:
        for index, one in enumerate(value):
            found += _check(one, rule["items"], root, f"{at}[{index}]")
    return found


def _keyword(keyword: str, wanted: Any, value: Any, rule: dict[str, Any], root: dict[str, Any], at: str) -> list[str]:
    match keyword:
        case "$ref":
            return _check(value, root["$defs"][wanted.removeprefix("#/$defs/")], root, at)
        case "type":
            names = [wanted] if isinstance(wanted, str) else wanted
            fits = any(_is(value, name) for name in names)
            return [] if fits else [f"{at}: {value!r} is not {wanted}"]
        case "const" | "enum":
            allowed = [wanted] if keyword == "const" else wanted
            return [] if value in allowed else [f"{at}: {value!r} is not among {allowed}"]
        case "required" if isinstance(value, dict):
            return [f"{at}: {name} is missing" for name in wanted if name not in value]
        case "anyOf":
            fits = any(not _check(value, one, root, at) for one in wanted)
            return [] if fits else [f"{at}: {value!r} fits none of {wanted}"]
        case "additionalProperties" if isinstance(value, dict):
            extra = [name for name in value if name not in rule.get("properties", {})]
            if wanted is False:
                return [f"{at}: {name} is not allowed" for name in extra]
            return [each for name in extra for each in _check(value[name], wanted, root, f"{at}.{name}")]
        case "minItems" | "maxItems" | "minimum" | "maximum" if isinstance(value, list | int | float):
            size = len(value) if isinstance(value, list) else value
            fits = size >= wanted if keyword.startswith("min") else size <= wanted
            return [] if fits else [f"{at}: {value!r} against {keyword} {wanted}"]
    # A keyword about objects or numbers says nothing of other values.
    assert keyword in {"required", "additionalProperties", "minItems", "maxItems", "minimum", "maximum"}, keyword
    return []


def _is(value: Any, name: str) -> bool:
    # A boolean is an integer to Python and none to JSON.
    return isinstance(value, _TYPES[name]) and not (name in {"integer", "number"} and isinstance(value, bool))
