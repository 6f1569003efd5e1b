"""One spelling for rules that are the same to the kernel.

The kernel holds ``tcp dport 80`` as two steps (``meta l4proto 6``, ``th dport 80``) and nft, when it lists them,
guesses which steps somebody wrote. So what comes back is not what went in, and a comparison has to be
made between canonical forms:

    ``meta l4proto tcp th dport 80``           is ``tcp dport 80``
    ``meta l4proto tcp ip daddr @s tcp …``     is ``ip daddr @s tcp …`` (only matches in between)
    ``meta nfproto ipv4 … ip saddr X``         is ``… ip saddr X``
    ``meta nfproto ipv6 … meta l4proto 58``    is ``… meta l4proto 58``: so nft lists it, though it means less
    ``tcp dport 80 tcp sport 5``               is ``tcp sport 5 tcp dport 80``: one 4-byte load

The fourth line is a loss: a table whose listing is loaded again is then weaker than it was. No rule of
ours has that form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from outgate.nft.objects import ChainRule, Compare, Field, Lookup, Ruleset, Statement, VerdictMap
from outgate.nft.spelling import shorten

__all__ = ["IMPLIED_FAMILY", "IMPLIED_PROTOCOL", "canonical", "canonical_rule", "fields_of", "required_value"]

_IPV4, _IPV6 = 2, 10
_ICMP, _TCP, _UDP, _ICMPV6, _SCTP = 1, 6, 17, 58, 132

IMPLIED_PROTOCOL = {
    Field.TCP_SPORT: _TCP,
    Field.TCP_DPORT: _TCP,
    Field.UDP_SPORT: _UDP,
    Field.UDP_DPORT: _UDP,
    Field.SCTP_SPORT: _SCTP,
    Field.SCTP_DPORT: _SCTP,
    Field.ICMP_TYPE: _ICMP,
    Field.ICMPV6_TYPE: _ICMPV6,
    Field.TCP_FLAGS: _TCP,
}
"""Fields that hold for packets of one protocol only."""

IMPLIED_FAMILY = {
    Field.IP_SADDR: _IPV4,
    Field.IP_DADDR: _IPV4,
    Field.IP6_SADDR: _IPV6,
    Field.IP6_DADDR: _IPV6,
    Field.IP6_HOPLIMIT: _IPV6,
    Field.ICMP_TYPE: _IPV4,
    Field.ICMPV6_TYPE: _IPV6,
}
"""Fields that hold for packets of one family only (the number is that of ``meta nfproto``)."""

_OF_PROTOCOL = {
    (Field.TH_SPORT, _TCP): Field.TCP_SPORT,
    (Field.TH_DPORT, _TCP): Field.TCP_DPORT,
    (Field.TH_SPORT, _UDP): Field.UDP_SPORT,
    (Field.TH_DPORT, _UDP): Field.UDP_DPORT,
    (Field.TH_SPORT, _SCTP): Field.SCTP_SPORT,
    (Field.TH_DPORT, _SCTP): Field.SCTP_DPORT,
}
_SOURCE_FIRST = {
    (Field.TCP_DPORT, Field.TCP_SPORT),
    (Field.UDP_DPORT, Field.UDP_SPORT),
    (Field.SCTP_DPORT, Field.SCTP_SPORT),
}


def canonical(ruleset: Ruleset) -> Ruleset:
    """The ruleset in the spelling in which two are equal exactly if nft lists them alike."""
    chains = {
        name: replace(chain, rules=tuple(map(canonical_rule, chain.rules))) for name, chain in ruleset.chains.items()
    }
    sets = {name: replace(one, comment=shorten(one.comment)) for name, one in ruleset.sets.items()}
    return replace(ruleset, chains=chains, sets=sets)


def canonical_rule(rule: ChainRule) -> ChainRule:
    """One rule in that spelling."""
    statements = _ports_in_order(_without_implied(_named_protocols([*map(_plain, rule.statements)])))
    return ChainRule(tuple(statements), shorten(rule.comment))


def _plain(statement: Statement) -> Statement:
    if (
        isinstance(statement, Compare)
        and statement.field in (Field.CT_MARK, Field.META_MARK)
        and statement.mask == 0xFFFF_FFFF
    ):
        return replace(statement, mask=0)
    return statement


def fields_of(statement: Statement) -> tuple[Field, ...]:
    """The fields that a match looks at; none for a statement that is no match."""
    match statement:
        case Compare(field=field):
            return (field,)
        case Lookup(fields=fields) | VerdictMap(fields=fields):
            return fields
        case _:
            return ()


def required_value(statement: Statement, field: Field) -> int | None:
    """The one value that a statement asks `field` to have; None where it asks for none, or for several."""
    if isinstance(statement, Compare) and statement.field is field and statement.low == statement.high:
        return None if statement.negated else statement.low
    return None


def _named_protocols(statements: Sequence[Statement]) -> list[Statement]:
    """``th dport`` behind something that fixes the protocol becomes ``tcp dport`` and so on."""
    protocol: int | None = None
    named: list[Statement] = []
    for statement in statements:
        fields = tuple(_OF_PROTOCOL.get((field, protocol or 0), field) for field in fields_of(statement))
        match statement:
            case Compare():
                named.append(replace(statement, field=fields[0]))
            case Lookup() | VerdictMap():
                named.append(replace(statement, fields=fields))
            case _:
                named.append(statement)
        found = required_value(statement, Field.L4PROTO)
        implied = [IMPLIED_PROTOCOL[field] for field in fields if field in IMPLIED_PROTOCOL]
        protocol = found if found is not None else next(iter(implied), protocol)
    return named


def _without_implied(statements: Sequence[Statement]) -> list[Statement]:
    return [one for index, one in enumerate(statements) if not _is_implied(one, statements[index + 1 :])]


def _is_implied(statement: Statement, following: Sequence[Statement]) -> bool:
    """Whether the matches that follow, up to the first statement that is none, ask for it anyway."""
    protocol, family = required_value(statement, Field.L4PROTO), required_value(statement, Field.NFPROTO)
    if protocol is None and family is None:
        return False
    for other in following:
        fields = fields_of(other)
        if protocol is not None and any(IMPLIED_PROTOCOL.get(field) == protocol for field in fields):
            return True
        if family is not None and any(IMPLIED_FAMILY.get(field) == family for field in fields):
            return True
        if (family, required_value(other, Field.L4PROTO)) in ((_IPV4, 1), (_IPV6, _ICMPV6)):
            return True
        if not fields:
            return False
    return False


def _ports_in_order(statements: list[Statement]) -> list[Statement]:
    ordered = list(statements)
    for index, (first, second) in enumerate(pairwise(ordered)):
        if isinstance(first, Compare) and isinstance(second, Compare):
            exact = first.low == first.high and second.low == second.high and not (first.negated or second.negated)
            if exact and (first.field, second.field) in _SOURCE_FIRST:
                ordered[index], ordered[index + 1] = second, first
    return ordered
