"""Payloads: what the command line and the management API say to each other about configurations, as JSON.

    GET  /config            -> {"version", "source", "files", "warnings"}
    POST /config/check      bundle -> {"changes": [], "warnings"}              nothing is compared or applied
    POST /config/diff       bundle -> {"version", "changes", "warnings"}       against what is served, which stays
    POST /config/apply      bundle -> {"version", "changes", "warnings"}       `version` is the new one
    a refusal: status 400   -> {"error": {"type": "invalid_config", "message", "problems"}}; the old one stays

A bundle is {"main": name, "files": {name: text}}. The gateway reads the variables that it names from its own
environment, and no file from its own disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.control.config.bundle import MOST_BYTES, Bundle
from penstock.control.config.diff import Change
from penstock.control.config.problems import ConfigErrors, Problem

REFUSED = "invalid_config"


def bundle_payload(bundle: Bundle) -> dict[str, Any]:
    """A bundle as JSON."""
    return {"main": bundle.main, "files": dict(bundle.files)}


def bundle_of(payload: Any) -> Bundle:
    """The bundle in a request. Raises ConfigErrors where it is none."""
    files = payload.get("files") if isinstance(payload, Mapping) else None
    main = payload.get("main") if isinstance(payload, Mapping) else None
    if not isinstance(main, str) or not isinstance(files, Mapping):
        raise ConfigErrors([Problem('expected {"main": name, "files": {name: text}}')])
    if not all(isinstance(name, str) and isinstance(text, str) for name, text in files.items()):
        raise ConfigErrors([Problem("`files` must be a mapping of names to texts")])
    if sum(len(text) for text in files.values()) > MOST_BYTES:
        raise ConfigErrors([Problem(f"the files are larger than {MOST_BYTES >> 20} MB together")])
    return Bundle(main, dict(files))


def refusal(errors: ConfigErrors) -> dict[str, Any]:
    """The body of a refusal."""
    problems = [problem_payload(each) for each in errors.problems]
    return {"error": {"type": REFUSED, "message": str(errors), "problems": problems}}


def report(version: int, changes: Iterable[Change], warnings: Iterable[Problem]) -> dict[str, Any]:
    """The body of an answer."""
    return {
        "version": version,
        "changes": [
            {"kind": each.kind, "path": each.path, "old": each.old, "new": each.new, "text": str(each)}
            for each in changes
        ],
        "warnings": [problem_payload(each) for each in warnings],
    }


def problem_payload(problem: Problem) -> dict[str, Any]:
    """A problem as JSON; `text` is the whole of it in words."""
    place = problem.place
    return {
        "path": problem.path,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "message": problem.message,
        "text": str(problem),
    }
