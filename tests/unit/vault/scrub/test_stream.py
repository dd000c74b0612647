"""The scrubber: every listed encoding, at every split, in equal length, nothing else changed, failing closed."""

import base64
import html
import json
import random
import string
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.vault.scrub import Finding, Scrubber, ScrubStream
from penstock.vault.values import Refusal

SECRET = b"fake-sk-AbCdEfGhIjKlMnOpQr/+uv0123456789"
STUB = b"fake-st-XyXyXyXyXyXyXyXyXy/+xy9876543210"
SCRUBBER = Scrubber([(SECRET, STUB)])

Encode = Callable[[bytes], bytes]
Unit = Callable[[int], bytes]


def each(unit: Unit) -> Encode:
    return lambda value: b"".join(unit(byte) for byte in value)


def scrub(text: bytes, scrubber: Scrubber = SCRUBBER) -> bytes:
    stream = scrubber.stream()
    said = stream.feed(text) + stream.end()
    assert len(said) == len(text)
    return said


def scrub_in(pieces: list[bytes], scrubber: Scrubber = SCRUBBER) -> bytes:
    stream = scrubber.stream()
    return b"".join([*(stream.feed(piece) for piece in pieces), stream.end()])


# An encoding, and the words that it is found by. Each is a bijection of whole secrets: the stub's stands in its place.
EXACT: dict[str, tuple[Encode, str]] = {
    "raw": (lambda v: v, "raw"),
    "base64": (base64.b64encode, "base64"),
    "base64, 1 before": (lambda v: base64.b64encode(b"u" + v), "base64"),
    "base64, 2 before": (lambda v: base64.b64encode(b"u:" + v), "base64"),
    "basic": (lambda v: b"Basic " + base64.b64encode(b"user:" + v), "base64"),
    "base64, no padding": (lambda v: base64.b64encode(b"u:" + v).rstrip(b"="), "base64"),
    "base64 url-safe": (lambda v: base64.urlsafe_b64encode(b"\xff\xfe\xfd\xff\xfe" + v + b"\xff\xff\xff"), "base64"),
    "base64 of JSON": (lambda v: base64.b64encode(b'{"auth":{"token":"' + v + b'"}}'), "base64"),
    "MIME": (lambda v: base64.encodebytes(b"y" * 31 + v + b"z" * 80), "lines+base64"),
    "MIME, CRLF": (lambda v: base64.encodebytes(b"y" * 32 + v).replace(b"\n", b"\r\n"), "lines+base64"),
    "MIME in JSON": (lambda v: json.dumps(base64.encodebytes(b"y" * 33 + v).decode()).encode(), "lines+base64"),
    "MIME in YAML": (lambda v: base64.encodebytes(b"y" * 33 + v).replace(b"\n", b"\n    "), "lines+base64"),
    "hex": (lambda v: v.hex().encode(), "hex"),
    "HEX": (lambda v: v.hex().upper().encode(), "hex"),
    "hex:": (lambda v: v.hex(":").encode(), "hex"),
    "HEX-": (lambda v: v.hex("-").upper().encode(), "hex"),
    "hex spaces": (lambda v: v.hex(" ").encode(), "hex"),
    "0x": (lambda v: b", ".join(b"0x%02X" % byte for byte in v), "hex"),
    "percent, all": (each(lambda c: b"%%%02X" % c), "percent+raw"),
    "percent, usual": (lambda v: quote(v, safe="").encode(), "percent"),
    "percent, lower": (each(lambda c: b"%%%02x" % c), "percent+raw"),
    "percent twice": (each(lambda c: b"%%25%02x" % c), "percent+percent+raw"),
    "percent thrice": (each(lambda c: b"%%2525%02x" % c), "percent+percent+percent+raw"),
    "%u": (each(lambda c: b"%%u%04x" % c), "percent+raw"),
    "JSON, all": (each(lambda c: b"\\u%04x" % c), "json+raw"),
    "JSON, slash": (lambda v: v.replace(b"/", b"\\/"), "json+raw"),
    "JSON in JSON": (each(lambda c: b"\\\\u%04x" % c), "json+json+raw"),
    "JSON thrice": (each(lambda c: b"\\\\\\\\u%04x" % c), "json+json+json+raw"),
    "JavaScript": (each(lambda c: b"\\x%02x" % c), "json+raw"),
    "braces": (each(lambda c: b"\\u{%x}" % c), "json+raw"),
    "braces, zeros": (each(lambda c: b"\\u{0000%x}" % c), "json+raw"),
    "octal": (each(lambda c: b"\\%03o" % c), "json+raw"),
    "Python": (each(lambda c: b"\\U%08x" % c), "json+raw"),
    "HTML, hexadecimal": (each(lambda c: b"&#x%x;" % c), "html+raw"),
    "HTML, zeros": (each(lambda c: b"&#X000%X;" % c), "html+raw"),
    "HTML, decimal": (each(lambda c: b"&#%04d;" % c), "html+raw"),
    "HTML, named": (lambda v: v.replace(b"/", b"&sol;").replace(b"+", b"&#43;"), "html+raw"),
    "UTF-16 LE": (lambda v: v.decode().encode("utf-16-le"), "utf-16"),
    "UTF-16 BE": (lambda v: v.decode().encode("utf-16-be"), "utf-16"),
    "percent of base64": (lambda v: quote(base64.b64encode(b"ab" + v), safe="").encode(), "base64"),
    "HTML of JSON": (each(lambda c: b"&#92;u%04x" % c), "html+json+raw"),
    "JSON of HTML": (each(lambda c: b"\\u0026#x%x;" % c), "json+html+raw"),
    "percent of JSON": (each(lambda c: b"%%5Cu%04x" % c), "percent+json+raw"),
    "percent of HTML": (each(lambda c: b"%%26%%23x%x%%3B" % c), "percent+html+raw"),
    "HTML twice": (each(lambda c: b"&amp;#x%x;" % c), "html+html+raw"),
}  # fmt: skip


