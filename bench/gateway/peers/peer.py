"""What a peer is: something that can be started in front of the mock, and what to ask of it then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from bench.gateway import messages
from bench.gateway.processes import Program


class Job(Enum):
    """What is asked: the dialect of the client, that of the provider, streamed or not."""

    CHAT = "chat"
    MESSAGES = "messages"
    TRANSLATION = "translation"  # Messages in, Chat Completions out
    CHAT_STREAM = "chat stream"
    TRANSLATED_STREAM = "translated stream"  # Messages in, Chat Completions out

    @property
    def streamed(self) -> bool:
        return self in (Job.CHAT_STREAM, Job.TRANSLATED_STREAM)

    @property
    def speaks_messages(self) -> bool:
        """The client speaks Messages."""
        return self in (Job.MESSAGES, Job.TRANSLATION, Job.TRANSLATED_STREAM)


@dataclass(frozen=True, slots=True)
class Site:
    """Where peers are started: ports of the two upstreams, a folder for their files, cores, and how many workers."""

    folder: Path
    answers: int
    streams: int
    on: Sequence[int]
    workers: int = 1

    def upstream(self, job: Job) -> int:
        """The port of the mock that does this job."""
        return self.streams if job.streamed else self.answers


@dataclass(frozen=True, slots=True)
class Target:
    """A request that the peer answers. `headers` without Host and Content-Length."""

    port: int
    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def raw(self) -> bytes:
        """The request as bytes of HTTP/1.1."""
        lines = [f"POST {self.path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


class Running(Protocol):
    """A peer that has been started; `program` is None where there is nothing to start."""

    @property
    def program(self) -> Program | None: ...

    def target(self, job: Job, key: str | None = None) -> Target | None:
        """What to ask for this job; None: it cannot do that."""
        ...


class Peer(Protocol):
    """A gateway, or what stands in its place."""

    name: str
    what: str  # for the table's legend: what it is and how it is set up

    def missing(self) -> str | None:
        """Why it cannot be started here, and what to do about that; None: it can."""
        ...

    def start(self, site: Site) -> Running: ...


def request(
    job: Job, port: int, model: str, path: str | None = None, headers: Mapping[str, str] | None = None
) -> Target:
    """The request of a job, as most peers want it: `model` as this peer's clients name it."""
    make = messages.messages_request if job.speaks_messages else messages.chat_request
    body = make(model)
    if job.streamed:
        body = json.dumps({**json.loads(body), "stream": True}, separators=(",", ":")).encode()
    common = {"Content-Type": "application/json"}
    if job.speaks_messages:
        common["anthropic-version"] = "2023-06-01"
    own_path = "/v1/messages" if job.speaks_messages else "/v1/chat/completions"
    return Target(port, path or own_path, body, {**common, **(headers or {})})


def native_model(job: Job) -> str:
    """The model as the provider calls it."""
    return messages.CLAUDE if job is Job.MESSAGES else messages.MODEL
