"""One exchange between two boxes of a lab, with bytes both ways: what the tests of the stage are made of."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct

from outgate.lab.build import Box, Stage

__all__ = ["echo", "tcp", "udp"]

PATIENCE = 5.0
"""Seconds after which an answer that should have come is a failure. Nothing waits that long when all is well."""


def family(address: object) -> socket.AddressFamily:
    """The socket family of an address."""
    return socket.AF_INET if ipaddress.ip_address(str(address)).version == 4 else socket.AF_INET6


def tcp(
    stage: Stage, source: Box, to: tuple[object, int], target: Box, at: tuple[object, int], bind: object = None
) -> str:
    """Connect from `source` to the address `to` while `target` listens on `at`; return whom the target saw.

    Raises what the kernel says where there is no connection (ConnectionRefusedError, TimeoutError).
    """
    with stage.enter(target):
        server = socket.create_server((str(at[0]), at[1]), family=family(at[0]))
    with stage.enter(source):
        client = socket.socket(family(to[0]), socket.SOCK_STREAM)
    with server, client:
        server.settimeout(PATIENCE)
        client.settimeout(PATIENCE)
        if bind is not None:
            client.bind((str(bind), 0))
        client.connect((str(to[0]), to[1]))
        taken, peer = server.accept()
        with taken:
            taken.settimeout(PATIENCE)
            client.sendall(b"there")
            assert taken.recv(16) == b"there"
            taken.sendall(b"back")
            assert client.recv(16) == b"back"
        return str(peer[0])


def udp(stage: Stage, source: Box, to: tuple[object, int], target: Box, at: tuple[object, int]) -> str:
    """Send a datagram to `to` and have it answered by `target` on `at`; return whom the target saw."""
    with stage.enter(target):
        server = socket.socket(family(at[0]), socket.SOCK_DGRAM)
    with stage.enter(source):
        client = socket.socket(family(to[0]), socket.SOCK_DGRAM)
    with server, client:
        server.bind((str(at[0]), at[1]))
        server.settimeout(PATIENCE)
        client.settimeout(PATIENCE)
        client.connect((str(to[0]), to[1]))
        client.send(b"there")
        data, peer = server.recvfrom(16)
        assert data == b"there"
        server.sendto(b"back", peer)
        assert client.recv(16) == b"back"
        return str(peer[0])


def echo(stage: Stage, source: Box, to: object) -> None:
    """Send one ICMP echo request and wait for its reply; TimeoutError where none comes."""
    six = family(to) is socket.AF_INET6
    request, reply = (128, 129) if six else (8, 0)
    body = os.urandom(16)
    head = struct.pack("!BBHHH", request, 0, 0, os.getpid() & 0xFFFF, 1)
    if not six:
        head = struct.pack("!BBHHH", request, 0, _checksum(head + body), os.getpid() & 0xFFFF, 1)
    with stage.enter(source):
        raw = socket.socket(family(to), socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
    with raw:
        raw.settimeout(PATIENCE)
        raw.sendto(head + body, (str(to), 0))
        while True:
            packet = raw.recv(256)
            message = packet if six else packet[(packet[0] & 15) * 4 :]
            if message[0] == reply and message.endswith(body):
                return


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