# Found as well, but on the edges some bits stay as they are.
NEAR: dict[str, tuple[Encode, str]] = {
    "base64 twice": (lambda v: base64.b64encode(base64.b64encode(b"u" + v + b"z")), "base64+base64"),
    "HTML, shortest": (each(lambda c: b"&#%d;" % c), "html+raw"),
}


@pytest.mark.parametrize("name", EXACT)
def test_an_encoded_secret_becomes_the_stub_in_the_same_encoding(name: str) -> None:
    encode, _ = EXACT[name]
    around = b"<p>before\x80: ", b" ;after</p>"
    assert scrub(around[0] + encode(SECRET) + around[1]) == around[0] + encode(STUB) + around[1]


def test_the_encoding_is_told_and_never_the_bytes() -> None:
    stream = SCRUBBER.stream()
    stream.feed(base64.b64encode(b"user:" + SECRET) + b" " + SECRET + b" " + SECRET + b" ")
    assert stream.found == {Finding(0, "base64"): 1, Finding(0, "raw"): 2}
    assert "fake" not in repr(stream) + repr(SCRUBBER)


def test_base64_of_base64_says_the_stub_but_for_its_edges() -> None:
    text = scrub(base64.b64encode(base64.b64encode(b"u" + SECRET + b"z")))
    said = base64.b64decode(base64.b64decode(text))
    assert said[2:-2] == STUB[1:-1] and said[:1] + said[-1:] == b"uz"


def test_a_decimal_reference_too_short_for_the_stub_says_another_letter() -> None:
    wanted = b"".join(
        b"&#%0*d;" % (len(str(old)), new if new < 100 or old > 99 else 88)
        for old, new in zip(SECRET, STUB, strict=True)
    )
    assert scrub(each(lambda c: b"&#%d;" % c)(SECRET)) == wanted


@pytest.mark.parametrize("name", EXACT)
def test_the_encoding_is_named(name: str) -> None:
    encode, words = EXACT[name]
    stream = SCRUBBER.stream()
    stream.feed(encode(SECRET))
    stream.end()
    assert stream.found == {Finding(0, words): 1}


