"""A real miniature of a cluster in network namespaces, closed in on itself.

    addressing   what the input leaves out: nodes, addresses, who runs where
    topology     the boxes and wires, as data
    build        the same, in the kernel: a `Stage`
    services     kube-proxy's part
    session      the process that all of it lives in; keeper: a lab that stays

No packet can leave it: the namespaces have no link to the machine's own. When its first process ends,
by whatever signal, the kernel takes everything down.
"""
