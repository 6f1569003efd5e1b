"""Options that mean the same in every verb, so that they are learnt once.

Each decorator adds one family of options, and the verb receives them as arguments of these names:

    @input_options                   filename: tuple[str, ...]; namespace: str | None; all_namespaces, strict: bool
                                     (`--context` and `--kubeconfig` put ``cluster:CONTEXT`` before the filenames)
    @output_options("text", "json")  output: str, the first choice unless told; quiet: bool; verbose: int
    @profile_option                  profile: str, the name of one of `outgate.policy.PROFILES`

`output_options` also adds `--color`, which the verb does not receive: a verb writes its colours (`click.style`) through
`click.echo`, which takes them out again where they are not wanted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from outgate.errors import OutgateError

__all__ = [
    "CONTEXT_SETTINGS",
    "PROFILE_NAMES",
    "chosen_context",
    "chosen_kubeconfig",
    "cluster_options",
    "color_choice",
    "input_options",
    "output_options",
    "profile_option",
    "wants_color",
]

Function = TypeVar("Function", bound=Callable[..., Any])

CONTEXT_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""What the topmost command is made with; the verbs inherit it."""

PROFILE_NAMES = ("outgate", "calico", "cilium", "aws-vpc-cni", "ovn-kubernetes", "kube-router")
"""The names of the profiles, written out: help and completion need them, and must not load the policies for it."""


def input_options(function: Function) -> Function:
    """Add where the input comes from and which namespaces are meant: `-f`, `--context`, `-n`, `-A`, `--strict`.

    Without `-f`, `--context` and `--kubeconfig` the verb receives an empty tuple and decides itself what that means.
    A live cluster is one more filename, so no verb has to know of it, and it comes first: what files say replaces what
    the cluster has, and the answer is about the cluster as it would be with them.
    """
    for option in reversed(
        (
            click.option(
                "-f",
                "--filename",
                multiple=True,
                type=click.Path(allow_dash=True),
                metavar="PATH",
                callback=_with_cluster,
                help="Manifests to read: a file, a folder with all below it, - for standard input, git:REV:PATH, or "
                "cluster for a live one. May be repeated.",
            ),
            *_which_cluster(),
            click.option(
                "-n",
                "--namespace",
                metavar="NAME",
                callback=_excludes("all_namespaces"),
                help="The namespace of what names none. list, graph and exposure show only what belongs there, and the "
                "lab probes only flows with an end there.",
            ),
            click.option(
                "-A",
                "--all-namespaces",
                is_flag=True,
                callback=_excludes("namespace"),
                help="Every namespace of the input.",
            ),
            click.option(
                "--strict",
                is_flag=True,
                help="Fail where an object cannot be used, instead of setting it apart and going on.",
            ),
        )
    ):
        function = option(function)
    return function


def cluster_options(function: Function) -> Function:
    """Add which live cluster is meant, `--context` and `--kubeconfig`. `chosen_context` and its like tell it."""
    for option in reversed(_which_cluster()):
        function = option(function)
    return function


def _which_cluster() -> tuple[Callable[[Any], Any], ...]:
    return (
        click.option(
            "--context",
            metavar="NAME",
            is_eager=True,
            expose_value=False,
            callback=_remember,
            shell_complete=_contexts,
            help="Ask the live cluster of this context of the kubeconfig.",
        ),
        click.option(
            "--kubeconfig",
            type=click.Path(),
            metavar="FILE",
            is_eager=True,
            expose_value=False,
            callback=_remember,
            help="Ask a live cluster, and find it in this file instead of KUBECONFIG or ~/.kube/config.",
        ),
    )


