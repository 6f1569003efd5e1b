"""Performing the fixes of a lint report: in the files, or as a diff on standard output. The half of `lint --fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outgate.cli.inputs import note

if TYPE_CHECKING:
    from outgate.checks.edit import Edit
    from outgate.checks.lint import LintReport
    from outgate.cluster.edits import Mended

__all__ = ["mend_files"]


def mend_files(report: LintReport, *, show: bool, quiet: bool) -> int:
    """Mend what can be, and say what could not; the number of files that change. With `show` nothing is written.

    Raises:
        InvalidInput: a file has changed since it was read, or cannot be written.
    """
    from outgate.host.rewrite import rewrite

    changed = 0
    for file, edits in _by_file(report).items():
        if _no_file(file):
            note(f"note: {file or 'what has no file'} is not mended: only files are", quiet)
            continue
        mended = _mended(file, edits)
        for refused in mended.refused:
            click.echo(f"warning: {refused}", err=True)
        if mended.after == mended.before:
            continue
        changed += 1
        if show:
            click.echo(_diff(mended), nl=False)
        else:
            rewrite(file, mended.before, mended.after)
            note(f"mended: {file}", quiet)
    return changed


def _mended(file: str, edits: list[Edit]) -> Mended:
    from outgate.cluster.edits import mend
    from outgate.cluster.files import open_file

    return mend(*open_file(file), edits)


def _by_file(report: LintReport) -> dict[str, list[Edit]]:
    """The edits of each file; what one finding edits, another with the same edit does not edit again."""
    found: dict[str, list[Edit]] = {}
    seen: set[tuple[object, ...]] = set()
    for one in report.findings:
        for edit in one.finding.fix:
            key = (edit.action, id(edit.place.document), edit.place.at, edit.key, repr(edit.value))
            if key not in seen:
                seen.add(key)
                found.setdefault(edit.place.file, []).append(edit)
    return found


def _no_file(name: str) -> bool:
    """Whether a document came from standard input, a revision or a cluster."""
    import os

    return name in ("", "-") or not os.path.isfile(name)


def _diff(mended: Mended) -> str:
    """A unified diff that patch and git apply take."""
    import difflib

    before, after = (text.decode().splitlines(keepends=True) for text in (mended.before, mended.after))
    name = mended.file.lstrip("/")
    lines = difflib.unified_diff(before, after, f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
