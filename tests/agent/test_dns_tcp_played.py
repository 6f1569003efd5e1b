"""Questions over TCP in games by chance, and the moments of them that were lost once."""

from __future__ import annotations

import pytest

from outgate.agent.dns_measures import Result
from outgate.proxy import dns
from tests.lab.dns.cast import Asker, Served
from tests.lab.dns.played import Game
from tests.lab.dns.stage import PODS, play

_GAMES = 120
_STEPS = 150


@pytest.mark.parametrize("part", range(3))
def test_whatever_pods_and_servers_do(part: int) -> None:
    """Each question is answered once, by its own server, or its connection ends; bounds hold, and nothing is left."""
    play(Game, range(part, _GAMES, 3), _STEPS)


def begun(game: Game) -> tuple[Asker, Served]:
    """A pod that has asked, and the server that has heard it."""
    pod = game.connect(PODS[0])
    assert pod is not None
    pod.send(dns.frame(game.book.question(pod, "a.test")))
    game.settle()
    (server,) = game.served
    server.take()
    return pod, server


@pytest.mark.parametrize("asks", [False, True], ids=["silent", "asking"])
def test_what_a_server_has_said_before_a_reset_is_heard(asks: bool) -> None:
    """A server that ends while it has not read all that was asked resets (RFC 1122, 4.2.2.13); it has answered once.

    Also where the proxy hears of the reset because it sends the next question.
    """
    with Game(1, tight=False) as game:
        pod, server = begun(game)
        if asks:
            pod.send(dns.frame(game.book.question(pod, "a.test")))
        game.answer(server, server.open.pop())
        game.leave(server, "reset")
        game.end()
        assert pod.promised
        assert pod.promised <= pod.heard.keys()


def test_without_descriptors_there_is_neither_a_busy_loop_nor_deafness() -> None:
    """accept(2) leaves what it cannot take, and the listener stays ready. The most silent goes, if there is one."""
    with Game(1, tight=False) as game:
        first = game.starve()
        assert first is not None
        assert not game.side._conversations
        game.wait(1.0)
        game.settle()
        assert len(game.side._conversations) == 1
        second = game.starve()
        assert second is not None
        assert game.measures.results[Result.NO_ROOM] == 1
        game.read(first)
        assert first.ended
        game.wait(1.0)
        second.send(dns.frame(game.book.question(second, "a.test")))
        game.end()
        assert len(second.heard) == 1


@pytest.mark.parametrize("there", [False, True], ids=["nobody", "another"])
def test_a_connection_ends_with_its_pod(there: bool) -> None:
    """What it has asked is not answered to whoever has its address now, and what it asks is not judged as his."""
    with Game(1, tight=False) as game:
        pod, server = begun(game)
        game.answer(server, server.open.pop())
        game.settle()
        assert game.kernel.waiting
        game.change(PODS[0], there=there)
        game.kernel.take(9)
        game.desk.committed()
        game.desk.overdue(game.now + 1)
        game.read(pod)
        assert pod.ended
        assert not pod.heard
        assert not game.side._conversations
        taken_out = [one.address for _, lesson in game.kernel.waiting for one in lesson.gone]
        assert len(taken_out) == 1
