"""The limit of open files is raised as far as that is allowed."""

from __future__ import annotations

import resource

from outgate.host.descriptors import raise_descriptor_limit


def test_the_limit_of_descriptors_is_raised_as_far_as_allowed() -> None:
    """The usual soft limit of 1024 is a twentieth of a middling lab, and less than a DNS proxy may need."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert raise_descriptor_limit() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
