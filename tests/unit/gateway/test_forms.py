"""Forms are found part by part, and one field is replaced without touching a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.client import multipart
from penstock.client.multipart import FilePart
from penstock.gateway.forms import Form
from penstock.types.errors import MalformedError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(texts, texts, st.binary(max_size=200))
def test_a_form_is_read_as_it_was_written(model: str, prompt: str, content: bytes) -> None:
    fields = multipart.fields_of({"model": model, "prompt": prompt})
    body, kind = multipart.encode(fields, [("file", FilePart("a.wav", content, "audio/wav"))])
    form = Form(body, kind)
    assert form.text("model") == model
    assert form.text("prompt") == prompt
    assert form.text("file") is None
    assert form.size() == len(content)
    changed = Form(form.with_texts({"model": "whisper-1"}), kind)
    assert changed.text("model") == "whisper-1"
    assert changed.text("prompt") == prompt
    assert changed.size() == len(content)


@given(st.binary(max_size=300))
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError):
        Form(body, "multipart/form-data; boundary=xyz")


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "text/plain"])
def test_a_form_without_a_boundary_is_refused(kind: str) -> None:
    with pytest.raises(MalformedError, match="boundary"):
        Form(b"--x--", kind)


def _form(*parts: tuple[str, bytes, bool]) -> tuple[bytes, str]:
    body = b"".join(
        b'--edge\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
        % (name.encode(), b'; filename="f"' if file else b"", content)
        for name, content, file in parts
    )
    return body + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def test_fields_are_added_and_those_that_stand_there_stay() -> None:
    body, kind = _form(("file", b"the --edge is in it", True), ("language", b"de", False))
    changed = Form(Form(body, kind).with_texts({"model": "whisper-1", "language": "en"}), kind)
    assert changed.text("model") == "whisper-1" and changed.text("language") == "de"
    assert changed.size() == len(b"the --edge is in it")


def test_fields_are_left_out_and_files_never() -> None:
    parts = (
        ("model", b"a", False),
        ("file", b"\x00\r\n\xff", True),
        ("model", b"b", False),
        ("purpose", b"batch", False),
    )
    body, kind = _form(*parts, ("model", b"a file of this name", True))
    left = Form(Form(body, kind).without({"model"}), kind)
    assert [(field.name, field.file) for field in left.fields] == [("file", True), ("purpose", False), ("model", True)]
    assert left.text("model") is None and left.text("purpose") == "batch"
    assert left.size() == 4 + len(b"a file of this name")


def test_a_form_of_which_nothing_is_left() -> None:
    body, kind = _form(("model", b"a", False))
    assert Form(body, kind).without({"model"}) == b"--edge--\r\n"
