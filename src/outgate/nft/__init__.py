"""What the kernel hears: typed nftables objects, the compiler, text and listing, delta, an evaluator.

Rulesets are built from objects and only then written down; no text of a manifest becomes a command.
Nothing here starts a process or opens a socket: `outgate.host` performs what this room describes.
"""
