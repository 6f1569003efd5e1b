"""The page's own style and script, and the policy that forbids it everything else.

They lie in `assets/` as what they are, so that an editor reads them as CSS and JavaScript, and belong to the package
as its modules do: they are read once, when this module is. The script is one function around all files, in order.

The Content-Security-Policy names both by their digests. Whatever a manifest may have slipped into the page could
neither run nor load anything, were `page_markup` to fail: no other script, no address at all, no form, no base.
`require-trusted-types-for` takes from the script itself every way to make markup of text.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

__all__ = ["content_policy", "script", "style"]

STYLES = ("base.css", "graph.css", "views.css")
SCRIPTS = ("model.js", "panel.js", "graph.js", "matrix.js", "search.js", "controls.js")


def _joined(names: tuple[str, ...]) -> str:
    folder = files("outgate.report") / "assets"
    return "".join((folder / name).read_text(encoding="utf-8") for name in names)


_STYLE = _joined(STYLES)
_SCRIPT = f'(() => {{\n"use strict";\n{_joined(SCRIPTS)}}})();\n'


def style() -> str:
    """The style sheet."""
    return _STYLE


def script() -> str:
    """The script."""
    return _SCRIPT


def content_policy() -> str:
    """The value of the Content-Security-Policy, for exactly this style and this script."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(_SCRIPT)}'",
            f"style-src '{_digest(_STYLE)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _digest(text: str) -> str:
    """As CSP Level 3 writes a hash: of the element's text in UTF-8, in base 64."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
