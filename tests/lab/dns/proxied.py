"""A DNS proxy that runs on the node of a town, in a thread of the test, with the orders that the test gives."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import msgspec

from outgate.agent.dns_proxy import DnsProxy
from outgate.agent.dns_settings import DnsSettings
from outgate.host.names_door import NamesDoor
from outgate.host.rewrite import put
from outgate.policy.names import Dialect
from outgate.proxy.learned import Limits
from outgate.proxy.orders import NameSet, Orders, PodOrder
from tests.lab.dns.town import CLUSTER_IP, NEIGHBOUR, POD, Town

__all__ = ["SHORT", "Proxied", "orders", "reaches"]

SHORT = DnsSettings(deadline=0.1, patience=2.0)


def orders(*patterns: str, dialect: Dialect = Dialect.CILIUM, **more: object) -> Orders:
    """The pod and its neighbour, both with rules for the names of the set `test`."""
    pods = tuple(PodOrder(key, tuple(one.values()), ("test",)) for key, one in (("pod/1", POD), ("next/1", NEIGHBOUR)))
    names = (NameSet(name="test", patterns=patterns or ("**.example.com",), dialect=dialect),)
    base = Orders(sets=names, pods=pods, floor=5, grace=5, cluster=("10.1.0.0/16",), nodes=("192.0.2.1",))
    return msgspec.structs.replace(base, **more)


class Proxied:
    """Begins when it is entered; at its end the proxy is stopped, and what it raised is raised."""

    def __init__(
        self,
        town: Town,
        told: Orders | None = None,
        *,
        settings: DnsSettings = SHORT,
        folder: Path | None = None,
        limits: Limits | None = None,
        door: Callable[[], NamesDoor] = NamesDoor,
    ) -> None:
        self.town = town
        self.folder = folder or Path(tempfile.mkdtemp())
        self.settings = replace(settings, run_dir=self.folder / "run", state_dir=self.folder / "state")
        self.said: list[str] = []
        self._limits, self._door = limits, door
        self._raised: list[BaseException] = []
        (self.settings.orders_file.parent).mkdir(parents=True, exist_ok=True)
        if told is not None:
            self.tell(told)

    def tell(self, told: Orders) -> None:
        """Writes orders, as the agent does."""
        put(self.settings.orders_file, msgspec.json.encode(told))

    def __enter__(self) -> Proxied:
        self.proxy = DnsProxy(self.settings, limits=self._limits, door=self._door(), say=self.said.append)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self.proxy.run()
        except BaseException as error:  # noqa: BLE001 -- whatever it is, the test is to see it
            self._raised.append(error)

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        self.proxy.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()
        self.proxy.close()
        if self._raised and kind is None:
            raise self._raised[0]

    def count(self, result: str) -> int:
        """A result so far."""
        return {one.value: count for one, count in self.proxy.measures.results.items()}.get(result, 0)

    def client(self, family: int = 4, *, neighbour: bool = False) -> socket.socket:
        """A UDP socket of a pod."""
        return self.town.socket(self.town.neighbour if neighbour else self.town.pod, family)

    def connection(self, family: int = 4, server: str = "") -> socket.socket:
        """A TCP connection of the pod to the cluster's DNS."""
        made = self.town.socket(self.town.pod, family, socket.SOCK_STREAM)
        made.connect((server or CLUSTER_IP[family], 53))
        return made


def reaches(town: Town, address: str, *, neighbour: bool = False) -> bool:
    """Whether a pod's first packet to an address in the world arrives, and its answer comes back."""
    family = 6 if ":" in address else 4
    server = town.socket(town.outside, family)
    server.bind((address, 7))
    server.settimeout(0.3)
    with server, town.socket(town.neighbour if neighbour else town.pod, family) as client:
        client.sendto(b"hello", (address, 7))
        try:
            server.recv(16)
        except TimeoutError:
            return False
        return True
