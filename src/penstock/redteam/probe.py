"""What a probe is: an attack, and what must come of it. Values and pure functions.

In the bytes of an attack stand marks: `@TOKEN@` names the probe (its answer and its requests are found by it), `@STUB@`
is the stub of the canary, `@BASIC@` that stub as git sends it, `@EVIL@` the attacker's host. `Kit.fill` replaces them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from penstock.redteam.outside import Field

API = "api.bound.example"
"""Any method and path; the canary goes into `header:authorization`."""
ITEMS = "items.bound.example"
"""The canary goes to `GET /v1/items/*` alone."""
GIT, QUERY, JSON, LOGIN = "git.bound.example", "query.bound.example", "json.bound.example", "login.bound.example"
DEVICE, SIGNED = "device.bound.example", "s3.bound.example"
SELF_SIGNED, OTHER_NAME = "self-signed.bound.example", "other-name.bound.example"
PACKAGES = "packages.example"
"""Anybody may read there, by an egress rule."""
PLAIN = "plain.example"
"""An egress rule over http."""
ATTACKER = "attacker.example"
"""All names below it are the attacker's; no rule names them."""

Phase = Literal["live", "frozen", "revoked", "ended", "reopened", "dead", "destroyed"]
"""When a probe runs: while all is well; after a stub was misused where that freezes; while and after the canary is
revoked; after the session has ended; when the same sandbox has another session; after the vault was killed; after the
sandboxes are gone.
"""
Where = Literal["agent", "neighbour"]
"""In which sandbox: of the session with the canary, or of another that may reach every host."""
Way = Literal["connect", "proxy", "transparent"]
_TOKEN = re.compile(rb"k[0-9]{3}q")


Piece: TypeAlias = "bytes | Callable[[Kit], bytes]"
"""What is written: bytes with marks, or what makes them where lengths stand before the marks."""


class Wire(Struct, frozen=True, kw_only=True):
    """Bytes on a connection, and what comes back.

    Attributes:
        send: what is written, piece by piece.
        way: `connect` asks the proxy for a tunnel to `host`; `proxy` speaks to the proxy; `transparent` looks the
            name up and connects, as programs do that know of no proxy.
        host, port: where to; they may be odd.
        connect: the request for the tunnel, instead of the usual one.
        tls: whether to begin TLS, whatever certificate comes.
        sni: the server name, instead of `host`; "" for none.
        alpn: what TLS offers.
        gap: seconds between the pieces.
        answers: how many responses to wait for.
        patience: seconds of silence after which nothing more is expected.
        repeat: how often the whole is done; the last is reported.
    """

    send: tuple[Piece, ...] = ()
    way: Way = "connect"
    host: str = API
    port: int = 443
    connect: bytes = b""
    tls: bool = True
    sni: str | None = None
    alpn: tuple[str, ...] = ("http/1.1",)
    gap: float = 0.0
    answers: int = 1
    patience: float = 10.0
    repeat: int = 1


class Code(Struct, frozen=True):
    """A Python program (`inside.py` says what it finds there). It ends with `cannot run: ...` where it lacks a tool."""

    source: str
    seconds: float = 30.0


class Shell(Struct, frozen=True):
    """A line for `sh`; `needs` are programs without which it cannot run."""

    line: str
    needs: tuple[str, ...] = ()
    seconds: float = 30.0


class Outside(Struct, frozen=True):
    """A look from outside: it returns its evidence, or raises `outside.WrongError` with what it found."""

    look: Callable[[Field], str]


Attack: TypeAlias = Wire | Code | Shell | Outside


class Back(Struct, frozen=True, kw_only=True):
    """What the inside got.

    Attributes:
        connect: the answer to the request for a tunnel.
        tls: the version and protocol of TLS, "" where there is none.
        data: the bytes that came back; of a program, its output.
        error: what ended it: the name of an exception or of TLS's alert; of a program, its error output.
        ended: the other side closed the connection.
        code: a program's exit status.
        seconds: how long it took.
        cannot: why it could not be tried at all.
    """

    connect: bytes = b""
    tls: str = ""
    data: bytes = b""
    error: str = ""
    ended: bool = False
    code: int | None = None
    seconds: float = 0.0
    cannot: str = ""

    @property
    def text(self) -> str:
        """The data as text, without the space around it."""
        return self.data.decode("latin-1").strip()

    @property
    def everything(self) -> bytes:
        """All that came in."""
        return b"\n".join((self.connect, self.data, self.error.encode("utf-8", "replace")))


