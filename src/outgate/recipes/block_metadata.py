"""The recipe block-metadata, in the two forms that work.

NetworkPolicy has no "but not": a policy only ever adds. So "block the metadata service" has a meaning in two cases:

    nothing limits the pods     everything is allowed but those addresses: one broad rule with exceptions
    it shall hold for all       an Admin tier policy with action Deny, which is asked before all others (--admin-tier)

Beside a default deny the first form blocks nothing that was open and opens everything else. Where the input shows such
a policy the recipe refuses, and says where the metadata services are open, if they are.
"""

from __future__ import annotations

from outgate.checks.metadata_open import metadata_within
from outgate.checks.survey import Survey, some
from outgate.errors import UsageError
from outgate.model import Direction
from outgate.model.labels import LabelSelector
from outgate.recipes.allowing import selects_nobody
from outgate.recipes.metadata import BLOCKED, NEEDED, single
from outgate.recipes.policies import Said, admin_policy, named_namespace, network_policy, subject
from outgate.recipes.recipe import Asked, Manifest, Scaffold
from outgate.recipes.selecting import selector_of

__all__ = ["block_metadata"]

_RESOLVERS = ("168.63.129.16", "169.254.169.254")
"""Metadata services that answer DNS, too (Azure; Cloud DNS for GKE, OCI)."""


def block_metadata(asked: Asked) -> Scaffold:
    """Everything but the metadata services of clouds."""
    if asked.admin_tier:
        return Scaffold((_admin(asked),), selects_nobody(asked) if asked.namespace else ())
    pods = subject(asked)
    if asked.survey is not None:
        _refuse_where_isolated(asked, asked.survey, pods)
    blocks: list[object] = [{"namespaceSelector": {}}]
    for version, whole in ((4, "0.0.0.0/0"), (6, "::/0")):
        excepted = [single(one) for one in BLOCKED if one.address.version == version]
        blocks.append({"ipBlock": {"cidr": whole, "except": excepted}})
    head = (
        (
            "EVERYTHING is allowed to these pods but the metadata services of clouds, which hand out the credentials "
            "of the machine to whoever asks."
        ),
        (
            "Do not apply this beside a default deny. A policy only adds to what others allow: this one would block "
            "nothing there that was open, and give the whole internet back. Make the exceptions in the rule that is "
            "for the internet, or deny for all: outgate new block-metadata --admin-tier."
        ),
        f"Left open: {_needed()}, by which a workload gets credentials of its own.",
    )
    why = (
        (
            "Every pod, for network plugins whose address blocks mean what is outside the cluster. All else by "
            "address, of both families: an exception for IPv4 says nothing of IPv6."
        ),
    )
    manifest = network_policy(
        asked, asked.name or "block-metadata", pods=pods, egress=[Said({"to": blocks}, why)], head=head, tail=_TAIL
    )
    return Scaffold((manifest,), selects_nobody(asked))


_TAIL = (
    "Where such an address is the resolver (Azure; Cloud DNS for GKE), one more rule lets its port 53 through:",
    "      - to:",
    *(f"          - ipBlock: {{cidr: {one}/32}}" for one in _RESOLVERS),
    "        ports:",
    "          - {protocol: UDP, port: 53}",
    "          - {protocol: TCP, port: 53}",
)


def _needed() -> str:
    return f"{some([one.address for one in NEEDED])} ({NEEDED[0].what[0][1]})"


def _refuse_where_isolated(asked: Asked, survey: Survey, pods: LabelSelector) -> None:
    """Refuse to open everything to pods that other policies limit."""
    name = asked.name or "block-metadata"
    for whom in survey.isolated(Direction.EGRESS):
        others = [one for one in whom.policies if (one.namespace, one.name) != (asked.home, name)]
        mine = [
            group
            for group in whom.groups
            if group.namespace == asked.home and any(pods.matches(pod.labels) for pod in group.pods)
        ]
        if not (others and mine):
            continue
        open_at = [
            f"{section} at {section.place}"
            for section in survey.sections(Direction.EGRESS)
            if section.policy in others and section.counts and metadata_within(survey, section)
        ]
        hint = "the metadata services are closed to them already; to deny for all, use --admin-tier"
        if open_at:
            hint = f"except the metadata services in {some(open_at)}; or deny for all with --admin-tier"
        raise UsageError(
            f"{some(mine)} {'is' if len(mine) == 1 else 'are'} isolated by {some(others)}: beside that, a policy that "
            "allows everything but the metadata services would open everything else",
            hint=hint,
        )


def _admin(asked: Asked) -> Manifest:
    space = named_namespace(asked.namespace) if asked.namespace else {}
    meant: dict[str, object] = {"namespaces": space}
    if asked.selector is not None:
        pods: dict[str, object] = {"podSelector": selector_of(subject(asked))}
        meant = {"pods": {"namespaceSelector": space, **pods} if asked.namespace else pods}
    plain = [single(one) for one in BLOCKED if str(one.address) not in _RESOLVERS]
    ranges = [{"tcp": {"destinationPort": {"range": {"start": low, "end": high}}}} for low, high in _ALL_BUT_53]
    return admin_policy(
        asked.name or "block-metadata",
        100,
        meant,
        egress=[
            {"name": "metadata", "action": "Deny", "to": [{"networks": plain}]},
            {
                "name": "metadata-that-is-a-resolver",
                "action": "Deny",
                "to": [{"networks": [f"{one}/32" for one in _RESOLVERS]}],
                "protocols": ranges,
            },
        ],
        head=(
            (
                "The metadata services of clouds are denied, whatever other policies allow: the Admin tier is asked "
                "before them. It takes away and gives nothing, so it stands well beside a default deny."
            ),
            (
                "Two of the addresses are resolvers as well (Azure; Cloud DNS for GKE): their port 53 and UDP stay as "
                "they are. Pods on the network of their node are never selected."
            ),
            f"Left as it is: {_needed()}, by which a workload gets credentials of its own.",
        ),
    )


_ALL_BUT_53 = ((1, 52), (54, 65535))
