"""One agent, put together, in a network namespace of its own. What it does to packets is held by `tests/lab/agent`."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from outgate.agent.agent import Agent
from outgate.agent.loop import Observer
from outgate.agent.settings import Settings
from outgate.agent.step import State
from outgate.cluster.access import Access, Credentials
from outgate.cluster.watch import Pace
from outgate.host import process
from tests.cluster.watchserver import WatchServer
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel


class Ready(Observer):
    """Knows when the kernel has been given the whole cluster, and nothing is left to do."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def turned(self, state: State, now: float) -> None:  # noqa: ARG002 - as it is called
        """A turn is done."""
        if state.ready and state.settled:
            self.event.set()


def test_failures_of_the_api_server_reach_the_metric() -> None:
    """It stood at nothing, whatever went wrong: an alert on it would never have come."""

    def body() -> list[str]:
        process.run(("ip", "link", "set", "lo", "up"))
        ready = Ready()
        with tempfile.TemporaryDirectory() as folder, WatchServer() as server:
            server.fail(503, times=3)
            settings = Settings(
                "n1",
                log_group=None,
                listen="",
                write_events=False,
                interface_prefix="veth",
                run_dir=Path(folder),
                state_dir=Path(folder),
            )
            access = Access("cluster:test", urlsplit(server.url), Credentials)
            agent = Agent(settings, access, (ready,), pace=Pace(start=0, relist=0, first=0.01, longest=0.02))
            running = threading.Thread(target=agent.run)
            running.start()
            try:
                assert ready.event.wait(30)
                text = agent.companions.measures.exposition()[1].decode()
            finally:
                agent.stop()
                running.join(30)
        return [line for line in text.splitlines() if line.startswith("outgate_api_errors_total{")]

    lines = alone(body)
    assert all('code="503"' in line for line in lines)
    assert sum(float(line.rpartition(" ")[2]) for line in lines) == 3
