"""What every kind of credential promises, and what it may use: the tools are passed in, so that tests need no network.

A *plain* kind answers `value()`: the bytes that take a stub's place. A *signing* kind has no such bytes: it signs the
request, and what the agent holds is only good for being recognised. Both say with `live()` what must never be seen in
an answer. One object serves one secret in the whole process, for all sessions that use it: only so is a token
refreshed once, however many agents need it.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

import msgspec

from penstock.vault.values import Clock, Destination, Fetch, Refusal, RequestHead, Secret

Random = Callable[[int], bytes]
"""So many random bytes (`secrets.token_bytes`)."""


class Turn(Protocol):
    """The stored value of a secret, for as long as no other vault over the same store may renew it."""

    @property
    def value(self) -> bytes | None:
        """What the store has now; None where it has nothing, for the value comes from a source."""
        ...

    async def keep(self, value: bytes) -> None:
        """Store a new value, and return when it would survive a power cut (fsync).

        Raises:
            Refusal: `secret_changed`, `secret_revoked`: somebody set or revoked it meanwhile; nothing was stored.
            OSError: and whatever else a disk does.
        """
        ...


class Tools(msgspec.Struct, frozen=True):
    """What a credential may do to the world.

    Args:
        fetch: makes the vault's own HTTPS calls.
        clock: seconds since 1970.
        random: random bytes.
        turn: waits until it is our turn to renew this very secret, and holds it (a refresh token that is replaced may
            be shown once only, whichever vault does it). Raises Refusal: it takes too long; the secret was revoked.
    """

    fetch: Fetch
    clock: Clock
    random: Random
    turn: Callable[[], AbstractAsyncContextManager[Turn]]

    def __repr__(self) -> str:
        return "Tools(...)"


@runtime_checkable
class Credential(Protocol):
    """One secret, ready to be used."""

    @property
    def kind(self) -> str:
        """The word of its kind in the registry."""
        ...

    async def value(self) -> Secret:
        """The value to put in the slot now; obtained or refreshed where needed.

        Raises:
            Refusal: it cannot be obtained; says what a human can do.
        """
        ...

    async def rejected(self, seen: Secret) -> bool:
        """Hear that the upstream answered 401 to `seen`. True: there is a newer value, try once more.

        Raises:
            Refusal: a newer one was needed and cannot be obtained.
        """
        ...

    def live(self) -> list[bytes]:
        """Every byte string that no answer may show: tokens now and before, keys, the lines of a private key."""
        ...

    def shapes(self) -> Mapping[str, bytes]:
        """What stubs should look like, by the name of the variable that holds them; `""` is the secret's own name."""
        ...


@runtime_checkable
class Learner(Credential, Protocol):
    """A credential whose stored value another vault may renew, and that goes on with what is stored then."""

    def learn(self, value: bytes) -> bool:
        """Take over a newer stored value. False: it is another secret's, and nothing was taken."""
        ...


class BodyFilter(Protocol):
    """Rewrites a body on its way up without changing its length."""

    def feed(self, data: bytes) -> bytes:
        """Take some of the body, and return what may go out."""
        ...

    def end(self) -> bytes:
        """Return the rest. Raises Refusal where the body is cut short."""
        ...


class Signed(msgspec.Struct, frozen=True):
    """A signed request: its head, and, where the body bears signatures of its own, what signs it anew."""

    head: RequestHead
    body: BodyFilter | None = None


@runtime_checkable
class SigningCredential(Credential, Protocol):
    """A credential that signs requests instead of standing in them."""

    def needs_body(self, head: RequestHead) -> bool:
        """Tell whether `sign` must be given the whole body of this request."""
        ...

    async def sign(
        self, destination: Destination, head: RequestHead, body: bytes | None, *, stub: bytes, scope: str
    ) -> Signed:
        """Sign a request that was signed with the stub.

        Args:
            destination: where it goes; its host is what is signed.
            head: as it will be sent, with the client's own signature still in it.
            body: the whole body, or None where it is streamed.
            stub: the stub that this session holds for the secret's public half.
            scope: what the binding's slot allows (`s3/eu-central-1`).

        Raises:
            Refusal: it is not signed with the stub, or not for this scope.
        """
        ...


class Kind(msgspec.Struct, frozen=True):
    """A row of the registry: a kind's name, how it is made of a stored value, and the fields of that value.

    Args:
        name: the word that `penstock secrets set --kind` takes.
        make: `(name, value, version, options, tools)` to a credential; reads and checks everything, calls nobody.
        fields: the fields of its JSON value, in the order of the documentation; empty where the value is plain bytes.
        slots: the kinds of slot that a binding of it may name.
    """

    name: str
    make: Callable[[str, bytes, int, Mapping[str, str], Tools], Credential]
    fields: tuple[str, ...]
    slots: tuple[str, ...]


def bad_value(name: str, reason: str, fix: str = "") -> Refusal:
    """Return the refusal of a stored value. Neither text may hold any part of it."""
    return Refusal("bad_secret", f"The value of the secret {name!r} cannot be used: {reason}.", fix=fix, status=400)
