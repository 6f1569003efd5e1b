"""From policies to a ruleset: what one node's kernel must hold.

    packet of a local pod ──► forward ─► est: judged under the current policies already? accept
                                      ├► original direction: egress (by source), ingress (by destination)
                                      ├► reply direction: the same questions, mirrored
                                      └► stamp: write the epoch into the connection mark, accept
                          ──► input   ─► the same egress questions for what the pod sends to its own node

The source or destination address leads in one lookup to the chain of the pod's policy class, shared by
all pods that the same policies select. A chain that is left by `return` has allowed the packet on that
end; a denied packet never comes back. Only a packet that both ends allowed reaches `stamp`, so the mark
says "judged, and allowed, under epoch N"; a change that tightens anything raises the epoch, and each live
connection is judged again by its next packet, whichever side sends it.

What cannot be said here is refused by the rooms above; nothing is approximated. The traffic that the node
itself opens to its pods (kubelet probes) does not pass these hooks: types.go, NetworkPolicySpec.ingress,
allows it "if the traffic source is the pod's local node".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from outgate.model import Direction, NetworkPolicy, Node, Pod
from outgate.nft.epoch import EST, STAMP, Epoch
from outgate.nft.lines import Registry, View, class_lines
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
from outgate.packets import Protocol
from outgate.policy import Origin, Policies
from outgate.policy.rules import origin_of

__all__ = ["Compiled", "Options", "compile_node"]

_ICMP = (int(Protocol.ICMP), int(Protocol.ICMPV6))
_ORIGINAL, _REPLY = 0, 1
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/10")
_LINK_MULTICAST = ipaddress.IPv6Network("ff02::/16")


@dataclass(frozen=True, slots=True)
class Options:
    """What a node's administrator chooses, and what only the node knows."""

    interface_prefix: str = ""
    """Interfaces whose name begins so belong to pods; empty where that is not known."""
    interfaces: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """The node's end of each local pod's link; what comes in there must have the pod's address."""
    mark_mask: int = 0xFFFF0000
    """The bits of the connection mark that are ours."""
    epoch: int = 1
    """1 up to the largest number the mask holds; 0 is the mark of a connection nobody judged."""
    reject: bool = False
    """Answer a denied packet at once instead of dropping it."""
    log_group: int | None = None
    """The nflog group that denied packets are copied to; none where absent."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A ruleset, and the policies and rules behind the names in it."""

    ruleset: Ruleset
    index: Mapping[str, tuple[Origin, ...]]
    """Chain name → where it comes from: one rule for ``r_…``, the isolating policies for ``d_…``."""


@dataclass(frozen=True, slots=True)
class _Dispatch:
    """One dispatch map: its name, the packet field it looks at, and the view of the chains it leads to."""

    name: str
    field: Field
    view: View


def _dispatches() -> Iterator[_Dispatch]:
    for direction in Direction:
        for mirrored in (False, True):
            for family in (4, 6):
                view = View(direction, family, mirrored)
                # The pod is the source of what it sends and of the answers to what it accepts.
                source = (direction is Direction.EGRESS) != mirrored
                look = {(4, True): Field.IP_SADDR, (4, False): Field.IP_DADDR}.get((family, source))
                look = look or (Field.IP6_SADDR if source else Field.IP6_DADDR)
                yield _Dispatch(f"{direction.value[0].lower()}{'r' if mirrored else 'g'}{family}", look, view)


_DISPATCHES = tuple(_dispatches())


def compile_node(policies: Policies, node: str, options: Options | None = None) -> Compiled:
    """The ruleset of one node, by name. A node without pods gets the empty frame."""
    return _Compiler(policies, node, options or Options()).compile()


