"""What is shown: report data first, then one format a file.

This room turns answers into text, JSON and pictures, and is pure: it receives values and returns strings or plain
data. It decides nothing about policies, and it opens no file and asks no terminal.
"""

from __future__ import annotations

__all__: list[str] = []
