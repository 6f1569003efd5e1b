"""The orders of a node's pods name what its ruleset has, made from the same policies: sets, doors, askers."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from outgate.host.name_orders import OrderMaking
from outgate.nft.asking import ASKERS, DOORS
from outgate.nft.classes import Classes
from outgate.nft.compile import compile_node
from outgate.nft.options import Options
from outgate.policy import Policies
from outgate.testing import pod, random_cluster, random_cluster_policies, snapshot_of
from outgate.testing_cilium import cilium_policy

NAMES = Options(names=True)


@given(st.integers(0, 1 << 32))
def test_orders_name_what_the_ruleset_has(seed: int) -> None:
    """One that was missing would leave a pod unheard, or an address unopened; and nobody else is named."""
    policies = Policies(
        snapshot_of([*random_cluster(seed), *random_cluster_policies(seed, 3, names=True)]),
    )
    snapshot = policies.snapshot
    for node in snapshot.nodes:
        compiled = compile_node(policies, node, NAMES).ruleset
        made = OrderMaking(Classes(policies, NAMES))
        here = [one for one in snapshot.endpoints if one.node == node and one.addressed and not one.host_network]
        orders = made.pods(
            (one, tuple(address for address in one.addresses if address not in snapshot.contested)) for one in here
        )
        asking = {int(ipaddress.ip_address(address)) for one in orders for address in one.addresses}
        assert asking == {key[0][0] for name in ASKERS.values() for key in compiled.sets[name].elements}
        used = {name for one in orders for name in one.sets}
        stand = {
            name.removeprefix("f4_").removeprefix("f6_") for name in compiled.sets if name.startswith(("f4_", "f6_"))
        }
        assert stand <= used <= {one.name for one in made.sorted_sets()}
        doors = {door for one in orders for asks in one.asks or () for door in asks.doors if door}
        assert doors == {key[0][0] for name in DOORS.values() for key in compiled.sets[name].elements}


def test_lists_of_names_come_first_and_every_name_last() -> None:
    """A door for each list of `rules.dns`, and one for what no list is about, which is closed for this pod."""
    port = {"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [{"matchPattern": "*.example.com"}]}}
    policy = cilium_policy(
        "shop/p", {"endpointSelector": {}, "egress": [{"toCIDR": ["10.0.0.9/32"], "toPorts": [port]}]}
    )
    snapshot = snapshot_of([pod("shop/web", ["10.0.0.1"], on="n"), policy])
    made = OrderMaking(Classes(Policies(snapshot), NAMES))
    (one,) = made.pods((each, each.addresses) for each in snapshot.endpoints)
    listed, rest = one.asks or ()
    assert listed.names is not None
    assert listed.names.patterns == ("*.example.com",)
    assert rest.names is None
    assert listed.doors[0] != rest.doors[0]
    assert (listed.doors[1], rest.doors[1]) == (0, 0), "it has no address of that family"
