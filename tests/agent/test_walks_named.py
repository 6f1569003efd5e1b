"""Random walks with rules about names and requests: kernel, orders of the DNS proxy and Envoy's rules, held together.

As in `tests.agent.test_walks`, but what lets a packet pass here is said in three places. So each is read by itself: the
kernel's table by the evaluator, the orders and Envoy's rules as the JSON that they are, by readers that know neither
policies nor redirects. Whenever the agent rests, every pod has asked for every name, and was answered; what the orders
grant of that is in the kernel. Then what pods ask for, dial, request, and greet passes where the model says so.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outgate.agent.dns_orders import orders_of
from outgate.agent.proxying import copy_of
from outgate.host.learned_names import LearnedNames
from outgate.model import Learned, Snapshot
from outgate.nft.asking import STAND_INS
from outgate.nft.evaluate import Evaluator, Fate
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options
from outgate.packets import Address, Packet, Protocol
from outgate.policy import Endpoint, Flow, Judge, Mode, Policies
from outgate.policy.meeting import UNSEEN, About
from outgate.policy.names import Dialect, Pattern
from outgate.policy.requests import Request
from outgate.testing import Manifest, random_cluster, random_cluster_policies
from outgate.testing_cilium import random_cilium_policies
from tests.agent.player import Player
from tests.agent.test_walks import NODE, Now, Walk
from tests.agent.test_walks_around import OUTSIDE, nodes, places
from tests.agent.words import PREFIX
from tests.laws.wider import widened
from tests.proxy.test_envoy_rules import Rbac

OPTIONS = Options(interface_prefix=PREFIX, mode=Mode.ENFORCE, names=True, proxied=True)
ENDS = (
    *OUTSIDE,
    "203.0.113.5",
    "203.0.113.21",
    "10.1.0.10",
    "10.1.0.11",
    "192.168.50.12",
    "169.254.169.254",
    "fd00:1::b",
)
NAMES = (
    "www.example.org",
    "api.example.org",
    "a.b.example.org",
    "www.example.com",
    "example.com",
    "web.alpha.svc.cluster.local",
    "elsewhere.test",
)
ABOUT = (
    About(request=Request("GET", "/public/x", "www.example.org")),
    About(request=Request("POST", "/v1", "h", (("X-Key", "a"),))),
    About(server_name="www.example.org"),
    About(server_name="other.test"),
    About(server_name=""),
)
UPSTREAM = OPTIONS.upstream_mark
MOST = 30


def named(seed: int) -> list[Manifest]:
    """A random cluster under policies of all kinds, most of them about names or requests."""
    chance = random.Random(seed)
    there = list(nodes(chance))
    names = {one["metadata"]["name"] for one in there}
    rest = [one for one in random_cluster(seed) if one["kind"] != "Node" or one["metadata"]["name"] not in names]
    above = random_cluster_policies(seed, chance.choice((0, 1, 3)), names=True)
    cilium = random_cilium_policies(seed, chance.choice((2, 4, 6)))
    for one in above:
        for rule in one["spec"].get("egress") or ():
            for peer in rule["to"]:
                if "domainNames" in peer and chance.random() < 0.4:
                    peer["domainNames"] = ["*.cluster.local"]
    whole = [*rest, *there, *above, *cilium, *places(chance)]
    return widened(whole, seed) if seed % 2 else whole


class Granting:
    """The orders, as they are written: who learns what, and by which door a question goes."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.pods = {ipaddress.ip_address(text): one for one in orders["pods"] for text in one["addresses"]}
        self.sets = {one["name"]: one for one in orders["sets"]}
        self.cluster = [ipaddress.ip_network(text) for text in orders["cluster"]]
        self.nodes = set(map(ipaddress.ip_address, orders["nodes"]))

    def learned(self, table: dict[str, list[Address]]) -> Iterator[tuple[str, Address, Address]]:
        """Set, pod, address."""
        for pod, order in self.pods.items():
            for name in order["sets"]:
                one = self.sets[name]
                for asked, addresses in table.items():
                    if any(Pattern(text, Dialect(one["dialect"])).matches(asked) for text in one["patterns"]):
                        for address in addresses:
                            if address.version == pod.version and self.admits(address, asked, one["dialect"]):
                                yield name, pod, address

    def admits(self, address: Address, name: str, dialect: str) -> bool:
        """Whether an answer may open an address: none of a node, of the cluster only under its own names."""
        if address in self.nodes or address.is_link_local or address.is_loopback:
            return False
        if any(address in block for block in self.cluster if block.version == address.version):
            return dialect == "network-policy-api" and name.endswith(".cluster.local")
        return True

    def door(self, pod: Address, name: str) -> int:
        """Under which traffic class a question is asked; -1 where it is refused, 0 where nobody judges it."""
        asks = self.pods[pod]["asks"]
        if asks is None:
            return 0
        for one in asks:
            assert one["servers"] is None
            names = one["names"]
            if names is None or any(Pattern(t, Dialect(names["dialect"])).matches(name) for t in names["patterns"]):
                return int(one["doors"][pod.version == 6])
        return -1


