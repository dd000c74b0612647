"""All probes, by family; a probe's number, and so its token, is its place in this list."""

from penstock.redteam.probe import Probe
from penstock.redteam.probes import (
    around,
    home,
    hosts,
    kernel,
    logins,
    paths,
    protocols,
    records,
    reflection,
    responses,
    smuggling,
    sockets,
    uploads,
    websockets,
)

FAMILIES: tuple[tuple[Probe, ...], ...] = (
    reflection.PROBES,
    responses.PROBES,
    websockets.PROBES,
    uploads.PROBES,
    hosts.PROBES,
    paths.PROBES,
    protocols.PROBES,
    smuggling.PROBES,
    sockets.PROBES,
    around.PROBES,
    kernel.PROBES,
    home.PROBES,
    logins.PROBES,
    records.PROBES,
)
PROBES: tuple[Probe, ...] = tuple(probe for family in FAMILIES for probe in family)
"""In the order of the threat model's sections."""
