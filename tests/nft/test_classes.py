"""The chains of policy classes: shared by pods that are alike, found again, and forgotten when nobody needs them."""

from __future__ import annotations

import dataclasses

import pytest

from outgate.model import Direction, Pod
from outgate.nft.classes import Classes
from outgate.nft.lines import View
from outgate.nft.objects import DROP, RETURN, Judgement
from outgate.nft.options import Options
from outgate.policy import Mode, Policies
from outgate.policy.mode import ANNOTATION
from outgate.testing import Manifest, pod, policy, snapshot_of
from outgate.testing_cilium import cilium_policy

EGRESS, INGRESS = View(Direction.EGRESS, 4), View(Direction.INGRESS, 4)
TOWN = (
    pod("shop/web", ["10.1.0.10"], app="web"),
    pod("shop/web2", ["10.1.0.20"], app="web", color="blue"),
    pod("shop/api", ["10.1.0.11"], app="api"),
    pod("shop/host", ["192.168.5.1"], host_network=True, app="web"),
)
WEB = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]}
ALL = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 53}]}]}


def classes(*manifests: Manifest, mode: Mode | None = None) -> Classes:
    """The classes of the town under policies."""
    return Classes(Policies(snapshot_of([*TOWN, *manifests])), Options(mode=mode))


def named(one: Classes, name: str) -> Pod:
    """A pod of the town."""
    found = one.policies.snapshot.pod("shop", name)
    assert found is not None
    return found


def last(one: Classes, way: Judgement) -> str:
    """Where a packet ends that no line of a class allows."""
    (end,) = one.registry.chains[way.chain].rules[-1].statements
    assert isinstance(end, Judgement)
    return end.chain


def test_pods_that_the_same_policies_select_share_a_chain() -> None:
    """Chains grow with kinds of pods, not with pods."""
    made = classes(policy("shop/deny", WEB), policy("shop/dns", ALL))
    web, web2, api = (made.way(named(made, one), EGRESS) for one in ("web", "web2", "api"))
    assert web == web2 != api
    assert (web.act, web.chain[:3]) == ("goto", "e4_")
    assert made.way(named(made, "web"), View(Direction.EGRESS, 4, mirrored=True)).chain.startswith("e4r_")


def test_who_is_not_selected_goes_back() -> None:
    """In that direction; and the host network is its node."""
    made = classes(policy("shop/deny", WEB))
    assert made.way(named(made, "api"), EGRESS) == RETURN
    assert made.way(named(made, "web"), INGRESS) == RETURN
    assert made.way(named(made, "host"), EGRESS) == RETURN
    assert made.registry.chains == {}


def test_a_change_elsewhere_finds_the_class_again() -> None:
    """What is made again costs time, and in the kernel a chain."""
    before = classes(policy("shop/deny", WEB))
    way = before.way(named(before, "web"), EGRESS)
    kept = before.policies.snapshot
    (other,) = snapshot_of([policy("else/p", ALL)]).policies
    after = before.following(Policies(kept.with_policies([*kept.policies, other])))
    chain = after.registry.chains[way.chain]
    assert after.way(named(after, "web"), EGRESS) == way
    after.settle()
    assert after.registry.chains[way.chain] is chain
    assert after.index[way.chain] if way.chain in after.index else last(after, way) in after.index


def test_what_nobody_uses_is_forgotten_at_the_end() -> None:
    """A chain of a policy that is gone would stand in the kernel for ever."""
    before = classes(policy("shop/deny", WEB), policy("shop/dns", ALL))
    ways = [before.way(named(before, one), EGRESS) for one in ("web", "api")]
    kept = before.policies.snapshot
    after = before.following(Policies(kept.with_policies(one for one in kept.policies if one.name == "dns")))
    assert after.way(named(after, "api"), EGRESS) == ways[1]
    assert ways[0].chain in after.registry.chains
    after.settle()
    assert ways[0].chain not in after.registry.chains
    assert last(after, ways[1]) in after.registry.chains
    assert {origin.name for origins in after.index.values() for origin in origins} == {"dns"}