class Asked(Struct, frozen=True, kw_only=True):
    """What an upstream read: a request, or (with an empty head) a connection that was opened.

    `role` is whose upstream: `bound`, `open` (anybody may read there), `evil`, `host` (a service of this machine).
    """

    role: str
    head: bytes = b""
    body: bytes = b""
    first: bytes = b""

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def everything(self) -> bytes:
        """All that it read."""
        return self.first + self.head + self.body

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return [value.strip().decode("latin-1") for key, _, value in lines if key.decode("latin-1").lower() == name]

    @property
    def credential(self) -> bytes:
        """What stands in `Authorization`, without its word."""
        return next(iter(self.values("authorization")), "").rpartition(" ")[2].encode("latin-1")

    @property
    def token(self) -> bytes:
        """The probe that it belongs to; b"" where nothing says so."""
        found = _TOKEN.search(self.everything)
        return found[0] if found else b""


class Kit(Struct, frozen=True, kw_only=True):
    """What the examiner knows and the sandbox must not: the canaries; and what it may know: stubs.

    `secrets` and `stubs` are by the name of the secret; `other_stub` is the same canary's in the neighbour's session;
    `host_port` is a service of this machine on loopback, `issued` what the login endpoint hands out.
    """

    secrets: dict[str, bytes]
    stubs: dict[str, bytes]
    other_stub: bytes = b""
    issued: bytes = b""
    host_port: int = 0
    host_address: str = ""
    host_name: str = ""
    token: bytes = b""

    def __repr__(self) -> str:
        return f"Kit({self.token!r})"

    @property
    def secret(self) -> bytes:
        """The canary of API and ITEMS."""
        return self.secrets["API_TOKEN"]

    @property
    def stub(self) -> bytes:
        """Its stub in the agent's session."""
        return self.stubs["API_TOKEN"]

    @property
    def all_secrets(self) -> tuple[bytes, ...]:
        """Everything that may never come in."""
        return (*self.secrets.values(), *((self.issued,) if self.issued else ()))

    def fill(self, data: bytes) -> bytes:
        """Replace the marks; `@LENGTH@` is the length of what follows the first empty line."""
        for mark, value in self._marks.items():
            data = data.replace(mark, value)
        return data.replace(b"@LENGTH@", b"%d" % len(data.partition(b"\r\n\r\n")[2]))

    def fill_text(self, text: str) -> str:
        """Replace the marks in text."""
        return self.fill(text.encode("latin-1")).decode("latin-1")

    @property
    def _marks(self) -> dict[bytes, bytes]:
        git = self.stubs.get("GIT_TOKEN", b"")
        return {
            b"@TOKEN@": self.token,
            b"@EVIL@": b"evil-" + self.token + b"." + ATTACKER.encode(),
            b"@STUB@": self.stub,
            b"@GITSTUB@": git,
            b"@BASIC@": base64.b64encode(b"agent:" + git),
            b"@BASICAPI@": base64.b64encode(b"agent:" + self.stub),
            b"@B64STUB@": base64.b64encode(self.stub),
            b"@HEXSTUB@": self.stub.hex().encode(),
            b"@QUERYSTUB@": self.stubs.get("QUERY_KEY", b""),
            b"@LOGINSTUB@": self.stubs.get("LOGIN_SECRET", b""),
            b"@AWSKEY@": self.stubs.get("AWS_ACCESS_KEY_ID", b""),
            b"@JSONSTUB@": self.stubs.get("JSON_TOKEN", b""),
            b"@OTHERSTUB@": self.other_stub,
            b"@HOSTPORT@": str(self.host_port).encode(),
            b"@HOSTADDRESS@": self.host_address.encode(),
            b"@HOSTNAME@": self.host_name.encode(),
        }


class Seen(Struct, frozen=True, kw_only=True):
    """All that is known of a probe that ran."""

    back: Back
    asked: tuple[Asked, ...]
    kit: Kit


Expect: TypeAlias = Callable[[Seen], str]
"""Returns "" where all is well, else what is wrong."""
Part: TypeAlias = bytes | float | Literal["reset", "close"]
Answer: TypeAlias = Callable[[Asked, Kit], Iterable[Part]]
"""What an upstream says to a request: bytes, seconds to wait, or an end of the connection."""


class Probe(Struct, frozen=True, kw_only=True):
    """One attack.

    Attributes:
        id: `family.name`; unique.
        row: of the threat model (`threats.THREATS`).
        tries: what it does, in a few words.
        attack: the attack.
        expect: what must come of it, beside what holds for all (suite.py).
        answer: what the upstream does with its requests; by default it says the request back.
        where, phase: in which sandbox, and when.
    """

    id: str
    row: str
    tries: str
    attack: Attack
    expect: Expect = lambda seen: ""
    answer: Answer | None = None
    where: Where = "agent"
    phase: Phase = "live"


def token(number: int) -> bytes:
    """Return the mark of the probe with a number: a word that can stand in a path, a host's name or a header."""
    return f"k{number:03}q".encode()
