"""`outgate agent run`: the agent of one node, until it is told to end."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from outgate.cli import options
from outgate.cli.compile import interface_prefix_of, mark_mask_of
from outgate.cli.inputs import find_cluster, note
from outgate.errors import InputError, KernelError, UsageError, unusable

if TYPE_CHECKING:
    from outgate.agent.settings import Settings

__all__ = ["run"]

_EPOCH_BITS = 16
"""As many as the default mask has."""

Function = TypeVar("Function", bound=Callable[..., Any])


def _option(*names: str, **more: Any) -> Callable[[Function], Function]:
    """An option that can also be given by the environment, as OUTGATE_ and its name."""
    variable = "OUTGATE_" + names[0].strip("-").partition("/")[0].replace("-", "_").upper()
    return click.option(*names, envvar=more.pop("envvar", variable), show_envvar=True, show_default=True, **more)


@click.command()
@_option("--node", metavar="NAME", envvar=["OUTGATE_NODE", "NODE_NAME"], required=True, help="This node's name.")
@_option(
    "--mode",
    type=click.Choice(("enforce", "audit")),
    default="enforce",
    help="What policies do that do not say it themselves, by the annotation outgate.dev/enforcement.",
)
@_option(
    "--new-pods",
    type=click.Choice(("closed", "open")),
    default="closed",
    help="Whether a pod may talk before its policies are in the kernel.",
)
@_option(
    "--established",
    type=click.Choice(("cut", "keep")),
    default="cut",
    help="What becomes of a live connection that a policy no longer allows which does not say it itself.",
)
@_option(
    "--deny",
    type=click.Choice(("drop", "reject")),
    default="drop",
    help="Drop a denied packet, or answer it at once.",
)
@_option(
    "--mark-mask", default="0xffff0000", metavar="BITS", help="The bits of the connection mark that are Outgate's."
)
@_option("--log-group", type=click.IntRange(0, 65535), default=5, help="The nflog group of denied packets; 0 for none.")
@_option("--log-allowed", is_flag=True, help="Log the first packet of each allowed connection, too.")
@_option("--state-dir", type=click.Path(path_type=Path), default="/var/lib/outgate", help="What outlives a reboot.")
@_option("--run-dir", type=click.Path(path_type=Path), default="/run/outgate", help="Sockets, status and log.")
@_option("--listen", default="127.0.0.1:9765", metavar="ADDRESS:PORT", help="Where to serve /livez, /readyz, /metrics.")
@_option(
    "--interface-prefix",
    default="auto",
    metavar="NAME",
    help="What the node's interfaces to its pods are called; auto finds it out.",
)
@_option("--all-nodes", is_flag=True, help="Watch all Nodes: policies of the cluster with peers of nodes need it.")
@_option(
    "--names",
    type=click.Choice(("off", "closed", "forward")),
    default="off",
    help="Learn addresses of names by a DNS proxy; while it is down, the pods it is for get no answer (closed), or ask "
    "without it (forward). Off: rules about names open nothing.",
)
@_option(
    "--cluster-cidr", metavar="BLOCK", multiple=True, help="Addresses of pods or Services, which no name may open."
)
@_option("--events/--no-events", default=True, help="Write Kubernetes Events, where that is allowed.")
@_option(
    "--envoy",
    default="off",
    metavar="PATH|auto|sidecar|off",
    help="The Envoy that looks into requests; sidecar: one that somebody else runs (outgate agent envoy). Off: rules "
    "about requests let nothing through.",
)
@options.cluster_options
def run(**given: Any) -> int:
    """Keep this node's kernel true to the policies of the cluster.

    The API server is asked as kubectl would ask it, or with the account of the pod around this process. Rules are only
    ever changed, never taken away at the end: stopping, killing or upgrading the agent leaves the node as it is.

    \b
    Examples:
      outgate agent run --node "$(hostname)" --mode audit      watch and count, drop nothing
      NODE_NAME=node-a outgate agent run                       enforce
    """
    from outgate.agent.agent import Agent
    from outgate.agent.boot import boot
    from outgate.agent.preflight import look
    from outgate.agent.store import Store
    from outgate.host.nft import Nftables

    settings = _settings(given)
    for words in _in_vain(settings):
        note(f"warning: {words}")
    access = find_cluster(options.chosen_context() or "")
    with _alone(settings):
        booted = boot(Store(settings.state_dir, settings.node), Nftables())
        note("; ".join((booted.words, *booted.faults)))
        found = look(settings.mark_mask)
        for words in (*found.hindrances, *found.warnings):
            note(f"warning: {words}")
        agent = Agent(settings, access, say=note)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: agent.stop())
        note(f"outgate agent on {settings.node}: {settings.mode.value}; the API server is {access.url.geturl()}")
        agent.run()
        note("stopped; the rules stay as they are (outgate agent uninstall takes them away)")
    return 0


def _settings(given: dict[str, Any]) -> Settings:
    """The settings. Raises UsageError with everything that is wrong."""
    from outgate.agent.settings import AUTO, Settings
    from outgate.policy import Mode

    wrong: list[InputError] = []

    def read(text: str, way: Callable[[str], str]) -> str:
        try:
            return way(text)
        except UsageError as error:
            wrong.append(_as_one(error))
            return ""

    mask = 0
    try:
        mask = mark_mask_of(given["mark_mask"])
    except UsageError as error:
        wrong.append(_as_one(error))
    prefix = given["interface_prefix"]
    settings = Settings(
        node=read(given["node"], _node),
        mode=Mode(given["mode"]),
        open_at_birth=given["new_pods"] == "open",
        keep=given["established"] == "keep",
        reject=given["deny"] == "reject",
        mark_mask=mask,
        log_group=given["log_group"] or None,
        log_allowed=given["log_allowed"],
        state_dir=given["state_dir"],
        run_dir=given["run_dir"],
        listen=read(given["listen"], _listen),
        interface_prefix=AUTO if prefix == AUTO else read(prefix, interface_prefix_of),
        all_nodes=given["all_nodes"],
        names=given["names"],
        cluster_cidrs=tuple(read(text, _block) for text in given["cluster_cidr"]),
        write_events=given["events"],
        envoy=read(given["envoy"], _envoy),
    )
    if wrong:
        raise UsageError(wrong)
    return settings


def _as_one(error: UsageError) -> InputError:
    return InputError("", 0, "", error.message + (f" ({error.hint})" if error.hint else ""))


def _in_vain(settings: Settings) -> Iterator[str]:
    """What goes with something else that is not there, or is less than it looks."""
    if settings.log_allowed and settings.log_group is None:
        yield "--log-allowed logs nothing with --log-group 0"
    if settings.names != "off" and not settings.cluster_cidrs:
        yield "--names without --cluster-cidr: a name may open addresses of Services, and of pods not known yet"
    bits = settings.mark_mask.bit_count()
    if bits < _EPOCH_BITS:
        yield (
            f"--mark-mask has {bits} bits: a connection that is silent through exactly {(1 << bits) - 1} changes of "
            f"policies is taken for judged; give {_EPOCH_BITS} where they are free"
        )


def _node(text: str) -> str:
    """The name of a Node. Raises UsageError: under another an agent has no pods, and would say that all is well."""
    from outgate.model.validate_text import dns_subdomain

    if any(True for _ in dns_subdomain(text)):
        raise UsageError(f"--node {text or repr(text)}: this is no name of a Node", hint="see kubectl get nodes")
    return text


def _block(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise UsageError(f"--cluster-cidr {text}: {error}; write a block, as in 10.1.0.0/16") from error
    return text


def _envoy(text: str) -> str:
    """The program of Envoy, or `SIDECAR`; empty where it is off, or is to be found and is not there."""
    from outgate.agent.settings import SIDECAR
    from outgate.host.envoy import binary

    if text == "off":
        return ""
    if text == SIDECAR:
        return SIDECAR
    if text == "auto":
        try:
            return binary()
        except KernelError as error:
            note(f"{error.message}: rules about requests let nothing through")
            return ""
    if not os.access(text, os.X_OK):
        raise UsageError(f"--envoy {text}: there is no such program")
    return text


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if text and not (colon and host and port.isdecimal() and int(port) < 65536):
        raise UsageError(f"--listen {text}: give an address and a port, as in 127.0.0.1:9765, or nothing")
    return text


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the lock that one agent of a node holds. Raises KernelError where another does, or it cannot be made."""
    try:
        for folder in (settings.run_dir, settings.state_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(settings.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KernelError(str(unusable(error.filename or str(settings.lock_file), "made", error))) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KernelError(
                f"another agent of this node runs already: it holds {settings.lock_file}",
                hint="two agents would undo each other's changes; end the other one first",
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(lock)