class NowNamed(Now):
    """What the model says while every pod has been told every name, and what the three places say."""

    def __init__(self, player: Player, table: dict[str, list[Address]]) -> None:
        super().__init__(player)
        desired = player.state.desired
        orders = json.loads(msgspec.json.encode(orders_of(desired, "t")))
        self.granting = Granting(orders)
        self.unlearned = self.judge
        here = [one for one in self.snapshot.pods if one.node == NODE]
        lessons = tuple(Learned(pod.key, name, tuple(many)) for pod in here for name, many in table.items())
        self.snapshot = dataclasses.replace(self.snapshot, learned=lessons)
        self.policies = Policies(self.snapshot)
        self.judge = Judge(self.policies)
        kernel = player.kernel or Ruleset()
        learned = list(self.granting.learned(table))
        filled: dict[str, dict[Any, None]] = {}
        for name, pod, address in learned:
            key = f"f{pod.version}_{name}"
            assert key in kernel.sets, f"orders name {key}, and there is none"
            filled.setdefault(key, {})[((int(pod),) * 2, (int(address),) * 2)] = None
        sets = {name: one.holding(filled.get(name, one.elements)) for name, one in kernel.sets.items()}
        self.evaluator = Evaluator(dataclasses.replace(kernel, sets=sets))
        copy = copy_of(desired)
        names = LearnedNames(time.monotonic)
        names.follow(copy.names, copy.owners)
        names.read(learned, 0.0)
        files = copy.rules(names).files
        self.filters = {name: json.loads(body)["resources"][0]["typed_config"] for name, body in files.items()}

    def may(self, packet: Packet, about: About) -> tuple[str, bool] | None:
        """As `expected`, of a connection that is about something. Of what comes in nobody looks into anything."""
        found = self.expected(packet)
        if found is None:
            return None
        sender, receiver = (Endpoint.at(self.snapshot, one) for one in (packet.source, packet.destination))
        source, target = self.pod_at(packet.source), self.pod_at(packet.destination)
        flow = Flow(sender, receiver, packet.protocol, packet.coordinate, about=about)
        out = self.judge.verdicts(flow)[0] or source is None or source.node != NODE
        come = self.judge.verdicts(dataclasses.replace(flow, about=UNSEEN))[1] or target is None or target.node != NODE
        return found[0], out and come

    def may_ask(self, packet: Packet, name: str) -> tuple[str, bool, bool] | None:
        """Where a question goes, whether its pod may ask it, and whether it also comes in where it goes its own way.

        A server is known by its address or its pods, not by what was learned (docs/names.md).
        """
        found = self.expected(packet)
        if found is None:
            return None
        sender, receiver = (Endpoint.at(self.snapshot, one) for one in (packet.source, packet.destination))
        target = self.pod_at(packet.destination)
        flow = Flow(sender, receiver, packet.protocol, packet.coordinate, about=About(question=name))
        out = self.unlearned.verdicts(flow)[0]
        come = self.unlearned.verdicts(dataclasses.replace(flow, about=UNSEEN))[1]
        return found[0], out, come or target is None or target.node != NODE

    def is_led(self, packet: Packet) -> bool:
        """Whether the DNS proxy gets it."""
        return self.evaluator.run("prerouting", self.header(packet)).led is not None

    def passes(self, hook: str, packet: Packet, about: About) -> bool:
        """Whether it does, by what kernel, orders and Envoy have been told."""
        header = self.header(packet)
        first = self.evaluator.run("prerouting", header)
        if first.fate is not Fate.ACCEPT:
            return False
        assert first.led is None or about.question is not None or packet.coordinate == 53
        if first.led is not None:
            assert first.led[0] == int(ipaddress.ip_address(STAND_INS[packet.source.version]))
            if about.question is None:
                return False
            door = self.granting.door(packet.source, about.question) if packet.source in self.granting.pods else -1
            if door < 0:
                return False
            sent = dataclasses.replace(header, saddr=1, priority=door, iifname="")
            return self.evaluator.run("output", sent).fate is Fate.ACCEPT
        if not first.proxied:
            header = dataclasses.replace(header, packet_mark=first.packet_mark)
            return self.evaluator.run(hook, header).fate is Fate.ACCEPT
        come = dataclasses.replace(header, packet_mark=first.packet_mark, transparent=True)
        if self.evaluator.run("input", come).fate is not Fate.ACCEPT or not self.envoy(packet, about):
            return False
        sent = dataclasses.replace(header, packet_mark=UPSTREAM)
        return self.evaluator.run("output", sent).fate is Fate.ACCEPT

    def envoy(self, packet: Packet, about: About) -> bool:
        """Whether Envoy lets it, by all filters that see it."""
        name = about.server_name or ""
        asked = Rbac(packet.source, packet.destination, packet.coordinate, about.request, name)
        wanted = ("names",) if about.server_name is not None else ("connections", "requests")
        return all(asked.matching(self.filters[f"outgate_{one}.json"]["rules"]) for one in wanted)


