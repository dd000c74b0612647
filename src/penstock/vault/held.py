"""A secret as one session has it: its record, what becomes its value, and the stubs that stand for it."""

from __future__ import annotations

import msgspec

from penstock.vault.credentials.contract import Credential, Random
from penstock.vault.records import SecretRecord
from penstock.vault.rules import Binding, parse_binding
from penstock.vault.stubs import mint
from penstock.vault.values import Refusal


class Held(msgspec.Struct):
    """A secret as one session has it.

    Attributes:
        record: what the store says of it.
        credential: what becomes its value; shared by all sessions.
        stub: what must stand in the slot.
        variables: environment variable to stub.
        revoked: nothing is sent with it any more.
        captured: it came in the answer to a login, and no store knows it.
    """

    record: SecretRecord
    credential: Credential
    stub: bytes
    variables: dict[str, bytes]
    revoked: bool = False
    captured: bool = False

    def check_usable(self) -> None:
        """Refuse the use of what was revoked.

        Raises:
            Refusal: `revoked`.
        """
        if self.revoked:
            raise Refusal("revoked", f"The secret {self.record.name} was revoked.", fix="Set it anew.")

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """Where it may go."""
        return tuple(parse_binding(text, self.record.name) for text in self.record.bindings)


def hold(record: SecretRecord, credential: Credential, random: Random) -> Held:
    """Mint the stubs of a secret for a new session."""
    stubs = {name: mint(like, random) for name, like in credential.shapes().items()}
    variables = {name: stub for name, stub in stubs.items() if name}
    if record.env and "" in stubs:
        variables[record.env] = stubs[""]
    return Held(record, credential, next(iter(stubs.values()), b""), variables)
