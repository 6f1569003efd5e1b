"""What the proxy is told: which pods, which names they may ask for and of whom, and what their rules use names for.

The agent writes it as one file of JSON; a reader sees the old orders or the new ones (`host.rewrite.put`).

    {"format": 1, "table": "3f2c", "refusal": "refused", "floor": 30, "grace": 30,
     "cluster": ["10.1.0.0/16", "10.96.0.0/12"], "nodes": ["192.168.50.11"], "free": [], "domain": "cluster.local",
     "sets": [{"name": "q3zk...", "dialect": "cilium", "patterns": ["*.example.com"]}],
     "pods": [{"key": "shop/web/6c1e...", "addresses": ["10.1.0.10", "fd00:1::10"], "sets": ["q3zk..."],
               "asks": [{"servers": ["10.96.0.10"], "names": {"dialect": "cilium", "patterns": ["*"]}}]}]}

`table` changes when the agent has made the kernel's table anew: then everything that is known is put in again. `key`
names the pod and its incarnation: another pod with the same address inherits nothing. `sets` are kernel sets, below.

`asks` says who may be asked for what, and null that everything may be. `servers` are blocks, as the pod addresses them
(a Service by its ClusterIP: the question is caught before it is translated), and null is every server; `names` null is
every name. The proxy speaks to servers in the node's name, where no policy of the pod is asked any more. With `doors`,
the kernel asks them all the same: they are traffic classes under which it lets pass what the pod's policies allow, by
the server as it is after translation. Without, what the policies forbid at port 53 must be missing here. A server that
is missing gets no question and the pod no answer, as if the question had been dropped; a name that is missing is
refused. `accounts` are what the log says of that.

In the kernel a set of names is two sets of the table `inet outgate`, of pairs (address of the pod, destination):

    set f4_NAME { type ipv4_addr . ipv4_addr; flags timeout; }
    set f6_NAME { type ipv6_addr . ipv6_addr; flags timeout; }

so two pods with the same rule do not open anything for each other. They must stand before they are named here.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from outgate.errors import InputError, InvalidInput
from outgate.policy.names import Dialect, Matcher, Pattern
from outgate.proxy.admission import Admission
from outgate.proxy.dns import ResponseCode
from outgate.records import dataclass

__all__ = [
    "FORMAT",
    "Account",
    "Asking",
    "Element",
    "Leave",
    "NameList",
    "NameSet",
    "Orders",
    "Plan",
    "Pod",
    "PodOrder",
    "read",
]

FORMAT = 1
_KEPT = 32768
_ADDRESSES_KEPT = 16
"""Of an answer whose grants are kept: whoever owns a name gives another thousand each time."""
_SERVERS_KEPT = 256
_NAMES_KEPT = 512
"""Of each pod."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NameList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Patterns of one dialect."""

    patterns: tuple[str, ...]
    dialect: Dialect = Dialect.CILIUM

    def parsed(self) -> tuple[Pattern, ...]:
        """The patterns, for a matcher."""
        return tuple(Pattern(text, self.dialect) for text in self.patterns)


