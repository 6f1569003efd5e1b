#!/usr/bin/env python3
"""`outgate-cni`: the chained CNI plugin that holds the start of a pod until its policies are in the kernel.

The container runtime runs it after the plugin that made the pod's network (CNI specification 1.1, "Section 2"). It
hands what that plugin said to the agent of this node, waits, and passes the result on. It is **closed at its time
limit**: the pod is not started, and kubelet tries again (code 11, "Try again later"). A DEL never fails, because a
pod that cannot be removed helps nobody.

    runtime ─ ADD, prevResult ─► outgate-cni ─ one line of JSON ─► /run/outgate/cni.sock (`outgate.agent.cni`)
            ◄─ prevResult ─────              ◄─ one line of JSON ─

It runs on the node for every pod, maybe outside of any container: this file imports nothing but quick modules of the
standard library, needs nothing else of Outgate, may be copied as it is, and keeps to what Python 3.8 reads.

Its configuration, beside the usual ``type``, ``name`` and ``cniVersion``:

    socket           where the agent listens                                     /run/outgate/cni.sock
    timeoutSeconds   how long a pod may wait, up to 110                          30
    onTimeout        "closed", or "open": start the pod all the same             closed
    interface        the pod's interface that policies are about; others pass    eth0
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

TYPE_CHECKING = False  # a name that type checkers know; to import it from typing takes a sixth of the whole call
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    _Json = Any

__all__ = ["SUPPORTED", "main"]

SUPPORTED = ("0.3.1", "0.4.0", "1.0.0", "1.1.0")
"""The versions of the protocol, oldest first."""

_INCOMPATIBLE, _ENVIRONMENT, _IO, _DECODING, _CONFIG, _LATER, _UNAVAILABLE = 1, 4, 5, 6, 7, 11, 50
"""Error codes of the specification, "Error"; 50 is STATUS's "the plugin is not available"."""

_LONGEST_WAIT = 110
"""Seconds. Below kubelet's --runtime-request-timeout, two minutes: past it nobody hears the answer."""
_LONGEST_INPUT = 4 * 1024 * 1024
_LONGEST_ANSWER = 64 * 1024
_LONGEST_PATH = 107  # unix(7): sun_path is 108 bytes with its end
_SHORT = 2.0
"""Seconds. What DEL, GC and STATUS wait for an agent."""
_CHECK = 5.0
_PAUSES = (0.02, 0.05, 0.1, 0.25)
"""Seconds between attempts; the last one again and again."""


