"""`outgate status`: what the agent of this node has programmed, and what it could not."""

from __future__ import annotations

from pathlib import Path

import click

from outgate.cli import options
from outgate.cli.inputs import note

__all__ = ["run_dir_option", "status"]

run_dir_option = click.option(
    "--run-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default="/run/outgate",
    show_default=True,
    metavar="DIR",
    help="Where the agent of this node keeps its files.",
)


@click.command()
@run_dir_option
@options.output_options("text", "json")
def status(run_dir: Path, output: str, quiet: bool, verbose: int) -> int:  # noqa: ARG001 - -v has nothing to add
    """Say what the agent of this node has programmed, and what it could not.

    It reads the file that the agent writes, so it works while the API server is away and after the agent has died:
    the rules stand, and it says as of when.

    \b
    Examples:
      outgate status
      outgate status -o json
      kubectl exec -n outgate ds/outgate -- outgate status

    \b
    Exit codes:
      0  the node is enforced as the cluster asks
      1  it is not: the agent is not ready, not running, or hindered
      2  bad usage, or a file that is no status
      3  there is no agent here, and there was none
    """
    from datetime import UTC, datetime

    from outgate.agent.settings import Settings
    from outgate.errors import KernelError
    from outgate.report.agent_status import read_status
    from outgate.report.status_text import Seen, status_text, well

    settings = Settings("", run_dir=run_dir)
    try:
        text = settings.status_file.read_bytes()
    except FileNotFoundError as error:
        words = f"{settings.status_file} is not there: no agent runs on this machine, or it has other files"
        raise KernelError(words, hint="on a node: see --run-dir; elsewhere: outgate doctor asks the cluster") from error
    seen = Seen(read_status(text, str(settings.status_file)), _held(settings.lock_file), datetime.now(UTC))
    if output == "json":
        click.echo(text.decode().rstrip())
        if not seen.running:
            note("note: the agent is not running", quiet)
    else:
        for line in status_text(seen):
            click.echo(line)
    return 0 if well(seen) else 1


def _held(lock: Path) -> bool:
    """Whether an agent lives: it holds the lock for as long as it does."""
    import fcntl

    try:
        with lock.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
