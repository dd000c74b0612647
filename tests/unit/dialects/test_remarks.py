"""What a provider remarks on its own work (durations, fingerprints) is no loss to a client of another API; what it
found out about the answer is.
"""

from __future__ import annotations

from typing import Any

import pytest

from penstock.dialects import registry
from penstock.dialects.dialect import Context
from penstock.types.content import Text
from penstock.types.response import Choice, Response
from penstock.types.stream import End, PartEnd, PartStart, Start, Stop, StreamEvent, TextDelta, UsageDelta
from penstock.types.usage import Usage

every_dialect = pytest.mark.parametrize("name", registry.NAMES)

REMARKS: list[dict[str, Any]] = [
    {"total_duration": 5, "load_duration": 0.5},  # Ollama, in its counts
    {"x_groq": {"id": "req_fake", "seed": 7}},  # Groq
    {"time_info": {"queue_time": 0.1, "created": 1, "none": None}},  # Cerebras
    {"timings": {"predicted_ms": 1.5, "more": []}},  # llama.cpp
    {"system_fingerprint": "fp_fake", "done": True},
]
FINDINGS: list[dict[str, Any]] = [{"moderation": {"input": {"flagged": True}}}, {"warnings": ["deprecated"]}]


def _whole(name: str, extras: Any, usage: Any, choice: Any) -> list[str]:
    response = Response(
        dialect="somebody",
        id="r",
        model="m",
        choices=(Choice((Text("words"),), "stop", extras=choice),),
        usage=Usage(input_tokens=1, output_tokens=1, extras=usage),
        extras=extras,
    )
    return [note.path for note in registry.get(name).render_response(response, Context()).notes]


def _streamed(name: str, extras: Any, usage: Any, choice: Any) -> list[str]:
    deltas = (
        Start("r", "m", extras=extras),
        PartStart(0, Text("")),
        TextDelta(0, "words"),
        PartEnd(0),
        Stop("stop", extras=choice),
        UsageDelta(Usage(input_tokens=1, output_tokens=1, extras=usage)),
        End(),
    )
    renderer = registry.get(name).stream_renderer(Context(source="somebody"))
    for delta in deltas:
        renderer.render(StreamEvent((delta,)))
    renderer.close()
    return [note.path for note in renderer.notes]


@every_dialect
@pytest.mark.parametrize("told", [_whole, _streamed])
@pytest.mark.parametrize("remark", REMARKS, ids=lambda remark: next(iter(remark)))
def test_a_remark_is_no_loss(name: str, told: Any, remark: dict[str, Any]) -> None:
    flat = {key: value for key, value in remark.items() if not isinstance(value, dict)} or None
    assert told(name, remark, remark, flat) == []


@every_dialect
@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: next(iter(finding)))
def test_a_finding_is_noted(name: str, finding: dict[str, Any]) -> None:
    (word,) = finding
    paths = _whole(name, finding, finding, finding)
    assert any(path.startswith(word) for path in paths)
    assert any(path.startswith("choices[0]") and word in path for path in paths)


@every_dialect
def test_what_a_message_holds_is_the_answer_itself(name: str) -> None:
    paths = _whole(name, None, None, {"message": {"reasoning": "Hm."}})
    assert paths == ["choices[0].message.reasoning"]
