"""Revoking: a key that may not call any more ends its calls under way, too.

The connections are walked when a key changes, which is seldom: a call pays nothing for it. Who changed is asked for
anew; calls of a key that is gone, blocked or expired are cut, with an error in their clients' dialect. Requests that
were let in by their heads and have not begun are asked for their key again when they do.
"""

from __future__ import annotations

from collections.abc import Collection

from penstock.gateway.http.connections import Connections
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.keyring import Keyring
from penstock.gateway.principal import Principal
from penstock.gateway.service import barred


class Revoking:
    """Looks after the calls of one worker."""

    def __init__(self, connections: Connections, keyring: Keyring) -> None:
        self._connections = connections
        self._keyring = keyring

    def check(self, digests: Collection[str] | None) -> None:
        """These keys have changed; None: any may have."""
        for connection in self._connections:
            for inbound in connection.admitted_not_begun():
                if inbound.principal is not None and (digests is None or inbound.principal.id in digests):
                    inbound.principal = None
        for digest in {each.principal.id for each in self._under_way()}:
            if digests is None or digest in digests:
                self._look(digest)

    def _look(self, digest: str) -> None:
        def then(principal: Principal | None, why: str | None) -> None:
            if why is None:  # else nobody knows; when the keeper is back, all are looked at
                self._found(digest, principal)

        self._keyring.look_up(digest, then)

    def _found(self, digest: str, principal: Principal | None) -> None:
        refused = barred(principal)
        if refused is None:
            return
        for inbound in self._under_way():
            if inbound.principal.id == digest:
                inbound.answering.cut(refused.error)

    def _under_way(self) -> list[Inbound]:
        """Requests of somebody that are being answered."""
        current = [connection.current for connection in self._connections]
        return [each for each in current if each is not None and each.principal is not None and each.answering]
