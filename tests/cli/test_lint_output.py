"""Where a report goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgate.cli.lint_output import FORMATS, files_to_write, write_file, written
from outgate.errors import InvalidInput, UsageError
from tests.report.findings import ERRORS, empty, report


def test_pairs_of_format_and_file() -> None:
    """A file may have the sign in its name."""
    assert files_to_write(["sarif=a.sarif", "json=b=c"]) == [("sarif", "a.sarif"), ("json", "b=c")]
    for text in ("sarif", "=x", "sarif=", "xml=x"):
        with pytest.raises(UsageError, match="FORMAT=FILE"):
            files_to_write([text])


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_an_end(form: str) -> None:
    """With findings and without, with errors of the input and without."""
    for found in (report(), empty()):
        for errors in ((), ERRORS):
            text = written(found, errors, form)
            assert text == "" or text.endswith("\n")
            assert not text.endswith("\n\n")


def test_files(tmp_path: Path) -> None:
    """Without colours, or an error that says why."""
    write_file(str(tmp_path / "a"), "\x1b[1mbold\x1b[0m\n")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "bold\n"
    with pytest.raises(InvalidInput, match="cannot be written: is a directory"):
        write_file(str(tmp_path), "x")
