"""Doors out: the kernel of this machine, through namespaces, links, netlink and the tools that speak to it.

Everything here acts on the namespaces it is given and on nothing else. What should happen is
decided above (`lab`, `agent`); what a refusal by the kernel means is said here, in typed errors.
"""
