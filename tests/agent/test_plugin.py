"""The plugin, as a process that is spoken to by the CNI protocol."""

from __future__ import annotations

import ast
import io
import ipaddress
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.agent import plugin
from outgate.agent.events import Born, Died, Forgotten
from tests.agent.calling import PREVIOUS, Listener, call, configuration, ended, started, variables

ADDRESSES = (ipaddress.ip_address("10.1.0.5"), ipaddress.ip_address("fd00::5"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the agent's socket is to be."""
    return tmp_path / "run" / "cni.sock"


# ---- ADD -------------------------------------------------------------------------------------------------------------


def test_add_waits_for_the_answer_and_passes_the_result_on(path: Path) -> None:
    """Enforcement property 2: a pod starts when its policies are in, and not before."""
    with Listener(path, answers=False) as agent:
        process = started(variables("ADD"))
        assert process.stdin is not None
        process.stdin.write(json.dumps(configuration(path)).encode())
        process.stdin.close()
        process.stdin = None
        born = agent.next()
        assert isinstance(born, Born)
        assert (born.namespace, born.name, born.claim.uid) == ("shop", "web-1", "u-1")
        assert (born.claim.addresses, born.claim.interface) == (ADDRESSES, "cni0")
        assert process.poll() is None
        assert agent.server.waiting == 1
        agent.server.answer(born.token)
        said = ended(process, b"")
    assert (said.code, said.answer, said.err) == (0, PREVIOUS, "")


@pytest.mark.parametrize("limit", [0.2, 1])
def test_add_is_closed_at_its_limit(path: Path, limit: float) -> None:
    """An agent that does not know the pod's policies must not be taken for one that does."""
    with Listener(path, answers=False) as agent:
        said = call("ADD", configuration(path, timeoutSeconds=limit))
        born = agent.next()
        assert isinstance(born, Born)
        assert agent.next() == Forgotten(born.token)
    assert said.code == 1
    assert (said.answer["cniVersion"], said.answer["code"]) == ("1.0.0", 11)
    assert "not confirmed" in said.answer["msg"]


def test_add_without_an_agent_is_closed(path: Path) -> None:
    """The same error, with the place where nobody was."""
    said = call("ADD", configuration(path, timeoutSeconds=0.2))
    assert (said.code, said.answer["code"]) == (1, 11)
    assert str(path) in said.answer["details"]


def test_a_cluster_may_choose_to_be_open(path: Path) -> None:
    """The opt-out: late is started all the same, and it is said where the runtime keeps its log."""
    said = call("ADD", configuration(path, timeoutSeconds=0.2, onTimeout="open"))
    assert (said.code, said.answer) == (0, PREVIOUS)
    assert "not confirmed" in said.err


def test_what_the_agent_refuses_is_not_open(path: Path) -> None:
    """The opt-out is about time, not about a pod that nobody can place."""
    result = PREVIOUS | {"interfaces": [{"name": "no interface name of Linux"}]}
    with Listener(path):
        said = call("ADD", configuration(path, onTimeout="open", prevResult=result))
    assert (said.code, said.answer["code"]) == (1, 7)


def test_an_agent_that_starts_late_is_found(path: Path) -> None:
    """A node boots: pods come before the agent."""
    process = started(variables("ADD"))
    assert process.stdin is not None
    process.stdin.write(json.dumps(configuration(path)).encode())
    process.stdin.close()
    process.stdin = None
    with Listener(path):
        assert ended(process, b"").code == 0


def test_a_plugin_that_waits_asks_the_next_agent(path: Path) -> None:
    """An agent is upgraded while a pod is made."""
    with Listener(path, answers=False) as first:
        process = started(variables("ADD"))
        assert process.stdin is not None
        process.stdin.write(json.dumps(configuration(path)).encode())
        process.stdin.close()
        process.stdin = None
        first.next()
    with Listener(path) as second:
        said = ended(process, b"")
        assert isinstance(second.next(), Born)
    assert (said.code, said.answer) == (0, PREVIOUS)


@pytest.mark.parametrize("answer", [b"", b"\n", b"nonsense\n", b"[]\n", b'{"result":"refused"}\n', b'{"result":{}}\n'])
def test_an_answer_that_is_none_is_no_yes(path: Path, answer: bytes) -> None:
    """Whatever listens there: only the word of an agent starts a pod."""
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        process = started(variables("ADD"))
        assert process.stdin is not None
        process.stdin.write(json.dumps(configuration(path, timeoutSeconds=0.6)).encode())
        process.stdin.close()
        process.stdin = None
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)
        said = ended(process, b"")
    assert (said.code, said.answer["code"]) == (1, 11)


@pytest.mark.parametrize("version", plugin.SUPPORTED)
def test_the_result_is_of_the_configured_version(path: Path, version: str) -> None:
    """Exactly as it was where the version is the same; converted where the plugin before spoke another."""
    same = PREVIOUS | {"cniVersion": version, "big": 2**70, "text": "\ud800"}
    with Listener(path):
        assert call("ADD", configuration(path, cniVersion=version, prevResult=same)).answer == same
        said = call("ADD", configuration(path, cniVersion=version)).answer
    assert said["cniVersion"] == version
    assert [one.get("version") for one in said["ips"]] == (["4", "6"] if version < "1" else [None, None])


def test_other_networks_of_a_pod_pass(path: Path) -> None:
    """A policy is about ``status.podIPs``; a second network must not take their place."""
    assert call("ADD", configuration(path), CNI_IFNAME="net1").answer == PREVIOUS
    assert call("CHECK", configuration(path), CNI_IFNAME="net1").code == 0
    with Listener(path) as agent:
        assert call("DEL", configuration(path), CNI_IFNAME="net1").code == 0
        assert agent.events.empty()


@pytest.mark.parametrize(
    ("result", "interface"),
    [
        ({"ips": [{"address": "10.1.0.5/32"}], "interfaces": [{"name": "cali1"}]}, "cali1"),
        ({"ips": [{"address": "10.1.0.5/32"}]}, ""),
        ({"ips": [{"address": "10.1.0.5/32", "interface": 9}], "interfaces": [{"name": "e", "sandbox": "x"}]}, ""),
        (
            {"ips": [{"address": "10.1.0.5/32", "interface": 1}], "interfaces": [{"name": "a"}, {"name": "b"}]},
            "b",
        ),
    ],
)
def test_the_end_of_the_link_on_the_node(path: Path, result: dict[str, Any], interface: str) -> None:
    """An interface without a sandbox is the node's; where none is named, none is made up."""
    with Listener(path) as agent:
        assert call("ADD", configuration(path, prevResult={"cniVersion": "1.0.0"} | result)).code == 0
        born = agent.next()
    assert isinstance(born, Born)
    assert (born.claim.addresses, born.claim.interface) == (ADDRESSES[:1], interface)


# ---- the others ------------------------------------------------------------------------------------------------------


def test_del_tells_the_agent_and_never_fails(path: Path) -> None:
    """Not without an agent, not twice, not with a configuration that nobody understands."""
    with Listener(path) as agent:
        for _ in range(2):
            assert call("DEL", configuration(path)).code == 0
            assert agent.next() == Died("shop", "web-1", "u-1", ADDRESSES)
        assert call("DEL", configuration(path, prevResult=None)).code == 0
        assert agent.next() == Died("shop", "web-1", "u-1")
    for config in (configuration(path), b"", b"[]", {"cniVersion": "9"}):
        said = call("DEL", config)
        assert (said.code, said.out) == (0, "")
    assert call("DEL", configuration(path), CNI_ARGS="", CNI_NETNS="").code == 0


def test_check_asks_again(path: Path) -> None:
    """Whether the pod is enforced now."""
    with Listener(path):
        said = call("CHECK", configuration(path))
        assert (said.code, said.out) == (0, "")
    assert call("CHECK", configuration(path, timeoutSeconds=0.1)).answer["code"] == 11


def test_status(path: Path) -> None:
    """Code 50, "plugin is not available", keeps pods away from a node that cannot start them."""
    config = configuration(path, cniVersion="1.1.0", prevResult=None)
    assert call("STATUS", config, CNI_CONTAINERID="", CNI_IFNAME="", CNI_NETNS="", CNI_ARGS="").answer["code"] == 50
    with Listener(path) as agent:
        assert call("STATUS", config).code == 0
        agent.ready = False
        said = call("STATUS", config)
    assert (said.answer["code"], said.answer["cniVersion"]) == (50, "1.1.0")
    assert "not ready" in said.answer["details"]


def test_gc_names_what_is_left(path: Path) -> None:
    """A pod whose DEL was lost is taken away when its container is not among the valid ones."""
    config = configuration(path, cniVersion="1.1.0")
    with Listener(path) as agent:
        assert call("ADD", config).code == 0
        agent.next()
        kept = {"cni.dev/valid-attachments": [{"containerID": "c0ffee", "ifname": "eth0"}]}
        assert call("GC", config | kept, CNI_CONTAINERID="").code == 0
        assert agent.events.empty()
        assert call("GC", config | {"cni.dev/valid-attachments": []}, CNI_CONTAINERID="").code == 0
        assert agent.next() == Died("shop", "web-1", "u-1")
    assert call("GC", config | {"cni.dev/valid-attachments": 5}).code == 0


@pytest.mark.parametrize("text", [b"", b"{}", b'{"cniVersion":"0.4.0"}', b"\xff"])
def test_version(text: bytes) -> None:
    """Asked before anything else, and by any runtime."""
    said = call("VERSION", text)
    assert said.code == 0
    assert said.answer["supportedVersions"] == ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]
    assert said.answer["cniVersion"] == ("0.4.0" if b"0.4" in text else "1.1.0")


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "environment", "config"),
    [
        (4, {"CNI_COMMAND": ""}, {}),
        (4, {"CNI_COMMAND": "add"}, {}),
        (4, {"CNI_CONTAINERID": ""}, {}),
        (4, {"CNI_CONTAINERID": "../x"}, {}),
        (4, {"CNI_IFNAME": "a/b"}, {}),
        (4, {"CNI_IFNAME": "sixteen-letters-"}, {}),
        (4, {"CNI_NETNS": ""}, {}),
        (4, {"CNI_ARGS": ""}, {}),
        (4, {"CNI_ARGS": ";;K8S_POD_NAME=x;=;K8S_POD_NAMESPACE"}, {}),
        (6, {}, b""),
        (6, {}, b"{"),
        (6, {}, b"[]"),
        (6, {}, b'"\xff"'),
        (6, {}, b"[" * 100_000),
        (6, {}, b'{"cniVersion":"1.0.0","prevResult":{"x":NaN}}'),
        (6, {}, b'{"cniVersion":"1.0.0","prevResult":{"x":1e999}}'),
        (6, {}, b'{"cniVersion":"1.0.0","prevResult":{"x":' + b"9" * 5000 + b"}}"),
        (1, {}, {"cniVersion": "0.2.0"}),
        (1, {}, {"cniVersion": None}),
        (1, {}, {"cniVersion": ["1.0.0"]}),
        (7, {}, {"prevResult": None}),
        (7, {}, {"prevResult": []}),
        (7, {}, {"prevResult": {"ips": 5}}),
        (7, {}, {"prevResult": {"ips": [{}]}}),
        (7, {}, {"prevResult": {"ips": [{"address": "here"}]}}),
        (7, {}, {"prevResult": {"ips": [{"address": "10.0.0.1\0"}]}}),
        (7, {}, {"prevResult": {"ips": [], "interfaces": [7]}}),
        (7, {}, {"socket": "here"}),
        (7, {}, {"socket": "/" + "x" * 107}),
        (7, {}, {"socket": "/\0"}),
        (7, {}, {"timeoutSeconds": 0}),
        (7, {}, {"timeoutSeconds": 111}),
        (7, {}, {"timeoutSeconds": True}),
        (7, {}, {"timeoutSeconds": "30"}),
        (7, {}, {"onTimeout": "ajar"}),
        (7, {}, {"interface": 5}),
    ],
)
def test_bad_input_is_an_error_object(
    path: Path, code: int, environment: dict[str, str], config: bytes | dict[str, Any]
) -> None:
    """With the specification's codes; a traceback would be shown to nobody who can do anything about it."""
    given_ = config if isinstance(config, bytes) else configuration(path, **({"timeoutSeconds": 1} | config))
    command = environment.pop("CNI_COMMAND", "ADD")
    said = call(command, given_, **environment)
    assert (said.code, said.err) == (1, "")
    assert (said.answer["code"], bool(said.answer["msg"])) == (code, True)
    assert said.answer["cniVersion"] in plugin.SUPPORTED


