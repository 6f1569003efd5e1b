"""Egress control for Kubernetes.

Outgate answers three questions, each exactly: what may leave this pod (analysis), what really leaves it (enforcement
and real probes), and what should be allowed to leave (checks, scaffolds, recommendations). One model of policy stands
behind all three, and the kernel is held to it. This module imports nothing, so that every room can be used alone.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
