"""No gateway: the load asks the mock itself. What a figure of this peer says is the cost of the load and the mock."""

from __future__ import annotations

from dataclasses import dataclass

from bench.gateway.peers.peer import Job, Running, Site, Target, native_model, request


@dataclass(frozen=True, slots=True)
class _Running:
    site: Site
    program: None = None

    def target(self, job: Job, key: str | None = None) -> Target | None:
        if job in (Job.TRANSLATION, Job.TRANSLATED_STREAM):
            return None
        return request(job, self.site.upstream(job), native_model(job))


class Direct:
    name = "direct"
    what = "no gateway: the load and the mock alone, on one core together"

    def missing(self) -> str | None:
        return None

    def start(self, site: Site) -> Running:
        return _Running(site)
