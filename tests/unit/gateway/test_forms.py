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
