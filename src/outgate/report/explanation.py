"""The documentation of checks, from their docstrings: for a terminal, as pages of Markdown, as JSON.

`docs/checks/` is made of `explanation_markdown` and `index_markdown`, and a test holds it to them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from outgate.checks import load
from outgate.checks.check import Check
from outgate.checks.registry import GROUPS
from outgate.report.terms import API_VERSION, Json

__all__ = ["explanation_json", "explanation_markdown", "explanation_text", "index_markdown", "index_text"]

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


def explanation_text(name: str) -> str:
    """One check for a terminal."""
    return "\n".join(_text(load(name))) + "\n"


def _text(check: Check) -> Iterator[str]:
    documentation = check.documentation
    yield f"{_BOLD}{check.name}{_PLAIN} ({_kind(check)})"
    yield documentation.title
    for title, text in documentation.sections.items():
        yield ""
        yield f"{_BOLD}{title}{_PLAIN}"
        yield textwrap.indent(text, "  ")


def index_text() -> str:
    """All checks, a line each."""
    width = max(len(name) for names in GROUPS.values() for name in names)
    lines = []
    for title, names in GROUPS.items():
        lines.append(f"{_BOLD}{title}{_PLAIN}")
        lines += [f"  {name:<{width}}  {load(name).severity!s:<7}  {load(name).documentation.title}" for name in names]
    return "\n".join(lines) + "\n"


def explanation_markdown(name: str) -> str:
    """One check as a page."""
    check = load(name)
    documentation = check.documentation
    parts = [f"# {name}: {documentation.title[:1].lower()}{documentation.title[1:]}", _kind(check).capitalize() + "."]
    for title, text in documentation.sections.items():
        parts.append(f"## {title}")
        parts.append(f"```yaml\n{text}\n```" if "xample" in title else text)
    return "\n\n".join(parts) + "\n"


def index_markdown() -> str:
    """The page that lists all checks."""
    parts = [
        "# Checks",
        "What `outgate lint` asks. Each page is what `outgate explain RULE` prints. The verb: [lint](../lint.md).",
    ]
    for title, names in GROUPS.items():
        rows = [f"| [{one}]({one}.md) | {_kind(load(one))} | {load(one).documentation.title} |" for one in names]
        parts += [f"## {title}", "\n".join(["| check | | finds |", "|---|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def explanation_json(names: Iterable[str]) -> Json:
    """Checks as data."""
    return {"apiVersion": API_VERSION, "kind": "CheckList", "checks": [_json(load(name)) for name in names]}


def _json(check: Check) -> Json:
    documentation = check.documentation
    return {
        "name": check.name,
        "severity": str(check.severity),
        "fixable": check.fixable,
        "title": documentation.title,
        "sections": [{"title": title, "text": text} for title, text in documentation.sections.items()],
    }


def _kind(check: Check) -> str:
    return f"{check.severity}, can be fixed" if check.fixable else str(check.severity)
