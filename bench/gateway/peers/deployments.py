"""The deployments that a gateway is given, in the words that several of them share."""

from __future__ import annotations

from dataclasses import dataclass

from bench.gateway import messages
from bench.gateway.peers.peer import Job, Site

FAKE_KEY = "sk-fake-provider-key"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model group of one deployment: `model` as provider/model, `base` its address."""

    group: str
    model: str
    base: str


def deployments(site: Site) -> list[Deployment]:
    """Whole answers and streams of Chat Completions, and whole answers of Messages."""
    return [
        Deployment(messages.EVERYDAY, f"openai/{messages.MODEL}", f"http://127.0.0.1:{site.answers}/v1"),
        Deployment(messages.STREAMED, f"openai/{messages.MODEL}", f"http://127.0.0.1:{site.streams}/v1"),
        Deployment(messages.THOUGHTFUL, f"anthropic/{messages.CLAUDE}", f"http://127.0.0.1:{site.answers}"),
    ]


def group_of(job: Job) -> str:
    """The group that does a job."""
    if job is Job.MESSAGES:
        return messages.THOUGHTFUL
    return messages.STREAMED if job.streamed else messages.EVERYDAY
