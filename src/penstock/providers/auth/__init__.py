"""Authentication: what a row says about it (kinds), what is chosen of that for one target (choose), and the flows and
signatures behind it.

Everything here is pure. What needs the outside world is a flow of commands (commands), which the client or the gateway
drives.
"""
