"""`penstock config`: a change of the configuration as a transaction.

    penstock config check FILE          say all that is wrong with it, and what is not honoured
    penstock config diff FILE [FILE]    what applying it to the running gateway would change; or from a file to another
    penstock config apply FILE          have the running gateway serve it: all of it, or, where it is wrong, nothing
    penstock config schema              print the JSON schema

The exit status is 0 where the configuration is right, 1 where it is not; `diff` says whether there are changes with
`--exit-code` (then 1 is: there are). The gateway is asked at `--url` with the master key (`--key`, or
PENSTOCK_MASTER_KEY); it reads variables that a file names from its own environment.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from penstock.cli import CommandError

DEFAULT_URL = "http://127.0.0.1:4000"
_URL, _KEYS = "PENSTOCK_URL", ("PENSTOCK_MASTER_KEY", "LITELLM_MASTER_KEY")
_PATIENCE = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock config`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="say all that is wrong with a file")
    check.add_argument("file", type=Path, help="configuration file, in Penstock's form or LiteLLM's")
    check.add_argument("--strict", action="store_true", help="what is not honoured is an error, too")
    diff = actions.add_parser("diff", help="say what would change")
    diff.add_argument("file", type=Path, help="configuration file; before another one: the old")
    diff.add_argument("new", type=Path, nargs="?", help="the new one, where two files are compared")
    diff.add_argument("--exit-code", action="store_true", help="exit with 1 where there are changes")
    apply = actions.add_parser("apply", help="have the running gateway serve it")
    apply.add_argument("file", type=Path, help="configuration file")
    for action in (diff, apply):
        action.add_argument("--url", help=f"the gateway's address (default: ${_URL}, else {DEFAULT_URL})")
        action.add_argument("--key", help=f"its master key (default: ${_KEYS[0]})")
    actions.add_parser("schema", help="print the JSON schema of the native form")


def run(arguments: argparse.Namespace) -> int:
    """Run one action; its exit status."""
    try:
        import penstock.control.config.load  # noqa: F401  # what it needs is an extra
    except ImportError as error:
        raise CommandError(f"{error.name} is missing: pip install 'penstock[gateway]'") from None
    actions = {"check": _check, "diff": _diff, "apply": _apply, "schema": _schema}
    return actions[arguments.action](arguments)


def _schema(arguments: argparse.Namespace) -> int:
    from penstock.control.config.schema import schema_text

    print(schema_text(), end="")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    loaded = _load(arguments.file)
    if loaded is None:
        return 1
    warnings = [str(each) for each in loaded.warnings]
    _print_warnings(warnings)
    snapshot = loaded.snapshot
    groups = len({deployment.group for deployment in snapshot.deployments})
    said = f"{len(snapshot.deployments)} deployments in {groups} groups, {len(loaded.keys)} keys"
    print(f"{arguments.file} is right: {said}, {len(warnings)} warnings")
    return 1 if arguments.strict and warnings else 0


def _diff(arguments: argparse.Namespace) -> int:
    if arguments.new is None:
        answer = _asked("diff", arguments)
        if answer is None:
            return 1
        changes, warnings = _texts(answer, "changes"), _texts(answer, "warnings")
    else:
        from penstock.control.config.diff import diff

        old, new = _load(arguments.file), _load(arguments.new)
        if old is None or new is None:
            return 1
        changes, warnings = [str(each) for each in diff(old, new)], [str(each) for each in new.warnings]
    _print_warnings(warnings)
    print("\n".join(changes) or "no changes")
    return 1 if arguments.exit_code and changes else 0


def _apply(arguments: argparse.Namespace) -> int:
    answer = _asked("apply", arguments)
    if answer is None:
        return 1
    _print_warnings(_texts(answer, "warnings"))
    changes = _texts(answer, "changes")
    print("\n".join(changes) or "no changes")
    print(f"version {answer.get('version')} is served")
    return 0


def _load(path: Path) -> Any:
    """The configuration; None, once all that is wrong with it was said."""
    from penstock.control.config.load import load
    from penstock.control.config.problems import ConfigErrors

    try:
        return load(path, os.environ)
    except ConfigErrors as errors:
        _print_problems(str(path), [str(each) for each in errors.problems])
        return None


def _print_problems(path: str, problems: list[str]) -> None:
    print("\n".join(problems), file=sys.stderr)
    what = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
    print(f"{path}: {what}", file=sys.stderr)


def _print_warnings(warnings: Iterable[str]) -> None:
    for each in warnings:
        print(f"warning: {each}", file=sys.stderr)


def _texts(answer: Mapping[str, Any], name: str) -> list[str]:
    return [str(each["text"]) for each in answer.get(name) or ()]


# -- the running gateway ----------------------------------------------------------------------------------------------


def _asked(what: str, arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The gateway's answer; None, once it refused the configuration and said why. Raises CommandError where there is
    no answer to go by.
    """
    from penstock.control.config.bundle import read_bundle
    from penstock.control.config.payloads import bundle_payload
    from penstock.control.config.problems import ConfigErrors

    try:
        payload = bundle_payload(read_bundle(arguments.file))
    except ConfigErrors as errors:
        _print_problems(str(arguments.file), [str(each) for each in errors.problems])
        return None
    url = (arguments.url or os.environ.get(_URL) or DEFAULT_URL).rstrip("/")
    status, answer = _post(f"{url}/config/{what}", _key(arguments.key), payload)
    error = answer.get("error")
    problems = error.get("problems") if isinstance(error, dict) else None
    if status == 400 and isinstance(problems, list):
        _print_problems(str(arguments.file), [str(each.get("text")) for each in problems])
        return None
    if status != 200 or "version" not in answer:
        said = error.get("message") if isinstance(error, dict) else error
        raise CommandError(f"{url} answered {status}: {said or 'is this a Penstock gateway?'}")
    return answer


def _key(given: str | None) -> str:
    found = given or next((os.environ[name] for name in _KEYS if os.environ.get(name)), "")
    if not found.strip():
        raise CommandError(f"the gateway's master key is needed: set {_KEYS[0]}, or give --key")
    return found.strip()


def _post(url: str, key: str, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and body. A redirect is not followed: the key goes nowhere else."""
    import httpx

    try:
        answer = httpx.post(url, json=payload, headers={"Authorization": f"Bearer {key}"}, timeout=_PATIENCE)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
        raise CommandError(
            f"no gateway answers at {url} ({str(error) or type(error).__name__}); say where with --url"
        ) from None
    try:
        body = answer.json()
    except json.JSONDecodeError:
        body = {}
    return answer.status_code, body if isinstance(body, dict) else {}
