"""Verbs that end in every way a verb can end; the tests of `main` put them into its table."""

from __future__ import annotations

import signal

import click

from outgate.cli import options
from outgate.errors import ClusterError, InputError, InvalidInput, KernelError, OutgateError, TooComplex

__all__ = ["answer", "echo_options", "fail", "wait"]

FAILURES: dict[str, BaseException] = {
    "input": InvalidInput(
        [InputError("a.yaml", 3, "spec.egress[0]", "first"), InputError("b.yaml", 0, "", "second")], hint="fix them"
    ),
    "sentence": InvalidInput("no such pod"),
    "complex": TooComplex("more than 10 000 ports"),
    "cluster": ClusterError("connection refused"),
    "kernel": KernelError("nft said no", hint="look at dmesg"),
    "base": OutgateError("something"),
    "usage": click.UsageError("that makes no sense"),
    "file": click.FileError("x.yaml", "gone"),
    "abort": click.Abort(),
    "interrupt": KeyboardInterrupt(),
    "os": FileNotFoundError(2, "No such file or directory", "x.yaml"),
    "bug": ZeroDivisionError("one too many"),
}


@click.command()
@click.argument("name")
def fail(name: str) -> int:
    """Raise the failure of that name."""
    raise FAILURES[name]


@click.command()
@click.argument("code", type=int)
@click.option("--exit", "by_exit", is_flag=True)
@click.pass_context
def answer(context: click.Context, code: int, by_exit: bool) -> int | None:
    """Return an exit code, or leave with it; a negative one stands for returning nothing."""
    if by_exit:
        context.exit(code)
    return code if code >= 0 else None


@click.command()
@options.input_options
@options.output_options("text", "json")
def echo_options(**received: object) -> None:
    """Print what the options said, and a word in red."""
    received["kubeconfig"] = options.chosen_kubeconfig()
    for name, value in sorted(received.items()):
        click.echo(f"{name}={value!r}")
    click.secho("red", fg="red")


@click.command()
def wait() -> None:
    """Say so when ready, then wait for a signal."""
    click.echo("ready")
    signal.pause()
