"""How much of its bodies a session may have in the vault's memory at a time: all sessions share one process.

A body is held whole where a credential stands in it, or where it may have to be sent twice. A client that sends all but
the last byte of a thousand such bodies would else make the vault too large for its machine, and end every session.
"""

from __future__ import annotations

from penstock.vault.values import Refusal

HELD = 64 * 1024 * 1024
"""Bytes of bodies that one session may have held whole."""


class Allowance:
    """What is left of it."""

    def __init__(self, most: int = HELD) -> None:
        self._left = most

    def has(self, count: int) -> bool:
        """Whether so many bytes more may be held."""
        return count <= self._left

    def take(self, count: int) -> None:
        """Hold so many bytes more.

        Raises:
            Refusal: `too_much_at_once` (503).
        """
        if count > self._left:
            raise Refusal(
                "too_much_at_once",
                f"The bodies of this session that the vault must read whole exceed {HELD:,} bytes at a time.",
                fix="Send fewer at a time.",
                status=503,
            )
        self._left -= count

    def give_back(self, count: int) -> None:
        """Hold so many bytes less."""
        self._left += count