class NameSet(NameList, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A pair of kernel sets and the names whose addresses go there. `name` is what their names end with."""

    name: str


class Asking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Servers, by blocks, and the names that may be asked of them; None is every one.

    Where there are `doors`, the kernel judges by the policies of the pod's class, and the servers are its affair.
    """

    servers: tuple[str, ...] | None = None
    names: NameList | None = None
    doors: tuple[int, int] = (0, 0)
    """Under which traffic class the proxy asks a server, of IPv4 and of IPv6; 0 is none (`outgate.nft.asking`)."""


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the log says of a pod whose question is refused (`report.packet_log`)."""

    workload: tuple[str, str] | None = None
    """Kind and name of what it belongs to."""
    policy: str = ""
    """The policies that isolate it, in short."""
    policies: tuple[dict[str, Any], ...] = ()
    """The Origin of each."""
    rules: tuple[str, ...] = ()
    """Those that list names."""


class PodOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pod."""

    key: str
    addresses: tuple[str, ...]
    sets: tuple[str, ...] = ()
    asks: tuple[Asking, ...] | None = None
    account: int | None = None
    """Which of the accounts is its own."""


class Orders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. `floor` and `grace` are seconds, `refusal` is what a name that may not be asked is answered."""

    format: int = FORMAT
    table: str = ""
    refusal: str = "refused"
    floor: float = 30.0
    grace: float = 30.0
    cluster: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    domain: str = "cluster.local"
    sets: tuple[NameSet, ...] = ()
    pods: tuple[PodOrder, ...] = ()
    node: str = ""
    """What this node is called in the log."""
    accounts: tuple[Account, ...] = ()
    resets: bool = False
    """What policies deny is answered with a TCP reset."""


class Element(NamedTuple):
    """A member of a kernel set: the set's name, the pod's address and the destination, as octets."""

    set: str
    source: bytes
    address: bytes


class Leave(enum.Enum):
    """Whether a pod may ask a server for a name."""

    GRANTED = "granted"
    REFUSED = "refused"
    NO_SERVER = "no server"


_REFUSALS = {"refused": ResponseCode.REFUSED, "nameError": ResponseCode.NAME_ERROR}


@dataclass(frozen=True, slots=True)
class _Door:
    servers: tuple[Network, ...] | None
    names: Matcher[int] | None
    doors: tuple[int, int] = (0, 0)


_NOBODY = Account()


class Pod:
    """One pod as the proxy works with it."""

    def __init__(self, order: PodOrder, doors: Sequence[_Door] | None, account: Account = _NOBODY) -> None:
        packed = [ipaddress.ip_address(one).packed for one in order.addresses]
        self.key = order.key
        self.account = account
        self.sets = order.sets
        self.sources: Mapping[int, tuple[bytes, ...]] = {
            size: tuple(one for one in packed if len(one) == size) for size in (4, 16)
        }
        """Its addresses by their length."""
        self.used: dict[str, bool] = {}
        """What `Plan.uses` has found out about names."""
        self._doors = doors
        self._servers: dict[str, tuple[_Door, ...]] = {}

    def may_ask(self, server: str, name: str) -> Leave:
        """Whether a canonical name may be asked of a server."""
        if self._doors is None:
            return Leave.GRANTED
        doors = self._leading_to(server)
        if not doors:
            return Leave.NO_SERVER
        granted = any(door.names is None or door.names.sets_of(name) for door in doors)
        return Leave.GRANTED if granted else Leave.REFUSED

    def lists_names(self, server: str) -> bool:
        """Whether a server may be asked for some names and not for others: then the others are refused aloud."""
        return any(one.names is not None for one in self._leading_to(server))

    def door(self, server: str, name: str) -> int:
        """The traffic class for asking a server for a canonical name; 0 where it has none."""
        for one in self._leading_to(server):
            if one.names is None or one.names.sets_of(name):
                return one.doors[":" in server]
        return 0

    def _leading_to(self, server: str) -> tuple[_Door, ...]:
        found = self._servers.get(server)
        if found is None:
            if len(self._servers) >= _SERVERS_KEPT:
                self._servers.clear()
            address = ipaddress.ip_address(server)
            found = self._servers[server] = tuple(
                door
                for door in self._doors or ()
                if door.servers is None or any(address in block for block in door.servers)
            )
        return found


class Plan:
    """Orders, ready to be asked. Raises ValueError for what `read` would have refused."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.refusal = _REFUSALS[orders.refusal]
        self._admission = Admission(cluster=orders.cluster, nodes=orders.nodes, free=orders.free, domain=orders.domain)
        self._matcher = Matcher({one.name: one.parsed() for one in orders.sets})
        self._dialects = {one.name: one.dialect for one in orders.sets}
        doors: dict[tuple[Asking, ...], tuple[_Door, ...]] = {}
        self.pods: dict[str, Pod] = {}
        """By address, as a socket tells it."""
        self.by_key: dict[str, Pod] = {}
        for order in orders.pods:
            # Pods of a kind share their doors, and what is remembered of the names.
            shared = None
            if order.asks is not None:
                shared = doors.setdefault(order.asks, ()) or tuple(map(_door, order.asks))
                doors[order.asks] = shared
            account = _NOBODY if order.account is None else orders.accounts[order.account]
            pod = self.by_key[order.key] = Pod(order, shared, account)
            self.pods.update((str(ipaddress.ip_address(one)), pod) for one in order.addresses)
        self._grants: dict[tuple[str, str, tuple[bytes, ...]], tuple[Element, ...]] = {}

    def uses(self, pod: Pod, name: str) -> bool:
        """Whether a rule of the pod uses a canonical name: if none does, its addresses teach nothing."""
        found = pod.used.get(name)
        if found is None:
            if len(pod.used) >= _NAMES_KEPT:
                pod.used.clear()
            found = pod.used[name] = not self._matcher.sets_of(name).isdisjoint(pod.sets)
        return found

    def grants(self, pod: Pod, name: str, addresses: tuple[bytes, ...]) -> tuple[Element, ...]:
        """What a pod may reach because a canonical name has these addresses."""
        if len(addresses) > _ADDRESSES_KEPT:
            return tuple(self._granted(pod, name, addresses))
        key = (pod.key, name, addresses)
        found = self._grants.get(key)
        if found is None:
            if len(self._grants) >= _KEPT:
                self._grants.clear()
            found = self._grants[key] = tuple(self._granted(pod, name, addresses))
        return found

    def kept_out(self, pod: Pod, name: str, addresses: Iterable[bytes]) -> int:
        """How many of the addresses a name that the pod's rules use may not open."""
        dialects = {self._dialects[one] for one in self._wanted(pod, name)}
        return sum(any(not self._admission.admits(one, name, its) for its in dialects) for one in addresses)

    def _wanted(self, pod: Pod, name: str) -> list[str]:
        meant = self._matcher.sets_of(name)
        return [one for one in pod.sets if one in meant] if meant else []

    def _granted(self, pod: Pod, name: str, addresses: Iterable[bytes]) -> Iterator[Element]:
        for wanted in self._wanted(pod, name):
            for address in addresses:
                if self._admission.admits(address, name, self._dialects[wanted]):
                    for source in pod.sources[len(address)]:
                        yield Element(wanted, source, address)


def _door(asking: Asking) -> _Door:
    servers = None if asking.servers is None else tuple(map(ipaddress.ip_network, asking.servers))
    return _Door(servers, None if asking.names is None else Matcher({0: asking.names.parsed()}), asking.doors)


def read(data: bytes, file: str) -> Orders:
    """The orders in a file's bytes.

    Raises:
        InvalidInput: they are no JSON of this shape, or say something that cannot be; all of it at once.
    """
    try:
        orders = msgspec.json.decode(data, type=Orders)
    except msgspec.MsgspecError as error:
        raise InvalidInput([InputError(file, 0, "", str(error))]) from error
    if faults := [InputError(file, 0, path, words) for path, words in _faults(orders)]:
        raise InvalidInput(faults)
    return orders


def _faults(orders: Orders) -> Iterator[tuple[str, str]]:
    if orders.format != FORMAT:
        yield "format", f"{orders.format} is not understood; this is the proxy of {FORMAT}"
    if orders.refusal not in _REFUSALS:
        yield "refusal", f"{orders.refusal!r} is neither refused nor nameError"
    for field in ("floor", "grace"):
        if not 0 <= getattr(orders, field) <= 86400:
            yield field, "is not between 0 and 86400 seconds"
    for field in ("cluster", "nodes", "free"):
        yield from _no_blocks(getattr(orders, field), field)
    names = [one.name for one in orders.sets]
    for index, name in enumerate(names):
        # Longer names than this are refused by the kernel (NFT_SET_MAXNAMELEN), with the prefix.
        if not (0 < len(name) <= 64 and name.isascii() and name.isalnum()):
            yield f"sets[{index}].name", f"{name!r} cannot end the name of a set"
        elif name in names[:index]:
            yield f"sets[{index}].name", f"{name} stands here twice"
    known, seen, taken = set(names), set[str](), set[str]()
    for index, pod in enumerate(orders.pods):
        path = f"pods[{index}]"
        if pod.key in seen:
            yield f"{path}.key", f"{pod.key} stands here twice"
        seen.add(pod.key)
        if pod.account is not None and not 0 <= pod.account < len(orders.accounts):
            yield f"{path}.account", f"there are {len(orders.accounts)} accounts"
        yield from ((f"{path}.sets", f"there is no set {one}") for one in pod.sets if one not in known)
        for at, text in enumerate(pod.addresses):
            try:
                address = str(ipaddress.ip_address(text))
            except ValueError:
                yield f"{path}.addresses[{at}]", f"{text!r} is no address"
                continue
            if address in taken:
                yield f"{path}.addresses[{at}]", f"{address} belongs to two pods"
            taken.add(address)
        for at, asking in enumerate(pod.asks or ()):
            yield from _no_blocks(asking.servers or (), f"{path}.asks[{at}].servers")


def _no_blocks(texts: Iterable[str], path: str) -> Iterator[tuple[str, str]]:
    for index, text in enumerate(texts):
        try:
            ipaddress.ip_network(text)
        except ValueError:
            yield f"{path}[{index}]", f"{text!r} is no block of addresses"
