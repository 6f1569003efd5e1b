"""The policies as they were written, each line with its number in the file.

A line is an item of an ordered list that starts where the document starts in its file: so it has its number without a
script, the number is not copied with the text, and `#p3l21` leads to line 21 of policy 3.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.report.page_data import Page, PagePolicy
from outgate.report.page_markup import element, escape
from outgate.report.page_words import policy_title

__all__ = ["policy_list"]


def policy_list(page: Page) -> str:
    """Every policy, folded."""
    if not page.policies:
        return element("p", "There is no policy in the input.")
    return "".join(_policy(number, policy) for number, policy in enumerate(page.policies))


def _policy(number: int, policy: PagePolicy) -> str:
    place = f"{policy.file}:{policy.first_line}" if policy.file else ""
    head = element("b", escape(policy_title(policy))) + " " + element("i", escape(place))
    lines = "".join(_lines(number, policy))
    text = element("ol", lines, class_="yaml", start=policy.first_line)
    return element("details", element("summary", head) + text, id=f"p{number}", class_="policy")


def _lines(number: int, policy: PagePolicy) -> Iterator[str]:
    text = policy.text.removesuffix("\n")
    for line, words in enumerate(text.split("\n"), policy.first_line):
        yield element("li", escape(words.removesuffix("\r")), id=f"p{number}l{line}")
