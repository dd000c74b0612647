"""A failure that nobody sent (a cut connection, an unreadable frame) is said in the stream, in every dialect: also in
a stream that is relayed frame by frame, where the failure is the only event without a frame.
"""

import pytest

from penstock.dialects import registry
from penstock.dialects.dialect import Context
from penstock.types.content import Text
from penstock.types.errors import ErrorResponse
from penstock.types.notes import NO_MEMO
from penstock.types.response import Choice, Response
from penstock.types.stream import End, Failure, StreamEvent
from penstock.types.unfold import unfold
from penstock.types.usage import Usage

ANSWER = Response(
    dialect="elsewhere",
    id="answer-1",
    model="m",
    created=1,
    choices=(Choice((Text("Good morning"),), "stop"),),
    usage=Usage(input_tokens=1, output_tokens=2, total_tokens=3),
)
NAMES = [dialect.name for dialect in registry.dialects()]
BROKEN = ErrorResponse(kind="unavailable", status=503, message="the stream broke off")
EVENT = StreamEvent((Failure(BROKEN),))


def own_events(name: str) -> list[StreamEvent]:
    """A stream of this dialect, as it comes from a host: every event has its frame."""
    dialect = registry.get(name)
    writer = dialect.stream_renderer(Context(id="answer-1", created=1, source=ANSWER.dialect))
    data = b"".join([*map(writer.render, unfold(ANSWER)), writer.close()])
    parser = dialect.stream_parser(NO_MEMO)
    return [*parser.feed(data), *parser.close()]


def failures_in(name: str, data: bytes) -> list[str]:
    parser = registry.get(name).stream_parser(NO_MEMO)
    events = [*parser.feed(data), *parser.close()]
    return [delta.error.message for event in events for delta in event.deltas if isinstance(delta, Failure)]


@pytest.mark.parametrize("source", ["own", "foreign"])
@pytest.mark.parametrize("name", NAMES)
def test_a_failure_is_said_in_the_middle_of_a_stream(name: str, source: str) -> None:
    dialect = registry.get(name)
    events = own_events(name) if source == "own" else list(unfold(ANSWER))
    events = [event for event in events if not any(isinstance(delta, End) for delta in event.deltas)]
    renderer = dialect.stream_renderer(Context(source=name if source == "own" else ANSWER.dialect))
    data = b"".join([renderer.render(event) for event in [*events[:2], EVENT]])
    assert BROKEN.message in "".join(failures_in(name, data))


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_is_said_before_anything_else(name: str) -> None:
    data = registry.get(name).stream_renderer(Context(source=name)).render(EVENT)
    assert BROKEN.message in "".join(failures_in(name, data))
