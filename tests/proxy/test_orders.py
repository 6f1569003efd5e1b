"""Orders are taken whole or refused with all that is wrong in them; a pod may ask what they say, and no more."""

from __future__ import annotations

import contextlib
import ipaddress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.errors import InvalidInput
from outgate.policy.names import Dialect
from outgate.proxy.dns import ResponseCode
from outgate.proxy.orders import Asking, Element, Leave, NameList, NameSet, Orders, Plan, PodOrder, read

WHOLE = b"""
{"format": 1, "table": "3f2c", "refusal": "nameError", "floor": 30, "grace": 30,
 "cluster": ["10.1.0.0/16", "10.96.0.0/12"], "nodes": ["192.168.50.11"], "free": [], "domain": "cluster.local",
 "sets": [{"name": "q3zk", "dialect": "cilium", "patterns": ["*.example.com"]},
          {"name": "h2", "dialect": "network-policy-api", "patterns": ["*.cluster.local"]}],
 "pods": [{"key": "shop/web/6c1e", "addresses": ["10.1.0.10", "fd00:1:0::10"], "sets": ["q3zk", "h2"],
           "asks": [{"servers": ["10.96.0.10"], "names": {"dialect": "cilium", "patterns": ["*.example.com"]}},
                    {"servers": ["fd00:96::/64", "10.96.0.10"], "names": null}]},
          {"key": "shop/api/77", "addresses": ["10.1.0.11"]}]}
"""


def test_the_documented_file_is_understood() -> None:
    """Whoever writes orders writes them from that example."""
    plan = Plan(read(WHOLE, "orders.json"))
    assert plan.refusal is ResponseCode.NAME_ERROR
    web = plan.pods["10.1.0.10"]
    assert plan.pods["fd00:1::10"] is web, "found by the address as the kernel spells it"
    assert plan.by_key["shop/web/6c1e"] is web
    assert plan.pods["10.1.0.11"].may_ask("8.8.8.8", "anything.at.all") is Leave.GRANTED


def test_a_pod_asks_whom_and_what_it_may() -> None:
    """Doors are ORed: one server for some names, another for all."""
    web = Plan(read(WHOLE, "x")).pods["10.1.0.10"]
    for _ in range(2):
        assert web.may_ask("fd00:96::a", "anything.org") is Leave.GRANTED
        assert web.may_ask("10.96.0.10", "anything.org") is Leave.GRANTED, "the second door has it, too"
        assert web.may_ask("8.8.8.8", "www.example.com") is Leave.NO_SERVER
    plan = Plan(
        Orders(
            pods=(PodOrder("a", ("10.1.0.1",), (), (Asking(None, NameList(("*.x.io",))),)), PodOrder("b", (), (), ()))
        )
    )
    assert plan.by_key["a"].may_ask("8.8.8.8", "a.x.io") is Leave.GRANTED
    assert plan.by_key["a"].may_ask("8.8.8.8", "a.b.x.io") is Leave.REFUSED
    assert plan.by_key["b"].may_ask("8.8.8.8", "a.x.io") is Leave.NO_SERVER, "no door is no leave"
    for number in range(1000):
        plan.by_key["a"].may_ask(f"10.0.{number // 250}.{number % 250}", "x")
    assert len(plan.by_key["a"]._servers) <= 256


def test_a_name_gives_what_may_come_in() -> None:
    """Of each family for the pod's addresses of it; the cluster's own in one dialect alone, under its own names."""
    plan = Plan(read(WHOLE, "x"))
    web = plan.pods["10.1.0.10"]
    world, six, pod = (ipaddress.ip_address(one).packed for one in ("203.0.113.1", "2600::1", "10.1.0.11"))
    four, sixth = ipaddress.ip_address("10.1.0.10").packed, ipaddress.ip_address("fd00:1::10").packed
    given = plan.grants(web, "www.example.com", (world, six, pod))
    assert given == (Element("q3zk", four, world), Element("q3zk", sixth, six))
    assert plan.grants(web, "www.example.com", (world, six, pod)) is given
    assert plan.kept_out(web, "www.example.com", (world, six, pod)) == 1
    assert plan.grants(web, "db.shop.svc.cluster.local", (pod,)) == (Element("h2", four, pod),)
    assert plan.grants(web, "example.com", (world,)) == ()
    assert [plan.uses(web, name) for name in ("www.example.com", "example.com", "")] == [True, False, False]
    assert plan.grants(plan.pods["10.1.0.11"], "www.example.com", (world,)) == ()


