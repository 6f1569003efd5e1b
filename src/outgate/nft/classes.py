"""The chains of policy classes, made when a pod first needs them.

A class is a set of policies that select the same pods in one direction (and, for ingress, the numbers that the pods
give to port names), those of the whole cluster among them. Its chain is shared by all its pods, and made for each view
of a packet: by family, and mirrored for replies. What `Registry` holds afterwards are the chains and fixed sets of all
classes, and the names of the peer sets that they look into.

When policies change, `following` gives the classes of the new state. A class none of whose policies changed is found
again and not made again, so the work follows the size of the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from outgate.model import CiliumPolicy, ClusterPolicy, Direction, NetworkPolicy, Pod, Policy
from outgate.model.cilium import NameMatch
from outgate.nft.denial import denial, warning
from outgate.nft.lines import Registry, View, stand_names
from outgate.nft.names import named
from outgate.nft.objects import RETURN, Judgement, goto
from outgate.nft.options import Options
from outgate.nft.redirects import CATCHES, Catching
from outgate.nft.tier_lines import TierLines
from outgate.packets import TransportSet
from outgate.policy import Mode, NamedPort, Origin, Policies, Rule
from outgate.policy.cilium_rules import looks_outside
from outgate.policy.established import keeps
from outgate.policy.mode import mode_of
from outgate.policy.rules import origin_of
from outgate.policy.selection import looks_around
from outgate.policy.tiers import Isolation

__all__ = ["Classes", "Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """What one class needs in one view."""

    way: Judgement
    """Into its chain; a way back where there is no policy."""
    names: frozenset[str] = frozenset()
    """The chains and sets that it is made of."""
    index: Mapping[str, tuple[Origin, ...]] | None = None
    asks: bool = False
    """Whether any of its rules uses names."""
    catch: Judgement | None = None
    """Into the chain by which its connections are caught, where a rule about requests may allow some."""
    questions: tuple[tuple[tuple[NameMatch, ...], Judgement], ...] = ()
    """For each list of names that may be asked for (Cilium's ``rules.dns``), the narrowest first: the way into the
    chain under which the DNS proxy asks for those."""
    policies: tuple[Policy, ...] = ()
    """Kept so that no other policy can come to have the identity of one of them."""

    @property
    def doors(self) -> tuple[Judgement, ...]:
        """The ways for questions of the DNS proxy in a pod's stead; the last is for every name."""
        return (*(way for _, way in self.questions), self.way) if self.asks else ()


_OPEN = Part(RETURN)
_Policies = tuple[NetworkPolicy | CiliumPolicy, ...]
_Above = tuple[ClusterPolicy, ...]
_Key = tuple[tuple[int, ...], tuple[bool, ...], object, object, View]


class Classes:
    """The class chains of one node under one state of the policies."""

    def __init__(self, policies: Policies, options: Options) -> None:
        self.policies = policies
        self.options = options
        self.registry = Registry(options)
        self._parts: dict[_Key, Part] = {}
        self._before: Mapping[_Key, Part] = {}
        self._known: dict[tuple[tuple[str, str], View], Part] = {}

    def following(self, policies: Policies) -> Classes:
        """The classes under other policies of the same node, and with the same options."""
        made = Classes(policies, self.options)
        made.registry = self.registry
        made._before = self._parts
        return made

    @property
    def index(self) -> dict[str, tuple[Origin, ...]]:
        """Chain name → where it comes from: one rule for ``r_…``, policies for ``d_…`` and ``w_…``."""
        return {name: origins for part in self._parts.values() for name, origins in (part.index or {}).items()}

    def settle(self) -> None:
        """Forget what only classes of before used."""
        self._before = {}
        self.registry.keep({name for part in self._parts.values() for name in part.names})

    def way(self, pod: Pod, view: View) -> Judgement:
        """The way into the chain of a pod's class; a way back where no policy selects the pod."""
        return self.part(pod, view).way

    def catch(self, pod: Pod, family: int) -> Judgement | None:
        """The way into the chain by which connections of a pod are caught; None where nothing is looked into."""
        return self.part(pod, View(Direction.EGRESS, family)).catch

    @property
    def catching(self) -> bool:
        """Whether connections of any class are caught."""
        return any(part.catch is not None for part in self._parts.values())

    @property
    def caught_by(self) -> frozenset[str]:
        """The maps of what is caught, and the chains and sets of the classes that have something of it."""
        parts = (part for part in self._parts.values() if part.catch is not None)
        return frozenset(CATCHES.values()).union(*(part.names for part in parts))

    def part(self, pod: Pod, view: View) -> Part:
        """All that the class of a pod needs in a view. Asked once for each pod, by its name."""
        known = self._known.get((pod.key, view))
        if known is None:
            known = self._known[pod.key, view] = self._part(pod, view)
        return known

    def _part(self, pod: Pod, view: View) -> Part:
        direction = view.direction
        selection = self.policies.selection
        ruling, above = selection.ruling(pod, direction), selection.governing(pod, direction)
        if not ruling and not above:
            return _OPEN
        meanings = self.policies.class_of(pod, direction)[2]
        every: tuple[Policy, ...] = (*ruling, *above)
        enforced = tuple(self.mode(policy) is Mode.ENFORCE for policy in every)
        # What some peers stand for changes though the policy is the same, as those of nodes do; and though its rules
        # are the same, too, where they mean what is outside: nodes are not (`lines`).
        around: tuple[object, ...] = tuple(
            selection.rules(one, direction, selection.standpoint(pod, one)) for one in every if looks_around(one)
        )
        if any(isinstance(one, CiliumPolicy) and looks_outside(one) for one in every):
            around = (*around, selection.places.every_node)
        key = (tuple(map(id, every)), enforced, meanings, around, view)
        found = self._parts.get(key)
        if found is None:
            found = self._parts[key] = self._before.get(key) or self._made(pod, ruling, above, dict(meanings), view)
        return found

    def mode(self, policy: Policy) -> Mode:
        """Whether a policy is enforced here."""
        if self.options.mode is None:
            return Mode.ENFORCE
        namespace = self.policies.snapshot.namespace(policy.namespace) if policy.namespace else None
        return mode_of(policy, namespace, self.options.mode)

    def cuts(self, pod: Pod) -> bool:
        """Whether a policy that is enforced for a pod cuts live connections (`outgate.policy.established`)."""
        selection = self.policies.selection
        some = (selected(pod, way) for way in Direction for selected in (selection.ruling, selection.governing))
        return any(self.mode(one) is Mode.ENFORCE and not self.keeps(one) for many in some for one in many)

    def keeps(self, policy: Policy) -> bool:
        """Whether a policy lets go on what is live."""
        namespace = self.policies.snapshot.namespace(policy.namespace) if policy.namespace else None
        return keeps(policy, namespace, default=self.options.keep)

    def _made(
        self, pod: Pod, ruling: _Policies, above: _Above, meanings: Mapping[NamedPort, TransportSet], view: View
    ) -> Part:
        names = self.registry.recording()
        isolation = self.policies.isolation(pod, view.direction)
        index: dict[str, tuple[Origin, ...]] = {}
        end = None
        selecting = isolation.policies
        if selecting:
            end, blamed = self._end(selecting, view.direction)
            index[end.chain] = tuple(origin_of(policy, view.direction) for policy in blamed)
        lines = TierLines(self.policies, meanings, view, self.registry, self._audited((*ruling, *above)))
        made = lines.lines(isolation, end)
        index |= {self.registry.rule_chain(rule).chain: (rule.origin,) for rule in isolation.rules} | lines.index
        way = goto(self.registry.add_chain(view.letter, made))
        asks = any(rule.asks for rule in isolation.every_rule())
        if asks and self.options.names and not view.mirrored:
            stand_names(isolation.every_rule(), view.family, self.registry)
        caught = lines.looks_into and not view.mirrored
        catch = Catching(self.registry, f"c{view.family}").way(made) if caught else None
        questions = tuple(self._questions(isolation, end, lines, view)) if self.options.names else ()
        return Part(way, frozenset(names), index | lines.index, asks, catch, questions, (*ruling, *above))

    def _questions(
        self, isolation: Isolation, end: Judgement | None, lines: TierLines, view: View
    ) -> Iterator[tuple[tuple[NameMatch, ...], Judgement]]:
        """The chains for names that may be asked for: there, the rules with such a list have no condition.

        A rule whose list holds all of another's names counts for those, too.
        """
        if view.direction is not Direction.EGRESS or view.mirrored:
            return
        lists = {rule.conditions.dns for rule in isolation.rules if rule.conditions is not None and rule.conditions.dns}
        for one in sorted(lists, key=lambda it: (_is_every(it), len(it), repr(it))):
            rules = tuple(
                replace(rule, conditions=None)
                if rule.conditions is not None and _covers(rule.conditions.dns, one)
                else rule
                for rule in isolation.rules
            )
            made = lines.lines(replace(isolation, rules=rules), end)
            yield one, goto(self.registry.add_chain(view.letter, made))

    def _audited(self, policies: Iterable[Policy]) -> Callable[[Rule], bool]:
        """Whether a rule is one of a policy that is only watched."""
        watched = {(one.kind, one.namespace, one.name) for one in policies if self.mode(one) is Mode.AUDIT}
        return lambda rule: (rule.origin.kind, rule.origin.namespace, rule.origin.name) in watched

    def _end(self, selecting: _Policies, direction: Direction) -> tuple[Judgement, _Policies]:
        """What becomes of a packet that no rule of a class allows (see `outgate.policy.mode`), and who is to blame."""
        enforced = tuple(policy for policy in selecting if self.mode(policy) is Mode.ENFORCE)
        blamed = enforced or selecting
        name = named("d" if enforced else "w", (direction.value, *(part for one in blamed for part in _identity(one))))
        comment = f"{direction.value} {'' if enforced else 'would be '}denied: {_listed(blamed)}"
        rules = denial if enforced else warning
        return goto(self.registry.add_named(name, lambda: rules(name, comment, self.options))), blamed


def _identity(policy: NetworkPolicy | CiliumPolicy) -> Iterator[str]:
    """What makes a policy the one that it is: of an object with several, which one."""
    yield from (policy.api_version, policy.kind, policy.namespace, policy.name)
    if isinstance(policy, CiliumPolicy) and policy.index is not None:
        yield str(policy.index)


def _is_every(names: tuple[NameMatch, ...]) -> bool:
    """Whether a list holds every name (Cilium: a pattern of stars alone)."""
    return any(one.pattern and not one.pattern.strip("*") for one in names)


def _covers(names: tuple[NameMatch, ...], others: tuple[NameMatch, ...]) -> bool:
    return bool(names) and (_is_every(names) or set(names) >= set(others))


def _listed(policies: Iterable[NetworkPolicy | CiliumPolicy]) -> str:
    many = tuple(policies)
    together = f"{many[0].namespace}/{','.join(one.name for one in many)}"
    return together if {one.namespace for one in many} == {many[0].namespace} else ", ".join(map(str, many))
