"""The values that a page is made of: plain, frozen, comparable."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from outgate.report import page_data
from outgate.report.page_data import Page, PageEdge, PageNode, PagePolicy, PageRule
from tests.report.pages import comparison, small


@pytest.mark.parametrize("kind", [Page, PageNode, PageEdge, PageRule, PagePolicy])
def test_nothing_can_be_changed_after_it_was_said(kind: type) -> None:
    """A page that changed while it was being written would contradict itself."""
    assert is_dataclass(kind)
    value = {Page: small(), PageNode: small().nodes[0], PageEdge: small().edges[0]}.get(kind)
    if value is not None:
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            setattr(value, fields(value)[0].name, "other")
    assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)


def test_equal_pages_are_equal() -> None:
    """Tests and callers compare pages as values."""
    assert small() == small()
    assert small() != comparison()
    assert hash(small().edges[0]) == hash(small().edges[0])


def test_the_kinds_that_are_not_workloads() -> None:
    """Whoever fills a page writes these words, and the page draws such nodes at its sides."""
    assert (page_data.EXTERNAL, page_data.INGRESS_CONTROLLER) == ("External", "IngressController")
