"""Reading a filter: ports and ranges."""

from __future__ import annotations

import pytest

from outgate.cli.listing import port_range
from outgate.errors import UsageError
from outgate.packets import Protocol, TransportSet


def test_a_port_is_of_all_three_protocols() -> None:
    """Who asks for port 53 means DNS, which is UDP and TCP."""
    everything = [TransportSet.ports(one, 53) for one in (Protocol.TCP, Protocol.UDP, Protocol.SCTP)]
    assert port_range("53") == everything[0] | everything[1] | everything[2]
    assert port_range("53/udp") == everything[1]
    assert port_range("8000-8010/TCP") == TransportSet.ports(Protocol.TCP, 8000, 8010)


@pytest.mark.parametrize("text", ["", "-1", "1-", "65536", "1-65536", "x", "1/x/y", "1/", "\uff12"])
def test_nonsense_is_refused(text: str) -> None:
    """A filter that was misread would answer another question."""
    with pytest.raises(UsageError):
        port_range(text)
