"""Log probabilities go to other dialects' clients in the form that these demand, without their own dialect's marks."""

from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from penstock.dialects import registry
from penstock.dialects.dialect import Context
from penstock.types.notes import NO_MEMO
from penstock.types.unfold import unfold
from tests.contract.dialects import frames

GEMINI = {
    "candidates": [
        {
            "content": {"parts": [{"text": "Hé"}], "role": "model"},
            "finishReason": "STOP",
            "index": 0,
            "logprobsResult": {
                "chosenCandidates": [{"token": "Hé", "tokenId": 5, "logProbability": -0.5}],
                "topCandidates": [{"candidates": [{"token": "Hé", "tokenId": 5, "logProbability": -0.5}]}],
            },
        }
    ]
}
COHERE = {
    "id": "a",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Hé"}]},
    "finish_reason": "COMPLETE",
    "logprobs": [{"text": "Hé", "token_ids": [5], "logprobs": [-0.5]}],
}
OLLAMA = {
    "model": "m",
    "message": {"role": "assistant", "content": "Hé"},
    "done": True,
    "logprobs": [{"token": "Hé", "logprob": -0.5, "new": 1}],
}
TOP: dict[str, list[Any]] = {"gemini": [{"token": "Hé", "logprob": -0.5, "bytes": [72, 195, 169]}]}
ANSWERS = {"gemini": GEMINI, "cohere_chat": COHERE, "ollama_chat": OLLAMA}


@pytest.mark.parametrize("source", ANSWERS)
def test_openais_clients_read_the_tokens_of_others(source: str) -> None:
    entry = {"token": "Hé", "logprob": -0.5, "bytes": [72, 195, 169], "top_logprobs": TOP.get(source, [])}
    response = registry.get(source).parse_response(ANSWERS[source], NO_MEMO)
    chat = registry.get("openai_chat")
    whole = chat.render_response(response, Context(id="a", model="m")).value
    assert whole["choices"][0]["logprobs"]["content"] == [entry]
    ChatCompletion.model_validate(whole, strict=True)

    renderer = chat.stream_renderer(Context(id="a", model="m", source=source))
    data = b"".join([renderer.render(event) for event in unfold(response)]) + renderer.close()
    chunks = [frame for _, frame in frames(chat, data) if isinstance(frame, dict)]
    found = [choice["logprobs"]["content"] for chunk in chunks for choice in chunk["choices"] if choice.get("logprobs")]
    assert found == [[entry]]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
