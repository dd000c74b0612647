"""What LiteLLM keeps to itself: nothing of it, and no credential, stands in a body."""

from __future__ import annotations

from typing import Any

import pytest

import penstock
from penstock import BadRequestError
from penstock.calls.litellm_words import LITELLMS, is_credential, is_for_a_model
from penstock.testing.providers import Reply
from tests.support.targets import Target, every_dialect, simulating

completion: Any = penstock.completion
ASK: list[Any] = [{"role": "user", "content": "Hello"}]
MARK = "must-not-be-seen"

KEPT = (
    *("proxy_server_request", "secret_fields", "litellm_logging_obj", "litellm_request_debug", "acompletion", "id"),
    *("user_api_key", "user_api_key_dict", "_router_weights", "_agentic_loop_depth", "preset_cache_key", "ttl"),
    *("rpm", "tpm", "weight", "order", "cooldown_time", "fallback_depth", "max_fallbacks", "model_file_id_mapping"),
)
REFUSED = (
    *("guardrails", "prompt_id", "no-log", "budget_duration", "litellm_credential_name", "success_callback", "roles"),
    *("openai_api_key", "hf_token", "langfuse_secret_key", "authorization", "clientSecret", "my-access-token"),
)


@every_dialect
@pytest.mark.parametrize("name", KEPT)
def test_bookkeeping_has_no_effect(target: Target, name: str) -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine"), Reply.text("fine"))
        completion(messages=ASK, **target.arguments(simulated))
        completion(messages=ASK, **{name: MARK}, **target.arguments(simulated))
        without, given = simulated.requests
    assert MARK not in f"{given.body.decode()} {given.headers}"
    assert given.json == without.json


@pytest.mark.parametrize("name", REFUSED)
def test_what_asks_for_something_or_lets_somebody_in_is_refused(name: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        completion("openai/gpt-4o", ASK, **{name: MARK}, mock_response="never")
    assert name in caught.value.message and MARK not in caught.value.message
    assert "give" in caught.value.message or "write" in caught.value.message or "nothing" in caught.value.message


@pytest.mark.parametrize("value", [None, False, [], ""])
def test_what_asks_for_nothing_may_be(value: Any) -> None:
    assert completion("openai/gpt-4o", ASK, guardrails=value, mock_response="fine").choices[0].message.content == "fine"


@pytest.mark.parametrize(
    "name",
    [
        *("max_tokens", "min_tokens", "stop_token_ids", "prompt_cache_key", "skip_special_tokens", "num_ctx", "top_a"),
        *(
            "truncate_prompt_tokens",
            "add_special_tokens",
            "thinking_budget",
            "safetySettings",
            "keep_alive",
            "keywords",
        ),
        *("guardrailConfig", "include_stop_str_in_output", "return_token_ids", "max_thinking_tokens", "image_tokens"),
    ],
)
def test_a_parameter_is_not_taken_for_a_credential(name: str) -> None:
    assert not is_credential(name) and is_for_a_model(name)


def test_no_parameter_of_openais_is_taken_for_a_word_of_litellms() -> None:
    known = penstock.get_supported_openai_params("openai/gpt-4o")
    assert LITELLMS.isdisjoint(known) and all(map(is_for_a_model, known))
