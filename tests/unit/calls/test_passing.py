"""A provider's own parameters arrive in its body, whatever its API, in the place that the API has for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import penstock
from penstock import TranslationLossError, UnsupportedParamsError
from penstock.calls.passing import set_apart
from penstock.dialects.dialect import PathMatch
from penstock.dialects.openai_chat import DIALECT
from penstock.testing.providers import Reply, SimulatedProviders
from tests.support.targets import TARGETS, Target, every_dialect, simulating

completion: Any = penstock.completion
ASK: list[Any] = [{"role": "user", "content": "Hello"}]
OPENAI, RESPONSES, ANTHROPIC, GEMINI, BEDROCK, COHERE, OLLAMA = TARGETS
SAFETY = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
GUARDRAIL = {"guardrailIdentifier": "gr-fake", "guardrailVersion": "1"}

DOCUMENTED: list[tuple[Target, dict[str, Any], dict[str, Any]]] = [
    (RESPONSES, {"truncation": "auto"}, {"truncation": "auto"}),
    (RESPONSES, {"include": ["reasoning.encrypted_content"]}, {"include": ["reasoning.encrypted_content"]}),
    (ANTHROPIC, {"inference_geo": "us"}, {"inference_geo": "us"}),
    (ANTHROPIC, {"container": "container_fake"}, {"container": "container_fake"}),
    (COHERE, {"safety_mode": "STRICT"}, {"safety_mode": "STRICT"}),
    (COHERE, {"documents": ["a text"]}, {"documents": ["a text"]}),
    (GEMINI, {"safety_settings": SAFETY}, {"safetySettings": SAFETY}),
    (GEMINI, {"safetySettings": SAFETY}, {"safetySettings": SAFETY}),
    (GEMINI, {"cached_content": "cachedContents/fake"}, {"cachedContent": "cachedContents/fake"}),
    (
        GEMINI,
        {"media_resolution": "MEDIA_RESOLUTION_LOW"},
        {"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}},
    ),
    (GEMINI, {"thinking_budget": 512}, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 512}}}),
    (GEMINI, {"temperature": 0.5, "topP": 0.1}, {"generationConfig": {"temperature": 0.5, "topP": 0.1}}),
    (BEDROCK, {"guardrailConfig": GUARDRAIL}, {"guardrailConfig": GUARDRAIL}),
    (BEDROCK, {"guardrail_config": GUARDRAIL}, {"guardrailConfig": GUARDRAIL}),
    (BEDROCK, {"performanceConfig": {"latency": "optimized"}}, {"performanceConfig": {"latency": "optimized"}}),
    (BEDROCK, {"requestMetadata": {"team": "blue"}}, {"requestMetadata": {"team": "blue"}}),
    (BEDROCK, {"top_a": 0.3}, {"additionalModelRequestFields": {"top_a": 0.3}}),
    (
        BEDROCK,
        {"top_k": 5, "min_p": 0.1, "temperature": 0.5},
        {"additionalModelRequestFields": {"top_k": 5, "min_p": 0.1}, "inferenceConfig": {"temperature": 0.5}},
    ),
    (OLLAMA, {"num_ctx": 8192, "min_p": 0.05}, {"options": {"num_ctx": 8192, "min_p": 0.05}}),
    (OLLAMA, {"num_ctx": 8192, "temperature": 0.2}, {"options": {"num_ctx": 8192, "temperature": 0.2}}),
    (OLLAMA, {"options": {"num_ctx": 4096}, "seed": 7}, {"options": {"num_ctx": 4096, "seed": 7}}),
    (OLLAMA, {"max_tokens": 10, "num_predict": 20}, {"options": {"num_predict": 20}}),
    (OLLAMA, {"keep_alive": "10m"}, {"keep_alive": "10m"}),
    (OLLAMA, {"think": True}, {"think": True}),
    (OLLAMA, {"format": "json"}, {"format": "json"}),
]
IDS = [f"{target.dialect}-{'-'.join(given)}" for target, given, _ in DOCUMENTED]


@pytest.mark.parametrize(("target", "given", "sent"), DOCUMENTED, ids=IDS)
def test_a_parameter_of_the_providers_stands_where_its_api_has_it(
    target: Target, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    """The simulated provider refuses what its API does not have there (but of Bedrock's models it knows no fields)."""
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        answer = completion(messages=ASK, strict=True, **given, **target.arguments(simulated))
        arrived = simulated.last.json
    assert {name: arrived.get(name) for name in sent} == sent
    assert not [note for note in answer.notes if note.path.partition(".")[0] in given]
    assert all(name in sent or name not in arrived for name in given), "and nowhere else"


UNHEARD_OF = {
    "openai_chat": (),
    "openai_responses": (),
    "anthropic_messages": (),
    "cohere_chat": (),
    "gemini": ("generationConfig",),
    "bedrock_converse": ("additionalModelRequestFields",),
    "ollama_chat": ("options",),
}


@every_dialect
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_parameter_that_nobody_has_heard_of_is_passed_on(target: Target, stream: bool) -> None:
    given = {"my_new_knob": {"a": [1, None]}, "top_a": 0.25}
    with simulating(strict=False) as simulated:
        simulated.script(Reply.text("fine"))
        answer = completion(messages=ASK, stream=stream, **given, **target.arguments(simulated))
        if stream:
            list(answer)
            answer = answer.response
        holder = simulated.last.json
    for key in UNHEARD_OF[target.dialect]:
        holder = holder[key]
    assert {name: holder.get(name) for name in given} == given
    assert not [note for note in answer.notes if note.path.partition(".")[0] in given]


@every_dialect
def test_from_a_deployment_too(target: Target) -> None:
    with simulating(strict=False) as simulated:
        simulated.script(Reply.text("fine"), Reply.text("fine"))
        entry = {"model_name": "any", "litellm_params": {**target.arguments(simulated), "top_a": 0.25}}
        router: Any = penstock.Router(model_list=[entry])
        router.completion("any", ASK)
        router.completion("any", ASK, top_a=0.5)
        bodies = [request.json for request in simulated.requests]
    for key in UNHEARD_OF[target.dialect]:
        bodies = [body[key] for body in bodies]
    assert [body["top_a"] for body in bodies] == [0.25, 0.5], "what the call says goes before"


def test_from_a_coroutine_and_a_text_completion() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine"), Reply.text("fine"))
        acompletion: Any = penstock.acompletion
        asyncio.run(acompletion(messages=ASK, num_ctx=8192, **OLLAMA.arguments(simulated)))
        assert simulated.last.json["options"] == {"num_ctx": 8192}
        text: Any = penstock.text_completion
        text(prompt="Hello", safety_settings=SAFETY, **GEMINI.arguments(simulated))
        assert simulated.last.json["safetySettings"] == SAFETY


def test_a_fallback_of_another_api_gets_it_in_its_own_place() -> None:
    with simulating(strict=False) as simulated:
        simulated.script(Reply.error(503), Reply.text("fine"))
        completion(messages=ASK, top_a=0.25, fallbacks=[GEMINI.arguments(simulated)], **OLLAMA.arguments(simulated))
        first, second = (request.json for request in simulated.requests)
    assert first["options"] == {"top_a": 0.25}
    assert second["generationConfig"] == {"top_a": 0.25}


# -- what does not change: OpenAI's own parameters, strict, and what the caller drops or insists on --------------------


@pytest.mark.parametrize(
    "target", [ANTHROPIC, GEMINI, BEDROCK, COHERE, OLLAMA, RESPONSES], ids=lambda each: each.dialect
)
def test_a_parameter_of_openais_that_others_do_not_have_is_refused_or_dropped(target: Target) -> None:
    given = {"prediction": {"type": "content", "content": "likely"}}
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        arguments = target.arguments(simulated) | {"messages": ASK} | given
        with pytest.raises(UnsupportedParamsError, match="prediction"):
            completion(**arguments)
        answer = completion(drop_params=True, **arguments)
        assert "likely" not in simulated.last.body.decode()
    assert any(note.path.startswith("prediction") and note.kind == "dropped" for note in answer.notes)
    with pytest.raises(TranslationLossError, match="prediction"):
        completion(drop_params=True, strict=True, **arguments)


def test_dropping_what_is_not_supported_keeps_what_is_passed_on() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        completion(messages=ASK, drop_params=True, logit_bias={"1": 1}, num_ctx=8192, **OLLAMA.arguments(simulated))
        assert simulated.last.json["options"] == {"num_ctx": 8192}


def test_what_the_caller_drops_is_not_passed_on() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        given = OLLAMA.arguments(simulated) | {"messages": ASK, "num_ctx": 8192, "keep_alive": "10m"}
        completion(additional_drop_params=["num_ctx"], **given)
        assert "options" not in simulated.last.json and simulated.last.json["keep_alive"] == "10m"


@pytest.mark.parametrize(
    ("target", "path"), [(OLLAMA, "options"), (GEMINI, "generationConfig"), (BEDROCK, "additionalModelRequestFields")]
)
def test_what_the_caller_insists_on_stands_with_the_others(target: Target, path: str) -> None:
    with simulating(strict=False) as simulated:
        simulated.script(Reply.text("fine"))
        given = {"logit_bias": {"1": 1}, "top_a": 0.5}
        completion(messages=ASK, allowed_openai_params=list(given), **given, **target.arguments(simulated))
        assert simulated.last.json[path] == given
        assert given.keys().isdisjoint(simulated.last.json)


def test_extra_body_has_the_last_word() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        completion(messages=ASK, num_ctx=1, extra_body={"options": {"num_ctx": 2}}, **OLLAMA.arguments(simulated))
        assert simulated.last.json["options"] == {"num_ctx": 2}


# -- the gateway ------------------------------------------------------------------------------------------------------


def test_a_clients_body_is_searched_for_what_is_ours() -> None:
    """A gateway reads no options from a body; they are for nobody behind it either."""
    ours = {
        "api_key": "sk-fake",
        "hf_token": "fake",
        "num_retries": 1,
        "_private": 1,
        "litellm_logging_obj": 1,
        "tags": [],
    }
    request = DIALECT.parse_request({"messages": ASK, "stop": None, "num_ctx": 1, **ours}, PathMatch())
    left, passed = set_apart(request, DIALECT.parameters)
    assert passed == {"num_ctx": 1}
    assert left.extras == {"stop": None, **ours}


def test_what_other_apis_have_is_taken_for_their_own() -> None:
    """Anthropic's clients send new fields by themselves, which mean nothing elsewhere."""
    with SimulatedProviders() as simulated:
        simulated.script(Reply.text("fine"))
        answer = penstock.messages(
            messages=ASK, max_tokens=10, context_management={"edits": []}, a_new_field=1, **COHERE.arguments(simulated)
        )
        assert "a_new_field" not in simulated.last.body.decode()
    assert any(note.path == "a_new_field" for note in answer.notes)


# -- embeddings -------------------------------------------------------------------------------------------------------

KEY = {"api_key": "sk-fake-for-tests-only"}
EMBEDDERS: list[tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("ollama/nomic-embed-text", "ollama", KEY, {"num_ctx": 512}, {"options": {"num_ctx": 512}}),
    ("ollama/nomic-embed-text", "ollama", KEY, {"keep_alive": "10m"}, {"keep_alive": "10m"}),
    ("cohere/embed-v4.0", "cohere", KEY, {"max_tokens": 99}, {"max_tokens": 99}),
    ("bedrock/amazon.titan-embed-text-v2:0", "bedrock", BEDROCK.more, {"normalize": True}, {"normalize": True}),
]


@pytest.mark.parametrize(
    ("model", "mount", "more", "given", "sent"),
    EMBEDDERS,
    ids=[f"{each[0]}-{next(iter(each[3]))}" for each in EMBEDDERS],
)
def test_embeddings_too(
    model: str, mount: str, more: dict[str, Any], given: dict[str, Any], sent: dict[str, Any]
) -> None:
    with SimulatedProviders() as simulated:
        embedding: Any = penstock.embedding
        embedding(model, "Hello", api_base=simulated.url(mount), num_retries=0, **more, **given)
        arrived = simulated.last.json
    assert {name: arrived.get(name) for name in sent} == sent


def test_each_input_of_a_batch_has_the_title() -> None:
    with SimulatedProviders() as simulated:
        embedding: Any = penstock.embedding
        base = simulated.url("gemini") + "/v1beta"
        embedding("gemini/gemini-embedding-001", ["a", "b"], title="T", api_base=base, num_retries=0, **KEY)
        assert [each["title"] for each in simulated.last.json["requests"]] == ["T", "T"]
