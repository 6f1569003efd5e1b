"""Performing fixes: what is counted, shown, refused and said."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgate.checks import Survey
from outgate.checks.lint import LintReport, lint
from outgate.cli.mending import mend_files
from outgate.cluster import load
from outgate.errors import InvalidInput
from tests.report.findings import CLUSTER


def found(*files: Path) -> LintReport:
    """What is found in files."""
    return lint(Survey(load([str(file) for file in files]).snapshot))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with something to mend."""
    path = tmp_path / "np.yaml"
    path.write_text(CLUSTER, encoding="utf-8")
    return path


def test_shown_and_not_written(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a diff that git apply takes."""
    assert mend_files(found(file), show=True, quiet=False) == 1
    said = capsys.readouterr()
    assert said.out.startswith("--- a/")
    assert said.err == ""
    assert file.read_text(encoding="utf-8") == CLUSTER


def test_a_text_without_a_last_line_end(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The diff says so, as diff does."""
    file.write_text(CLUSTER.split("---\n")[3].rstrip("\n"), encoding="utf-8")
    assert mend_files(found(file), show=True, quiet=False) == 1
    assert "\\ No newline at end of file\n" in capsys.readouterr().out


def test_a_file_that_changed_or_went_meanwhile(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was found is not there any more: it is said, and nothing is written."""
    report = found(file)
    file.write_text("a: 1\n", encoding="utf-8")
    assert mend_files(report, show=False, quiet=False) == 0
    assert "not mended" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "a: 1\n"
    file.unlink()
    assert mend_files(report, show=False, quiet=False) == 0
    assert "is not mended: only files are" in capsys.readouterr().err


def test_a_file_that_cannot_be_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error, and the file stays whole."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("outgate.host.rewrite.tempfile.mkstemp", full)
    with pytest.raises(InvalidInput, match="no space left"):
        mend_files(found(file), show=False, quiet=False)
    assert file.read_text(encoding="utf-8") == CLUSTER


def test_quiet(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what went wrong is said."""
    assert mend_files(found(file), show=False, quiet=True) == 1
    assert capsys.readouterr().err == ""
