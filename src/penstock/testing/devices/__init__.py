"""Simulated network devices: one configuration behind three faces, as a router of today has them.

`SimulatedDevice` listens on loopback: SSH with a command line (modes, `configure terminal`, `commit`) and the NETCONF
subsystem, and RESTCONF over HTTPS. What one face changes, the others show. For tests and examples of agents that work
on networks: everything that arrives (logins, commands, RPCs, requests) is recorded, so that a test can say what the
device was told and with which password. Nothing here imports any other part of Penstock but its test doubles.

Needs asyncssh (the extra `agents`).
"""

from penstock.testing.devices.device import SimulatedDevice
from penstock.testing.devices.model import Config, Datastores, Interface, Invalid

__all__ = ["Config", "Datastores", "Interface", "Invalid", "SimulatedDevice"]
