"""Rulesets and changes as the text that ``nft -f`` reads and a person can read too.

The order is stable: sets by name, then chains by name, base chains last; elements sorted. Inside a table
block nft does not care whether a chain comes before the map that leads to it. Every statement stands on a
line of its own, never in a one-line block (nft 1.0.6 wants ``;`` before ``}`` there), and no command newer
than nft 1.0.2 is used (no ``destroy``).

What is written comes from typed objects. A name, an interface or a value that is not one raises ValueError: that
is a bug in whoever built the object. Comments are the only text of a manifest, and are escaped.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from outgate.nft.canonical import IMPLIED_PROTOCOL, fields_of, required_value
from outgate.nft.objects import (
    Chain,
    ChainRule,
    Compare,
    Counter,
    Dnat,
    Field,
    Judgement,
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
    StampMark,
    Statement,
    Tproxy,
    VerdictMap,
)
from outgate.nft.spelling import (
    FIELD_KIND,
    KEY_KIND,
    STATES,
    Kind,
    checked_interface,
    checked_name,
    escape,
    write_value,
)
from outgate.nft.transaction import (
    AddChain,
    AddElements,
    AddRules,
    AddSet,
    AddTable,
    Command,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    FlushChain,
    Transaction,
)

__all__ = [
    "REJECTIONS",
    "chain_text",
    "elements_text",
    "rule_text",
    "ruleset_blocks",
    "ruleset_text",
    "set_text",
    "statement_text",
    "transaction_text",
]

REJECTIONS = (
    "tcp reset",
    "icmpx no-route",
    "icmpx port-unreachable",
    "icmpx host-unreachable",
    "icmpx admin-prohibited",
)
"""What a `Reject` can answer. The ICMP kinds stand at their kernel numbers plus one (NFT_REJECT_ICMPX_…)."""

_INDENT = "    "
_LINES = 256
_WITH_PORTS = (6, 17, 132)
_ALL = 0xFFFF_FFFF
_CHAIN_TYPES = ("filter", "nat", "route")
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
_LOG_PREFIX = re.compile(r"[A-Za-z0-9 ._/:@=,()\[\]!<>+*~-]{0,120}")


def ruleset_text(ruleset: Ruleset) -> str:
    """The whole table as one block, as ``nft -f`` reads it and close to what ``nft list table`` prints."""
    return "".join(ruleset_blocks(ruleset))


def ruleset_blocks(ruleset: Ruleset) -> Iterator[str]:
    """What `ruleset_text` says, some lines at a time: for writing what is too large to be held twice."""
    yield f"table {ruleset.family} {checked_name(ruleset.table)} {{\n"
    sets = (_set_lines(one) for _, one in sorted(ruleset.sets.items()))
    chains = (iter(chain_text(one).splitlines()) for one in sorted(ruleset.chains.values(), key=_chain_order))
    for number, lines in enumerate(itertools.chain(sets, chains)):
        if number:
            yield "\n"
        while some := "".join(f"{_INDENT}{line}\n" for line in itertools.islice(lines, _LINES)):
            yield some
    yield "}\n"


def _chain_order(chain: Chain) -> tuple[object, ...]:
    if chain.hook is None:
        return (0, 0, "", chain.name)
    return (1, chain.hook.priority, chain.hook.hook, chain.name)


def chain_text(chain: Chain) -> str:
    """A chain as a block."""
    lines = [f"chain {checked_name(chain.name)} {{"]
    lines += [f"{_INDENT}{part}" for part in _hook(chain)]
    lines += [f"{_INDENT}{rule_text(rule)}" for rule in chain.rules]
    return "\n".join((*lines, "}"))


def _hook(chain: Chain) -> Iterator[str]:
    if chain.hook is not None:
        if chain.hook.hook not in _HOOKS:
            raise ValueError(f"no hook {chain.hook.hook!r}")
        if chain.hook.type not in _CHAIN_TYPES:
            raise ValueError(f"no type of chain {chain.hook.type!r}")
        yield f"type {chain.hook.type} hook {chain.hook.hook} priority {int(chain.hook.priority)}; policy accept;"


def set_text(one: NftSet) -> str:
    """A set or map as a block, elements sorted, one a line."""
    return "\n".join(_set_lines(one))


def _set_lines(one: NftSet) -> Iterator[str]:
    yield f"{'map' if one.is_map else 'set'} {checked_name(one.name)} {{"
    yield from (f"{_INDENT}{part}" for part in _declaration(one))
    lead = f"{_INDENT}elements = {{ "
    left = len(one.elements)
    for element in elements_text(one):
        left -= 1
        yield f"{lead}{element}{',' if left else ' }'}"
        lead = " " * len(lead)
    yield "}"


def _declaration(one: NftSet) -> Iterator[str]:
    if not one.key:
        raise ValueError(f"set {one.name} has no key")
    yield "type " + " . ".join(kind.value for kind in one.key) + (" : verdict" if one.is_map else "")
    if one.interval and one.timeout:
        raise ValueError(f"set {one.name}: learned elements are exact")
    if one.interval:
        yield "flags interval"
    if one.timeout:
        yield "flags timeout"
    if one.comment:
        yield f'comment "{escape(one.comment)}"'


def elements_text(one: NftSet, *, keys_only: bool = False) -> Iterator[str]:
    """The elements of a set or map in a stable order, each as nft reads it."""
    for key in sorted(one.elements, key=_key_order):
        value = one.elements[key]
        if (value is not None) != one.is_map:
            raise ValueError(f"element of {one.name}: only maps have verdicts, and theirs always")
        written = _key(one, key)
        yield written if keys_only or value is None else f"{written} : {_judgement(value)}"


def _key(one: NftSet, key: SetKey) -> str:
    if len(key) != len(one.key):
        raise ValueError(f"element of {one.name} has {len(key)} parts for {len(one.key)} types")
    for part in key:
        ranged = part.endswith("*") if isinstance(part, str) else part[0] != part[1]
        if ranged and not one.interval:
            raise ValueError(f"range in set {one.name}, which holds single values")
    return " . ".join(write_value(KEY_KIND[kind], part) for kind, part in zip(one.key, key, strict=True))


def _key_order(key: SetKey) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, 0, part) if isinstance(part, str) else (*part, "") for part in key)


# ---------------------------------------------------------------------------------------------------------------------
# Rules.


def rule_text(rule: ChainRule) -> str:
    """One rule, on one line."""
    if not rule.statements:
        raise ValueError("a rule without statements")
    _refuse_ports_without_meaning(rule)
    words = [statement_text(statement) for statement in rule.statements]
    if rule.comment:
        words.append(f'comment "{escape(rule.comment)}"')
    return " ".join(words)


def _refuse_ports_without_meaning(rule: ChainRule) -> None:
    """``meta l4proto 47 … th dport`` asks a protocol without ports for one.

    For ICMP it compares the checksum; for others nft 1.0.6 loads the rule and then aborts whenever it lists it.
    """
    protocol: int | None = None
    for statement in rule.statements:
        fields = fields_of(statement)
        if protocol not in (None, *_WITH_PORTS) and {Field.TH_SPORT, Field.TH_DPORT} & set(fields):
            raise ValueError(f"protocol {protocol} has no ports")
        found = required_value(statement, Field.L4PROTO)
        protocol = (
            found if found is not None else next((p for f, p in IMPLIED_PROTOCOL.items() if f in fields), protocol)
        )


def statement_text(statement: Statement) -> str:
    """One statement. Raises ValueError for one that means nothing, or that is `Opaque`."""
    match statement:
        case Compare():
            return _compare(statement)
        case Lookup(fields, name, negated):
            return f"{_fields(fields)} {'!= ' if negated else ''}@{checked_name(name)}"
        case VerdictMap(fields, name):
            return f"{_fields(fields)} vmap @{checked_name(name)}"
        case Counter():
            return "counter"
        case Log():
            return _log(statement)
        case Limit(rate, burst):
            if rate < 1 or burst < 1:
                raise ValueError(f"{statement} lets nothing pass")
            return f"limit rate {int(rate)}/second burst {int(burst)} packets"
        case Reject(kind):
            if kind not in REJECTIONS:
                raise ValueError(f"no way to reject with {kind!r}")
            return f"reject with {kind}"
        case StampMark():
            return _stamp(statement)
        case Dnat():
            return _dnat(statement)
        case SourcePorts(low, high):
            if not 0 < low < high < 0x10000:
                raise ValueError(f"no ports to come from: {statement}")
            return f"snat to :{low}-{high}"
        case MarkPacket() | SetZone() | Tproxy():
            return _towards_the_proxy(statement)
        case Judgement():
            return _judgement(statement)
        case Opaque():
            raise ValueError(f"not ours to write: {statement.text}")


def _fields(fields: Iterable[Field]) -> str:
    written = " . ".join(field.value for field in fields)
    if not written:
        raise ValueError("a lookup without a key")
    return written


def _judgement(verdict: Judgement) -> str:
    if verdict.act in ("jump", "goto"):
        return f"{verdict.act} {checked_name(verdict.chain)}"
    if verdict.act not in ("accept", "drop", "return") or verdict.chain:
        raise ValueError(f"no verdict {verdict}")
    return verdict.act


def _compare(compare: Compare) -> str:
    field, operator = compare.field, "!= " if compare.negated else ""
    kind = FIELD_KIND[field]
    if kind is Kind.STATE:
        return _states(compare)
    if kind is Kind.INTERFACE:
        if compare.mask or compare.low or compare.high:
            raise ValueError(f"{field.value} has a name, not a number")
        return f'{field.value} {operator}"{checked_interface(compare.text)}"'
    if compare.text:
        raise ValueError(f"{field.value} is a number, not {compare.text!r}")
    if not compare.mask:
        return f"{field.value} {operator}{write_value(kind, (compare.low, compare.high))}"
    if kind is Kind.FLAGS and compare.low == compare.high and not compare.low & ~compare.mask and compare.mask < 0x100:
        return f"tcp flags & {compare.mask:#x} {'!=' if compare.negated else '=='} {compare.low:#x}"
    if kind is not Kind.MARK or compare.low != compare.high or compare.low & ~compare.mask or compare.mask > _ALL:
        raise ValueError(f"no packet can be compared so: {compare}")
    return f"{field.value} & {compare.mask:#010x} {'!=' if compare.negated else '=='} {compare.low:#010x}"


def _states(compare: Compare) -> str:
    """Any of the states (or none of them): a packet is always in exactly one."""
    names = [name for name, bit in STATES.items() if compare.mask & bit]
    if not names or compare.mask & ~sum(STATES.values()) or compare.low or compare.high or compare.text:
        raise ValueError(f"no connection state is meant by {compare}")
    # `ct state != a,b` compares the whole word and is true of every packet; `!` is younger than nft 1.0.2.
    return f"ct state & ({'|'.join(names)}) == 0" if compare.negated else f"ct state {','.join(names)}"


def _log(log: Log) -> str:
    if _LOG_PREFIX.fullmatch(log.prefix) is None or not 0 <= log.group <= 0xFFFF or not 0 <= log.snaplen <= 0xFFFF:
        raise ValueError(f"cannot log so: {log}")
    length = f" snaplen {log.snaplen}" if log.snaplen else ""
    return f'log prefix "{log.prefix}" group {log.group}{length}'


def _dnat(dnat: Dnat) -> str:
    if not 0 < dnat.port < 0x10000:
        raise ValueError(f"no port to lead to: {dnat}")
    return (
        f"dnat ip to {dnat.address}:{dnat.port}"
        if dnat.address.version == 4
        else (f"dnat ip6 to [{dnat.address}]:{dnat.port}")
    )


def _stamp(stamp: StampMark) -> str:
    if not 0 < stamp.mask <= _ALL or stamp.value & ~stamp.mask:
        raise ValueError(f"{stamp} writes beyond its mask")
    if stamp.mask == _ALL:
        return f"ct mark set {stamp.value:#010x}"
    return f"ct mark set ct mark & {stamp.mask ^ _ALL:#010x} | {stamp.value:#010x}"


def _towards_the_proxy(statement: MarkPacket | SetZone | Tproxy) -> str:
    match statement:
        case MarkPacket(mask, value):
            if not 0 < mask <= _ALL or value & ~mask:
                raise ValueError(f"{statement} writes beyond its mask")
            kept = f"meta mark set meta mark & {mask ^ _ALL:#010x}"
            return f"{kept} | {value:#010x}" if value else kept
        case SetZone(zone):
            return f"ct original zone set {write_value(Kind.PORT, (zone, zone))}"
        case Tproxy(family, port):
            return (
                f"tproxy {'ip to 127.0.0.1' if family == 4 else 'ip6 to [::1]'}:{write_value(Kind.PORT, (port, port))}"
            )


# ---------------------------------------------------------------------------------------------------------------------
# Changes.


def transaction_text(transaction: Transaction) -> str:
    """One transaction on a table of ours as commands, one a line."""
    where = f"{transaction.family} {Ruleset().table}"
    return "".join(f"{line}\n" for command in transaction.commands for line in _command(command, where))


def _command(command: Command, where: str) -> Iterator[str]:
    match command:
        case AddTable():
            yield f"add table {where}"
        case DeleteTable():
            yield f"delete table {where}"
        case AddChain(chain):
            hook = " ".join(_hook(chain))
            yield f"add chain {where} {checked_name(chain.name)}" + (f" {{ {hook} }}" if hook else "")
        case AddRules(chain=name, rules=rules):
            checked_name(name)
            yield from (f"add rule {where} {name} {rule_text(rule)}" for rule in rules)
        case FlushChain(name):
            yield f"flush chain {where} {checked_name(name)}"
        case DeleteChain(name):
            yield f"delete chain {where} {checked_name(name)}"
        case AddSet(one):
            declaration = "".join(f" {part};" for part in _declaration(one))
            yield f"add {_word(one)} {where} {checked_name(one.name)} {{{declaration} }}"
        case DeleteSet(one):
            yield f"delete {_word(one)} {where} {checked_name(one.name)}"
        case AddElements(part):
            yield from _elements_command("add", part, where)
        case DeleteElements(part):
            yield from _elements_command("delete", part, where)


def _word(one: NftSet) -> str:
    return "map" if one.is_map else "set"


def _elements_command(verb: str, part: NftSet, where: str) -> Iterator[str]:
    if part.elements:
        lead = f"{verb} element {where} {checked_name(part.name)} {{ "
        written = elements_text(part, keys_only=verb == "delete")
        yield lead + (",\n" + " " * len(lead)).join(written) + " }"
