"""The command `outgate`, and the kubectl plugin of the same name.

Verbs are loaded when they are called. `outgate --help` names all of them and imports none, because a verb pulls in a
YAML loader and the whole model, and help that takes half a second is help that nobody asks for twice. The one-line
helps therefore stand in the table here, not in the verbs.

A verb is a click command that returns its exit code, or nothing for 0. Whatever it raises ends in `main`, the only
place that turns an error into sentences and a code:

    0     clean, yes, or equal
    1     a finding, no, a difference, or a disagreement: only a verb's answer, never an error
    2     bad usage or bad input
    3     the cluster, the kernel or the operating system refused
    70    a bug in Outgate (EX_SOFTWARE of sysexits.h), with a traceback
    130   interrupted
    141   the reader of standard output went away, as shells report it for a program that SIGPIPE ended

A crash must not look like an answer, which is why the last three are not 1, where Python and click would put them.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from outgate import __version__
from outgate.cli import options
from outgate.cli.lazy import LazyGroup, Verb
from outgate.errors import InvalidInput, OutgateError, one_line

__all__ = ["COMPLETE_VARIABLE", "VERBS", "LazyGroup", "Verb", "main", "outgate"]

COMPLETE_VARIABLE = "_OUTGATE_COMPLETE"
"""The environment variable by which a shell asks for completions; click's convention for a command of this name."""

_MADE_BETWEEN_SEARCHES = 50_000
"""Objects that are made before garbage is looked for; Python's own 700 are meant for programs that live long."""

INTERNAL_ERROR = 70
INTERRUPTED = 130
READER_GONE = 141


# In the order in which a newcomer needs them.
VERBS: dict[str, Verb] = {
    "validate": Verb("outgate.cli.validate:validate", "Say which objects the API server would refuse, and where."),
    "snapshot": Verb("outgate.cli.snapshot:snapshot", "Save what Outgate reads of a cluster, without secrets."),
    "can-reach": Verb("outgate.cli.can_reach:can_reach", "Say if one flow is allowed, and which line decided."),
    "list": Verb("outgate.cli.list:list_", "List every allowed connection, exactly, by workload."),
    "diff": Verb("outgate.cli.diff:diff", "Say what opens and what closes between two inputs."),
    "exposure": Verb("outgate.cli.exposure:exposure", "Say what each workload could reach, the most exposed first."),
    "graph": Verb("outgate.cli.graph:graph", "Draw what may talk to what: Mermaid, DOT, or one HTML page."),
    "doctor": Verb("outgate.cli.doctor:doctor", "Say if a cluster enforces policies, and what is missing."),
    "lint": Verb("outgate.cli.lint:lint", "Find what is wrong with policies, prove it, and mend it."),
    "explain": Verb("outgate.cli.explain:explain", "Say what a check of lint is about, offline."),
    "new": Verb("outgate.cli.new:new", "Write policies from recipes, with comments that say why."),
    "test": Verb("outgate.cli.assertions:assertions", "Hold manifests against a file of assertions, offline."),
    "lab": Verb("outgate.cli.lab:lab", "Enforce the policies here, in namespaces, and send real packets."),
    "compile": Verb("outgate.cli.compile:compile_", "Print the nftables ruleset for one node."),
    "agent": Verb("outgate.cli.agent:agent", "Enforce on a node of a real cluster."),
    "status": Verb("outgate.cli.status:status", "Say what the agent of this node has programmed, and what not."),
    "logs": Verb("outgate.cli.logs:logs", "Show the packets that policies denied on this node."),
    "completion": Verb("outgate.cli.completion:completion", "Print the completion script for a shell."),
}


@click.group(cls=LazyGroup, verbs=VERBS, context_settings=options.CONTEXT_SETTINGS, subcommand_metavar="VERB ...")
@click.version_option(__version__, prog_name="outgate", message="%(prog)s %(version)s")
def outgate() -> None:
    """Egress control for Kubernetes: what may leave a pod, and what really does.

    \b
    Try it on the examples, or on your own manifests:
      outgate lab -f examples/recipes
      outgate validate -f manifests/
      helm template . | outgate can-reach -f - shop/web 1.1.1.1:443

    \b
    Exit codes:
      0    clean, yes, or equal
      1    a finding, no, a difference, or a disagreement
      2    bad usage or bad input
      3    the cluster or the kernel could not be reached
      130  interrupted

    'outgate VERB --help' explains one verb.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; the entry point of both scripts.

    `argv` is what follows the program's name, by default the arguments of the process.
    """
    if sys.stdout is None:
        # Python gives a process no stream where the shell has closed it: an answer would vanish without a word.
        _complain("error: standard output is closed")
        return 3
    # While modules are read nothing becomes garbage, and every search for it is in vain; a tenth of a small command.
    gc.set_threshold(_MADE_BETWEEN_SEARCHES)
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv), _program_name())
        # Text left in the buffer would meet a closed pipe only after this function, where nobody can answer for it.
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_standard_output()
        return READER_GONE
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except OutgateError as error:
        _explain(error)
        return error.exit_code
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _complain(f"error: {place}{error.strerror or error}")
        return 3
    except Exception:  # noqa: BLE001 - not swallowed: a bug is shown whole, with a code that no answer has
        sys.excepthook(*sys.exc_info())
        _complain("This is a bug in Outgate. Please report it with the lines above.")
        return INTERNAL_ERROR
    return code


def _run(arguments: list[str], program: str) -> int:
    """Parse and call the verb. click's own `main` is not used: it turns a closed pipe into exit code 1."""
    instruction = os.environ.get(COMPLETE_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete  # only a shell's tab key pays for it

        return shell_complete(outgate, {}, program, COMPLETE_VARIABLE, instruction)
    try:
        with outgate.make_context(program, arguments) as context:
            code = outgate.invoke(context)
            return code if isinstance(code, int) else 0
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.Abort as abort:
        raise KeyboardInterrupt from abort
    except click.ClickException as error:
        # Some of click's classes carry 1; here every one of them is about usage or input.
        error.show()
        if error.message.startswith("Got unexpected extra argument"):
            _complain("Manifests are given with -f.")
        return 2


def _program_name() -> str:
    """What the user typed. kubectl runs the plugin `kubectl-outgate` when asked for `kubectl outgate`."""
    return "kubectl outgate" if os.path.basename(sys.argv[0]) == "kubectl-outgate" else "outgate"


def _explain(error: OutgateError) -> None:
    """Say all that is wrong, a line for each thing, and then what to do about it."""
    if isinstance(error, InvalidInput) and error.errors:
        messages = [str(each) for each in error.errors]
    else:
        messages = [error.message]
    for message in messages:
        _complain(f"error: {message}")
    if error.hint:
        _complain(f"hint: {error.hint}")


def _complain(sentence: str) -> None:
    """Write to standard error, where notes go; a reader that has left is no reason to fail again."""
    with suppress(OSError):
        click.echo(one_line(sentence), err=True)


def _forget_standard_output() -> None:
    """Point standard output at nothing, so that the interpreter's last flush cannot fail."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
