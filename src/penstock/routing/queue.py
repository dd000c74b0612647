"""Queue: requests that wait for capacity. By priority (0 before 1), and those alike in the order that they came.

It is bounded. When it is full, a newcomer takes the place of the last in line where that has a worse priority; else it
is turned away. Whoever waits has a deadline, after which it is put out. No clock and no timers: times are arguments.
"""

from __future__ import annotations

import heapq
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Ticket(Generic[T]):
    """One place in the line. `value` is who waits, until `deadline` (monotonic seconds)."""

    __slots__ = ("deadline", "number", "priority", "value", "waits")

    def __init__(self, value: T, priority: int, deadline: float, number: int) -> None:
        self.value = value
        self.priority = priority
        self.deadline = deadline
        self.number = number
        self.waits = True

    def __lt__(self, other: Ticket[Any]) -> bool:
        return (self.priority, self.number) < (other.priority, other.number)


class Line(Generic[T]):
    """A line of at most `most` who wait."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._heap: list[Ticket[T]] = []
        self._size = 0
        self._next = 0

    def __len__(self) -> int:
        return self._size

    def join(
        self, value: T, priority: int, deadline: float, number: int | None = None
    ) -> tuple[Ticket[T] | None, Ticket[T] | None]:
        """A ticket, and the one that was put out for it, if any. No ticket: the line is full of others before it.
        `number`: that of a ticket which it had before, and goes on with.
        """
        out = None
        if self._size >= self.most:
            last = max((each for each in self._heap if each.waits), default=None)
            if last is None or last.priority <= priority:
                return None, None
            self.leave(last)
            out = last
        ticket = Ticket(value, priority, deadline, self._next if number is None else number)
        self._next += number is None
        self._size += 1
        heapq.heappush(self._heap, ticket)
        return ticket, out

    def leave(self, ticket: Ticket[T]) -> bool:
        """It waits no longer. False: it did not wait any more."""
        if not ticket.waits:
            return False
        ticket.waits = False
        self._size -= 1
        if len(self._heap) > 2 * self._size + 64:  # those that left are cleared away before they are the most
            self._heap = [each for each in self._heap if each.waits]
            heapq.heapify(self._heap)
        return True

    def first(self) -> Ticket[T] | None:
        """Who is next; it stays in the line."""
        while self._heap and not self._heap[0].waits:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def pop(self) -> Ticket[T] | None:
        """Who is next, out of the line."""
        ticket = self.first()
        if ticket is not None:
            heapq.heappop(self._heap)
            ticket.waits = False
            self._size -= 1
        return ticket

    def late(self, now: float) -> list[Ticket[T]]:
        """Those whose deadline is over, out of the line."""
        found = sorted(each for each in self._heap if each.waits and each.deadline <= now)
        for ticket in found:
            self.leave(ticket)
        return found

    def next_deadline(self) -> float | None:
        """When the first of them has waited too long."""
        return min((each.deadline for each in self._heap if each.waits), default=None)