def output_options(*formats: str) -> Callable[[Function], Function]:
    """Add how the answer is shown: `-o` with these formats (the first is the default), `-q`, `-v`, `--color`."""

    def decorate(function: Function) -> Function:
        for option in reversed(
            (
                click.option(
                    "-o",
                    "--output",
                    type=click.Choice(formats),
                    default=formats[0],
                    show_default=True,
                    help="The format of the answer on standard output.",
                ),
                click.option("-q", "--quiet", is_flag=True, callback=_excludes("verbose"), help="Only the answer."),
                click.option(
                    "-v", "--verbose", count=True, callback=_excludes("quiet"), help="More notes; -vv for all."
                ),
                click.option(
                    "--color",
                    type=click.Choice(("auto", "always", "never")),
                    default="auto",
                    expose_value=False,
                    callback=_choose_color,
                    help="Colours: auto means on a terminal, unless NO_COLOR or FORCE_COLOR says otherwise.",
                ),
            )
        ):
            function = option(function)
        return function

    return decorate


def profile_option(function: Function) -> Function:
    """Add whose reading of what the API leaves open is followed: `--profile`."""
    return click.option(
        "--profile",
        type=click.Choice(PROFILE_NAMES),
        default=PROFILE_NAMES[0],
        show_default=True,
        help="Answer as this network plugin would where the API leaves a point open (docs/profiles.md).",
    )(function)


def color_choice(option: str, environment: Mapping[str, str]) -> bool | None:
    """Say if colours are wanted: yes, no, or None for "where the output is a terminal".

    What was typed wins over the environment. "When present and not an empty string (regardless of its value)", says
    no-color.org of NO_COLOR; it wins over FORCE_COLOR, as it does in Python itself.
    """
    if option != "auto":
        return option == "always"
    if environment.get("NO_COLOR"):
        return False
    return True if environment.get("FORCE_COLOR") else None


def wants_color(context: click.Context) -> bool:
    """Say if standard output gets colours; for the rare output that differs by more than its escape sequences."""
    return sys.stdout.isatty() if context.color is None else context.color


def chosen_kubeconfig() -> str | None:
    """What `--kubeconfig` says in the command that runs."""
    context = click.get_current_context(silent=True)
    return None if context is None else _kubeconfig_of(context)


def chosen_context() -> str | None:
    """What `--context` says in the command that runs."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(f"{__name__}.context")


def _kubeconfig_of(context: click.Context) -> str | None:
    return context.meta.get(f"{__name__}.kubeconfig")


def _remember(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value == "":
        # An unset variable of a script: the cluster that is asked instead would be the wrong one.
        raise click.UsageError(f"{parameter.opts[-1]} is empty.", context)
    context.meta[f"{__name__}.{parameter.name}"] = value


def _contexts(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names that a shell may complete: contexts of the kubeconfig, and none where it cannot be read."""
    from outgate.cluster.kubeconfig import kubeconfig_files, read_kubeconfig

    try:
        config = read_kubeconfig(kubeconfig_files(_kubeconfig_of(context), os.environ))
    except OutgateError:
        return []
    return [name for name in config.contexts if name.startswith(incomplete)]


def _with_cluster(context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The filenames, behind the cluster where one is asked for. The eager options have been seen by now."""
    if "" in value:
        raise click.UsageError("--filename is empty.", context)
    name = context.meta.get(f"{__name__}.context")
    if name is None and _kubeconfig_of(context) is None:
        return value
    return (f"cluster:{name or ''}", *value)


def _choose_color(context: click.Context, _parameter: click.Parameter, value: str) -> None:
    context.color = color_choice(value, os.environ)


def _excludes(other: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Refuse an option beside the option `other`, which would contradict it."""

    def check(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value == "":
            # An unset variable of a script: what is meant is not what an option left out would mean.
            raise click.UsageError(f"{parameter.opts[-1]} is empty.", context)
        # click handles the options in the order they were typed, so whichever comes second sees the first.
        if value and context.params.get(other):
            opposite = next(each for each in context.command.params if each.name == other)
            raise click.UsageError(f"{parameter.opts[-1]} and {opposite.opts[-1]} contradict each other.", context)
        return value

    return check
