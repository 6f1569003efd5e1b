"""The one shape of documentation."""

from __future__ import annotations

import pytest

from outgate.checks.documentation import SECTIONS, Documentation

GOOD = "Title.\n\n" + "\n".join(f"{name}:\n    of {name}\n      more" for name in SECTIONS) + "\n"


def test_the_parts_of_a_docstring() -> None:
    """Without the indentation that the source has."""
    found = Documentation.of(GOOD)
    assert found.title == "Title"
    assert found.sections["Example"] == "of Example\n  more"


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("References:\n    of References\n      more\n", ""),
        GOOD.replace("Example:", "Sample:", 1),
        GOOD.replace("\n\nWhat it does", "\n\nstray\nWhat it does"),
    ],
)
def test_another_shape_is_refused(text: str) -> None:
    """A section that is missing, has another name, or a line in none."""
    with pytest.raises(ValueError, match=r"the sections are|stands in no section"):
        Documentation.of(text)
