"""Rules about requests through the whole agent, with a real Envoy: from the API server to requests."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgate.agent.settings import SIDECAR
from outgate.cli.main import main
from outgate.errors import KernelError
from outgate.host import envoy, process
from outgate.host.nft import Nftables
from outgate.testing import Manifest
from outgate.testing_cilium import cilium_policy
from tests.deploy.chart import rendered
from tests.lab.agent.cast import CLUSTER, exchange, relabelled, silent
from tests.lab.agent.farm import Farm, grow
from tests.lab.proxied import needs_envoy, read_reply

pytestmark = [pytest.mark.kernel, needs_envoy]

PORT = 8080
THREE = {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "b", "app": "three"}}
GET = b"GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"
DELETE = b"DELETE /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"


def program() -> str:
    """Envoy's path; the tests are skipped without one."""
    try:
        return envoy.binary()
    except KernelError:
        return ""


def rule(*methods: str, plain: bool = False) -> Manifest:
    """What a/one may ask of b/three: these methods and, by a plain rule beside, anything."""
    ports = {"ports": [{"port": str(PORT), "protocol": "TCP"}]}
    looked = {**ports, "rules": {"http": [{"method": one} for one in methods]}}
    egress = [{"toEndpoints": [THREE], "toPorts": [one]} for one in ([looked, ports] if plain else [looked])]
    return cilium_policy("a/requests", {"endpointSelector": {"matchLabels": {"app": "one"}}, "egress": egress})


class Fine(http.server.BaseHTTPRequestHandler):
    """Every request is fine."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Any method."""
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_DELETE = do_GET  # noqa: N815 -- the base class wants this name

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def serving(farm: Farm) -> Iterator[None]:
    """A server in b/three, a process that dies with this one."""
    with farm.stage.enter(farm.box("b/three")):
        server = http.server.ThreadingHTTPServer(("", PORT), Fine)

        def serve() -> int:
            server.serve_forever()
            return 0

        pid = process.fork(serve)
    server.socket.close()
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def connected(farm: Farm, source: str) -> socket.socket:
    """A connection to the server; its timeout is that of an attempt which is dropped."""
    with farm.stage.enter(farm.box(source)):
        one = socket.socket()
    one.settimeout(1)
    one.connect((farm.address("b/three"), PORT))
    return one


def asked(farm: Farm, request: bytes, source: str = "a/one") -> int:
    """The status of the answer; 0 where there is none."""
    try:
        with connected(farm, source) as one:
            one.sendall(request)
            return read_reply(one).status
    except OSError:
        return 0


def test_requests_are_judged_and_others_are_left_alone() -> None:
    """GET passes, DELETE is refused, and a pod that the policy does not select is not concerned."""

    def check(farm: Farm) -> None:
        with serving(farm):
            farm.until(lambda: asked(farm, GET) == 200)
            assert asked(farm, DELETE) == 403
            assert asked(farm, DELETE, "a/two") == 200
            logs = [farm.settings(node).request_log for node in farm.agents]
            farm.until(lambda: any(one.exists() and one.read_bytes().endswith(b"\n") for one in logs))
            (line,) = [json.loads(line) for one in logs if one.exists() for line in one.read_text().splitlines()]
            said = line["request"]
            assert (line["verdict"], said["method"], said["path"]) == ("refused", "DELETE", "/v1/x")
            assert said["rules"][0].startswith("CiliumNetworkPolicy a/requests")
            assert (line["pod"]["name"], line["source"], line["policy"]) == ("one", farm.address("a/one"), "a/requests")
            assert line["peer"]["kind"] == "Pod"

    grow([*CLUSTER, rule("GET")], check, envoy=program())


def test_29_without_envoy_it_is_closed_until_it_is_back() -> None:
    """The supervisor starts another, which begins with the rules."""

    def check(farm: Farm) -> None:
        with serving(farm):
            farm.until(lambda: asked(farm, GET) == 200)
            for pid in _envoys(farm):
                os.kill(pid, signal.SIGKILL)
            assert asked(farm, DELETE) in {0, 403}
            farm.until(lambda: asked(farm, GET) == 200)
            assert asked(farm, DELETE) == 403

    grow([*CLUSTER, rule("GET")], check, envoy=program())


def _envoys(farm: Farm) -> list[int]:
    """The processes below the farm's agents that run Envoy."""
    mine = {one.pid for one in farm.agents.values()}
    found = []
    for place in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in mine and "envoy" in (place / "cmdline").read_text():
                found.append(int(place.name))
    return found


