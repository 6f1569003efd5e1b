"""How connections come to the proxy that looks into them, and what becomes of them without it (docs/decisions/0017).

    prerouting, after the translation of services
        catch ─► a socket of the proxy has it? mark it for delivery
              ─► ``cg4``, ``cg6``: the pod's class ─► the first that allows it is a rule about requests? ``divert``
    input     what is marked is judged as the pod's: its rule about requests lets it pass to the proxy, and what finds
              no socket there, a connection from before the rule, is reset
    forward   the marks mean nothing: the rule about requests drops what nobody has looked into
    output    ``sent``: what the proxy sends in a pod's name is judged as the pod's, egress and ingress

What the proxy sends to its own node does not leave it: it comes back by ``lo``, passes `input` by its mark, and what
the node answers would go to the pod, whose address it is for. So it is marked for delivery (``answered``), as is what
comes from outside. And two connections would be the same for TCP, the pod's (of which the proxy has the end that says
to be the node) and the proxy's, if they had one port: behind the node's server stands a socket that is not transparent,
and TPROXY finds it before the listener. So the proxy's come from `_OWN_PORTS`, which no system takes of itself.

A rule about requests leads to a chain ``l_…``, which lets pass what has one of the two marks and denies what has none.
The chain by which a class is caught is that of the class itself with other ends (`Catching`): whatever decides without
looking leaves it, so what is caught is exactly what the class would give to the rule. A class without such a rule has
none, and a node without such a class has nothing of this in its table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from outgate.nft.denial import denial
from outgate.nft.frame import UNKNOWN
from outgate.nft.lines import Registry, rule_parts, rule_title
from outgate.nft.names import named
from outgate.nft.objects import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    ChainRule,
    Compare,
    Counter,
    CtState,
    Field,
    Hook,
    Judgement,
    KeyType,
    Limit,
    Log,
    Lookup,
    MarkPacket,
    NftSet,
    Reject,
    SetZone,
    SourcePorts,
    Statement,
    Tproxy,
    VerdictMap,
    goto,
    jump,
)
from outgate.nft.options import Options
from outgate.packets import Protocol
from outgate.policy import Rule

__all__ = ["CATCHES", "Catching", "catch_map", "proxied_way", "unseen", "with_proxy"]

CATCHES = {4: "cg4", 6: "cg6"}
"""The maps from the address of a pod to the chain by which its connections are caught, by family."""

_DIVERT = "divert"
_LOOKED_INTO = "l"
_GIVEN = "given"
_LATER = Compare(Field.TCP_FLAGS, 0x02, 0x02, mask=0x12, negated=True)
"""Not the first packet of a connection: SYN without ACK."""
_OWN_PORTS = SourcePorts(61000, 65535)
"""Behind those that Linux gives to sockets (ip_local_port_range: 32768 to 60999)."""
_BY_LO = Compare(Field.IIFNAME, text="lo")
_TCP = Compare(Field.L4PROTO, int(Protocol.TCP), int(Protocol.TCP))


def catch_map(family: int) -> NftSet:
    """The declaration of one of the maps."""
    return NftSet(CATCHES[family], (KeyType.IPV4_ADDR if family == 4 else KeyType.IPV6_ADDR,), is_map=True)


def unseen(rule: Rule, registry: Registry) -> Judgement:
    """The denial of what a rule about requests would allow, and nobody has looked into."""
    name = named("d", (*rule_parts(rule), "unseen"))
    comment = f"not looked into: {rule_title(rule)}"
    return goto(registry.add_named(name, lambda: denial(name, comment, registry.options)))


def proxied_way(rule: Rule, registry: Registry) -> Judgement:
    """Where a packet goes that a rule about requests matches: on to be looked into, or to its denial."""
    options = registry.options
    name = named(_LOOKED_INTO, rule_parts(rule))
    marked = _marked(options.deliver_mark | options.upstream_mark, any_of=True)
    way, end = registry.rule_chain(rule), unseen(rule, registry)
    return goto(registry.add_named(name, lambda: (ChainRule((marked, way), rule_title(rule)), ChainRule((end,)))))


class Catching:
    """Makes the chains of classes over into those by which they are caught."""

    def __init__(self, registry: Registry, prefix: str) -> None:
        self._registry = registry
        self._prefix = prefix

    def way(self, lines: Iterable[ChainRule]) -> Judgement:
        """Into the chain that leads to `divert` what these lines give to a rule about requests, and returns."""
        made = [line for rule in lines if (line := self._line(rule)) is not None]
        # The end of a chain is a return.
        while made and made[-1].statements[-1] == RETURN:
            made.pop()
        return goto(self._registry.add_chain(self._prefix, tuple(made))) if made else RETURN

    def _line(self, rule: ChainRule) -> ChainRule | None:
        """One line, without what only counts or logs; None where it decides nothing."""
        kept: list[Statement] = []
        for one in rule.statements:
            match one:
                case Compare() | Lookup():
                    kept.append(one)
                case VerdictMap(fields, name):
                    kept.append(VerdictMap(fields, self._map(name)))
                case Judgement():
                    end = self._end(one)
                    if end is None:
                        return None
                    kept.append(end)
                case Reject():
                    kept.append(RETURN)
                case Counter() | Log() | Limit():
                    pass
                case _:
                    raise AssertionError(f"no statement of a class: {one}")
        last = kept[-1] if kept else None
        return ChainRule(tuple(kept)) if isinstance(last, Judgement | VerdictMap) else None

    def _end(self, verdict: Judgement) -> Judgement | None:
        """What becomes of a verdict; None for a call that does nothing but come back."""
        if not verdict.chain:
            return RETURN
        if verdict.chain.startswith(f"{_LOOKED_INTO}_"):
            return goto(_DIVERT)
        way = self.way(self._registry.chains[verdict.chain].rules)
        if verdict.act == "jump":
            return None if way == RETURN else jump(way.chain)
        return way

    def _map(self, name: str) -> str:
        one = self._registry.sets[name]
        elements = {key: self._end(value) if value is not None else None for key, value in one.elements.items()}
        made = named(name.partition("_")[0], (name, repr(sorted(elements.items(), key=repr))))
        return self._registry.add_set(replace(one, name=made, elements=elements))


def with_proxy(chains: Iterable[Chain], options: Options) -> Iterator[Chain]:
    """The frame of a node on which connections are caught, made from the one without (`outgate.nft.frame`)."""
    deliver, both = options.deliver_mark, options.deliver_mark | options.upstream_mark
    for chain in chains:
        match chain.name:
            case "forward":
                # What is forwarded has been looked into by nobody, whatever somebody else has marked.
                cleared = ChainRule((_marked(both, any_of=True), MarkPacket(both, 0)))
                yield replace(chain, rules=(cleared, *chain.rules))
            case "input":
                yield replace(chain, rules=(*_to_the_proxy(options), *chain.rules))
            case _:
                yield chain
    took = (MarkPacket(deliver, deliver), ACCEPT)
    yield Chain(_GIVEN, tuple(_given()))
    yield Chain("orphans", tuple(_orphans(options)), Hook("input", 110))  # after srcnat (100) is done
    yield Chain(_DIVERT, tuple(_divert(options, took)))
    yield Chain("catch", tuple(_catch(options, took)), Hook("prerouting", -95))  # after dstnat (-100) is done
    yield Chain("sent", tuple(_sent()))
    yield Chain("sent_egress", (*_by_source({4: "eg4", 6: "eg6"}), ChainRule((goto(UNKNOWN),))))
    yield Chain("outgoing", (ChainRule((_marked(options.upstream_mark), goto("sent"))),), Hook("output", -10))
    # The kernel draws the ports of the pod and of the proxy from one hash of the same addresses, so they often meet.
    apart = ChainRule((_marked(options.upstream_mark), SetZone(options.proxy_zone)))
    yield Chain("apart", (apart,), Hook("output", -300))
    yield Chain("answered", (_answered(options),), Hook("output", -150, "route"))  # behind connection tracking (-200)
    to_lo = Compare(Field.OIFNAME, text="lo")
    ports = ChainRule((to_lo, _marked(options.upstream_mark), _TCP, _OWN_PORTS))
    yield Chain("own_ports", (ports,), Hook("postrouting", 100, "nat"))


def _marked(bits: int, *, any_of: bool = False) -> Compare:
    return (
        Compare(Field.META_MARK, 0, 0, mask=bits, negated=True)
        if any_of
        else Compare(Field.META_MARK, bits, bits, mask=bits)
    )


def _to_the_proxy(options: Options) -> Iterator[ChainRule]:
    """Packets that TPROXY delivers keep their port: what is really for the proxy's is nobody's business."""
    # What the proxy sends comes in by lo, or not at all: whatever else has its mark has it from somebody else.
    foreign = replace(_BY_LO, negated=True), _marked(options.upstream_mark)
    yield ChainRule((*foreign, MarkPacket(options.upstream_mark, 0)))
    port = Compare(Field.TCP_DPORT, options.proxy_port, options.proxy_port)
    yield ChainRule((port, Counter(), DROP), "to the proxy itself")
    # Answers to the proxy are answers to the pod, and judged as such; of its own the node asks without the mark.
    reply = Compare(Field.CT_DIRECTION, 1, 1)
    unrelated = Compare(Field.CT_STATE, mask=int(CtState.RELATED), negated=True)
    yield ChainRule((_marked(options.deliver_mark), _TCP, unrelated, jump("est")))
    yield ChainRule((_marked(options.deliver_mark), _TCP, unrelated, reply, goto("reply")))
    yield ChainRule((_marked(options.deliver_mark), _TCP, unrelated, goto(_GIVEN)))


def _given() -> Iterator[ChainRule]:
    """What a pod sends, on its way to the proxy.

    A connection from before the rule has no socket here, and its mark must stay as it is: it would let pass in
    `forward` what the other end still sends. Nor is one found by its socket here of which connection tracking changes
    the port further on (`_divert`): each of its packets is judged.
    """
    yield ChainRule((jump("egress"),))
    yield ChainRule((Compare(Field.SOCKET_TRANSPARENT, 1, 1), goto("stamp")))
    yield ChainRule((ACCEPT,))


def _orphans(options: Options) -> Iterator[ChainRule]:
    """What is delivered to nobody, behind the last change of a port: the pod is told at once.

    TCP does not answer by itself in the name of an address that is not the node's (net/ipv4/tcp_ipv4.c,
    `tcp_v4_send_reset`: IP_REPLY_ARG_NOSRCCHECK is for transparent sockets).
    """
    mine = _marked(options.deliver_mark), _TCP, _LATER
    yield ChainRule((*mine, Compare(Field.SOCKET_TRANSPARENT, 1, 1), ACCEPT))
    yield ChainRule((*mine, Counter(), Reject("tcp reset")), "of a connection from before the rule")


def _divert(options: Options, took: tuple[Statement, ...]) -> Iterator[ChainRule]:
    # Later packets find their socket by themselves; connection tracking may have changed their port by then.
    yield ChainRule((_LATER, *took))
    for family, protocol in ((4, 2), (6, 10)):
        yield ChainRule((Compare(Field.NFPROTO, protocol, protocol), _TCP, Tproxy(family, options.proxy_port), *took))


def _answered(options: Options) -> ChainRule:
    """The node's answer to the proxy, also one that says that nobody listens."""
    zone = Compare(Field.ORIGINAL_ZONE, options.proxy_zone, options.proxy_zone)
    mark = MarkPacket(options.deliver_mark, options.deliver_mark)
    return ChainRule((zone, Compare(Field.CT_DIRECTION, 1, 1), mark))


def _catch(options: Options, took: tuple[Statement, ...]) -> Iterator[ChainRule]:
    yield ChainRule((_BY_LO, _marked(options.upstream_mark), ACCEPT), "from the proxy to this node")
    yield ChainRule((replace(_TCP, negated=True), ACCEPT))
    # A first one may find the rest of another connection from the same port (TIME_WAIT), which has no use for it.
    yield ChainRule((_LATER, Compare(Field.SOCKET_TRANSPARENT, 1, 1), *took))
    yield from _by_source(CATCHES)


def _by_source(maps: Mapping[int, str]) -> tuple[ChainRule, ...]:
    fields = {4: Field.IP_SADDR, 6: Field.IP6_SADDR}
    return tuple(ChainRule((VerdictMap((fields[family],), name),)) for family, name in maps.items())


def _sent() -> Iterator[ChainRule]:
    unrelated = Compare(Field.CT_STATE, mask=int(CtState.RELATED), negated=True)
    yield ChainRule((Compare(Field.CT_STATE, mask=int(CtState.INVALID)), DROP))
    yield ChainRule((unrelated, jump("est")))
    yield ChainRule((jump("sent_egress"),))
    yield ChainRule((jump("ingress"),))
    yield ChainRule((goto("stamp"),))
