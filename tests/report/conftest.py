"""A browser for the tests of the HTML page.

Where there is no Chromium they are skipped; under CI they fail, because a page that nobody opened is not tested.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgate.report.page import page
from tests.report.browser import Browser, View, browser_missing, running
from tests.report.pages import SAMPLES


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    reason = browser_missing()
    if reason and os.environ.get("CI"):
        pytest.fail(f"{reason}; under CI that is a failure", pytrace=False)
    elif reason:
        pytest.skip(reason)
    with running(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The samples, as files."""
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for name, sample in SAMPLES.items():
        made[name] = folder / f"{name}.html"
        made[name].write_text(page(sample()), encoding="utf-8")
    return made


@pytest.fixture
def view(chromium: Browser, files: dict[str, Path]) -> Iterator[View]:
    """The browser as everybody finds it: light, with scripts, nothing logged; and nothing is logged by any test."""
    chromium.scripts(True)
    chromium.media("light")
    chromium.window(1440, 900)
    opened = View(chromium, files)
    yield opened
    assert chromium.log() == []
    assert [one for one in chromium.requests() if not one.startswith("file:")] == []
