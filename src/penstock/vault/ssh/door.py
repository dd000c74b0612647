"""What the caller says about one SSH connection: who may come in, what may be asked, with which login it goes on.

The terminator knows SSH and no rules; the caller knows the rules and no SSH. Between them stand these values.
"""

from collections.abc import Awaitable, Callable, Mapping
from socket import socket
from typing import Any, Literal, Protocol

import msgspec

from penstock.vault.ssh.commands import LineDecision
from penstock.vault.values import Refusal, Secret

Dial = Callable[[str, int], Awaitable[socket]]
"""Opens a TCP connection to a host and port by the vault's own resolver and checks: a connected, non-blocking socket.
It raises a `Refusal` when the address may not be dialled, and an OSError when nobody answers."""

Audit = Callable[[Mapping[str, Any]], None]
"""Takes one decision as a row. When it raises, what was decided does not happen."""


class Credential(Protocol):
    """A real key or password, as vault/credentials has them."""

    async def value(self) -> Secret:
        """Return the value that counts now."""

    async def rejected(self, seen: Secret) -> bool:
        """The upstream did not take `seen`: return whether there is a newer value, with which to try once more."""


class HostKeys(msgspec.Struct, frozen=True):
    """How the upstream's host key is known.

    Args:
        known_hosts: lines as OpenSSH writes them (`host ssh-ed25519 AAAA...`, `@cert-authority`, `@revoked`); a line
            with only `ssh-ed25519 AAAA...` counts for whatever host the binding names.
        remember: trust on first use, if one asks for it: called with the line of the key that was seen (it must be
            stored and given as `known_hosts` from then on). Without it a host without a line is refused.
    """

    known_hosts: str = ""
    remember: Callable[[str], None] | None = None


class Login(msgspec.Struct, frozen=True):
    """How the vault authenticates onwards.

    Args:
        kind: what `credential` is, in the words of vault/credentials: a private key (PEM or OpenSSH's format) or a
            password (also sent where the upstream asks for it by keyboard-interactive).
        credential: the secret.
        passphrase: of the private key, if it has one.
        host_keys: how the upstream is known.
        legacy: also accept what OpenSSH has turned off (SHA-1 key exchange and signatures, CBC), for old devices.
    """

    kind: Literal["ssh-key", "ssh-password"]
    credential: Credential
    host_keys: HostKeys
    passphrase: Credential | None = None
    legacy: bool = False


class InputCheck(Protocol):
    """Looks at what the client sends before the upstream has it: `LineGate`, or `bound.PushGate`."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return those that may go on. Raises Refusal: the channel ends, nothing more goes on."""

    def end(self) -> bytes:
        """The client sends no more; return what may still go on."""

    def question(self) -> Callable[[], Awaitable[bytes]] | None:
        """What must be asked before more is given to `feed` or `end`; it returns what may go on. Raises Refusal."""

    def answer(self, refusal: Refusal) -> bytes:
        """What the client's own protocol says to a refusal that `feed` raised; b"" for nothing."""

    def decisions(self) -> list[LineDecision]:
        """Take the decisions since the last call; each becomes a row of the audit, a refusal is told to the client."""


class SSHPermit(msgspec.Struct, frozen=True):
    """A request may go on: with this login, as this user of the upstream (by default the one that the client names).

    Args:
        login: how the vault authenticates.
        secret: the secret's name, for the audit and for revocation (`Terminator.secrets`).
        rule: the rule that permits it, for the audit.
        user: of the upstream, if it is another one.
        check: looks at what the client sends.
    """

    login: Login
    secret: str = ""
    rule: str = ""
    user: str = ""
    check: InputCheck | None = None


class Entry(msgspec.Struct, frozen=True):
    """How a user comes in.

    The session is known by its socket, and what the client presents is never passed on. So nothing that a client could
    present makes it more or less entitled, and with `none` it need not present anything: whatever it offers is not
    read. With stubs, the client must present one as password, as the `require` mode of HTTP demands it: a program that
    holds some other password was not meant to go this way, and is told so.

    Args:
        stubs: one of them must come as password or keyboard-interactive; empty: nobody is asked (SSH's `none`).
    """

    stubs: tuple[bytes, ...] = ()


class Door(Protocol):
    """The rules of one session towards one host and port."""

    def enter(self, user: str) -> Entry:
        """Say how this user comes in. Raises Refusal: not at all."""

    async def decide(self, user: str, kind: str, command: str) -> SSHPermit:
        """Say whether this may be asked (`commands.Asked`). It may wait for an approval. Raises Refusal: no."""


class ScrubStream(Protocol):
    """One stream through the scrubber (vault/scrub)."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return those that are certain."""

    def release(self) -> bytes:
        """Return what is held back, where it is so little that it may go: the other side may wait for it."""

    def end(self) -> bytes:
        """Return what was held back."""


class Scrubber(Protocol):
    """Replaces the session's secrets by their stubs (vault/scrub)."""

    def stream(self) -> ScrubStream:
        """Begin a stream."""

    def text(self, text: str) -> str:
        """Scrub a whole text."""


class Limits(msgspec.Struct, frozen=True):
    """Caps of one connection; what goes beyond them is refused or ends it.

    Args:
        channels: open at the same time.
        opened: channels in all.
        logins: wrong passwords.
        login_seconds: until the client must be authenticated, and until the upstream must have let us in.
        idle_seconds: without a byte in either direction.
        window: bytes in flight on a channel, in each direction.
        packet: bytes of data in one message.
        requests: bytes of requests (terminal, environment, resize, signals) on one channel.
        key_exchanges: that the client may begin; one is needed for each gigabyte.
        globals: requests beside channels (keepalives, forwardings that are refused).
    """

    channels: int = 10
    opened: int = 10_000
    logins: int = 6
    login_seconds: float = 30.0
    idle_seconds: float = 3600.0
    window: int = 1024 * 1024
    packet: int = 32 * 1024
    requests: int = 1024 * 1024
    key_exchanges: int = 200
    globals: int = 100_000
