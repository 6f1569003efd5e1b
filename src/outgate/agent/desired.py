"""What the kernel of this node must hold, kept up to date as the world changes.

There are two ways to follow a change:

    rebuild   policies, labels of namespaces, or options changed: classes are made for the pods of this node (those of
              before are found again), every address is placed anew, and `outgate.nft.delta` finds the difference
    move      pods changed: only their addresses are placed anew. A pod of a class that this node did not have brings
              chains and sets with it, which are filled by looking at each *kind* of pod

The table that is believed to be in the kernel stands here, too (`ruleset`): a move changes it in place.

Where pods are behind a bridge there is a second table (`guard`), small and made anew as a whole when something of this
node's own wiring has changed. An address whose port is not known yet is not placed: its pod stays closed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain as chained
from itertools import islice

from outgate.agent.asking import askers, doors, uses_names
from outgate.agent.trust import Trust
from outgate.agent.world import Kind, World
from outgate.model import Direction, Node, Pod, Policy, Snapshot
from outgate.nft.asking import asking_sets
from outgate.nft.classes import Classes
from outgate.nft.delta import denying_sets
from outgate.nft.frame import DISPATCHES, LINKS, frame, link_set
from outgate.nft.guard import Ports, guard
from outgate.nft.lines import View
from outgate.nft.objects import Chain, Judgement, NftSet, Ruleset, SetKey
from outgate.nft.options import Options
from outgate.nft.placement import Elements, Shares, local_elements
from outgate.nft.redirects import CATCHES, catch_map, with_proxy
from outgate.nft.trust import DISTRUSTED, distrusted_set
from outgate.packets import Address
from outgate.policy import Mode, Origin, Policies
from outgate.policy.requests import is_looked_into

__all__ = ["Desired", "Move"]

_Content = dict[SetKey, Judgement | None]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(slots=True)
class Move:
    """The difference that some pods make."""

    chains: list[Chain] = field(default_factory=list)
    sets: list[NftSet] = field(default_factory=list)
    """New, and filled; not among `more`."""
    less: dict[str, _Content] = field(default_factory=dict)
    more: dict[str, _Content] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.chains or self.sets or self.less or self.more)


class Desired:
    """The ruleset of one node under one set of options."""

    def __init__(self, world: World, options: Options, trust: Trust | None = None) -> None:
        self.world = world
        self.trust = trust or Trust()
        self.options = options
        policies = Policies(Snapshot())
        self.classes = Classes(policies, options)
        self.shares = Shares(policies, {})
        self.placed: dict[Address, Elements] = {}
        self.chains: dict[str, Chain] = {}
        self.sets: dict[str, NftSet] = {}
        self._contents: dict[str, _Content] = {}
        self.asking = False
        """Whether questions of pods go to the DNS proxy: there is one, and some policy needs it."""
        self._frame: tuple[Node, tuple[bool, ...], tuple[Chain, ...]] | None = None
        self.believing = False
        """Whether older epochs are believed (`outgate.nft.trust`): a policy keeps what is live, and it may be."""
        self.catching = False
        """Whether there is the frame by which connections are caught for the proxy that looks into requests, and by
        which those that it holds come to it (docs/decisions/0017)."""
        self.held: set[tuple[str, str]] = set()
        """The pods of which the proxy may hold connections: those that were caught since it said last that it holds
        none. They go on there, as their policies allow, also where nothing is caught any more."""
        self._held_here: frozenset[tuple[str, str]] = frozenset()
        """Those of them that were on this node when all was made, or a move was looked at last."""
        self.requests_revision = 0
        """Another number whenever what that proxy must know may have changed."""
        self._known_by: frozenset[str] | None = None
        self._guard: tuple[tuple[int, tuple[Network, ...]], Ruleset | None] | None = None
        self._denying: frozenset[str] | None = None
        self._watching = options.passive or options.open_at_birth

    @property
    def ruleset(self) -> Ruleset:
        """The whole table. Sets are not copied: the next move changes them."""
        return Ruleset(self.chains, self.sets)

    @property
    def distrusted(self) -> tuple[Address, ...]:
        """The addresses of whose older connections nothing is believed."""
        names = set(DISTRUSTED.values()) if self.believing else set()
        return (
            tuple(address for address, has in self.placed.items() if any(at[0] in names for at in has)) if names else ()
        )

    @property
    def index(self) -> Mapping[str, tuple[Origin, ...]]:
        """Chain name → the rule or the policies behind it."""
        return self.classes.index

    # ---- who is behind which port of a bridge ------------------------------------------------------------------------

    def guard(self) -> Ruleset | None:
        """The table of the bridges, if there is a bridge with pods: the same object for as long as it is the same."""
        world = self.world
        node = world.nodes.get(world.node)
        key = world.rewired, node.pod_cidrs if node is not None else ()
        if self._guard is None or self._guard[0] != key:
            blocks = self._blocks(key[1])
            needed = bool(world.doors) or bool(blocks)
            self._guard = key, self._guard_with(blocks) if needed else None
        return self._guard[1]

    def guard_at_boot(self) -> Ruleset | None:
        """The same for a node on which every port may be new: an address is nobody's but at the port it had.

        A bridge's name comes back with a reboot, and so do addresses. Asked for both, the other table would take a pod
        that is born then for the one that had its address before; a port, whose name is drawn anew, tells the two
        apart. Where the node's blocks do not say so already, each address says it for itself.
        """
        guarded = self.guard()
        node = self.world.nodes.get(self.world.node)
        if guarded is None or self._watching or self._blocks(node.pod_cidrs if node is not None else ()):
            return guarded
        return self._guard_with(tuple(ipaddress.ip_network(one) for one, port in self.world.ports.items() if port))

    def _guard_with(self, blocks: tuple[Network, ...]) -> Ruleset:
        world = self.world
        owners = {address: port for address, port in world.ports.items() if port}
        # Who has the MAC address of another, for which it takes a right over his network, takes it from nobody.
        macs = {mac: names[0] for mac, names in world.behind.macs.items() if len(names) == 1}
        ports = Ports(owners, frozenset(world.doors), world.behind.wires, macs, blocks)
        return guard(ports, passive=self._watching)

    def _blocks(self, blocks: tuple[Network, ...]) -> tuple[Network, ...]:
        """The node's blocks of pod addresses, where it is known that all of its pods are behind one bridge."""
        addresses = [one for key in self.world.local for one in self.world.pods[key].addresses]
        bridged = bool(addresses) and all(one in self.world.ports for one in addresses)
        one_bridge = len({self.world.links[one] for one in addresses}) == 1 if bridged else False
        return blocks if one_bridge and not self._watching else ()

    def awaits_port(self, address: Address) -> bool:
        """Whether an address may not be let talk yet, because it is not known whose packets are really its own."""
        return not self._watching and self.world.ports.get(address) == ""

    # ---- all of it ---------------------------------------------------------------------------------------------------

    def rebuild(self) -> Ruleset:
        """Everything anew, from the world. What was given before is not touched."""
        world = self.world
        node = world.nodes.get(world.node) or Node(world.node)
        snapshot = Snapshot.of(
            namespaces=world.namespaces.values(),
            policies=world.policies.values(),
            cluster_policies=world.cluster_policies.values(),
            cilium_policies=world.cilium_policies(),
            cidr_groups=world.groups.values(),
            nodes=world.nodes.values() if world.nodes_matter else (node,),
            services=world.around.meant.values(),
            slices=world.around.slices.values(),
        )
        self._denying = self._known_by = None
        self.requests_revision += 1
        self.asking = self.options.names and uses_names(
            chained(world.cluster_policies.values(), world.cilium_policies())
        )
        self.classes = self.classes.following(Policies(snapshot))
        every: Iterable[Policy] = chained(
            world.policies.values(), world.cluster_policies.values(), world.cilium_policies()
        )
        self.trust.want(self.options.keep or any(map(self.classes.keeps, every)))
        self.believing = self.trust.believing
        for key in world.local:
            record = world.pods[key]
            if record.addresses:
                self._make_classes(record.kind)
        self.classes.settle()
        self.catching = self.classes.catching or bool(self.held)
        registry = self.classes.registry
        self.shares = Shares(self.classes.policies, registry.members)
        self.chains = {**registry.chains, **{chain.name: chain for chain in self._frame_of(node)}}
        self._place_everybody()
        self._held_here = frozenset(filter(world.is_local, self.held))
        return self.ruleset

    def _place_everybody(self) -> None:
        registry = self.classes.registry
        moving = {dispatch.name: NftSet(dispatch.name, dispatch.key, is_map=True) for dispatch in DISPATCHES}
        if self.options.interface_prefix:
            moving |= {LINKS[family]: link_set(family) for family in LINKS}
        if self.asking:
            moving |= {one.name: one for one in asking_sets()}
        if self.catching:
            moving |= {CATCHES[family]: catch_map(family) for family in CATCHES}
        if self.believing:
            moving |= {DISTRUSTED[family]: distrusted_set(family) for family in DISTRUSTED}
        moving |= {name: members.declaration(name) for name, members in registry.members.items()}
        self._contents = {name: {} for name in moving}
        for kind in self.world.kinds():
            kind.shares = None
        before, self.placed = self.placed, {}
        for address in self.world.holders.keys() | self.trust.doubts.keys() if self.believing else self.world.holders:
            elements = self._elements(address, before.get(address, {}))
            if elements:
                self.placed[address] = elements
                for (name, key), value in elements.items():
                    self._contents[name][key] = value
        self._contents.update(self._doors())
        self.sets = {
            **registry.sets,
            **{name: declaration.holding(self._contents[name]) for name, declaration in moving.items()},
        }

    def _frame_of(self, node: Node) -> tuple[Chain, ...]:
        """The chains without policies: the same objects for as long as the node's blocks are the same."""
        used = self.asking, self.catching, self.believing
        if self._frame is None or (self._frame[0].pod_cidrs, self._frame[1]) != (node.pod_cidrs, used):
            linked = bool(self.options.interface_prefix)
            options = replace(self.options, names=self.asking, believing=self.believing)
            chains: Iterable[Chain] = frame(options, node, linked=linked)
            if self.catching:
                chains = with_proxy(chains, self.options)
            self._frame = node, used, tuple(chains)
        return self._frame[2]

    # ---- whose questions go to the proxy -----------------------------------------------------------------------------

    def askers(self) -> Iterator[tuple[Pod, tuple[Address, ...]]]:
        """The pods of this node that are placed, with the addresses by which they may be known."""
        for key in self.world.local if self.asking else ():
            record = self.world.pods[key]
            mine = tuple(one for one in record.addresses if self._is_known(one))
            if mine:
                yield record.pod, mine

    def _is_known(self, address: Address) -> bool:
        """Whether packets from an address of this node's pods are surely one pod's."""
        closed = bool(self.options.interface_prefix) and self.awaits_port(address)
        return not closed and len(self.world.holders.get(address, ())) == 1

    def _doors(self) -> dict[str, _Content]:
        """The maps of doors as they are to be; none where nobody asks."""
        if not self.asking:
            return {}
        pods = self.world.pods
        return doors(self.classes, ((pods[pod.key].kind.example, one) for pod, mine in self.askers() for one in mine))

    # ---- some of it ----------------------------------------------------------------------------------------------

    def move(self, addresses: Iterable[Address]) -> Move:
        """Place some addresses anew. The table here is changed; what changed is returned."""
        touched = tuple(addresses)
        found = Move()
        self._grow(touched, found)
        for address in touched:
            before = self.placed.get(address, {})
            after = self._elements(address, before)
            self._note(found.less, before, after)
            self._note(found.more, after, before)
            if after:
                self.placed[address] = after
            else:
                self.placed.pop(address, None)
        for name, wanted in self._doors().items():
            has = self._contents[name]
            self._note(found.less, _of_set(name, has), _of_set(name, wanted))
            self._note(found.more, _of_set(name, wanted), _of_set(name, has))
        for name, content in found.less.items():
            for key in content:
                del self._contents[name][key]
        for name, content in found.more.items():
            self._contents[name].update(content)
        if self.catching:
            self._note_requests(touched, found)
        for one in found.sets:
            # A new set is loaded as it is now, whole.
            found.less.pop(one.name, None)
            found.more.pop(one.name, None)
        return found

    def begins_to_catch(self, addresses: Iterable[Address]) -> bool:
        """Whether a pod among these may be the first whose connections are caught: then all is made anew.

        The chains that catch stand in the frame, which a move leaves as it is. No class is made by asking.
        """
        if self.catching or not self.options.proxied:
            return False
        keys = {key for address in addresses for key in self.world.holders.get(address, ()) if self.world.is_local(key)}
        examples = (self.world.pods[key].kind.example for key in keys)
        isolations = (self.classes.policies.isolation(one, Direction.EGRESS) for one in examples)
        return any(is_looked_into(rule) for isolation in isolations for rule in isolation.rules)

    def _note_requests(self, touched: Iterable[Address], found: Move) -> None:
        """Note where a move changes what the proxy must know."""
        holders = self.world.holders
        here = frozenset(filter(self.world.is_local, self.held))
        # Who has gone holds no address any more: that it was here is remembered.
        mine = here != self._held_here or not here.isdisjoint(
            key for address in touched for key in holders.get(address, ())
        )
        self._held_here = here
        if mine:
            self._known_by = None
        if mine or not self.known_by.isdisjoint((*found.less, *found.more)):
            self.requests_revision += 1

    @property
    def known_by(self) -> frozenset[str]:
        """The names of the chains and sets by which it is decided what is caught, and what goes on that was."""
        if self._known_by is None:
            examples = (self.world.pods[key].kind.example for key in self.held if self.world.is_local(key))
            parts = (self.classes.part(one, View(Direction.EGRESS, family)) for one in examples for family in CATCHES)
            self._known_by = self.classes.caught_by.union(*(part.names for part in parts))
        return self._known_by

    def let_go(self) -> bool:
        """The proxy holds no connection any more; whether all is to be made anew, without its frame."""
        if self.classes.catching:
            return False
        self.held.clear()
        return self.catching

    def is_free(self, key: tuple[str, str]) -> bool:
        """Whether no policy that is enforced isolates a pod of this node for what it sends."""
        policies = self.classes.policies.isolation(self.world.pods[key].kind.example, Direction.EGRESS).policies
        return not any(self.classes.mode(one) is Mode.ENFORCE for one in policies)

    def _note(self, among: dict[str, _Content], some: Elements, others: Elements) -> None:
        """Note what is in the first and not so in the second, by its set."""
        for (name, key), value in some.items():
            if others.get((name, key), _MISSING) != value:
                among.setdefault(name, {})[key] = value

    def _grow(self, touched: tuple[Address, ...], found: Move) -> None:
        """Classes that this node did not have: their chains and sets, filled with all pods there are."""
        registry = self.classes.registry
        chains, sets = len(registry.chains), len(registry.sets)
        for address in touched:
            for key in self.world.holders.get(address, ()):
                if self.world.is_local(key):
                    self._make_classes(self.world.pods[key].kind)
        if chains == len(registry.chains) and sets == len(registry.sets):
            return
        self._denying = self._known_by = None
        # What was made last stands last.
        new = list(islice(registry.sets, sets, None))
        found.chains = list(islice(registry.chains.values(), chains, None))
        moving = [name for name in new if name in registry.members]
        self.shares.learn(moving)
        for name in moving:
            self._contents[name] = {}
            self.sets[name] = registry.members[name].declaration(name).holding(self._contents[name])
        for kind in self.world.kinds():
            self._fill(kind, moving)
        self.sets |= {name: registry.sets[name] for name in new if name not in registry.members}
        self.chains |= {chain.name: chain for chain in found.chains}
        found.sets = [self.sets[name] for name in new]

    @property
    def denying(self) -> frozenset[str]:
        """The peer sets of which a member may be denied for being one: none without policies of the whole cluster."""
        if not self.world.cluster_policies and not self.world.cilium:
            return frozenset()
        if self._denying is None:
            self._denying = denying_sets(self.ruleset)
        return self._denying

    def _fill(self, kind: Kind, names: list[str]) -> None:
        if kind.shares is None:
            return
        more = self.shares.of(kind.example, names)
        kind.shares += more
        for address in kind.addresses if more else ():
            contested = len(self.world.holders[address]) > 1
            for share in more:
                key = share.key(address) if share.perhaps or not contested else None
                if key is not None:
                    self.placed.setdefault(address, {})[share.name, key] = None
                    self._contents[share.name][key] = None

    def _make_classes(self, kind: Kind) -> None:
        for dispatch in DISPATCHES:
            self.classes.way(kind.example, dispatch.view)

    def _elements(self, address: Address, before: Elements) -> Elements:
        """What an address has now, after it had something else."""
        world, found = self.world, Elements()
        holders = world.holders.get(address, ())
        contested = len(holders) > 1
        for key in holders:
            kind = world.pods[key].kind
            # Where pods are known by the bridge, one that is not placed is closed.
            if world.is_local(key) and not (self.options.interface_prefix and self.awaits_port(address)):
                link = world.links.get(address, "") if self.options.interface_prefix else ""
                found.update(local_elements(self.classes, kind.example, address, contested=contested, interface=link))
                if self.asking and not contested:
                    found.update(askers(self.classes, kind.example, address))
                way = self.classes.catch(kind.example, address.version) if self.catching else None
                if way is not None and not contested:
                    found[CATCHES[address.version], ((int(address), int(address)),)] = way
                    self.held.add(key)
            if kind.shares is None:
                kind.shares = self.shares.of(kind.example)
            for share in kind.shares:
                place = share.key(address) if share.perhaps or not contested else None
                if place is not None:
                    found[share.name, place] = None
        if self.believing:
            at = DISTRUSTED[address.version], ((int(address), int(address)),)
            if self._is_distrusted(address, already=at in before):
                found[at] = None
        return found

    def _is_distrusted(self, address: Address, *, already: bool) -> bool:
        """Whether nothing is believed of an address that was judged under an older epoch."""
        world, holders = self.world, self.world.holders.get(address, ())
        local = [world.pods[key].kind.example for key in holders if world.is_local(key)]
        if local and (len(holders) > 1 or any(map(self.classes.cuts, local))):
            return True
        if already and address not in self.trust.relieved:
            self.trust.linger(address)
        return address in self.trust.doubts


def _of_set(name: str, content: _Content) -> Elements:
    return {(name, key): value for key, value in content.items()}


_MISSING = object()
"""No verdict, where None is one: that of a set."""
