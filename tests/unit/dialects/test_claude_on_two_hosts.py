"""What Anthropic's API and Bedrock's Converse both say of the same models, each in its own words: a table of pairs,
translated both ways without loss.
"""

from typing import Any

import pytest

from penstock.conformance.compare import first_difference
from penstock.dialects import registry
from penstock.dialects.anthropic_messages.foreign_stream import frame_bytes
from penstock.dialects.dialect import Context, PathMatch
from penstock.types.content import Citation, Media, PlainText, Text
from penstock.types.notes import NO_MEMO
from penstock.types.profile import DEFAULT_PROFILE
from penstock.types.response import Choice, Response
from tests.contract import dialects as contract

ANTHROPIC, CONVERSE = registry.get("anthropic_messages"), registry.get("bedrock_converse")
QUESTION = {"type": "text", "text": "Why?"}

DOCUMENTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "The sky is blue."},
            "title": "Sky",
            "context": "Written in 1999.",
            "citations": {"enabled": True},
        },
        {
            "document": {
                "format": "txt",
                "name": "Sky",
                "source": {"text": "The sky is blue."},
                "context": "Written in 1999.",
                "citations": {"enabled": True},
            }
        },
    ),
    (
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            "title": "Report",
            "citations": {"enabled": False},
        },
        {
            "document": {
                "format": "pdf",
                "name": "Report",
                "source": {"bytes": "JVBERi0="},
                "citations": {"enabled": False},
            }
        },
    ),
    (
        {
            "type": "document",
            "source": {
                "type": "content",
                "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
            },
            "title": "Chunks",
            "context": "Two of them.",
        },
        {
            "document": {
                "name": "Chunks",
                "source": {"content": [{"text": "one"}, {"text": "two"}]},
                "context": "Two of them.",
            }
        },
    ),
    (
        {
            "type": "search_result",
            "source": "https://example.com/sky",
            "title": "Sky",
            "content": [{"type": "text", "text": "It is blue."}],
            "citations": {"enabled": True},
        },
        {
            "searchResult": {
                "source": "https://example.com/sky",
                "title": "Sky",
                "content": [{"text": "It is blue."}],
                "citations": {"enabled": True},
            }
        },
    ),
]


def _anthropic(*content: dict[str, Any]) -> dict[str, Any]:
    return {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": list(content)}]}


@pytest.mark.parametrize(("anthropic", "converse"), DOCUMENTS)
def test_documents(anthropic: dict[str, Any], converse: dict[str, Any]) -> None:
    request = ANTHROPIC.parse_request(_anthropic(anthropic, QUESTION), PathMatch())
    there = CONVERSE.render_request(request, DEFAULT_PROFILE)
    assert (there.value["messages"][0]["content"][0], there.notes) == (converse, ())
    back = ANTHROPIC.render_request(CONVERSE.parse_request(there.value, PathMatch("claude", False)), DEFAULT_PROFILE)
    assert (back.value["messages"][0]["content"][0], back.notes) == (anthropic, ())


@pytest.mark.parametrize(("anthropic", "converse"), DOCUMENTS)
def test_documents_that_a_tool_found(anthropic: dict[str, Any], converse: dict[str, Any]) -> None:
    call = {"type": "tool_use", "id": "t1", "name": "find", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [anthropic]}
    body = _anthropic(QUESTION)
    body["messages"] += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    body["tools"] = [{"name": "find", "input_schema": {"type": "object"}}]
    there = CONVERSE.render_request(ANTHROPIC.parse_request(body, PathMatch()), DEFAULT_PROFILE)
    assert there.value["messages"][2]["content"][0]["toolResult"]["content"] == [converse]
    back = ANTHROPIC.render_request(CONVERSE.parse_request(there.value, PathMatch("claude", False)), DEFAULT_PROFILE)
    assert back.value["messages"][2]["content"] == [result]
    assert (there.notes, [note.path for note in back.notes]) == ((), ["max_tokens"] if "max_tokens" not in body else [])


def test_a_search_result_needs_no_words_beside_it() -> None:
    rendered = CONVERSE.render_request(
        ANTHROPIC.parse_request(_anthropic(DOCUMENTS[3][0]), PathMatch()), DEFAULT_PROFILE
    )
    assert (rendered.value["messages"][0]["content"], rendered.notes) == ([DOCUMENTS[3][1]], ())


CITED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {
            "type": "char_location",
            "cited_text": "blue",
            "document_index": 1,
            "document_title": "Sky",
            "start_char_index": 11,
            "end_char_index": 15,
            "file_id": None,
        },
        {
            "title": "Sky",
            "sourceContent": [{"text": "blue"}],
            "location": {"documentChar": {"documentIndex": 1, "start": 11, "end": 15}},
        },
    ),
    (
        {
            "type": "page_location",
            "cited_text": "blue",
            "document_index": 0,
            "document_title": "Report",
            "start_page_number": 1,
            "end_page_number": 2,
            "file_id": None,
        },
        {
            "title": "Report",
            "sourceContent": [{"text": "blue"}],
            "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
        },
    ),
    (
        {
            "type": "content_block_location",
            "cited_text": "one",
            "document_index": 2,
            "document_title": "Chunks",
            "start_block_index": 0,
            "end_block_index": 1,
            "file_id": None,
        },
        {
            "title": "Chunks",
            "sourceContent": [{"text": "one"}],
            "location": {"documentChunk": {"documentIndex": 2, "start": 0, "end": 1}},
        },
    ),
    (
        {
            "type": "search_result_location",
            "source": "https://example.com/sky",
            "title": "Sky",
            "cited_text": "It is blue.",
            "search_result_index": 3,
            "start_block_index": 0,
            "end_block_index": 1,
        },
        {
            "title": "Sky",
            "source": "https://example.com/sky",
            "sourceContent": [{"text": "It is blue."}],
            "location": {"searchResultLocation": {"searchResultIndex": 3, "start": 0, "end": 1}},
        },
    ),
]


