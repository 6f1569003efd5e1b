"""Objects as nft's JSON (libnftables-json(5)), for programs that would rather not read text.

The same table as `text` writes; `listing` is the way back. Whatever `text` refuses with a ValueError is refused
here too, because every object is written as text first. nft 1.0.6 reads no comments of sets from JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from outgate.nft.objects import (
    Chain,
    ChainRule,
    Compare,
    Counter,
    Dnat,
    Field,
    Judgement,
    KeyPart,
    Limit,
    Log,
    Lookup,
    MarkPacket,
    NftSet,
    Reject,
    Ruleset,
    SetKey,
    SetZone,
    SourcePorts,
    StampMark,
    Statement,
    Tproxy,
    VerdictMap,
)
from outgate.nft.spelling import FIELD_KIND, KEY_KIND, STATES, Kind, escape, prefix_length, write_value
from outgate.nft.text import chain_text, set_text

__all__ = ["ruleset_document"]

_ALL = 0xFFFF_FFFF
_Json = dict[str, Any]


def ruleset_document(ruleset: Ruleset) -> str:
    """The whole table as JSON that ``nft -j -f`` loads. Raises ValueError where `text` would."""
    where = {"family": ruleset.family, "table": ruleset.table}
    chains = [ruleset.chains[name] for name in sorted(ruleset.chains)]
    items: list[_Json] = [
        {"metainfo": {"json_schema_version": 1}},
        {"table": {"family": ruleset.family, "name": ruleset.table}},
        *({"chain": where | _chain(chain)} for chain in chains),
        *(_set(where, ruleset.sets[name]) for name in sorted(ruleset.sets)),
        *({"rule": where | {"chain": chain.name} | _rule(rule)} for chain in chains for rule in chain.rules),
    ]
    return json.dumps({"nftables": items})


def _chain(chain: Chain) -> _Json:
    chain_text(chain)
    if chain.hook is None:
        return {"name": chain.name}
    hook = {"type": chain.hook.type, "hook": chain.hook.hook, "prio": chain.hook.priority, "policy": "accept"}
    return {"name": chain.name, **hook}


def _set(where: _Json, one: NftSet) -> _Json:
    set_text(one)
    kinds = [kind.value for kind in one.key]
    body = where | {"name": one.name, "type": kinds if len(kinds) > 1 else kinds[0]}
    if one.interval:
        body["flags"] = ["interval"]
    if one.timeout:
        body["flags"] = ["timeout"]
    if one.comment:
        body["comment"] = escape(one.comment)
    if one.is_map:
        body["map"] = "verdict"
    if one.elements:
        body["elem"] = [_element(one, key, value) for key, value in one.elements.items()]
    return {"map" if one.is_map else "set": body}


def _element(one: NftSet, key: SetKey, value: Judgement | None) -> Any:
    parts = [_value(KEY_KIND[kind], part) for kind, part in zip(one.key, key, strict=True)]
    written = {"concat": parts} if len(parts) > 1 else parts[0]
    return written if value is None else [written, _verdict(value)]


def _value(kind: Kind, part: KeyPart) -> Any:
    if isinstance(part, str):
        return part
    low, high = (_single(kind, value) for value in part)
    if low == high:
        return low
    length = prefix_length(kind, *part)
    return {"range": [low, high]} if length is None else {"prefix": {"addr": low, "len": length}}


def _single(kind: Kind, value: int) -> str | int:
    texts = (Kind.IPV4, Kind.IPV6, Kind.MAC, Kind.CLASSID)
    return write_value(kind, (value, value)) if kind in texts else value


def _rule(rule: ChainRule) -> _Json:
    body: _Json = {"expr": [_statement(statement) for statement in rule.statements]}
    return body | {"comment": escape(rule.comment)} if rule.comment else body


def _statement(statement: Statement) -> _Json:
    match statement:
        case Compare():
            return _compare(statement)
        case Lookup(fields, name, negated):
            return {"match": {"op": "!=" if negated else "==", "left": _key(fields), "right": f"@{name}"}}
        case VerdictMap(fields, name):
            return {"vmap": {"key": _key(fields), "data": f"@{name}"}}
        case Counter():
            return {"counter": {"packets": 0, "bytes": 0}}
        case Log(prefix, group, snaplen):
            return {"log": {"prefix": prefix, "group": group} | ({"snaplen": snaplen} if snaplen else {})}
        case Limit(rate, burst):
            return {"limit": {"rate": rate, "burst": burst, "per": "second"}}
        case Reject(kind):
            name, _, code = kind.partition(" ")
            return {"reject": {"type": "icmpx", "expr": code} if name == "icmpx" else {"type": kind}}
        case StampMark(mask, value):
            kept = {"|": [{"&": [_field(Field.CT_MARK), mask ^ _ALL]}, value]}
            return {"mangle": {"key": _field(Field.CT_MARK), "value": value if mask == _ALL else kept}}
        case Dnat(address, port):
            family = "ip" if address.version == 4 else "ip6"
            return {"dnat": {"family": family, "addr": str(address), "port": port}}
        case SourcePorts(low, high):
            return {"snat": {"port": {"range": [low, high]}}}
        case MarkPacket(mask, value):
            marked: _Json = {"&": [_field(Field.META_MARK), mask ^ _ALL]}
            return {"mangle": {"key": _field(Field.META_MARK), "value": {"|": [marked, value]} if value else marked}}
        case SetZone(zone):
            return {"mangle": {"key": {"ct": {"key": "zone", "dir": "original"}}, "value": zone}}
        case Tproxy(family, port):
            name, home = ("ip", "127.0.0.1") if family == 4 else ("ip6", "::1")
            return {"tproxy": {"family": name, "addr": home, "port": port}}
        case Judgement():
            return _verdict(statement)
        case _:
            raise ValueError(f"not ours to write: {statement}")


def _verdict(verdict: Judgement) -> _Json:
    return {verdict.act: {"target": verdict.chain} if verdict.chain else None}


def _compare(compare: Compare) -> _Json:
    field, operator = compare.field, "!=" if compare.negated else "=="
    kind = FIELD_KIND[field]
    left, right = _field(field), _value(kind, compare.text or (compare.low, compare.high))
    if kind is Kind.STATE:
        names = [name for name, bit in STATES.items() if compare.mask & bit]
        if not compare.negated:
            return {"match": {"op": "in", "left": left, "right": names}}
        left, operator, right = {"&": [left, _any_of(names)]}, "==", 0
    elif compare.mask:
        left = {"&": [left, compare.mask]}
    return {"match": {"op": operator, "left": left, "right": right}}


def _any_of(names: Sequence[str]) -> Any:
    return names[0] if len(names) == 1 else list(names)


def _key(fields: Sequence[Field]) -> _Json:
    parts = [_field(field) for field in fields]
    return {"concat": parts} if len(parts) > 1 else parts[0]


def _field(field: Field) -> _Json:
    if field is Field.ND_TARGET:
        return {"payload": {"base": "th", "offset": 64, "len": 128}}
    first, _, second = field.value.partition(" ")
    if not second:
        return {"meta": {"key": first}}
    if first == "fib":
        end, _, result = second.partition(" ")
        return {"fib": {"result": result, "flags": [end]}}
    if field is Field.ORIGINAL_ZONE:
        return {"ct": {"key": "zone", "dir": "original"}}
    if first in ("meta", "ct", "socket"):
        return {first: {"key": second}}
    return {"payload": {"protocol": first, "field": second}}
