"""What Alembic runs to migrate: the steps, on the connection and in the transaction that migrate.py gave it."""

from alembic import context

from penstock.agents.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
