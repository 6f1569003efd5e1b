"""Who it was: from a logged packet and the name of the chain that logged it to pods, policies and rules.

The loop publishes a view of its state after each turn, and the thread of the log looks into the last one: copies, which
nobody changes. What is gone is remembered a while (`_MEMORY`), because a line is read some tenths of a second after its
packet, and the pod that fails at once because it may not talk is the one that somebody will look for.

A chain's name fixes the identity of what it stands for (`outgate.nft.names`), so an old name never comes to mean
another policy.
"""

from __future__ import annotations

import ipaddress
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from outgate.agent.counters import policy_names
from outgate.agent.step import State
from outgate.agent.world import PodKey, Record
from outgate.analysis.spelling import spell_protocol
from outgate.host.nflog import Logged
from outgate.model import Direction, Node, Pod
from outgate.nft.asking import STAND_INS
from outgate.nft.frame import DISPATCHES, UNKNOWN
from outgate.nft.objects import Chain, Judgement
from outgate.nft.placement import Elements
from outgate.packets import Address
from outgate.packets.headers import Headers, read_headers
from outgate.policy import Origin
from outgate.report.packet_log import LogRecord, Party, PodName, Workload, rfc3339, rule_words
from outgate.report.terms import origin_json

__all__ = ["Attribution", "View", "short_policies"]

_ASKED = "; a question of DNS that the proxy carried for a pod: which, is in questions.jsonl"
_UNHEARD = "; a question of DNS that was led to the proxy, which was not there"
_MEMORY = 60.0
"""Seconds for which it is remembered who had an address."""
_CHAINS = 20_000
"""Chains whose origins are remembered; the oldest are forgotten first."""
_INPUT, _OUTPUT = 1, 3
"""NF_INET_LOCAL_IN: what a pod sends to its own node."""
_VERDICTS = {"d_": "denied", "w_": "would-deny", "r_": "allowed"}
_DISPATCH = {(one.view.direction, one.view.family, one.view.mirrored): one.name for one in DISPATCHES}


@dataclass(frozen=True, slots=True)
class View:
    """The state after one turn, as far as names need it."""

    node: str = ""
    generation: int = 0
    prefix: str = ""
    """What the interfaces of pods begin with; empty where that is not known."""
    pods: Mapping[PodKey, Record] = field(default_factory=dict)
    holders: Mapping[Address, tuple[PodKey, ...]] = field(default_factory=dict)
    local: frozenset[PodKey] = frozenset()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    placed: Mapping[Address, Elements] = field(default_factory=dict)
    """What the addresses of this node's pods have."""
    chains: Mapping[str, Chain] = field(default_factory=dict)
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)
    departed: Mapping[Address, Pod] = field(default_factory=dict)


