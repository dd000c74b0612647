"""W3C trace context: what is read, what is refused, what goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.traceparent import Parent, parent_of, state_of, traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-03", 3),
        (f"00-{TRACE}-{SPAN}-ff", 3),
        (f" 00-{TRACE}-{SPAN}-01\t", 1),
        (f"01-{TRACE}-{SPAN}-01", 1),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", 1),
        (f"cc-{TRACE}-{SPAN}-01-", 1),
    ],
)
def test_a_header_that_keeps_the_rules_is_read(header: str, flags: int) -> None:
    assert parent_of(header) == Parent(TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-001",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"00_{TRACE}_{SPAN}_01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_a_header_that_breaks_them_is_as_if_it_were_not_there(header: str) -> None:
    assert parent_of(header, "a=1") is None


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("", ""),
        ("foo=1,bar=2", "foo=1,bar=2"),
        ("foo=1 , \tbar=2,", "foo=1,bar=2"),
        (",,foo=1", "foo=1"),
        ("fw529a3039@dt=FfAAAA!", "fw529a3039@dt=FfAAAA!"),
        ("0a*/_-@v=x y", "0a*/_-@v=x y"),
        ("foo=1,foo=2", ""),
        ("FOO=1", ""),
        ("foo", ""),
        ("foo=", ""),
        ("foo=a=b", ""),
        ("foo=1,=2", ""),
        ("foo=\u00e4", ""),
        (",".join(f"k{number}=1" for number in range(32)), ",".join(f"k{number}=1" for number in range(32))),
        (",".join(f"k{number}=1" for number in range(33)), ""),
        (f"foo={'x' * 256}", f"foo={'x' * 256}"),
        (f"foo={'x' * 257}", ""),
    ],
)
def test_tracestate_goes_on_whole_or_not_at_all(header: str, read: str) -> None:
    assert state_of(header) == read


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 3))
def test_what_is_written_is_read_back(trace: int, span: int, flags: int) -> None:
    header = traceparent(f"{trace:032x}", f"{span:016x}", flags)
    assert parent_of(header, "a=1") == Parent(f"{trace:032x}", f"{span:016x}", flags, "a=1")


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_header_is_too_odd_to_be_looked_at(header: str, state: str) -> None:
    found, kept = parent_of(header, state), state_of(state)
    assert state_of(kept) == kept
    assert found is None or parent_of(traceparent(found.trace_id, found.span_id, found.flags), kept) == found