class Named(Walk):
    """A walk on which names move."""

    nodes_go = True
    many = 3
    """Where each address dials."""

    def __init__(self, seed: int, *, faults: bool) -> None:
        super().__init__(seed, faults=faults)
        self.player = Player(OPTIONS, node=NODE)
        if faults:
            self.player.refusal = self._refusal
        self.met: Counter[tuple[str, bool]] = Counter()
        """How many of which kind were met, and whether they may pass."""

    def _at_rest(self, snapshot: Snapshot) -> None:  # noqa: ARG002 - what is met is fixed
        assert self.player.state.settled
        ends = list(map(ipaddress.ip_address, ENDS))
        table = {name: self.chance.sample(ends, self.chance.choice((1, 2, 3))) for name in NAMES}
        now = NowNamed(self.player, table)
        mine = [one for pod in now.snapshot.endpoints if pod.node == NODE for one in pod.addresses]
        for source in mine:
            for _ in range(self.many):
                target = self.chance.choice([one for one in ends if one.version == source.version])
                port = self.chance.choice((80, 8080, 443, 81))
                for about in ABOUT:
                    self._holds(now, Packet(source, target, Protocol.TCP, port), about)
            for _ in range(2):
                target = self.chance.choice([one for one in ends if one.version == source.version])
                protocol = self.chance.choice((Protocol.UDP, Protocol.TCP))
                for name in NAMES[:4]:
                    self._holds(now, Packet(source, target, protocol, 53), About(question=name))

    def _holds(self, now: NowNamed, packet: Packet, about: About) -> None:
        if about.question is not None:
            asked = now.may_ask(packet, about.question)
            if asked is None:
                return
            hook, may, comes = asked
            may = may and (comes or now.is_led(packet))
        else:
            found = now.may(packet, about)
            if found is None:
                return
            hook, may = found
        does = now.passes(hook, packet, about)
        kind = "question" if about.question else "request" if about.request else "tls"
        self.met[kind, may] += 1
        assert does == may, f"{packet} {about}: should {may}, and does {does}"


def walk(seed: int, *, faults: bool) -> Counter[tuple[str, bool]]:
    """To three clusters; what was met on the way."""
    one = Named(seed, faults=faults)
    for number in range(3):
        one.to(named(seed + number))
    return one.met


@example(200050, False)  # a pod that gets other labels while policies stay
@settings(max_examples=2)
@given(st.integers(0, 1 << 32), st.booleans())
def test_a_walk_among_names_and_requests(seed: int, faults: bool) -> None:
    """What one of the three is not told in time, or is told of what another does not know, would be found."""
    walk(seed, faults=faults)


def test_walks_meet_what_they_are_about() -> None:
    """Questions, requests and greetings, of each some that may pass and some that may not."""
    met = walk(7, faults=False)
    assert min(met[kind, may] for kind in ("question", "request", "tls") for may in (True, False)) > 10


def test_walks_find_envoy_letting_everything_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its names alone: what was caught for it is then open."""
    monkeypatch.setattr(NowNamed, "envoy", lambda *_: True)
    with pytest.raises(AssertionError, match="should False"):
        _walks()


def _walks() -> None:
    for seed in range(MOST):
        walk(seed, faults=False)
