"""What the keeper may say to a worker about leases: kind of message -> what the leases make of it."""

from __future__ import annotations

from penstock.control.channel import Handler
from penstock.gateway.lease_words import Grant, Name, Refusal
from penstock.gateway.leases import Leases


def lease_handlers(leases: Leases) -> dict[str, Handler]:
    """The rows of a worker's table of handlers that are about leases."""
    return {
        "grant": Handler(lambda connection, message, reply: leases.granted(message), Grant),
        "refuse": Handler(lambda connection, message, reply: leases.refused(message), Refusal),
        "recall": Handler(lambda connection, message, reply: leases.recall(message), Name),
        "freed": Handler(lambda connection, message, reply: leases.freed(message), Name),
    }