@pytest.mark.parametrize(("anthropic", "converse"), CITED)
def test_citations(anthropic: dict[str, Any], converse: dict[str, Any]) -> None:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "It is.", "citations": [anthropic]}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    there = CONVERSE.render_response(ANTHROPIC.parse_response(message, NO_MEMO), Context())
    content = there.value["output"]["message"]["content"]
    assert content == [{"citationsContent": {"content": [{"text": "It is."}], "citations": [converse]}}]
    back = ANTHROPIC.render_response(CONVERSE.parse_response(there.value, NO_MEMO), Context(id="msg_1", model="claude"))
    assert first_difference(back.value["content"], message["content"]) is None
    assert (there.notes, [note for note in back.notes if "citations" in note.path]) == ((), [])


@pytest.mark.parametrize(("anthropic", "converse"), CITED)
def test_citations_in_a_stream(anthropic: dict[str, Any], converse: dict[str, Any]) -> None:
    citation = ANTHROPIC.parse_response({**_EMPTY, "content": [_cited(anthropic)]}, NO_MEMO).choices[0].parts[0]
    assert citation.citations is not None  # type: ignore[union-attr]  # a text, or the test fails
    body = contract.render_events(CONVERSE, list(_stream(citation.citations[0])), ANTHROPIC.name)  # type: ignore[union-attr]  # a text, or the test fails
    found = [payload["delta"] for _, payload in contract.frames(CONVERSE, body) if "delta" in payload]
    assert found == [{"text": "It is."}, {"citation": converse}]
    events = contract.parse_stream(CONVERSE, body)
    frames = contract.frames(ANTHROPIC, contract.render_events(ANTHROPIC, events, CONVERSE.name))
    deltas = [payload["delta"] for name, payload in frames if name == "content_block_delta"]
    assert deltas == [{"type": "text_delta", "text": "It is."}, {"type": "citations_delta", "citation": anthropic}]


