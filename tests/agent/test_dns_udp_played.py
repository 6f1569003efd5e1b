"""Questions over UDP in games by chance: a pod hears the answers of its own questions, each once."""

from __future__ import annotations

import socket

import pytest

from outgate.agent.dns_measures import Result
from outgate.agent.dns_settings import DnsSettings
from outgate.host.dns_origin import Server
from tests.lab.dns.played_udp import UdpGame
from tests.lab.dns.stage import PATIENCE, PODS, play

_GAMES = 80
_STEPS = 150


@pytest.mark.parametrize("part", range(2))
def test_whatever_pods_and_servers_do(part: int) -> None:
    """Each question is answered once, by its own server or for want of one, until patience ends; nothing is left."""
    play(UdpGame, range(part, _GAMES, 2), _STEPS)


@pytest.mark.parametrize("there", [False, True], ids=["nobody", "another"])
@pytest.mark.parametrize("when", ["asked", "held", "refused"])
def test_what_a_pod_has_asked_ends_with_it(when: str, there: bool) -> None:
    """Its answer is not for whoever has its address now, also where it waits for the kernel, or there is no server."""
    with UdpGame(1) as game:
        pod = game.come(PODS[0], 0)
        assert pod is not None
        for _ in range(2):
            pod.socket.send(game.book.question(pod, "a.test"))
        game.settle()
        server = game.servers[0]
        server.take()
        first, second = server.open
        if when == "held":
            game.answer(server, *first)
            game.settle()
            assert game.kernel.waiting
        game.change(PODS[0], there=there)
        assert game.origins.forgotten == [PODS[0]]
        if when == "refused":
            server.go()
            other = game.come(PODS[1], 0)
            assert other is not None
            other.socket.send(game.book.question(other, "a.test"))
        elif when == "asked":
            game.answer(server, *first)
        else:
            game.kernel.take(9)
            game.desk.committed()
            game.answer(server, *second)
        game.settle()
        game.desk.overdue(game.now + 1)
        game.read(pod)
        assert not pod.heard
        assert game.measures.results[Result.UNREACHABLE] == {"refused": 1}.get(when, 0), "the other pod's"
        assert not game.side.questions


def test_a_server_that_is_not_there_costs_no_sockets() -> None:
    """Each question is told so at once, and the next goes over another socket; none of them is kept."""
    with UdpGame(1) as game:
        pod = game.come(PODS[0], 0)
        assert pod is not None
        game.servers[0].go()
        for count in range(1, 50):
            pod.socket.send(game.book.question(pod, "a.test"))
            game.settle()
            game.read(pod)
            assert len(pod.heard) == game.measures.results[Result.UNREACHABLE] == count
        assert not game.side._by_number


@pytest.mark.parametrize("old", [2048, 3])
def test_a_pod_that_asks_everybody_has_a_bounded_number_of_sockets(old: int) -> None:
    """One for each question that it may have open, and no more than that of those that are asked no more."""
    game = UdpGame(1)
    game._settings = DnsSettings(patience=PATIENCE, most_of_a_pod=7)
    game._bounds = {"_SERVERS": (1,), "_OLD": (old,)}
    with game, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as everybody:
        everybody.bind(("0.0.0.0", 0))
        port = everybody.getsockname()[1]
        pod = game.come(PODS[0], 0)
        assert pod is not None
        for last in range(1, 21):
            game.origins.targets[pod.socket.getsockname()] = Server(f"127.0.1.{last}", port)
            pod.socket.send(game.book.question(pod, "a.test"))
            game.settle()
        left = min(7, 1 + old)
        assert len(game.side.questions) == len(game.side._by_number) == left
        assert game.measures.results[Result.NO_ROOM] == 20 - left
        # Whoever gives up one has room for another.
        game.wait(PATIENCE + 1)
        assert game.measures.results[Result.TIMEOUT] == left
        pod.socket.send(game.book.question(pod, "a.test"))
        game.settle()
        assert len(game.side.questions) == 1


def test_the_same_answer_once_more_is_for_nobody_else_either() -> None:
    """What an answer teaches is not found out twice, and so nothing else stops it."""
    with UdpGame(1) as game:
        pod = game.come(PODS[0], 0)
        assert pod is not None
        question = game.book.question(pod, "c.test")
        for _ in range(3):
            pod.socket.send(question)
        game.settle()
        server = game.servers[0]
        server.take()
        answer = game.book.answer(question)
        game.change(PODS[0], there=True)
        for asked, sender in server.open:
            server.socket.sendto(asked[:2] + answer[2:], sender)
        game.settle()
        assert game.measures.results[Result.STRAY] == 3, "nobody waits for it"
        game.read(pod)
        assert not pod.heard
