"""The node agent: the policies of a cluster, kept true in the kernel of one node.

    cluster (what the API server says) ─► step (what follows from it: pure) ─► kernel
                                            │
                                            └─► status, metrics, log, saved state

`outgate.agent.step` decides and touches nothing; `outgate.agent.loop` performs what it says.
"""
