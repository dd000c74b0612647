"""Admission: which values a label may have. The first ones that come, up to the label's limit; all others are `other`.

A value that was let in stays in, so that a series, once it is there, goes on.
"""

from __future__ import annotations

from penstock.gateway.metrics.tables import LABEL_LENGTH, LABEL_LIMITS, OTHER

Labels = tuple[str, ...]


class Admission:
    """Which values a label has had, and how often one came too late (`overflows`: label -> times)."""

    def __init__(self) -> None:
        self._admitted: dict[str, set[str]] = {}
        self.overflows: dict[str, int] = {}

    def bound(self, names: Labels, values: Labels) -> Labels:
        """The values, with `other` for each that is one too many."""
        return tuple(value if self.admit(name, value) else OTHER for name, value in zip(names, values, strict=True))

    def admit(self, label: str, value: str) -> bool:
        """Whether the label may have this value."""
        if not value or value == OTHER:
            return True
        admitted = self._admitted.setdefault(label, set())
        if value in admitted:
            return True
        if len(admitted) >= LABEL_LIMITS[label] or len(value) > LABEL_LENGTH or not _whole(value):
            self.overflowed(label)
            return False
        admitted.add(value)
        return True

    def overflowed(self, label: str) -> None:
        """Count that a value came too late."""
        self.overflows[label] = self.overflows.get(label, 0) + 1


def _whole(value: str) -> bool:
    """Whether a text can be written: half a character cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
