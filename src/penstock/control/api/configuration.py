"""/config/...: the configuration in force, and changes of it. (control/config/payloads.py has the shapes.)"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from penstock.control.api import answers
from penstock.control.api.bodies import ConfigBundle
from penstock.control.api.errors import json_response
from penstock.control.api.exact import exact_router
from penstock.control.api.keys import Strict
from penstock.control.api.rows import moment, public
from penstock.control.api.services import name_of, services_of
from penstock.control.config.bundle import Bundle
from penstock.control.config.loaded import Loaded
from penstock.control.config.payloads import bundle_of, problem_payload, report
from penstock.control.configuration import FROM_API

router = exact_router("configuration")

_REFUSED: dict[int | str, dict[str, Any]] = {400: {"model": answers.ConfigRefused}}


class HistoryAsked(Strict):
    """GET /config/history"""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100


def _bundle(given: ConfigBundle) -> Bundle:
    return bundle_of({"main": given.main, "files": given.files})


@router.get("/config", responses={200: {"model": answers.ConfigInForce}})
async def config(request: Request) -> Response:
    """What is in force, without secrets."""
    held = services_of(request).configuration.in_force
    warnings = [problem_payload(problem) for problem in held.loaded.warnings]
    files = [] if held.bundle is None else list(held.bundle.files)
    return json_response(
        {
            "version": held.version,
            "source": held.source,
            "files": files,
            "warnings": warnings,
            "config": _shown(held.loaded),
        }
    )


def _shown(loaded: Loaded) -> dict[str, Any]:
    """What a configuration comes to, without secrets: of variables only the names."""
    snapshot = msgspec.to_builtins(loaded.snapshot)
    variables = sorted(snapshot.pop("environment", None) or {})
    return {
        **public(snapshot),
        "environment_variables": variables,
        "keys": [{"token": key.token, "key_name": key.key_name, "key_alias": key.key_alias} for key in loaded.keys],
    }


@router.get("/config/status", responses={200: {"model": answers.ConfigStatus}})
async def config_status(request: Request) -> Response:
    """Which configuration is in force, and why the last that was offered is not."""
    services = services_of(request)
    held = services.configuration.in_force
    return json_response(
        {
            "version": held.version,
            "source": held.source,
            "by": held.by,
            "at": moment(held.at),
            "workers": services.workers(),
            "refused": services.configuration.refused,
        }
    )


@router.get("/config/history", responses={200: {"model": answers.ConfigHistory}})
async def config_history(request: Request, asked: Annotated[HistoryAsked, Query()]) -> Response:
    """The last configurations, newest first: when and by whom they were applied."""
    rows = await services_of(request).configuration.history(asked.limit)
    return json_response({"data": [{**row, "at": moment(row["at"])} for row in rows]})


@router.post("/config/check", responses={200: {"model": answers.ConfigReport}, **_REFUSED})
async def check_config(request: Request, bundle: ConfigBundle) -> Response:
    """Whether a configuration is right. Nothing changes."""
    configuration = services_of(request).configuration
    loaded, _ = await configuration.check(_bundle(bundle))
    return json_response(report(configuration.in_force.version, (), loaded.warnings))


@router.post("/config/diff", responses={200: {"model": answers.ConfigReport}, **_REFUSED})
async def diff_config(request: Request, bundle: ConfigBundle) -> Response:
    """What applying a configuration would change. Nothing changes."""
    configuration = services_of(request).configuration
    loaded, changes = await configuration.check(_bundle(bundle))
    return json_response(report(configuration.in_force.version, changes, loaded.warnings))


@router.post("/config/apply", responses={200: {"model": answers.ConfigReport}, **_REFUSED})
async def apply_config(request: Request, bundle: ConfigBundle) -> Response:
    """Bring a configuration into force: all of it, or, where it is wrong, nothing. Every worker has it when this is
    answered.
    """
    held, changes = await services_of(request).configuration.apply(_bundle(bundle), FROM_API, name_of(request))
    return json_response(report(held.version, changes, held.loaded.warnings))
