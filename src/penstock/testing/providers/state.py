"""What a simulated provider remembers between requests, and how one provider's dialect differs from another's.

`World` is the only mutable thing that handlers see: uploaded files, batches, stored responses, and the signatures that
the server has given out. `Flavour` is how an OpenAI-compatible server differs from OpenAI: a row of data.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from penstock.testing.providers.script import UsagePlace


@dataclass(frozen=True, slots=True)
class Flavour:
    """How one OpenAI-compatible server differs from OpenAI.

    `strict`: refuse parameters that OpenAI does not document. `reasoning`: where shown reasoning stands ("hidden": it
    is only counted). `usage`: where a stream bears its usage when nothing is scripted. `error`: the shape of an error.
    `comment`: a comment that the server sends before the first event. `call_id`: the form of a tool call's id; "nine"
    letters and digits are also demanded of the ids that come. `ordered`: after a tool's answer the assistant speaks
    next, and it never has the last word.
    """

    name: str
    strict: bool = False
    reasoning: Literal["hidden", "reasoning_content", "reasoning", "parts"] = "reasoning_content"
    usage: UsagePlace = UsagePlace.NATIVE
    error: Literal["openai", "groq", "mistral", "openrouter"] = "openai"
    comment: str | None = None
    call_id: Literal["call_", "nine"] = "call_"
    ordered: bool = False


@dataclass
class World:
    """The memory of one server. `keys`: the API keys that are let in (None: any). `models`: the models that exist
    (None: any). `aws_secrets`: access key id -> secret, to check AWS signatures with (None: only their form)."""

    keys: frozenset[str] | None = None
    models: frozenset[str] | None = None
    aws_secrets: Mapping[str, str] | None = None
    any_signature: bool = False
    files: dict[str, "StoredFile"] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    responses: dict[str, dict[str, Any]] = field(default_factory=dict)
    inputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    issued: set[str] = field(default_factory=set)

    def remember(self, response: dict[str, Any], given: list[dict[str, Any]]) -> None:
        """Keep a response and what it answered; of very many, the oldest are forgotten."""
        self.responses[response["id"]] = response
        self.inputs[response["id"]] = given
        if len(self.responses) > 1000:
            oldest = next(iter(self.responses))
            del self.responses[oldest], self.inputs[oldest]

    def knows_model(self, model: str) -> bool:
        """Whether the model exists here."""
        return self.models is None or model in self.models

    def lets_in(self, key: str) -> bool:
        """Whether the key is a good one."""
        return bool(key) and (self.keys is None or key in self.keys)

    def sign(self, kind: str, text: str, wanted: str | None) -> str:
        """The signature that goes with a thought: the scripted one (remembered), or one that proves itself."""
        if wanted is not None:
            self.issued.add(wanted)
            return wanted
        return seal(kind, text)

    def accepts(self, kind: str, signature: str, text: str | None = None) -> bool:
        """Whether this server gave out the signature, for this kind of provider and (if given) this thought."""
        return self.any_signature or signature in self.issued or is_seal(kind, signature, text)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file."""

    id: str
    filename: str
    purpose: str
    content: bytes
    content_type: str
    created: int


def seal(kind: str, text: str) -> str:
    """An opaque signature that names its kind, its text's digest, and its own checksum: checked without memory."""
    payload = f"{kind}:{_digest(text)}:"
    return base64.b64encode(f"{payload}{_digest(payload)}".encode()).decode()


def is_seal(kind: str, signature: str, text: str | None = None) -> bool:
    """Whether the signature is an unchanged seal of that kind (and of that text)."""
    try:
        named, digest, checksum = base64.b64decode(signature, validate=True).decode().split(":")
    except ValueError:
        return False
    whole = named == kind and checksum == _digest(f"{named}:{digest}:")
    return whole and (text is None or digest == _digest(text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
