"""A request as people write it, on the command line and in files."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.analysis.request_words import RequestAsked, read_request
from outgate.errors import InputError, UsageError
from outgate.model import NOWHERE
from outgate.policy.requests import Request


def test_a_method_and_a_path() -> None:
    """The query belongs to the path, and the host is the end's name unless another is given."""
    asked = RequestAsked.of(" GET /v1/items?page=2 ", headers=["X-Team: red: blue"])
    assert asked == RequestAsked("GET", "/v1/items?page=2", None, (("X-Team", "red: blue"),))
    assert asked.about("svc/shop/cart").request == Request("GET", "/v1/items?page=2", "cart", asked.headers)
    named = RequestAsked.of("GET /", "api.example.com").about("203.0.113.10").request
    assert named is not None
    assert named.host == "api.example.com"


@pytest.mark.parametrize("text", ["", "GET", "GET items", "GET /a b", "GET //a", "GET /a/../b", "GET /%2e", "get\t/"])
def test_what_is_no_request(text: str) -> None:
    """Nor what would reach the server as another."""
    with pytest.raises(UsageError):
        RequestAsked.of(text)


@pytest.mark.parametrize("headers", [["X-Team"], [": red"]])
def test_what_is_no_header(headers: list[str]) -> None:
    """It needs a name."""
    with pytest.raises(UsageError, match="is no header"):
        RequestAsked.of("GET /", headers=headers)


@pytest.mark.parametrize(
    ("value", "found", "wrong"),
    [
        ("GET /a", RequestAsked("GET", "/a"), 0),
        ({"request": "GET /a", "host": "x", "headers": {"A": "b"}}, RequestAsked("GET", "/a", "x", (("A", "b"),)), 0),
        ({"request": "GET"}, None, 1),
        ({"request": "GET /a", "host": 1, "headers": {"A": 1}, "method": "GET"}, None, 3),
        (7, None, 1),
        ([], None, 1),
        ({}, None, 1),
    ],
)
def test_in_a_file_all_that_is_wrong_is_said(value: Any, found: RequestAsked | None, wrong: int) -> None:
    """At once."""
    errors: list[InputError] = []
    assert read_request(value, NOWHERE, errors) == found
    assert len(errors) == wrong


@pytest.mark.parametrize(
    ("text", "host", "headers", "words"),
    [
        ("GET /a#b", None, [], "has a fragment, which no client sends"),
        ("GET /a?b#c", None, [], "has a fragment, which no client sends"),
        ("GET /é", None, [], "characters that no request has"),
        ("GÉT /", None, [], "characters that no request has"),
        ("GET /", "http://items:80/", [], "is no host of a request"),
        ("GET /", "items/", [], "is no host of a request"),
        ("GET /", "", [], "is no host of a request"),
        ("GET /", "bücher.example.com", [], "is no host of a request"),
        ("GET /", None, ["Host: items"], "give it as the host"),
        ("GET /", None, ["X Y: z"], "is no header"),
        ("GET /", None, [":path: /x"], "is no header"),
        ("GET /", None, ["X: a\nb"], "is no header"),
    ],
)
def test_what_no_client_can_send(text: str, host: str | None, headers: list[str], words: str) -> None:
    """An answer about it would be about something that never arrives, or be right by chance."""
    with pytest.raises(UsageError) as caught:
        RequestAsked.of(text, host, headers)
    assert words in f"{caught.value.message}: {caught.value.hint}"


@pytest.mark.parametrize("host", ["items", "items:8080", "10.0.0.1:80", "[2001:db8::1]:80", "a_b.example.com."])
def test_hosts_of_requests(host: str) -> None:
    """As clients send them."""
    assert RequestAsked.of("GET /", host).host == host
