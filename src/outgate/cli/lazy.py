"""Groups of verbs that cost nothing until one of them is called.

The one-line helps stand in a table, so that listing the verbs imports none of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

__all__ = ["LazyGroup", "Verb"]


class Verb(NamedTuple):
    """Where a verb lives, and what it does in one line."""

    target: str
    """`module:attribute` of a click command."""
    summary: str


class LazyGroup(click.Group):
    """A group of commands that are imported when they are called, not when they are listed: those of a table."""

    def __init__(self, *arguments: Any, verbs: Mapping[str, Verb], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, in the order of the table."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb, or None where there is none of that name."""
        verb = self.verbs.get(cmd_name)
        if verb is None:
            return None
        module, _, attribute = verb.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; a mistyped one is answered with the nearest names."""
        if args[0] not in self.verbs and not args[0].startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches  # only a mistake pays for it

            near = get_close_matches(args[0], self.verbs)
            advice = f" Did you mean {' or '.join(near)}?" if near else f" The verbs are: {', '.join(self.verbs)}."
            raise click.UsageError(f"There is no verb '{args[0]}'.{advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs from the table alone."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.summary) for name, verb in self.verbs.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[click.shell_completion.CompletionItem]:
        """Complete the verbs from the table, and options as any command does."""
        from click.shell_completion import CompletionItem  # only a shell's tab key pays for it

        verbs = [
            CompletionItem(name, help=verb.summary) for name, verb in self.verbs.items() if name.startswith(incomplete)
        ]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)
