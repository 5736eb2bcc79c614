"""Alembic's way in: on the connection of `service.migrate`, or, for the `alembic` command, one from the settings."""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlalchemy import Connection, create_engine

from service.settings import get_settings
from service.store.engine import database_url
from service.store.tables import Base
from service.store.types import UtcDateTime


def _render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Revisions say what the database sees, so that they outlive the code's own column types."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite cannot alter tables: they are copied
        compare_type=True,
        compare_server_default=True,
        render_item=_render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with create_engine(database_url(get_settings().resolved_database_url)).begin() as own:
        run(own)
