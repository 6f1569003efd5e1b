"""What tests of the host share."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

import pytest


@pytest.fixture
def _many_descriptors() -> Iterator[None]:
    """Every file or socket that the test opens has a number that select(2) refuses."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        low = os.open("/dev/null", os.O_RDONLY)
        stack.callback(os.close, low)
        while (last := os.dup(low)) < 1023:
            stack.callback(os.close, last)
        stack.callback(os.close, last)
        yield
