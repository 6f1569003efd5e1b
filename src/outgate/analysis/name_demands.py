"""What assertions demand of DNS names, and of what rules open by names to a subject that may reach nothing else.

A name is asked about as `can-reach` asks: as if the pods that may ask for it had been told its addresses, those that
were given or else every one that it may have, each part by itself (`reach_name`). So ``allow`` holds only if it does
wherever the name leads, and ``deny`` only if nothing passes anywhere.

Who speaks of everything (`only`, `exactly`, and `deny` of `anywhere`) speaks of names as well, although nobody knows
where they lead: what a rule opens by a name, and by that alone, has to be listed. A name in the list covers itself and
the same pattern, a pattern covers the names that it means, and a block what is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from outgate.analysis.demand import Demand
from outgate.analysis.ends import NameMeant, Reached
from outgate.analysis.kinds import Kind
from outgate.analysis.learning import Learning, exactly
from outgate.analysis.names import told
from outgate.analysis.opened import names_of, together_opened
from outgate.analysis.ports import pair_ports
from outgate.analysis.reach_name import Standing, parts
from outgate.model import Direction, Pod
from outgate.packets import Address, AddressSet, PacketSet, TransportSet
from outgate.packets.addresses import FAMILIES
from outgate.packets.packetset import Cube
from outgate.policy import Endpoint, Judge, Verdict
from outgate.policy.names import Pattern, canonical

__all__ = ["NameDemands"]


class NameDemands:
    """For one judge. `given`: the addresses of names that are known. `outside`: those that are nobody's here."""

    def __init__(self, judge: Judge, given: Mapping[str, tuple[Address, ...]], outside: AddressSet) -> None:
        self.judge = judge
        self._given = {canonical(name): addresses for name, addresses in given.items()}
        self._outside = outside
        self._learning = Learning(judge)

    def to(
        self, sources: Sequence[Kind], name: NameMeant, asked: TransportSet, wanted: Verdict | None
    ) -> Iterator[Demand]:
        """What pods send to a name; to what is no pod no rule opens any."""
        starts = list(_pods(sources))
        judge, standing = self._tell([pod for _, pod in starts], name.addresses, (exactly(name.text),))
        for source, _ in starts:
            for address, addresses in standing.items():
                if address.version == source.family:
                    # The names of headless Services lead to pods.
                    end = Endpoint.at(judge.policies.snapshot, address)
                    pair = pair_ports(judge, source.first, end)
                    yield Demand(source.first, end, asked, wanted, pair, addresses, told=judge, name=name.text)

    def others(self, sources: Sequence[Kind], asked: TransportSet, listed: Sequence[Reached]) -> Iterator[Demand]:
        """What rules open by names that are not listed, where nothing else may be allowed."""
        opening: dict[tuple[Pattern, ...], list[tuple[Kind, Pod]]] = {}
        for source, pod in _pods(sources):
            isolation = self.judge.policies.isolation(pod, Direction.EGRESS)
            found = (pattern for rule in isolation.every_rule() for pattern in names_of(rule))
            patterns = tuple(dict.fromkeys(found))
            for some in (*((one,) for one in patterns), *together_opened(isolation, patterns)):
                opening.setdefault(some, []).append((source, pod))
        for some, starts in opening.items():
            # A name that several patterns mean is in the list if one of them is.
            cubes = (cube for one in listed for pattern in some for cube in _covered(one, pattern))
            yield from self._unlisted(starts, some, asked, PacketSet.union_of(cubes))

    def _unlisted(
        self, starts: list[tuple[Kind, Pod]], patterns: Sequence[Pattern], asked: TransportSet, covered: PacketSet
    ) -> Iterator[Demand]:
        given = self._given.get(patterns[0].text, ()) if len(patterns) == 1 else ()
        judge, standing = self._tell([pod for _, pod in starts], given, patterns)
        called = " & ".join(one.text for one in patterns)
        for source, _ in starts:
            for address, addresses in standing.items():
                if address.version != source.family:
                    continue
                end = Endpoint(address)
                pair = pair_ports(judge, source.first, end)
                # What passes without the name is found by its address.
                opened = asked & (pair.allowed - pair_ports(self.judge, source.first, end).allowed)
                for some, transports in PacketSet.cube(addresses & self._outside, opened) - covered:
                    yield Demand(source.first, end, transports, Verdict.DENY, pair, some, told=judge, name=called)

    def _tell(
        self, pods: Sequence[Pod], given: tuple[Address, ...], patterns: Sequence[Pattern]
    ) -> tuple[Judge, Standing]:
        """The judge of a cluster in which some pods have been told names, and the addresses that they were told.

        A name for each pattern; they have the same addresses then, as one has that all of them mean. Who may ask nobody
        for such a name has not been told.
        """
        standing: Standing = {one: AddressSet.of((one,)) for one in given} or parts(self.judge, pods, FAMILIES)
        hearing = dict.fromkeys(pod.key for pod in pods if self._learning.opens(pod, patterns))
        return told(self.judge, dict.fromkeys(hearing, tuple(standing)), *map(_meant_by, patterns)), standing


def _pods(sources: Iterable[Kind]) -> Iterator[tuple[Kind, Pod]]:
    return ((one, one.first.pod) for one in sources if one.first.pod is not None)


def _meant_by(pattern: Pattern) -> str:
    """A name that the pattern means, of as few labels as there may be."""
    return pattern.text.replace("**", "*").replace("*", "any") if "*" in pattern.text else pattern.text


def _covered(listed: Reached, pattern: Pattern) -> Iterator[Cube]:
    yield from listed.outside
    for name, transports in listed.names:
        if canonical(name.text) == pattern.text or _covers(name.text, pattern):
            yield AddressSet.any(), transports


def _covers(text: str, pattern: Pattern) -> bool:
    """Whether a listed pattern means a name that a rule opens; what two patterns have in common is not enough."""
    return "*" in text and "*" not in pattern.text and Pattern(text, pattern.dialect).matches(pattern.text)