@pytest.mark.parametrize("name", EXACT | NEAR)
def test_every_split_in_two_is_as_none(name: str) -> None:
    text = b"~" + (EXACT | NEAR)[name][0](SECRET) + b"~"
    whole = scrub(text)
    for at in range(len(text) + 1):
        assert scrub_in([text[:at], text[at:]]) == whole, at


@pytest.mark.parametrize("before", [b"u", b"u:", b"user", b"user:", b"\xff\xfe\xfd", b"\xff" * 4, b"\xff" * 5])
def test_the_character_before_base64_is_exchanged_at_every_split(before: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + SECRET)
        for at in range(len(text) + 1):
            assert scrub_in([text[:at], text[at:]]) == encode(before + STUB), (text, at)


@pytest.mark.parametrize("name", EXACT)
def test_byte_by_byte_is_as_at_once(name: str) -> None:
    text = EXACT[name][0](SECRET) + b"\n"
    assert scrub_in([text[at : at + 1] for at in range(len(text))]) == scrub(text)


# --- any subset of characters escaped --------------------------------------------------------------------------------

UNITS: dict[str, list[Unit]] = {
    "percent": [lambda c: b"%%%02x" % c, lambda c: b"%%%02X" % c, lambda c: b"%%25%02x" % c],
    "JSON": [lambda c: b"\\u%04X" % c, lambda c: b"\\x%02x" % c, lambda c: b"\\\\u%04x" % c, lambda c: b"\\u{%x}" % c],
    "HTML": [lambda c: b"&#%d;" % c, lambda c: b"&#x%x;" % c, lambda c: b"&#0%d;" % c, lambda c: b"&amp;#%d;" % c],
    "mixed": [lambda c: b"%%%02x" % c, lambda c: b"\\u%04x" % c, lambda c: b"&#x%x;" % c, lambda c: b"%%5Cu%04x" % c],
}  # fmt: skip


