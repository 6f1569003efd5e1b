"""nft's JSON (libnftables-json(5)) back into objects. `document` is the other way.

The door asks for a numeric listing (``nft -nn -j``), but names are read as well, and so is what differs between
nft 1.0.2 and 1.1: a flag as a string or in a list, elements bare or wrapped in ``elem``. As in `parse`, what
somebody else has put into our table is kept as `Opaque`, or under a declaration that equals none of ours;
JSON that is no listing is an error.

A listing is not what was loaded, word for word: compare `canonical` forms.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from outgate.errors import InputError, InvalidInput
from outgate.nft.objects import (
    Chain,
    ChainRule,
    Compare,
    Counter,
    Dnat,
    Field,
    Hook,
    Judgement,
    KeyType,
    Limit,
    Log,
    Lookup,
    MarkPacket,
    NftSet,
    Opaque,
    Reject,
    Ruleset,
    SetKey,
    SetZone,
    SourcePorts,
    Statement,
    Tproxy,
    VerdictMap,
)
from outgate.nft.parse_rule import REJECT_CODES, compared, stamped
from outgate.nft.spelling import KEY_KIND, checked_name, read_value, unescape

__all__ = ["read_listing"]

_ALL = 0xFFFF_FFFF
Json = Any
"""A value of a JSON document: its shape is what this module finds out."""

_FIELD_OF = {tuple(field.value.split()): field for field in Field} | {("icmpv6", "taddr"): Field.ND_TARGET}
_SET_MEMBERS = {"family", "name", "table", "type", "handle", "flags", "comment", "elem", "map"}


def read_listing(document: str) -> Ruleset | None:
    """The one table of a listing; None where it lists none.

    Raises:
        InvalidInput: the text is not what ``nft -j list table`` prints, or has more than one table.
    """
    try:
        items = json.loads(document)["nftables"]
        tables = [item["table"] for item in items if "table" in item]
        if not tables:
            return None
        if len(tables) > 1:
            raise ValueError(f"{len(tables)} tables")
        return _ruleset(tables[0], items)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput([InputError("<nft listing>", 0, "", f"not a listing of one table: {error!r}")]) from error


def _ruleset(table: Json, items: Sequence[Json]) -> Ruleset:
    chains: dict[str, Chain] = {}
    sets: dict[str, NftSet] = {}
    rules: dict[str, list[ChainRule]] = {}
    for item in items:
        ((kind, body),) = item.items()
        if kind == "chain":
            chains[body["name"]] = Chain(body["name"], (), _hook(body))
        elif kind == "rule":
            rules.setdefault(body["chain"], []).append(_rule(body))
        elif kind in ("set", "map"):
            sets[body["name"]] = _set(body, is_map=kind == "map")
        elif kind not in ("metainfo", "table"):
            # A counter, quota, flow table or the like: kept as a set that is none of ours.
            name = f"{kind} {body.get('name', '')}"
            sets[name] = NftSet(name, ())
    filled = {name: Chain(name, tuple(rules.get(name, ())), chain.hook) for name, chain in chains.items()}
    return Ruleset(chains=filled, sets=sets, family=table["family"], table=table["name"])


def _hook(body: Json) -> Hook | None:
    if "hook" not in body:
        return None
    kind = body.get("type")
    if kind not in ("filter", "nat", "route") or body.get("policy", "accept") != "accept" or "dev" in body:
        return Hook(f"{kind} {body['hook']} policy {body.get('policy')}", int(body["prio"]))
    return Hook(body["hook"], int(body["prio"]), kind)


# ---------------------------------------------------------------------------------------------------------------------
# Sets.


def _set(body: Json, *, is_map: bool) -> NftSet:
    """A set; one with a feature that ours never have gets no key, which equals none of ours."""
    name, comment = body["name"], unescape(body.get("comment", ""))
    flags = body.get("flags", [])
    flags = [flags] if isinstance(flags, str) else flags
    try:
        if (
            body.keys() - _SET_MEMBERS
            or set(flags) - {"interval", "timeout"}
            or is_map != (body.get("map") == "verdict")
        ):
            raise ValueError("a set of another make")
        if {"interval", "timeout"} <= set(flags):
            raise ValueError("a set whose ranges have a life of their own")
        kinds = body["type"] if isinstance(body["type"], list) else [body["type"]]
        key = tuple(KeyType(kind) for kind in kinds)
        timeout = "timeout" in flags
        held = () if timeout else body.get("elem", ())
        elements = dict(_element(key, one, is_map=is_map) for one in held)
    except (ValueError, KeyError, TypeError, AttributeError):
        return NftSet(name, (), is_map=is_map, comment=comment)
    interval = "interval" in flags
    return NftSet(name, key, elements, interval=interval, is_map=is_map, comment=comment, timeout=timeout)


def _element(key: Sequence[KeyType], one: Json, *, is_map: bool) -> tuple[SetKey, Judgement | None]:
    value: Judgement | None = None
    if is_map:
        one, verdict = one
        value = _verdict(verdict)
    if isinstance(one, Mapping) and "elem" in one:
        if one["elem"].keys() - {"val", "comment"}:
            raise ValueError("an element with a life of its own")
        one = one["elem"]["val"]
    parts = one["concat"] if isinstance(one, Mapping) and "concat" in one else [one]
    return tuple(read_value(KEY_KIND[kind], _word(part)) for kind, part in zip(key, parts, strict=True)), value


def _word(value: Json) -> str:
    """A JSON value in the spelling of text: ``6``, ``"tcp"``, a range or a prefix."""
    match value:
        case {"range": [low, high], **rest} if not rest:
            return f"{_word(low)}-{_word(high)}"
        case {"prefix": {"addr": address, "len": length}, **rest} if not rest:
            return f"{address}/{length}"
        case str():
            return value
        case int() if not isinstance(value, bool):
            return str(value)
    raise ValueError(f"no value: {value}")


# ---------------------------------------------------------------------------------------------------------------------
# Rules.


def _rule(body: Json) -> ChainRule:
    comment = unescape(body.get("comment", ""))
    return ChainRule(tuple(_statement(one) for one in body["expr"]), comment)


def _statement(one: Json) -> Statement:
    try:
        ((kind, body),) = one.items()
        return _known_statement(kind, body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Opaque(json.dumps(one, sort_keys=True))


def _known_statement(kind: str, body: Json) -> Statement:
    match kind, body:
        case "match", {"op": operator, "left": left, "right": right}:
            return _match(operator, left, right)
        case "vmap", {"key": key, "data": str(data)} if data.startswith("@"):
            return VerdictMap(tuple(_fields(key)), checked_name(data[1:]))
        case "counter", {"packets": packets, "bytes": size}:
            return Counter(packets, size)
        case "counter", None:
            return Counter()
        case "log", {"prefix": prefix, "group": group} if not body.keys() - {"prefix", "group", "snaplen"}:
            return Log(prefix, group, body.get("snaplen", 0))
        case "limit", {"rate": rate, "per": "second"} if not body.keys() - {"rate", "per", "burst"}:
            return Limit(rate, body.get("burst", 5))
        case "reject", _:
            return _reject(body or {"type": "icmpx", "expr": 1})
        case "dnat", {"family": "ip" | "ip6", "addr": str(address), "port": int(port)} if len(body) == 3:
            return Dnat(ipaddress.ip_address(address), port)
        case "snat", {"port": {"range": [int(low), int(high)]}} if len(body) == 1:
            return SourcePorts(low, high)
        case "mangle", {"key": {"ct": {"key": "mark"}}, "value": value}:
            return stamped(*_kept_and_written(value, {"ct": {"key": "mark"}}))
        case "mangle", {"key": {"meta": {"key": "mark"}}, "value": value}:
            one = stamped(*_kept_and_written(value, {"meta": {"key": "mark"}}))
            if one.mask == _ALL:
                raise ValueError("a whole mark, which is not ours")
            return MarkPacket(one.mask, one.value)
        case "mangle", {"key": {"ct": {"key": "zone", "dir": "original"}}, "value": int(zone)}:
            return SetZone(zone)
        case "tproxy", {"family": "ip", "addr": "127.0.0.1", "port": int(port)}:
            return Tproxy(4, port)
        case "tproxy", {"family": "ip6", "addr": "::1" | "[::1]", "port": int(port)}:
            return Tproxy(6, port)
        case _:
            return _verdict({kind: body})


def _verdict(one: Json) -> Judgement:
    ((act, body),) = one.items()
    if act in ("jump", "goto"):
        return Judgement(act, checked_name(body["target"]))
    if act not in ("accept", "drop", "return"):
        raise ValueError(f"no verdict: {one}")
    return Judgement(act)


def _reject(body: Json) -> Statement:
    match body:
        case {"type": "tcp reset", **rest} if not rest:
            return Reject("tcp reset")
        case {"type": "icmpx", "expr": code}:
            name = REJECT_CODES.get(str(code), str(code))
            if name in REJECT_CODES.values():
                return Reject(f"icmpx {name}")
    raise ValueError(f"no rejection: {body}")


def _kept_and_written(value: Json, mark: Json) -> tuple[int, int]:
    """Of a mark that is set: which bits are kept, and which are written."""
    keep, write = _ALL, 0
    if isinstance(value, Mapping) and "|" in value:
        value, write = value["|"]
    if isinstance(value, Mapping) and "&" in value:
        value, keep = value["&"]
    if isinstance(value, int):
        keep, write = 0, value
    elif value != mark:
        raise ValueError(f"not the mark itself: {value}")
    return int(keep), int(write)


def _fields(key: Json) -> Iterator[Field]:
    for part in key.get("concat", [key]):
        ((kind, body),) = part.items()
        if kind == "payload" and "base" in body:
            words: tuple[str, ...] = (f"@{body['base']},{body['offset']},{body['len']}",)
        elif kind == "payload":
            words = (body["protocol"], *body["field"].split())
        elif kind == "meta" and body["key"] in ("iifname", "oifname"):
            words = (body["key"],)
        elif kind in ("meta", "ct", "socket") and body.keys() == {"key"}:
            words = (kind, body["key"])
        elif kind == "ct" and body.keys() == {"key", "dir"}:
            words = (kind, body["dir"], body["key"])
        elif kind == "fib":
            # One flag alone is listed by itself since nft 1.0.8, or so.
            flags = body["flags"] if isinstance(body["flags"], list) else [body["flags"]]
            words = (kind, *flags, body["result"])
        else:
            raise ValueError(f"no field: {part}")
        yield _FIELD_OF[words]


def _match(operator: str, left: Json, right: Json) -> Statement:
    if operator not in ("==", "!=", "in", "!"):
        raise ValueError(f"no comparison {operator}")
    negated = operator in ("!=", "!")
    if "&" in left:
        return _masked(left["&"], right, negated=negated)
    fields = tuple(_fields(left))
    if isinstance(right, str) and right.startswith("@"):
        return Lookup(fields, checked_name(right[1:]), negated)
    (field,) = fields
    values = [_word(value) for value in right] if isinstance(right, list) else [_word(right)]
    if field is Field.CT_STATE and len(values) > 1 and operator not in ("in", "!"):
        raise ValueError("compares the whole word of bits, not any of them")
    return compared(field, values, negated=negated)


def _masked(left: Json, right: Json, *, negated: bool) -> Compare:
    key, mask = left
    (field,) = _fields(key)
    if field is Field.CT_STATE and right == 0:
        names = mask.get("|", ()) if isinstance(mask, Mapping) else mask if isinstance(mask, list) else [mask]
        return compared(field, [_word(name) for name in names], negated=not negated)
    if field is Field.TCP_FLAGS and isinstance(mask, list):
        mask = sum(mask)
    if (
        field not in (Field.CT_MARK, Field.META_MARK, Field.TCP_FLAGS)
        or not isinstance(mask, int)
        or not isinstance(right, int)
    ):
        raise ValueError(f"{field.value} has no mask")
    return Compare(field, right, right, mask=mask, negated=negated)
