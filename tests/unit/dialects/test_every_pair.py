"""Every sample of every dialect, said in every other one: that never fails, leaves the request as it was, and what it
makes is of the other dialect.
"""

import copy
import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from penstock.dialects import registry, wire
from penstock.dialects.dialect import Dialect, PathMatch
from penstock.types.content import Text, ToolCall, ToolResult
from penstock.types.errors import DialectError
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Request
from tests.contract import dialects as contract

PROFILES = {
    "default": DEFAULT_PROFILE,
    "strict host": Profile(
        content_lists=False,
        message_names=False,
        message_extensions=False,
        nulls=False,
        image_urls=False,
        strict_tools=False,
        structured_output="tool",
        reasoning="none",
        stream_options=False,
    ),
    "rich host": Profile(
        system_turns=True, repair_turns=True, replay_thinking=True, signature_origin="gemini", cache_breakpoints=True
    ),
    "without tools": Profile(tools=False, structured_output="prompt", exclusive_sampling=True),
}
_BODY_KEYS = frozenset({"messages", "contents", "input"})


def _bodies(value: Any) -> Iterator[dict[str, Any]]:
    """What looks like a request body, anywhere in the samples."""
    if isinstance(value, dict):
        if _BODY_KEYS.isdisjoint(value):
            for inner in value.values():
                yield from _bodies(inner)
        else:
            yield value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _bodies(inner)


def _requests(name: str) -> list[Request]:
    dialect = registry.get(name)
    samples = importlib.import_module(f"tests.unit.dialects.{name}.samples")
    found: list[Request] = []
    for value in [each for label, each in vars(samples).items() if label.isupper()]:
        for body in _bodies(value):
            try:
                found.append(dialect.parse_request(body, PathMatch("model-7", None)))
            except DialectError:
                continue  # samples hold bad requests too
    return found


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", registry.NAMES)
def test_every_request_can_be_said_in_every_dialect(name: str, profile: str) -> None:
    requests = _requests(name)
    assert requests
    for request in requests:
        before = copy.deepcopy(request)
        for target in registry.dialects():
            rendered = target.render_request(request, PROFILES[profile])
            wire.encode(rendered.value)
            target.parse_request(rendered.value, PathMatch("model-7", None))
            assert request == before, target.name
            assert all(note.path for note in rendered.notes), target.name


@pytest.mark.parametrize("label", contract.EVERY_PART)
@pytest.mark.parametrize("target", registry.dialects(), ids=lambda dialect: dialect.name)
def test_a_part_in_an_odd_place_is_no_failure(target: Dialect, label: str) -> None:
    """A history may hold anything anywhere (Ollama's tool messages carry calls and thoughts): what a dialect has no
    place for is noted.
    """
    part = contract.EVERY_PART[label][1]
    asked = Message("assistant", (ToolCall("call_1", "look_up", {}),))
    within = Message("tool", (ToolResult("call_1", (Text("found"), part), "look_up"),))
    alone = [contract.request_with(role, part) for role in ("system", "user", "assistant")]
    for request in (*alone, contract.foreign_request(messages=(asked, within))):
        rendered = target.render_request(request, DEFAULT_PROFILE)
        target.parse_request(rendered.value, PathMatch("model-7", None))
