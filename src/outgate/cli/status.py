"""`outgate status`: what the agent of this node has programmed, and what it could not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import note

if TYPE_CHECKING:
    from outgate.agent.settings import Settings
    from outgate.report.status_text import ProxySeen

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
      kubectl exec -n outgate-system ds/outgate -c agent -- outgate status

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
    found = read_status(text, str(settings.status_file))
    proxies = tuple(_proxies(settings))
    seen = Seen(found, _held(settings.lock_file), datetime.now(UTC), proxies)
    if output == "json":
        click.echo(_document(text, proxies))
        if not seen.running:
            note("note: the agent is not running", quiet)
    else:
        for line in status_text(seen):
            click.echo(line)
    return 0 if well(seen) else 1


def _document(text: bytes, proxies: tuple[ProxySeen, ...]) -> str:
    """What the agent wrote, with what is found of the proxies now, where they are or were."""
    if not proxies:
        return text.decode().rstrip()
    import json

    seen = [{"topic": one.topic, "up": one.up, "words": one.words} for one in proxies]
    return json.dumps({**json.loads(text), "proxies": seen}, ensure_ascii=False)


def _proxies(settings: Settings) -> Iterator[ProxySeen]:
    """The DNS proxy and Envoy, where they have left anything here."""
    from outgate.agent.proxy_measures import read_names
    from outgate.agent.proxying import envoy_of
    from outgate.proxy.envoy import BOOTSTRAP
    from outgate.report.status_text import ProxySeen

    names = read_names(settings.dns.status_file)
    if names is not None:
        known, refused = names.status.learned, names.status.results.get("refused", 0)
        words = f"{known} addresses known, {refused} questions refused"
        if names.status.fault:
            words = f"its orders cannot be read: {names.status.fault}; it goes by those of before; {words}"
        runs = "the DNS proxy runs" if names.up else "the DNS proxy is not running: names open nothing new"
        yield ProxySeen("names", f"{runs}; {words}", names.up and not names.status.fault)
    # A folder alone is left where one was mounted, and says nothing.
    if (settings.envoy_dir / BOOTSTRAP).exists():
        up = envoy_of(settings).is_ready()
        closes = "Envoy does not take connections: what rules about requests concern is closed"
        yield ProxySeen("requests", "Envoy takes connections" if up else closes, up)


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
