"""What is said above TCP and UDP: DNS messages. Pure: bytes in, values out, and back.

Nothing here opens a socket; `lab` and the agent carry the bytes.
"""
