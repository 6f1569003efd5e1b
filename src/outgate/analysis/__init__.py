"""Questions about decisions: can one end reach another, on which ports, and where may a pod go at all.

Nothing here knows how an answer is shown (`outgate.report`) or where the snapshot came from
(`outgate.cluster`). Every answer is exact: it partitions the packets, it never samples them.
"""

__all__: list[str] = []
