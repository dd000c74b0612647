"""What is common to plain proxies: a port for each upstream, requests passed on as they come, nothing translated."""

from __future__ import annotations

from dataclasses import dataclass

from bench.gateway.peers.peer import Job, Target, native_model, request
from bench.gateway.processes import Program


@dataclass(frozen=True, slots=True)
class PlainProxy:
    """A running proxy: `answers` and `streams` are the ports that lead to the two upstreams."""

    program: Program
    answers: int
    streams: int

    def target(self, job: Job, key: str | None = None) -> Target | None:
        if job in (Job.TRANSLATION, Job.TRANSLATED_STREAM):
            return None
        return request(job, self.streams if job.streamed else self.answers, native_model(job))