def test_a_change_meets_the_next_request_of_a_kept_connection() -> None:
    """A rule that is tightened, and one without conditions beside it, which makes it void."""

    def check(farm: Farm) -> None:
        with serving(farm):
            farm.until(lambda: asked(farm, GET) == 200)
            with connected(farm, "a/one") as kept:

                def status(request: bytes) -> int:
                    kept.sendall(request)
                    return read_reply(kept).status

                assert status(GET) == 200
                farm.server.put(rule("PUT"))
                farm.settle()
                farm.until(lambda: status(GET) == 403)
                farm.server.put(rule("PUT", plain=True))
                farm.settle()
                farm.until(lambda: status(DELETE) == 200)
            assert asked(farm, DELETE) == 200

    grow([*CLUSTER, rule("GET")], check, envoy=program())


def on(kept: socket.socket, request: bytes) -> int:
    """The status of the answer on a connection that is there."""
    kept.sendall(request)
    return read_reply(kept).status


def catches(farm: Farm) -> bool:
    """Whether the table of the pod's node has what leads to the proxy."""
    with farm.stage.enter(farm.stage.nodes["n1"]):
        table = Nftables().list()
    return table is not None and "catch" in table.chains


def test_the_last_rule_goes_and_what_is_kept_goes_on() -> None:
    """As it is allowed now, by nothing at all and by a plain rule; new connections do not come to Envoy any more.

    Once Envoy holds none, nothing of it is left in the table.
    """

    def check(farm: Farm) -> None:
        plain = cilium_policy(
            "a/requests",
            {"endpointSelector": {"matchLabels": {"app": "one"}}, "egress": [{"toEndpoints": [THREE]}]},
        )
        with serving(farm):
            farm.until(lambda: asked(farm, GET) == 200)
            with connected(farm, "a/one") as kept:
                assert [on(kept, one) for one in (GET, DELETE)] == [200, 403]
                farm.server.put(plain)
                farm.settle()
                farm.until(lambda: on(kept, DELETE) == 200)
                farm.server.delete("CiliumNetworkPolicy", "a", "requests")
                farm.settle()
                farm.until(lambda: on(kept, DELETE) == 200)
                for pid in _envoys(farm):
                    os.kill(pid, signal.SIGSTOP)
                assert asked(farm, DELETE) == 200
                for pid in _envoys(farm):
                    os.kill(pid, signal.SIGCONT)
                assert on(kept, GET) == 200
                assert catches(farm)
            farm.until(lambda: not catches(farm))
            assert asked(farm, DELETE) == 200
            # And it begins anew.
            farm.server.put(rule("GET"))
            farm.settle()
            farm.until(lambda: [asked(farm, one) for one in (GET, DELETE)] == [200, 403])

    grow([*CLUSTER, rule("GET")], check, envoy=program())


def test_a_pod_leaves_the_rule_and_what_it_keeps_goes_on() -> None:
    """It is labelled anew, while the rule stays for another pod of the node."""

    def check(farm: Farm) -> None:
        one = next(it for it in CLUSTER if it["metadata"]["name"] == "one")
        two = next(it for it in CLUSTER if it["metadata"]["name"] == "two")
        farm.server.put(relabelled(two, app="one"))
        farm.settle()
        with serving(farm):
            farm.until(lambda: asked(farm, GET) == 200 and asked(farm, DELETE, "a/two") == 403)
            with connected(farm, "a/one") as kept:
                assert on(kept, GET) == 200
                farm.server.put(relabelled(one, app="else"))
                farm.settle()
                farm.until(lambda: on(kept, DELETE) == 200)
                assert asked(farm, DELETE, "a/two") == 403
                farm.server.put(one)
                farm.settle()
                farm.until(lambda: on(kept, DELETE) == 403)

    grow([*CLUSTER, rule("GET")], check, envoy=program())


def test_nothing_is_lost_while_rules_come_and_go() -> None:
    """What is allowed before a change and after it is allowed in between: new connections, one after the other.

    One that is direct when a rule comes is cut, so each has a second try, and that at once.
    """

    def check(farm: Farm) -> None:
        plain = cilium_policy(
            "a/requests",
            {"endpointSelector": {"matchLabels": {"app": "one"}}, "egress": [{"toEndpoints": [THREE]}]},
        )
        stop, seen = threading.Event(), []

        def load() -> None:
            while not stop.is_set():
                seen.append(asked(farm, GET) or asked(farm, GET))

        with serving(farm):
            farm.until(lambda: asked(farm, GET) == 200)
            thread = threading.Thread(target=load)
            thread.start()
            for one in [plain, rule("GET"), rule("GET", "PUT"), rule("GET")] * 4:
                before = len(seen)
                farm.server.put(one)
                farm.settle()
                farm.until(lambda: len(seen) > before + 3)  # noqa: B023 -- called before the next turn
            stop.set()
            thread.join()
        assert set(seen) == {200}

    grow([*CLUSTER, rule("GET")], check, envoy=program())


