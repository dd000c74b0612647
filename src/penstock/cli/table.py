"""Tables for the terminal: columns as wide as their longest cell, numbers to the right, and no line longer than the
terminal while there is something to give up for it.
"""

from __future__ import annotations

from collections.abc import Sequence

GAP = "  "
LEAST = 10
"""Characters of the last column below which it is left out rather than cut."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """The rows under their head; `right` are the columns to align to the right."""
    widths = _widths(head, rows)
    return "\n".join(
        GAP.join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (head, *rows)
    )


def fitted(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    right: frozenset[int] = frozenset(),
    expendable: Sequence[int] = (),
) -> str:
    """The table within `width` characters a line: first the last column is cut, then `expendable` columns are left out,
    in their order. What is still too wide stays so: better a wrapped line than a cut name.
    """
    left = list(range(len(head)))
    for given_up in (None, *expendable):
        left = [column for column in left if column != given_up]
        chosen = [head[column] for column in left]
        cells = [[row[column] for column in left] for row in rows]
        over = sum(_widths(chosen, cells)) + len(GAP) * (len(left) - 1) - width
        if over <= 0:
            break
        last = _widths(chosen, cells)[-1]
        if left[-1] == len(head) - 1 and last - over >= max(LEAST, len(chosen[-1])):
            cells = [[*row[:-1], cut(row[-1], last - over)] for row in cells]
            break
    return table(chosen, cells, frozenset(place for place, column in enumerate(left) if column in right))


def cut(text: str, width: int) -> str:
    """`text` in at most `width` characters; an ellipsis shows that there was more."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def _widths(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(head, *rows, strict=True)]
