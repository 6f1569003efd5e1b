"""TCP connections of the DNS proxy to servers: each is judged by the kernel when it is made, and the proxy is told.

connect(2) does not tell: a SYN that a rule drops is sent again, for minutes. So connection tracking is asked whether it
has left the node (`dns_origin.departed`). That can be deceived by what is left of an older connection between the same
ports: an entry that a server's reset has closed stands for another ten seconds, and a new SYN goes into it, also one
that is dropped afterwards (nf_conntrack_proto_tcp.c makes a new entry only where a FIN, or a reset of this side, has
closed the old one). An entry of a SYN that nobody has answered stands for two minutes. So it is remembered where such
connections were, for as long as an entry can stand; where one is made again at such a place, it is made anew from
another port.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable

from outgate.host.closing import Closing
from outgate.host.dns_origin import Server, departed
from outgate.host.dns_sockets import through

__all__ = ["Connections"]

_Place = tuple[str, int, Server]
"""Our address and port, and where it goes."""
_STANDS = 130.0
"""Seconds: more than any such entry (nf_conntrack_tcp_timeout_close is 10, _syn_sent 120)."""
_MOST = 16384
"""Places that are remembered: some megabytes."""
_TRIES = 4
_ESTABLISHED, _SYN_SENT, _CLOSE = 1, 2, 7
"""tcpi_state (include/net/tcp_states.h): it stands; nobody has answered; a reset has come."""


class Connections(Closing):
    """Those that are open, and where some were that left an entry behind. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._open: dict[socket.socket, _Place] = {}
        self._past: dict[_Place, float] = {}
        """Until when an entry may stand; all stand equally long, so the first stands first."""

    def close(self) -> None:
        """Ends all."""
        for made in list(self._open):
            self.end(made)

    def begin(self, server: Server, door: int = 0, *, resets: bool = False) -> socket.socket:
        """One that is being made, under the traffic class of a door (`outgate.nft.asking`); to be ended by `end`.

        `resets`: what the policies of a class deny is answered with a reset, so that one at once may be the policies'.

        Raises:
            PermissionError: the kernel has dropped its first packet, as it would raise it for a datagram.
            OSError: none can be had, or the server has refused already.
        """
        doubtful: list[socket.socket] = []
        try:
            for _ in range(_TRIES):
                made = _connecting(server, door, resets=resets)
                address, port = made.getsockname()[:2]
                place = self._open[made] = (address, port, server)
                if self._past.get(place, 0.0) <= self._clock():
                    return made
                doubtful.append(made)
            # A server that resets what comes, again and again. The kernel judges this one all the same.
            return doubtful.pop()
        finally:
            # Only now, so that each has had a port of its own.
            for made in doubtful:
                self.end(made)

    def end(self, made: socket.socket) -> None:
        """Closes one."""
        place = self._open.pop(made)
        state = _state(made)
        made.close()
        now = self._clock()
        self._past.pop(place, None)
        if state in {_SYN_SENT, _CLOSE}:
            self._past[place] = now + _STANDS
        while self._past and (len(self._past) > _MOST or next(iter(self._past.values())) <= now):
            del self._past[next(iter(self._past))]


def _state(made: socket.socket) -> int:
    """The first octet of struct tcp_info."""
    return made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def _connecting(server: Server, door: int, *, resets: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    with contextlib.ExitStack() as stack:
        made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        stack.callback(made.close)
        through(made, door)
        error = made.connect_ex((server.address, server.port))
        if error not in (0, errno.EINPROGRESS):
            raise OSError(error, "cannot be connected")
        # A server on this node has answered by now. What it says may not be tracked: NodeLocal DNSCache has it so.
        if _state(made) != _ESTABLISHED and not departed(made):
            # A server on this node that nobody listens for has sent its reset before connect(2) returns.
            error = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            raise OSError(errno.EPERM if resets or not error else error, "the first packet went nowhere")
        stack.pop_all()
    return made
