"""What is swept is said; what cannot be is said, too, and tried again."""

from __future__ import annotations

import queue
import threading

import pytest

from outgate.agent import sweeper
from outgate.agent.events import Event, Swept
from outgate.agent.sweeper import Sweeper
from outgate.agent.trust import Sweep
from outgate.errors import KernelError
from outgate.nft.epoch import Epoch

NOW = Epoch(0xFFFF_0000, 7)


def test_it_sweeps_what_it_is_told_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is said to be swept and is not would be believed."""
    heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
    asked: list[tuple[object, ...]] = []
    said: list[str] = []

    def forget(*what: object) -> int:
        asked.append(what)
        if len(asked) == 1:
            assert heard.empty()
            raise KernelError("no buffer space")
        return 0

    monkeypatch.setattr(sweeper, "forget", forget)
    monkeypatch.setattr(sweeper, "_RETRY", 0.0)
    one = Sweeper(heard.put, said.append)
    one.start()
    one.sweeping(Sweep(NOW, None))
    assert heard.get(timeout=60) == Swept()
    one.stop()
    assert asked == [(NOW.mask, NOW.bits, None)] * 2
    assert said == ["connections cannot be swept, so they are judged anew: no buffer space"]


def test_it_ends_while_it_waits_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that is to stop stops, whatever the kernel says."""
    tried = threading.Event()

    def forget(*_: object) -> int:
        tried.set()
        raise KernelError("no buffer space")

    monkeypatch.setattr(sweeper, "forget", forget)
    monkeypatch.setattr(sweeper, "_RETRY", 3600.0)
    heard: list[Event] = []
    one = Sweeper(heard.append, lambda _: None)
    one.start()
    one.sweeping(Sweep(NOW, None))
    assert tried.wait(60)
    one.stop()
    assert heard == []