def test_several_faults_are_said_at_once(path: Path) -> None:
    """Whoever edits a configuration on a node wants to do so once."""
    message = call("ADD", configuration(path, socket=5, timeoutSeconds="x", onTimeout=1)).answer["msg"]
    assert all(word in message for word in ("socket", "timeoutSeconds", "onTimeout"))


def test_closed_streams_are_no_traceback(path: Path) -> None:
    """A runtime that died, or a shell that closed them."""
    shut = "import os, sys\nos.close({0})\nos.execv(sys.executable, [sys.executable, '-I', '-S', {1!r}])"
    for stream in (0, 1):
        argv = (sys.executable, "-c", shut.format(stream, plugin.__file__))
        said = call("ADD" if stream == 0 else "VERSION", configuration(path), argv=argv)
        assert said.code == 1
        assert "Traceback" not in said.err


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
_KEYS = ("cniVersion", "prevResult", "socket", "timeoutSeconds", "onTimeout", "interface", "cni.dev/valid-attachments")
_RESULT = st.fixed_dictionaries(
    {},
    optional={
        "cniVersion": st.sampled_from(plugin.SUPPORTED) | _JSON,
        "ips": st.lists(st.fixed_dictionaries({"address": st.just("10.0.0.1/8") | _JSON, "interface": _JSON})) | _JSON,
        "interfaces": st.lists(st.fixed_dictionaries({"name": _JSON, "sandbox": _JSON}), max_size=2) | _JSON,
    },
)
_CONFIGURATIONS = st.dictionaries(st.sampled_from(_KEYS), _JSON) | st.fixed_dictionaries(
    {"cniVersion": st.sampled_from(plugin.SUPPORTED), "prevResult": _RESULT}
)


