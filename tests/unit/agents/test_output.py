"""What a program prints becomes lines, and drafts that fit into events, however it is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.agents.events import MOST_BYTES, SessionEvent, Text, Thinking, ToolResult, encode
from penstock.agents.output import MOST_WORDS, Lines, sized
from tests.support.agents import NOON


@given(st.lists(st.binary(max_size=20)), st.data())
def test_lines_are_the_same_however_the_stream_is_cut(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"\n".join(line.replace(b"\n", b"").replace(b"\r", b"") for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    reader, found = Lines(), []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        found += reader.feed(whole[start:end])
    found += reader.end()
    expected = whole.split(b"\n")
    assert found == (expected if expected[-1] else expected[:-1])


@given(st.integers(1, 30))
def test_a_line_without_end_is_left_out_and_the_next_one_is_read(step: int) -> None:
    reader, found = Lines(most=100), []
    stream = b"before\n" + b"x" * 500 + b"\nafter\n"
    for at in range(0, len(stream), step):
        found += reader.feed(stream[at : at + step])
    assert (found, reader.end(), reader.left_out) == ([b"before", b"after"], [], 1)


def test_windows_line_ends_are_line_ends() -> None:
    assert Lines().feed(b"one\r\ntwo\r\n") == [b"one", b"two"]


def test_long_words_become_events_of_one_part_and_nothing_is_lost() -> None:
    text = "wörter 🙂 " * 30_000
    pieces = list(sized([Text(text), Thinking("short")]))
    words = [each for each in pieces if isinstance(each, Text)]
    assert "".join(each.text for each in words) == text and pieces[-1] == Thinking("short")
    assert [each.more for each in words] == [True] * (len(words) - 1) + [False]
    assert len({each.part for each in words}) == 1 and all(len(each.text) <= MOST_WORDS for each in words)


@given(st.sampled_from(["\x00", '"', "é", "🙂", "\\"]))
def test_no_draft_is_larger_than_an_event_may_be(character: str) -> None:
    for draft in sized([Text(character * 100_000), ToolResult("call", character * 300_000)]):
        assert len(encode(SessionEvent(1, NOON, draft))) <= MOST_BYTES  # type: ignore[arg-type]