class Attribution:
    """Publishes views, and names packets by the last one. `publish` is the loop's, `record` the log's."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.view = View()
        self._clock = clock
        self._departed: dict[Address, tuple[Pod, float]] = {}
        self._origins: dict[str, tuple[Origin, ...]] = {}
        self._indexed: object = None
        self._nodes: tuple[Mapping[str, Node], Mapping[Address, str]] = ({}, {})

    def origins(self) -> Mapping[str, tuple[Origin, ...]]:
        """The policies and rules behind chains, of now and of a while ago (`PacketCounters` asks)."""
        return self.view.origins

    def publish(self, state: State) -> None:
        """The state after a turn. It copies what it gives away: some tenths of a millisecond for 10 000 pods."""
        world, desired = state.world, state.desired
        self._forget(world.left)
        made = (state.generation, len(desired.chains), id(desired.classes))
        if made != self._indexed:
            self._indexed = made
            # Those of now come last, so that they are the last to be forgotten.
            index = desired.index
            kept = {name: found for name, found in self._origins.items() if name not in index} | dict(index)
            self._origins = dict(list(kept.items())[-_CHAINS:])
        self.view = View(
            node=world.node,
            generation=state.generation,
            prefix=desired.options.interface_prefix,
            pods=dict(world.pods),
            holders=dict(world.holders),
            local=frozenset(world.local),
            nodes=dict(world.nodes),
            placed={
                address: elements
                for key in world.local
                for address in world.pods[key].addresses
                if (elements := desired.placed.get(address))
            },
            chains=dict(desired.chains),
            origins=self._origins,
            departed={address: pod for address, (pod, _) in self._departed.items()},
        )

    def _forget(self, left: deque[tuple[Address, Pod]]) -> None:
        now = self._clock()
        while left:
            address, pod = left.popleft()
            self._departed.pop(address, None)
            self._departed[address] = pod, now
        for address, (_, when) in list(self._departed.items()):
            if now - when < _MEMORY:
                break
            del self._departed[address]

    # ---- naming ------------------------------------------------------------------------------------------------------

    def record(self, logged: Logged, interface: Callable[[int], str | None]) -> LogRecord | None:
        """The line of a packet; None where the prefix is none of ours. `interface` names one by its index."""
        chain = logged.prefix.strip()
        verdict = "unknown-pod" if chain == UNKNOWN else _VERDICTS.get(chain[:2])
        if verdict is None:
            return None
        view = self.view
        headers = read_headers(logged.payload)
        origins = view.origins.get(chain, ())
        incoming, outgoing = (interface(one) if one else None for one in (logged.incoming, logged.outgoing))
        if origins:
            direction: Direction = origins[0].direction
            reply = self._is_reply(view, chain, origins, headers)
        else:
            direction, reply = _guessed(view, logged.hook, incoming, headers), False
        sends = (direction is Direction.EGRESS) != reply
        mine, theirs = (headers.source, headers.destination) if sends else (headers.destination, headers.source)
        pod = self._pod(view, mine)
        # The rule that allows; or that denies, where it is one of a policy of the whole cluster.
        decider = origins[0] if origins and origins[0].rule is not None else None
        port = headers.source_port if reply else headers.destination_port
        # What the DNS proxy carries comes from this node, and is judged by a pod's policies: by whose, the proxy says.
        asked = logged.hook == _OUTPUT and direction is Direction.EGRESS and not reply and pod is None
        # The proxy's addresses come with it: before, what is led to them is forwarded, and no policy knows them.
        unheard = not reply and _text(headers.destination) in STAND_INS.values()
        return LogRecord(
            time=rfc3339(logged.time),
            node=view.node,
            verdict=verdict,
            direction=direction.value.lower(),
            reply=reply,
            pod=PodName(*pod.key, pod.uid) if pod is not None else None,
            workload=_workload(pod),
            peer=self._party(view, theirs),
            source=_text(headers.source),
            destination=_text(headers.destination),
            protocol=None if headers.protocol is None else spell_protocol(headers.protocol),
            port=port,
            icmp_type=headers.icmp_type,
            policy=short_policies(origins),
            policies=() if decider else tuple(origin_json(one) or {} for one in origins),
            decided_by=origin_json(decider),
            rule=rule_words(verdict, decider) + (_ASKED if asked else _UNHEARD if unheard else ""),
            generation=view.generation,
            interface=incoming if sends else outgoing,
        )

    def _is_reply(self, view: View, chain: str, origins: tuple[Origin, ...], headers: Headers) -> bool:
        """Whether a packet goes against its connection: then the pod whose policies judge it is at the other end.

        Both views of a class end in one chain, so the ends are asked: first whose class ends in that chain, then who is
        a pod of this node in the policies' namespace at all. A packet that could be both is taken for a first one.
        """
        direction, namespace = origins[0].direction, origins[0].namespace
        first, second = headers.source, headers.destination
        if direction is Direction.INGRESS:
            first, second = second, first
        for one, mirrored in ((first, False), (second, True)):
            if _ends_in(view, one, direction, mirrored, chain):
                return mirrored
        pods = [self._pod(view, one) for one in (first, second)]
        mine = [pod is not None and namespace in {"", pod.namespace} and pod.node == view.node for pod in pods]
        return mine == [False, True]

    def _pod(self, view: View, address: Address | None) -> Pod | None:
        """Who has an address, or had it a moment ago; nobody where several claim it."""
        if address is None:
            return None
        holders = view.holders.get(address)
        if holders:
            record = view.pods.get(holders[0]) if len(holders) == 1 else None
            return record.pod if record is not None else None
        return view.departed.get(address)

    def _party(self, view: View, address: Address | None) -> Party | None:
        if address is None:
            return None
        pod = self._pod(view, address)
        if pod is not None:
            return Party("Pod", *pod.key)
        if self._nodes[0] != view.nodes:
            self._nodes = view.nodes, {one: node.name for node in view.nodes.values() for one in node.addresses}
        name = self._nodes[1].get(address)
        if name is not None:
            return Party("Node", name=name)
        return Party("External", cidrs=(f"{address}/{address.max_prefixlen}",))


def _ends_in(view: View, address: Address | None, direction: Direction, mirrored: bool, chain: str) -> bool:
    """Whether the class of a local pod's address leads to a chain: as its end, or as one of its rules."""
    if address is None:
        return False
    value = int(address)
    name = _DISPATCH[direction, address.version, mirrored]
    way = view.placed.get(address, {}).get((name, ((value, value),)))
    waiting, seen = [way.chain] if way is not None else [], set[str]()
    while waiting:
        # Where policies of the whole cluster come in, a class goes on in further chains.
        lines = view.chains[at].rules if (at := waiting.pop()) in view.chains else ()
        for one in (one for line in lines for one in line.statements if isinstance(one, Judgement) and one.chain):
            if one.chain == chain:
                return True
            if one.chain not in seen:
                seen.add(one.chain)
                waiting.append(one.chain)
    return False


def short_policies(origins: tuple[Origin, ...]) -> str | None:
    """The policies behind a packet in short: of a namespace by their names, of the whole cluster by kind and name."""
    if not origins:
        return None
    first = origins[0]
    return f"{first.namespace}/{policy_names(origins)}" if first.namespace else f"{first.kind} {first.name}"


def _guessed(view: View, hook: int, incoming: str | None, headers: Headers) -> Direction:
    """Of a packet of nobody: whether it comes from a pod of this node, or goes to one."""
    if hook == _INPUT:
        return Direction.EGRESS
    if view.prefix:
        return Direction.EGRESS if (incoming or "").startswith(view.prefix) else Direction.INGRESS
    for address, direction in ((headers.source, Direction.EGRESS), (headers.destination, Direction.INGRESS)):
        if address is not None and view.local.intersection(view.holders.get(address, ())):
            return direction
    node = view.nodes.get(view.node)
    source = headers.source or ipaddress.IPv4Address(0)
    mine = any(
        source in block for block in (node.pod_cidrs if node is not None else ()) if block.version == source.version
    )
    return Direction.EGRESS if mine else Direction.INGRESS


def _workload(pod: Pod | None) -> Workload | None:
    return Workload(pod.owner.kind, pod.owner.name) if pod is not None and pod.owner is not None else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