class _Streams:
    """Standard input as the plugin reads it."""

    def __init__(self, text: bytes) -> None:
        self.buffer = io.BytesIO(text)


@settings(max_examples=300)
@given(
    st.sampled_from(["ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION"]),
    st.binary(max_size=40) | _CONFIGURATIONS.map(lambda one: json.dumps(one).encode()),
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30)
    | st.just("K8S_POD_NAME=a;K8S_POD_NAMESPACE=b"),
)
def test_fuzz(command: str, text: bytes, arguments: str) -> None:
    """Whatever is given: an error object or a result, never an exception. Here in this process, for speed."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in variables(command, CNI_ARGS=arguments).items():
            patch.setenv(key, value)
        out = io.StringIO()
        patch.setattr(sys, "stdin", _Streams(text))
        patch.setattr(sys, "stdout", out)
        patch.setattr(plugin, "_once", lambda *_: {"result": "done"})
        code = plugin.main()
    if command in {"DEL", "GC"}:
        assert (code, out.getvalue()) == (0, "")
    elif code:
        assert json.loads(out.getvalue())["code"] in {1, 4, 6, 7}
    elif command == "ADD":
        assert json.loads(out.getvalue())["cniVersion"] == json.loads(text)["cniVersion"]


# ---- weight ----------------------------------------------------------------------------------------------------------


def test_it_is_one_light_file(tmp_path: Path) -> None:
    """Copied to a node it runs without Outgate, on an old Python, and it imports nothing that takes time."""
    source = Path(plugin.__file__).read_bytes()
    ast.parse(source, feature_version=(3, 8))
    copy = tmp_path / "outgate-cni"
    copy.write_bytes(source)
    copy.chmod(0o755)
    argv = (sys.executable, "-I", "-S", "-X", "importtime", str(copy))
    said = call("VERSION", b"{}", argv=argv)
    assert said.answer["supportedVersions"]
    loaded = {line.rpartition("|")[2].strip() for line in said.err.splitlines()}
    heavy = {
        "click",
        "msgspec",
        "outgate",
        "asyncio",
        "dataclasses",
        "inspect",
        "ipaddress",
        "logging",
        "subprocess",
        "typing",
    }
    assert {"json", "socket"} <= loaded
    assert loaded & heavy == set()


def test_the_room_stays_light() -> None:
    """`outgate-cni` as installed imports the package above it first."""
    code = "import sys, outgate.agent; sys.exit(any(n in sys.modules for n in ('msgspec', 'click', 'outgate.api')))"
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0
