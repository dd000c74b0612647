"""Probes: deployments that are asked every so often whether they answer, where the configuration wants that. The keeper
asks, once for all workers; one that does not answer rests at all of them until it does.

A probe closes only what a probe has opened: that a deployment answers once does not say that it has capacity again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

from penstock.control.checks import Checked
from penstock.control.config.loaded import Loaded, Probe
from penstock.gateway.circuits import Change
from penstock.routing.deployment import Deployment

Check = Callable[[Deployment, Probe], Awaitable[Checked]]

_log = logging.getLogger("penstock.control")


class Probes:
    """The probes in force. `tell` tells all workers of circuits; `check` asks a deployment."""

    def __init__(self, tell: Callable[[Sequence[Change]], None], check: Check) -> None:
        self._tell = tell
        self._check = check
        self._running: dict[str, tuple[Deployment, Probe, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def apply(self, loaded: Loaded) -> None:
        """These are wanted now. What has not changed goes on."""
        deployments = {each.id: each for each in loaded.snapshot.deployments}
        wanted = {name: probe for name, probe in loaded.probes.items() if name in deployments}
        self._stop_all_but(wanted, deployments)
        for name, probe in wanted.items():
            if name not in self._running:
                task = asyncio.get_running_loop().create_task(self._probe(deployments[name], probe))
                self._running[name] = deployments[name], probe, task

    def stop(self) -> None:
        """Ask nobody any more."""
        self._stop_all_but({}, {})

    def _stop_all_but(self, wanted: Mapping[str, Probe], deployments: Mapping[str, Deployment]) -> None:
        for name, (deployment, probe, task) in list(self._running.items()):
            if wanted.get(name) != probe or deployments.get(name) != deployment:
                task.cancel()
                del self._running[name]

    async def _probe(self, deployment: Deployment, probe: Probe) -> None:
        failures = 0
        try:
            await asyncio.sleep(random.random() * min(probe.every, 1.0))  # noqa: S311  # not all in one moment
            while True:
                checked = await self._check(deployment, probe)
                if not checked.answers:
                    failures += 1
                    self._rests(deployment, probe, failures, checked)
                elif failures:
                    failures = 0
                    _log.info("deployment %s answers again", deployment.id)
                    self._tell([Change(deployment.id)])
                await asyncio.sleep(probe.every)
        finally:
            if failures:  # nobody would say that it is back
                self._tell([Change(deployment.id)])

    def _rests(self, deployment: Deployment, probe: Probe, failures: int, checked: Checked) -> None:
        """Until the next probe has had its time."""
        if failures == 1:
            _log.warning("deployment %s does not answer its health check: %s", deployment.id, checked.error)
        self._tell([Change(deployment.id, probe.every + probe.timeout + 1.0, failures)])
