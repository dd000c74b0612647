"""The arguments that say what makes sandboxes: the driver, and what it needs to be told."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping

from penstock.agents.sandboxes.registry import DRIVERS, LOCAL, Choice

DOCKER = "docker"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of all that makes sandboxes."""
    group = parser.add_argument_group("sandboxes")
    group.add_argument(
        "--driver",
        choices=tuple(DRIVERS),
        help="what makes sandboxes; where it is not said, local, or docker with --image",
    )
    group.add_argument(
        "--image", default="", metavar="IMAGE", help="docker: the system inside, an image that the engine has"
    )
    group.add_argument(
        "--engine", default="", metavar="SOCKET",
        help="docker: the engine's Unix socket; else $DOCKER_HOST, else /var/run/docker.sock",
    )  # fmt: skip


def chosen(arguments: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Choice:
    """What the arguments say. Whether the driver can have it is the driver's to say."""
    driver = arguments.driver or (DOCKER if arguments.image else LOCAL)
    engine = arguments.engine or (environment.get("DOCKER_HOST", "") if driver == DOCKER else "")
    return Choice(driver, arguments.image, engine)
