"""Doors in: where objects come from, files, standard input and later the API server.

This room finds and reads documents, hands them to `model` to be understood, and collects what could not be.
It knows nothing about what a policy means. Nothing in it writes to a cluster.
"""

from __future__ import annotations

__all__: list[str] = []
