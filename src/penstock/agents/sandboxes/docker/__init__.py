"""Sandboxes in containers: an image of your choice as the system, and the same wall around it.

- engine.py      the engine's API over its Unix socket
- container.py   a sandbox as a container, as the engine wants it described
- groups.py      the control groups that the engine has made for a container
- sandbox.py     one container that runs
- driver.py      makes, finds, sweeps
- checks.py      what the engine and the host offer

The local driver does the rest: programs are started by entering from outside, files are moved by its helpers.
"""

from penstock.agents.sandboxes.docker.driver import DockerDriver

__all__ = ["DockerDriver"]
