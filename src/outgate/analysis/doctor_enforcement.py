"""The first two answers: which network this is, and whether NetworkPolicies have an effect here.

Several plugins may be in one cluster (a policy engine beside the network): one that enforces is enough, one that may
enforce leaves it open, and only where none can is the answer no. What a probe has shown is stronger than any object.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.doctor_facts import Facts, Line, Mark, few, many, plain
from outgate.analysis.doctor_networks import PLUGINS, Enforces, Network, Switch
from outgate.analysis.doctor_probe import Outcome, ProbeResult

__all__ = ["enforcement_lines", "enforces", "left_over", "network_lines"]

_SURE = "only a probe is sure"


def enforces(found: tuple[Network, ...]) -> Enforces:
    """What holds for the cluster, as far as objects tell."""
    said = {one.enforces for one in found}
    if Enforces.YES in said:
        return Enforces.YES
    return Enforces.NO if said == {Enforces.NO} else Enforces.UNKNOWN


def left_over(facts: Facts, found: tuple[Network, ...]) -> Iterator[tuple[str, str]]:
    """API groups of plugins that are not seen to run, with the plugin's name."""
    running = {one.plugin for one in found}
    if "Canal" in running:
        # Canal is Calico's policies on Flannel's network.
        running.add("Calico")
    if "GKE Dataplane V2" in running:
        running.add("Cilium")
    for plugin in PLUGINS:
        if plugin.name not in running:
            for group in sorted((facts.served.groups if facts.served is not None else None) or ()):
                if group in plugin.groups:
                    yield group, plugin.name


def network_lines(facts: Facts, found: tuple[Network, ...]) -> Iterator[Line]:
    """A line for each plugin, and one where there is none."""
    rest = tuple(f"API group {group} is served, and {name} is not seen" for group, name in left_over(facts, found))
    if not found:
        pods = "no DaemonSet of a network plugin that is known is in the input"
        look = (f"{facts.kubectl} get daemonsets -A -o wide",)
        yield Line("network", Mark.UNKNOWN, pods, rest, look)
    for one in found:
        yield _network(facts, one, rest if one is found[-1] else ())


def _network(facts: Facts, one: Network, rest: tuple[str, ...]) -> Line:
    words = one.plugin if one.daemon is None else f"{one.plugin} (DaemonSet {one.daemon})"
    if one.missing_on is None or one.daemon is None:
        return Line("network", Mark.OK, words, rest)
    total = len(one.ready_on) + len(one.missing_on)
    words = f"{words}, ready on {len(one.ready_on)} of {many(total, 'node')}"
    if not one.missing_on:
        return Line("network", Mark.OK, words, rest)
    mark = Mark.ATTENTION if one.ready_on else Mark.WRONG
    details = (f"not ready on {few(one.missing_on)}", *rest)
    look = (f"{facts.kubectl} -n {plain(one.daemon.namespace)} get pods -o wide | grep {plain(one.daemon.name)}",)
    return Line("network", mark, words, details, look)


def enforcement_lines(facts: Facts, found: tuple[Network, ...]) -> Iterator[Line]:
    """Whether NetworkPolicies are enforced: what a probe has shown, else what objects tell."""
    if facts.probe is not None:
        yield _probed(facts, facts.probe)
        if facts.probe.left:
            words = f"namespace {facts.probe.namespace} of the probe is still there: {facts.probe.left}"
            command = f"{facts.kubectl} delete namespace {facts.probe.namespace}"
            yield Line("probe", Mark.ATTENTION, words, (), (command,))
        if facts.probe.outcome is not Outcome.INCONCLUSIVE:
            return
    yield _by_objects(facts, found)


def _probed(facts: Facts, probe: ProbeResult) -> Line:
    steps = tuple(f"{one.words}: {'yes' if one.seen else 'no'}, after {one.seconds:.1f} s" for one in probe.steps)
    match probe.outcome:
        case Outcome.ENFORCING:
            slowest = max(one.seconds for one in probe.tried)
            words = f"NetworkPolicy: yes, a probe was cut off and let through again (within {slowest:.1f} s)"
            return Line("enforcement", Mark.OK, words, steps)
        case Outcome.NOT_ENFORCING:
            passed = " and ".join(
                one.direction.value.lower() for one in probe.tried if one.outcome is Outcome.NOT_ENFORCING
            )
            words = f"NetworkPolicy: no, a probe was denied {passed} by a policy and got through all the same"
            return Line(
                "enforcement",
                Mark.WRONG,
                f"{words}{_without_effect(facts)}",
                steps,
                (f"{facts.kubectl} get daemonsets -A", _REMEDY),
            )
    words = f"the probe shows nothing: {probe.reason or 'not every step of it was seen'}"
    again = f"{facts.kubectl} get events -A --sort-by=.lastTimestamp | tail -30"
    return Line("probe", Mark.UNKNOWN, words, steps, (again,))


_REMEDY = "then switch the plugin on, or install one that enforces: kube-network-policies works beside any network"


def _by_objects(facts: Facts, found: tuple[Network, ...]) -> Line:
    overall = enforces(found)
    telling = [one for one in found if one.enforces is overall]
    details = tuple(f"{one.plugin}: {one.why}" for one in telling)
    probe = _probe_command(facts)
    names = " and ".join(one.plugin for one in telling)
    if overall is Enforces.YES:
        switched = " (switched on)" if any(one.switch is Switch.ON for one in telling) else ""
        words = f"NetworkPolicy: yes, by {names}{switched}, as far as objects tell; {_SURE}"
        return Line("enforcement", Mark.OK, words, details)
    looks = tuple(one.look for one in telling if one.look)
    if overall is Enforces.NO:
        words = f"NetworkPolicy: no, nothing enforces it here, as far as objects tell; {_SURE}"
        return Line("enforcement", Mark.WRONG, f"{words}{_without_effect(facts)}", details, (*looks, probe, _REMEDY))
    if not found:
        words = f"NetworkPolicy: not known, since the network plugin is not; {_SURE}"
        return Line("enforcement", Mark.UNKNOWN, words, (), (probe,))
    words = f"NetworkPolicy: not known, {names} enforces only if it is switched on; {_SURE}"
    return Line("enforcement", Mark.UNKNOWN, words, details, (*looks, probe))


def _without_effect(facts: Facts) -> str:
    count = len(facts.snapshot.policies)
    return f"; {many(count, 'policy has', 'policies have')} no effect" if count else ""


def _probe_command(facts: Facts) -> str:
    if facts.served is None:
        return "outgate doctor --context NAME --probe --yes"
    return facts.outgate("doctor --probe --yes")
