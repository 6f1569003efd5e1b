"""Property 32: the suites of the field, each case by its title, and a denial that is a time-out unless asked otherwise.

Three say what must come of a case: a table worked out by hand, the model, and real packets; the last is held to both.
"""

from __future__ import annotations

import ipaddress
import itertools
import socket

import pytest

from outgate.policy import Endpoint, Flow, Judge, Policies
from outgate.testing import snapshot_of
from tests.lab.agent.cast import CLUSTER, deny
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.frames import SCTP, TCP, UDP
from tests.lab.agent.suites import CASES, CAST, PODS, Case, Truth, Try, address
from tests.lab.agent.volley import Ears, aimed

pytestmark = pytest.mark.kernel

PAIRS = [(source, target) for source in PODS for target in PODS if source != target]


def tries(case: Case) -> list[Try]:
    """Everything that is tried: all pairs, ports and protocols."""
    return [Try(*pair, protocol, port) for pair in PAIRS for protocol in (TCP, UDP, SCTP) for port in case.ports]


def by_model(one: Try, judge: Judge) -> bool:
    """What `outgate can-reach` says."""
    snapshot = judge.policies.snapshot
    source, target = (Endpoint.at(snapshot, ipaddress.ip_address(address(path))) for path in (one.source, one.target))
    return judge.judge(Flow(source, target, one.protocol, one.port)).verdict.allows


def held(farm: Farm, ears: Ears, case: Case, truth: Truth) -> None:
    """Everything is tried, and comes to what the table says: by both families in turn, where no block names one."""
    tried = tries(case)
    families = (4,) if "ipBlock" in repr(case.policies) else (4, 6, 6, 4)
    shots = [
        aimed(farm, one.source, one.target, one.protocol, one.port, family)
        for one, family in zip(tried, itertools.cycle(families), strict=False)
    ]
    came = ears.verdicts(shots)
    wrong = [one for one, is_ in zip(tried, came, strict=True) if is_ != truth(one)]
    assert not wrong, f"{len(wrong)} of {len(tried)}, the first: {wrong[:5]}"


@pytest.mark.parametrize("title", CASES)
def test_32_suite(title: str) -> None:
    """The tables agree with the model, and the network with the tables."""
    case = CASES[title]
    judge = Judge(Policies(snapshot_of([*CAST, *case.policies])))
    for one in tries(case):
        assert by_model(one, judge) == case.truth(one), one

    def check(farm: Farm) -> None:
        with Ears(farm) as ears:
            held(farm, ears, case, case.truth)
            if case.then is not None:
                for one in case.policies:
                    farm.server.delete("NetworkPolicy", one["metadata"]["namespace"], one["metadata"]["name"])
                farm.settle()
                held(farm, ears, case, case.then)

    grow([*CAST, *case.policies], check)


@pytest.mark.parametrize("family", [4, 6])
def test_32_a_denial_is_silence(family: int) -> None:
    """The conformance suites of the field wait for a time-out: no reset, no error, nothing comes back."""

    def check(farm: Farm) -> None:
        with Ears(farm) as ears:
            for protocol in (TCP, UDP, SCTP):
                shot = aimed(farm, "a/one", "b/three", protocol, 7000, family)
                assert ears.verdicts([shot]) == [False]
                ears.flush("a/two", "a/one", family=family)
                assert not ears.heard(shot.token), "an error would have had the packet in it"
            with farm.stage.enter(farm.box("a/one")):
                client = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_STREAM)
            with client:
                client.setblocking(False)
                client.connect_ex((farm.address("b/three", family), 7000))
                ears.flush("a/two", "a/one", family=family)
                assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

    grow([*CLUSTER, deny()], check)


@pytest.mark.parametrize("family", [4, 6])
def test_32_rejecting_is_a_choice(family: int) -> None:
    """Where it is chosen, a client is told at once: TCP by a reset, the others by an error of ICMP."""

    def check(farm: Farm) -> None:
        af = socket.AF_INET if family == 4 else socket.AF_INET6
        with farm.stage.enter(farm.box("a/one")):
            stream, datagrams = socket.socket(af, socket.SOCK_STREAM), socket.socket(af, socket.SOCK_DGRAM)
        with stream, datagrams:
            there = (farm.address("b/three", family), 7000)
            stream.settimeout(30)
            with pytest.raises(ConnectionRefusedError):
                stream.connect(there)
            datagrams.settimeout(30)
            datagrams.connect(there)
            datagrams.send(b"there")
            # "Communication administratively prohibited" (RFC 1812, 5.2.7.1; RFC 4443, 3.1), as a socket says it.
            with pytest.raises((PermissionError, OSError), match=r"No route to host|Permission denied"):
                datagrams.recv(16)

    grow([*CLUSTER, deny()], check, reject=True)
