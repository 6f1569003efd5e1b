"""`outgate agent uninstall`: everything that Outgate put on a node, removed and named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["uninstall"]


def _folder(option: str, default: str, what: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    return click.option(
        option,
        type=click.Path(path_type=Path),
        default=default,
        show_default=True,
        metavar="DIR",
        help=f"{what} An empty one leaves it alone.",
    )


@click.command()
@click.option("--state-dir", type=click.Path(path_type=Path), metavar="DIR", help="As the agent was given it.")
@click.option("--run-dir", type=click.Path(path_type=Path), metavar="DIR", help="As the agent was given it.")
@_folder("--unit-dir", "/etc/systemd/system", "Where the boot unit is.")
@_folder("--cni-bin-dir", "/opt/cni/bin", "Where the plugin outgate-cni is.")
@_folder("--cni-conf-dir", "/etc/cni/net.d", "Where network configurations name the plugin.")
def uninstall(
    state_dir: Path | None, run_dir: Path | None, unit_dir: Path, cni_bin_dir: Path, cni_conf_dir: Path
) -> int:
    """Remove the rules and all that Outgate put on this node, and say what.

    The node is open afterwards. No other command, and no signal, ever removes the rules: an agent that ends leaves
    them in force. An agent that still runs is an error.

    \b
    Exit codes:
      0  nothing of it is left
      2  bad usage, or an agent runs here
      3  something could not be removed
    """
    from outgate.agent.settings import Settings
    from outgate.agent.uninstall import Fate
    from outgate.agent.uninstall import uninstall as remove
    from outgate.host.nft import Nftables

    settings = Settings("")
    settings = Settings("", state_dir=state_dir or settings.state_dir, run_dir=run_dir or settings.run_dir)
    removals = remove(
        settings,
        Nftables(),
        unit_dir=_given(unit_dir),
        cni_bin_dir=_given(cni_bin_dir),
        cni_conf_dir=_given(cni_conf_dir),
    )
    for removal in removals:
        click.echo(str(removal))
    return 3 if any(one.fate is Fate.FAILED for one in removals) else 0


def _given(folder: Path) -> Path | None:
    """None for an option that was given as nothing, which a path makes the current folder of."""
    return None if folder == Path() else folder
