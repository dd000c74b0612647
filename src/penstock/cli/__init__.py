"""The command line: `penstock serve | run | secrets | chat ...`. One file a command; each only reads
arguments, calls public functions and prints.

Exit status: 0 done, 1 it could not be done (the message says what to do), 2 the arguments are wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TextIO

from penstock import __version__
from penstock.providers.errors import ProviderError

COMMANDS: dict[str, str] = {
    "serve": "run the gateway: one endpoint in front of all providers",
    "config": "check, compare and apply the gateway's configuration",
    "route": "say where the gateway would send a request, and why",
    "chat": "talk to a model in the terminal",
    "models": "list models with their prices and capabilities",
    "run": "run a program or an agent in a sandbox that holds only stubs",
    "agents": "the server of the agent platform, and its agents",
    "sessions": "start sessions of agents, tell them what to do",
    "approvals": "decide what sessions ask",
    "attach": "show the agent's own terminal, and type",
    "logs": "show what happens in a session",
    "cp": "copy files to and from a session",
    "diff": "show what a session has changed, as a patch",
    "secrets": "keep credentials for agents, who get stubs",
    "vault": "say why a request may leave or not, verify the audit log",
    "redteam": "try to steal a secret from a sandbox, in every known way",
    "doctor": "look at this machine and say what works and what is missing",
}
"""Each command, in a module of its name with `add_arguments(parser)` and `run(arguments) -> int`. Free words are the
argument `text`.
"""


class CommandError(Exception):
    """Something that a command could not do; the message is shown as it is."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    _complete_streams()
    parser = argparse.ArgumentParser(prog="penstock", description="One guarded way for all model and agent traffic.")
    parser.add_argument("--version", action="version", version=f"penstock {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    words = list(sys.argv[1:] if argv is None else argv)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if words[:1] == [name]:  # only the command that is asked for is loaded
            import_module(f"penstock.cli.{name}").add_arguments(command)
    if not words:
        parser.print_help(sys.stderr)
        return 2
    arguments = _parsed(parser, words)
    try:
        status: int = import_module(f"penstock.cli.{arguments.command}").run(arguments)
        sys.stdout.flush()
    except (CommandError, ProviderError) as error:
        return _failed(arguments.command, error)
    except KeyboardInterrupt:
        print(file=sys.stderr)  # the shell's prompt shall not follow ^C
        return 130
    except BrokenPipeError:  # whoever reads has enough
        _leave(sys.stdout)
        return 0
    except OSError as error:
        _leave(sys.stdout)
        return _failed(arguments.command, error)
    return status


def _failed(command: str, error: Exception) -> int:
    print(f"penstock {command}: {error}", file=sys.stderr)
    return 1


def _complete_streams() -> None:
    """Have all three streams, also where the shell closed one; and let a terminal that knows few characters show the
    others in some way.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  # for as long as the program runs
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _leave(stream: TextIO) -> None:
    """Drop what could not be written: at its end, Python would try once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _parsed(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """The arguments. argparse takes free words in one row only; here they may stand on both sides of an option; what
    follows `--` is free words, whatever it looks like.
    """
    end = words.index("--") if "--" in words else len(words)
    arguments, rest = parser.parse_known_args(words[:end])
    if words[end + 1 :] and not hasattr(arguments, "text"):
        parser.error(f"unrecognized arguments: {' '.join(words[end:])}")
    if rest and (any(word.startswith("-") for word in rest) or not hasattr(arguments, "text")):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest or words[end + 1 :]:
        arguments.text = [*arguments.text, *rest, *words[end + 1 :]]
    return arguments