class _Failed(Exception):
    """What is answered as an error object."""

    def __init__(self, code: int, message: str, details: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


def main() -> int:
    """Answer one call: variables ``CNI_*`` and standard input; 0, or 1 with an error object on standard output."""
    started = time.monotonic()
    command = os.environ.get("CNI_COMMAND", "")
    config: dict[str, _Json] = {}
    try:
        if command == "VERSION":
            return _print(_versions())
        _check_environment(command, os.environ)
        config = _read_config()
        _check_config(config)
        answer = _COMMANDS[command](config, os.environ, started)
    except _Failed as failed:
        if command in ("DEL", "GC"):
            _note(failed)
            return 0
        version = config.get("cniVersion")
        words = {"code": failed.code, "msg": failed.message, "details": failed.details}
        _print({"cniVersion": version if version in SUPPORTED else SUPPORTED[-1], **words})
        return 1
    return 0 if answer is None else _print(answer)


# ---- what is given ---------------------------------------------------------------------------------------------------


def _check_environment(command: str, environment: Mapping[str, str]) -> None:
    wrong = []
    if command not in _COMMANDS:
        wrong.append("CNI_COMMAND is none of " + ", ".join((*_COMMANDS, "VERSION")))
    if command in ("ADD", "CHECK", "DEL"):
        container = environment.get("CNI_CONTAINERID", "")
        rest = container.replace("_", "").replace(".", "").replace("-", "")
        # Specification: "begins with an alphanumeric character, followed by ... underscore (_), dot (.), hyphen (-)".
        if not container[:1].isalnum() or not rest.isalnum() or not container.isascii() or len(container) > 255:
            wrong.append("CNI_CONTAINERID is missing or no identifier")
        name = environment.get("CNI_IFNAME", "")
        # dev_valid_name() of the kernel, and the bytes that a Linux interface name has at most.
        if not 0 < len(name.encode(errors="surrogateescape")) < 16 or name in (".", "..") or _spaced(name):
            wrong.append("CNI_IFNAME is missing or no interface name")
    if command in ("ADD", "CHECK") and not environment.get("CNI_NETNS"):
        wrong.append("CNI_NETNS is missing")
    if wrong:
        raise _Failed(_ENVIRONMENT, "; ".join(wrong))


def _spaced(name: str) -> bool:
    return "/" in name or ":" in name or any(one.isspace() for one in name)


def _read_config() -> dict[str, _Json]:
    try:
        text = sys.stdin.buffer.read(_LONGEST_INPUT + 1)
    except (OSError, AttributeError) as error:  # no stream at all where the caller has closed it
        raise _Failed(_IO, "the network configuration cannot be read from standard input", str(error)) from error
    if len(text) > _LONGEST_INPUT:
        raise _Failed(_IO, f"the network configuration is longer than {_LONGEST_INPUT} bytes")
    try:
        found = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # ValueError: bad UTF-8 and numbers that are too long, too
        raise _Failed(_DECODING, "the network configuration is not JSON", str(error)) from error
    if not isinstance(found, dict):
        raise _Failed(_DECODING, "the network configuration is not a JSON object")
    return found


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _finite(word: str) -> float:
    number = float(word)
    if number - number != 0:
        raise ValueError(f"{word} is too large a number")
    return number


def _check_config(config: dict[str, _Json]) -> None:
    version = config.get("cniVersion")
    if version not in SUPPORTED:
        raise _Failed(
            _INCOMPATIBLE,
            "incompatible CNI version",
            f"the configuration has {str(version)[:40]!r}, supported are {', '.join(SUPPORTED)}",
        )
    wrong = []
    path = config.setdefault("socket", "/run/outgate/cni.sock")
    if not isinstance(path, str) or not path.startswith("/") or not _is_path(path):
        wrong.append(f"socket is no absolute path of at most {_LONGEST_PATH} bytes")
    limit = config.setdefault("timeoutSeconds", 30)
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 < limit <= _LONGEST_WAIT:
        wrong.append(f"timeoutSeconds is no number above 0 and up to {_LONGEST_WAIT}")
    if config.setdefault("onTimeout", "closed") not in ("closed", "open"):
        wrong.append('onTimeout is neither "closed" nor "open"')
    if not isinstance(config.setdefault("interface", "eth0"), str):
        wrong.append("interface is no text")
    if wrong:
        raise _Failed(_CONFIG, "; ".join(wrong))


def _is_path(path: str) -> bool:
    try:
        return 0 < len(path.encode()) <= _LONGEST_PATH and "\0" not in path
    except UnicodeEncodeError:
        return False


def _pod_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Who the pod is, as kubelet's runtimes say it."""
    arguments = dict(part.partition("=")[::2] for part in environment.get("CNI_ARGS", "").split(";") if part)
    pod = {
        "namespace": arguments.get("K8S_POD_NAMESPACE", ""),
        "name": arguments.get("K8S_POD_NAME", ""),
        "uid": arguments.get("K8S_POD_UID", ""),
        "container": environment.get("CNI_CONTAINERID", ""),
    }
    if not pod["namespace"] or not pod["name"]:
        raise _Failed(_ENVIRONMENT, "CNI_ARGS lacks K8S_POD_NAMESPACE or K8S_POD_NAME: this is no pod of Kubernetes")
    return pod


def _previous(config: dict[str, _Json]) -> dict[str, _Json]:
    result = config.get("prevResult")
    if not isinstance(result, dict):
        raise _Failed(_CONFIG, "prevResult is missing: outgate-cni stands behind another plugin in the list")
    return result


def _network_of(result: dict[str, _Json]) -> dict[str, _Json]:
    """The addresses of the pod, and the node's end of its link.

    ``ips[].interface`` is an index into ``interfaces``, where an interface without ``sandbox`` is one of the node. A
    bridge plugin lists the bridge before the port: the bridge is where the node sees the pod's packets come in.
    """
    ips, interfaces = result.get("ips", []), result.get("interfaces", [])
    try:
        written = [one["address"].partition("/")[0] for one in ips]
        outside = {at: str(one["name"]) for at, one in enumerate(interfaces) if not one.get("sandbox")}
        named = [outside[at] for at in (one.get("interface") for one in ips) if isinstance(at, int) and at in outside]
    except (AttributeError, KeyError, TypeError) as error:
        raise _Failed(_CONFIG, "prevResult has ips or interfaces that cannot be understood", repr(error)) from error
    wrong = [one for one in written if not _is_address(one)]
    if wrong:
        raise _Failed(_CONFIG, "prevResult has ips that are no addresses", ", ".join(wrong)[:200])
    return {"addresses": written, "interface": next(iter((*named, *outside.values())), "")}


def _is_address(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    return True


# ---- the commands ----------------------------------------------------------------------------------------------------


def _add(config: dict[str, _Json], environment: Mapping[str, str], started: float) -> _Json:
    result = _previous(config)
    if environment["CNI_IFNAME"] == config["interface"]:
        request = {"command": "ADD", **_pod_of(environment), **_network_of(result)}
        try:
            _ask(config["socket"], request, started + config["timeoutSeconds"])
        except _Failed as failed:
            if failed.code != _LATER or config["onTimeout"] != "open":
                raise
            _note(failed)
    return _passed_on(result, config["cniVersion"])


def _check(config: dict[str, _Json], environment: Mapping[str, str], started: float) -> None:
    if environment["CNI_IFNAME"] == config["interface"]:
        request = {"command": "CHECK", **_pod_of(environment), **_network_of(_previous(config))}
        _ask(config["socket"], request, started + min(_CHECK, config["timeoutSeconds"]))


def _del(config: dict[str, _Json], environment: Mapping[str, str], started: float) -> None:
    if environment["CNI_IFNAME"] != config["interface"]:
        return
    try:
        network = _network_of(_previous(config))
    except _Failed:
        # An old runtime, or one whose ADD failed, has no result to give.
        network = {"addresses": [], "interface": ""}
    request = {"command": "DEL", **_pod_of(environment), **network}
    _ask(config["socket"], request, started + _SHORT, patient=False)


def _gc(config: dict[str, _Json], _environment: Mapping[str, str], started: float) -> None:
    valid = config.get("cni.dev/valid-attachments", config.get("cni.dev/attachments"))
    try:
        names = sorted({str(one["containerID"]) for one in valid or ()})
    except (KeyError, TypeError) as error:
        raise _Failed(_CONFIG, "cni.dev/valid-attachments cannot be understood", repr(error)) from error
    if valid is not None:
        _ask(config["socket"], {"command": "GC", "valid": names}, started + _SHORT, patient=False)


def _status(config: dict[str, _Json], _environment: Mapping[str, str], started: float) -> None:
    try:
        _ask(config["socket"], {"command": "STATUS"}, started + _SHORT, patient=False)
    except _Failed as failed:
        raise _Failed(_UNAVAILABLE, "no pod can be started: " + failed.message, failed.details) from failed


_COMMANDS = {"ADD": _add, "CHECK": _check, "DEL": _del, "GC": _gc, "STATUS": _status}


def _versions() -> _Json:
    try:
        said = json.loads(sys.stdin.buffer.read(_LONGEST_INPUT))["cniVersion"]
    except (OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        said = None
    return {"cniVersion": said if said in SUPPORTED else SUPPORTED[-1], "supportedVersions": list(SUPPORTED)}


def _passed_on(result: dict[str, _Json], version: str) -> _Json:
    """The result as the runtime expects it: what the plugin before said, in the configured version of the protocol."""
    if result.get("cniVersion") == version:
        return result
    ips = result.get("ips", [])
    if version < "1":  # up to 0.4 each address says its family, from 1.0 on it does not
        ips = [{"version": "6" if ":" in one["address"] else "4", **one} for one in ips]
    else:
        ips = [{key: value for key, value in one.items() if key != "version"} for one in ips]
    return {**result, "cniVersion": version, **({"ips": ips} if "ips" in result else {})}


# ---- the conversation ------------------------------------------------------------------------------------------------


def _ask(path: str, request: dict[str, _Json], deadline: float, *, patient: bool = True) -> None:
    """Ask the agent, and again where it is not there, went away or has no room, until it says yes.

    Raises `_Failed`: it said no, or the time is over.
    """
    attempt = 0
    while True:
        try:
            answer = _once(path, request, deadline)
        except OSError as error:
            answer = {"result": "later", "message": f"{path}: {error.strerror or error}"}
        if answer.get("result") == "done":
            return
        if answer.get("result") == "refused":
            raise _Failed(answer["code"], "the agent refuses: " + str(answer.get("message")))
        pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
        if not patient or time.monotonic() + pause >= deadline:
            message = "Outgate's agent has not confirmed that the pod is enforced"
            raise _Failed(_LATER, message, str(answer.get("message")))
        time.sleep(pause)
        attempt += 1


def _once(path: str, request: dict[str, _Json], deadline: float) -> dict[str, _Json]:
    """One connection, one question, one answer. Raises OSError, also when the time is over."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_left(deadline))
        connection.connect(path)
        line = json.dumps({**request, "seconds": _left(deadline)}) + "\n"
        connection.sendall(line.encode())
        said = b""
        while not said.endswith(b"\n") and len(said) < _LONGEST_ANSWER:
            connection.settimeout(_left(deadline))
            part = connection.recv(4096)
            if not part:
                break
            said += part
    try:
        answer = json.loads(said)
        if answer["result"] == "refused":
            answer["code"] = int(answer["code"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"result": "later", "message": f"{path}: the agent went away without an answer"}
    return answer if isinstance(answer, dict) else {}


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _print(document: _Json) -> int:
    try:
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()
    except (OSError, AttributeError):
        # Whoever asked has gone: nothing to tell anybody, and no traceback when the interpreter flushes once more.
        sys.stdout = None
        return 1
    return 0


def _note(failed: _Failed) -> None:
    try:
        sys.stderr.write(f"outgate-cni: {failed.message}{': ' * bool(failed.details)}{failed.details}\n")
    except (OSError, AttributeError, UnicodeError):
        return


if __name__ == "__main__":
    sys.exit(main())
