"""Random rulesets: everything that the AST can say and the kernel accepts, over small pools of values.

The pools are small so that random packets hit; they hold the borders that matter (aligned and unaligned ranges,
the first and the last value). Chains lead only to later ones, so there are no loops.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from outgate.nft.evaluate import CtDirection, Header
from outgate.nft.objects import (
    ACCEPT,
    DROP,
    LOCAL,
    RETURN,
    Chain,
    ChainRule,
    Compare,
    Counter,
    CtState,
    Field,
    Hook,
    KeyPart,
    KeyType,
    Limit,
    Log,
    Lookup,
    NftSet,
    Reject,
    Ruleset,
    SetKey,
    StampMark,
    Statement,
    VerdictMap,
    goto,
    jump,
)
from outgate.nft.spelling import FIELD_KIND, KEY_KIND

__all__ = ["INCOMING", "MARKS", "OUTGOING", "V4", "headers", "rulesets"]

V4 = [*range(0x0A09_0000, 0x0A09_0010), 0x0A09_00FF, 0x0A09_0100, 0xCB00_7105]
V6 = [(0x2001 << 112) + 7, *range(0xFD09 << 112, (0xFD09 << 112) + 12), (0xFD09 << 112) + (1 << 64)]
PORTS = [0, 1, 53, 80, 443, 1023, 1024, 8000, 9000, 65535]
PROTOCOLS = [1, 6, 17, 47, 58, 132]
INCOMING, OUTGOING = "ogp1", "eth0"
INTERFACES = [INCOMING, OUTGOING, "ogp2"]
MARKS = [0, 0x0001_0000, 0x0002_0000, 0x0001_0005, 5]
COMMENTS = st.one_of(st.just(""), st.just("production/web egress[0]"), st.text(max_size=200))

_POOL: dict[KeyType, list[int]] = {
    KeyType.IPV4_ADDR: V4,
    KeyType.IPV6_ADDR: V6,
    KeyType.INET_PROTO: PROTOCOLS,
    KeyType.INET_SERVICE: PORTS,
}
_KEYS: list[tuple[KeyType, ...]] = [
    (KeyType.IPV4_ADDR,),
    (KeyType.IPV6_ADDR,),
    (KeyType.INET_PROTO,),
    (KeyType.INET_SERVICE,),
    (KeyType.IPV4_ADDR, KeyType.INET_PROTO),
    (KeyType.INET_PROTO, KeyType.INET_SERVICE),
    (KeyType.IFNAME, KeyType.IPV4_ADDR),
    (KeyType.IFNAME, KeyType.IPV6_ADDR),
    (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE),
    (KeyType.IPV6_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE),
]
_V4_FIELDS = {Field.IP_SADDR, Field.IP_DADDR}
_V6_FIELDS = {Field.IP6_SADDR, Field.IP6_DADDR, Field.IP6_HOPLIMIT}
_PORT_FIELDS = {
    None: (Field.TH_SPORT, Field.TH_DPORT),
    6: (Field.TCP_SPORT, Field.TCP_DPORT, Field.TH_DPORT),
    17: (Field.UDP_SPORT, Field.UDP_DPORT, Field.TH_SPORT),
    132: (Field.SCTP_SPORT, Field.SCTP_DPORT),
}


@st.composite
def _spans(draw: st.DrawFn, pool: Sequence[int]) -> tuple[int, int]:
    """One value of the pool, or a range between two of them."""
    low, high = sorted((draw(st.sampled_from(pool)), draw(st.sampled_from(pool))))
    return (low, high) if draw(st.booleans()) else (low, low)


@st.composite
def _keys(draw: st.DrawFn, kinds: tuple[KeyType, ...], *, interval: bool) -> list[SetKey]:
    """Disjoint keys: cut the pool of the first part that has one into disjoint ranges, one for each key."""
    count = draw(st.integers(1, 5)) if draw(st.integers(0, 3)) else 0
    lead = 1 if kinds[0] is KeyType.IFNAME else 0
    pool = _POOL[kinds[lead]]
    size = min(2 * count, len(pool))
    borders = sorted(draw(st.sets(st.sampled_from(range(len(pool))), min_size=size, max_size=size)))
    keys: list[SetKey] = []
    for low, high in zip(borders[::2], borders[1::2], strict=False):
        key: list[KeyPart] = []
        for index, kind in enumerate(kinds):
            if kind is KeyType.IFNAME:
                key.append(draw(st.sampled_from(INTERFACES)))
            elif index == lead:
                key.append((pool[low], pool[high if interval and draw(st.booleans()) else low]))
            elif interval:
                key.append(draw(st.one_of(_spans(_POOL[kind]), st.just((0, 0xFF if len(_POOL[kind]) < 8 else 0xFFFF)))))
            else:
                value = draw(st.sampled_from(_POOL[kind]))
                key.append((value, value))
        keys.append(tuple(key))
    return keys


@st.composite
def _sets(draw: st.DrawFn, name: str, targets: Sequence[str]) -> NftSet:
    kinds = draw(st.sampled_from(_KEYS))
    interval = draw(st.booleans())
    is_map = draw(st.booleans())
    keys = draw(_keys(kinds, interval=interval))
    verdicts = st.sampled_from([ACCEPT, DROP, RETURN, *map(goto, targets), *map(jump, targets)])
    elements = {key: draw(verdicts) if is_map else None for key in keys}
    return NftSet(name, kinds, elements, interval=interval, is_map=is_map, comment=draw(COMMENTS))


@st.composite
def _compares(draw: st.DrawFn, field: Field) -> Compare:
    negated = draw(st.booleans())
    match field:
        case Field.IIFNAME | Field.OIFNAME:
            return Compare(field, text=draw(st.sampled_from([*INTERFACES, "ogp*", "e*"])), negated=negated)
        case Field.CT_STATE:
            bits = draw(st.sets(st.sampled_from(list(CtState)), min_size=1))
            return Compare(field, mask=sum(bits), negated=negated)
        case Field.CT_MARK:
            mask = draw(st.sampled_from([0, 0xFFFF_0000, 0xFF, 0x0001_0000, 0x8000_0000]))
            value = draw(st.sampled_from(MARKS)) & (mask or 0xFFFF_FFFF)
            return Compare(field, value, value, mask=mask, negated=negated)
        case Field.CT_DIRECTION:
            value = draw(st.integers(0, 1))
            return Compare(field, value, value, negated=negated)
        case Field.NFPROTO:
            value = draw(st.sampled_from([2, 10]))
            return Compare(field, value, value, negated=negated)
        case Field.SADDR_TYPE | Field.DADDR_TYPE:
            return Compare(field, LOCAL, LOCAL, negated=negated)
        case Field.ORIGINAL_ZONE:
            # Whoever draws packets has them in the zone that all are in.
            low, high = draw(_spans([0, 1, 7]))
            return Compare(field, low, high, negated=negated)
    kind = FIELD_KIND[field]
    pool = next((_POOL[key] for key, of in KEY_KIND.items() if of is kind and key in _POOL), [0, 1, 64, 133, 136, 255])
    low, high = draw(_spans(pool))
    return Compare(field, low, high, negated=negated)


@st.composite
def _matches(draw: st.DrawFn, sets: Sequence[NftSet]) -> list[Statement]:
    """Matches that do not contradict each other: nft refuses ``ip saddr … ip6 daddr …`` and ``tcp … udp …``."""
    family = draw(st.sampled_from([None, None, 4, 6]))
    protocol = draw(st.sampled_from([None, None, None, 6, 17, 132]))
    fields = {Field.IIFNAME, Field.OIFNAME, Field.CT_STATE, Field.CT_DIRECTION, Field.CT_MARK}
    fields |= {Field.SADDR_TYPE, Field.DADDR_TYPE, Field.ORIGINAL_ZONE}
    fields |= {4: _V4_FIELDS, 6: _V6_FIELDS}.get(family or 0, {Field.NFPROTO})
    # One port only: two exact ports side by side are merged into one 4-byte load that nft cannot name.
    port = draw(st.sampled_from(_PORT_FIELDS[protocol]))
    fields.add(port)
    if protocol is None and family is None:
        fields.add(Field.L4PROTO)
    found: list[Statement] = []
    if protocol is not None and draw(st.booleans()):
        found.append(Compare(Field.L4PROTO, protocol, protocol))
    if family is not None and draw(st.booleans()):
        number = 2 if family == 4 else 10
        found.append(Compare(Field.NFPROTO, number, number))
    if family == 6 and protocol is None and draw(st.booleans()):
        return [*found, draw(_compares(Field.ICMPV6_TYPE))]
    if family == 4 and protocol is None and draw(st.booleans()):
        return [*found, draw(_compares(Field.ICMP_TYPE))]
    order = [draw(st.sampled_from(sorted(fields, key=str))) for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3])))]
    if protocol is None and Field.L4PROTO in order:
        # The protocol may be fixed to one without ports, where asking for one is refused.
        order = [field for field in order if field is not port]
    found += [draw(_compares(field)) for field in dict.fromkeys(order)]
    compares_family = any(isinstance(one, Compare) and one.field is Field.NFPROTO for one in found)
    usable = [one for one in sets if not one.is_map and _loadable(one, family, compares_family=compares_family)]
    if protocol is None and Field.L4PROTO in order:
        usable = [one for one in usable if KeyType.INET_SERVICE not in one.key]
    looks = draw(st.booleans())
    if usable and looks:
        one = draw(st.sampled_from(usable))
        found.append(Lookup(draw(_loads(one, port)), one.name, draw(st.booleans())))
    return found


def _loadable(one: NftSet, family: int | None, *, compares_family: bool) -> bool:
    """Whether looking into the set does not contradict the rest of the rule."""
    addresses = {KeyType.IPV4_ADDR: 4, KeyType.IPV6_ADDR: 6}
    needed = {addresses[kind] for kind in one.key if kind in addresses}
    return needed <= {family} if family or compares_family else True


@st.composite
def _loads(draw: st.DrawFn, one: NftSet, port: Field) -> tuple[Field, ...]:
    ways = {
        KeyType.IPV4_ADDR: [Field.IP_SADDR, Field.IP_DADDR],
        KeyType.IPV6_ADDR: [Field.IP6_SADDR, Field.IP6_DADDR],
        KeyType.INET_PROTO: [Field.L4PROTO],
        KeyType.INET_SERVICE: [port],
        KeyType.IFNAME: [Field.IIFNAME, Field.OIFNAME],
    }
    return tuple(draw(st.sampled_from(ways[kind])) for kind in one.key)


@st.composite
def _rules(draw: st.DrawFn, sets: Sequence[NftSet], targets: Sequence[str], *, quiet: bool) -> ChainRule:
    statements = draw(_matches(sets))
    if draw(st.booleans()):
        statements.append(Counter())
    if not quiet and draw(st.integers(0, 5)) == 0:
        statements.append(Limit(draw(st.integers(1, 100)), draw(st.integers(1, 100))))
    if not quiet and draw(st.integers(0, 5)) == 0:
        statements.append(Log(draw(st.sampled_from(["d_x ", "", "U:x"])), 5, draw(st.sampled_from([0, 96]))))
    if draw(st.integers(0, 3)) == 0:
        mask = draw(st.sampled_from([0xFFFF_0000, 0xFF, 0xFFFF_FFFF, 1, 0x8000_0000]))
        statements.append(StampMark(mask, draw(st.sampled_from(MARKS)) & mask))
    endings: list[list[Statement]] = [[ACCEPT], [DROP], [RETURN], [Reject("icmpx admin-prohibited")]]
    ways: list[list[Statement]] = [[verdict(name)] for name in targets for verdict in (jump, jump, goto)]
    maps = [one for one in sets if one.is_map]
    if not statements:
        # A verdict for every packet would leave nothing for the rules behind it.
        endings = [[Compare(Field.L4PROTO, 6, 6), Reject("tcp reset")]]
        ways += [[VerdictMap(draw(_loads(one, Field.TH_DPORT)), one.name)] for one in maps for _ in range(3)]
    ending = draw(st.sampled_from([*endings, *ways, *([[]] * (2 if statements else 0))]))
    return ChainRule((*statements, *ending), draw(COMMENTS) if not quiet else "")


@st.composite
def rulesets(draw: st.DrawFn, *, quiet: bool = False, hooks: Sequence[str] = ("forward", "input")) -> Ruleset:
    """A ruleset that the kernel accepts; with `quiet`, one without logs, limits and comments."""
    least = 2 if quiet else 0
    count = draw(st.integers(1 + least, 5))
    names = [f"c_{index}" for index in range(count)]
    sets = [draw(_sets(f"s_{index}", names[-1:])) for index in range(draw(st.integers(least, 5)))]
    chains: dict[str, Chain] = {}
    for index, name in enumerate(names):
        leaf = index == count - 1
        # The last chain is where maps lead to, so it looks into no map itself: that could be a loop.
        seen = [one for one in sets if not (leaf and one.is_map)]
        rules = draw(st.lists(_rules(seen, names[index + 1 :], quiet=quiet), min_size=least, max_size=4))
        chains[name] = Chain(name, tuple(rules))
    for number, hook in enumerate(hooks):
        for priority in draw(st.sets(st.sampled_from([-310, -10, 0, 7]), min_size=1 - min(number, 1), max_size=2)):
            name = f"base_{hook}_{len(chains)}"
            rules = draw(st.lists(_rules(sets, names, quiet=quiet), min_size=2 * least, max_size=6))
            chains[name] = Chain(name, tuple(rules), Hook(hook, priority))
    return Ruleset(chains=chains, sets={one.name: one for one in sets})


@st.composite
def headers(draw: st.DrawFn) -> Header:
    """A packet in any state that its protocol can be brought into."""
    family = draw(st.sampled_from([4, 6]))
    protocol = draw(st.sampled_from([6, 17, 132, 47, 1 if family == 4 else 58]))
    ported = protocol in (6, 17, 132)
    states = [(CtState.NEW, CtDirection.ORIGINAL), (CtState.UNTRACKED, CtDirection.ORIGINAL)]
    if protocol != 132:
        # An SCTP association is established by an exchange of cookies, which these frames do not play.
        states += [(CtState.ESTABLISHED, CtDirection.ORIGINAL), (CtState.ESTABLISHED, CtDirection.REPLY)]
    if protocol == 6:
        states.append((CtState.INVALID, CtDirection.ORIGINAL))
    state, direction = draw(st.sampled_from(states))
    saddr, daddr = draw(st.lists(st.sampled_from(V4 if family == 4 else V6), min_size=2, max_size=2, unique=True))
    return Header(
        family=family,
        saddr=saddr,
        daddr=daddr,
        protocol=protocol,
        sport=draw(st.sampled_from([1, 1024, 40000])) if ported else None,
        # Connection tracking takes port 0 for a broken packet.
        dport=draw(st.sampled_from([port for port in PORTS if port])) if ported else None,
        iifname=INCOMING,
        oifname=OUTGOING,
        state=state,
        direction=direction,
        mark=draw(st.sampled_from(MARKS)),
        hop_limit=draw(st.sampled_from([1, 64, 133, 254])),
    )