class _Compiler:
    def __init__(self, policies: Policies, node: str, options: Options) -> None:
        self.policies = policies
        self.node = policies.snapshot.nodes.get(node) or Node(node)
        self.options = options
        self.registry = Registry()
        self.index: dict[str, tuple[Origin, ...]] = {}
        self._classes: dict[tuple[object, View], Judgement] = {}
        here = (pod for pod in policies.snapshot.endpoints if pod.node == node and not pod.host_network)
        self.local = tuple(pod for pod in here if pod.addressed)

    def compile(self) -> Compiled:
        for dispatch in _DISPATCHES:
            self._dispatch_map(dispatch)
        for chain in (*self._frame(), *self._interface_check()):
            self.registry.chains[chain.name] = chain
        ruleset = Ruleset(
            dict(sorted(self.registry.chains.items())),
            dict(sorted(self.registry.sets.items())),
        )
        return Compiled(ruleset, self.index)

    def _dispatch_map(self, dispatch: _Dispatch) -> None:
        elements: dict[SetKey, Judgement | None] = {}
        for pod in self.local:
            for address in (one for one in pod.addresses if one.version == dispatch.view.family):
                # Two pods that claim one address: whose packet it is cannot be told, so it is closed until one is gone.
                contested = address in self.policies.snapshot.contested
                way = goto("unknown") if contested else self._class_chain(pod, dispatch.view)
                elements[((int(address), int(address)),)] = way
        key = (KeyType.IPV4_ADDR if dispatch.view.family == 4 else KeyType.IPV6_ADDR,)
        self.registry.add_set(NftSet(dispatch.name, key, elements, is_map=True))

    def _class_chain(self, pod: Pod, view: View) -> Judgement:
        """The way into the chain of a pod's class; a way back where no policy selects the pod."""
        selecting = self.policies.selection.selecting(pod, view.direction)
        if not selecting:
            return RETURN
        key = self.policies.class_of(pod, view.direction)
        found = self._classes.get((key, view))
        if found is None:
            rules = tuple(self.policies.rules(selecting, view.direction))
            deny = self._deny_chain(selecting, view.direction)
            lines = (*class_lines(self.policies, rules, dict(key[2]), view, self.registry), ChainRule((deny,)))
            for rule in rules:
                self.index[self.registry.rule_chain(rule).chain] = (rule.origin,)
            found = self._classes[key, view] = goto(self.registry.add_chain(view.letter, lines))
        return found

    def _deny_chain(self, selecting: tuple[NetworkPolicy, ...], direction: Direction) -> Judgement:
        """Count, log, drop. One chain for each class, so that denials can be laid to its policies."""
        identity = (part for one in selecting for part in (one.api_version, one.kind, one.namespace, one.name))
        name = named("d", (direction.value, *identity))
        if name not in self.registry.chains:
            comment = f"{direction.value} denied: {selecting[0].namespace}/{','.join(one.name for one in selecting)}"
            self.registry.chains[name] = Chain(name, tuple(self._refuse(comment, name)))
            self.index[name] = tuple(origin_of(policy, direction) for policy in selecting)
        return goto(name)

    def _refuse(self, comment: str, prefix: str) -> Iterator[ChainRule]:
        yield ChainRule((Counter(),), comment)
        if self.options.log_group is not None:
            # A limit in the rule that drops would limit the drop: log and verdict are two rules.
            yield ChainRule((Log(f"{prefix} ", self.options.log_group),))
        if self.options.reject:
            tcp = Compare(Field.L4PROTO, int(Protocol.TCP), int(Protocol.TCP))
            yield ChainRule((tcp, Reject("tcp reset")))
            yield ChainRule((Reject("icmpx admin-prohibited"),))
        else:
            yield ChainRule((DROP,))

    def _frame(self) -> Iterator[Chain]:
        """The chains that do not depend on any policy."""
        mask = self.options.mark_mask
        value = Epoch(mask, self.options.epoch).bits
        reply = Compare(Field.CT_DIRECTION, _REPLY, _REPLY)
        yield Chain(EST, (ChainRule((Compare(Field.CT_MARK, value, value, mask=mask), ACCEPT)),))
        yield Chain(STAMP, (ChainRule((StampMark(mask, value), ACCEPT)),))
        yield Chain("unknown", tuple(self._refuse("address or interface of a pod that is not programmed", "unknown")))
        for name, direction, mirrored in (
            ("egress", Direction.EGRESS, False),
            ("ingress", Direction.INGRESS, False),
            ("egress_reply", Direction.EGRESS, True),
            ("ingress_reply", Direction.INGRESS, True),
        ):
            yield Chain(name, tuple(self._dispatch_lines(direction, mirrored)))
        yield Chain(
            "reply",
            (ChainRule((jump("egress_reply"),)), ChainRule((jump("ingress_reply"),)), ChainRule((goto("stamp"),))),
        )
        both = (ChainRule((jump("egress"),)), ChainRule((jump("ingress"),)), ChainRule((goto("stamp"),)))
        begin = (ChainRule((jump("est"),)), *_related())
        yield Chain("forward", (*begin, ChainRule((reply, goto("reply"))), *both), Hook("forward", -10))
        yield Chain("input", (*begin, *self._to_the_node(reply), both[0], both[2]), Hook("input", -10))

    def _dispatch_lines(self, direction: Direction, mirrored: bool) -> Iterator[ChainRule]:
        for dispatch in _DISPATCHES:
            if (dispatch.view.direction, dispatch.view.mirrored) == (direction, mirrored):
                yield ChainRule((VerdictMap((dispatch.field,), dispatch.name),))
        source = (direction is Direction.EGRESS) != mirrored
        for statement in self._pods_of_this_node(source):
            yield ChainRule((statement, goto("unknown")))

    def _pods_of_this_node(self, source: bool) -> Iterator[Statement]:
        """How to know a packet of a local pod that is in no map: it is not programmed yet, so it is closed."""
        if self.options.interface_prefix:
            name = f"{self.options.interface_prefix}*"
            yield Compare(Field.IIFNAME if source else Field.OIFNAME, text=name)
            return
        for block in self.node.pod_cidrs:
            fields = (Field.IP_SADDR, Field.IP_DADDR) if block.version == 4 else (Field.IP6_SADDR, Field.IP6_DADDR)
            low, high = int(block.network_address), int(block.broadcast_address)
            yield Compare(fields[0] if source else fields[1], low, high)

    def _to_the_node(self, reply: Compare) -> Iterator[ChainRule]:
        """What a pod may always send to its own node: answers, and what IPv6 cannot live without."""
        yield ChainRule((reply, ACCEPT), "answers to what the node asked: probes")
        # RFC 4861, 7.1: a valid neighbour discovery packet has hop limit 255, so it was not forwarded. Redirects
        # (137) are not among them: no pod tells its node where to send.
        hops, kinds = Compare(Field.IP6_HOPLIMIT, 255, 255), Compare(Field.ICMPV6_TYPE, 133, 136)
        yield ChainRule((kinds, hops, ACCEPT), "neighbour discovery")
        if self.options.interface_prefix:
            groups = _between(Field.IP6_DADDR, _LINK_MULTICAST)
            yield ChainRule((Compare(Field.IIFNAME, text=f"{self.options.interface_prefix}*"), groups, DROP))

    def _interface_check(self) -> Iterator[Chain]:
        """Identity is interface and address together: what else comes in on a pod's link is dropped."""
        if not (self.options.interfaces and self.options.interface_prefix):
            return
        for family in (4, 6):
            elements: dict[SetKey, Judgement | None] = {
                (name, (int(address), int(address))): None
                for pod in self.local
                if (name := self.options.interfaces.get(pod.key))
                for address in pod.addresses
                if address.version == family
            }
            kind = KeyType.IPV4_ADDR if family == 4 else KeyType.IPV6_ADDR
            self.registry.add_set(NftSet(f"if{family}", (KeyType.IFNAME, kind), elements))
        yield Chain(
            "spoof",
            (
                ChainRule((Lookup((Field.IIFNAME, Field.IP_SADDR), "if4"), RETURN)),
                ChainRule((Lookup((Field.IIFNAME, Field.IP6_SADDR), "if6"), RETURN)),
                ChainRule((_between(Field.IP6_SADDR, _LINK_LOCAL), RETURN)),
                ChainRule((Compare(Field.IP6_SADDR, 0, 0), RETURN), "duplicate address detection"),
                ChainRule((Counter(), DROP), "source address of another"),
            ),
        )
        prefix = Compare(Field.IIFNAME, text=f"{self.options.interface_prefix}*")
        # Before connection tracking, so that a spoofed packet cannot ride on another pod's connection.
        yield Chain("prerouting", (ChainRule((prefix, jump("spoof"))),), Hook("prerouting", -310))


def _related() -> Iterator[ChainRule]:
    """ICMP errors about a connection: without them path MTU discovery dies. Helpers' connections do not pass."""
    related = Compare(Field.CT_STATE, mask=int(CtState.RELATED))
    for number in _ICMP:
        yield ChainRule((related, Compare(Field.L4PROTO, number, number), ACCEPT))


def _between(look: Field, block: ipaddress.IPv6Network) -> Compare:
    return Compare(look, int(block.network_address), int(block.broadcast_address))