@st.composite
def escaped(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A secret of which any characters are escaped, and any cut of it into pieces."""
    units: list[Unit] = [lambda c: bytes((c,)), *UNITS[draw(st.sampled_from(sorted(UNITS)))]]
    choice = draw(st.lists(st.integers(0, len(units) - 1), min_size=len(SECRET), max_size=len(SECRET)))
    text = b"".join(units[which](byte) for which, byte in zip(choice, SECRET, strict=True))
    text = b'{"a":"' + text + b'"}\n'
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return text, [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@settings(max_examples=300, deadline=None)
@given(escaped())
def test_any_subset_of_escaped_characters_is_found_at_any_cut(example: tuple[bytes, list[bytes]]) -> None:
    text, pieces = example
    stream = SCRUBBER.stream()
    said = b"".join(stream.feed(piece) for piece in pieces) + stream.end()
    assert len(said) == len(text)
    assert sum(stream.found.values()) == 1
    assert said[:6] == text[:6] and said[-3:] == text[-3:]
    assert not _findings(said)  # what goes out holds the secret no more


def _findings(text: bytes) -> int:
    stream = SCRUBBER.stream()
    stream.feed(text)
    stream.end()
    return stream.found.total()


def test_a_reference_without_its_semicolon_counts_at_the_end_of_the_text_too() -> None:
    assert scrub(SECRET[:-1] + b"&#x%x" % SECRET[-1]) == STUB[:-1] + b"&#x%x" % STUB[-1]


@pytest.mark.parametrize("spell", [quote, quote_plus], ids=["%20", "+"])
def test_spaces_and_signs(spell: Callable[..., str]) -> None:
    secret, stub = b'pa ss"w\\o&r<d>% .*[x', b'st ub"x\\y&z<w>% .*[q'
    scrubber = Scrubber([(secret, stub)])
    forms: list[Encode] = [
        lambda v: v, lambda v: spell(v, safe="").encode(), lambda v: html.escape(v.decode()).encode(),
        lambda v: json.dumps(v.decode()).encode(), lambda v: json.dumps(json.dumps(v.decode())).encode(),
        lambda v: base64.b64encode(json.dumps(v.decode()).encode()),
        lambda v: json.dumps(html.escape(v.decode())).encode(),
        lambda v: spell(v, safe="").replace("%", "%25").encode(),
        lambda v: base64.b64encode(spell(v, safe="").encode()),
    ]  # fmt: skip
    for form in forms:
        text = b"[" + form(secret) + b"]"
        assert scrub(text, scrubber) == b"[" + form(stub) + b"]"
        for at in range(len(text)):
            assert scrub_in([text[:at], text[at:]], scrubber) == b"[" + form(stub) + b"]", (text, at)


# --- nothing else ----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=8))
def test_other_bytes_pass_as_they_are(pieces: list[bytes]) -> None:
    assert scrub_in(pieces) == b"".join(pieces)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="%\\&#;xu0025{}/+= \n" + string.ascii_letters[:6], max_size=400), st.data())
def test_text_of_escapes_passes_as_it_is(text: str, data: st.DataObject) -> None:
    raw = text.encode()
    at = data.draw(st.integers(0, len(raw)))
    assert scrub_in([raw[:at], raw[at:]]) == raw


def test_part_of_a_secret_is_left() -> None:
    for text in (SECRET[:-1], SECRET[1:], base64.b64encode(SECRET[4:]), SECRET[:20] + b" " + SECRET[20:]):
        assert scrub(text) == text


# --- streaming -------------------------------------------------------------------------------------------------------


def test_an_event_is_never_delayed() -> None:
    stream = SCRUBBER.stream()
    for text in ("Hello", " fake", "\n\n", 'say \\"x\\"', "50%", "a\\u4e2d", "&amp;", "fake-sk-", SECRET.decode()[:9]):
        event = f"event: delta\ndata: {json.dumps({'delta': {'content': text}})}\n\n".encode()
        assert stream.feed(event) == event
        assert stream.held == 0


def test_only_the_possible_beginning_is_held() -> None:
    stream = SCRUBBER.stream()
    assert stream.feed(b"data: fake-sk-Ab") == b"data: "
    assert stream.feed(b"!") == b"fake-sk-Ab!"
    assert stream.feed(b"data: fake-%73") == b"data: "
    assert stream.feed(b"%6B-?") == b"fake-%73%6B-?"


def test_empty_pieces_and_huge_ones() -> None:
    stream = SCRUBBER.stream()
    filler = random.Random(1).randbytes(1_000_003)
    assert stream.feed(b"") == b""
    assert stream.feed(filler + SECRET + filler) + stream.feed(b"") + stream.end() == filler + STUB + filler


@pytest.mark.parametrize(
    "flood", [b"%25", b"\\\\", b"&amp;", b"%", b"\\", b"&#0000", b"\n", b"A", b"f", b"\\u0025", b"fa"]
)
def test_a_flood_of_beginnings_is_not_held(flood: bytes) -> None:
    stream = SCRUBBER.stream()
    text = flood * (60_000 // len(flood))
    most, said = 0, []
    for at in range(0, len(text), 997):
        said.append(stream.feed(text[at : at + 997]))
        most = max(most, stream.held)
    assert b"".join(said) + stream.end() == text
    assert most < 512 <= SCRUBBER.most_held


# --- several secrets -------------------------------------------------------------------------------------------------


def _pairs(count: int) -> list[tuple[bytes, bytes]]:
    chosen = random.Random(7)
    letters = string.ascii_letters + string.digits
    return [tuple("".join(chosen.choices(letters, k=30)).encode() for _ in "ab") for _ in range(count)]  # type: ignore[misc]


def test_sixty_secrets() -> None:
    pairs = _pairs(60)
    scrubber = Scrubber(pairs)
    text, wanted = (
        b"|".join(base64.b64encode(b"u:" + p[side]) + p[side] + p[side].hex().encode() for p in pairs)
        for side in (0, 1)
    )
    assert scrub(text, scrubber) == wanted
    assert {finding.secret for finding in scrubber.found} == set(range(60))


def test_of_secrets_in_each_other_the_longest_goes_first() -> None:
    long, short = (b"fake-inner-secret-and-more", b"STUB-INNER-SECRET-AND-MORE"), (b"inner-secret", b"short-stub-1")
    for pairs in ([long, short], [short, long]):
        scrubber = Scrubber(pairs)
        text = b"<fake-inner-secret-and-more> <inner-secret>"
        for at in range(len(text)):
            assert scrub_in([text[:at], text[at:]], scrubber) == b"<STUB-INNER-SECRET-AND-MORE> <short-stub-1>"


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    scrubber = Scrubber([(b"aaaa-bbbb-cccc", b"1111111111111!"), (b"bbbb-cccc-dddd", b"2222222222222!")])
    text = b"<aaaa-bbbb-cccc-dddd>"
    for at in range(len(text)):
        assert scrub_in([text[:at], text[at:]], scrubber) == b"<1111111111111!2222!>"


PEM, PEM_STUB = (
    b"-----BEGIN FAKE KEY-----\n"
    + base64.encodebytes(random.Random(seed).randbytes(1190)).replace(b"\n", b"").replace(b"=", b"A")
    + b"\n-----END FAKE KEY-----\n"
    for seed in (1, 2)
)


def _in_lines(pem: bytes) -> bytes:
    head, body, tail = pem.strip().split(b"\n")
    return b"\n".join([head, *(body[at : at + 64] for at in range(0, len(body), 64)), tail]) + b"\n"


@pytest.mark.parametrize(
    "form",
    [
        lambda v: v, lambda v: json.dumps(v.decode()).encode(), lambda v: v.replace(b"\n", b"\r\n"),
        lambda v: json.dumps(json.dumps(v.decode())).encode(), lambda v: v.hex().encode(),
        each(lambda c: b"%%%02X" % c),
    ],
    ids=["raw", "JSON", "CRLF", "JSON in JSON", "hex", "percent"],
)  # fmt: skip
def test_a_private_key(form: Encode) -> None:
    secret, stub = _in_lines(PEM), _in_lines(PEM_STUB)
    scrubber = Scrubber([(secret, stub)])
    text = b"<" + form(secret) + b">"
    assert scrub(text, scrubber) == b"<" + form(stub) + b">"
    for size in (1, 7, 64, 100, 1000):
        assert (
            scrub_in([text[at : at + size] for at in range(0, len(text), size)], scrubber) == b"<" + form(stub) + b">"
        )


def test_each_long_line_of_a_private_key_is_a_secret() -> None:
    secret, stub = _in_lines(PEM), _in_lines(PEM_STUB)
    scrubber = Scrubber([(secret, stub)])
    for line, fake in zip(secret.split(b"\n")[1:-3], stub.split(b"\n")[1:-3], strict=True):
        assert scrub(
            b"x " + line + b" y " + base64.b64encode(line), scrubber
        ) == b"x " + fake + b" y " + base64.b64encode(fake)


@pytest.mark.parametrize("size", [8, 9, 255, 256, 257, 1000, 8192])
def test_sizes(size: int) -> None:
    chosen = random.Random(size)
    secret, stub = ("".join(chosen.choices(string.ascii_letters, k=size)).encode() for _ in "ab")
    scrubber = Scrubber([(secret, stub)])
    for form in (
        lambda v: v,
        lambda v: base64.b64encode(b"u:" + v),
        lambda v: v.hex().encode(),
        each(lambda c: b"%%%02X" % c),
    ):
        text = b"<" + form(secret) + b">"
        assert scrub(text, scrubber) == b"<" + form(stub) + b">"
        assert scrub_in([text[at : at + 500] for at in range(0, len(text), 500)], scrubber) == b"<" + form(stub) + b">"


@pytest.mark.parametrize(
    ("secret", "stub"),
    [
        (b"short", b"stubs"),
        (b"x" * 9000, b"y" * 9000),
        (b"fake-secret-1", b"fake-stub"),
        (b"fake-secret", b"fake-secret"),
    ],
)
def test_pairs_that_cannot_be_scrubbed_are_refused_without_their_bytes(secret: bytes, stub: bytes) -> None:
    with pytest.raises(ValueError) as caught:
        Scrubber([(secret, stub)])
    assert secret.decode() not in str(caught.value)


# --- the rest --------------------------------------------------------------------------------------------------------


def test_header_values() -> None:
    value = f'Bearer realm="\xe9", hint="{SECRET.decode()}"'
    assert SCRUBBER.text(value) == f'Bearer realm="\xe9", hint="{STUB.decode()}"'
    assert SCRUBBER.text("Basic " + base64.b64encode(b"me:" + SECRET).decode()).endswith(
        base64.b64encode(b"me:" + STUB).decode()
    )


def test_many_header_values() -> None:
    values = ["", "text/html; charset=utf-8", SECRET.decode(), "a%", SECRET.decode()[:9], "50%\xe9", quote(SECRET)]
    assert SCRUBBER.texts(values) == [SCRUBBER.text(value) for value in values]
    assert SCRUBBER.texts(values)[2] == STUB.decode() and SCRUBBER.texts(values[3:6]) == values[3:6]


def test_no_secrets_pass_everything_at_once() -> None:
    assert Scrubber([]).text("any%") == "any%" and Scrubber(()).texts(["a", "b"]) == ["a", "b"]
    stream = Scrubber([]).stream()
    assert stream.feed(b"any%") == b"any%" and stream.end() == b"" and stream.held == 0


def test_nothing_comes_after_the_end_or_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = SCRUBBER.stream()
    stream.end()
    with pytest.raises(Refusal) as caught:
        stream.feed(b"more")
    assert caught.value.code == "scrub_failed"

    def broken(self: Scrubber, window: bytes) -> bool:
        raise RuntimeError(window)

    monkeypatch.setattr(Scrubber, "suspects", broken)
    stream = SCRUBBER.stream()
    with pytest.raises(Refusal) as caught:
        stream.feed(SECRET)
    assert caught.value.__cause__ is None and "fake" not in str(caught.value)
    monkeypatch.undo()
    with pytest.raises(Refusal):
        stream.feed(b"harmless")


def test_a_stream_goes_on_with_the_secrets_of_now() -> None:
    stream: ScrubStream = Scrubber([(b"fake-other-secret", b"fake-other-stub-1")]).stream()
    assert stream.feed(b"<" + SECRET[:5]) == b"<"
    moved = stream.moved_to(SCRUBBER)
    assert moved.feed(SECRET[5:] + b">") + moved.end() == STUB + b">"
    last = moved = SCRUBBER.stream()
    moved.feed(SECRET[:5])
    last = moved.moved_to(Scrubber([]))
    assert last.feed(b"!") + last.end() == SECRET[:5] + b"!"


# -- who reads waits for what is held ---------------------------------------------------------------------------------


def test_few_bytes_are_let_go_and_a_secret_that_began_with_them_is_found() -> None:
    stream = SCRUBBER.stream()
    first = stream.feed(b"it is " + SECRET[:3])
    let_go = stream.release()
    assert (first, let_go, stream.release()) == (b"it is ", SECRET[:3], b"")
    rest = stream.feed(SECRET[3:] + b".") + stream.end()
    assert rest == STUB[3:] + b"."
    assert stream.found == {Finding(0, "raw"): 1}


def test_what_was_let_go_is_not_said_again() -> None:
    stream = SCRUBBER.stream()
    said = [stream.feed(SECRET[:2]), stream.release(), stream.feed(SECRET[2:4]), stream.release(), stream.feed(b"\n")]
    assert b"".join([*said, stream.end()]) == SECRET[:4] + b"\n"


def test_of_more_than_a_few_bytes_none_is_let_go() -> None:
    stream = SCRUBBER.stream()
    assert stream.feed(SECRET[:5]) + stream.release() == b""
    assert stream.feed(SECRET[5:]) + stream.end() == STUB


def test_what_was_let_go_is_remembered_by_the_scrubber_of_later() -> None:
    stream = SCRUBBER.stream()
    said = stream.feed(SECRET[:2]) + stream.release()
    moved = stream.moved_to(Scrubber([(SECRET, STUB)]))
    assert said + moved.feed(SECRET[2:]) + moved.end() == SECRET[:2] + STUB[2:]
