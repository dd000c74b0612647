"""Efforts that only one host knows are not sent to others, nor taken for any strength."""

import pytest

from penstock.dialects import registry
from penstock.types.profile import Profile
from penstock.types.request import Reasoning
from tests.contract.dialects import foreign_request

PROFILES = (Profile(), Profile(reasoning="level"), Profile(reasoning="effort", reasoning_efforts=("low", "high")))


@pytest.mark.parametrize("name", ["gemini", "cohere_chat", "ollama_chat"])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_word_of_another_host_is_left_out(name: str, profile: Profile) -> None:
    render = registry.get(name).render_request
    plain = render(foreign_request(), profile)
    asked = render(foreign_request(reasoning=Reasoning("default")), profile)
    assert asked.value == plain.value
    assert [f"{note.kind} {note.path}" for note in asked.notes] == ["dropped reasoning.effort"]
    known = render(foreign_request(reasoning=Reasoning("low")), profile)
    assert known.value != plain.value
