"""The command line: one verb a file, and nothing else.

A verb reads its options, asks the rooms below for an answer, hands the answer to `report` and returns an exit code.
No rule about policies, packets or the kernel lives here.
"""

__all__: list[str] = []
