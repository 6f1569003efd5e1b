"""The values that a page is made of: plain, frozen, comparable."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from outgate.report import page_data
from outgate.report.page_data import Page, PageEdge, PageNode, PagePolicy, PageRule
from tests.report.pages import comparison, small


@pytest.mark.parametrize("kind", [Page, PageNode, PageEdge, PageRule, PagePolicy])
def test_nothing_can_be_changed_after_it_was_said(kind: type) -> None:
    """A page that changed while it was being written would contradict itself."""
    page = small()
    values = (page, page.nodes[0], page.edges[0], page.rules[0], page.policies[0])
    (value,) = (one for one in values if type(one) is kind)
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, "other")
    assert not hasattr(value, "__dict__")


def test_equal_pages_are_equal() -> None:
    """Tests and callers compare pages as values."""
    assert small() == small()
    assert small() != comparison()
    assert hash(small().edges[0]) == hash(small().edges[0])


def test_the_kinds_that_are_not_workloads() -> None:
    """Whoever fills a page writes these words, and the page draws such nodes at its sides."""
    assert (page_data.EXTERNAL, page_data.INGRESS_CONTROLLER) == ("External", "IngressController")
