"""Settings as environment variables, for the processes that `serve` starts."""

from __future__ import annotations

import os

from pydantic import AliasChoices

from service.settings import Settings


def child_environment(settings: Settings) -> dict[str, str]:
    """This process's environment, with what was set in `settings` (by an argument, say) on top of it."""
    env = dict(os.environ)
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if value is not None:
            env[variable_of(name)] = str(value)
    return env


def variable_of(field: str) -> str:
    """The environment variable that sets a field of `Settings`."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"{Settings.model_config.get('env_prefix', '')}{field}".upper()
