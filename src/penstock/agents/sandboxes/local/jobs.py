"""What a forked helper may be asked to do, one entry a job, and how it is made harmless before it begins.

A job gets its argument (JSON) from its first file descriptor and answers on its second, a socket of messages:
`Answer`s, some with file descriptors. It runs in a process of its own and never returns to the fork server's loop.
"""

from __future__ import annotations

import encodings.ascii
import encodings.latin_1
import encodings.utf_8  # noqa: F401 (imported now, for later it would be looked for inside of a sandbox)
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, convert, json

from penstock.agents.sandboxes.driver import SandboxError
from penstock.agents.sandboxes.local import containers, enter, files, launch
from penstock.agents.sandboxes.local.helper import Answer, Channel, filter_or_none

Job = Callable[[object, Channel], None]


class Entry(Struct, frozen=True):
    """A job: the type of its argument, and the function."""

    argument: type
    function: Callable[..., None]


JOBS: Mapping[str, Entry] = {
    "launch": Entry(launch.Launch, launch.launch),
    "relisten": Entry(launch.Relisten, launch.relisten),
    "enter": Entry(enter.Enter, enter.enter),
    "stop": Entry(enter.Stop, enter.stop),
    "put": Entry(files.Put, files.put),
    "get": Entry(files.Get, files.get),
    "copy": Entry(files.Copy, files.copy),
    "usage": Entry(files.Usage, files.usage),
    "try": Entry(launch.Try, launch.try_primitive),
    "listen": Entry(containers.Listen, containers.listen),
    "place": Entry(containers.Place, containers.place),
}


def prepare() -> None:
    """Do now what takes time or imports, before the first fork."""
    filter_or_none()


def run(name: str, fds: Sequence[int]) -> int:
    """Do one job and return the exit status of the helper. What goes wrong is answered, and never printed."""
    sys.path.clear()
    sys.meta_path.clear()
    entry = JOBS[name]
    with os.fdopen(fds[0], "rb") as file:
        argument: object = convert(json.decode(file.read()), entry.argument)
    channel = Channel(socket.socket(fileno=fds[1]), list(fds[2:]))
    try:
        entry.function(argument, channel)
    except SandboxError as error:
        channel.say(Answer(error=str(error), kind=error.code))
        return 1
    except OSError as error:
        channel.say(
            Answer(error=f"{error.strerror or error}: {error.filename or channel.step}", number=error.errno or 0)
        )
        return 1
    except Exception as error:
        channel.say(Answer(error=f"{type(error).__name__} at {channel.step}: {error}"[:500]))
        return 1
    return 0
