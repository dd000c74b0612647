"""What the vault and those who use it say to each other over its control socket: one message a packet, JSON, with the
listening sockets of a session beside it as file descriptors.

The socket is a pair made by who starts the vault: it never lies where a sandbox can see it. No message bears a secret
in either direction: secrets are named, and only the vault's own store knows them.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

MAX_MESSAGE = 128 * 1024
MAX_LISTENERS = 64
DEFAULT_LIFETIME = 24 * 3600.0
DEFAULT_ASK_SECONDS = 120.0

ListenerKind = Literal["proxy", "transparent", "redirected", "dns"]
"""`proxy`: clients that speak to a proxy (CONNECT, absolute URLs). `transparent`: connections that were meant for
somebody else; where to is the socket's own name, or with `redirected` SO_ORIGINAL_DST. `dns`: UDP, answers with
stand-in addresses.
"""


class SessionSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a session may do.

    Attributes:
        id: unique among those of this vault; it stands in every row of the audit log.
        owner: whose secrets it may use.
        secrets: names in the store; each is represented in the sandbox by a stub.
        own: names of secrets that the session has for itself (its key at a gateway): their owner in the store is
            `session/ID`.
        rules: egress without a credential, as `METHOD scheme://host:port/path`. Nothing else gets out.
        pushes: rules that answers to pushes have added before, for any of its secrets; what is no such rule adds none.
        captures: tokens of login answers that become stubs (docs/reference/credential-kinds.md).
        pins: host to `address` or `address:port` where it is found, instead of asking the resolver; the pin names a
            private address.
        addresses: host to the private networks (CIDR) that it may be found in.
        upstream_cas: host, `*.domain` or `*` to PEM of the authorities that vouch for it, beside the system's.
        freeze_on_misuse: stop the session when a stub is seen where it does not belong (default: raise an alarm only).
        ask: ask whoever holds the control socket about hosts that no rule knows, and about pushes to refs that no
            binding names, instead of refusing at once.
        ask_seconds: how long what is asked about waits for the answer; none means no (default: two minutes).
        lifetime: seconds until its certificates end (default: a day).
    """

    id: str
    owner: str = ""
    secrets: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    pushes: tuple[str, ...] = ()
    captures: tuple[str, ...] = ()
    pins: dict[str, str] = msgspec.field(default_factory=dict)
    addresses: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    upstream_cas: dict[str, str] = msgspec.field(default_factory=dict)
    freeze_on_misuse: bool = False
    ask: bool = False
    ask_seconds: float = DEFAULT_ASK_SECONDS
    lifetime: float = DEFAULT_LIFETIME


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What the sandbox of a session gets: stubs, and what it must trust.

    Attributes:
        env: variable to stub.
        ca_pem: certificates of the session's authority, to be trusted inside this sandbox and nowhere else.
        hosts: `host:port` of every rule, exact or with wildcards.
        git_config: lines for git's configuration: who logs in where, with which variable's stub.
        known_hosts: lines for OpenSSH's known_hosts.
        ssh_config: lines for OpenSSH's configuration.
        java_store: what `ca_pem` has as a trust store of the JDK (PKCS #12, password `changeit`), in base64.
    """

    env: dict[str, str]
    ca_pem: str
    hosts: tuple[str, ...] = ()
    git_config: str = ""
    known_hosts: str = ""
    ssh_config: str = ""
    java_store: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a session, told to whoever holds the control socket.

    Attributes:
        kind: `alarm` (a stub where it does not belong), `frozen`, `revoked`, `denied`, `ask` (a connection waits).
        about: of `ask`: `egress`, a request that no rule allows; `push`, refs that no binding names.
        detail: a sentence for people; never a secret, never a stub.
        proposal: the rule that would allow it, as it would be written; for `ask`, what to answer with.
    """

    session: str
    kind: Literal["alarm", "frozen", "revoked", "denied", "ask"]
    detail: str
    code: str = ""
    proposal: str = ""
    about: Literal["", "egress", "push"] = ""


class Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One call: the name of a function of the vault and its arguments; `kinds` of the listeners that come along."""

    number: int
    name: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    kinds: tuple[ListenerKind, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to call `number`: a result, or a refusal's code, reason and fix."""

    number: int
    result: Any = None
    code: str = ""
    reason: str = ""
    fix: str = ""


class Packet(msgspec.Struct, frozen=True, kw_only=True):
    """What the vault sends: an answer or an event."""

    answer: Answer | None = None
    event: Event | None = None


def pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a control socket."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_MESSAGE)
    return ends


def send(sock: socket.socket, message: msgspec.Struct, sockets: Sequence[socket.socket] = ()) -> None:
    """Send one message, with copies of `sockets`.

    Raises:
        OSError: nobody is there, or it does not read (a control socket's peer that sleeps is as good as gone).
    """
    data = msgspec.json.encode(message)
    if len(data) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(data)} bytes is too long for the control socket")
    numbers = array.array("i", [each.fileno() for each in sockets])
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers.tobytes())] if sockets else []
    sock.sendmsg([data], rights)


async def receive(sock: socket.socket) -> tuple[bytes, list[socket.socket]]:
    """Wait for one message and the sockets that come with it; `b""` when the other end is gone."""
    while True:
        await readable(sock)
        try:
            data, numbers, flags, _ = socket.recv_fds(sock, MAX_MESSAGE, MAX_LISTENERS)
        except BlockingIOError:
            continue
        except ConnectionError:
            return b"", []
        sockets = _sockets(numbers)
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            for each in sockets:
                each.close()
            raise ValueError("it is longer than the control socket takes")
        for each in sockets:
            each.setblocking(False)
            os.set_inheritable(each.fileno(), False)
        return data, sockets


def _sockets(numbers: Sequence[int]) -> list[socket.socket]:
    """File descriptors as sockets; what is none is closed, and the number of sockets then tells."""
    found = []
    for number in numbers:
        try:
            found.append(socket.socket(fileno=number))
        except OSError:
            os.close(number)
    return found


async def readable(sock: socket.socket) -> None:
    """Wait until something can be read from a raw socket."""
    loop = asyncio.get_running_loop()
    number = sock.fileno()  # it may be closed while somebody waits
    ready: asyncio.Future[None] = loop.create_future()

    def is_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(number, is_ready)
    try:
        await ready
    finally:
        loop.remove_reader(number)
