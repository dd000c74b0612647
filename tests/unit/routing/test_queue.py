"""The line: by priority, then in the order of coming; bounded; anybody may leave."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.queue import Line, Ticket


def test_priority_then_order() -> None:
    line: Line[str] = Line(9)
    for name, priority in (("a", 1), ("b", 0), ("c", 1), ("d", 0)):
        line.join(name, priority, 10.0)
    found = [line.pop() for _ in range(5)]
    assert [ticket.value if ticket else None for ticket in found] == ["b", "d", "a", "c", None]


def test_a_full_line_keeps_those_that_come_first() -> None:
    line: Line[str] = Line(2)
    line.join("a", 1, 10.0)
    line.join("b", 1, 10.0)
    assert line.join("c", 1, 10.0) == (None, None)
    ticket, out = line.join("d", 0, 10.0)
    assert ticket is not None and out is not None and out.value == "b" and not out.waits
    assert len(line) == 2


def test_who_is_late_is_put_out() -> None:
    line: Line[str] = Line(9)
    for name, deadline in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
        line.join(name, 0, deadline)
    assert line.next_deadline() == 1.0
    assert [ticket.value for ticket in line.late(2.0)] == ["b", "c"]
    assert (len(line), line.next_deadline()) == (1, 3.0)


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(-2, 3)),
        st.tuples(st.just("leave"), st.integers(0, 30)),
        st.tuples(st.just("pop"), st.just(0)),
        st.tuples(st.just("late"), st.integers(0, 60)),
    ),
    max_size=60,
)


@given(_STEPS, st.integers(1, 6))
def test_it_is_a_bounded_sorted_list(steps: list[tuple[str, int]], most: int) -> None:
    """Held against the plainest way to say the same."""
    line: Line[int] = Line(most)
    plain: list[tuple[int, int, float]] = []
    tickets: dict[int, Ticket[int]] = {}
    for number, (what, value) in enumerate(steps):
        if what == "join":
            ticket, out = line.join(number, value, float(number % 60))
            worst = max(plain, default=None)
            if len(plain) >= most and worst is not None and worst[0] > value:
                plain.remove(worst)
                assert out is not None and out.value == worst[1]
            if len(plain) < most:
                assert ticket is not None
                plain.append((value, number, float(number % 60)))
                tickets[number] = ticket
            else:
                assert ticket is None
        elif what == "leave" and value in tickets:
            waits = any(each[1] == value for each in plain)
            assert line.leave(tickets[value]) is waits
            plain = [each for each in plain if each[1] != value]
        elif what == "pop":
            first = line.pop()
            assert (first.value if first else None) == (min(plain)[1] if plain else None)
            plain = [each for each in plain if first is None or each[1] != first.value]
        elif what == "late":
            assert [ticket.value for ticket in line.late(float(value))] == [
                each[1] for each in sorted(plain) if each[2] <= value
            ]
            plain = [each for each in plain if each[2] > value]
        assert len(line) == len(plain)