WRONG = {
    "format": Orders(format=2),
    "refusal": Orders(refusal="no"),
    "floor": Orders(floor=-1),
    "grace": Orders(grace=1e9),
    "cluster[1]": Orders(cluster=("10.0.0.0/8", "10.0.0.1/8")),
    "nodes[0]": Orders(nodes=("node",)),
    "free[0]": Orders(free=("",)),
    "sets[0].name": Orders(sets=(NameSet(name="a b", patterns=()),)),
    "sets[1].name": Orders(sets=(NameSet(name="a", patterns=()), NameSet(name="a", patterns=()))),
    "pods[1].key": Orders(pods=(PodOrder("a", ()), PodOrder("a", ()))),
    "pods[0].sets": Orders(pods=(PodOrder("a", (), ("gone",)),)),
    "pods[0].addresses[0]": Orders(pods=(PodOrder("a", ("10.1.0.0/8",)),)),
    "pods[1].addresses[0]": Orders(pods=(PodOrder("a", ("fd00::1",)), PodOrder("b", ("fd00:0::1",)))),
    "pods[0].asks[0].servers[0]": Orders(pods=(PodOrder("a", (), (), (Asking(("dns",)),)),)),
}


@pytest.mark.parametrize("path", WRONG)
def test_what_cannot_be_is_refused_at_its_place(path: str) -> None:
    """A proxy that takes half of it would open or close the wrong thing."""
    with pytest.raises(InvalidInput) as raised:
        read(msgspec.json.encode(WRONG[path]), "orders.json")
    assert [(one.file, one.path) for one in raised.value.errors] == [("orders.json", path)]


def test_all_that_is_wrong_is_said_at_once() -> None:
    """Not one after the other."""
    with pytest.raises(InvalidInput) as raised:
        read(msgspec.json.encode(Orders(format=3, refusal="x", domain="d", cluster=("x",))), "o")
    assert [one.path for one in raised.value.errors] == ["format", "refusal", "cluster[0]"]


@given(st.binary(max_size=50) | st.text(st.sampled_from('{}[]":,podsetfrma1'), max_size=40).map(str.encode))
def test_bytes_are_orders_or_refused(data: bytes) -> None:
    """Half a file, or another program's."""
    with contextlib.suppress(InvalidInput):
        assert isinstance(read(data, "o"), Orders)


def test_a_field_that_is_not_known_is_refused() -> None:
    """Orders of a later version may mean something by it."""
    with pytest.raises(InvalidInput, match="unknown field"):
        read(b'{"deny": []}', "o")


def test_grants_of_long_answers_are_not_kept() -> None:
    """Whoever owns a name can give a thousand addresses, and other ones each time; they are granted all the same."""
    plan = Plan(read(WHOLE, "orders.json"))
    web = plan.pods["10.1.0.10"]
    before = len(plan._grants)
    many = tuple(bytes((203, 0, 113, last)) for last in range(200))
    assert [one.address for one in plan.grants(web, "www.example.com", many)] == list(many)
    assert len(plan._grants) == before


def test_pods_of_a_kind_share_what_is_remembered() -> None:
    """A hundred pods with one policy are one matcher."""
    asks = (Asking(("10.96.0.10",), NameList(("*.x.io",), Dialect.CILIUM)),)
    plan = Plan(Orders(pods=tuple(PodOrder(f"{n}", (f"10.1.0.{n}",), (), asks) for n in range(1, 9))))
    assert len({id(pod._doors) for pod in plan.by_key.values()}) == 1


def test_a_question_goes_through_the_first_door_that_knows_its_name() -> None:
    """By the family of the server, for classes have a chain for each; without doors there is none."""
    some = Asking(names=NameList(("*.example.com",)), doors=(0xD000_0010, 0xD000_0020))
    rest = Asking(doors=(0xD000_0030, 0xD000_0040))
    pod = Plan(Orders(pods=(PodOrder("p", ("10.1.0.10",), asks=(some, rest)),))).pods["10.1.0.10"]
    assert pod.may_ask("10.96.0.10", "else.where") is Leave.GRANTED
    assert [pod.door(one, "a.example.com") for one in ("10.96.0.10", "fd00::a")] == [0xD000_0010, 0xD000_0020]
    assert [pod.door(one, "else.where") for one in ("10.96.0.10", "fd00::a")] == [0xD000_0030, 0xD000_0040]
    free = Plan(Orders(pods=(PodOrder("p", ("10.1.0.10",)),))).pods["10.1.0.10"]
    assert free.door("10.96.0.10", "a.example.com") == 0
