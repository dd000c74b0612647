"""What a client of the gateway says beyond OpenAI's parameters reaches the provider, and nothing of ours does."""

from __future__ import annotations

from typing import Any

from openai import OpenAI

from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.gateway import KEY, environment_for, serving

SAFETY = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
OURS = {
    "hf_token": "fake-token",
    "litellm_logging_obj": "insides",
    "num_retries": 7,
}


def test_a_providers_own_parameters_pass_the_gateway() -> None:
    ask: Any = [{"role": "user", "content": "Hello"}]
    with (
        SimulatedProviders() as providers,
        serving(environment_for(providers, PENSTOCK_MASTER_KEY=KEY)) as running,
        OpenAI(base_url=f"{running.url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        providers.script(Reply.text("fine"))
        answer = client.chat.completions.create(
            model="gemini/gemini-2.5-flash",
            messages=ask,
            temperature=0.5,
            extra_body={"safety_settings": SAFETY, "topK": 5, **OURS},
        )
        sent = providers.last
    assert answer.choices[0].message.content == "fine"
    assert sent.json["safetySettings"] == SAFETY
    assert sent.json["generationConfig"] == {"temperature": 0.5, "topK": 5}
    assert not any(str(value) in sent.body.decode() for value in OURS.values() if value != 7)
    assert "num_retries" not in sent.body.decode()