_EMPTY: dict[str, Any] = {"type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}


def _cited(anthropic: dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": "It is.", "citations": [anthropic]}


def _stream(citation: Citation) -> Any:
    from penstock.types.stream import CitationDelta, End, Start, Stop, StreamEvent, TextDelta

    for delta in (Start("msg_1"), TextDelta(0, "It is."), CitationDelta(0, citation), Stop("stop", "end_turn"), End()):
        yield StreamEvent((delta,))


OTHERS = [name for name in registry.NAMES if name not in (ANTHROPIC.name, CONVERSE.name)]


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("streamed", [False, True])
def test_others_tell_or_note_a_citations_place(name: str, streamed: bool) -> None:
    other, place = registry.get(name), "choices[0].parts[0].citations"
    citation = Citation(file_id="f", title="T", document_index=4, unit="page", source_start=8765, source_end=8766)
    if streamed:
        renderer = other.stream_renderer(Context(source=ANTHROPIC.name))
        said = b"".join([renderer.render(event) for event in _stream(citation)]).decode()
        notes = list(renderer.notes)
    else:
        answer = Response(dialect="contract", choices=(Choice((Text("It is.", (citation,)),), "stop"),))
        rendered = other.render_response(answer, Context())
        said, notes = str(rendered.value), list(rendered.notes)
    assert "8765" in said or [note for note in notes if note.path.startswith(place)]


@pytest.mark.parametrize("name", OTHERS)
def test_others_tell_a_documents_context_in_words(name: str) -> None:
    part = Media("file", PlainText("The sky is blue."), "text/plain", "Sky", context="Written in 1999.")
    rendered = registry.get(name).render_request(contract.request_with("user", part, part), DEFAULT_PROFILE)
    assert "Written in 1999." in str(rendered.value)
    assert "messages[1].parts[0].context" in [note.path for note in rendered.notes]


TIERS = [("standard", "default"), ("priority", "priority")]


@pytest.mark.parametrize(("said", "served"), TIERS)
def test_the_tier_that_served_an_answer(said: str, served: str) -> None:
    """Anthropic says it among the counts; the others, Converse too, on the answer itself."""
    usage = {"input_tokens": 1, "output_tokens": 2, "service_tier": said}
    message = {**_EMPTY, "id": "msg_1", "content": [{"type": "text", "text": "Hi"}], "usage": usage}
    there = CONVERSE.render_response(ANTHROPIC.parse_response(message, NO_MEMO), Context()).value
    assert there["serviceTier"] == {"type": served}
    back = ANTHROPIC.render_response(CONVERSE.parse_response(there, NO_MEMO), Context()).value
    assert back["usage"]["service_tier"] == said
    for name in ("openai_chat", "openai_responses"):
        rendered = registry.get(name).render_response(ANTHROPIC.parse_response(message, NO_MEMO), Context())
        assert rendered.value["service_tier"] == served


@pytest.mark.parametrize(("said", "served"), TIERS)
def test_the_tier_that_serves_a_stream(said: str, served: str) -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "service_tier": said}
    message = {**_EMPTY, "id": "msg_1", "content": [], "stop_reason": None, "usage": usage}
    data = b"".join(frame_bytes(event) for event in ({"type": "message_start", "message": message}, *_REST))
    there = contract.render_events(CONVERSE, contract.parse_stream(ANTHROPIC, data), ANTHROPIC.name)
    assert [payload["serviceTier"] for name, payload in contract.frames(CONVERSE, there) if name == "metadata"] == [
        {"type": served}
    ]
    chat = contract.render_events(
        registry.get("openai_chat"), contract.parse_stream(ANTHROPIC, data), ANTHROPIC.name
    ).decode()
    assert f'"service_tier":"{served}"' in chat
    back = contract.render_events(
        ANTHROPIC, contract.parse_stream(registry.get("openai_chat"), chat.encode()), "openai_chat"
    )
    begun = contract.frames(ANTHROPIC, back)[0][1]["message"]
    assert begun["usage"]["service_tier"] == said


_REST: tuple[dict[str, Any], ...] = (
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
)


def test_both_lifetimes_of_a_written_cache_are_told() -> None:
    usage = {
        "inputTokens": 1,
        "outputTokens": 2,
        "totalTokens": 13,
        "cacheWriteInputTokens": 10,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 10}],
    }
    answer = {"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "end_turn", "usage": usage}
    rendered = ANTHROPIC.render_response(CONVERSE.parse_response(answer, NO_MEMO), Context())
    assert rendered.value["usage"]["cache_creation"] == {
        "ephemeral_5m_input_tokens": 0,
        "ephemeral_1h_input_tokens": 10,
    }
