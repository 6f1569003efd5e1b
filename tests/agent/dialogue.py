"""Scenarios as dialogue: what happens (``>``, see `tests.agent.words`) and what must be seen then (``<``).

    agent blocks 10.1.0.0/24                               how the agent is set, in the first line, where not plainly
    > pod shop/web 10.1.0.10 here app=web
    > policy shop/deny egress app=web
    < shop/web -> 203.0.113.1:443 is dropped by shop/deny
    < connection a: shop/web -> shop/api:80 opens          then: `a goes on`, `a is cut`
    < the epoch stays                                      since the lines before
    < 7 is answered                                        or: `7 waits`
    < followed: Service EndpointSlice/x                    on demand, of slices which Services'

Ends are names of pods (``shop/web|6``: its IPv6 address), addresses (with ``on og9`` behind the first: the interface
that it comes in by), or `node`. A port may have its protocol (``53/UDP``); `ping` stands in the place of one.

Each scenario is played in many ways, which all must end at the same table and show the same: as written, each event
planned by itself, shuffled and reversed as far as an API server may tell it so, everything told twice, with a look
at the kernel, a new agent, or a refusal between any two, and all of it at once. That table is also the one of an agent
that was never told anything but what there is in the end.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from outgate.agent.events import Drifted, Event
from outgate.agent.trust import Sweep
from outgate.nft.evaluate import Evaluator, Fate, Header, Outcome
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options
from outgate.packets import Address, Packet, Protocol
from outgate.policy import Mode
from tests.agent.player import Player, Probe, differences, established, fate, swept
from tests.agent.words import HERE, NODE_ADDRESS, PREFIX, Happening, conflict, read

__all__ = ["WAYS", "Block", "Stage", "play", "scenario"]

OUTSIDE = "eth0"
_PACKET = re.compile(
    r"(?P<source>\S+)( on (?P<iif>\S+))? -> (?P<target>\S+?)(:(?P<port>\d+)(/(?P<protocol>\w+))?| (?P<ping>ping))"
    r"(?P<rest> .*)"
)


@dataclass(slots=True)
class Block:
    """What happens, and what is seen after it."""

    happenings: list[Happening] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)


def scenario(text: str) -> tuple[str, list[Block]]:
    """The settings and the blocks of a scenario."""
    settings, blocks = "", [Block()]
    for line in (one.strip() for one in text.strip().splitlines()):
        if line.startswith("agent "):
            settings = line
        elif line.startswith(">"):
            if blocks[-1].checks:
                blocks.append(Block())
            blocks[-1].happenings += read(line[1:])
        elif line.startswith("<"):
            blocks[-1].checks.append(line[1:].strip())
        elif line and not line.startswith("#"):
            raise ValueError(f"neither said nor seen: {line}")
    return settings, blocks


def player_of(settings: str) -> tuple[Player, list[Happening]]:
    """The agent of a scenario, and what happens before it."""
    words = settings.split()[1:]
    blocks = [word for word in words if "/" in word]
    options = Options(
        interface_prefix="" if blocks else PREFIX,
        mode=Mode.AUDIT if "audit" in words else Mode.ENFORCE,
        open_at_birth="open" in words,
        keep="keep" in words,
        names="names" in words,
    )
    return Player(options), read(f"node {' '.join(blocks)}")


@dataclass(slots=True)
class Connection:
    """A connection that was let pass, with the mark that it has now."""

    hook: str
    header: Header


@dataclass(slots=True)
class Stage:
    """A player and what is seen of it."""

    player: Player
    connections: dict[str, Connection] = field(default_factory=dict)
    sights: list[str] = field(default_factory=list)
    """The packets that the scenario speaks of."""
    epoch: int = 0
    strict: bool = False
    """Whether it is looked at, too, how often live connections are judged anew."""

    def __post_init__(self) -> None:
        self.player.probes = self._probes
        self.player.sweep = self._sweep

    def look(self, checks: list[str]) -> None:
        """All that must be seen now."""
        for check in checks:
            self._check(check)
        self.epoch = self.player.epoch

    def _check(self, check: str) -> None:
        match check.split():
            case ["followed:", *words]:
                assert sorted(words) == sorted(self._followed), f"{check}: {self._followed}"
            case ["the", "epoch", word]:
                stays = self.player.epoch == self.epoch
                assert not self.strict or stays == (word == "stays"), f"{check}: {self.epoch} → {self.player.epoch}"
            case [token, "is", "answered"]:
                assert int(token) in self.player.answered, check
            case [token, "waits"]:
                assert int(token) not in self.player.answered, check
            case ["connection", name, *rest] if "->" not in check:
                self._on(name, " ".join(rest), check)
            case ["connection", name, *_]:
                hook, header, _ = self._packet(check.partition(": ")[2])
                outcome = fate(Evaluator(self._kernel), hook, header)
                assert outcome.fate is Fate.ACCEPT, f"{check}: {_way(outcome)}"
                self.connections[name[:-1]] = Connection(hook, dataclasses.replace(header, mark=outcome.mark))
            case _:
                self._passes(check)

    def _passes(self, check: str) -> None:
        hook, header, rest = self._packet(check)
        outcome = fate(Evaluator(self._kernel), hook, header)
        expected = Fate.ACCEPT if rest.startswith("passes") else Fate.DROP
        assert outcome.fate is expected, f"{check}: {_way(outcome)}"
        by = rest.partition(" by ")[2]
        assert by in self._blamed(outcome) if by else rest != "passes" or not self._blamed(outcome), f"{check}: {by}"

    def _blamed(self, outcome: Outcome) -> set[str]:
        """Who is named for a denial, or for what would be one."""
        index = self.player.state.desired.index
        chains = {step.chain for step in outcome.path}
        ends = [chain for chain in chains if chain[:2] in {"d_", "w_"}]
        found = {f"{origin.namespace}/{origin.name}" for chain in ends for origin in index.get(chain, ())}
        found |= chains & {"unknown"}
        return found | ({"spoof"} if any(s.chain == "spoof" and s.verdict == "drop" for s in outcome.path) else set())

    def _on(self, name: str, words: str, check: str) -> None:
        """The next packet of a live connection, from its client and from the other side."""
        one = self.connections[name]
        evaluator = Evaluator(self._kernel)
        headers = [established(one.header)]
        if one.hook == "forward":
            headers.append(established(one.header, reply=True))
        expected = Fate.ACCEPT if words == "goes on" else Fate.DROP
        for header in headers:
            outcome = fate(evaluator, one.hook, header)
            assert outcome.fate is expected, f"{check}: {header.direction.name} {_way(outcome)}"
            if outcome.fate is Fate.ACCEPT:
                one.header = dataclasses.replace(one.header, mark=outcome.mark)

    def _sweep(self, what: Sweep) -> None:
        for one in self.connections.values():
            one.header = dataclasses.replace(one.header, mark=swept(what, one.header, one.header.mark))

    @property
    def _followed(self) -> list[str]:
        """The kinds on demand, with the names that their selector has."""
        names = ((one.kind, one.label_selector.partition("(")[2].rstrip(")")) for one in self.player.state.followed)
        return ["/".join(filter(None, pair)) for pair in names]

    @property
    def _kernel(self) -> Ruleset:
        return self.player.kernel or Ruleset()

    # ---- packets -------------------------------------------------------------------------------------------------

    def _packet(self, text: str) -> tuple[str, Header, str]:
        found = _PACKET.fullmatch(text)
        assert found, f"nobody knows what this means: {text}"
        source, target = self._end(found["source"], found["target"]), self._end(found["target"], found["source"])
        if found["ping"]:
            protocol, coordinate = (Protocol.ICMP, 8 * 256) if source.version == 4 else (Protocol.ICMPV6, 128 * 256)
        else:
            protocol, coordinate = Protocol[found["protocol"] or "TCP"], int(found["port"])
        header = Header.of(Packet(source, target, protocol, coordinate, source_port=40000), noise=0)
        header = dataclasses.replace(header, iifname=found["iif"] or self._link(source), oifname=self._link(target))
        hook = "input" if str(target) == NODE_ADDRESS else "forward"
        return hook, header, found["rest"].strip()

    def _end(self, word: str, other: str) -> Address:
        if word == "node":
            return ipaddress.ip_address(NODE_ADDRESS)
        path, _, last = word.partition("|")
        if "/" not in path:
            return ipaddress.ip_address(word.strip("[]"))
        addresses: tuple[Address, ...] = self.player.ledger["Pod"][path].addresses
        version = 6 if last == "6" or other.endswith("|6") or other.startswith("[") else 4
        return next(one for one in addresses if one.version == version)

    def _link(self, address: Address) -> str:
        pods = self.player.ledger["Pod"].values()
        mine = any(pod.node == HERE and address in pod.addresses and not pod.host_network for pod in pods)
        return self.player.links.get(address, "") if mine else OUTSIDE

    def _probes(self) -> Iterator[Probe]:
        """The packets that the scenario speaks of, whose ends there are now, as first ones and as later ones."""
        for text in self.sights:
            try:
                hook, header, _ = self._packet(text)
            except (KeyError, StopIteration):
                continue
            yield Probe(hook, header)
        for one in self.connections.values():
            yield Probe(one.hook, established(one.header))
            if one.hook == "forward":
                yield Probe(one.hook, established(one.header, reply=True))


def _way(outcome: Outcome) -> str:
    return " → ".join((*(f"{step.chain}[{step.index}]" for step in outcome.path), outcome.fate.value))


# ---- ways to play ----------------------------------------------------------------------------------------------------

Way = Callable[[Stage, list[Happening], random.Random], None]


def _told(stage: Stage, happenings: list[Happening]) -> Iterator[Event]:
    for one in happenings:
        yield from stage.player.events(one)


def _as_written(stage: Stage, happenings: list[Happening], _chance: random.Random) -> None:
    stage.player.tell(_told(stage, happenings))


def _singly(stage: Stage, happenings: list[Happening], _chance: random.Random) -> None:
    for one in happenings:
        stage.player.tell(stage.player.events(one))


def _in_some_order(happenings: list[Happening], pick: Callable[[list[int]], int]) -> list[Happening]:
    """An order in which the happenings may be told: those of one object keep theirs."""
    left, found = list(happenings), []
    while left:
        free = [at for at, one in enumerate(left) if not any(conflict(one, before) for before in left[:at])]
        found.append(left.pop(pick(free)))
    return found


def _shuffled(stage: Stage, happenings: list[Happening], chance: random.Random) -> None:
    """Some together and some alone."""
    group: list[Happening] = []
    for one in _in_some_order(happenings, chance.choice):
        group.append(one)
        if chance.random() < 0.5:
            _as_written(stage, group, chance)
            group = []
    _as_written(stage, group, chance)


def _reversed(stage: Stage, happenings: list[Happening], chance: random.Random) -> None:
    _singly(stage, _in_some_order(happenings, max), chance)


def _twice(stage: Stage, happenings: list[Happening], chance: random.Random) -> None:
    for one in _in_some_order(happenings, chance.choice):
        events = stage.player.events(one)
        stage.player.tell(events * 2 if chance.random() < 0.5 else events)
        stage.player.tell(event for event in events if one.act not in {"tamper", "born"})


def _looked_at(stage: Stage, happenings: list[Happening], _chance: random.Random) -> None:
    """The table is listed anew between any two events: nothing of what was believed counts any more."""
    for one in happenings:
        stage.player.tell(stage.player.events(one))
        stage.player.tell([Drifted("may be")])


def _refused(stage: Stage, happenings: list[Happening], chance: random.Random) -> None:
    """Every other change is refused, as a whole or after a part."""
    stage.player.refusal = lambda number, size: chance.randrange(size) if number % 2 else None
    _shuffled(stage, happenings, chance)


def _restarted(stage: Stage, happenings: list[Happening], chance: random.Random) -> None:
    """The agent dies between any two events, sometimes within a change, and another begins."""
    for one in happenings:
        events = stage.player.events(one)
        if chance.random() < 0.7:
            stage.player.refusal = lambda number, size: chance.randrange(size) if number % 2 else None
            stage.player.tell(events)
        stage.player.start()


WAYS: dict[str, Way] = {
    "as written": _as_written,
    "singly": _singly,
    "shuffled": _shuffled,
    "reversed": _reversed,
    "twice": _twice,
    "looked at": _looked_at,
    "refused": _refused,
    "restarted": _restarted,
}
_OFTEN = {"shuffled": 3, "refused": 3, "restarted": 2}
_STRICT = {"as written", "singly"}
_PLUGIN = {"born", "died", "forgotten"}
"""What the API server never says, so that an agent that begins anew does not know it. (Where lists are late, one that
begins waits for them, and leaves the kernel as it is.)"""


def play(text: str) -> None:
    """A scenario in all ways: each shows what is written, and all end at one table."""
    settings, blocks = scenario(text)
    assert any(block.checks for block in blocks)
    forgetful = any(one.act in _PLUGIN for block in blocks for one in block.happenings)
    late = any(one.act == "wait" for block in blocks for one in block.happenings)
    expected = _played(settings, blocks, "as written", 0, anew=not forgetful)
    for way in WAYS:
        if way == "restarted" and (forgetful or late):
            continue
        for seed in range(_OFTEN.get(way, 1)):
            assert differences(_played(settings, blocks, way, seed), expected) == [], way
    assert differences(_at_once(settings, blocks), expected) == [], "at once"


def _played(settings: str, blocks: list[Block], way: str, seed: int, *, anew: bool = False) -> Ruleset:
    """The table in the end. `anew`: after each block it is that of an agent that was told nothing else."""
    player, before = player_of(settings)
    stage = Stage(player, strict=way in _STRICT, sights=_sights(blocks))
    _as_written(stage, before, random.Random(seed))
    try:
        for number, block in enumerate(blocks):
            WAYS[way](stage, block.happenings, random.Random(f"{seed} {number}"))
            stage.look(block.checks)
            assert not anew or player.waiting is not None or differences(player.end(), player.scratch()) == []
    except AssertionError as error:
        error.add_note(f"played {way}, {seed}")
        raise
    return player.end()


def _at_once(settings: str, blocks: list[Block]) -> Ruleset:
    """All events in one plan. What is not of a live connection is seen at the end as it is written."""
    player, before = player_of(settings)
    stage = Stage(player, sights=_sights(blocks))
    happenings = [one for block in blocks for one in block.happenings if one.kind != "kernel"]
    player.tell([*_told(stage, before), *_told(stage, happenings)])
    stage.look([check for check in blocks[-1].checks if not re.match(r"connection|the epoch", check)])
    return player.end()


def _sights(blocks: list[Block]) -> list[str]:
    checks = (re.sub(r"^connection \w+: ", "", check) for block in blocks for check in block.checks)
    return [check for check in dict.fromkeys(checks) if "->" in check]
