"""The page's own style and script, and the policy that forbids it everything else.

They lie in `assets/` as what they are, so that an editor reads them as CSS and JavaScript, and belong to the package
as its modules do: they are read once, when this module is. The script is one function around all files, in order;
`boot.js` runs alone and first, so that nobody sees the document turn into an application.

The Content-Security-Policy names them by their digests. Whatever a manifest may have slipped into the page could
neither run nor load anything, were `page_markup` to fail: no other script, no address at all, no form, no base.
`require-trusted-types-for` takes from the script itself every way to make markup of text.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

__all__ = ["boot", "content_policy", "script", "style"]

STYLES = ("base.css", "graph.css", "views.css")
SCRIPTS = ("model.js", "panel.js", "graph.js", "matrix.js", "search.js", "controls.js")


def _joined(names: tuple[str, ...]) -> str:
    folder = files("outgate.report") / "assets"
    return "".join((folder / name).read_text(encoding="utf-8") for name in names)


def _enclosed(text: str) -> str:
    """A script that leaves no name behind."""
    return f'(() => {{\n"use strict";\n{text}}})();\n'


_STYLE = _joined(STYLES)
_BOOT = _enclosed(_joined(("boot.js",)))
_SCRIPT = _enclosed(_joined(SCRIPTS))


def style() -> str:
    """The style sheet."""
    return _STYLE


def boot() -> str:
    """The few lines that run before the page is laid out."""
    return _BOOT


def script() -> str:
    """The script."""
    return _SCRIPT


def content_policy() -> str:
    """The value of the Content-Security-Policy, for exactly this style and these scripts."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(_BOOT)}' '{_digest(_SCRIPT)}'",
            f"style-src '{_digest(_STYLE)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _digest(text: str) -> str:
    """As CSP Level 3 writes a hash: of the element's text in UTF-8, in base 64."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
