"""Prints the table of settings for the README; with --write puts it there."""

import sys
from pathlib import Path

from service.server.environment import variable_of
from service.settings import Settings

README = Path(__file__).parents[1] / "README.md"
HEAD = "| variable | default | what |\n| --- | --- | --- |\n"


def default_of(name: str) -> str:
    field = Settings.model_fields[name]
    if name == "home":
        return "`~/.spikesmith`"
    value = field.get_default()
    if value is None:
        return ""
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def table() -> str:
    rows = [
        f"| `{variable_of(name)}` | {default_of(name)} | {field.description or ''} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return HEAD + "".join(rows)


def main() -> None:
    if "--write" not in sys.argv:
        sys.stdout.write(table())
        return
    text = README.read_text()
    start = text.find(HEAD)
    end = text.index("\n\n", start) + 1
    README.write_text(text[:start] + table() + text[end:])


if __name__ == "__main__":
    main()
