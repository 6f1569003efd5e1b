"""The DNS proxies of a lab: what they are told, and what is said where one does not serve."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from outgate.errors import KernelError
from outgate.lab import dns_proxy
from outgate.lab.build import build
from outgate.lab.enforce import enforce, options_of
from outgate.lab.session import run_in_lab
from outgate.lab.sockets import Loop
from outgate.proxy.orders import Element, Plan
from tests.lab.clusters import DNS, planned
from tests.lab.named import ASKING, NAME, names, pods, rules

pytestmark = pytest.mark.kernel

TEXT = DNS + pods("web", "web") + pods("far", "far", node="n2") + rules("web", ASKING, names(NAME))


def test_on_the_nodes_that_need_one() -> None:
    """The pod with the rule is on n1; nothing of the cluster may be opened, and an address is open for its time."""
    prepared = planned(TEXT)

    def inside() -> int:
        stage = build(prepared.snapshot)
        policies = prepared.moving.policies
        assert policies is not None
        enforce(stage, policies, names=True)
        with_names = {
            name: dns_proxy.orders_of(policies, box, options_of(stage, box, names=True))
            for name, box in stage.nodes.items()
        }
        assert with_names["n2"].pods == ()
        orders = with_names["n1"]
        assert [one.key for one in orders.pods] == ["shop/web/"]
        pod = stage.pods["shop", "web"].addresses[0]
        plan = Plan(orders)
        asking = plan.pods[str(pod)]
        outside = ipaddress.ip_address("203.0.113.10").packed
        inside_of = [*stage.pods["shop", "far"].addresses, *stage.nodes["n2"].addresses]
        inside_of += (one for service in prepared.snapshot.services for one in service.cluster_ips)
        for address in inside_of:
            assert plan.grants(asking, NAME, (address.packed,)) == ()
        assert plan.grants(asking, NAME, (outside,)) == (Element(orders.sets[0].name, pod.packed, outside),)
        proxies = dns_proxy.start(stage, policies)
        assert set(proxies.running) == {"n1"}
        assert proxies.standing() == {}
        proxies.await_closed([ipaddress.ip_address("203.0.113.10")], Loop(), 1)
        (running,) = proxies.running.values()
        codes = [running.code]
        proxies.close()
        codes.append(running.code)
        assert codes == [None, 0], "it serves until it is told to end"
        return 0

    assert run_in_lab(inside) == 0


def test_one_that_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last words are the reason."""
    prepared = planned(TEXT)

    def words(place: Path, state: Path) -> tuple[str, ...]:
        return ("sh", "-c", f"echo some; echo no such luck in {place.name}-{state.name} >&2; exit 3")

    monkeypatch.setattr(dns_proxy, "command", words)

    def inside() -> int:
        stage = build(prepared.snapshot)
        assert prepared.moving.policies is not None
        with pytest.raises(KernelError, match="does not serve: no such luck in outgate-dns-node0-state"):
            dns_proxy.start(stage, prepared.moving.policies)
        return 0

    assert run_in_lab(inside) == 0