@pytest.mark.parametrize("labelled", [False, True])
def test_what_was_direct_before_a_rule_is_cut(labelled: bool) -> None:
    """Nobody looks into it, so neither end gets a word through, and the pod is told at once.

    The rule comes, or the pod comes to the rule. What the pod sends itself does not make its connection judged.
    """

    def check(farm: Farm) -> None:
        one = next(it for it in CLUSTER if it["metadata"]["name"] == "one")
        if labelled:
            farm.server.put(relabelled(one, app="else"))
            farm.server.put(rule("GET"))
            farm.settle()
        with farm.connection("a/one", "b/three", PORT) as (client, server):
            exchange(client, server)
            farm.server.put(one if labelled else rule("GET"))
            farm.settle()

            def told() -> None:
                before = farm.dropped()
                server.sendall(b"unseen")
                farm.until(lambda: farm.dropped() > before)

            told()
            assert silent(client)
            client.sendall(GET)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            told()
            assert silent(server)

    grow(CLUSTER, check, envoy=program())


def test_without_envoy_such_rules_are_closed_and_said() -> None:
    """By default there is none."""

    def check(farm: Farm) -> None:
        with serving(farm):
            assert asked(farm, GET) == 0
            assert asked(farm, GET, "a/two") == 200
        texts = [farm.settings(node).status_file for node in farm.agents]
        farm.until(lambda: any(one.exists() and "see --envoy" in one.read_text() for one in texts))

    grow([*CLUSTER, rule("GET")], check)


@contextlib.contextmanager
def beside(farm: Farm, node: str) -> Iterator[None]:
    """Envoy of a node as the chart's containers have it: the folder, then the program, with one capability."""
    pod = rendered("http").daemonset()
    (container,) = [one for one in pod["containers"] if one["name"] == "envoy"]
    folder = farm.settings(node).envoy_dir
    assert main(["agent", "envoy", "--run-dir", str(farm.settings(node).run_dir)]) == 0
    told = [one.replace("/run/outgate/envoy", str(folder)) for one in container["args"]]
    added = ",".join(f"+{one.lower()}" for one in container["securityContext"]["capabilities"]["add"])
    rights = [f"--bounding-set=-all,{added}", f"--inh-caps=-all,{added}", "--no-new-privs", "--pdeathsig=KILL"]
    with (folder / "noise").open("wb") as noise, farm.stage.enter(farm.stage.nodes[node]):
        running = process.start(["setpriv", *rights, "--", program(), *told], output=noise)
    try:
        yield
        assert running.code is None, (folder / "noise").read_text()
    finally:
        running.stop()


def test_an_envoy_beside_the_agent_outlives_it() -> None:
    """Without an agent its rules stand, as those of the kernel do; the next agent takes it over and closes nothing."""

    def check(farm: Farm) -> None:
        with serving(farm):
            assert asked(farm, GET) == 0
            with beside(farm, "n1"):
                farm.until(lambda: asked(farm, GET) == 200)
                assert asked(farm, DELETE) == 403
                with connected(farm, "a/one") as kept:

                    def status(request: bytes) -> int:
                        kept.sendall(request)
                        return read_reply(kept).status

                    assert status(GET) == 200
                    log = farm.settings("n1").request_log
                    # Envoy writes of a refusal within a tenth of a second, and the agent after it.
                    farm.until(log.exists)
                    farm.kill("n1")
                    assert (status(GET), status(DELETE)) == (200, 403)
                    assert (asked(farm, GET), asked(farm, DELETE)) == (200, 403), "a new connection likewise"
                    logged = len(log.read_bytes().splitlines())
                    farm.start("n1")
                    farm.settled()
                    assert (status(GET), status(DELETE)) == (200, 403)
                    farm.server.put(rule("DELETE"))
                    farm.settled().until(lambda: (status(GET), status(DELETE)) == (403, 200))
                assert asked(farm, DELETE) == 200
                farm.until(lambda: len(log.read_bytes().splitlines()) > logged)
            assert asked(farm, DELETE) == 0

    grow([*CLUSTER, rule("GET")], check, envoy=SIDECAR)
