"""SSH through the vault: a connection of the sandbox ends here, and another one, with the real key, begins here.

The agent runs `ssh device` or `git push` and holds nothing: which session asks is known by its socket, what may be
asked is said by the rules, and the key or password is added on the vault's own connection onwards. In between, no byte
of one protocol becomes a byte of the other: both ends are parsed, and only what this package names is passed on
(one stream in each direction, a terminal, signals, the exit status). docs/how-to/reach-devices-by-ssh.md tells how it
is used.

- `commands`: what is asked, and whether a pattern covers it (pure)
- `door`: what the caller must say about one connection
- `identity`: the host keys that a session sees
- `upstream`: the connection onwards
- `relay`: one channel between the two
- `terminator`: the connection of the sandbox
"""

from penstock.vault.ssh.commands import Asked, LineGate, check_pattern, covers
from penstock.vault.ssh.door import Door, Entry, HostKeys, InputCheck, Limits, Login, SSHPermit

# `identity` and `terminator` are imported by name: with them comes asyncssh, which rules and HTTP do not need.
__all__ = [
    "Asked",
    "Door",
    "Entry",
    "HostKeys",
    "InputCheck",
    "Limits",
    "LineGate",
    "Login",
    "SSHPermit",
    "check_pattern",
    "covers",
]
