"""A call that cannot be recorded is not made, and one whose end cannot be recorded is not answered as if it were."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from penstock.dialects import registry, wire
from penstock.exchange import Success
from penstock.gateway.call import Call
from penstock.gateway.journal import JournalError
from penstock.gateway.principal import Principal
from penstock.types.errors import ErrorResponse

FULL = JournalError("no space left")


class Full:
    """A journal on a full disk, which can still take the ends of calls, or not even those."""

    def __init__(self, takes_ends: bool) -> None:
        self.takes_ends = takes_ends
        self.ends: list[Any] = []

    def ended(self, record: Any) -> None:
        if not self.takes_ends:
            raise FULL
        self.ends.append(record)


class Client:
    """A request, and what is answered."""

    method, path, headers, streaming, address = "POST", "/v1/chat/completions", dict[bytes, bytes](), False, "127.0.0.1"

    def __init__(self) -> None:
        self.connection = SimpleNamespace(current=self)
        self.place = SimpleNamespace(reads_array=lambda inbound: False)
        self.status, self.head, self.body, self.aborted = 0, b"", b"", False

    def respond(self, status: int, head: bytes, body: bytes) -> None:
        self.status, self.head, self.body = status, head, body
        self.connection.current = None

    def abort(self) -> None:
        self.aborted = True


class Chat(Call):
    def voice(self) -> Any:
        return registry.get("openai_chat")

    def answer(self, success: Success[Any]) -> None:
        self.over = True
        raise FULL  # as `finish` does where the journal refuses


def refusal(dialect: Any, error: ErrorResponse) -> tuple[int, bytes]:
    status, body = dialect.render_error(error)
    return status, wire.encode(body)


def call_of(client: Client, journal: Full) -> Call:
    observer = SimpleNamespace(request=lambda *told: None, attempt=lambda *told: None)
    settings = SimpleNamespace(litellm_headers=False)
    plane = SimpleNamespace(
        next_id=lambda: "1",
        journal=journal,
        observer=observer,
        refusal=refusal,
        snapshot=SimpleNamespace(settings=settings),
        leases=None,
    )
    return Chat(cast(Any, plane), cast(Any, client), Principal(id="1", label="sk-...1"))


def test_who_cannot_be_recorded_is_told_to_come_again() -> None:
    client, journal = Client(), Full(takes_ends=True)
    call_of(client, journal).failed(FULL)
    assert client.status == 503
    assert b"retry-after: 5\r\n" in client.head
    assert b"no space" not in client.body
    assert [(end.status, end.attempts) for end in journal.ends] == [(503, 0)]


def test_who_cannot_even_be_refused_in_writing_is_refused() -> None:
    client = Client()
    call_of(client, Full(takes_ends=False)).failed(FULL)
    assert client.status == 503


def test_an_answer_whose_record_was_refused_is_not_given() -> None:
    client = Client()
    call = call_of(client, Full(takes_ends=False))
    call.succeeded(cast(Any, None))
    assert client.status == 0
    assert client.aborted
