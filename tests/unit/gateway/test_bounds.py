"""No call uses more tokens than its bound."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.calls.tokenizers import count_texts
from penstock.dialects import wire
from penstock.gateway import bounds


@given(st.lists(st.text(max_size=200), min_size=1, max_size=5))
def test_there_are_never_more_tokens_than_bytes(texts: list[str]) -> None:
    body = wire.encode({"model": "gpt-4o", "messages": [{"role": "user", "content": text} for text in texts]})
    counted, _ = count_texts(texts, "o200k_base")
    assert counted <= bounds.tight(body) <= bounds.loose(body) + 8 * (len(texts) + 1)


def test_an_image_is_no_text() -> None:
    image = "data:image/png;base64," + "A" * 1_000_000
    content = [{"type": "image_url", "image_url": {"url": image}}]
    body = wire.encode({"messages": [{"role": "user", "content": content}]})
    assert 1_000 < bounds.loose(body) < 50_000


def test_names_count_where_a_model_reads_them() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a_very_long_name": {}}}}}
    body = wire.encode({"tools": [tool]})
    assert bounds.tight(body) > len("a_very_long_name")


def test_what_is_no_json_is_bounded_by_its_length() -> None:
    assert bounds.tight(b"\xff not json") == len(b"\xff not json")


def test_what_is_nested_too_deep_is_bounded_by_its_length() -> None:
    body = b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"
    assert bounds.tight(body) == len(body)
