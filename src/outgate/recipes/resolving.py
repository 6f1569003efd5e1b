"""The rule for DNS, from the resolvers that the input has, and the question whether a policy cuts somebody off.

pods of cluster DNS     by the selector of the Service in front of them, on the ports after translation
the cache of a node     by its address, and by that of the DNS Service, which the cache takes over
not in the input        the standard rule: port 53 of kube-system, and a note
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from outgate.checks.resolvers import Resolvers, dns_rule
from outgate.checks.survey import Survey
from outgate.model import Direction, NetworkPolicy, Snapshot
from outgate.model.labels import EVERYTHING, LabelSelector
from outgate.model.parse import parse
from outgate.model.place import Document
from outgate.packets import Protocol
from outgate.recipes.policies import Said, network_policy
from outgate.recipes.recipe import Asked, Manifest

__all__ = ["dns_notes", "dns_policy", "dns_said", "with_dns"]

_STANDARD = (
    "The standard rule: whatever listens on port 53 in kube-system. The cluster's own resolvers were not in the "
)
_STANDARD += "input; OpenShift has them in openshift-dns on port 5353, and a cache on each node needs an ipBlock."


def dns_said(asked: Asked) -> tuple[Said, ...]:
    """The egress rules, and where they come from."""
    survey = asked.survey or Survey(Snapshot.of())
    resolvers = Resolvers(survey)
    if not resolvers.known:
        return (Said(dns_rule(survey), (_STANDARD,)),)
    found: list[Said] = []
    if resolvers.doors:
        words = f"The resolvers of this cluster: {survey.dns.source}. Ports are those of the pods, after translation."
        found.append(Said(dns_rule(survey), (words,)))
    if resolvers.caches:
        addresses = {door.end.address for door in resolvers.caches} | resolvers.service_addresses
        blocks = sorted(f"{one}/{one.max_prefixlen}" for one in addresses)
        rule = {
            "to": [{"ipBlock": {"cidr": one}} for one in blocks],
            "ports": [{"protocol": one, "port": 53} for one in ("UDP", "TCP")],
        }
        words = "The cache on each node, which no selector of pods can match. It takes over the address of the Service."
        found.append(Said(rule, (words,)))
    return tuple(found)


def dns_notes(asked: Asked) -> tuple[str, ...]:
    """What has to be said where the resolvers are not known."""
    if asked.survey is not None and Resolvers(asked.survey).known:
        return ()
    where = "no input was given" if asked.survey is None else asked.survey.dns.source
    return (f"{where}, so the rule for DNS is the standard one (port 53 in kube-system)",)


def dns_policy(asked: Asked, name: str, pods: LabelSelector = EVERYTHING, head: Sequence[str] = ()) -> Manifest:
    """A policy that lets pods ask the resolvers of the cluster, and nobody else."""
    words = (
        "Names are resolved before anything else is reached. UDP and TCP: long answers are asked for again over TCP."
    )
    return network_policy(asked, name, pods=pods, egress=dns_said(asked), head=(*head, words))


def with_dns(asked: Asked, manifest: Manifest) -> Manifest:
    """The same policy, with a rule for DNS where pods of the input would be cut off from it otherwise."""
    if asked.survey is None or not _cuts_off(asked, asked.survey, manifest):
        return manifest
    spec = manifest.value["spec"]
    assert isinstance(spec, dict)
    egress, comments = list(spec["egress"]), dict(manifest.comments)
    why: tuple[str, ...] = ("No other policy lets these pods ask cluster DNS, and this one isolates them.",)
    for one in dns_said(asked):
        comments["spec", "egress", len(egress)] = (*why, *one.why)
        egress.append(dict(one.rule))
        why = ()
    return replace(manifest, value={**manifest.value, "spec": {**spec, "egress": egress}}, comments=comments)


def _cuts_off(asked: Asked, survey: Survey, manifest: Manifest) -> bool:
    """Whether pods that this policy isolates reach no resolver, with it and all others in force."""
    mine = _policy(asked, manifest)
    if mine is None or Direction.EGRESS not in mine.types:
        return False
    others = [one for one in survey.snapshot.policies if (one.namespace, one.name) != (mine.namespace, mine.name)]
    # Some network plugins let no address block stand for pods: what leads to DNS by a block alone does not count.
    narrow = replace(survey.policies.profile, blocks_match_pods=False)
    then = Survey(survey.snapshot.with_policies([*others, mine]), narrow)
    resolvers = Resolvers(then)
    return any(
        mine in whom.policies and not resolvers.reached(whom, protocol)
        for whom in then.isolated(Direction.EGRESS)
        for protocol in (Protocol.UDP, Protocol.TCP)
    )


def _policy(asked: Asked, manifest: Manifest) -> NetworkPolicy | None:
    parsed = parse([Document("", dict(manifest.value))], default_namespace=asked.home)
    return next(iter(parsed.snapshot.policies), None)
