"""A request as it will leave: looked into, checked, given its credential, built anew, and written down.

The order is the promise. The slot must hold the stub before a credential is obtained; what was revoked while one was
obtained is not used; and the row of the audit log is written before the first byte leaves.
"""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec

from penstock.vault import inject
from penstock.vault.audit_rows import without_values
from penstock.vault.bodies import Body, Whole, whole
from penstock.vault.body_carriers import carriers_of
from penstock.vault.capture import TokenWatch, is_token_request
from penstock.vault.connections import Cuttable
from penstock.vault.credentials.contract import SigningCredential
from penstock.vault.held import Held
from penstock.vault.policy import Permit
from penstock.vault.session import Session, destination_text
from penstock.vault.uploads import Filtered, Guarded, Watched
from penstock.vault.values import Destination, Refusal, RequestHead, Secret

BODY_SLOT = 8 * 1024 * 1024
"""The longest body that is read whole because a credential stands in it, or signs it."""
LOOKED_AT = 64 * 1024
"""Bytes of a body that are looked at before somebody else has a turn."""
REPLAYABLE = 1024 * 1024
"""The longest body that is kept so that a request can be sent once more after a 401."""


class Prepared(msgspec.Struct):
    """A request as it leaves.

    Attributes:
        head, body: what is sent.
        value: what was put in the slot, or signed with; None where no credential goes along.
    """

    head: RequestHead
    body: Body
    value: Secret | None


class Outgoing:
    """One request on its way out.

    Args:
        session: whose rules and secrets count.
        tunnel: what is cut when the secret that it carried is revoked.
        destination: where it goes.
        head: as the client sent it.
        permit: why it may leave.
    """

    def __init__(
        self, session: Session, tunnel: Cuttable, destination: Destination, head: RequestHead, permit: Permit
    ) -> None:
        self._session = session
        self._tunnel = tunnel
        self._destination = destination
        self._place = destination_text(destination)
        self._head = head
        self._permit = permit
        self._watch: TokenWatch | None = None
        self._taken = 0
        self.held: Held | None = session.held[permit.binding.secret] if permit.binding is not None else None

    @property
    def permit(self) -> Permit:
        """Why it may leave."""
        return self._permit

    @property
    def _signer(self) -> SigningCredential | None:
        credential = self.held.credential if self.held is not None else None
        return credential if isinstance(credential, SigningCredential) else None

    def check_stub(self) -> None:
        """Look whether the stub is in its slot of the head, before anybody is asked for the sake of this request.

        Raises:
            Refusal: it is not.
        """
        inject.check(self._head, self._permit, self.held.stub if self.held is not None else None, None)

    async def ready(self, body: Body) -> Body:
        """Read the body whole where it must be looked into, or may have to be sent twice; watch it elsewhere.

        Raises:
            Refusal: `body_too_large`, `too_much_at_once`, `foreign_credential`, `secret_in_request`; `frozen`, as
                `Session.misused`.
        """
        most = self._most(body)
        if most is None:
            self._watch = TokenWatch(self._head) if self.held is not None else None
            return self._guarded(Watched(body, self._session, self._place, self._watch))
        read = await whole(body, most, take=self._take)
        self._session.look_in_body(self._head, read.data, self._permit.binding, self._place)
        await self._check(read)
        self._session.traffic["bytes_out"] += len(read.data)
        return read

    async def _check(self, body: Whole) -> None:
        """Look at a whole body piece by piece: dense JSON takes its time, and other connections go on meanwhile."""
        guarded = self._guarded(body)
        for start in range(0, len(body.data), LOOKED_AT):
            guarded.check(body.data[start : start + LOOKED_AT])
            await asyncio.sleep(0)

    def _take(self, count: int) -> None:
        self._session.allowance.take(count)
        self._taken += count

    def done(self) -> None:
        """Hold nothing of the body any more: the exchange is over."""
        self._session.allowance.give_back(self._taken)
        self._taken = 0

    def _guarded(self, body: Body) -> Guarded:
        binding = self._permit.binding
        if binding is None:
            return Guarded(body, self._session, self._place, None)
        is_stub = partial(self._session.is_other_stub, secret=binding.secret)
        return Guarded(body, self._session, self._place, carriers_of(self._head, binding, is_stub))

    def _most(self, body: Body) -> int | None:
        """How much of the body is read before anything is sent; None where it is not read before."""
        signer = self._signer
        if self._permit.needs_body or (signer is not None and signer.needs_body(self._head)):
            return BODY_SLOT
        if body.length is None or body.length > REPLAYABLE or not (self.held is not None or body.length == 0):
            return None
        return REPLAYABLE if self._session.allowance.has(body.length) else None

    def may_bring_tokens(self, body: Body) -> bool:
        """Whether what was asked looks like a login. What cannot be read may be one."""
        if self.held is None:
            return False
        if any(value.strip().lower() not in ("", "identity") for value in self._head.values("content-encoding")):
            return True
        if isinstance(body, Whole):
            return is_token_request(self._head, body.data)
        return self._watch is not None and self._watch.seen

    async def prepare(self, body: Body, *, websocket: bool = False) -> Prepared:
        """Build the request with its credential, and write it down.

        Raises:
            Refusal: the slot holds something else, the credential cannot be had, or the row cannot be written.
        """
        data = body.data if isinstance(body, Whole) else None
        held = self.held
        inject.check(self._head, self._permit, held.stub if held is not None else None, data)
        value = await held.credential.value() if held is not None else None
        rebuilt = inject.rebuild(
            self._destination,
            self._head,
            self._permit,
            held.stub if held is not None else None,
            value.value if value is not None and self._signer is None else None,
            data,
            scrubbed=bool(self._session.held),
            websocket=websocket,
        )
        sent = Whole(rebuilt.body if rebuilt.body is not None else body.data, body.trailers) if isinstance(
            body, Whole
        ) else body  # fmt: skip
        prepared = await self._signed(Prepared(rebuilt.head, sent, value), data)
        self._session.check_open()
        if held is not None:
            held.check_usable()  # all that was awaited took its time
        self._record(value, rebuilt.stripped)
        return prepared

    async def _signed(self, request: Prepared, data: bytes | None) -> Prepared:
        binding = self._permit.binding
        signer = self._signer
        if signer is None or binding is None or self.held is None:
            return request
        signed = await signer.sign(self._destination, request.head, data, stub=self.held.stub, scope=binding.slot.name)
        body = Filtered(request.body, signed.body) if signed.body is not None else request.body
        return Prepared(signed.head, body, request.value)

    def _record(self, value: Secret | None, stripped: tuple[str, ...]) -> None:
        binding = self._permit.binding
        if binding is not None:
            self._session.used(self._tunnel, binding.secret)
        self._session.traffic["requests"] += 1
        fields = {"secret": binding.secret, "version": value.version} if binding is not None and value else {}
        self._session.audit(
            "swap" if binding is not None else "allow",
            destination=self._place,
            method=self._head.method,
            path=without_values(self._head.target),
            rule=str(binding or self._permit.rule),
            **fields,
            **({"stripped": ", ".join(stripped)} if stripped else {}),
        )

    async def was_rejected(self, request: Prepared, status: int) -> bool:
        """After a 401: tell the credential, and whether the request can be sent once more with a newer value."""
        if status != 401 or self.held is None or request.value is None:
            return False
        try:
            newer = await self.held.credential.rejected(request.value)
        except Refusal:
            if isinstance(request.body, Whole):
                raise
            return False  # the body is gone: the client hears what the upstream said
        return newer and isinstance(request.body, Whole)
