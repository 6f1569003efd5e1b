"""`outgate completion SHELL`: the script that teaches a shell to complete outgate's verbs and options.

The script asks `outgate` itself, through an environment variable, each time the tab key is pressed; click writes both
ends of that conversation. What lives here is only the verb that prints the script, so that nobody has to know the name
of the variable.
"""

from __future__ import annotations

import click

from outgate.errors import Unsupported

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> int:
    """Print the completion script for SHELL.

    \b
    To complete in every new shell:
      bash   echo 'eval "$(outgate completion bash)"' >> ~/.bashrc
      zsh    echo 'eval "$(outgate completion zsh)"' >> ~/.zshrc
      fish   outgate completion fish > ~/.config/fish/completions/outgate.fish
    """
    from click.shell_completion import get_completion_class

    from outgate.cli.main import COMPLETE_VARIABLE, outgate

    found = get_completion_class(shell)
    if found is None:
        raise Unsupported(f"the installed click cannot complete in {shell}", hint="outgate needs click 8.2 or later")
    script = found(outgate, {}, "outgate", COMPLETE_VARIABLE)
    # Not `script.source()`: for bash, that starts a bash to learn its version.
    click.echo(script.source_template % script.source_vars())
    return 0
