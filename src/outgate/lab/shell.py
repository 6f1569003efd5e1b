"""A person's shell, or one command, inside a pod of a kept lab.

The command joins the lab's namespaces and its process namespace, so that the end of the lab ends it as well. It
sees the machine's files, the pod's network, and a resolver that asks the cluster's DNS service.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from outgate.errors import InvalidInput, OutgateError, UnknownName
from outgate.host import namespaces, process
from outgate.lab import keeper

__all__ = ["resolve", "shell"]

_TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGQUIT)

_PRIVATE = Path("/run")
"""A tmpfs that only the lab sees."""


def shell(pod: str, argv: Sequence[str] = (), *, name: str = keeper.DEFAULT) -> int:
    """Runs a command in a pod of a kept lab, the user's shell without one, and returns its exit code.

    `pod` is ``namespace/name``, ``node/name``, or a pod's name alone where only one namespace has it.

    Raises:
        InvalidInput: no lab of that name stands.
        UnknownName: the lab has no such pod, or several.
        NotPermitted: the lab belongs to somebody else.
        KernelError: the command is not installed.
    """
    lab = keeper.find(name)
    if lab is None:
        raise InvalidInput(f"no kept lab named {name} stands", hint="outgate lab --keep leaves one standing")
    who, namespace = resolve(lab.description, pod)
    child = process.fork(lambda: _joined(lab, who, namespace, tuple(argv)))
    # The terminal's signals are for the command; whoever waits for it only waits.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _TERMINAL_SIGNALS}
    try:
        return _ended(child)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def resolve(description: keeper.Description, text: str) -> tuple[str, str]:
    """What a person's words mean in a kept lab: the name in full, and its network namespace.

    Raises:
        UnknownName: there is no such pod or node, or several pods have that name.
    """
    if text.startswith("node/") and text.removeprefix("node/") in description.nodes:
        return text, description.nodes[text.removeprefix("node/")]
    if text in description.pods:
        return text, description.pods[text]
    named = [key for key in description.pods if key.partition("/")[2] == text]
    if len(named) == 1:
        return named[0], description.pods[named[0]]
    if named:
        raise UnknownName(f"several pods are named {text}", hint="say which: " + ", ".join(named))
    known = [f"node/{name}" for name in description.nodes] if text.startswith("node/") else list(description.pods)
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.4) or sorted(known)[:3]
    what = text if text.startswith("node/") else f"pod {text}"
    raise UnknownName(f"the lab has no {what}", hint=f"it has {', '.join(near)}" if near else "it has no pods")


def _joined(lab: keeper.KeptLab, who: str, namespace: str, argv: tuple[str, ...]) -> int:
    """Between the caller and the command: in the lab's namespaces, and waiting for its child there."""
    for number in _TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    try:
        here = Path.cwd()
    except OSError:
        # The folder that the caller stands in has been removed.
        here = Path("/")
    try:
        namespaces.join(lab.pid)
        namespaces.die_with_parent()
        return _ended(process.fork(lambda: _inside(lab, who, namespace, argv, here)))
    except OutgateError as error:
        return _said(error)


def _inside(lab: keeper.KeptLab, who: str, namespace: str, argv: tuple[str, ...], here: Path) -> int:
    """In the lab's process namespace: enters the pod and becomes the command."""
    for number in _TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    try:
        namespaces.die_with_parent()
        namespaces.mount_namespace()
        _point_resolver(lab.description.nameservers, who.partition("/")[0])
        # The thread that enters is the one that becomes the command: there is no way back, and none is wanted.
        with contextlib.suppress(OSError):
            os.chdir(here)
        with namespaces.opened(namespace).enter():
            process.replace(argv or _shell(who), {**os.environ, "PS1": _prompt(who)})
    except OutgateError as error:
        return _said(error)


def _point_resolver(nameservers: Sequence[str], namespace: str) -> None:
    """Shows the command a resolv.conf like the kubelet's, over the machine's own and for nobody else."""
    target = Path(os.path.realpath("/etc/resolv.conf"))
    if target.is_relative_to("/run"):
        # On this side of the mount namespace /run is the lab's own, and empty: systemd-resolved's file is not there.
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    if not nameservers or not target.exists():
        return
    domains = " ".join((f"{namespace}.svc.cluster.local", "svc.cluster.local", "cluster.local"))
    lines = [f"search {domains}", *(f"nameserver {one}" for one in nameservers), "options ndots:5"]
    text = _PRIVATE / f"resolv-{namespace}.conf"
    text.write_text("\n".join(lines) + "\n")
    namespaces.bind_mount(text, target)


def _shell(who: str) -> tuple[str, ...]:
    """The user's shell. bash reads its usual file and only then gets the prompt, which that file would replace."""
    shell_ = os.environ.get("SHELL") or "/bin/sh"
    if Path(shell_).name != "bash":
        return (shell_,)
    start = _PRIVATE / "bashrc"
    start.write_text(f"[ -r ~/.bashrc ] && . ~/.bashrc\nPS1={shlex.quote(_prompt(who))}\n")
    return shell_, "--rcfile", str(start)


def _prompt(who: str) -> str:
    # A prompt is a small program to a shell: only letters of Kubernetes names may enter it.
    return f"[{re.sub(r'[^A-Za-z0-9./-]', '?', who)}] \\w \\$ "


def _ended(child: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def _said(error: OutgateError) -> int:
    """On this side of the fork nobody else can say it."""
    sys.stderr.write(f"outgate: {error}\n" + (f"  {error.hint}\n" if error.hint else ""))
    return error.exit_code
