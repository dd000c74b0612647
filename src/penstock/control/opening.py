"""Opening the control plane: the store, the configuration, the keys and the ledger, put together. It blocks, and what
it imports takes a while to load: the keeper calls it in a thread, while it answers workers already.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from penstock.control.api.services import Services
from penstock.control.config.loaded import Loaded
from penstock.control.config.no_file import no_file
from penstock.control.config.problems import ConfigErrors
from penstock.control.configuration import Configuration
from penstock.control.keeper_slot import KeeperSlot
from penstock.control.ledger import Ledger, LedgerTaken
from penstock.control.store.base import Store, StoreError
from penstock.control.store.sqlite import open_sqlite
from penstock.control.supervisor import say
from penstock.control.virtual_keys import Forget, VirtualKeys
from penstock.providers.registry import default_registry

DATABASE = "penstock.db"

Ollama = Callable[[Mapping[str, str]], Sequence[str]]
"""Finds the models of a local Ollama, given the environment."""


class CannotStart(Exception):
    """The control plane cannot be opened; the message says why, and trying again would not help."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """What a keeper works with."""

    store: Store
    configuration: Configuration
    keys: VirtualKeys
    ledger: Ledger
    services: Services

    def close(self) -> None:
        """Read the journals to their end, and close the store."""
        self.ledger.close()
        self.store.close()


def open_control_plane(
    slot: KeeperSlot,
    environment: Mapping[str, str],
    journals: Path,
    ollama: Ollama,
    forget: Forget,
    workers: Callable[[], int],
) -> ControlPlane:
    """Open all of it. Raises CannotStart."""
    try:
        store = open_sqlite(slot.state / DATABASE)
        configuration = Configuration(store, slot.config, environment, _without_file(environment, ollama), say)
        loaded = configuration.begin().loaded
        ledger = Ledger(store, journals, retention=loaded.control.spend_log_retention)
    except ConfigErrors as errors:
        raise CannotStart(f"the configuration is wrong:\n{errors}") from None
    except (StoreError, LedgerTaken) as error:
        raise CannotStart(str(error)) from None
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise CannotStart(f"the state in {slot.state} cannot be used: {error}") from None
    keys = VirtualKeys(store, forget)
    services = Services(store, keys, configuration, workers)
    return ControlPlane(store, configuration, keys, ledger, services)


def _without_file(environment: Mapping[str, str], ollama: Ollama) -> Callable[[], Loaded]:
    def found() -> Loaded:
        registry = default_registry()
        registry.load_plugins()
        return no_file(registry, environment, ollama(environment))

    return found
