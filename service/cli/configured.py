"""Settings for the commands that run something on this machine, with a readable complaint where they are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from service.cli.output import ExitCode, complain

if TYPE_CHECKING:
    from service.settings import Settings
    from service.store.engine import Database


def settings(**options: Any) -> Settings:
    """Settings from the environment, with the options that were given (are not None) over them."""
    from pydantic import ValidationError

    from service.server.environment import variable_of
    from service.settings import Settings

    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        fields = []
        for problem in error.errors():
            name = str(problem["loc"][0]) if problem["loc"] else "settings"
            fields.append((variable_of(name) if name in Settings.model_fields else name, problem["msg"]))
        complain("the configuration is wrong", fields, hint="The README lists all settings.")
        raise typer.Exit(ExitCode.USAGE) from None


def database() -> Database:
    """The service's database, migrated. For commands that work where the service runs."""
    from service.migrate import upgrade
    from service.store.engine import Database

    configuration = settings()
    upgrade(configuration.resolved_database_url)
    return Database(configuration.resolved_database_url, busy_timeout_ms=configuration.busy_timeout_ms)