@pytest.mark.parametrize(
    ("modes", "end", "blamed"),
    [
        (("enforce", "enforce"), "d", {"deny", "dns"}),
        (("audit", "enforce"), "d", {"dns"}),
        (("enforce", "audit"), "d", {"deny"}),
        (("audit", "audit"), "w", {"deny", "dns"}),
    ],
)
def test_who_is_to_blame(modes: tuple[str, str], end: str, blamed: set[str]) -> None:
    """The enforced ones where there is one, for an audited one stops nothing; else all that would have."""
    made = classes(policy("shop/deny", WEB), policy("shop/dns", ALL), mode=Mode.ENFORCE)
    kept = made.policies.snapshot
    written = [
        dataclasses.replace(one, annotations={ANNOTATION: mode}) for one, mode in zip(kept.policies, modes, strict=True)
    ]
    made = Classes(Policies(kept.with_policies(written)), made.options)
    way = made.way(named(made, "web"), EGRESS)
    name = last(made, way)
    assert name.startswith(f"{end}_")
    assert {origin.name for origin in made.index[name]} == blamed
    verdict = made.registry.chains[name].rules[-1].statements[-1]
    assert verdict == (DROP if end == "d" else RETURN)
    comment = made.registry.chains[name].rules[0].comment
    assert comment == f"Egress {'' if end == 'd' else 'would be '}denied: shop/{','.join(sorted(blamed))}"


def test_who_is_to_blame_of_an_object_with_several() -> None:
    """Each denies in its own name: a packet is not laid to a part of the object that is about others."""

    def about(app: str) -> dict[str, object]:
        return {"endpointSelector": {"matchLabels": {"app": app}}, "egress": [{}]}

    both = cilium_policy("shop/p", about("web")) | {"specs": [about("api")]}
    made = classes(both)
    ends = [last(made, made.way(named(made, name), EGRESS)) for name in ("web", "api")]
    assert [[origin.spec for origin in made.index[end]] for end in ends] == [[None], [0]]


def test_the_same_policies_in_another_mode_are_another_class() -> None:
    """Found again by the policies alone, a pod would stay enforced, or open, when its namespace says otherwise."""
    made = classes(policy("shop/deny", WEB), mode=Mode.ENFORCE)
    watched = Classes(made.policies, Options(mode=Mode.AUDIT))
    assert made.way(named(made, "web"), EGRESS) != watched.way(named(watched, "web"), EGRESS)


def test_without_a_mode_all_are_enforced() -> None:
    """A compile for the eye shows what the policies say."""
    made = classes(policy("shop/deny", WEB))
    (one,) = made.policies.snapshot.policies
    assert made.mode(dataclasses.replace(one, annotations={ANNOTATION: "audit"})) is Mode.ENFORCE


def test_lists_of_names_have_chains_of_their_own() -> None:
    """Only where there is a proxy: the narrowest list first, and a rule for every name counts in each of them."""
    manifests = [pod("shop/web", ["10.1.0.1"], on="n", app="web")]
    for number, pattern in enumerate(("*", "*.example.com")):
        port = {"ports": [{"port": str(53 + number)}], "rules": {"dns": [{"matchPattern": pattern}]}}
        spec = {"endpointSelector": {}, "egress": [{"toEndpoints": [{}], "toPorts": [port]}]}
        manifests.append(cilium_policy(f"shop/p{number}", spec))
    policies = Policies(snapshot_of(manifests))
    (web,) = policies.snapshot.pods
    plain = Classes(policies, Options()).part(web, View(Direction.EGRESS, 4))
    made = Classes(policies, Options(names=True))
    part = made.part(web, View(Direction.EGRESS, 4))
    assert (plain.questions, part.way) == ((), plain.way)
    assert [[one.pattern for one in names] for names, _ in part.questions] == [["*.example.com"], ["*"]]
    narrow, every, last = (len(made.registry.chains[way.chain].rules) for way in part.doors)
    assert narrow > every > last
    made.settle()
    assert {way.chain for way in part.doors} <= made.registry.chains.keys()
    mirrored = View(Direction.EGRESS, 4, mirrored=True)
    assert made.part(web, mirrored).questions == made.part(web, View(Direction.INGRESS, 4)).questions == ()
